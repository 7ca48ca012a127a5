//! What of a render is left to chance: random text, keys, the time. Known by rendering twice, with another seed and at
//! another time: a function that is called is no proof, since `default (randAlphaNum 8) .Values.password` calls it, too.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::manifest::{Hook, Manifest};

/// The templates of which two renders of the same made different objects, by their paths from the root chart.
pub fn varying(first: (&[Manifest], &[Hook]), second: (&[Manifest], &[Hook])) -> BTreeSet<String> {
    fn texts<'a>((manifests, hooks): (&'a [Manifest], &'a [Hook])) -> BTreeMap<&'a str, Vec<&'a str>> {
        let mut texts = BTreeMap::<_, Vec<_>>::new();
        let manifests = manifests.iter().map(|manifest| (manifest.name.as_str(), manifest.content.as_str()));
        for (path, text) in manifests.chain(hooks.iter().map(|hook| (hook.path.as_str(), hook.manifest.as_str()))) {
            texts.entry(path).or_default().push(text);
        }
        // Random names change their order.
        for texts in texts.values_mut() {
            texts.sort_unstable();
        }
        texts
    }
    let (first, second) = (texts(first), texts(second));
    let paths = first.keys().chain(second.keys());
    paths.filter(|path| first.get(*path) != second.get(*path)).map(|path| (*path).to_owned()).collect()
}

/// Whether `deployed` differs from what two renders of the same made only where those differ from each other.
pub fn is_same(deployed: &Value, first: &Value, second: &Value) -> bool {
    match (deployed, first, second) {
        (Value::Object(deployed), Value::Object(first), Value::Object(second)) => {
            let are_certain = first.keys().eq(second.keys());
            if are_certain && !deployed.keys().eq(first.keys()) {
                return false;
            }
            first.iter().all(|(key, value)| match (deployed.get(key), second.get(key)) {
                (Some(deployed), Some(second)) => is_same(deployed, value, second),
                // The key itself is chance.
                (_, None) | (None, _) => !are_certain,
            })
        }
        (Value::Array(deployed), Value::Array(first), Value::Array(second)) => {
            if first.len() != second.len() {
                return true;
            }
            let both = first.iter().zip(second);
            deployed.len() == first.len()
                && deployed.iter().zip(both).all(|(deployed, (first, second))| is_same(deployed, first, second))
        }
        _ => first != second || deployed == first,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{is_same, varying};
    use crate::manifest::Manifest;

    #[test]
    fn what_was_deployed_is_the_same_where_it_differs_by_chance_alone() {
        let object = |password: &str, port: u16| json!({ "data": { "password": password, "port": port } });
        let list = |items: &[&str]| json!({ "items": items });
        let cases: [(Value, Value, Value, bool); 10] = [
            (object("x", 1), object("y", 1), object("z", 1), true),
            // Something else changed.
            (object("x", 1), object("y", 2), object("z", 2), false),
            // Nothing is left to chance.
            (object("x", 1), object("y", 1), object("y", 1), false),
            (object("x", 1), object("x", 1), object("x", 1), true),
            (json!({ "a": "x", "more": 1 }), json!({ "a": "y" }), json!({ "a": "z" }), false),
            (json!({ "a": "x" }), json!({ "a": "y", "more": 1 }), json!({ "a": "z", "more": 1 }), false),
            // Keys by chance.
            (json!({ "q": 1, "port": 1 }), json!({ "r": 1, "port": 1 }), json!({ "s": 1, "port": 1 }), true),
            (json!({ "q": 1, "port": 1 }), json!({ "r": 1, "port": 2 }), json!({ "s": 1, "port": 2 }), false),
            (list(&["a"]), list(&["b"]), list(&["c"]), true),
            (list(&["a", "a"]), list(&["b"]), list(&["c"]), false),
        ];
        for (deployed, first, second, expected) in cases {
            assert_eq!(is_same(&deployed, &first, &second), expected, "{deployed} {first} {second}");
        }
    }

    #[test]
    fn the_templates_are_named_that_make_other_objects_each_time() {
        let manifest = |name: &str, content: &str| Manifest {
            name: name.to_owned(),
            content: content.to_owned(),
            api_version: String::new(),
            kind: String::new(),
            object_name: String::new(),
        };
        let first = [manifest("a", "1"), manifest("a", "2"), manifest("b", "x"), manifest("d", "1")];
        let second = [manifest("a", "2"), manifest("a", "1"), manifest("b", "y"), manifest("c", "1")];
        let varying: Vec<String> = varying((&first, &[]), (&second, &[])).into_iter().collect();
        assert_eq!(varying, ["b", "c", "d"]);
    }
}
