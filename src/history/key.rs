//! Which Helm release it is.

use std::fmt;

use helm::release::{Release, storage};

/// A Helm release, by the namespace that holds its records and its name.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReleaseKey {
    /// The namespace of its records; its objects may be elsewhere.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl ReleaseKey {
    /// The release `name` in `namespace`.
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.to_owned(), name: name.to_owned() }
    }

    /// The release that a revision is of.
    pub fn of(release: &Release) -> Self {
        Self::new(&release.namespace, &release.name)
    }

    /// The name of the Secret that holds a revision.
    pub(super) fn secret_name(&self, revision: u32) -> String {
        storage::secret_name(&self.name, revision)
    }
}

impl fmt::Display for ReleaseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}
