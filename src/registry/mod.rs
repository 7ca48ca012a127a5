//! OCI registries: resolve a version, pull a chart, verify it.
