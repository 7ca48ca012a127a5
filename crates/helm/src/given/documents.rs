//! Splits a values file into YAML documents, line by line, before any of it is parsed.

use std::borrow::Cow;

use memchr::memmem;

use super::Error;

const SEPARATOR: &[u8] = b"---";

/// The documents of `text`, each with its leading separator if it has one; lines end in `\n`.
pub(super) fn split(text: &[u8]) -> Result<Vec<Cow<'_, [u8]>>, Error> {
    if is_one_document(text) {
        return Ok(vec![Cow::Borrowed(text)]);
    }
    let mut documents = Vec::new();
    let mut current: Vec<u8> = Vec::new();
    for line in lines(text) {
        if let Some(after) = line.strip_prefix(SEPARATOR) {
            let after = String::from_utf8_lossy(after);
            let after = after.trim();
            if !after.is_empty() && !after.starts_with('#') {
                return Err(Error::Separator { after: after.to_owned() });
            }
            if !current.is_empty() {
                // The separator that ends a document is dropped, the first one stays: both as in Kubernetes' reader.
                documents.push(Cow::Owned(std::mem::take(&mut current)));
                continue;
            }
        }
        current.extend_from_slice(line);
        current.push(b'\n');
    }
    if !current.is_empty() {
        documents.push(Cow::Owned(current));
    }
    Ok(documents)
}

/// Whether a text is its only document as it stands, as most are.
fn is_one_document(text: &[u8]) -> bool {
    let ends = text.ends_with(b"\n") && memchr::memchr(b'\r', text).is_none();
    ends && !text.starts_with(SEPARATOR) && memmem::find(text, b"\n---").is_none()
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let lines = text.split(|byte| *byte == b'\n');
    lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_split_at_separators() {
        let split = |text: &str| -> Vec<String> {
            let documents = split(text.as_bytes()).expect("separators are valid");
            documents.into_iter().map(|d| String::from_utf8(d.into_owned()).expect("UTF-8")).collect()
        };
        assert_eq!(split("a: 1"), ["a: 1\n"]);
        assert_eq!(split(""), ["\n"]);
        assert_eq!(split("\n"), ["\n"]);
        assert_eq!(split("a: 1\n\n"), ["a: 1\n\n"]);
        assert_eq!(split("a: 1\r\nb: 2\r\n"), ["a: 1\nb: 2\n"]);
        assert_eq!(split("---\na: 1\n--- # second\nb: 2\n"), ["---\na: 1\n", "b: 2\n"]);
        assert_eq!(split("a: |\n  ---\n  x"), ["a: |\n  ---\n  x\n"]);
    }

    #[test]
    fn a_separator_with_content_is_refused() {
        let error = split(b"a: 1\n--- b: 2\n").expect_err("content behind the separator");
        let text = "error reading yaml document: invalid Yaml document separator: b: 2";
        assert_eq!(error.to_string(), text);
    }
}
