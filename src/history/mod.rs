//! Helm's release Secrets: the record of what was done.
