//! JSON as Go's `encoding/json` reads and prints it.
