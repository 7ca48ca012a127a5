//! From the text of a schema to one that can be applied, or to what Helm says of a schema that cannot be used.
//!
//! Other files do not exist for a schema, and addresses are asked only through its [`Elsewhere`].

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::LazyLock;

use formats::{go, json};
use serde_json::Value;

use super::draft::Draft;
use super::glance;
use super::library::{Library, Schema, draft_of, metaschema};
use super::source::Elsewhere;
use super::walk::{Formats, Steps, apply};
use crate::functions;

/// What Helm calls every schema.
const URL: &str = "file:///values.schema.json";

/// Bytes of a schema: ten times the largest public one.
const MAX_BYTES: usize = 4 << 20;

/// How many states its patterns may have together: they are compiled whether they are used or not.
const MAX_STATES: u64 = 500_000;

/// Keywords that lead to another schema, since which draft.
const REFERENCES: [(&str, Draft); 3] =
    [("$ref", Draft::Four), ("$recursiveRef", Draft::Y2019), ("$dynamicRef", Draft::Y2020)];

/// A schema with everything it refers to.
pub(super) struct Compiled<'s> {
    pub(super) library: Library<'s>,
    /// What references lead to, by the address of the schema they stand in and their keyword.
    references: BTreeMap<(usize, &'static str), Schema<'s>>,
    /// How many states the patterns of all documents have, if somebody counts.
    states: u64,
}

impl<'s> Compiled<'s> {
    /// What a keyword of a schema refers to.
    pub(super) fn reference(&self, schema: &Schema<'s>, keyword: &'static str) -> Option<Schema<'s>> {
        self.references.get(&(address(schema), keyword)).copied()
    }

    /// Follows all references from the root of `library`.
    fn link(library: Library<'s>, states: u64) -> Result<Self, String> {
        let mut compiled = Self { library, references: BTreeMap::new(), states };
        let mut seen = HashSet::new();
        let mut open = VecDeque::from([compiled.library.root()]);
        while let Some(schema) = open.pop_front() {
            if seen.insert(address(&schema)) {
                compiled.link_one(&schema, &mut open)?;
            }
        }
        Ok(compiled)
    }

    fn link_one(&mut self, schema: &Schema<'s>, open: &mut VecDeque<Schema<'s>>) -> Result<(), String> {
        let draft = self.library.draft(schema);
        for (keyword, since) in REFERENCES {
            let Some(reference) = schema.value.get(keyword).and_then(Value::as_str).filter(|_| since <= draft) else {
                continue;
            };
            let target = self.library.resolve(schema, reference).map_err(|error| error.to_string())?;
            self.check_fetched()?;
            self.references.insert((address(schema), keyword), target);
            open.push_back(target);
            if draft.has_lone_references() {
                return Ok(());
            }
        }
        self.check_patterns(schema)?;
        let has_first_items = schema.value.get("items").is_some_and(Value::is_array);
        draft.visit_subschemas(schema.value, |step, value| {
            let counts = match step.keyword {
                // Only where something refers to them.
                "definitions" | "$defs" => false,
                "additionalItems" => has_first_items,
                _ => true,
            };
            if counts {
                open.push_back(self.library.child(schema, value));
            }
        });
        Ok(())
    }

    /// Looks at documents from elsewhere as at the first one.
    fn check_fetched(&mut self) -> Result<(), String> {
        while let Some((url, schema)) = self.library.take_fetched() {
            let url = url.to_owned();
            self.states = self.states.saturating_add(pattern_states(schema.value));
            if self.states > MAX_STATES {
                return Err(too_many_states());
            }
            check_against_metaschema(&url, schema.value, self.library.draft(&schema))?;
        }
        Ok(())
    }

    fn check_patterns(&self, schema: &Schema<'s>) -> Result<(), String> {
        let entries = schema.value.get("patternProperties").and_then(Value::as_object);
        let keys =
            entries.into_iter().flat_map(|entries| entries.keys().map(|key| ("patternProperties", key.as_str())));
        let own = schema.value.get("pattern").and_then(Value::as_str).map(|pattern| ("pattern", pattern));
        for (keyword, pattern) in keys.chain(own) {
            if let Some(reason) = functions::pattern_error(pattern) {
                let (pattern, place) = (go::quote(pattern), format!("{}/{keyword}", self.library.location(schema)));
                return Err(format!("invalid regex {pattern} at {}: {reason}", go::quote(&place)));
            }
        }
        Ok(())
    }
}

fn address(schema: &Schema<'_>) -> usize {
    std::ptr::from_ref(schema.value).addr()
}

/// Reads a schema's text.
pub(super) fn read(text: &[u8]) -> Result<Value, String> {
    if text.len() > MAX_BYTES {
        return Err(format!("the schema is longer than {MAX_BYTES} bytes"));
    }
    serde_json::from_slice(text).map_err(|error| syntax_error(text, &error))
}

/// About how many states the patterns in a schema have, wherever they are.
fn pattern_states(schema: &Value) -> u64 {
    match schema {
        Value::Array(items) => items.iter().map(pattern_states).fold(0, u64::saturating_add),
        Value::Object(entries) => {
            let states = entries.iter().map(|(key, value)| match (key.as_str(), value) {
                ("pattern", Value::String(pattern)) => functions::pattern_states(pattern),
                ("patternProperties", Value::Object(patterns)) => {
                    let own = patterns.keys().map(|pattern| functions::pattern_states(pattern));
                    own.fold(pattern_states(value), u64::saturating_add)
                }
                _ => pattern_states(value),
            });
            states.fold(0, u64::saturating_add)
        }
        _ => 0,
    }
}

fn too_many_states() -> String {
    format!("the patterns of the schema have more than {MAX_STATES} states")
}

/// The schema ready to be applied, or what is wrong with it. What lies elsewhere comes from there.
pub(super) fn compile<'s>(schema: &'s Value, elsewhere: &'s Elsewhere<'s>) -> Result<Compiled<'s>, String> {
    let states = pattern_states(schema);
    if states > MAX_STATES {
        return Err(too_many_states());
    }
    let draft = draft_of(schema, Some(elsewhere)).map_err(|error| error.to_string())?;
    let library = Library::new(URL, (schema, draft), Some(elsewhere));
    if let Some(error) = library.duplicate() {
        return Err(error.to_owned());
    }
    check_against_metaschema(URL, schema, draft)?;
    Compiled::link(library, states)
}

/// Whether the document at `url` is a schema of its draft.
fn check_against_metaschema(url: &str, schema: &Value, draft: Draft) -> Result<(), String> {
    static COMPILED: LazyLock<BTreeMap<Draft, Compiled<'static>>> = LazyLock::new(|| {
        let compiled = Draft::ALL.into_iter().filter_map(|draft| {
            let (root, _) = metaschema(draft.url())?;
            Some((draft, Compiled::link(Library::new(draft.url(), (root, draft), None), 0).ok()?))
        });
        compiled.collect()
    });
    if glance::is_plain(schema, draft) {
        return Ok(());
    }
    let Some(compiled) = COMPILED.get(&draft) else { return Ok(()) };
    match apply(compiled, schema, (Formats::Checked, Steps::default())) {
        Ok(()) => Ok(()),
        Err(complaints) => {
            let report = complaints.to_string();
            let (place, metaschema) = (go::quote(&format!("{url}#")), draft.url());
            let head = format!("{place} is not valid against metaschema: jsonschema validation failed with");
            Err(format!("{head} '{metaschema}#'\n{report}"))
        }
    }
}

/// Go's words for a text that is no JSON: its decoder reads one value and looks at what follows.
fn syntax_error(text: &[u8], error: &serde_json::Error) -> String {
    if text.trim_ascii().is_empty() {
        return "EOF".to_owned();
    }
    match json::parse_prefix(text) {
        Ok(_) => "invalid character after top-level value".to_owned(),
        Err(json::Error::UnexpectedEnd) => "unexpected EOF".to_owned(),
        Err(json::Error::NumberRange { .. }) => error.to_string(),
        Err(other) => other.to_string(),
    }
}
