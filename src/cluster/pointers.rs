//! JSON pointers (RFC 6901), in which `*` stands for each element of a list or map: what they lead to, and where two objects differ.
//! Pure.

use serde_json::Value;

/// The pointers that `pattern` means in `object`, in their order: those that lead to something.
pub(super) fn expanded(object: &Value, pattern: &str) -> Vec<String> {
    let mut found = vec![(String::new(), object)];
    for token in tokens(pattern) {
        found = found.into_iter().flat_map(|(at, value)| below(&at, value, &token)).collect();
    }
    found.into_iter().map(|(at, _)| at).collect()
}

fn below<'a>(at: &str, value: &'a Value, token: &str) -> Vec<(String, &'a Value)> {
    match value {
        Value::Object(map) if token == "*" => {
            map.iter().map(|(key, value)| (format!("{at}/{}", escaped(key)), value)).collect()
        }
        Value::Array(items) if token == "*" => {
            items.iter().enumerate().map(|(index, value)| (format!("{at}/{index}"), value)).collect()
        }
        Value::Object(map) => {
            map.get(token).map(|value| (format!("{at}/{}", escaped(token)), value)).into_iter().collect()
        }
        Value::Array(items) => {
            let item = token.parse().ok().and_then(|index: usize| items.get(index));
            item.map(|value| (format!("{at}/{token}"), value)).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// Takes what `pattern` leads to out of `object`.
pub(super) fn remove(object: &mut Value, pattern: &str) {
    remove_all(object, expanded(object, pattern));
}

/// Takes what these pointers lead to out of `object`.
pub(super) fn remove_all(object: &mut Value, mut pointers: Vec<String>) {
    // From the back: what goes from a list moves what comes after it.
    let in_order = |pointer: &String| -> Vec<(Option<usize>, String)> {
        tokens(pointer).map(|token| (token.parse().ok(), token)).collect()
    };
    pointers.sort_by_cached_key(in_order);
    pointers.dedup();
    for pointer in pointers.iter().rev() {
        let Some((parent, last)) = pointer.rsplit_once('/') else {
            *object = Value::Object(serde_json::Map::new());
            return;
        };
        match object.pointer_mut(parent) {
            Some(Value::Object(map)) => drop(map.remove(&unescaped(last))),
            Some(Value::Array(items)) => {
                if let Some(index) = last.parse().ok().filter(|index: &usize| *index < items.len()) {
                    items.remove(index);
                }
            }
            _ => {}
        }
    }
}

/// Whether `pointer` is what `pattern` means, or lies in it.
pub(super) fn covers(pattern: &str, pointer: &str) -> bool {
    let mut below = tokens(pointer);
    tokens(pattern).all(|token| below.next().is_some_and(|own| token == "*" || token == own))
}
/// Its tokens, unescaped.
pub(super) fn tokens(pointer: &str) -> impl Iterator<Item = String> {
    pointer.split('/').skip(1).map(unescaped)
}

/// A token as a pointer has it.
pub(super) fn escaped(token: &str) -> String {
    token.replace('~', "~0").replace('/', "~1")
}

fn unescaped(token: &str) -> String {
    token.replace("~1", "/").replace("~0", "~")
}

/// What of an object's metadata the server writes.
pub(super) const OF_SERVER: [&str; 6] =
    ["creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid"];

/// Where two objects differ, besides what the server alone writes, in the order of the fields; of lists of other lengths
/// the list.
pub(super) fn differences(one: &Value, other: &Value) -> Vec<String> {
    let bare = |object: &Value| {
        let mut object = object.clone();
        remove(&mut object, "/status");
        for field in OF_SERVER {
            remove(&mut object, &format!("/metadata/{field}"));
        }
        object
    };
    let mut found = Vec::new();
    compare(&bare(one), &bare(other), String::new(), &mut found);
    found
}

fn compare(one: &Value, other: &Value, at: String, found: &mut Vec<String>) {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            let keys: std::collections::BTreeSet<&String> = one.keys().chain(other.keys()).collect();
            for key in keys {
                let (one, other) = (one.get(key).unwrap_or(&Value::Null), other.get(key).unwrap_or(&Value::Null));
                compare(one, other, format!("{at}/{}", escaped(key)), found);
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (index, (one, other)) in one.iter().zip(other).enumerate() {
                compare(one, other, format!("{at}/{index}"), found);
            }
        }
        _ if one == other || (is_nothing(one) && is_nothing(other)) => {}
        _ => found.push(at),
    }
}

/// Whether a value says nothing: what an operator writes of its own objects that a chart leaves out.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.values().all(is_nothing),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{covers, differences, expanded, remove};

    fn deployment() -> Value {
        json!({
            "metadata": { "annotations": { "example.com/a.b": "x" } },
            "spec": { "replicas": 2, "template": { "spec": { "containers": [
                { "name": "side", "image": "a" },
                { "name": "web", "image": "b", "ports": [{ "containerPort": 80 }] },
            ] } } },
        })
    }

    #[test]
    fn items_of_a_list_go_from_the_back_each_once() {
        let mut object = json!({ "x": (0..12).collect::<Vec<_>>() });
        super::remove_all(&mut object, ["/x/2", "/x/10", "/x/2"].map(str::to_owned).to_vec());
        assert_eq!(object, json!({ "x": [0, 1, 3, 4, 5, 6, 7, 8, 9, 11] }));
    }

    #[test]
    fn a_pattern_means_what_is_there() {
        let image = "/spec/template/spec/containers/*/image";
        let images = ["/spec/template/spec/containers/0/image", "/spec/template/spec/containers/1/image"];
        assert_eq!(expanded(&deployment(), image), images);
        assert_eq!(expanded(&deployment(), "/metadata/annotations/example.com~1a.b").len(), 1);
        assert!(covers(image, images[1]) && covers("/spec", images[0]) && covers("", "/x"));
        assert!(!covers(images[0], "/spec/template") && !covers("/spec/rep", "/spec/replicas"));
        let mut without = deployment();
        remove(&mut without, "/spec/template/spec/containers/0");
        assert_eq!(expanded(&without, image), ["/spec/template/spec/containers/0/image"]);
        remove(&mut without, "");
        assert_eq!(without, json!({}));
    }

    #[test]
    fn objects_differ_where_somebody_changed_them() {
        let mut changed = deployment();
        changed["spec"]["replicas"] = json!(3);
        changed["spec"]["template"]["spec"]["containers"][1]["image"] = json!("c");
        changed["metadata"]["resourceVersion"] = json!("7");
        changed["status"] = json!({ "replicas": 3 });
        let expected = ["/spec/replicas", "/spec/template/spec/containers/1/image"];
        assert_eq!(differences(&deployment(), &changed), expected);
        changed["spec"]["template"]["metadata"] = json!({ "creationTimestamp": null, "labels": {} });
        assert_eq!(differences(&deployment(), &changed), expected);
        changed["spec"]["template"]["spec"]["containers"] = json!([]);
        assert_eq!(differences(&deployment(), &changed), ["/spec/replicas", "/spec/template/spec/containers"]);
        assert!(differences(&deployment(), &deployment()).is_empty());
    }
}
