//! Records to bytes and back: JSON, gzip, base64.

use std::io::{self, Read, Write};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

use serde::{Deserialize as _, Serialize};

use super::Release;

/// The most JSON that a record is unpacked to. A Secret's 1 MiB can hold a thousand times that in zeros.
pub const MAX_JSON_BYTES: u64 = 64 << 20;

const GZIP_MAGIC: [u8; 3] = [0x1f, 0x8b, 0x08];

/// How deeply the JSON of a record may nest: values of [`LEVELS`] levels, and what the record puts around them.
///
/// [`LEVELS`]: crate::values::LEVELS
pub const MAX_LEVELS: usize = 520;

/// Stack for a record that nests so deeply, in a build for debugging, too.
const STACK_BYTES: usize = 32 << 20;

/// Stack that is enough for others.
const USUAL_STACK_BYTES: usize = 1 << 20;

/// Why a record cannot be written or read. The texts quote nothing of the record.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The record does not become JSON.
    #[error("failed to write the release record as JSON")]
    WriteJson(#[source] serde_json::Error),
    /// The record does not compress.
    #[error("failed to compress the release record")]
    Compress(#[source] io::Error),
    /// The stored bytes are not base64.
    #[error("failed to read the release record as base64")]
    ReadBase64(#[source] base64::DecodeError),
    /// The stored bytes claim to be gzip and are not.
    #[error("failed to decompress the release record")]
    Decompress(#[source] io::Error),
    /// The record unpacks to more than [`MAX_JSON_BYTES`].
    #[error("the release record unpacks to more than {MAX_JSON_BYTES} bytes")]
    TooLarge,
    /// The JSON nests more deeply than [`MAX_LEVELS`].
    #[error("the release record nests more than {MAX_LEVELS} levels")]
    TooDeep,
    /// The unpacked bytes are not a record.
    #[error("failed to read the release record as JSON, at line {line} column {column}")]
    ReadJson {
        /// The line of the JSON, from 1.
        line: usize,
        /// The column in that line, from 1.
        column: usize,
    },
}

/// The bytes that Helm keeps in `data["release"]`, before the API's own base64.
///
/// # Errors
/// [`Error::TooDeep`] for what [`decode`] would not read; what has been rendered is never so.
pub fn encode(release: &Release) -> Result<Vec<u8>, Error> {
    pack(release)
}

/// The same of a part of a record.
pub(super) fn pack(part: &impl Serialize) -> Result<Vec<u8>, Error> {
    let json = with_stack(|| serde_json::to_vec(part)).map_err(Error::WriteJson)?;
    check_depth(&json)?;
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(&json).map_err(Error::Compress)?;
    let gzip = gzip.finish().map_err(Error::Compress)?;
    Ok(BASE64_STANDARD.encode(gzip).into_bytes())
}

/// Reads what [`encode`] or any Helm since 2019 wrote; the first ones did not compress.
///
/// [`Release::labels`] stay empty: they are on the Secret.
pub fn decode(bytes: &[u8]) -> Result<Release, Error> {
    let stored = BASE64_STANDARD.decode(bytes).map_err(Error::ReadBase64)?;
    let json = if stored.starts_with(&GZIP_MAGIC) { decompress(&stored)? } else { stored };
    check_depth(&json)?;
    let read = || {
        let mut reader = serde_json::Deserializer::from_slice(&json);
        // Its own limit of 128 is less than values may have.
        reader.disable_recursion_limit();
        let release = Release::deserialize(&mut reader)?;
        reader.end().map(|()| release)
    };
    with_stack(read).map_err(|error| Error::ReadJson { line: error.line(), column: error.column() })
}

/// Runs what walks a record, on more stack if there may be too little.
fn with_stack<T>(work: impl FnOnce() -> T) -> T {
    stacker::maybe_grow(USUAL_STACK_BYTES, STACK_BYTES, work)
}

/// Counts brackets outside of texts, before anything is read that would need stack for them.
fn check_depth(json: &[u8]) -> Result<(), Error> {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(found) = next_mark(&json[at..]) {
        at += found + 1;
        match json[at - 1] {
            b'"' => at += length_of_text(&json[at..]),
            b'{' | b'[' if depth == MAX_LEVELS => return Err(Error::TooDeep),
            b'{' | b'[' => depth += 1,
            _ => depth = depth.saturating_sub(1),
        }
    }
    Ok(())
}

fn next_mark(json: &[u8]) -> Option<usize> {
    json.iter().position(|byte| matches!(byte, b'"' | b'{' | b'[' | b'}' | b']'))
}

/// Bytes up to the quote that ends a text, which counts.
fn length_of_text(json: &[u8]) -> usize {
    let mut at = 0;
    while let Some(found) = memchr::memchr2(b'"', b'\\', &json[at..]) {
        at += found + 1;
        if json[at - 1] == b'"' {
            return at;
        }
        // What is escaped ends nothing.
        at = json.len().min(at + 1);
    }
    json.len()
}

fn decompress(gzip: &[u8]) -> Result<Vec<u8>, Error> {
    let mut json = Vec::new();
    let mut bounded = MultiGzDecoder::new(gzip).take(MAX_JSON_BYTES + 1);
    bounded.read_to_end(&mut json).map_err(Error::Decompress)?;
    if json.len() as u64 > MAX_JSON_BYTES { Err(Error::TooLarge) } else { Ok(json) }
}
