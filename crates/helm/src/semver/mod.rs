//! Versions and constraints by the rules of Masterminds/semver.
