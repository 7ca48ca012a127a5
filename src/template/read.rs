//! Reading files, with Go's words where that fails.

use std::fs;
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

/// A file or folder could not be read or written, as Go says it.
#[derive(Debug, thiserror::Error)]
#[error("{operation} {}: {}", path.display(), words(source))]
pub struct ReadError {
    operation: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl ReadError {
    /// What went wrong when `operation` was tried with `path`.
    pub(super) fn new(operation: &'static str, path: &Path, source: io::Error) -> Self {
        Self { operation, path: path.to_owned(), source }
    }
}

/// The bytes of a file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, ReadError> {
    // A folder can be opened, but not read: Go's words say so.
    fs::read(path).map_err(|source| {
        let operation = if source.kind() == ErrorKind::IsADirectory { "read" } else { "open" };
        ReadError::new(operation, path, source)
    })
}

/// The bytes of a file that a flag names: `-` is standard input.
pub(super) fn read_named(name: &str) -> Result<Vec<u8>, ReadError> {
    if name.trim() != "-" {
        return read(Path::new(name));
    }
    let mut bytes = Vec::new();
    let done = io::stdin().lock().read_to_end(&mut bytes);
    done.map_err(|source| ReadError::new("read", Path::new("/dev/stdin"), source))?;
    Ok(bytes)
}

/// The system's words for an error: Go spells them in lower case and without number.
fn words(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "no such file or directory".to_owned(),
        ErrorKind::PermissionDenied => "permission denied".to_owned(),
        ErrorKind::IsADirectory => "is a directory".to_owned(),
        ErrorKind::NotADirectory => "not a directory".to_owned(),
        _ => {
            let text = error.to_string();
            let text = text.split(" (os error").next().unwrap_or(&text);
            let mut characters = text.chars();
            let first = characters.next().map(|first| first.to_ascii_lowercase());
            first.into_iter().chain(characters).collect()
        }
    }
}
