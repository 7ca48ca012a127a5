use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Expression, Input};

fn object(conditions: usize) -> Value {
    let condition = |at: usize| json!({ "type": format!("C{at}"), "status": "True", "message": "m".repeat(50) });
    json!({
        "metadata": { "name": "web", "generation": 2, "labels": { "example.com/tier": "front" } },
        "spec": { "replicas": 3, "ratio": 1.5 },
        "status": {
            "replicas": 3, "observedGeneration": 2, "conditions": (0..conditions).map(condition).collect::<Vec<_>>(),
        },
    })
}

fn evaluated(text: &str, object: &Value) -> Result<bool, String> {
    let expression = Expression::compile(text, &[]).map_err(|malformed| format!("malformed: {malformed}"))?;
    let fields = object.as_object().expect("an object");
    expression.is_true(&Input::of(fields.iter().map(|(name, content)| (name.as_str(), content))))
}

#[test]
fn an_expression_is_true_or_not_or_says_what_is_missing() {
    let object = object(2);
    for (text, expected) in [
        ("status.conditions.filter(e, e.type == 'C0').all(e, e.status == 'True')", Ok(true)),
        ("status.conditions.exists_one(e, e.type == 'C1') && status.replicas == spec.replicas", Ok(true)),
        ("'C1' in status.conditions.map(e, e.type)", Ok(true)),
        ("has(status.phase) && status.phase == 'Ready'", Ok(false)),
        ("status.?phase.orValue('none') == 'none' && size(status.conditions) == 2", Ok(true)),
        ("metadata.labels['example.com/tier'].startsWith('fr') ? spec.replicas + 1 == 4 : false", Ok(true)),
        ("metadata.name.matches('^w.b$') && matches(metadata.name, 'b$') && spec.ratio > 1", Ok(true)),
        ("int('3') == spec.replicas && string(spec.replicas) == '3'", Ok(true)),
        ("'a-b'.split('-')[0] == 'a' && 'A'.lowerAscii() == 'a'", Ok(true)),
        ("metadata.generation == status.observedGeneration", Ok(true)),
        ("status.phase == 'Ready'", Err("there is no field \"phase\"")),
        ("status[metadata.name] == 'x'", Err("there is no field of a name that it computes")),
        ("nothing.at.all", Err("there is no \"nothing\"")),
        ("spec.replicas", Err("it is neither true nor false")),
        ("status.conditions[7].type == 'x'", Err("an index is out of bounds")),
        ("status.replicas.startsWith('x')", Err("found no matching overload")),
    ] {
        match (evaluated(text, &object), expected) {
            (Ok(is), Ok(expected)) => assert_eq!(is, expected, "{text}"),
            (Err(why), Err(words)) => assert!(why.contains(words), "{text}: {why}"),
            (got, expected) => panic!("{text}: {got:?}, {expected:?} was expected"),
        }
    }
}

#[test]
fn a_text_that_means_nothing_is_refused_with_its_place() {
    for (text, words) in [
        ("status.conditions.exists(", "line 1, column 26: "),
        ("true &&\n  status ?", "line 2, column "),
        ("frobnicate(status)", "there is no function frobnicate()"),
        ("timestamp(status.at) > timestamp(status.since)", "there is no function timestamp()"),
        ("Message{field: 1} == 1", "messages cannot be made"),
        ("", "line 1, column "),
    ] {
        let malformed = Expression::compile(text, &[]).expect_err(text).to_string();
        assert!(malformed.contains(words), "{text}: {malformed}");
    }
    let of_dependency = |text: &str| Expression::compile(text, &["self", "dep"]);
    assert!(of_dependency("dep.a.exists(e, e == self.b) && type(dep) == map").is_ok());
    let malformed = of_dependency("status.ready").expect_err("no variable").to_string();
    assert_eq!(malformed, "status is none of self, dep");
}

#[test]
fn what_is_quoted_of_an_input_is_none_of_its_values() {
    let object = json!({ "data": { "token": "c2VjcmV0" } });
    for text in
        ["data.token + 1 == 2", "data.token < 1", "data[data.token] == ''", "int(data.token) == 1", "data.token.x"]
    {
        let why = evaluated(text, &object).expect_err(text);
        assert!(!why.contains("c2Vj") || text.starts_with("data["), "{text}: {why}");
    }
}

#[test]
fn no_text_takes_down_the_thread_that_reads_or_evaluates_it() {
    let repeated = |part: &str, times: usize, end: &str| part.repeat(times) + end;
    let texts = [
        repeated("1+", 1000, "1 == 1"),
        repeated("1<", 1000, "1"),
        repeated("(", 2000, ""),
        repeated("(", 1000, &repeated("true", 1, &")".repeat(1000))),
        repeated("[", 1000, &"]".repeat(1000)),
        repeated("!", 2000, "true"),
        repeated("-(", 700, &format!("1{}", ")".repeat(600))),
        format!("a{}", "[0]".repeat(600)),
        repeated("1 in ", 400, "[1]"),
        repeated("true?1:", 280, "1"),
        format!("'a'{} == 'a'", ".trim()".repeat(250)),
        repeated("status.conditions.all(e, ", 60, &format!("true{}", ")".repeat(60))),
        // As deep as may be.
        repeated("1+", 28, "1 == 1"),
        format!("'a'{} == 'a'", ".trim()".repeat(28)),
        format!("[1]{}.size() == 1", ".map(x,[x,x])".repeat(28)),
        repeated("status.conditions.all(e, ", 12, &format!("true{}", ")".repeat(12))),
        "x".repeat(3000),
    ];
    let object = object(10);
    // The stack of a worker of the runtime.
    let worker = std::thread::Builder::new().stack_size(2 << 20);
    let evaluated = worker.spawn(move || texts.iter().filter(|text| evaluated(text, &object).is_ok()).count());
    assert!(evaluated.expect("a thread").join().expect("it ends") >= 3);
}

#[test]
fn no_expression_costs_more_than_its_budget() {
    let (few, many) = (object(30), object(2000));
    for text in [
        "status.conditions.all(a, status.conditions.all(b, status.conditions.all(c, a.status == c.status)))".to_owned(),
        "status.conditions.all(a, !status.conditions.exists(b, b.type == a.message))".to_owned(),
        "status.conditions.all(a, status == status)".to_owned(),
        "status.conditions.map(a, status).size() == 1".to_owned(),
        "status.conditions.all(a, !a.message.matches('(\\\\w{20}){20}'))".to_owned(),
        format!("['{}']{}[0] == ''", "a".repeat(500), ".map(x,x+x)".repeat(20)),
        format!("[1]{}.size() == 1", ".map(x,[x,x])".repeat(24)),
    ] {
        let started = Instant::now();
        let answer = evaluated(&text, &many);
        assert_eq!(answer, Err("it takes too many steps on an object of this size".to_owned()), "{text}");
        assert!(started.elapsed() < Duration::from_secs(5), "{text}: {:?}", started.elapsed());
    }
    // What people write of what they have is far below it.
    for text in [
        "status.conditions.all(a, status.conditions.exists(b, b.type == a.type))",
        "status.conditions.filter(e, e.type == 'C7').all(e, e.status == 'True')",
    ] {
        assert_eq!(evaluated(text, &few), Ok(true), "{text}");
    }
    assert_eq!(evaluated("status.conditions.all(e, e.status == 'True')", &many), Ok(true));
}

#[test]
fn no_pattern_and_no_text_costs_more_than_its_budget() {
    let folded = r"(?i)[\pL\pN]".repeat(150);
    let object = json!({
        "data": (0..300).map(|at| (format!("key{at}"), json!("value"))).collect::<serde_json::Map<_, _>>(),
        "long": "a".repeat(1 << 20),
        "pattern": r"(?i)[\pL\pN\pS]".repeat(60_000),
        "needle": format!("{}b", "a".repeat(200_000)),
        "folded": folded,
    });
    let patterns = [
        format!("data.exists(k, k.matches(r'{folded}x'))"),
        "data.exists(k, k.matches(folded + k))".to_owned(),
        "data.exists(k, k.matches(pattern + k))".to_owned(),
        r"data.exists(k, k.matches(r'(\w{30}){30}' + k))".to_owned(),
        r"long.matches(r'(.*a){8}(.*b){8}$')".to_owned(),
        r"data.exists(k, long.matches(r'(a|b|ab)*c' + k))".to_owned(),
        // Compared at each place, and hashed each time.
        "long.indexOf(needle) == 3".to_owned(),
        "long.lastIndexOf('c' + needle, 900000) == 3".to_owned(),
        "data.exists(k, k in data && data[long] == k)".to_owned(),
        "data.all(k, data[?long] == optional.none())".to_owned(),
    ];
    for text in patterns {
        let started = Instant::now();
        let answer = evaluated(&text, &object);
        assert!(answer.is_err(), "{text}");
        assert!(started.elapsed() < Duration::from_secs(2), "{text}: {:?}", started.elapsed());
    }
    // One pattern is compiled once, and ordinary ones are cheap.
    for text in [
        r"data.all(k, k.matches('^key[0-9]+$'))",
        r"data.all(k, k.matches(r'^[\pL\pN]+$'))",
        "long.indexOf('b') == -1 && long.matches('^a+$')",
    ] {
        assert_eq!(evaluated(text, &object), Ok(true), "{text}");
    }
    let refused = evaluated("folded.matches('a(b')", &object).expect_err("no pattern");
    assert!(refused.contains("missing closing )"), "{refused}");
}
