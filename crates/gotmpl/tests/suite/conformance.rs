//! Every case of `cases/` does what Go's own `text/template` does.
//!
//! `UPDATE=1` asks Go again (`oracle/`, needs Go 1.26) and rewrites the expectations.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;

use crate::world;
use gotmpl::{FloatFormat, Functions, Interp, Limits, MissingKey, TemplateSet, Value};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// Has the oracle rewrite the expectations, if asked to; once, whichever test comes first.
fn update() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if std::env::var_os("UPDATE").is_some() {
            let status = Command::new("go").args(["run", "."]).current_dir(root().join("oracle")).status();
            assert!(status.expect("go can be started").success(), "the oracle failed");
        }
    });
}

struct Case<'t> {
    name: &'t str,
    missing_key: MissingKey,
    files: Vec<(&'t str, String)>,
}

/// The same as `parseCases` of the oracle.
fn parse_cases(text: &str) -> Vec<Case<'_>> {
    let text = text.strip_prefix("=== ").expect("a case file starts with a case");
    text.split("\n=== ")
        .map(|block| {
            let (name, body) = block.split_once('\n').unwrap_or((block, ""));
            let mut case = Case { name, missing_key: MissingKey::Zero, files: vec![("t", String::new())] };
            let mut fresh = true;
            for line in body.strip_suffix('\n').unwrap_or(body).split('\n') {
                if let Some(mode) = line.strip_prefix("--- missingkey ") {
                    case.missing_key = match mode {
                        "error" => MissingKey::Error,
                        "default" => MissingKey::Invalid,
                        _ => MissingKey::Zero,
                    };
                } else if let Some(name) = line.strip_prefix("--- file ") {
                    case.files.push((name, String::new()));
                    fresh = true;
                } else if let Some((_, text)) = case.files.last_mut() {
                    if !fresh {
                        text.push('\n');
                    }
                    text.push_str(line);
                    fresh = false;
                }
            }
            case
        })
        .collect()
}

fn run(case: &Case<'_>) -> String {
    let functions = Functions::new(&[world::FUNCTIONS]);
    let mut report = format!("=== {}\n", case.name);
    let mut set = TemplateSet::new("gotpl");
    let mut out = Vec::new();
    let mut error = None;
    let mut frames = 0;
    for (name, text) in &case.files {
        if let Err(parse) = set.parse(*name, text.as_bytes(), functions.names()) {
            error = Some(parse.to_string());
            break;
        }
    }
    if error.is_none() {
        let mut interp = Interp::new(&(), &functions, set, Limits::default()).with_missing_key(case.missing_key);
        if let Err(exec) = interp.execute(case.files[0].0.as_bytes(), &world::data(), &mut out) {
            error = Some(exec.to_string());
            frames = exec.chain().filter(|error| error.place().is_some()).count();
        }
    }
    writeln!(report, "out {}", gotmpl::quote(&out)).expect("memory");
    if let Some(error) = error {
        writeln!(report, "err {}", gotmpl::quote(error.as_bytes())).expect("memory");
        if frames > 1 {
            writeln!(report, "frames {frames}").expect("memory");
        }
    }
    report
}

/// Compares case by case, so that a failure shows the case.
fn check(area: &str) {
    update();
    let mut paths: Vec<PathBuf> = std::fs::read_dir(root().join("cases").join(area))
        .expect("the area exists")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    paths.sort();
    let mut wrong = String::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).expect("readable");
        let expected = std::fs::read_to_string(path.with_extension("expected")).expect("run with UPDATE=1");
        let cases = parse_cases(&text);
        let expected: Vec<&str> = expected.split_inclusive("\n=== ").collect();
        assert_eq!(cases.len(), expected.len(), "{} is stale: run with UPDATE=1", path.display());
        for (index, case) in cases.iter().enumerate() {
            let got = run(case);
            let expected = expected[index].trim_end_matches("=== ");
            let expected = format!("{}{expected}", if index > 0 { "=== " } else { "" });
            if got != expected {
                let file = path.file_name().expect("a file").display();
                write!(wrong, "{file}: {:?}\n   Go: {expected} Rust: {got}\n", case.files[0].1).expect("memory");
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

macro_rules! areas {
    ($($test:ident: $area:literal,)*) => {
        $(#[test]
        fn $test() {
            check($area);
        })*
    };
}

areas! {
    text_and_trimming_are_as_in_go: "text",
    expressions_are_as_in_go: "expression",
    control_structures_are_as_in_go: "control",
    templates_call_each_other_as_in_go: "template",
    builtin_functions_are_as_in_go: "builtin",
    parse_errors_read_as_in_go: "parse-error",
    execution_errors_read_as_in_go: "exec-error",
}

#[test]
fn random_printf_calls_print_as_in_go() {
    update();
    let constants = world::constants();
    let vectors = std::fs::read_to_string(root().join("cases/printf.vectors")).expect("run with UPDATE=1");
    let mut wrong = String::new();
    let (mut count, mut failed) = (0, 0);
    for line in vectors.lines() {
        let mut columns = line.split('\t');
        let format = unquote(columns.next().expect("format"));
        let names = columns.next().expect("arguments");
        let expected = columns.next().expect("result");
        let args: Vec<Value> = names
            .split(' ')
            .map(|name| match name.strip_prefix('f') {
                Some(bits) => Value::Float64(f64::from_bits(u64::from_str_radix(bits, 16).expect("bits"))),
                None => constants[name.parse::<usize>().expect("number")].clone(),
            })
            .collect();
        let got = gotmpl::quote(gotmpl::printf(format.as_bytes(), &args).as_bytes()).to_string();
        count += 1;
        if got != expected {
            failed += 1;
            writeln!(wrong, "{format} {names}\n   Go: {expected}\n Rust: {got}").expect("memory");
        }
    }
    assert!(wrong.is_empty(), "{failed} of {count}\n{wrong}");
}

/// Formats only have quotes and backslashes to escape.
fn unquote(literal: &str) -> String {
    literal.trim_matches('"').replace("\\\"", "\"").replace("\\\\", "\\")
}

#[test]
fn floats_can_be_formatted_on_their_own() {
    assert_eq!(gotmpl::format_float(1.5e9, FloatFormat::General, None), "1.5e+09");
    assert_eq!(gotmpl::format_float(1.5e9, FloatFormat::Decimal, None), "1500000000");
    assert_eq!(gotmpl::format_float(0.25, FloatFormat::Decimal, Some(1)), "0.2");
}
