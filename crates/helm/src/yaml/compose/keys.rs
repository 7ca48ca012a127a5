//! Mapping keys: JSON wants strings, YAML has anything. And the key `<<`, which merges.

use std::collections::BTreeMap;

use gotmpl::{Map, Str, Value};

use super::super::error::Error;
use super::super::resolve::Scalar;
use super::{Node, outcome};

/// What to do with the next value of a mapping.
pub(super) enum Key {
    /// Set it under this name.
    Name(Str),
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
pub(super) fn name(node: &Node<'_>) -> Result<String, Trouble> {
    match node {
        Node::Scalar(Scalar::Text(text)) => Ok(text.to_string()),
        Node::Scalar(Scalar::Bool(value)) => Ok(value.to_string()),
        Node::Scalar(Scalar::Int(value)) => Ok(value.to_string()),
        Node::Scalar(Scalar::Float(value)) => Ok(float_name(*value)),
        Node::Scalar(Scalar::Null) => Err(poison("%!s(<nil>), key: <nil>")),
        Node::Scalar(Scalar::Uint(value)) => Err(poison(&format!("uint64, key: {value:#x}"))),
        Node::Tree(value) => {
            Err(Trouble::Collection(Error::compose(format!("invalid map key: {}", outcome::go_syntax(value)))))
        }
    }
}

fn poison(description: &str) -> Trouble {
    Trouble::Poison(Str::from([&[POISON], description.as_bytes()].concat()))
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
    let not_maps = || Error::compose("map merge requires map or sequence of maps as the value");
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

fn set_all(entries: &mut BTreeMap<Str, Value>, map: &Map) {
    entries.extend(map.borrow().iter().map(|(key, value)| (key.clone(), value.clone())));
}
