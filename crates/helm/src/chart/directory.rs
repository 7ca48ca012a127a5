//! Charts as folders. The only module of this crate that reads files.
//!
//! `.helmignore` applies and symbolic links within the folder are followed. Links out of it are refused, unless it is
//! only documentation that lies elsewhere, as in repositories of many charts: that is left out.

use std::ffi::OsString;
use std::fs::{self, FileType};
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::assemble::assemble;
use super::ignore::{self, Rules};
use super::limits::{Budget, Limits};
use super::{Chart, Error, File};

/// Loads the chart in the folder `path`, with the default [`Limits`].
pub fn load(path: &Path) -> Result<Chart, Error> {
    let root = std::path::absolute(path).map_err(|source| read_error(path, source))?;
    let chart_yaml = root.join("Chart.yaml");
    if !chart_yaml.exists() {
        return Err(Error::NoChart(chart_yaml));
    }
    let mut walk =
        Walk { rules: read_rules(&root)?, root: &root, budget: Budget::new(Limits::default()), files: Vec::new() };
    walk.folder(&root, "")?;
    let Walk { files, mut budget, .. } = walk;
    assemble(files, &mut budget)
}

fn read_rules(root: &Path) -> Result<Rules, Error> {
    let path = root.join(ignore::FILE_NAME);
    let text = match fs::read(&path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(source) => return Err(read_error(&path, source)),
    };
    Rules::parse(&text).map_err(Error::Ignore)
}

struct Walk<'r> {
    root: &'r Path,
    rules: Rules,
    budget: Budget,
    files: Vec<File>,
}

impl Walk<'_> {
    /// Visits the entries of a folder in the order of their names. `name` is its path in the chart.
    fn folder(&mut self, folder: &Path, name: &str) -> Result<(), Error> {
        let mut entries: Vec<_> = fs::read_dir(folder)
            .and_then(|entries| entries.map(|entry| entry.and_then(|e| Ok((e.file_name(), e.file_type()?)))).collect())
            .map_err(|source| read_error(folder, source))?;
        entries.sort_by(|(a, _): &(OsString, FileType), (b, _)| a.cmp(b));
        for (entry, file_type) in entries {
            let path = folder.join(&entry);
            let Some(entry) = entry.to_str() else {
                let path = path.to_string_lossy().into_owned();
                return Err(Error::UnsafePath { path, reason: "it is not UTF-8" });
            };
            let name = if name.is_empty() { entry.to_owned() } else { format!("{name}/{entry}") };
            self.entry(&path, file_type, name)?;
        }
        Ok(())
    }

    fn entry(&mut self, path: &Path, file_type: FileType, name: String) -> Result<(), Error> {
        self.budget.take_entry()?;
        self.budget.check_path(&name)?;
        let target = if file_type.is_symlink() { self.resolve(path, &name)? } else { Some(path.to_owned()) };
        let Some(target) = target else { return Ok(()) };
        let file_type = if file_type.is_symlink() {
            fs::metadata(&target).map_err(|source| read_error(path, source))?.file_type()
        } else {
            file_type
        };
        if self.rules.ignores(&name, file_type.is_dir()) {
            return Ok(());
        }
        if file_type.is_dir() {
            return self.folder(&target, &name);
        }
        if !file_type.is_file() {
            return Err(Error::IrregularFile { path: path.to_owned() });
        }
        let opened = fs::File::open(&target).and_then(|file| file.metadata().map(|metadata| (file, metadata)));
        let (file, metadata) = opened.map_err(|source| read_error(path, source))?;
        self.budget.take_bytes(metadata.len())?;
        let data = read(file, metadata.len()).map_err(|source| read_error(path, source))?;
        let modified = metadata.modified().ok().and_then(|time| jiff::Timestamp::try_from(time).ok());
        self.files.push(File::new(name, data, modified));
        Ok(())
    }

    /// The file that the link `path` stands for, which must lie in the chart; nothing if nobody will miss it.
    fn resolve(&self, path: &Path, name: &str) -> Result<Option<PathBuf>, Error> {
        let target = fs::canonicalize(path).map_err(|source| broken_link(path, source))?;
        let root = fs::canonicalize(self.root).map_err(|source| read_error(self.root, source))?;
        match target.starts_with(root) {
            true => Ok(Some(target)),
            false if is_documentation(name) => Ok(None),
            false => Err(Error::LinkOutside { path: path.to_owned() }),
        }
    }
}

/// Whether a file is for readers of the chart's repository: `README.md` and the like beside `Chart.yaml`.
fn is_documentation(name: &str) -> bool {
    const NAMES: [&str; 5] = ["LICENSE", "NOTICE", "OWNERS", "CODEOWNERS", "CONTRIBUTING"];
    let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    !name.contains('/') && (extension == "md" || (matches!(extension, "" | "txt") && NAMES.contains(&stem)))
}

/// Helm says at which step of the way a link ends in nothing.
fn broken_link(path: &Path, source: std::io::Error) -> Error {
    let parent = path.parent().unwrap_or(path);
    let Ok(target) = fs::read_link(path) else { return read_error(path, source) };
    let mut way = PathBuf::new();
    for step in parent.join(target).components() {
        match step {
            Component::ParentDir => drop(way.pop()),
            step => way.push(step),
        }
        if fs::symlink_metadata(&way).is_err() {
            break;
        }
    }
    Error::BrokenLink { path: path.to_owned(), missing: way, reason: source }
}

/// The bytes of a file that is known to have `length` of them, read to where they stay: a chart's files are most of what
/// is in memory. What is added meanwhile is left out.
fn read(mut file: fs::File, length: u64) -> std::io::Result<Arc<[u8]>> {
    let mut data: Arc<[u8]> = std::iter::repeat_n(0, usize::try_from(length).unwrap_or_default()).collect();
    if let Some(data) = Arc::get_mut(&mut data) {
        file.read_exact(data)?;
    }
    Ok(data)
}

fn read_error(path: &Path, source: std::io::Error) -> Error {
    Error::ReadFile { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests;
