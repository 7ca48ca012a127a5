//! YAML as Helm's libraries read and print it.
