//! Helm's template functions: Sprig's and its own.
