//! What the engine promises beyond Helm's output: bounds, repeatability, the cluster through one door, parsing once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use helm::chart::{Chart, File};
use helm::engine::{
    self, Capabilities, Error, ErrorKind, Limits, Lookup, LookupError, NoLookup, ParsedTemplates, ReleaseInfo,
    Rendered, Request, Warning,
};
use helm::release::{Release, codec};
use helm::values::{self, ActiveChart, ValuesMap};
use serde_json::json;

fn chart(template: &str) -> Chart {
    let mut chart = Chart::default();
    "web".clone_into(&mut chart.metadata.name);
    "1.0.0".clone_into(&mut chart.metadata.version);
    let data = Arc::from(template.as_bytes());
    chart.templates.push(File { name: "templates/a.yaml".to_owned(), data, modified: None });
    chart
}

struct Setup {
    lookup: Arc<dyn Lookup>,
    limits: Limits,
    templates: Option<ParsedTemplates>,
    seed: u8,
    values: ValuesMap,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            lookup: Arc::new(NoLookup),
            limits: Limits::default(),
            templates: None,
            seed: 0,
            values: ValuesMap::new(),
        }
    }
}

impl Setup {
    fn render(&self, chart: &Chart) -> Result<Rendered, Error> {
        engine::render_on_stack(&Request {
            chart,
            values: &self.values,
            release: &ReleaseInfo {
                name: "web".to_owned(),
                namespace: "default".to_owned(),
                revision: 1,
                is_upgrade: false,
            },
            capabilities: &Capabilities::default(),
            lookup: Arc::clone(&self.lookup),
            now: jiff::Zoned::default(),
            seed: [self.seed; engine::SEED_BYTES],
            limits: self.limits.clone(),
            templates: self.templates.as_ref(),
            subchart_notes: false,
        })
    }

    fn kind(&self, template: &str) -> ErrorKind {
        self.render(&chart(template)).expect_err("the render fails").kind()
    }
}

#[test]
fn endless_work_is_stopped() {
    let few_steps = Limits { steps: 100_000, ..Limits::default() };
    let setup = Setup { limits: few_steps, ..Setup::default() };
    assert_eq!(setup.kind("{{ range until 100000 }}{{ range until 100000 }}{{ end }}{{ end }}"), ErrorKind::Limit);
    let little_output = Limits { output_bytes: 10_000, ..Limits::default() };
    let setup = Setup { limits: little_output, ..Setup::default() };
    assert_eq!(setup.kind("{{ range until 100000 }}0123456789{{ end }}"), ErrorKind::Limit);
    let setup = Setup::default();
    setup.limits.stop.store(true, Ordering::Relaxed);
    assert_eq!(setup.kind("{{ range until 100000 }}{{ end }}"), ErrorKind::Limit);
}

#[test]
fn endless_recursion_is_an_error_and_not_a_crash() {
    let setup = Setup::default();
    for template in [
        "{{ define \"a\" }}{{ include \"a\" . }}{{ end }}{{ include \"a\" . }}",
        "{{ define \"a\" }}{{ template \"a\" . }}{{ end }}{{ template \"a\" . }}",
        "{{ define \"a\" }}{{ include \"b\" . }}{{ end }}{{ define \"b\" }}{{ include \"a\" . }}{{ end }}{{ include \"a\" . }}",
        "{{ $_ := set . \"t\" \"{{ tpl .t . }}\" }}{{ tpl .t . }}",
    ] {
        let error = setup.render(&chart(template)).expect_err("the render fails");
        assert!(matches!(error.kind(), ErrorKind::Template | ErrorKind::Limit), "{template}: {:?}", error.kind());
    }
}

#[test]
fn a_render_tells_whether_it_can_be_repeated() {
    let setup = Setup::default();
    // Whether it can be repeated, whether it went by chance, and whether it asked the cluster.
    for (template, told) in [
        ("a: {{ .Release.Name }}", (true, false, false)),
        ("a: {{ now }}", (false, true, false)),
        ("a: {{ randAlphaNum 8 }}", (false, true, false)),
        ("a: {{ lookup \"v1\" \"Secret\" \"\" \"\" | len }}", (false, false, true)),
    ] {
        let rendered = setup.render(&chart(template)).expect("it renders");
        let asked = rendered.looking_up.iter().any(|file| file.contains("/templates/"));
        assert_eq!((rendered.repeatable, rendered.by_chance, asked), told, "{template}");
    }
}

#[test]
fn random_text_follows_the_seed() {
    let text = |seed| {
        let setup = Setup { seed, ..Setup::default() };
        setup.render(&chart("a: {{ randAlphaNum 32 }} {{ uuidv4 }}")).expect("it renders").manifest
    };
    assert_eq!(text(1), text(1));
    assert_ne!(text(1), text(2));
}

struct OneSecret(AtomicBool);

impl Lookup for OneSecret {
    fn lookup(&self, version: &str, kind: &str, space: &str, name: &str) -> Result<serde_json::Value, LookupError> {
        self.0.store(true, Ordering::Relaxed);
        match (version, kind, space, name) {
            ("v1", "Secret", "ns", "there") => Ok(json!({"data": {"k": "dg=="}, "size": 3, "ratio": 0.5})),
            ("v1", "Secret", ..) => Ok(json!({})),
            _ => Err(LookupError::new("the server has no such kind")),
        }
    }
}

#[test]
fn lookup_asks_the_cluster() {
    let lookup = Arc::new(OneSecret(AtomicBool::new(false)));
    let setup = Setup { lookup: Arc::clone(&lookup) as Arc<dyn Lookup>, ..Setup::default() };
    let rendered = setup.render(&chart(
        "{{ $s := lookup \"v1\" \"Secret\" \"ns\" \"there\" }}a: {{ $s.data.k | b64dec }} {{ kindOf $s.size }} {{ kindOf $s.ratio }} {{ empty (lookup \"v1\" \"Secret\" \"ns\" \"none\") }}",
    ));
    assert_eq!(
        rendered.expect("it renders").manifest,
        "---\n# Source: web/templates/a.yaml\na: v int64 float64 true\n"
    );
    assert!(lookup.0.load(Ordering::Relaxed));
    let error = setup.render(&chart("{{ lookup \"v9\" \"No\" \"\" \"\" }}")).expect_err("the kind is unknown");
    assert!(error.to_string().ends_with("error calling lookup: the server has no such kind"), "{error}");
}

#[test]
fn templates_are_parsed_once_and_never_confused() {
    let one = chart("a: 1");
    let setup = Setup { templates: Some(ParsedTemplates::new(&one)), ..Setup::default() };
    let first = setup.render(&one).expect("it renders").manifest;
    assert_eq!(setup.render(&one).expect("it renders").manifest, first);
    let other = chart("a: 2");
    assert_ne!(setup.render(&other).expect("it renders").manifest, first);
    assert!(setup.templates.as_ref().is_some_and(|templates| templates.memory() > 0));
}

#[test]
fn errors_say_where() {
    let setup = Setup::default();
    let error = setup.render(&chart("a: 1\nb: {{ fail \"no\" }}")).expect_err("it fails");
    assert_eq!(error.location().as_deref(), Some("web/templates/a.yaml:2:6"));
    let error = setup.render(&chart("a: 1\nb: {{ nosuch }}")).expect_err("it fails");
    assert_eq!((error.kind(), error.location().as_deref()), (ErrorKind::Template, Some("web/templates/a.yaml:2")));
}

/// Values of so many levels, their own table included.
fn nested(levels: usize) -> ValuesMap {
    let inner =
        (2..levels).fold(json!({}), |inner, level| if level % 2 == 0 { json!([inner]) } else { json!({ "a": inner }) });
    ValuesMap::from_iter([("a".to_owned(), inner)])
}

#[test]
fn values_nest_as_deeply_as_a_record_of_them_can_be_read() {
    let template = "a: {{ toYaml .Values | len }} {{ toJson .Values | len }} {{ .Values.a | deepCopy | kindOf }}";
    for (of_chart, of_release) in [(500, 500), (500, 0), (0, 500), (300, 400)] {
        let chart = Chart { values: nested(of_chart), ..chart(template) };
        let setup = Setup { values: nested(of_release), ..Setup::default() };
        setup.render(&chart).expect("it renders");
        let recorded = engine::on_stack(|| {
            let active = ActiveChart::new(&chart, &setup.values).expect("it can be used");
            let release = Release { chart: (&active).into(), config: setup.values.clone(), ..Release::default() };
            let bytes = codec::encode(&release).expect("it can be written");
            codec::decode(&bytes).expect("it can be read") == release
        });
        assert!(recorded.expect("there is stack"));
    }
    let setup = Setup { values: nested(501), ..Setup::default() };
    let error = setup.render(&chart(template)).expect_err("they nest too deeply");
    assert_eq!(
        (error.kind(), error.to_string()),
        (ErrorKind::Values, "chart dependencies processing failed: the values nest more than 500 levels".to_owned())
    );
    // As text, the reader says so.
    let text = |levels: usize| values::parse(&format!("a: {}{}", "[".repeat(levels - 1), "]".repeat(levels - 1)));
    assert!(text(500).is_ok_and(|values| values::check_levels(&values).is_ok()));
    let error = text(501).expect_err("they nest too deeply").to_string();
    assert!(error.contains("500"), "{error}");
}

/// The chart `web` with the dependency `sub`, rendered for values; what Helm 4.3.1 logs of it, sorted, for it goes
/// through maps in a random order.
fn logged(defaults: [&str; 2], values: &str, dependency: Option<serde_json::Value>, template: &str) -> Vec<String> {
    let parse = |text: &str| values::parse(text).expect("values are YAML");
    let mut web = Chart { values: parse(defaults[0]), ..chart(template) };
    let mut sub = Chart { values: parse(defaults[1]), ..Chart::default() };
    "sub".clone_into(&mut sub.metadata.name);
    "0.1.0".clone_into(&mut sub.metadata.version);
    web.dependencies.push(sub);
    let dependency = dependency.map(|named| serde_json::from_value(named).expect("it is a dependency"));
    web.metadata.dependencies.extend(dependency);
    let setup = Setup { values: parse(values), ..Setup::default() };
    let rendered = setup.render(&web).expect("it renders");
    let mut lines: Vec<_> = rendered.warnings.iter().map(Warning::log_line).collect();
    lines.sort();
    lines
}

#[test]
fn what_does_not_fit_together_is_told_as_helm_logs_it() {
    let info = |text: &str| format!("level=INFO msg=\"{text}\"");
    for (defaults, values, expected) in [
        (["b: text", ""], "b: {y: 1}", "warning: skipped value for web.b: Not a table."),
        (["sub: {b: {x: 2}}", "b: [1]"], "", "warning: skipped value for web.sub.b: Not a table."),
        (
            ["", "d: {e: {f: 1}}"],
            "sub: {d: {e: text}}",
            "warning: cannot overwrite table with non table for web.sub.d.e (map[f:1])",
        ),
        (
            ["a: {z: [1]}", ""],
            "a: {z: {q: 1}}",
            "warning: destination for web.a.z is a table. Ignoring non-table value ([1])",
        ),
        (
            ["", ""],
            "{global: {g: {h: 1}}, sub: {global: {g: text}}}",
            "Conflict: cannot merge map onto non-map for \\\"g\\\". Skipping.",
        ),
        (["", ""], "{global: {g: text}, sub: {global: {g: {h: 1}}}}", "key g is table. Skipping"),
        (
            ["", ""],
            "{global: {g: {h: {i: 1}}}, sub: {global: {g: {h: text}}}}",
            "warning: destination for web.g.h is a table. Ignoring non-table value (text)",
        ),
        (
            ["", ""],
            "{global: {g: 1}, sub: {global: 3}}",
            "warning: skipping globals because destination global is not a table.",
        ),
        (["", ""], "global: 3", "warning: skipping globals because source global is not a table."),
    ] {
        assert_eq!(logged(defaults, values, None, ""), [info(expected)], "{defaults:?} {values}");
    }
    for (defaults, values) in
        [(["b: null", ""], "b: {y: 1}"), (["", "b: {x: 1}"], "sub: {b: null}"), (["b: {q: 1}", ""], "b: 3")]
    {
        assert_eq!(logged(defaults, values, None, ""), [""; 0], "{defaults:?} {values}");
    }
}

#[test]
fn what_is_passed_over_is_told_as_helm_logs_it() {
    let dependency = |more: serde_json::Value| {
        let mut all = json!({"name": "sub", "version": "0.1.0"});
        all.as_object_mut().expect("it is an object").extend(more.as_object().cloned().unwrap_or_default());
        Some(all)
    };
    let imports = dependency(json!({"import-values": ["data", {"child": "s", "parent": "q"}]}));
    assert_eq!(
        logged(["", "{exports: {data: text}, s: 3}"], "", imports, ""),
        [
            r#"level=WARN msg="ImportValues missing table from chart" chart=sub error="\"s\" is not a table""#,
            r#"level=WARN msg="ImportValues missing table" error="\"data\" is not a table""#,
        ]
    );
    let switched = dependency(json!({"condition": "b,sub.v,missing", "tags": ["t1"]}));
    assert_eq!(
        logged(["b: text", "v: text"], "tags: {t1: yes!}", switched, ""),
        [
            r#"level=WARN msg="returned non-bool value" path=b chart=sub"#,
            r#"level=WARN msg="returned non-bool value" path=sub.v chart=sub"#,
            r#"level=WARN msg="returned non-bool value" tag=t1 chart=sub"#,
        ]
    );
    for (events, shown) in [
        ("nope", "nope"),
        ("nope, other,pre-install", "\"nope, other,pre-install\""),
        ("", "\"\""),
        ("a b,c=d", "\"a b,c=d\""),
    ] {
        let hook = format!("kind: A\nmetadata: {{annotations: {{\"helm.sh/hook\": \"{events}\"}}}}\n");
        let line = format!("level=INFO msg=\"skipping unknown hooks\" hookTypes={shown}");
        assert_eq!(logged(["", ""], "", None, &hook), [line]);
    }
}

/// A variable that is about to be assigned is handed over to what computes its next value; nobody may notice.
#[test]
fn values_that_are_handed_over_change_for_nobody_else() {
    for (template, expected) in [
        (r"{{$l := list 1}}{{$k := $l}}{{$l = append $l 2}}{{$l}} {{$k}}", "[1 2] [1]"),
        (r"{{$l := list 1}}{{$l = append $l (len $l)}}{{$l}}", "[1 1]"),
        (r#"{{$l := list 1}}{{$d := dict "l" $l}}{{$l = append $l 2}}{{$l}} {{$d.l}}"#, "[1 2] [1]"),
        (r"{{$l := list 1}}{{range $l}}{{$l = append $l 2}}{{end}}{{$l}}", "[1 2]"),
        (r"{{$l := list 1 2}}{{range $i, $x := $l}}{{$l = append $l $x}}{{end}}{{$l}}", "[1 2 1 2]"),
        (r"{{$l := list 1}}{{$l = concat $l $l}}{{$l}}", "[1 1]"),
        (r"{{$l := list 1}}{{$k := $l}}{{$l = concat (append $l 2) (list 3)}}{{$l}} {{$k}}", "[1 2 3] [1]"),
        (r"{{$l := list 1}}{{with $l}}{{$l = append $l 2}}{{.}}{{end}}{{$l}}", "[1][1 2]"),
        (r"{{$l := list 1}}{{if $l = append $l 2}}{{$l}}{{end}}", "[1 2]"),
        (r"{{$l := list 1}}{{$l = append $l ($l = list 9)}}{{$l}}", "[1 [9]]"),
        (r"{{$l := list 1}}{{range $l = append $l 2}}{{.}}{{end}}{{$l}}", "122"),
        (r#"{{$s := "a"}}{{$t := $s}}{{$s = print $s "b"}}{{$s}} {{$t}}"#, "ab a"),
        (r#"{{$s := "a"}}{{$s = printf "%s%s" $s $s}}{{$s}}"#, "aa"),
        (r#"{{$d := dict "a" 1}}{{$e := $d}}{{$d = merge $d (dict "b" 2)}}{{$d}} {{$e}}"#, "map[a:1 b:2] map[a:1 b:2]"),
        (r"{{$l := list 1}}{{$l = concat $l}}{{$l = $l | append (list 0)}}{{$l}}", "[0 [1]]"),
        (r"{{$l := list 1}}{{$l = append $l 2 | len}}{{$l}}", "2"),
        (
            r#"{{define "x"}}{{$l := list 5}}{{$l = append $l .}}{{$l}}{{end}}{{$l := 1}}{{$l = append (list $l) (include "x" $l)}}{{$l}}"#,
            "[1 [5 1]]",
        ),
        (r#"{{$d := dict "l" (list 1)}}{{$d = append $d.l 2}}{{$d}}"#, "[1 2]"),
        (r"{{$l := list 1}}{{$l := list 2}}{{if true}}{{$l = append $l 3}}{{end}}{{$l}}", "[2 3]"),
    ] {
        let rendered = Setup::default().render(&chart(&format!("a: '{template}'\n"))).expect("it renders");
        assert_eq!(
            rendered.manifest.trim_end().lines().last(),
            Some(format!("a: '{expected}'").as_str()),
            "{template}"
        );
    }
}
