//! Records to Secrets and back, and what the server's refusals mean, without a server.
//!
//! `e2e/tests/stories/helm_cli.rs` holds the same against a real API server and real Helm.

use helm::manifest::HookEvent;
use helm::release::{ChartFile, ReleaseChart, Status};
use kube::core::Status as Refusal;
use serde_json::json;

use super::*;

fn release() -> Release {
    serde_json::from_value(json!({
        "name": "demo",
        "namespace": "apps",
        "version": 3,
        "info": {"status": "pending-upgrade", "notes": "hunter2"},
        "config": {"password": "hunter2"},
        "manifest": "password: hunter2",
    }))
    .expect("a release")
}

fn marks() -> Marks {
    Marks {
        owner: "apps/demo".to_owned(),
        uid: "u-1".to_owned(),
        generation: 7,
        inputs: "ab12".to_owned(),
        declared: "cd34".to_owned(),
        chart: "demo-1.0.0".to_owned(),
        digest: "sha256:cd".to_owned(),
        attempt: 2,
        made: Made { since: time(100), revisions: 3 },
        lately: Made { since: time(50), revisions: 9 },
        why: Why::next(None, &[("Secret a".to_owned(), "1a2b3c4d".to_owned())], ""),
        applied: true,
        unapplied: true,
        ended: Some("NotReady".to_owned()),
        absent: Some(vec![0, 12]),
        remedies: Some(Remedied {
            failed: 6,
            to: 5,
            attempt: 2,
            reason: "NotReady".to_owned(),
            declared: "ef56".to_owned(),
            inputs: "sha256:a/b".to_owned(),
        }),
        hooked: true,
        unremedied: true,
        tested: Some(Tested { outcome: Outcome::Failed, ran: 3, declared: "0a1b".to_owned(), asked: "a/b".to_owned() }),
        forced: Some("now".to_owned()),
        asked: Some("then".to_owned()),
        planned: Some("sha256:b/c".to_owned()),
        basis: "sha256:d".to_owned(),
        fields: vec![0, 0x1a2b, u32::MAX],
        hooks: Some(HooksBegun { event: HookEvent::PostUpgrade, since: time(100) }),
        cluster: "prod/value".to_owned(),
        home: "u-9".to_owned(),
        namespace: "apps".to_owned(),
        varies: vec!["demo/templates/a.yaml".to_owned(), "demo/templates/b.yaml".to_owned()],
    }
}

fn time(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

/// The Secret as a server would hold it.
fn stored(metadata: ObjectMeta, release: &Release) -> Secret {
    let at = SecretRef::of(&metadata);
    let data = secret::encode(&at, &mut release.clone(), Most::Later).expect("it fits");
    let body = secret::to_json(&at, metadata, data).expect("JSON");
    serde_json::from_slice(&body).expect("a Secret")
}

fn read(content: Secret) -> Result<Record, Error> {
    secret::to_record(&SecretRef::of(&content.metadata), content)
}

#[test]
fn a_new_secret_is_what_helm_makes_with_our_marks() {
    let mut release = release();
    release.labels.insert("team".to_owned(), "a".to_owned());
    let mut secret =
        serde_json::to_value(stored(secret::new_metadata((&release.namespace, &release), &marks(), time(5)), &release))
            .expect("JSON");
    let data = secret.as_object_mut().expect("an object").remove("data").expect("it has data");
    assert_eq!(data.as_object().expect("an object").keys().collect::<Vec<_>>(), ["release"]);
    let bytes =
        secret["metadata"]["annotations"].as_object_mut().and_then(|it| it.remove("helm-operator.ketches.cn/bytes"));
    let packed = secret::encode(&SecretRef::new("", ""), &mut release, Most::First).expect("it fits");
    assert_eq!(bytes, Some(json!(packed.len().to_string())), "it tells how large the record is");
    assert_eq!(
        secret,
        json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "helm.sh/release.v1",
            "metadata": {
                "name": "sh.helm.release.v1.demo.v3",
                "namespace": "apps",
                "labels": {
                    "name": "demo", "owner": "helm", "status": "pending-upgrade", "version": "3",
                    "createdAt": "5", "team": "a",
                },
                "annotations": {
                    "helm-operator.ketches.cn/owner": "apps/demo",
                    "helm-operator.ketches.cn/uid": "u-1",
                    "helm-operator.ketches.cn/generation": "7",
                    "helm-operator.ketches.cn/inputs": "ab12",
                    "helm-operator.ketches.cn/declared": "cd34",
                    "helm-operator.ketches.cn/chart": "demo-1.0.0",
                    "helm-operator.ketches.cn/cluster": "prod/value",
                    "helm-operator.ketches.cn/namespace": "apps",
                    "helm-operator.ketches.cn/digest": "sha256:cd",
                    "helm-operator.ketches.cn/attempt": "2",
                    "helm-operator.ketches.cn/made": "100/3",
                    "helm-operator.ketches.cn/lately": "50/9",
                    "helm-operator.ketches.cn/home": "u-9",
                    "helm-operator.ketches.cn/asked": "then",
                    "helm-operator.ketches.cn/basis": "sha256:d",
                    "helm-operator.ketches.cn/why": "1a2b3c4d/0/Secret a",
                    "helm-operator.ketches.cn/applied": "true",
                    "helm-operator.ketches.cn/ended": "NotReady",
                    "helm-operator.ketches.cn/absent": "0,12",
                    "helm-operator.ketches.cn/forced": "now",
                    "helm-operator.ketches.cn/planned": "sha256:b/c",
                    "helm-operator.ketches.cn/fields": "0000000000001a2bffffffff",
                    "helm-operator.ketches.cn/hooks": "post-upgrade/1970-01-01T00:01:40Z",
                    "helm-operator.ketches.cn/hooked": "true",
                    "helm-operator.ketches.cn/unapplied": "true",
                    "helm-operator.ketches.cn/unremedied": "true",
                    "helm-operator.ketches.cn/varies": "demo/templates/a.yaml\ndemo/templates/b.yaml",
                    "helm-operator.ketches.cn/remedies": "6/5/2/NotReady/ef56/sha256:a/b",
                    "helm-operator.ketches.cn/tested": "failed/3/0a1b/a/b",
                },
            },
        })
    );
}

#[test]
fn a_record_reads_back_and_changes_without_losing_what_others_put_there() {
    let mut metadata = secret::new_metadata(("apps", &release()), &marks(), time(5));
    metadata.resource_version = Some("42".to_owned());
    metadata.finalizers = Some(vec!["example.com/keep".to_owned()]);
    metadata.annotations.get_or_insert_default().insert("example.com/note".to_owned(), "x".to_owned());
    metadata.labels.get_or_insert_default().insert("team".to_owned(), "a".to_owned());
    let mut record = read(stored(metadata, &release())).expect("a record");
    assert_eq!((record.revision(), record.resource_version(), record.marks.as_ref()), (3, "42", Some(&marks())));

    record.release.info.status = Status::Deployed;
    record.marks = None;
    record.counted = Some(Counted { owner: "apps/demo".to_owned(), generation: 7, ..Counted::default() });
    let mut changed = secret::changed_metadata(&record, time(9));
    changed
        .annotations
        .get_or_insert_default()
        .remove("helm-operator.ketches.cn/bytes")
        .expect("it was written with it");
    assert_eq!(
        serde_json::to_value(&changed).expect("JSON"),
        json!({
            "name": "sh.helm.release.v1.demo.v3",
            "namespace": "apps",
            "resourceVersion": "42",
            "finalizers": ["example.com/keep"],
            "labels": {
                "name": "demo", "owner": "helm", "status": "deployed", "version": "3",
                "createdAt": "5", "modifiedAt": "9", "team": "a",
            },
            "annotations": {"example.com/note": "x", "helm-operator.ketches.cn/counted": "7/0/0/apps/demo"},
        })
    );
    let again = read(stored(changed, &record.release)).expect("a record");
    assert_eq!((&again.release, &again.counted), (&record.release, &record.counted));
}

#[test]
fn metadata_alone_tells_the_revision() {
    let mut metadata = secret::new_metadata(("apps", &release()), &marks(), time(5));
    metadata.resource_version = Some("42".to_owned());
    let meta = RecordMeta::from_metadata(&metadata).expect("a record");
    assert_eq!((&meta.release, meta.revision), (&ReleaseKey::new("apps", "demo"), 3));
    assert_eq!(
        (meta.status, meta.marks, meta.resource_version.as_str()),
        (Status::PendingUpgrade, Some(marks()), "42")
    );
}

#[test]
fn marks_count_only_together() {
    for missing in ["owner", "uid", "generation", "inputs"] {
        let mut metadata = secret::new_metadata(("apps", &release()), &marks(), time(5));
        let annotations = metadata.annotations.as_mut().expect("there are marks");
        annotations.remove(&format!("helm-operator.ketches.cn/{missing}")).expect("it was there");
        assert_eq!(RecordMeta::from_metadata(&metadata).expect("a record").marks, None, "{missing}");
    }
}

#[test]
fn the_last_write_is_told_by_helms_own_label() {
    let mut metadata = secret::new_metadata(("apps", &release()), &marks(), time(5));
    metadata.creation_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(time(5)));
    let modified = |metadata: &ObjectMeta| RecordMeta::from_metadata(metadata).expect("a record").modified_at;
    assert_eq!(modified(&metadata), Some(time(5)));
    metadata.labels.get_or_insert_default().insert("modifiedAt".to_owned(), "9".to_owned());
    assert_eq!(modified(&metadata), Some(time(9)));
}

#[test]
fn other_secrets_are_refused_by_name() {
    for (label, value, words) in [
        ("owner", Some("me"), "label \"owner\""),
        ("name", None, "label \"name\""),
        ("version", Some("x"), "label \"version\""),
        ("status", None, "label \"status\""),
    ] {
        let mut metadata = secret::new_metadata(("apps", &release()), &marks(), time(5));
        let labels = metadata.labels.as_mut().expect("there are labels");
        labels.remove(label);
        labels.extend(value.map(|value| (label.to_owned(), value.to_owned())));
        let error = RecordMeta::from_metadata(&metadata).expect_err("it is damaged").to_string();
        let secret = "release secret \"apps/sh.helm.release.v1.demo.v3\"";
        assert_eq!(error, format!("{secret} is no release record: it has no valid {words}"));
    }
    // A copy beside the record, as a backup has it.
    let mut copy = secret::new_metadata(("apps", &release()), &marks(), time(5));
    copy.name = Some("sh.helm.release.v1.demo.v3-bak".to_owned());
    assert!(matches!(RecordMeta::from_metadata(&copy), Err(Error::NotARecord { .. })));
    let mut empty = stored(secret::new_metadata(("apps", &release()), &marks(), time(5)), &release());
    empty.data = None;
    assert!(matches!(read(empty), Err(Error::NotARecord { missing: "key \"release\" in its data", .. })));
}

/// Text of so many bytes that does not become smaller when it is packed.
fn noise(bytes: usize) -> String {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'!' + u8::try_from((state >> 33) % 90).expect("less than 90"))
    };
    (0..bytes).map(|_| next()).collect()
}

fn file(name: &str, bytes: usize) -> ChartFile {
    ChartFile::new(name, noise(bytes).as_bytes(), None)
}

#[test]
fn as_much_is_left_out_of_a_record_as_has_to_be() {
    const TOO_MUCH: usize = 980 << 10;
    // Bytes of the chart's files, of its schema and templates; and which of them are left.
    let cases: [([usize; 3], [bool; 3]); 5] = [
        ([1000, 1000, 1000], [true, true, true]),
        ([TOO_MUCH, 1000, 1000], [false, true, true]),
        ([1000, TOO_MUCH, 1000], [false, false, true]),
        ([1000, 1000, TOO_MUCH], [false, false, false]),
        ([TOO_MUCH, TOO_MUCH, TOO_MUCH], [false, false, false]),
    ];
    for (sizes, left) in cases {
        let mut release = release();
        let [files, schema, templates] = sizes;
        release.chart = ReleaseChart {
            files: vec![file("README.md", files)],
            schema: Some(file("", schema).data),
            templates: vec![file("templates/a.yaml", templates)],
            values: [("a".to_owned(), json!(1))].into_iter().collect(),
            metadata: [("name".to_owned(), json!("demo"))].into_iter().collect(),
            ..ReleaseChart::default()
        };
        let before = release.clone();
        let data = secret::encode(&SecretRef::new("apps", "s"), &mut release, Most::First).expect("it fits");
        let chart = &release.chart;
        let are_left = [!chart.files.is_empty(), chart.schema.is_some(), !chart.templates.is_empty()];
        assert_eq!(are_left, left, "{sizes:?}");
        assert!(codec::decode(&data).expect("a record") == release, "what is written is what is known of it");
        let rest = Release { chart: ReleaseChart::default(), ..release.clone() };
        assert!(rest == Release { chart: ReleaseChart::default(), ..before.clone() }, "only the chart is slimmed");
        assert_eq!((&chart.values, &chart.metadata), (&before.chart.values, &before.chart.metadata));
    }
}

#[test]
fn a_record_that_does_not_fit_when_it_is_slimmed_is_refused_before_the_server_is_asked() {
    let (mut release, at) = (release(), SecretRef::new("apps", "sh.helm.release.v1.demo.v3"));
    release.manifest = noise(980 << 10);
    release.chart.files.push(file("README.md", 1000));
    let refused = secret::encode(&at, &mut release, Most::First).map(|data| data.len());
    let error = refused.expect_err("it is too large").to_string();
    for words in [
        "more than the 1032192 that",
        "hooks 32, values 56",
        "apps/sh.helm.release.v1.demo.v3",
        "Make several releases",
    ] {
        assert!(error.contains(words), "{words}: {error}");
    }
}

#[test]
fn there_is_room_for_what_is_written_later() {
    let (mut release, at) = (release(), SecretRef::new("apps", "s"));
    let fits = |release: &Release, most| secret::encode(&at, &mut release.clone(), most).is_ok();
    release.manifest = noise(926_000);
    assert!(!fits(&release, Most::First));
    assert!(fits(&release, Most::Later));
    release.info.description = noise(4 << 10);
    assert!(fits(&release, Most::Later), "why it failed");
}

#[test]
fn nothing_of_the_content_is_printed() {
    let record =
        read(stored(secret::new_metadata(("apps", &release()), &marks(), time(5)), &release())).expect("a record");
    assert!(!format!("{record:#?}").contains("hunter2"));
}

#[test]
fn a_namespace_that_is_missing_is_named_by_the_field_that_names_it() {
    for (namespace, words) in [("apps", "spec.release.createNamespace"), ("web", "correct spec.storageNamespace")] {
        let refusal = Refusal::failure("no", "NotFound").with_code(404).boxed();
        let error = Error::of_request(Verb::Create, SecretRef::new("apps", "s"), kube::Error::Api(refusal));
        let told = error.of_release(namespace).to_string();
        assert!(told.contains("the namespace does not exist: create it, or ") && told.contains(words), "{told}");
    }
}

#[test]
fn each_refusal_of_the_server_has_its_own_error() {
    let cases = [
        (Verb::Create, 409, "AlreadyExists", "", "exists already: another revision was made at the same time"),
        (
            Verb::Create,
            404,
            "NotFound",
            "",
            "the namespace does not exist: create it, or set spec.release.createNamespace to true",
        ),
        (
            Verb::Create,
            403,
            "Forbidden",
            "exceeded quota: q",
            "failed to create release secret \"apps/s\": exceeded quota: q",
        ),
        (Verb::Create, 403, "Forbidden", "no", "failed to create release secret \"apps/s\": no"),
        (
            Verb::Create,
            400,
            "",
            "admission webhook \"w\" denied the request",
            "is refused: admission webhook \"w\" denied the request",
        ),
        (Verb::Create, 422, "Invalid", "bad label", "is refused: bad label"),
        (Verb::Update, 409, "Conflict", "", "was changed since it was read"),
        (Verb::Update, 404, "NotFound", "", "was deleted since it was read"),
        (Verb::List, 403, "Forbidden", "no", "failed to list release secret \"apps/s\": no"),
        (Verb::Get, 500, "InternalError", "boom", "failed to get release secret \"apps/s\""),
    ];
    for (verb, code, reason, message, expected) in cases {
        let error = error_of(verb, Refusal::failure(message, reason).with_code(code));
        assert!(error.ends_with(expected), "{verb} {code}: {error}");
    }
    let details = json!({"causes": [{"reason": "NamespaceTerminating"}]});
    let details = serde_json::from_value(details).expect("details of a refusal");
    let terminating = Refusal::failure("no", "Forbidden").with_code(403).with_details(details);
    assert!(error_of(Verb::Create, terminating).contains("the namespace is being deleted; it is tried again"));
}

fn error_of(verb: Verb, refusal: Refusal) -> String {
    Error::of_request(verb, SecretRef::new("apps", "s"), kube::Error::Api(refusal.boxed())).to_string()
}
