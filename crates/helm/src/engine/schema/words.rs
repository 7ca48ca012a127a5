//! Values and numbers in the words of the Go library that Helm uses.

use std::fmt::Write as _;

use formats::go;
use serde_json::Value;

/// `missing property 'a'` or `missing properties 'a', 'b'`.
pub(super) fn missing(properties: &[&str]) -> String {
    match properties {
        [one] => format!("missing property {}", quote(one)),
        several => format!("missing properties {}", quote_all(several)),
    }
}

/// What must be one of some values.
pub(super) fn enumeration(options: &[Value]) -> String {
    if options.iter().any(|option| option.is_array() || option.is_object()) {
        return "'enum' failed".to_owned();
    }
    let shown: Vec<_> = options.iter().map(display).collect();
    let one_of = if options.len() == 1 { "" } else { "one of " };
    format!("value must be {one_of}{}", shown.join(", "))
}

/// A value in a sentence.
pub(super) fn display(value: &Value) -> String {
    match value {
        Value::String(text) => quote(text),
        Value::Null => "<nil>".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(_) | Value::Object(_) => "value".to_owned(),
    }
}

/// A whole number with commas between thousands.
pub(super) fn count(number: usize) -> String {
    grouped(&number.to_string())
}

/// A number as Go's English text has it: `1,234.5`, `1.5×10⁰⁶`.
pub(super) fn number(number: f64) -> String {
    let text = go::general(number);
    let (sign, digits) = text.strip_prefix('-').map_or(("", text.as_str()), |digits| ("-", digits));
    let Some((mantissa, exponent)) = digits.split_once('e') else {
        let (whole, fraction) = digits.find('.').map_or((digits, ""), |point| digits.split_at(point));
        return format!("{sign}{}{fraction}", grouped(whole));
    };
    let mut shown = format!("{sign}{mantissa}×10");
    for digit in exponent.chars() {
        let raised = match digit {
            '+' => continue,
            '-' => '⁻',
            '1' => '¹',
            '2' => '²',
            '3' => '³',
            other => char::from_u32(0x2070 + other.to_digit(10).unwrap_or_default()).unwrap_or(other),
        };
        write!(shown, "{raised}").expect("writing to a string does not fail");
    }
    shown
}

fn grouped(digits: &str) -> String {
    let start = digits.len() % 3;
    let mut shown = digits[..start].to_owned();
    for (index, digit) in digits[start..].chars().enumerate() {
        if index % 3 == 0 && !shown.is_empty() {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// In single quotes.
pub(super) fn quote(text: &str) -> String {
    let quoted = go::quote(text).replace("\\\"", "\"").replace('\'', "\\'");
    format!("'{}'", &quoted[1..quoted.len() - 1])
}

/// Several in single quotes.
pub(super) fn quote_all<S: AsRef<str>>(texts: &[S]) -> String {
    let quoted: Vec<_> = texts.iter().map(|text| quote(text.as_ref())).collect();
    quoted.join(", ")
}

/// What JSON Schema calls the type of a value.
pub(super) fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
