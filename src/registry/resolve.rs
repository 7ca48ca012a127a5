//! Which tag a version request means: pure choices over a list of tags.
//!
//! Helm's rules: a tag is a version when it is a strict one with `_` read as `+`; an empty request means the newest
//! stable one; an exact match of the text goes before its meaning as a constraint. Where no tag at all is a strict
//! version, tags like `v1.2.3` count, which Helm would not find.

use std::cmp::Reverse;
use std::fmt;

use helm::semver::{self, Constraint, Version};

use super::credentials::{Access, AccessKey};
use super::reference::{ChartReference, Digest};

/// How many neighbours of a missing tag an error names.
const NEAREST: usize = 5;

/// How many of the existing versions an error names.
const EXISTING: usize = 10;

/// Which version of a chart is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VersionRequest {
    /// This version (or tag) and no other.
    Exact(String),
    /// The newest version that satisfies the constraint.
    Constraint(Constraint),
    /// The newest stable version.
    Newest,
}

/// Why a text is no version request.
#[derive(Debug, Clone, thiserror::Error)]
pub enum VersionRequestError {
    /// `latest` is a tag that moves, and no version.
    #[error("\"latest\" is no version: leave the version empty for the newest stable one, or name one")]
    Latest,
    /// A version with `_` where a `+` belongs.
    #[error("{version:?} is written as a tag: write {:?}", .version.replace('_', "+"))]
    Underscore {
        /// The text as given.
        version: String,
    },
    /// Neither a version nor a constraint.
    #[error("{version:?} is neither a version nor a constraint such as \">=1.2.0 <2.0.0\", \"~1.2\" or \"1.x\"")]
    Malformed {
        /// The text as given.
        version: String,
        /// What the constraint parser says.
        #[source]
        source: semver::Error,
    },
}

impl VersionRequest {
    /// Reads a chart's `version` field: empty is the newest, a full version (`1.2.3`, `v1.2.3`) is exact, the rest
    /// are constraints by Masterminds' rules.
    pub fn parse(version: &str) -> Result<Self, VersionRequestError> {
        let version = version.trim();
        if version.is_empty() {
            return Ok(Self::Newest);
        }
        if version == "latest" {
            return Err(VersionRequestError::Latest);
        }
        if Version::parse(version.strip_prefix('v').unwrap_or(version)).is_ok() {
            return Ok(Self::Exact(version.to_owned()));
        }
        if version.contains('_') && Version::parse_loose(&version_of(version)).is_ok() {
            return Err(VersionRequestError::Underscore { version: version.to_owned() });
        }
        match Constraint::parse(version) {
            Ok(constraint) => Ok(Self::Constraint(constraint)),
            Err(source) => Err(VersionRequestError::Malformed { version: version.to_owned(), source }),
        }
    }
}

impl fmt::Display for VersionRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(version) => f.write_str(version),
            Self::Constraint(constraint) => constraint.fmt(f),
            Self::Newest => f.write_str("newest stable"),
        }
    }
}

/// A version request that a registry has answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// Where the chart is: with its tag (unless only a digest was asked for) and its digest.
    pub reference: ChartReference,
    /// The tag as a version, `_` read as `+`; empty when only a digest was asked for.
    pub version: String,
    /// The digest of the manifest.
    pub digest: Digest,
    /// Whose question it answers: the registry showed this access that it may read the manifest. None where that is
    /// not known, as of a record that somebody else may have written.
    pub(super) proof: Option<AccessKey>,
}

impl Resolved {
    /// Whether the registry showed `access` that it may read this: what others pulled may then be given to it.
    pub fn is_proven(&self, access: &Access) -> bool {
        self.proof.as_ref() == Some(&access.key())
    }
}

/// The tag that answers `constraint` (the newest stable one where absent) among `tags`.
pub(super) fn choose<'a>(tags: &'a [String], constraint: Option<&Constraint>) -> Option<&'a str> {
    if let Some(constraint) = constraint {
        let text = constraint.to_string();
        if let Some(tag) = tags.iter().find(|tag| version_of(tag) == text) {
            return Some(tag);
        }
    }
    let wanted = |version: &Version| match constraint {
        Some(constraint) => constraint.check(version),
        None => !version.is_prerelease(),
    };
    let versions = versions(tags);
    versions.into_iter().find(|(version, _)| wanted(version)).map(|(_, tag)| tag)
}

/// The newest versions among `tags`, newest first and at most ten, and how many there are.
pub(super) fn existing(tags: &[String]) -> (Vec<String>, usize) {
    let versions = versions(tags);
    let total = versions.len();
    let shown = versions.iter().take(EXISTING).map(|(_, tag)| version_of(tag)).collect();
    (shown, total)
}

/// The versions among `tags` nearest to the missing `tag`, nearest first; the newest where it is no version.
pub(super) fn nearest(tags: &[String], tag: &str) -> Vec<String> {
    let mut versions = all_versions(tags);
    let Ok(wanted) = Version::parse_loose(&version_of(tag)) else {
        versions.sort_by(|(left, _), (right, _)| right.cmp(left));
        return versions.iter().take(NEAREST).map(|(_, tag)| version_of(tag)).collect();
    };
    versions.sort_by_cached_key(|(version, tag)| {
        let distance = [
            version.major.abs_diff(wanted.major),
            version.minor.abs_diff(wanted.minor),
            version.patch.abs_diff(wanted.patch),
        ];
        (distance, Reverse((*tag).to_owned()))
    });
    versions.iter().take(NEAREST).map(|(_, tag)| version_of(tag)).collect()
}

/// Whether `tag` can answer a question about versions: it reads as one, with or without a `v`, if only in part (`1.2`).
pub(super) fn can_be_version(tag: &str) -> bool {
    Version::parse_loose(&version_of(tag)).is_ok()
}

/// The constraint that admits pre-releases and is otherwise `constraint`, where one of `tags` then satisfies it.
pub(super) fn with_prereleases(tags: &[String], constraint: Option<&Constraint>) -> Option<String> {
    let text = constraint.map_or_else(|| ">0.0.0-0".to_owned(), |constraint| widened(&constraint.to_string()));
    let wide = Constraint::parse(&text).ok()?;
    versions(tags).iter().any(|(version, _)| wide.check(version)).then_some(text)
}

/// `text` with `-0` after each version in it: Masterminds' way to ask for pre-releases, too.
fn widened(text: &str) -> String {
    let is_version = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+' | '*');
    let mut wide = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(is_version) {
        let end = rest[start..].find(|c| !is_version(c)).map_or(rest.len(), |length| start + length);
        let (before, version) = (&rest[..start], &rest[start..end]);
        wide.push_str(before);
        wide.push_str(version);
        // A lone hyphen is a range's.
        if version.starts_with(|c: char| c.is_ascii_digit() || c == 'v') && !version.contains(['-', '+']) {
            wide.push_str("-0");
        }
        rest = &rest[end..];
    }
    wide + rest
}

/// The version that a tag stands for, as text.
pub(super) fn version_of(tag: &str) -> String {
    tag.replace('_', "+")
}

/// Whether `tag`, which a reference names itself, is one that `request` asks for.
pub(super) fn admits(request: &VersionRequest, tag: &str) -> bool {
    match request {
        VersionRequest::Newest => true,
        VersionRequest::Exact(version) => version.replace('+', "_") == tag,
        VersionRequest::Constraint(constraint) => {
            Version::parse_loose(&version_of(tag)).is_ok_and(|version| constraint.check(&version))
        }
    }
}

/// The tags that are versions, newest first: strict ones, or where there are none those with a leading `v`.
fn versions(tags: &[String]) -> Vec<(Version, &str)> {
    let mut found: Vec<_> = tags.iter().filter_map(|tag| strict(tag)).collect();
    if found.is_empty() {
        found = tags.iter().filter_map(|tag| prefixed(tag)).collect();
    }
    found.sort_by(|(left, _), (right, _)| right.cmp(left));
    found
}

fn all_versions(tags: &[String]) -> Vec<(Version, &str)> {
    tags.iter().filter_map(|tag| strict(tag).or_else(|| prefixed(tag))).collect()
}

fn strict(tag: &str) -> Option<(Version, &str)> {
    Some((Version::parse(&version_of(tag)).ok()?, tag))
}

fn prefixed(tag: &str) -> Option<(Version, &str)> {
    Some((strict(tag.strip_prefix('v')?)?.0, tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(list: &str) -> Vec<String> {
        list.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn a_version_field_is_read_as_exact_constraint_or_newest() {
        let exact = |text: &str| VersionRequest::Exact(text.to_owned());
        let constraint = |text: &str| VersionRequest::Constraint(Constraint::parse(text).expect("valid"));
        let cases = [
            ("", VersionRequest::Newest),
            ("  ", VersionRequest::Newest),
            ("1.2.3", exact("1.2.3")),
            ("v1.2.3", exact("v1.2.3")),
            ("1.2.3-rc.1+build.5", exact("1.2.3-rc.1+build.5")),
            ("1.2", constraint("1.2")),
            ("^1.0.0", constraint("^1.0.0")),
            (">=1.0.0 <2.0.0", constraint(">=1.0.0 <2.0.0")),
            ("*", constraint("*")),
        ];
        for (text, expected) in cases {
            assert_eq!(VersionRequest::parse(text).expect(text), expected, "{text}");
        }
        for text in ["latest", "main", "one.two.three"] {
            assert!(VersionRequest::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_chosen_tag_is_the_newest_that_satisfies() {
        let cases = [
            ("", "1.0.0 1.10.0 1.9.0", Some("1.10.0")),
            ("", "1.0.0 2.0.0-rc.1", Some("1.0.0")),
            ("", "2.0.0-rc.1", None),
            ("", "latest main sha-abc", None),
            ("", "latest 0.1.0 sha256-abc.sig", Some("0.1.0")),
            ("", "v1.0.0 v1.1.0", Some("v1.1.0")),
            ("", "1.0.0 v2.0.0", Some("1.0.0")),
            ("^1.0.0", "1.0.0 1.4.2 2.0.0", Some("1.4.2")),
            ("~1.2", "1.2.0 1.2.9 1.3.0", Some("1.2.9")),
            (">=1.0.0-0", "1.0.0 1.1.0-rc.1", Some("1.1.0-rc.1")),
            (">=1.0.0", "1.0.0 1.1.0-rc.1", Some("1.0.0")),
            (">3", "1.0.0 2.0.0", None),
            ("1.2", "1.2 1.2.5", Some("1.2")),
            ("1.2", "1.2.5 1.3.0", Some("1.2.5")),
            ("1.x", "1.0.0_build.1 0.9.0", Some("1.0.0_build.1")),
        ];
        for (text, list, expected) in cases {
            let tags = tags(list);
            let constraint = (!text.is_empty()).then(|| Constraint::parse(text).expect(text));
            assert_eq!(choose(&tags, constraint.as_ref()), expected, "{text:?} of {list}");
        }
    }

    #[test]
    fn where_only_pre_releases_match_the_way_to_them_is_told() {
        let cases = [
            ("^0.3.0", "0.2.0 0.3.0-rc.1", Some("^0.3.0-0")),
            ("~0.3", "0.3.0-rc.1", Some("~0.3-0")),
            (">=0.3.0 <0.4.0", "0.3.1-beta", Some(">=0.3.0-0 <0.4.0-0")),
            ("", "0.3.0-rc.1", Some(">0.0.0-0")),
            ("^0.3.0", "0.2.0 0.4.0-rc.1", None),
            ("^0.3.0-0", "0.2.0", None),
            ("", "latest", None),
        ];
        for (text, list, expected) in cases {
            let constraint = (!text.is_empty()).then(|| Constraint::parse(text).expect(text));
            assert_eq!(with_prereleases(&tags(list), constraint.as_ref()).as_deref(), expected, "{text:?} of {list}");
        }
    }

    #[test]
    fn a_version_in_a_tags_spelling_is_told_the_right_one() {
        for (text, right) in [("0.1.6_build.7", "0.1.6+build.7"), ("v1.2.3-rc.1_b", "v1.2.3-rc.1+b")] {
            let error = VersionRequest::parse(text).expect_err(text).to_string();
            assert!(error.contains(right), "{error}");
        }
    }

    #[test]
    fn only_tags_that_can_be_versions_are_kept() {
        let kept = |tag: &&str| can_be_version(tag);
        let all =
            ["1.0.0", "v1.0.0", "1.2", "1", "1.0.0_b.1", "2024.1.1", "latest", "main", "sha256-abc.sig", "pr-7", ""];
        let expected = ["1.0.0", "v1.0.0", "1.2", "1", "1.0.0_b.1", "2024.1.1"];
        assert_eq!(all.iter().copied().filter(kept).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_missing_tag_is_told_with_its_neighbours() {
        let list = tags("0.9.0 1.0.0 1.1.0 1.2.0 v1.2.4 2.0.0 latest 1.2.0_b1");
        assert_eq!(nearest(&list, "1.2.4")[0], "v1.2.4");
        assert_eq!(nearest(&list, "1.2.1")[..2], ["1.2.0+b1", "1.2.0"]);
        assert_eq!(nearest(&list, "nightly")[0], "2.0.0");
        assert!(nearest(&tags("latest"), "1.0.0").is_empty());
    }

    #[test]
    fn existing_versions_are_counted_and_the_newest_shown() {
        let list: Vec<String> = (0..30).map(|minor| format!("1.{minor}.0")).collect();
        let (shown, total) = existing(&list);
        assert_eq!((shown.len(), total), (10, 30));
        assert_eq!(shown[0], "1.29.0");
    }
}
