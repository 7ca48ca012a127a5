//! Mapping keys: JSON wants strings, YAML has anything. And the key `<<`, which merges.

use std::collections::BTreeMap;

use gotmpl::{Map, Str, Value};

use super::super::error::Error;
use super::super::resolve::Scalar;
use super::{Node, outcome};

/// What to do with the next value of a mapping.
pub(super) enum Key {
    /// Set it under this name, which error texts show in another syntax if it was no string.
    Name(Str, Option<String>),
    /// Set its entries.
    Merge,
}

/// Why a node is no key.
pub(super) enum Trouble {
    /// Collections never are.
    Collection(Error),
    /// The JSON side has no name for it. A name that marks it is given instead, since another value
    /// may still replace the mapping as a whole.
    Poison(Str),
}

/// First byte of a poisoned name; no name read from YAML has it, as it is not UTF-8.
pub(super) const POISON: u8 = 0xFF;

/// Whether a scalar asks for its value to be merged.
pub(super) fn is_merge(text: &str, implicit: bool, tag: Option<&str>) -> bool {
    text == "<<" && (implicit || tag == Some("tag:yaml.org,2002:merge"))
}

/// The name of a key, as `sigs.k8s.io/yaml` writes it.
pub(super) fn name(node: &Node<'_>) -> Result<Str, Trouble> {
    match node {
        Node::Scalar(Scalar::Text(text)) => Ok(Str::from(&**text)),
        Node::Scalar(Scalar::Bool(value)) => Ok(value.to_string().into()),
        Node::Scalar(Scalar::Int(value)) => Ok(value.to_string().into()),
        Node::Scalar(Scalar::Float(value)) => Ok(float_name(*value).into()),
        Node::Scalar(Scalar::Null) => Err(Trouble::Poison(poison("%!s(<nil>), key: <nil>"))),
        Node::Scalar(Scalar::Uint(value)) => Err(Trouble::Poison(poison(&format!("uint64, key: {value:#x}")))),
        Node::Tree(value) => Err(invalid(value)),
    }
}

/// The name of a key inside a key: an error is certain, and its text tells numbers from strings.
pub(super) fn part_name(node: &Node<'_>) -> Result<Str, Trouble> {
    match (syntax(node), node) {
        (Some(syntax), _) => Ok(poison(&syntax)),
        (None, Node::Scalar(Scalar::Text(text))) => Ok(Str::from(&**text)),
        (None, _) => name(node),
    }
}

/// A scalar that is no string, in Go's syntax.
pub(super) fn syntax(node: &Node<'_>) -> Option<String> {
    match node {
        Node::Scalar(Scalar::Null) => Some("interface {}(nil)".to_owned()),
        Node::Scalar(Scalar::Bool(value)) => Some(value.to_string()),
        Node::Scalar(Scalar::Int(value)) => Some(value.to_string()),
        Node::Scalar(Scalar::Uint(value)) => Some(format!("{value:#x}")),
        Node::Scalar(Scalar::Float(value)) => Some(crate::go::general(*value)),
        Node::Scalar(Scalar::Text(_)) | Node::Tree(_) => None,
    }
}

fn invalid(value: &Value) -> Trouble {
    Trouble::Collection(Error::compose(format!("invalid map key: {}", outcome::go_syntax(value))))
}

fn poison(description: &str) -> Str {
    Str::from([&[POISON], description.as_bytes()].concat())
}

#[expect(clippy::cast_possible_truncation, reason = "sigs.k8s.io/yaml prints keys in single precision")]
fn float_name(value: f64) -> String {
    match value {
        f64::INFINITY => ".inf".to_owned(),
        f64::NEG_INFINITY => "-.inf".to_owned(),
        value if value.is_nan() => ".nan".to_owned(),
        value => match value as f32 {
            f32::INFINITY => ".inf".to_owned(),
            f32::NEG_INFINITY => "-.inf".to_owned(),
            single => crate::go::general32(single),
        },
    }
}

/// Sets the entries of a mapping, or of several, of which the first wins.
pub(super) fn merge(entries: &mut BTreeMap<Str, Value>, node: Node<'_>, aliased: bool) -> Result<(), Error> {
    match node {
        Node::Tree(Value::Map(map)) => set_all(entries, &map),
        Node::Tree(Value::List(list)) if !aliased => {
            for item in list.items().iter().rev() {
                let Value::Map(map) = item else {
                    return Err(not_maps());
                };
                set_all(entries, map);
            }
        }
        _ => return Err(not_maps()),
    }
    Ok(())
}

/// What is said about a value that cannot be merged.
pub(super) fn not_maps() -> Error {
    Error::compose("map merge requires map or sequence of maps as the value")
}

fn set_all(entries: &mut BTreeMap<Str, Value>, map: &Map) {
    entries.extend(map.borrow().iter().map(|(key, value)| (key.clone(), value.clone())));
}
