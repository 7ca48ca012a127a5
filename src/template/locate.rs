//! The second step: where the chart is. A registry is asked for it here, before any values are read, as in Helm.

use std::path::{Component, Path, PathBuf};

use bytes::Bytes;

use super::pull;
use super::{Error, Options};

/// A chart that is not read yet.
pub(super) enum Package {
    /// In a folder or an archive, by its absolute path.
    Path(PathBuf),
    /// As an archive that a registry sent.
    Archive(Bytes),
}

/// Finds the chart that `reference` means. What a registry was asked for goes to `notices`.
pub(super) fn locate(reference: &str, options: &Options, notices: &mut Vec<String>) -> Result<Package, Error> {
    let authority = pull::authority(&options.registry)?;
    let reference = reference.trim();
    let path = Path::new(reference);
    if path.exists() {
        return Ok(Package::Path(absolute(path)));
    }
    if path.is_absolute() || reference.starts_with('.') {
        return Err(Error::FindChart { path: reference.to_owned() });
    }
    if reference.starts_with("oci://") {
        return pull::pull(reference, authority, &options.registry, notices).map(Package::Archive);
    }
    match (reference.contains("://"), reference.split_once('/')) {
        (true, _) => Err(Error::Scheme { url: reference.to_owned() }),
        (false, Some((repository, _))) => Err(Error::FindRepository { name: repository.to_owned() }),
        (false, None) => Err(Error::NoRepository { reference: reference.to_owned() }),
    }
}

/// The path from the root, without `.` and `..`, as texts show it. Links are not followed.
fn absolute(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut clean = PathBuf::new();
    for component in absolute.components() {
        match component {
            Component::ParentDir => {
                clean.pop();
            }
            Component::CurDir => {}
            other => clean.push(other),
        }
    }
    clean
}
