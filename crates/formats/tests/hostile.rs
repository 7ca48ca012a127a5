//! Texts and values made to exhaust stack, time or memory end in an error, or in time.

use std::time::{Duration, Instant};

use formats::{json, toml, yaml};
use gotmpl::{List, Map, Value};

/// Within what a story ends on the busiest machine. What takes more than linear time would take hours.
const END: Duration = Duration::from_mins(3);

/// Runs a story on a small stack, and expects it to end.
fn survives(story: impl FnOnce() + Send + 'static) {
    let started = Instant::now();
    let thread = std::thread::Builder::new().stack_size(1 << 20).spawn(story).expect("a thread can be started");
    while !thread.is_finished() {
        assert!(started.elapsed() < END, "it goes on after {END:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
    thread.join().expect("the story ends without panic");
}

fn yaml_problem(text: &str) -> String {
    yaml::parse(text.as_bytes()).err().map_or_else(|| "none".to_owned(), |error| error.to_string())
}

#[test]
fn deep_yaml_is_refused() {
    survives(|| {
        let count = 200_000;
        let nested_maps: Vec<String> = (0..5_000).map(|depth| " ".repeat(depth) + "a:\n").collect();
        for text in [
            "[".repeat(count),
            "{a: ".repeat(count),
            "- ".repeat(count),
            "? ".repeat(count),
            "[a: ".repeat(count),
            "{? ".repeat(count),
            nested_maps.concat(),
        ] {
            assert!(yaml_problem(&text).contains("exceeded max depth"), "{}", yaml_problem(&text));
        }
    });
}

#[test]
fn anchors_do_not_add_up_to_deep_values() {
    survives(|| {
        let mut lines = vec![format!("a0: &a0 {}{}", "[".repeat(400), "]".repeat(400))];
        for index in 1..100 {
            lines.push(format!("a{index}: &a{index} {}*a{}{}", "[".repeat(90), index - 1, "]".repeat(90)));
        }
        assert!(yaml_problem(&lines.join("\n")).contains("exceeded max depth"));
    });
}

#[test]
fn alias_bombs_are_refused() {
    survives(|| {
        let mut laughs = vec!["a0: &a0 [x, x, x, x, x, x, x, x, x]".to_owned()];
        for index in 1..60 {
            laughs.push(format!("a{index}: &a{index} [{}]", vec![format!("*a{}", index - 1); 9].join(", ")));
        }
        assert!(yaml_problem(&laughs.join("\n")).ends_with("document contains excessive aliasing"));

        let large = format!("a: &a {}\nb: [{}]\n", "x".repeat(1 << 20), "*a, ".repeat(1_000));
        assert!(yaml_problem(&large).ends_with("document contains excessive aliasing"));
    });
}

#[test]
fn large_texts_take_linear_time() {
    survives(|| {
        let size = 1 << 20;
        for text in [
            "a".repeat(size),
            "a: b\n".repeat(size / 5),
            "- a\n".repeat(size / 4),
            "[],".repeat(size / 3),
            format!("[{}]", "a, ".repeat(size / 3)),
            format!("[{}]", "{},".repeat(size / 3)),
            "\n".repeat(size),
            " ".repeat(size),
            "# c\n".repeat(size / 4),
            format!("|\n{}", " \n".repeat(size / 2)),
            format!(">\n{}", " a\n\n".repeat(size / 4)),
            format!("\"{}\"", "a \n ".repeat(size / 4)),
            format!("'{}'", "''".repeat(size / 2)),
            "a\n ".repeat(size / 3),
            "---\n".repeat(size / 4),
            format!("a: &a {{x: 1}}\nb:\n{}", "  <<: *a\n".repeat(size / 10)),
            "&a ".repeat(size / 3),
            "? a\n".repeat(size / 4),
            "\t".repeat(size),
            "%TAG !a! b\n".repeat(size / 11),
        ] {
            let _outcome = yaml::parse(text.as_bytes());
            let _outcome = yaml::parse_all(text.as_bytes());
        }
    });
}

#[test]
fn deep_json_and_toml_are_refused() {
    survives(|| {
        assert!(json::parse("[".repeat(100_000).as_bytes()).is_err());
        assert!(json::parse("{\"a\":".repeat(100_000).as_bytes()).is_err());
        assert!(toml::parse(format!("a = {}", "[".repeat(100_000)).as_bytes()).is_err());
        assert!(toml::parse(format!("a = {}", "{a = ".repeat(100_000)).as_bytes()).is_err());
        assert!(toml::parse(format!("{}b = 1", "a.".repeat(100_000)).as_bytes()).is_err());
        assert!(toml::parse(format!("[{}b]", "a.".repeat(100_000)).as_bytes()).is_err());
    });
}

#[test]
fn values_that_contain_themselves_are_not_printed() {
    survives(|| {
        let map = Map::any([].into());
        map.insert("self", List::any(vec![map.clone().into()]).into());
        let value = Value::Map(map.clone());
        let cycle = "json: unsupported value: encountered a cycle via";
        assert!(json::emit(&value).is_err_and(|error| error.to_string().starts_with(cycle)));
        assert!(yaml::try_emit(&value).is_err_and(|error| error.to_string().contains(cycle)));
        assert!(yaml::try_emit_pretty(&value).is_err_and(|error| error.to_string().contains(cycle)));
        assert!(yaml::emit(&value).is_empty());
        assert!(toml::emit(&value).is_err());
        json::to_serde(&value);
        map.borrow_mut().clear();
    });
}

#[test]
fn values_that_only_nest_deeply_are_told_apart_from_those_that_contain_themselves() {
    survives(|| {
        let deep: Value = (0..600).fold(Value::Nil, |inner, _| List::any(vec![inner]).into());
        let limit = "json: a value is nested deeper than 500 levels";
        assert!(json::emit(&deep).is_err_and(|error| error.is_limit() && error.to_string() == limit));
        assert!(yaml::try_emit(&deep).is_err_and(|error| error.is_limit() && error.to_string().ends_with(limit)));
        assert!(yaml::try_emit_pretty(&deep).is_err_and(|error| error.is_limit()));
        assert!(json::parse("[".repeat(600).as_bytes()).is_err_and(|error| error.is_limit()));
        assert!(yaml::parse("[".repeat(600).as_bytes()).is_err_and(|error| error.is_limit()));
        assert!(toml::parse(format!("a = {}", "[".repeat(600)).as_bytes()).is_err_and(|error| error.is_limit()));
    });
}
