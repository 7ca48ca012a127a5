//! Charts and records from bytes: archives, the tar within them, the files within that, and release records.
//!
//! The first byte says which layer the rest is, so that a mutation reaches it without the checksums of the layers above.

#![no_main]

use std::io::Write;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use helm::chart::archive::{self, Limits};
use helm::values::ValuesMap;
use helm_operator_fuzz::render;
use libfuzzer_sys::{Corpus, fuzz_target};

const LIMITS: Limits = Limits {
    archive_bytes: 1 << 20,
    unpacked_bytes: 1 << 20,
    file_bytes: 1 << 18,
    files: 200,
    path_bytes: 256,
    path_depth: 16,
    chart_depth: 4,
    value_nodes: 10_000,
};

/// Ends the name of an entry, and an entry: bytes that no UTF-8 text has.
const NAME_END: u8 = 0xFE;
const ENTRY_END: u8 = 0xFF;

fuzz_target!(|input: &[u8]| -> Corpus {
    match input.split_first() {
        Some((b'z', bytes)) => load(bytes),
        Some((b't', bytes)) => load(&gzipped(bytes)),
        Some((b'f', bytes)) => load(&gzipped(&tarred(bytes))),
        Some((b'r', bytes)) => record(bytes),
        _ => return Corpus::Reject,
    }
    Corpus::Keep
});

fn load(bytes: &[u8]) {
    match archive::load(bytes, &LIMITS) {
        Ok(chart) => {
            chart.crds();
            if let Err(error) = render(&chart, &ValuesMap::new()) {
                assert!(!error.to_string().is_empty());
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::none());
    encoder.write_all(bytes).expect("memory can be written");
    encoder.finish().expect("memory can be written")
}

/// Entries of a first byte for the type, a name and the contents; one called `*.tgz` is an archive of those behind it.
fn tarred(bytes: &[u8]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for entry in bytes.split(|byte| *byte == ENTRY_END) {
        let Some((kind, rest)) = entry.split_first() else { continue };
        let end = rest.iter().position(|byte| *byte == NAME_END).unwrap_or(rest.len());
        let (name, data) = (&rest[..end], rest.get(end + 1..).unwrap_or_default());
        let data = if name.ends_with(b".tgz") { gzipped(&tarred(&unescaped(data))) } else { data.to_vec() };
        let mut header = tar::Header::new_gnu();
        let field = &mut header.as_gnu_mut().expect("the header is a GNU header").name;
        let length = name.len().min(field.len());
        field[..length].copy_from_slice(&name[..length]);
        header.set_entry_type(tar::EntryType::new(*kind));
        header.set_size(data.len() as u64);
        header.set_cksum();
        builder.append(&header, data.as_slice()).expect("memory can be written");
    }
    builder.into_inner().expect("memory can be written")
}

/// Within a packed dependency entries and names end with other bytes.
fn unescaped(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().map(|byte| match byte { 0xFD => ENTRY_END, 0xFC => NAME_END, other => *other }).collect()
}

fn record(json: &[u8]) {
    // Records that are not compressed are read as well.
    match helm::release::codec::decode(BASE64_STANDARD.encode(json).as_bytes()) {
        Ok(release) => {
            let packed = helm::release::codec::encode(&release).expect("a record can be written");
            assert_eq!(helm::release::codec::decode(&packed).expect("and read"), release);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
