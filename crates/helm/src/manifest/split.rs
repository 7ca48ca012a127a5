//! Text to documents.

use memchr::memmem;

const SEPARATOR: &str = "---";

/// Cuts rendered text into its YAML documents.
///
/// Each line that starts with `---` ends a document; what follows on that line, after blanks, belongs to the next
/// one. Documents lose the white space before them and keep what is behind; empty ones are dropped.
pub fn split(text: &str) -> Vec<&str> {
    let text = text.trim_start();
    let mut documents = Vec::new();
    let mut rest = text.strip_prefix(SEPARATOR).unwrap_or(text);
    while let Some(line_end) = memmem::find(rest.as_bytes(), b"\n---") {
        let start = line_end + 1;
        documents.push(&rest[..start]);
        rest = &rest[start + SEPARATOR.len()..];
    }
    documents.push(rest);
    documents.retain(|document| !document.trim().is_empty());
    documents.iter().map(|document| document.trim_start()).collect()
}
