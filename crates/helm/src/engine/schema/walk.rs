//! Applying a schema to a value, with the rules in the order of Go's library.

use std::cell::Cell;
use std::collections::BTreeSet;

use serde_json::Value;

use super::compile::Compiled;
use super::complaint::{Complaint, Complaints, Kind, Place};
use super::draft::Draft;
use super::library::Schema;
use super::step::{Key, Step};
use super::{format, parts, words};
use crate::functions;

/// Whether `format` is looked at in every draft.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Formats {
    Checked,
    AsTheDraftSays,
}

/// How many schemas may be applied within each other to the same value: each takes stack.
const MAX_SCOPES: usize = 500;

/// How many states of patterns are gone through for one step.
const STATES: u64 = 256;

/// What compiling a pattern costs in steps for each state.
const COMPILATION: u64 = 2;

/// How often schemas may be applied: references can multiply that without end.
const MAX_STEPS: u32 = 2_000_000;

/// Applications of schemas that are left.
pub(super) struct Steps(Cell<u32>);

impl Default for Steps {
    fn default() -> Self {
        Self(Cell::new(MAX_STEPS))
    }
}

/// Checks a document by the schema at the root of `compiled`.
pub(super) fn apply(compiled: &Compiled<'_>, document: &Value, limits: (Formats, Steps)) -> Result<(), Complaints> {
    let (formats, steps) = limits;
    let walk = Walk { compiled, formats, steps };
    let outcome = walk.check_alone(compiled.library.root(), document);
    match outcome {
        // What was found until then is not all, and a `not` would make the contrary of it.
        _ if walk.steps.0.get() == 0 => {
            let kind = Kind::Rule(too_much_work());
            Err(Complaints(vec![Complaint { kind, ..Complaint::default() }]))
        }
        Ok(()) => Ok(()),
        Err(complaint) => Err(Complaints(complaint.ungrouped())),
    }
}

fn too_much_work() -> String {
    format!("the schema takes more than {MAX_STEPS} steps to check")
}

struct Walk<'w, 's> {
    compiled: &'w Compiled<'s>,
    formats: Formats,
    steps: Steps,
}

/// The schemas that led to the one that is applied.
#[derive(Clone, Copy)]
struct Scope<'p, 's> {
    schema: Schema<'s>,
    /// How deep the value is that it is applied to.
    depth: usize,
    /// The scope above, and the way from its schema to this one.
    above: Option<(&'p Self, Step<'p>)>,
}

impl Scope<'_, '_> {
    fn keywords(&self) -> String {
        self.above.map_or_else(String::new, |(above, step)| format!("{}{step}", above.keywords()))
    }
}

/// What no schema has looked at yet, of an object or an array, if somebody wants to know.
#[derive(Debug, Default, Clone)]
pub(super) struct Unevaluated<'v> {
    pub(super) properties: BTreeSet<&'v str>,
    pub(super) items: BTreeSet<usize>,
}

impl<'v> Unevaluated<'v> {
    fn of(value: &'v Value, schema: &Value, wanted: bool) -> Self {
        let mut all = Self::default();
        match value {
            Value::Object(entries) if wanted || schema.get("unevaluatedProperties").is_some() => {
                all.properties.extend(entries.keys().map(String::as_str));
            }
            Value::Array(items) if wanted || schema.get("unevaluatedItems").is_some() => {
                all.items.extend(0..items.len());
            }
            _ => {}
        }
        all
    }

    fn is_empty(&self) -> bool {
        self.properties.is_empty() && self.items.is_empty()
    }

    fn keep_common(&mut self, other: &Self) {
        self.properties.retain(|property| other.properties.contains(property));
        self.items.retain(|item| other.items.contains(item));
    }
}

type Outcome<'v> = Result<Unevaluated<'v>, Complaint>;

impl<'s> Walk<'_, 's> {
    /// Applies a schema to a value that stands for itself.
    fn check_alone(&self, schema: Schema<'s>, value: &Value) -> Result<(), Complaint> {
        let scope = Scope { schema, depth: 0, above: None };
        let unevaluated = Unevaluated::of(value, schema.value, false);
        Application::new(self, (scope, value), Place::Root, (unevaluated, false)).check().map(drop)
    }
}

/// A bit for a keyword, which it may share with others: a schema is asked for fifty keywords and has three.
#[inline]
fn mark(keyword: &str) -> u64 {
    let ends = keyword.bytes().next().into_iter().chain(keyword.bytes().last());
    1 << (ends.fold(keyword.len(), |sum, byte| 5 * sum + usize::from(byte)) % 64)
}

/// One application of a schema to a value.
pub(super) struct Application<'w, 's, 'v> {
    walk: &'w Walk<'w, 's>,
    scope: Scope<'w, 's>,
    pub(super) value: &'v Value,
    place: Place<'w>,
    pub(super) unevaluated: Unevaluated<'v>,
    /// Only whether the value is valid matters.
    quiet: bool,
    /// The marks of the keywords that the schema has.
    keywords: u64,
    complaints: Vec<Complaint>,
}

impl<'w, 's, 'v> Application<'w, 's, 'v> {
    fn new(
        walk: &'w Walk<'w, 's>,
        (scope, value): (Scope<'w, 's>, &'v Value),
        place: Place<'w>,
        (unevaluated, quiet): (Unevaluated<'v>, bool),
    ) -> Self {
        let keywords = scope.schema.value.as_object().into_iter().flat_map(serde_json::Map::keys);
        let keywords = keywords.fold(0, |marks, keyword| marks | mark(keyword));
        Self { walk, scope, value, place, unevaluated, quiet, keywords, complaints: Vec::new() }
    }

    /// Whether a text matches a pattern, which costs steps; nothing does when there are none left.
    pub(super) fn matches(&self, pattern: &str, text: &str) -> bool {
        let search = || functions::pattern_weight(pattern).saturating_mul(text.len() as u64) / STATES;
        // Only some patterns are kept, others are compiled each time.
        self.spend(1)
            && self.spend(functions::pattern_states(pattern).saturating_mul(COMPILATION))
            && self.spend(search())
            && functions::pattern_matches(pattern, text)
    }

    /// Whether there are steps left after this work.
    fn spend(&self, work: u64) -> bool {
        let steps = &self.walk.steps.0;
        let left = u64::from(steps.get()).saturating_sub(work);
        steps.set(u32::try_from(left).unwrap_or(u32::MAX));
        left > 0
    }

    pub(super) fn draft(&self) -> Draft {
        self.walk.compiled.library.draft(&self.scope.schema)
    }

    /// The value of a keyword.
    pub(super) fn keyword(&self, name: &str) -> Option<&'s Value> {
        if self.keywords & mark(name) == 0 { None } else { self.scope.schema.value.get(name) }
    }

    /// What a keyword refers to.
    fn reference(&self, keyword: &'static str) -> Option<Schema<'s>> {
        self.keyword(keyword).and_then(|_| self.walk.compiled.reference(&self.scope.schema, keyword))
    }

    /// A keyword's number that is whole.
    pub(super) fn size(&self, name: &str) -> Option<usize> {
        let number = self.keyword(name)?.as_f64().filter(|number| number.fract() == 0.0)?;
        format!("{number:.0}").parse().ok()
    }

    fn complaint(&self, kind: Kind, causes: Vec<Complaint>) -> Complaint {
        if self.quiet {
            return Complaint::default();
        }
        Complaint { at: self.place.pointer(), kind, causes }
    }

    fn rule(&self, words: impl FnOnce() -> String) -> Complaint {
        if self.quiet { Complaint::default() } else { self.complaint(Kind::Rule(words()), Vec::new()) }
    }

    pub(super) fn complain(&mut self, words: impl FnOnce() -> String) {
        let complaint = self.rule(words);
        self.complaints.push(complaint);
    }

    pub(super) fn complain_because(&mut self, causes: Vec<Complaint>, words: impl FnOnce() -> String) {
        let mut complaint = self.rule(words);
        complaint.causes = causes;
        self.complaints.push(complaint);
    }

    /// Whether nothing more can change the verdict.
    pub(super) fn is_decided(&self) -> bool {
        self.quiet && !self.complaints.is_empty()
    }

    fn check(mut self) -> Outcome<'v> {
        match self.scope.schema.value {
            Value::Bool(true) => return Ok(self.unevaluated),
            Value::Bool(false) => return Err(self.rule(|| "false schema".to_owned())),
            _ => {}
        }
        self.check_cycle()?;
        if let Some(words) = self.decisive() {
            return Err(self.rule(|| words));
        }
        if let Some(target) = self.reference("$ref") {
            let outcome = self.follow("$ref", target);
            if self.draft().has_lone_references() {
                return outcome.map(|()| self.unevaluated);
            }
            self.complaints.extend(outcome.err());
        }
        parts::check(&mut self);
        if !self.is_decided() {
            self.check_late_references();
            self.check_combinations();
            self.check_unevaluated();
        }
        match self.complaints.len() {
            0 => Ok(self.unevaluated),
            1 => Err(self.complaints.remove(0)),
            _ => {
                let complaints = std::mem::take(&mut self.complaints);
                Err(self.complaint(Kind::Group, complaints))
            }
        }
    }

    /// A schema that is applied within itself to the same value would go on for ever.
    fn check_cycle(&self) -> Result<(), Complaint> {
        if !self.spend(1) {
            return Err(self.rule(too_much_work));
        }
        let same_value = self.scopes().skip(1).take_while(|scope| scope.depth == self.scope.depth);
        for (applied, scope) in same_value.enumerate() {
            if applied >= MAX_SCOPES {
                return Err(self.rule(|| format!("more than {MAX_SCOPES} schemas lead to each other")));
            }
            if scope.schema.is(&self.scope.schema) {
                return Err(self.rule(|| {
                    let (here, there) = (self.scope.keywords(), scope.keywords());
                    let location = self.walk.compiled.library.location(&scope.schema);
                    format!("both {here} and {there} resolve to {location:?} causing reference cycle")
                }));
            }
        }
        Ok(())
    }

    /// What a rule says after which no other is looked at.
    fn decisive(&self) -> Option<String> {
        let value = self.value;
        if let Some(words) = self.keyword("type").and_then(|types| parts::wrong_type(types, value)) {
            return Some(words);
        }
        let constant = self.keyword("const").filter(|_| self.draft() >= Draft::Six);
        if let Some(constant) = constant.filter(|constant| !parts::equal(constant, value)) {
            return Some(match constant {
                Value::Array(_) | Value::Object(_) => "'const' failed".to_owned(),
                scalar => format!("value must be {}", words::display(scalar)),
            });
        }
        let options = self.keyword("enum").and_then(Value::as_array);
        if let Some(options) = options.filter(|options| !options.iter().any(|option| parts::equal(option, value))) {
            return Some(words::enumeration(options));
        }
        let format = self.keyword("format").and_then(Value::as_str)?;
        if self.walk.formats == Formats::AsTheDraftSays && !self.draft().checks_formats() {
            return None;
        }
        let reason = format::check(format, value.as_str()?).err()?;
        Some(format!("{} is not valid {format}: {reason}", words::display(value)))
    }

    /// Applies what a reference leads to.
    fn follow(&mut self, keyword: &str, target: Schema<'s>) -> Result<(), Complaint> {
        self.within((Step::to(keyword), target), false).map_err(|complaint| {
            let causes = complaint.ungrouped();
            self.complaint(Kind::Reference, causes)
        })
    }

    /// Applies another schema to the same value.
    fn within(&mut self, (step, schema): (Step<'_>, Schema<'s>), quiet: bool) -> Result<(), Complaint> {
        let scope = Scope { schema, depth: self.scope.depth, above: Some((&self.scope, step)) };
        let unevaluated = Unevaluated::of(self.value, schema.value, !self.unevaluated.is_empty());
        let state = (unevaluated, self.quiet || quiet);
        let left = Application::new(self.walk, (scope, self.value), self.place, state).check()?;
        self.unevaluated.keep_common(&left);
        Ok(())
    }

    /// Applies a part of this schema to the same value.
    pub(super) fn part(&mut self, step: Step<'_>, schema: &'s Value, quiet: bool) -> Result<(), Complaint> {
        let schema = self.walk.compiled.library.child(&self.scope.schema, schema);
        self.within((step, schema), quiet)
    }

    /// Applies a part of this schema to a part of the value.
    pub(super) fn below(
        &self,
        (step, schema): (Step<'_>, &'s Value),
        value: &Value,
        key: Key<'_>,
    ) -> Result<(), Complaint> {
        let schema = self.walk.compiled.library.child(&self.scope.schema, schema);
        let scope = Scope { schema, depth: self.scope.depth + 1, above: Some((&self.scope, step)) };
        let unevaluated = Unevaluated::of(value, schema.value, false);
        let place = Place::Below(&self.place, key);
        Application::new(self.walk, (scope, value), place, (unevaluated, self.quiet)).check().map(drop)
    }

    /// As [`Application::below`], and keeps the complaint.
    pub(super) fn judge_below(&mut self, part: (Step<'_>, &'s Value), value: &Value, key: Key<'_>) {
        let complaint = self.below(part, value, key).err();
        self.complaints.extend(complaint);
    }

    /// Applies a part of this schema to the same value and keeps the complaint.
    pub(super) fn judge(&mut self, step: Step<'_>, schema: &'s Value) {
        let complaint = self.part(step, schema, false).err();
        self.complaints.extend(complaint);
    }

    /// Applies a part of this schema to the name of a property.
    pub(super) fn judge_name(&mut self, schema: &'s Value, name: &str) {
        let schema = self.walk.compiled.library.child(&self.scope.schema, schema);
        if let Err(complaint) = self.walk.check_alone(schema, &Value::String(name.to_owned())) {
            self.complain_because(complaint.ungrouped(), || format!("invalid propertyName {}", words::quote(name)));
        }
    }

    fn check_late_references(&mut self) {
        let library = &self.walk.compiled.library;
        let mut targets = Vec::new();
        if let Some(target) = self.reference("$recursiveRef") {
            let is_open = target.value.get("$recursiveAnchor") == Some(&Value::Bool(true));
            let outermost = self.scopes().filter(|scope| is_open && library.is_recursive(&scope.schema)).last();
            targets.push(("$recursiveRef", outermost.map_or(target, |scope| scope.schema)));
        }
        if let Some(target) = self.reference("$dynamicRef") {
            let fragment = self.keyword("$dynamicRef").and_then(Value::as_str).and_then(|text| text.split_once('#'));
            let anchor = fragment.map(|(_, name)| name).unwrap_or_default();
            let is_open = target.value.get("$dynamicAnchor").and_then(Value::as_str) == Some(anchor);
            let anchored = self.scopes().filter(|_| is_open).filter_map(|scope| library.dynamic(&scope.schema, anchor));
            targets.push(("$dynamicRef", anchored.last().unwrap_or(target)));
        }
        for (keyword, target) in targets {
            let complaint = self.follow(keyword, target).err();
            self.complaints.extend(complaint);
        }
    }

    /// This scope and those above it.
    fn scopes(&self) -> impl Iterator<Item = &Scope<'w, 's>> {
        std::iter::successors(Some(&self.scope), |scope| scope.above.map(|(above, _)| above))
    }

    fn check_combinations(&mut self) {
        if let Some(schema) = self.keyword("not")
            && self.part(Step::to("not"), schema, true).is_ok()
        {
            self.complain(|| "'not' failed".to_owned());
        }
        let alternatives = |name: &str| self.keyword(name).and_then(Value::as_array).filter(|list| !list.is_empty());
        let [all, any, one] = ["allOf", "anyOf", "oneOf"].map(alternatives);
        if let Some(schemas) = all {
            self.check_all(schemas);
        }
        if let Some(schemas) = any {
            self.check_any(schemas);
        }
        if let Some(schemas) = one {
            self.check_one(schemas);
        }
        if let Some(condition) = self.keyword("if").filter(|_| self.draft() >= Draft::Seven) {
            let branch = if self.part(Step::to("if"), condition, true).is_ok() { "then" } else { "else" };
            if let Some(schema) = self.keyword(branch) {
                self.judge(Step::to(branch), schema);
            }
        }
    }

    fn check_all(&mut self, schemas: &'s [Value]) {
        let mut causes = Vec::new();
        for (index, schema) in schemas.iter().enumerate() {
            causes.extend(self.part(Step::item("allOf", index), schema, false).err());
            if self.quiet && !causes.is_empty() {
                break;
            }
        }
        if !causes.is_empty() {
            self.complain_because(causes, || "'allOf' failed".to_owned());
        }
    }

    fn check_any(&mut self, schemas: &'s [Value]) {
        let (mut causes, mut matched) = (Vec::new(), false);
        for (index, schema) in schemas.iter().enumerate() {
            match self.part(Step::item("anyOf", index), schema, false) {
                Err(complaint) => causes.push(complaint),
                Ok(()) => matched = true,
            }
            // The others may still look at what nothing has looked at.
            if matched && self.unevaluated.is_empty() {
                break;
            }
        }
        if !matched {
            self.complain_because(causes, || "'anyOf' failed".to_owned());
        }
    }

    fn check_one(&mut self, schemas: &'s [Value]) {
        let (mut causes, mut matched) = (Vec::new(), None);
        for (index, schema) in schemas.iter().enumerate() {
            match (self.part(Step::item("oneOf", index), schema, matched.is_some()), matched) {
                (Err(complaint), None) => causes.push(complaint),
                (Err(_), Some(_)) => {}
                (Ok(()), None) => matched = Some(index),
                (Ok(()), Some(first)) => {
                    self.complain(|| format!("'oneOf' failed, subschemas {first}, {index} matched"));
                    break;
                }
            }
        }
        if matched.is_none() {
            self.complain_because(causes, || "'oneOf' failed, none matched".to_owned());
        }
    }

    fn check_unevaluated(&mut self) {
        if self.draft() < Draft::Y2019 {
            return;
        }
        if let (Some(schema), Value::Object(entries)) = (self.keyword("unevaluatedProperties"), self.value) {
            for name in std::mem::take(&mut self.unevaluated.properties) {
                self.judge_below((Step::to("unevaluatedProperties"), schema), &entries[name], Key::Name(name));
            }
        }
        if let (Some(schema), Value::Array(items)) = (self.keyword("unevaluatedItems"), self.value) {
            for index in std::mem::take(&mut self.unevaluated.items) {
                self.judge_below((Step::to("unevaluatedItems"), schema), &items[index], Key::Index(index));
            }
        }
    }
}
