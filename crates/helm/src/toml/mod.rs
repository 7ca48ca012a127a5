//! TOML as Helm's `toToml` and `fromToml` see it.
