//! Rendered text to ordered manifests and hooks.
