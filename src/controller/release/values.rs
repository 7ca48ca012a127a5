//! The values of a release, put together from what it refers to and what it says itself. Pure.
//!
//! Helm's order: first what is merged (`-f`), the object's own `values` last; then what is set at a path (`--set`,
//! `--set-literal`), in order.

use std::fmt;

use gotmpl::Map as TypedMap;
use helm::{strvals, values as given};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::api::{Reason, ValuesKind, ValuesReference};
use crate::controller::error::{ReconcileError, chain};

/// What a reference led to: the content of its key; none where it is optional, and there is none.
pub(crate) struct Referenced {
    /// The reference.
    pub(crate) reference: ValuesReference,
    /// The content.
    pub(crate) content: Option<Vec<u8>>,
}

/// One value that is set at a path, in the words of `--set`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    /// The path.
    pub(crate) path: String,
    text: String,
    /// Whether `true`, `null` and integers mean what they say; else it is a text.
    typed: bool,
}

/// Not the text: it may be secret.
impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setting").field("path", &self.path).field("typed", &self.typed).finish_non_exhaustive()
    }
}

/// The values of a release.
#[derive(Default)]
pub(crate) struct Merged {
    /// All of them.
    pub(crate) values: Map<String, Value>,
    /// Those that were set at a path: whole numbers among them are integers to templates, as Helm has it, and no floats as
    /// those in files are.
    pub(crate) settings: Vec<Setting>,
    /// Those that come from Secrets.
    pub(crate) secrets: Vec<Value>,
}

/// The most bytes that references of one release lead to: more than a record of them could hold.
pub(super) const REFERENCED: usize = 4 << 20;

/// How many bytes of references most releases have; of those with more a few have them in memory at the same time.
pub(super) const ORDINARY: usize = 128 << 10;

/// How many bytes `references` lead to.
pub(super) fn size(references: &[Referenced]) -> usize {
    references.iter().filter_map(|it| it.content.as_ref()).map(Vec::len).sum()
}

/// Whether `references`, and one that leads to `more` bytes, lead to more than may be.
pub(super) fn check_size(references: &[Referenced], more: usize) -> Result<(), ReconcileError> {
    let bytes = size(references) + more;
    if bytes > REFERENCED {
        let message = format!(
            "what spec.valuesFrom refers to has {bytes} bytes or more in all, more than {REFERENCED}: the record of a release would not hold \
             it. Leave some of it out"
        );
        return Err(ReconcileError::new(Reason::ValuesInvalid, message));
    }
    Ok(())
}

/// Puts the values together.
pub(crate) fn merge(own: Option<&Value>, references: &[Referenced]) -> Result<Merged, ReconcileError> {
    let mut merged = Merged::default();
    check_size(references, 0)?;
    for (at, Referenced { reference, content }) in references.iter().enumerate() {
        let Some(content) = content else { continue };
        let wrong = |why: &str| Err(invalid(at, reference, why));
        let Ok(text) = str::from_utf8(content) else { return wrong("is no text in UTF-8") };
        let Some(path) = &reference.target_path else {
            match given::parse(text) {
                Ok(values) => {
                    keep_secret(reference, Value::Object(values.clone()), &mut merged.secrets);
                    given::merge(&mut merged.values, values);
                }
                // The parser quotes what it reads.
                Err(_) if reference.kind == ValuesKind::Secret => return wrong("is no YAML of a map of values"),
                Err(error) => return wrong(&format!("is no YAML of a map of values: {}", chain(&error))),
            }
            continue;
        };
        let setting = setting(path, text, reference.literal);
        let alone = TypedMap::any([].into());
        if parts(&setting.text) || set(std::slice::from_ref(&setting), &alone).is_err() {
            return wrong("cannot be set at its targetPath as it is: set literal: true there to set it as a text");
        }
        if given::to_values(&alone).is_empty() {
            // As --set does it, without a word.
            return wrong("has a targetPath that names no value");
        }
        // The content, and what becomes of it without its quotes.
        keep_secret(reference, Value::from(text), &mut merged.secrets);
        keep_secret(reference, Value::Object(given::to_values(&alone)), &mut merged.secrets);
        merged.settings.push(setting);
    }
    given::merge(&mut merged.values, own_values(own)?);
    if !merged.settings.is_empty() {
        let typed = given::to_map(&merged.values);
        set(&merged.settings, &typed).map_err(|path| {
            let named = references.iter().position(|it| it.reference.target_path.as_deref() == Some(path));
            let why = "cannot be set at its targetPath: another value stands in the way";
            let named = named.map(|at| invalid(at, &references[at].reference, why));
            named.unwrap_or_else(|| ReconcileError::new(Reason::ValuesInvalid, format!("{path} cannot be set")))
        })?;
        merged.values = given::to_values(&typed);
    }
    given::check_levels(&merged.values)
        .map_err(|error| ReconcileError::new(Reason::ValuesInvalid, format!("the values: {}", chain(&error))))?;
    Ok(merged)
}

/// What `config`, the values of an earlier revision, has where these values from Secrets have something: what they were then.
pub(crate) fn former<'c>(secrets: &[Value], config: &'c Map<String, Value>) -> Vec<&'c Value> {
    fn collect<'c>(secret: &Map<String, Value>, config: &'c Map<String, Value>, found: &mut Vec<&'c Value>) {
        for (key, value) in secret {
            match (value, config.get(key)) {
                (Value::Object(secret), Some(Value::Object(config))) => collect(secret, config, found),
                (_, Some(was)) => found.push(was),
                (_, None) => {}
            }
        }
    }
    let mut found = Vec::new();
    secrets.iter().filter_map(Value::as_object).for_each(|secret| collect(secret, config, &mut found));
    found
}

/// Sets values at their paths; the first path where that cannot be is returned.
pub(crate) fn set<'a>(settings: &'a [Setting], into: &TypedMap) -> Result<(), &'a str> {
    for Setting { path, text, typed } in settings {
        let line = format!("{path}={text}");
        let set = if *typed { strvals::parse_into(&line, into) } else { strvals::parse_string_into(&line, into) };
        set.map_err(|_| path.as_str())?;
    }
    Ok(())
}

fn setting(path: &str, text: &str, literal: bool) -> Setting {
    let quoted = ['"', '\''].into_iter().find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote));
    let (text, typed) = match quoted {
        // Helm's own reading of a literal does not know dots that are escaped in the path.
        _ if literal => (escaped(text), false),
        Some(text) => (text.to_owned(), false),
        None => (text.to_owned(), true),
    };
    Setting { path: path.to_owned(), text, typed }
}

/// A text in which no character means anything to `--set`.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '\\' | ',' | '{' | '}' | '[' | ']' | '=' | '.') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

/// Whether a text would set more than one value: a comma parts it that is neither escaped nor within braces.
fn parts(text: &str) -> bool {
    let (mut depth, mut is_escaped) = (0_usize, false);
    for character in text.chars() {
        match character {
            _ if is_escaped => {
                is_escaped = false;
                continue;
            }
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => return true,
            _ => {}
        }
        is_escaped = character == '\\';
    }
    false
}

fn keep_secret(reference: &ValuesReference, value: Value, secrets: &mut Vec<Value>) {
    if reference.kind == ValuesKind::Secret {
        secrets.push(value);
    }
}

fn own_values(values: Option<&Value>) -> Result<Map<String, Value>, ReconcileError> {
    match values {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(map)) => Ok(map.clone()),
        Some(Value::String(text)) => given::parse(text)
            .map_err(|error| ReconcileError::new(Reason::ValuesInvalid, format!("spec.values: {}", chain(&error)))),
        Some(_) => {
            Err(ReconcileError::new(Reason::ValuesInvalid, "spec.values is neither an object nor a YAML text of one"))
        }
    }
}

/// What each reference led to, in words for a change of it, with a few digits of its digest.
pub(crate) fn sources(references: &[Referenced]) -> Vec<(String, String)> {
    let source = |Referenced { reference, content }: &Referenced| {
        let (kind, name) = (reference.kind.as_str(), reference.name.as_deref().unwrap_or_default());
        let digits = content.as_deref().map(few).unwrap_or_default();
        let changed = match &reference.url {
            Some(url) => format!("what {url} holds changed"),
            None => format!("the key {:?} of {kind} {name} changed", key(reference)),
        };
        (changed, digits)
    };
    references.iter().map(source).collect()
}

/// A few digits of the digest of something, enough to tell that it changed.
pub(crate) fn few(content: &[u8]) -> String {
    Sha256::digest(content).iter().take(4).fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// The key that a reference names.
pub(crate) fn key(reference: &ValuesReference) -> &str {
    reference.values_key.as_deref().unwrap_or("values.yaml")
}

fn invalid(at: usize, reference: &ValuesReference, why: &str) -> ReconcileError {
    let (kind, name) = (reference.kind.as_str(), reference.name.as_deref().unwrap_or_default());
    let message = match (&reference.url, &reference.values_key) {
        (Some(url), Some(file)) => format!("spec.valuesFrom[{at}]: the file {file:?} of {url} {why}"),
        (Some(url), None) => format!("spec.valuesFrom[{at}]: what {url} holds {why}"),
        (None, _) => format!("spec.valuesFrom[{at}]: the key {:?} of {kind} {name} {why}", key(reference)),
    };
    ReconcileError::new(Reason::ValuesInvalid, message)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Merged, Referenced, merge};
    use crate::api::{Reason, ValuesKind};

    /// A reference from words `ConfigMap` or `Secret`, then `@path`, `=path` for a literal, or nothing.
    fn from(words: &str, content: Option<&str>) -> Referenced {
        let (kind, path) = words.find(['@', '=']).map_or((words, None), |at| (&words[..at], Some(&words[at + 1..])));
        let reference = json!({
            "kind": kind, "name": "shared", "targetPath": path, "literal": words.contains('='),
        });
        let reference = serde_json::from_value(reference).expect("a reference");
        Referenced { reference, content: content.map(|text| text.as_bytes().to_vec()) }
    }

    fn merged(own: &Value, references: &[Referenced]) -> Merged {
        merge(Some(own), references).unwrap_or_else(|error| panic!("{}", error.message))
    }

    #[test]
    fn values_are_merged_in_helms_order() {
        let cases = [
            (vec![from("ConfigMap", Some("a: 1\nb: {c: 1, d: 1}"))], json!({}), json!({"a": 1, "b": {"c": 1, "d": 1}})),
            // Later ones win, the object's own last.
            (
                vec![from("ConfigMap", Some("b: {c: 1, d: 1, e: 1}")), from("Secret", Some("b: {c: 2, d: 2}"))],
                json!({"b": {"c": 3}}),
                json!({"b": {"c": 3, "d": 2, "e": 1}}),
            ),
            // A null is kept: it takes the chart's default away.
            (vec![from("ConfigMap", Some("a: 1"))], json!({"a": null}), json!({"a": null})),
            // What is set at a path wins over everything, wherever its reference stands.
            (
                vec![from("ConfigMap@b.c", Some("7")), from("ConfigMap", Some("b: {c: 1, d: 1}"))],
                json!({"b": {"c": 3}}),
                json!({"b": {"c": 7, "d": 1}}),
            ),
            (vec![from("ConfigMap@list[1].x", Some("on"))], json!({}), json!({"list": [null, {"x": "on"}]})),
            (vec![from("ConfigMap@a", Some("true"))], json!({}), json!({"a": true})),
            (vec![from("ConfigMap@a", Some("'true'"))], json!({}), json!({"a": "true"})),
            (vec![from("ConfigMap@a", Some("{x,y}"))], json!({}), json!({"a": ["x", "y"]})),
            (vec![from("ConfigMap=a", Some("{x,y}=\\z\n"))], json!({}), json!({"a": "{x,y}=\\z\n"})),
            (vec![from("ConfigMap=a.b\\.c/d", Some("x,y"))], json!({}), json!({"a": {"b.c/d": "x,y"}})),
            (vec![from("ConfigMap@a", Some("x\\,y"))], json!({}), json!({"a": "x,y"})),
            // An optional one that is not there.
            (vec![from("ConfigMap", None)], json!({"a": 1}), json!({"a": 1})),
            (vec![from("ConfigMap", Some(""))], json!({}), json!({})),
        ];
        for (references, own, expected) in cases {
            assert_eq!(Value::Object(merged(&own, &references).values), expected, "{own}");
        }
    }

    #[test]
    fn a_null_is_a_value_to_set() {
        let merged = merged(&json!({ "a": 1, "b": 2 }), &[from("ConfigMap@a", Some("null"))]);
        assert_eq!(json!(merged.values)["b"], json!(2));
    }

    #[test]
    fn what_cannot_be_read_is_named_and_nothing_secret_quoted() {
        for (reference, words) in [
            (
                from("ConfigMap", Some("a: [")),
                "spec.valuesFrom[0]: the key \"values.yaml\" of ConfigMap shared is no YAML",
            ),
            (from("Secret", Some("hunter2-is-the-word")), "Secret shared is no YAML of a map of values"),
            (from("Secret@a[x]", Some("hunter2-is-the-word")), "cannot be set at its targetPath"),
            (from("Secret@a[x", Some("hunter2-is-the-word")), "has a targetPath that names no value"),
            (from("Secret@a.b[", Some("hunter2-is-the-word")), "has a targetPath that names no value"),
            (from("Secret@a", Some("hunter2,image.tag=x")), "set literal: true"),
        ] {
            let error = merge(None, &[reference]).err().expect(words);
            assert_eq!(error.reason, Reason::ValuesInvalid, "{}", error.message);
            assert!(error.message.contains(words) && !error.message.contains("hunter2"), "{}", error.message);
        }
        let secret = merged(&json!({"open": "word"}), &[from("Secret", Some("password: hunter2"))]);
        assert_eq!(secret.secrets, [json!({"password": "hunter2"})]);
        let quoted = merged(&json!({}), &[from("Secret@pin", Some("'12345678'"))]);
        assert_eq!(quoted.secrets, [json!("'12345678'"), json!({"pin": "12345678"})], "what is set is secret, too");
        assert!(!format!("{:?}", super::setting("a", "hunter2", false)).contains("hunter2"));
    }

    #[test]
    fn what_came_from_secrets_before_is_found_by_its_place() {
        let config = json!({ "db": { "password": "old", "name": "shop" }, "token": "before", "port": 1 });
        let secrets = [json!({ "db": { "password": "new" } }), json!("new"), json!({ "token": "now", "gone": 1 })];
        let found = super::former(&secrets, config.as_object().expect("a map"));
        assert_eq!(found, [&json!("old"), &json!("before")]);
    }

    #[test]
    fn the_kinds_are_named_as_kubernetes_names_them() {
        for kind in [ValuesKind::ConfigMap, ValuesKind::Secret] {
            assert_eq!(json!(kind), json!(kind.as_str()));
        }
    }
}
