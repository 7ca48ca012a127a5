//! The one door to users' objects: discovery, apply, delete, wait.
