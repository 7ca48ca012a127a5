//! What users live through, one story a file.

mod helm_cli;
mod records;
