//! Chart archives: a gzipped tar with one top folder, from a source that is not trusted.
//!
//! Nothing is written to disk. Every entry is checked before its bytes are read, and the whole stream is bounded, so
//! neither a lying header nor a compression bomb can cost more than [`Limits`] allow.

use std::io::{self, Read};

use flate2::read::MultiGzDecoder;
use tar::{Entry, EntryType};

use super::assemble::assemble;
use super::limits::{Budget, Excess};
use super::path;
use super::{Chart, Error, File};

pub use super::limits::Limits;

const GZIP_MAGIC: [u8; 3] = [0x1f, 0x8b, 0x08];
/// What tar itself may add to the files: headers, padding and long names, per file.
const TAR_OVERHEAD_PER_FILE: u64 = 4096;

/// Loads a packed chart (`.tgz`), dependencies in its `charts/` included.
pub fn load(bytes: &[u8], limits: &Limits) -> Result<Chart, Error> {
    let mut budget = Budget::new(*limits);
    let files = unpack(bytes, &mut budget)?;
    assemble(files, &mut budget)
}

/// The files of an archive, without its top folder.
pub(super) fn unpack(bytes: &[u8], budget: &mut Budget) -> Result<Vec<File>, Error> {
    let limits = *budget.limits();
    if bytes.len() as u64 > limits.archive_bytes {
        return Err(Excess::Archive(limits.archive_bytes).into());
    }
    if !bytes.starts_with(&GZIP_MAGIC) {
        return Err(Error::NotGzip);
    }
    let overhead = TAR_OVERHEAD_PER_FILE.saturating_mul(limits.files as u64);
    let stream = BoundedReader {
        inner: MultiGzDecoder::new(bytes),
        left: limits.unpacked_bytes.saturating_add(overhead),
        excess: Excess::Unpacked(limits.unpacked_bytes),
    };
    let mut archive = tar::Archive::new(stream);
    let mut files = Vec::new();
    for entry in archive.entries().map_err(read_error)? {
        budget.take_entry()?;
        files.extend(read_entry(entry.map_err(read_error)?, budget)?);
    }
    if files.is_empty() {
        return Err(Error::EmptyArchive);
    }
    Ok(files)
}

fn read_entry<R: Read>(mut entry: Entry<'_, R>, budget: &mut Budget) -> Result<Option<File>, Error> {
    let raw_path = entry.path_bytes();
    // Before there are copies of it: a path may be as long as all that an archive may hold.
    budget.check_path_length(&raw_path)?;
    let raw_path = raw_path.into_owned();
    let full_path = String::from_utf8_lossy(&raw_path).into_owned();
    if is_folder(&entry, &full_path) {
        return Ok(None);
    }
    if is_only_a_header(entry.header().entry_type()) && entry.size() > 0 {
        // Go reads on right behind the header, where no other is then.
        return Err(Error::ReadArchive(io::Error::other(format!("{full_path:?} is no file, but has content"))));
    }
    budget.check_path(&full_path)?;
    if std::str::from_utf8(&raw_path).is_err() {
        return Err(Error::UnsafePath { path: full_path, reason: "it is not UTF-8" });
    }
    let name = name_in_chart(&full_path)?;
    let size = entry.size();
    budget.take_bytes(size)?;
    let mut data = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
    entry.read_to_end(&mut data).map_err(read_error)?;
    let seconds = entry.header().mtime().ok().and_then(|seconds| i64::try_from(seconds).ok());
    let modified = seconds.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    Ok(Some(File::new(name, data.into(), modified)))
}

/// Whether an entry is a folder, or metadata of the archive: neither is a file of a chart.
fn is_folder<R: Read>(entry: &Entry<'_, R>, full_path: &str) -> bool {
    match entry.header().entry_type() {
        EntryType::Directory | EntryType::XGlobalHeader | EntryType::XHeader => true,
        // Tar of old times has no type for folders.
        EntryType::Regular => entry.header().as_old().linkflag == [0] && full_path.ends_with('/'),
        _ => false,
    }
}

/// Links and devices. To Helm they are files without content: it looks at nothing but the bytes of an entry, and where a
/// link leads nobody asks.
fn is_only_a_header(kind: EntryType) -> bool {
    matches!(kind, EntryType::Link | EntryType::Symlink | EntryType::Char | EntryType::Block | EntryType::Fifo)
}

/// Strips the top folder, refusing every path that could mean a place outside of it.
fn name_in_chart(full_path: &str) -> Result<String, Error> {
    let refuse = |reason| Error::UnsafePath { path: full_path.to_owned(), reason };
    let slashed = match (full_path.contains('\\'), full_path.contains('/')) {
        (true, true) => return Err(refuse("it mixes slashes and backslashes")),
        (true, false) => full_path.replace('\\', "/"),
        (false, _) => full_path.to_owned(),
    };
    if full_path.contains('\0') {
        return Err(refuse("it contains a NUL byte"));
    }
    if slashed.starts_with('/') {
        return Err(refuse("it is absolute"));
    }
    let (top, rest) = slashed.split_once('/').unwrap_or((&slashed, ""));
    let name = path::clean(rest);
    if name == "." {
        return Err(Error::OutsidePath { path: full_path.to_owned() });
    }
    if name.starts_with('/') {
        return Err(refuse("it is absolute"));
    }
    if top == ".." || name.starts_with("..") {
        return Err(Error::ParentPath { path: full_path.to_owned() });
    }
    if names_a_drive(&name) {
        return Err(refuse("it names a drive"));
    }
    if top == "Chart.yaml" {
        return Err(Error::ChartYamlAtTop);
    }
    Ok(name)
}

fn names_a_drive(name: &str) -> bool {
    matches!(name.as_bytes(), [letter, b':', b'/', ..] if letter.is_ascii_alphabetic())
}

/// A reader that fails, rather than ends, when more than `left` bytes come.
struct BoundedReader<R> {
    inner: R,
    left: u64,
    excess: Excess,
}

impl<R: Read> Read for BoundedReader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(out)?;
        self.left = self.left.checked_sub(count as u64).ok_or_else(|| io::Error::other(self.excess))?;
        Ok(count)
    }
}

/// Tells the limit of the stream apart from damage in it; `tar` wraps the errors it passes on.
fn read_error(error: io::Error) -> Error {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = error.get_ref().map(|e| e as _);
    while let Some(current) = cause {
        if let Some(excess) = current.downcast_ref::<Excess>() {
            return Error::TooLarge(*excess);
        }
        cause = current
            .downcast_ref::<io::Error>()
            .and_then(|error| error.get_ref().map(|e| e as _))
            .or_else(|| current.source());
    }
    Error::ReadArchive(error)
}

#[cfg(test)]
mod tests;
