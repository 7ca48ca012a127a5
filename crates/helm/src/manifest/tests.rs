//! Tables of documents and what Helm 4.3.1 makes of them.
//!
//! `tests/manifests.rs` compares whole outputs with recordings of `helm template`.

use super::*;

#[test]
fn documents_end_where_a_line_starts_with_dashes() {
    let cases: [(&str, &[&str]); 14] = [
        ("", &[]),
        (" \n\t\n", &[]),
        ("---\n", &[]),
        ("a: 1\n", &["a: 1\n"]),
        ("\n\n  a: 1\n\n", &["a: 1\n\n"]),
        ("---\na: 1\n---\nb: 2\n", &["a: 1\n", "b: 2\n"]),
        ("a: 1\n---\n---\n\n---\nb: 2", &["a: 1\n", "b: 2"]),
        ("a: 1\n--- b: 2\n", &["a: 1\n", "b: 2\n"]),
        ("a: 1\n---b: 2\n", &["a: 1\n", "b: 2\n"]),
        ("a: 1\n--- # why\nb: 2\n", &["a: 1\n", "# why\nb: 2\n"]),
        ("a: |\n  x\n ---\n  y\n", &["a: |\n  x\n ---\n  y\n"]),
        ("------\na: 1\n", &["---\na: 1\n"]),
        ("a: 1\r\n---\r\nb: 2\r\n", &["a: 1\r\n", "b: 2\r\n"]),
        ("\u{a0}\u{2003}---\na: 1", &["a: 1"]),
    ];
    for (text, documents) in cases {
        assert_eq!(split(text), documents, "{text:?}");
    }
}

#[test]
fn kinds_go_in_helm_s_order_and_back() {
    let mut kinds =
        ["Zebra", "Ingress", "Deployment", "Alpaca", "Service", "Namespace", "ValidatingWebhookConfiguration", ""];
    kinds.sort_by(|a, b| Order::Install.compare(a, b));
    assert_eq!(
        kinds,
        ["Namespace", "Service", "Deployment", "Ingress", "ValidatingWebhookConfiguration", "", "Alpaca", "Zebra"]
    );
    kinds.sort_by(|a, b| Order::Uninstall.compare(a, b));
    assert_eq!(
        kinds,
        ["ValidatingWebhookConfiguration", "Ingress", "Service", "Deployment", "Namespace", "", "Alpaca", "Zebra"]
    );
}

/// Sorts one file, `c/templates/a.yaml`.
fn sorted(text: &str) -> Result<(Vec<Hook>, Vec<Manifest>), Error> {
    sort(&[("c/templates/a.yaml".to_owned(), text.to_owned())].into(), Order::Install)
}

#[test]
fn objects_of_one_kind_stay_in_the_order_of_their_files() {
    let files = [
        ("c/templates/b.yaml", "kind: ConfigMap\nmetadata: {name: b1}\n---\nkind: Service\nmetadata: {name: b2}\n"),
        ("c/templates/a.yaml", "kind: Service\nmetadata: {name: a1}\n---\nkind: ConfigMap\nmetadata: {name: a2}\n"),
        ("c/templates/_helpers.tpl", "kind: ConfigMap\n"),
        ("c/templates/blank.yaml", "\n \n"),
        ("c/charts/_sub/z.yaml", "kind: ConfigMap\nmetadata: {name: z}\n"),
    ];
    let files = files.map(|(path, text)| (path.to_owned(), text.to_owned())).into();
    let (hooks, manifests) = sort(&files, Order::Install).expect("the files are well formed");
    assert!(hooks.is_empty());
    let names: Vec<_> = manifests.iter().map(|manifest| manifest.object_name.as_str()).collect();
    assert_eq!(names, ["z", "a2", "b1", "a1", "b2"]);
}

#[test]
fn hooks_are_told_by_their_annotations() {
    let text = "kind: Job\nmetadata:\n  name: 7\n  annotations:\n    helm.sh/hook: Pre-Install , test-success\n    \
                helm.sh/hook-weight: -5\n    helm.sh/hook-delete-policy: Hook-Succeeded, never,\n    \
                helm.sh/hook-output-log-policy: hook-failed\n";
    let (hooks, manifests) = sorted(text).expect("a hook");
    assert!(manifests.is_empty());
    let expected = Hook {
        name: "7".to_owned(),
        kind: "Job".to_owned(),
        path: "c/templates/a.yaml".to_owned(),
        manifest: text.to_owned(),
        events: vec![HookEvent::PreInstall, HookEvent::Test],
        weight: -5,
        delete_policies: vec![
            DeletePolicy::HookSucceeded,
            DeletePolicy::Other("never".to_owned()),
            DeletePolicy::Other(String::new()),
        ],
        output_log_policies: vec![OutputLogPolicy::HookFailed],
        last_run: HookRun::default(),
    };
    assert_eq!(hooks, [expected]);
}

#[test]
fn a_hook_with_an_unknown_event_is_dropped() {
    for events in ["crd-install", "\"pre-install,nope\"", "\"\"", "null"] {
        let (hooks, manifests) =
            sorted(&format!("metadata: {{annotations: {{helm.sh/hook: {events}}}}}")).expect("YAML");
        assert!(hooks.is_empty() && manifests.is_empty(), "{events}");
    }
}

#[test]
fn a_weight_that_is_no_integer_is_zero() {
    for (weight, expected) in
        [("5.0", 5), ("\"5.0\"", 0), ("+3", 3), ("\" 3\"", 0), ("heavy", 0), ("10000000000", 10_000_000_000)]
    {
        let text = format!("metadata: {{annotations: {{helm.sh/hook: test, helm.sh/hook-weight: {weight}}}}}");
        assert_eq!(sorted(&text).expect("YAML").0[0].weight, expected, "{weight}");
    }
}

#[test]
fn hooks_run_by_weight_then_name_then_as_rendered() {
    let hook = |name: &str, weight, event: HookEvent| Hook {
        name: name.to_owned(),
        weight,
        events: vec![event],
        ..Hook::default()
    };
    let hooks = [
        hook("b", 0, HookEvent::PreInstall),
        hook("a", 5, HookEvent::PreInstall),
        hook("a", 0, HookEvent::PreInstall),
        hook("x", -9, HookEvent::Test),
        hook("c", -1, HookEvent::PreInstall),
    ];
    let run: Vec<_> = hook::in_run_order(&hooks, &HookEvent::PreInstall)
        .into_iter()
        .map(|hook| (hook.name.as_str(), hook.weight))
        .collect();
    assert_eq!(run, [("c", -1), ("a", 0), ("b", 0), ("a", 5)]);
    assert_eq!(hooks[0].effective_delete_policies(), [DeletePolicy::BeforeHookCreation]);
}

#[test]
fn field_names_match_without_regard_to_case() {
    let (_, manifests) = sorted("KIND: A\nkind: Pod\nApiVersion: v1\nMetadata: {NAME: x}\n").expect("YAML");
    let manifest = &manifests[0];
    assert_eq!(
        (manifest.kind.as_str(), manifest.api_version.as_str(), manifest.object_name.as_str()),
        ("Pod", "v1", "x")
    );
}

#[test]
fn scalars_become_text_as_in_go() {
    for (scalar, text) in [
        ("3", "3"),
        ("1.0", "1"),
        ("1.5", "1.5"),
        ("12345678", "12345678"),
        ("1234567.5", "1.2345675e+06"),
        ("0.00001", "1e-05"),
        ("true", "true"),
        ("~", ""),
        ("2001-01-01", "2001-01-01"),
    ] {
        let (_, manifests) = sorted(&format!("kind: {scalar}")).expect("YAML");
        assert_eq!(manifests[0].kind, text, "{scalar}");
    }
}

/// Recorded from `helm template` 4.3.1.
#[test]
fn documents_that_are_no_objects_are_refused_in_helm_s_words() {
    const DECODING: &str = "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal";
    const METADATA: &str =
        r#"struct { Name string "json:\"name\""; Annotations map[string]string "json:\"annotations\"" }"#;
    let cases = [
        ("foo", format!("{DECODING} string into Go value of type util.SimpleHead")),
        ("[a]", format!("{DECODING} array into Go value of type util.SimpleHead")),
        ("3", format!("{DECODING} number into Go value of type util.SimpleHead")),
        ("true", format!("{DECODING} bool into Go value of type util.SimpleHead")),
        ("kind: {a: X}", format!("{DECODING} object into Go struct field SimpleHead.kind of type string")),
        (
            "apiVersion: [X]\nkind: [Y]",
            format!("{DECODING} array into Go struct field SimpleHead.apiVersion of type string"),
        ),
        ("metadata: []", format!("{DECODING} array into Go struct field SimpleHead.metadata of type {METADATA}")),
        ("METADATA: 3", format!("{DECODING} number into Go struct field SimpleHead.metadata of type {METADATA}")),
        ("metadata: {name: [1]}", format!("{DECODING} array into Go struct field .metadata.name of type string")),
        (
            "metadata: {annotations: foo}",
            format!("{DECODING} string into Go struct field .metadata.annotations of type map[string]string"),
        ),
        (
            "metadata: {annotations: {a: {b: 1}}}",
            format!("{DECODING} object into Go struct field .metadata.annotations of type string"),
        ),
        ("a: b: c", "error converting YAML to JSON: yaml: mapping values are not allowed in this context".to_owned()),
        ("a: 1\nx: {\n", "error converting YAML to JSON: yaml: line 2: did not find expected node content".to_owned()),
        ("a: .inf", "error converting YAML to JSON: json: unsupported value: +Inf".to_owned()),
    ];
    for (text, problem) in cases {
        let error = sorted(text).expect_err("Helm refuses it");
        assert_eq!(error.to_string(), format!("YAML parse error on c/templates/a.yaml: {problem}"), "{text}");
    }
}

#[test]
fn a_stored_manifest_reads_back_in_the_order_of_removal() {
    let (_, manifests) = sorted("kind: Service\n---\nkind: Pod\n---\nkind: Namespace\n").expect("YAML");
    let stored = join(&manifests);
    let removed = of_record(&stored, Order::Uninstall).expect("what was stored is readable");
    let removed: Vec<_> = removed.iter().map(|manifest| (manifest.name.as_str(), manifest.kind.as_str())).collect();
    assert_eq!(removed, ["Service", "Pod", "Namespace"].map(|kind| ("c/templates/a.yaml", kind)));
}

#[test]
fn rendered_text_is_not_printed_by_accident() {
    let (hooks, manifests) = sorted("kind: Secret\nstringData: {password: hunter2}\n---\nkind: Secret\nmetadata: {annotations: {helm.sh/hook: test}}\nstringData: {password: hunter2}\n").expect("YAML");
    assert_eq!((hooks.len(), manifests.len()), (1, 1));
    assert!(!format!("{hooks:#?}{manifests:#?}").contains("hunter2"));
}
