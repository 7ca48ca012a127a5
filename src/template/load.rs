//! The fourth step: the chart itself, from a folder or an archive.

use std::path::Path;

use helm::chart::{self, Chart, ErrorKind, archive, directory};

use super::Error;
use super::locate::Package;
use super::read::read;

/// How much of a file tells what it is.
const SNIFFED: usize = 512;

/// What a gzip stream begins with.
const GZIP: [u8; 3] = [0x1f, 0x8b, 0x08];

/// Loads a chart.
pub(super) fn load(package: &Package) -> Result<Chart, Error> {
    match package {
        Package::Archive(bytes) => unpack(bytes),
        Package::Path(path) if path.is_dir() => {
            let metadata = path.join("Chart.yaml");
            read(&metadata).map_err(|source| Error::ReadMetadata { path: metadata.clone(), source })?;
            directory::load(path).map_err(Error::Load)
        }
        Package::Path(path) => {
            let bytes = read(path).map_err(Error::Read)?;
            if !bytes.starts_with(&GZIP) {
                return Err(Error::NoArchive { path: path.clone(), problem: what_it_is(path, &bytes) });
            }
            unpack(&bytes)
        }
    }
}

fn unpack(bytes: &[u8]) -> Result<Chart, Error> {
    archive::load(bytes, &archive::Limits::default()).map_err(|error| match error {
        chart::Error::ChartYamlMissing => Error::FindMetadata,
        error => match error.kind() {
            ErrorKind::Archive | ErrorKind::TooLarge => Error::Unpack(error),
            ErrorKind::Metadata => Error::Load(error),
        },
    })
}

/// What Helm says of a file that is no gzip stream.
fn what_it_is(path: &Path, bytes: &[u8]) -> String {
    if path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
        return "seems to be a YAML file, but expected a gzipped archive".to_owned();
    }
    format!("does not appear to be a gzipped archive; got '{}'", media_type(bytes))
}

/// As browsers guess it, for what people mistake for a chart. Helm looks at a buffer that is filled up with zeros, so
/// short texts are binary to it.
fn media_type(bytes: &[u8]) -> &'static str {
    let start = &bytes[..bytes.len().min(SNIFFED)];
    let text = start.trim_ascii_start().to_ascii_lowercase();
    let binary = |byte: &u8| matches!(byte, 0..=8 | 0x0b | 0x0e..=0x1a | 0x1c..=0x1f);
    if ["<!doctype html", "<html"].iter().any(|tag| text.starts_with(tag.as_bytes())) {
        "text/html; charset=utf-8"
    } else if text.starts_with(b"<?xml") {
        "text/xml; charset=utf-8"
    } else if start.starts_with(b"PK\x03\x04") {
        "application/zip"
    } else if start.len() < SNIFFED || start.iter().any(binary) {
        "application/octet-stream"
    } else {
        "text/plain; charset=utf-8"
    }
}
