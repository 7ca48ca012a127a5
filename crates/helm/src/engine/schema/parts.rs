//! The rules for one type of value: objects, arrays, texts and numbers.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::draft::Draft;
use super::step::{Key, Step};
use super::walk::Application;
use super::words::{self, count, quote, quote_all};

/// Checks the rules for the type of the value.
pub(super) fn check(rules: &mut Application<'_, '_, '_>) {
    match rules.value {
        Value::Object(object) => check_object(rules, object),
        Value::Array(items) => check_array(rules, items),
        Value::String(text) => check_text(rules, text),
        Value::Number(number) => check_number(rules, number.as_f64().unwrap_or_default()),
        Value::Null | Value::Bool(_) => {}
    }
}

/// What is said of a value of another type than those wanted; nothing if it has one of them.
pub(super) fn wrong_type(types: &Value, value: &Value) -> Option<String> {
    // The order of Go's bit set.
    const ORDER: [&str; 7] = ["null", "boolean", "number", "integer", "string", "array", "object"];
    let wanted = |name: &str| match types {
        Value::Array(names) => names.iter().any(|one| one == name),
        one => one == name,
    };
    let found = words::type_of(value);
    let is_integer = || value.as_f64().is_some_and(|number| number.fract() == 0.0);
    let wants: Vec<_> = ORDER.into_iter().filter(|name| wanted(name)).collect();
    if wants.is_empty() || wanted(found) || wanted("integer") && is_integer() {
        return None;
    }
    Some(format!("got {found}, want {}", wants.join(" or ")))
}

/// Whether values are equal, whatever the notation of their numbers.
pub(super) fn equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one == other || one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| equal(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let same = |(key, value): (&String, &Value)| other.get(key).is_some_and(|other| equal(value, other));
            one.len() == other.len() && one.iter().all(same)
        }
        (one, other) => one == other,
    }
}

/// Complains of a size that is too small or too large.
fn check_size(rules: &mut Application<'_, '_, '_>, (least, most): (&str, &str), size: usize) {
    let told = |name: &str, want: usize| format!("{name}: got {}, want {}", count(size), count(want));
    if let Some(want) = rules.size(least).filter(|want| size < *want) {
        rules.complain(|| told(least, want));
    }
    if let Some(want) = rules.size(most).filter(|want| size > *want) {
        rules.complain(|| told(most, want));
    }
}

fn absent<'s>(object: &Map<String, Value>, names: &'s Value) -> Vec<&'s str> {
    let names = names.as_array().into_iter().flatten().filter_map(Value::as_str);
    names.filter(|name| !object.contains_key(*name)).collect()
}

fn check_object(rules: &mut Application<'_, '_, '_>, object: &Map<String, Value>) {
    check_size(rules, ("minProperties", "maxProperties"), object.len());
    let required = rules.keyword("required").map(|names| absent(object, names)).unwrap_or_default();
    if !required.is_empty() {
        rules.complain(|| words::missing(&required));
    }
    if rules.is_decided() {
        return;
    }
    check_dependencies(rules, object, "dependencies");
    check_properties(rules, object);
    if let Some(schema) = rules.keyword("propertyNames").filter(|_| rules.draft() >= Draft::Six) {
        object.keys().for_each(|name| rules.judge_name(schema, name));
    }
    if rules.draft() >= Draft::Y2019 {
        check_dependencies(rules, object, "dependentSchemas");
        check_dependencies(rules, object, "dependentRequired");
    }
}

/// What must be there, or hold, because a property is there.
fn check_dependencies(rules: &mut Application<'_, '_, '_>, object: &Map<String, Value>, keyword: &str) {
    let Some(Value::Object(entries)) = rules.keyword(keyword) else { return };
    for (name, wanted) in entries.iter().filter(|(name, _)| object.contains_key(*name)) {
        if !wanted.is_array() {
            rules.judge(Step::entry(keyword, name), wanted);
            continue;
        }
        let missing = absent(object, wanted);
        if !missing.is_empty() {
            rules.complain(|| format!("properties {} required, if {} exists", quote_all(&missing), quote(name)));
        }
    }
}

fn check_properties(rules: &mut Application<'_, '_, '_>, object: &Map<String, Value>) {
    let properties = rules.keyword("properties").and_then(Value::as_object);
    let patterns = rules.keyword("patternProperties").and_then(Value::as_object);
    let additional = rules.keyword("additionalProperties");
    let mut unexpected = Vec::new();
    for (name, value) in object {
        if rules.is_decided() {
            return;
        }
        let mut evaluated = false;
        if let Some(schema) = properties.and_then(|properties| properties.get(name)) {
            evaluated = true;
            rules.judge_below((Step::entry("properties", name), schema), value, Key::Name(name));
        }
        for (pattern, schema) in patterns.into_iter().flatten() {
            if !rules.matches(pattern, name) {
                continue;
            }
            evaluated = true;
            rules.judge_below((Step::entry("patternProperties", pattern), schema), value, Key::Name(name));
        }
        match additional.filter(|_| !evaluated) {
            Some(Value::Bool(false)) => unexpected.push(name),
            Some(schema) => rules.judge_below((Step::to("additionalProperties"), schema), value, Key::Name(name)),
            None if !evaluated => continue,
            None => {}
        }
        rules.unevaluated.properties.remove(name.as_str());
    }
    if !unexpected.is_empty() {
        rules.complain(|| format!("additional properties {} not allowed", quote_all(&unexpected)));
    }
}

fn check_array(rules: &mut Application<'_, '_, '_>, items: &[Value]) {
    check_size(rules, ("minItems", "maxItems"), items.len());
    if rules.keyword("uniqueItems") == Some(&Value::Bool(true))
        && let Some((first, second)) = equal_items(items)
    {
        rules.complain(|| format!("items at {} and {} are equal", count(first), count(second)));
    }
    check_items(rules, items);
    if let Some(schema) = rules.keyword("contains").filter(|_| rules.draft() >= Draft::Six) {
        check_contains(rules, items, schema);
    }
}

/// Two items that are equal.
fn equal_items(items: &[Value]) -> Option<(usize, usize)> {
    let mut seen: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (index, item) in items.iter().enumerate() {
        let kept = seen.entry(canonical(item)).or_default();
        if let Some(first) = kept.iter().find(|first| equal(&items[**first], item)) {
            return Some((*first, index));
        }
        kept.push(index);
    }
    None
}

/// A text that equal values share.
fn canonical(value: &Value) -> String {
    match value {
        Value::Number(number) => words::number(number.as_f64().unwrap_or_default()),
        Value::Array(items) => items.iter().map(canonical).collect(),
        Value::Object(entries) => entries.iter().map(|(key, value)| key.clone() + &canonical(value)).collect(),
        scalar => scalar.to_string(),
    }
}

fn check_items(rules: &mut Application<'_, '_, '_>, items: &[Value]) {
    let (first, rest) = if rules.draft() >= Draft::Y2020 {
        (("prefixItems", rules.keyword("prefixItems")), ("items", rules.keyword("items")))
    } else {
        match rules.keyword("items") {
            Some(Value::Array(_)) => {
                (("items", rules.keyword("items")), ("additionalItems", rules.keyword("additionalItems")))
            }
            every => (("", None), ("items", every)),
        }
    };
    let leading = first.1.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    for (index, (item, schema)) in items.iter().zip(leading).enumerate() {
        rules.judge_below((Step::item(first.0, index), schema), item, Key::Index(index));
        rules.unevaluated.items.remove(&index);
    }
    let Some(schema) = rest.1 else { return };
    let extra = items.len().saturating_sub(leading.len());
    if rest.0 == "additionalItems" && schema == &Value::Bool(false) {
        if extra > 0 {
            rules.complain(|| format!("last {} additionalItem(s) not allowed", count(extra)));
        }
        return;
    }
    for (index, item) in items.iter().enumerate().skip(leading.len()) {
        rules.judge_below((Step::to(rest.0), schema), item, Key::Index(index));
    }
    rules.unevaluated.items.clear();
}

fn check_contains<'s>(rules: &mut Application<'_, 's, '_>, items: &[Value], schema: &'s Value) {
    let (mut causes, mut matched) = (Vec::new(), Vec::new());
    for (index, item) in items.iter().enumerate() {
        if let Err(complaint) = rules.below((Step::to("contains"), schema), item, Key::Index(index)) {
            causes.push(complaint);
            continue;
        }
        matched.push(index.to_string());
        if rules.draft() >= Draft::Y2020 {
            rules.unevaluated.items.remove(&index);
        }
    }
    let counted = |name: &str| rules.size(name).filter(|_| rules.draft() >= Draft::Y2019);
    let (least, most) = (counted("minContains"), counted("maxContains"));
    let found = || format!("matched {} items at {}", count(matched.len()), matched.join(" "));
    match least {
        Some(least) if matched.len() < least => {
            let found = if matched.is_empty() { "none matched".to_owned() } else { found() };
            let least = count(least);
            rules.complain_because(causes, || {
                format!("min {least} items required to match contains schema, but {found}")
            });
        }
        None if matched.is_empty() => {
            rules.complain_because(causes, || "no items match contains schema".to_owned());
        }
        _ => {}
    }
    if let Some(most) = most.filter(|most| matched.len() > *most) {
        rules.complain(|| format!("max {} items required to match contains schema, but {}", count(most), found()));
    }
}

fn check_text(rules: &mut Application<'_, '_, '_>, text: &str) {
    if rules.keyword("minLength").is_some() || rules.keyword("maxLength").is_some() {
        check_size(rules, ("minLength", "maxLength"), text.chars().count());
    }
    if let Some(pattern) = rules.keyword("pattern").and_then(Value::as_str)
        && !rules.matches(pattern, text)
    {
        rules.complain(|| format!("{} does not match pattern {}", quote(text), quote(pattern)));
    }
}

fn check_number(rules: &mut Application<'_, '_, '_>, number: f64) {
    let told = |name: &str, want: f64| format!("{name}: got {}, want {}", words::number(number), words::number(want));
    for (name, exclusive, too_far) in [
        ("minimum", "exclusiveMinimum", (|number, limit| number < limit) as fn(f64, f64) -> bool),
        ("maximum", "exclusiveMaximum", |number, limit| number > limit),
    ] {
        let limit = |name: &str| rules.keyword(name).and_then(Value::as_f64);
        // The first draft has a flag where later ones have a limit.
        let (inner, outer) = match rules.keyword(exclusive) {
            Some(Value::Bool(true)) => (None, limit(name)),
            _ => (limit(name), limit(exclusive)),
        };
        if let Some(limit) = inner.filter(|limit| too_far(number, *limit)) {
            rules.complain(|| told(name, limit));
        }
        if let Some(limit) = outer.filter(|limit| too_far(number, *limit) || !too_far(*limit, number)) {
            rules.complain(|| told(exclusive, limit));
        }
    }
    let unit = rules.keyword("multipleOf").and_then(Value::as_f64);
    if let Some(unit) = unit.filter(|unit| !is_multiple(number, *unit)) {
        rules.complain(|| told("multipleOf", unit));
    }
}

/// Whether a decimal number is a whole multiple of another, by their shortest digits.
fn is_multiple(number: f64, unit: f64) -> bool {
    let ((digits, exponent), (unit, unit_exponent)) = (decimal(number), decimal(unit));
    if digits == 0 || unit == 0 {
        return digits == 0;
    }
    match exponent - unit_exponent {
        shift @ 0.. => {
            let shifted = (0..shift).fold(digits % unit, |rest, _| rest * 10 % unit);
            shifted == 0
        }
        shift => {
            let scale = u32::try_from(-shift).ok().and_then(|shift| 10_u128.checked_pow(shift));
            scale.and_then(|scale| scale.checked_mul(unit)).is_some_and(|unit| digits % unit == 0)
        }
    }
}

/// A number as digits and a power of ten.
fn decimal(number: f64) -> (u128, i32) {
    let text = format!("{:e}", number.abs());
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let places = i32::try_from(fraction.len()).unwrap_or_default();
    let exponent: i32 = exponent.parse().unwrap_or_default();
    (format!("{whole}{fraction}").parse().unwrap_or_default(), exponent - places)
}
