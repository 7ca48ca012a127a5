//! Values that must not be published, searched for in what is about to be. Pure.

use std::borrow::Cow;
use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::object::{self, Source};
use super::{Error, Object};

/// A shorter value is found in any text, and is no secret worth the name.
const SHORTEST: usize = 6;

/// Stands where a value stood.
const MASK: &str = "(secret left out)";

/// The values of a release that come from Secrets.
///
/// Words of the API server, of webhooks and of Helm quote values: [`SecretValues::mask`] such a text before it becomes
/// a condition, an Event or a log line. Values that a person wrote into the open do not belong in here: a message about
/// `image: "ngnix"` is worth nothing without the word.
#[derive(Clone, Default)]
pub struct SecretValues {
    /// Longest first: one value may be part of another.
    texts: Vec<String>,
}

impl SecretValues {
    /// The strings and numbers in `values`, at any depth, that have at least six characters. Of a text of several
    /// lines each line counts by itself, too.
    pub fn of<'a>(values: impl IntoIterator<Item = &'a Value>) -> Self {
        let mut texts = BTreeSet::new();
        let mut pending: Vec<&Value> = values.into_iter().collect();
        while let Some(value) = pending.pop() {
            match value {
                Value::Array(items) => pending.extend(items),
                Value::Object(map) => pending.extend(map.values()),
                Value::String(text) => add(text, &mut texts),
                Value::Number(number) => add(&number.to_string(), &mut texts),
                Value::Null | Value::Bool(_) => {}
            }
        }
        let mut texts: Vec<_> = texts.into_iter().collect();
        texts.sort_by_key(|text| std::cmp::Reverse(text.len()));
        Self { texts }
    }

    /// What the Secrets among `objects` hold.
    pub fn in_secrets(objects: &[Object]) -> Self {
        let secrets = objects.iter().filter(|object| object.reference().kind == "Secret");
        Self::in_contents(secrets.map(Object::content))
    }

    /// What the Secrets in rendered texts hold. Asks the cluster nothing.
    pub async fn in_texts(sources: &[Source<'_>]) -> Result<Self, Error> {
        let documents = object::parsed(sources).await?;
        Ok(Self::in_contents(object::contents_of(&documents, "Secret")))
    }

    fn in_contents<'a>(secrets: impl Iterator<Item = &'a Map<String, Value>>) -> Self {
        let mut values = Vec::new();
        for content in secrets {
            values.extend(content.get("stringData").cloned());
            let data = content.get("data").and_then(Value::as_object).into_iter().flat_map(serde_json::Map::values);
            let decoded = data.filter_map(|encoded| STANDARD.decode(encoded.as_str()?).ok());
            values.extend(decoded.filter_map(|bytes| Some(Value::String(String::from_utf8(bytes).ok()?))));
        }
        Self::of(&values)
    }

    /// `text` without these values: neither as they are, nor quoted, nor in base64.
    pub fn mask<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut masked = Cow::Borrowed(text);
        for secret in &self.texts {
            if masked.contains(secret.as_str()) {
                masked = masked.replace(secret.as_str(), MASK).into();
            }
        }
        masked
    }
}

/// Not the values: they are secret.
impl std::fmt::Debug for SecretValues {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecretValues").field("count", &self.texts.len()).finish()
    }
}

fn add(text: &str, texts: &mut BTreeSet<String>) {
    let parts = std::iter::once(text).chain(text.lines()).map(str::trim);
    for part in parts.filter(|part| part.chars().count() >= SHORTEST) {
        let quoted = Value::from(part).to_string();
        texts.extend([part.to_owned(), quoted.trim_matches('"').to_owned(), STANDARD.encode(part)]);
    }
    if text.chars().count() >= SHORTEST {
        texts.insert(STANDARD.encode(text));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{MASK, SecretValues};

    #[test]
    fn known_values_are_found_in_every_form_and_nothing_else_is_changed() {
        let values = json!({
            "password": "s3cr3t\"word", "pin": 31_337_424, "short": "abc", "on": true,
            "list": [{ "key": "-----BEGIN KEY-----\nMIIEvQ\n" }, "s3cr3t\"word-and-more"],
        });
        let secrets = SecretValues::of([&values]);
        let cases = [
            ("got s3cr3t\"word.", format!("got {MASK}.")),
            (r#"Invalid value: "s3cr3t\"word""#, format!(r#"Invalid value: "{MASK}""#)),
            ("token s3cr3t\"word-and-more", format!("token {MASK}")),
            ("pin 31337424", format!("pin {MASK}")),
            ("the line MIIEvQ", format!("the line {MASK}")),
            ("data: czNjcjN0IndvcmQ=", format!("data: {MASK}")),
            ("abc is true", "abc is true".to_owned()),
        ];
        for (text, expected) in cases {
            assert_eq!(secrets.mask(text), expected, "{text}");
        }
        let debug = format!("{secrets:?}");
        assert!(!debug.contains("s3cr3t"), "{debug}");
    }
}
