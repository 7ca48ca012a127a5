//! Charts: archives, folders, metadata, dependencies, schemas.
