//! The custom resources, as pure data.
