//! What is asked of a registry: an `oci://` reference and `--version`, put together by Helm's rules.

use helm::semver::{Constraint, Version};

use super::Error;
use super::refusal;
use crate::registry::{ChartReference, ReferenceError, VersionRequest};

/// A chart in a registry.
pub(super) struct Wanted {
    /// Where; without a tag, but with a digest if the chart is pinned to one.
    pub(super) reference: ChartReference,
    /// Which version.
    pub(super) request: VersionRequest,
    /// The version as given, by flag or by tag.
    pub(super) version: String,
}

impl Wanted {
    /// Reads an `oci://` reference. Its tag counts as a version, even if it is a range.
    pub(super) fn new(url: &str, version: &str) -> Result<Self, Error> {
        let full = ChartReference::parse(url).map_err(|error| refusal::reference(url, error))?;
        if let Some(tag) = tag_of(url).filter(|tag| tag.contains('+')) {
            // A reference is taken as the registry spells it; `--version` may be spelled as a version.
            return Err(refusal::reference(url, ReferenceError::Tag { tag: tag.to_owned() }));
        }
        let version = match full.tag() {
            Some(tag) if version.is_empty() => tag,
            Some(tag) if tag != version => {
                return Err(Error::TwoVersions { version: version.to_owned(), tag: tag.to_owned() });
            }
            _ => version,
        };
        let request = request(version)?;
        let reference = match full.digest() {
            Some(digest) => full.untagged().with_digest(digest.clone()),
            None => full.untagged(),
        };
        Ok(Self { reference, request, version: version.to_owned() })
    }

    /// Whether one version is named, and no range.
    pub(super) fn is_exact(&self) -> bool {
        matches!(self.request, VersionRequest::Exact(_))
    }

    /// What the manifest is asked for by: a digest, or a tag.
    pub(super) fn name(&self) -> String {
        self.reference.digest().map_or_else(|| self.version.replace('+', "_"), ToString::to_string)
    }
}

/// The tag of a reference as it is written.
fn tag_of(url: &str) -> Option<&str> {
    let name = url.rsplit('/').next()?.split('@').next()?;
    name.split_once(':').map(|(_, tag)| tag)
}

/// What Helm takes for a version is asked for as it is, even if it is short: `1.2` is no range.
fn request(version: &str) -> Result<VersionRequest, Error> {
    if version.is_empty() {
        return Ok(VersionRequest::Newest);
    }
    if Version::parse_loose(version).is_ok() {
        return Ok(VersionRequest::Exact(version.to_owned()));
    }
    let constraint = Constraint::parse(version);
    constraint.map(VersionRequest::Constraint).map_err(Error::ParseVersion)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_and_versions_are_put_together() {
        let pinned = format!("oci://h/c@sha256:{}", "0".repeat(64));
        let cases = [
            (("oci://h/p/c", ""), "oci://h/p/c newest stable"),
            (("oci://h/p/c", "1.2.3"), "oci://h/p/c 1.2.3"),
            (("oci://h/p/c", "1.2"), "oci://h/p/c 1.2"),
            (("oci://h/p/c", "1.x"), "oci://h/p/c 1.x"),
            (("oci://h:5000/p/c:1.2.3", ""), "oci://h:5000/p/c 1.2.3"),
            (("oci://h:5000/p/c:1.2.3", "1.2.3"), "oci://h:5000/p/c 1.2.3"),
            (("oci://h/p/c:1.x", ""), "oci://h/p/c 1.x"),
            ((&pinned, ""), &format!("{pinned} newest stable")),
            (("oci://h/c:1.0.0", "^1"), "chart reference and version mismatch: ^1 is not 1.0.0"),
            (("oci://h/c:1.0.0+b", ""), "invalid reference: invalid tag \"1.0.0+b\""),
            (("oci://h/c:latest", ""), "improper constraint: \"latest\""),
            (("oci://h/C", ""), "invalid reference: invalid repository \"C\""),
            (("oci://h", ""), "invalid reference: missing registry or repository"),
        ];
        for ((url, version), expected) in cases {
            let wanted = Wanted::new(url, version);
            let shown = wanted.map_or_else(|error| error.to_string(), |w| format!("{} {}", w.reference, w.request));
            assert_eq!(shown, expected, "{url} {version}");
        }
    }
}
