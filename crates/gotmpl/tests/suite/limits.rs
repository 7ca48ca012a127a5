//! Templates that ask for too much end with an error, and never with the process.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::world;
use gotmpl::{ExecError, Functions, Interp, Limit, Limits, Template, TemplateSet};

/// What [`Limits`] promises for the default depth.
const STACK: usize = 64 << 20;

fn parsed(source: &str, functions: &Functions<()>) -> TemplateSet {
    let mut set = TemplateSet::new("gotpl");
    set.parse("t", source.as_bytes(), functions.names()).expect("it parses");
    set
}

fn render(source: &str, limits: Limits) -> Result<Vec<u8>, ExecError> {
    let functions = Functions::new(&[world::FUNCTIONS]);
    let set = parsed(source, &functions);
    let mut out = Vec::new();
    Interp::new(&(), &functions, set, limits).execute(b"t", &world::data(), &mut out).map(|()| out)
}

fn limit_of(source: &'static str, limits: fn() -> Limits) -> Option<Limit> {
    let render = move || render(source, limits()).map(|out| out.len()).expect_err("it asks for too much").limit();
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(render);
    thread.expect("a thread starts").join().expect("no stack overflow")
}

#[test]
fn recursion_ends_at_the_depth_limit() {
    for source in [
        r#"{{define "x"}}{{include "x" .}}{{end}}{{include "x" .}}"#,
        r#"{{define "x"}}{{template "x" .}}{{end}}{{template "x" .}}"#,
        r#"{{define "x"}}{{if true}}{{with .}}{{range .list}}{{include "x" $}}{{end}}{{end}}{{end}}{{end}}{{include "x" .}}"#,
        r#"{{define "x"}}{{print (print (include "x" .))}}{{end}}{{include "x" .}}"#,
        r#"{{define "x"}}{{$.s | pair (and true (or false (. | include "x"))) | upper}}{{end}}{{include "x" .}}"#,
        r#"{{define "x"}}{{tpl "{{include \"x\" .}}" .}}{{end}}{{include "x" .}}"#,
    ] {
        assert_eq!(limit_of(source, Limits::default), Some(Limit::Depth), "{source}");
    }
}

#[test]
fn nested_source_ends_at_the_parse_limit() {
    let functions = Functions::new(&[world::FUNCTIONS]);
    let nest =
        |open: &str, middle: &str, close: &str, depth| format!("{}{middle}{}", open.repeat(depth), close.repeat(depth));
    for (source, deep) in [
        (nest("(", "1", ")", 990), false),
        (nest("(", "1", ")", 1001), true),
        (nest("(", "1", ")", 1_000_000), true),
        (nest("(", "", "", 1_000_000), true),
    ] {
        let parsed = TemplateSet::new("gotpl").parse("t", format!("{{{{{source}}}}}").as_bytes(), functions.names());
        let message = parsed.err().map(|error| error.message);
        assert_eq!(message.as_deref(), deep.then_some("max expression depth exceeded"));
    }
    for depth in [1001, 200_000] {
        for (open, close) in [
            ("{{if true}}", "{{end}}"),
            ("{{range .x}}", "{{end}}"),
            ("{{block \"x\" .}}", "{{end}}"),
            ("{{if true}}{{else if true}}", ""),
        ] {
            let source = nest(open, "x", close, depth);
            let error = TemplateSet::new("gotpl").parse("t", source.as_bytes(), functions.names()).err();
            assert_eq!(error.expect("it is too deep").message, "max expression depth exceeded");
        }
    }
    let deepest = nest("{{if true}}", "x", "{{end}}", 990);
    assert_eq!(render(&deepest, Limits::default()), Ok(b"x".to_vec()));
}

#[test]
fn endless_work_ends_at_the_step_limit() {
    for source in [
        "{{range 9223372036854775807}}{{end}}",
        "{{range 9223372036854775807}}{{range 9223372036854775807}}{{end}}{{end}}",
        "{{$x := .s}}{{range 1000000}}{{$x = print $x $x}}{{end}}",
    ] {
        assert_eq!(limit_of(source, || Limits { steps: 1_000_000, ..Limits::default() }), Some(Limit::Steps));
    }
}

#[test]
fn endless_output_ends_at_the_output_limit() {
    for source in [
        "{{range 9223372036854775807}}0123456789{{end}}",
        "{{range 9223372036854775807}}{{$.s}}{{end}}",
        r#"{{define "x"}}0123456789{{end}}{{range 9223372036854775807}}{{$_ := include "x" .}}{{end}}"#,
    ] {
        assert_eq!(limit_of(source, || Limits { output: 1_000_000, ..Limits::default() }), Some(Limit::Output));
    }
}

#[test]
fn values_without_end_can_be_printed_and_dropped() {
    for (source, limit) in [
        ("{{$x := list 1}}{{range 100}}{{$x = list $x $x}}{{end}}{{$x}}", Limit::Output),
        ("{{$x := list 1}}{{range 100}}{{$x = dict \"a\" $x \"b\" $x}}{{end}}{{print $x}}", Limit::Output),
        ("{{$x := list}}{{range 1000000}}{{$x = list $x}}{{end}}{{html $x}}", Limit::Nesting),
        ("{{$x := dict}}{{range 100000}}{{$x = dict \"a\" $x}}{{end}}{{printf \"%s\" $x}}", Limit::Nesting),
        ("{{$_ := set .map \"self\" .map}}{{println .map}}", Limit::Nesting),
        ("{{$x := list .list .list .list .list}}{{printf \"%1000000v\" (list $x $x $x $x $x)}}", Limit::Output),
    ] {
        assert_eq!(limit_of(source, Limits::default), Some(limit), "{source}");
    }
    let format = "%1000000d".repeat(1000);
    assert!(gotmpl::printf(format.as_bytes(), &vec![gotmpl::Value::Int(1); 1000]).len() < 66 << 20);
}

#[test]
fn the_host_can_stop_an_evaluation() {
    let stopped =
        || Limits { cancelled: Some(Arc::new(AtomicBool::new(true))), steps: 1_000_000_000, ..Limits::default() };
    assert_eq!(limit_of("{{range 9223372036854775807}}{{end}}", stopped), Some(Limit::Cancelled));
}

#[test]
fn a_limit_is_reported_where_it_was_reached() {
    let limits = Limits { output: 10, ..Limits::default() };
    let source = "a\n{{define \"x\"}}\n{{.}}{{end}}{{include \"x\" .wide}}{{include \"x\" .wide}}";
    let error = render(source, limits).expect_err("it writes too much");
    assert_eq!(
        error.to_string(),
        "template: t:3:14: executing \"t\" at <include \"x\" .wide>: error calling include: template: t:3:2: \
         executing \"x\" at <{{.}}>: too much output"
    );
}

#[test]
fn parsed_templates_are_shared_between_threads() {
    fn shareable<T: Send + Sync>() {}
    shareable::<TemplateSet>();
    shareable::<Template>();
    shareable::<ExecError>();
}
