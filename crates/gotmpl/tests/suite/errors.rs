//! The structure behind an error: what Helm rewrites its messages from.

use crate::world;
use gotmpl::{ExecError, Functions, Interp, Limits, TemplateSet};

fn error_of(files: &[(&str, &str)]) -> ExecError {
    let functions = Functions::new(&[world::FUNCTIONS]);
    let mut set = TemplateSet::new("gotpl");
    for (name, text) in files {
        set.parse(*name, text.as_bytes(), functions.names()).expect("it parses");
    }
    let mut interp = Interp::new(&(), &functions, set, Limits::default());
    interp.execute(files[0].0.as_bytes(), &world::data(), &mut Vec::new()).expect_err("it fails")
}

/// Location, executing template, expression and message of each error of the chain.
fn trace(error: &ExecError) -> Vec<String> {
    let line = |error: &ExecError| match error.place() {
        Some(place) => {
            format!("{} {:?} <{}> {}", place.location(), place.template, place.expression, error.message())
        }
        None => error.message().to_owned(),
    };
    error.chain().map(line).collect()
}

#[test]
fn each_nested_template_is_one_error_of_the_chain() {
    let error = error_of(&[
        ("a.yaml", "\n{{ include \"x\" . }}"),
        ("_b.tpl", "{{ define \"x\" }}{{ template \"y\" .map }}{{ end }}{{ define \"y\" }}\n {{ .n.deep }}{{ end }}"),
    ]);
    assert_eq!(
        trace(&error),
        [
            "a.yaml:2:3 \"a.yaml\" <include \"x\" .> error calling include: ",
            "_b.tpl:2:6 \"y\" <.n.deep> nil pointer evaluating interface {}.deep",
        ]
    );
    assert_eq!(error.failure(), None);
    assert_eq!(error.root_cause(), None);
}

#[test]
fn a_failure_is_found_below_templates() {
    let error = error_of(&[
        ("a.yaml", "{{ include \"x\" . | upper }}"),
        ("_b.tpl", "{{ define \"x\" }}{{ tpl \"{{ fail .s }}\" . }}{{ end }}"),
    ]);
    assert_eq!(error.failure(), Some("hello"));
    assert_eq!(error.chain().count(), 3);
    assert_eq!(error.place().map(gotmpl::Place::location).as_deref(), Some("a.yaml:1:3"));
}

#[test]
fn an_error_of_a_function_is_no_failure() {
    let error = error_of(&[("a.yaml", "{{ .thing.Fail }}")]);
    assert_eq!(error.failure(), None);
    assert_eq!(error.root_cause().map(gotmpl::FuncError::message), Some("thing failed"));
}

#[test]
fn an_unknown_template_has_no_place() {
    let error = error_of(&[("a.yaml", "{{ include \"x\" . }}")]);
    assert_eq!(
        trace(&error),
        [
            "a.yaml:1:3 \"a.yaml\" <include \"x\" .> error calling include: ",
            "no template \"x\" associated with template \"gotpl\"",
        ]
    );
}

#[test]
fn parsing_into_a_clone_leaves_the_original_alone() {
    let functions = Functions::new(&[world::FUNCTIONS]);
    let mut original = TemplateSet::new("gotpl");
    original.parse("t", br#"{{define "x"}}old{{end}}{{template "x"}}"#, functions.names()).expect("it parses");
    let mut clone = original.clone();
    clone.parse("u", br#"{{define "x"}}new{{end}}"#, functions.names()).expect("it parses");
    let render = |set: &TemplateSet| {
        let mut out = Vec::new();
        let mut interp = Interp::new(&(), &functions, set.clone(), Limits::default());
        interp.execute(b"t", &world::data(), &mut out).expect("it renders");
        String::from_utf8(out).expect("text")
    };
    assert_eq!((render(&original), render(&clone)), ("old".to_owned(), "new".to_owned()));
}
