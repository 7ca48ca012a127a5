//! The `--set` language.
