//! YAML: what is read and printed reads the same again. JSON and TOML likewise.

#![no_main]

use formats::{json, toml, yaml};
use gotmpl::Value;
use libfuzzer_sys::fuzz_target;

/// Values have no equality of their own; JSON tells all that comes from a text apart, but for the sign of zero, which
/// go-yaml does not print either.
fn shape(value: &Value) -> serde_json::Value {
    json::to_serde(value)
}

fn check_yaml(text: &[u8]) {
    let all = yaml::parse_all(text);
    let strict = yaml::parse_strict(text);
    let Ok(value) = yaml::parse(text) else {
        assert!(all.is_err() && strict.is_err(), "what is wrong with the first document is wrong with all");
        return;
    };
    let seen = shape(&value);
    let text = seen.to_string();
    // What go-yaml prints otherwise than it reads it, so that Helm and we do: a next line (U+0085) and the key `<<` as
    // they are, and in the pretty dialect lines that start with a tab.
    let printed = [
        (yaml::try_emit(&value), !text.contains('\u{85}') && !text.contains("\"<<\"")),
        (yaml::try_emit_pretty(&value), !text.contains('\u{85}') && !text.contains("\"<<\"") && !text.contains("\\t")),
    ];
    for (printed, readable) in printed {
        let Ok(printed) = printed else { continue };
        if !readable {
            continue;
        }
        let again = yaml::parse(&printed);
        assert!(again.as_ref().is_ok_and(|again| shape(again) == seen), "printed: {:?}", String::from_utf8_lossy(&printed));
        assert!(yaml::parse_strict(&printed).is_ok(), "a key is printed once");
    }
    if let Ok(strict) = strict {
        assert_eq!(shape(&strict), seen);
    }
}

fn check_json(text: &[u8]) {
    let Ok(value) = json::parse(text) else { return };
    let seen = shape(&value);
    for printed in [json::emit_pretty(&value), json::emit_raw(&value)] {
        let printed = printed.expect("what was read can be printed");
        assert_eq!(shape(&json::parse(&printed).expect("what was printed can be read")), seen);
    }
    let border = json::from_serde(&json::to_serde(&value));
    assert_eq!(shape(&border), seen);
}

fn check_toml(text: &[u8]) {
    let Ok(value) = toml::parse(text) else { return };
    if let Ok(printed) = toml::emit(&value) {
        let again = toml::parse(&printed);
        assert!(again.is_ok(), "{:?}: {:?}", again.err(), String::from_utf8_lossy(&printed));
    }
}

fuzz_target!(|text: &[u8]| {
    check_yaml(text);
    check_json(text);
    check_toml(text);
});
