//! Values that contain themselves, told apart from those that only nest deeply.

use gotmpl::{Map, Value};

use super::DEPTH;

/// Whether `value`, which nests too deeply to be printed, does so because it contains itself.
pub(crate) fn contains_itself(value: &Value) -> bool {
    deepest(value, &mut Vec::new(), 0) == Some(true)
}

/// Goes down to where printing stops, and tells whether the last map on the way there was there before: only maps can
/// be changed once they are made, so each cycle leads through one.
fn deepest(value: &Value, way: &mut Vec<Map>, depth: usize) -> Option<bool> {
    match value {
        Value::List(_) | Value::Map(_) if depth == DEPTH => {
            let (last, above) = way.split_last()?;
            Some(above.iter().any(|map| map.same(last)))
        }
        Value::List(list) => list.items().iter().find_map(|item| deepest(item, way, depth + 1)),
        Value::Map(map) => {
            way.push(map.clone());
            let found = map.borrow().values().find_map(|item| deepest(item, way, depth + 1));
            way.pop();
            found
        }
        Value::Object(object) => deepest(&object.to_value(), way, depth),
        _ => None,
    }
}
