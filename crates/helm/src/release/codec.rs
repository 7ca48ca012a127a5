//! Records to bytes and back: JSON, gzip, base64.

use std::io::{self, Read, Write};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::Release;

/// The most JSON that a record is unpacked to. A Secret's 1 MiB can hold a thousand times that in zeros.
pub const MAX_JSON_BYTES: u64 = 64 << 20;

const GZIP_MAGIC: [u8; 3] = [0x1f, 0x8b, 0x08];

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
pub fn encode(release: &Release) -> Result<Vec<u8>, Error> {
    let json = serde_json::to_vec(release).map_err(Error::WriteJson)?;
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
    serde_json::from_slice(&json).map_err(|error| Error::ReadJson { line: error.line(), column: error.column() })
}

fn decompress(gzip: &[u8]) -> Result<Vec<u8>, Error> {
    let mut json = Vec::new();
    let mut bounded = MultiGzDecoder::new(gzip).take(MAX_JSON_BYTES + 1);
    bounded.read_to_end(&mut json).map_err(Error::Decompress)?;
    if json.len() as u64 > MAX_JSON_BYTES { Err(Error::TooLarge) } else { Ok(json) }
}
