//! Many broken rules as one text, nested as the schema applies them.
//!
//! The validator reports broken rules one by one, with the path of keywords that led to each. Go's library, whose text
//! Helm prints, reports a tree: rules that one schema breaks on one value stand together. The tree is put together
//! again here.

use std::collections::BTreeMap;

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind as Kind;
use serde_json::Value;

use super::words::{additional, missing, quote, words};

/// What is wrong with `values`, one line per rule.
pub(super) fn report(errors: &[ValidationError<'static>], values: &Value) -> String {
    let mut lines = Vec::new();
    match Frame::of(errors, 0).resolve(String::new(), values) {
        Some(Complaint { grouped: true, causes, .. }) => causes.iter().for_each(|c| c.print(0, &mut lines)),
        Some(single) => single.print(0, &mut lines),
        None => {}
    }
    lines.join("\n")
}

/// A rule that is broken, with what is broken below it.
struct Complaint {
    /// JSON pointer of the value.
    at: String,
    words: String,
    /// Whether it only holds several together.
    grouped: bool,
    causes: Vec<Self>,
}

impl Complaint {
    fn print(&self, depth: usize, lines: &mut Vec<String>) {
        let Self { at, words, causes, .. } = self;
        lines.push(format!("{}- at {}: {words}", "  ".repeat(depth), quote(at)));
        for cause in causes {
            cause.print(depth + 1, lines);
        }
    }
}

/// One schema applied to one value.
#[derive(Default)]
struct Frame<'e> {
    broken: Vec<&'e ValidationError<'static>>,
    /// Schemas that this one applies, by the keyword and, for parts of the value, which part.
    applied: BTreeMap<(String, Option<String>), Self>,
}

impl<'e> Frame<'e> {
    /// The tree of some errors. The first `depth` keywords led to the schema they all belong to.
    fn of(errors: &'e [ValidationError<'static>], depth: usize) -> Self {
        let mut root = Self::default();
        for error in errors {
            let keywords = segments(error.evaluation_path().as_str());
            let mut parts = Vec::new();
            let is_false = matches!(error.kind(), Kind::FalseSchema) && !forbids_properties(error);
            let steps = steps(&keywords, is_false);
            let value_steps = steps.iter().filter(|step| step.into_part).count();
            let location = segments(error.instance_path().as_str());
            parts.extend(location.iter().skip(location.len().saturating_sub(value_steps)).cloned());
            let mut parts = parts.into_iter();
            let mut frame = &mut root;
            for step in steps {
                let part = if step.into_part { parts.next() } else { None };
                if step.end > depth {
                    frame = frame.applied.entry((step.name, part)).or_default();
                }
            }
            frame.broken.push(error);
        }
        root
    }

    /// What the schema says about the value at `at`.
    fn resolve(self, at: String, values: &Value) -> Option<Complaint> {
        let mut causes = Vec::new();
        let (decisive, others): (Vec<_>, Vec<_>) = self.broken.into_iter().partition(|error| is_decisive(error));
        if let Some(first) = decisive.first() {
            // A value of the wrong type is not looked at any further.
            return Some(leaf(first, values));
        }
        causes.extend(own_complaints(&others, &at, values));
        let mut all_of = Vec::new();
        for ((keyword, part), frame) in self.applied {
            let at =
                part.map_or_else(|| at.clone(), |part| format!("{at}/{}", part.replace('~', "~0").replace('/', "~1")));
            let complaint = frame.resolve(at, values);
            if keyword.starts_with("allOf/") { all_of.extend(complaint) } else { causes.extend(complaint) }
        }
        if !all_of.is_empty() {
            let words = "'allOf' failed".to_owned();
            causes.push(Complaint { at: at.clone(), words, grouped: false, causes: all_of });
        }
        if causes.len() < 2 {
            return causes.pop();
        }
        Some(Complaint { at, words: "validation failed".to_owned(), grouped: true, causes })
    }
}

/// What the rules of one schema say about the value itself, in Go's order; some rules speak once for many errors.
fn own_complaints(broken: &[&ValidationError<'static>], at: &str, values: &Value) -> Vec<Complaint> {
    let plain = |words: String| Complaint { at: at.to_owned(), words, grouped: false, causes: Vec::new() };
    let mut complaints: Vec<(usize, Complaint)> = Vec::new();
    let required: Vec<_> = broken.iter().filter_map(|error| missing_property(error)).collect();
    if !required.is_empty() {
        complaints.push((rank("required"), plain(missing(&required))));
    }
    if broken.iter().any(|error| forbids_properties(error)) {
        let properties = values.pointer(at).and_then(Value::as_object);
        let unexpected: Vec<_> = properties.into_iter().flat_map(|properties| properties.keys()).collect();
        complaints.push((rank("additionalProperties"), plain(additional(&unexpected))));
    }
    let others = broken.iter().filter(|error| missing_property(error).is_none() && !forbids_properties(error));
    complaints.extend(others.map(|error| (rank(error.kind().keyword()), leaf(error, values))));
    complaints.sort_by_key(|(rank, _)| *rank);
    complaints.into_iter().map(|(_, complaint)| complaint).collect()
}

/// Where a rule stands in the order in which Go's library looks at them.
fn rank(keyword: &str) -> usize {
    const ORDER: [&str; 12] = [
        "minProperties",
        "maxProperties",
        "required",
        "additionalProperties",
        "minItems",
        "maxItems",
        "uniqueItems",
        "minLength",
        "maxLength",
        "pattern",
        "minimum",
        "maximum",
    ];
    ORDER.iter().position(|known| *known == keyword).unwrap_or(ORDER.len())
}

/// Whether the error means that the schema allows no properties at all; it does not name those that are there.
fn forbids_properties(error: &ValidationError<'_>) -> bool {
    matches!(error.kind(), Kind::FalseSchema) && error.evaluation_path().as_str().ends_with("/additionalProperties")
}

/// Whether a rule, once broken, hides all others of its schema.
fn is_decisive(error: &ValidationError<'_>) -> bool {
    matches!(
        error.kind(),
        Kind::Type { .. } | Kind::Constant { .. } | Kind::Enum { .. } | Kind::Format { .. } | Kind::FalseSchema
    ) && !forbids_properties(error)
}

fn missing_property<'e>(error: &'e ValidationError<'_>) -> Option<&'e str> {
    match error.kind() {
        Kind::Required { property } => property.as_str(),
        _ => None,
    }
}

fn leaf(error: &ValidationError<'static>, values: &Value) -> Complaint {
    let at = error.instance_path().to_string();
    let words = words(error.kind(), error.instance());
    let alternatives: &[Vec<_>] = match error.kind() {
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } => context,
        _ => &[],
    };
    let depth = segments(error.evaluation_path().as_str()).len() + 1;
    let mut causes: Vec<_> =
        alternatives.iter().filter_map(|errors| Frame::of(errors, depth).resolve(at.clone(), values)).collect();
    if let Kind::PropertyNames { error } = error.kind() {
        causes.push(Complaint { at: String::new(), ..leaf(error, values) });
    }
    Complaint { causes, at, words, grouped: false }
}

/// One application of a schema within another.
struct Step {
    name: String,
    /// Whether it applies to a part of the value.
    into_part: bool,
    /// How many keywords of the path it ends at.
    end: usize,
}

/// Splits a path of keywords into applications of schemas; the last keyword is the rule itself.
fn steps(keywords: &[String], ends_in_schema: bool) -> Vec<Step> {
    let rules = usize::from(!ends_in_schema);
    let mut steps = Vec::new();
    let mut index = 0;
    while index + rules < keywords.len() {
        let keyword = keywords[index].as_str();
        let is_index = keywords.get(index + 1).is_some_and(|next| next.bytes().all(|b| b.is_ascii_digit()));
        let (length, into_part) = match keyword {
            "properties" | "patternProperties" | "prefixItems" => (2, true),
            "items" => (if is_index { 2 } else { 1 }, true),
            "additionalProperties" | "additionalItems" | "unevaluatedProperties" | "unevaluatedItems" | "contains" => {
                (1, true)
            }
            "allOf" | "anyOf" | "oneOf" | "dependentSchemas" | "dependencies" => (2, false),
            _ => (1, false),
        };
        let end = (index + length).min(keywords.len());
        steps.push(Step { name: keywords[index..end].join("/"), into_part, end });
        index = end;
    }
    steps
}

/// The unescaped elements of a JSON pointer.
fn segments(pointer: &str) -> Vec<String> {
    pointer.split('/').skip(1).map(|segment| segment.replace("~1", "/").replace("~0", "~")).collect()
}
