//! `--output-dir`: each template's documents into a file of its path.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use super::print::document;
use super::read::ReadError;

/// A folder that is written into, and the lines that tell of it.
pub(super) struct Folder<'o> {
    path: PathBuf,
    written: BTreeSet<String>,
    out: &'o mut Vec<u8>,
}

impl<'o> Folder<'o> {
    /// `path`, which need not be there yet; `out` learns of each file.
    pub(super) fn new(path: PathBuf, out: &'o mut Vec<u8>) -> Self {
        Self { path, written: BTreeSet::new(), out }
    }

    /// The folder `name` in this one.
    pub(super) fn below(self, name: &str) -> Self {
        Self { path: self.path.join(name), ..self }
    }

    /// Writes a document to the file `name`: the first one replaces what is there, later ones follow it.
    pub(super) fn write(&mut self, name: &str, content: &[u8]) -> Result<(), ReadError> {
        let first = self.written.insert(name.to_owned());
        self.put(name, content, !first)
    }

    /// Writes a document behind what is in the file `name`, be it from an earlier run: so it is with Helm's hooks.
    pub(super) fn append(&mut self, name: &str, content: &[u8]) -> Result<(), ReadError> {
        self.put(name, content, true)
    }

    fn put(&mut self, name: &str, content: &[u8], append: bool) -> Result<(), ReadError> {
        let path = self.path.join(name);
        make_folder(path.parent().unwrap_or(&self.path))?;
        let mut text = Vec::new();
        document(name, content, &mut text);
        let options = OpenOptions::new().create(true).write(true).append(append).truncate(!append).open(&path);
        let mut file = options.map_err(|source| ReadError::new("open", &path, source))?;
        file.write_all(&text).map_err(|source| ReadError::new("write", &path, source))?;
        self.out.extend_from_slice(format!("wrote {}\n", path.display()).as_bytes());
        Ok(())
    }
}

/// Makes a folder and those it lies in. An error names the outermost that is missing, for there it stopped.
fn make_folder(folder: &Path) -> Result<(), ReadError> {
    match fs::metadata(folder) {
        Ok(_) => return Ok(()),
        Err(source) if source.kind() != ErrorKind::NotFound => return Err(ReadError::new("stat", folder, source)),
        Err(_) => {}
    }
    fs::create_dir_all(folder).map_err(|source| {
        let missing = folder.ancestors().take_while(|ancestor| !ancestor.exists()).last();
        ReadError::new("mkdir", missing.unwrap_or(folder), source)
    })
}
