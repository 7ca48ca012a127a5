//! Records as Helm 3 and Helm 4 write them (`tests/records`), names, and what must not be printed.

use std::io::Write;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};

use super::*;
use crate::manifest::{HookEvent, HookPhase};

const BY_HELM_4: [&[u8]; 3] = [
    include_bytes!("../../tests/records/helm-4.3.1-revision-1.txt"),
    include_bytes!("../../tests/records/helm-4.3.1-revision-2.txt"),
    include_bytes!("../../tests/records/helm-4.3.1-revision-3.txt"),
];
const BY_HELM_3: [&[u8]; 3] = [
    include_bytes!("../../tests/records/helm-3.22.0-revision-1.txt"),
    include_bytes!("../../tests/records/helm-3.22.0-revision-2.txt"),
    include_bytes!("../../tests/records/helm-3.22.0-revision-3.txt"),
];

fn decoded(bytes: &[u8]) -> Release {
    codec::decode(bytes).expect("Helm's records are readable")
}

/// The JSON inside a record, whoever wrote it.
fn json_of(bytes: &[u8]) -> Value {
    let gzip = BASE64_STANDARD.decode(bytes).expect("a record is base64");
    serde_json::from_reader(flate2::read::GzDecoder::new(gzip.as_slice())).expect("a record is gzipped JSON")
}

#[test]
fn records_of_helm_4_come_back_as_they_were() {
    for bytes in BY_HELM_4 {
        let written = codec::encode(&decoded(bytes)).expect("a record that was read can be written");
        assert_eq!(json_of(&written), json_of(bytes));
    }
}

#[test]
fn records_of_helm_3_lose_only_their_empty_time() {
    for bytes in BY_HELM_3 {
        let written = codec::encode(&decoded(bytes)).expect("a record that was read can be written");
        let mut theirs = json_of(bytes);
        let info = theirs["info"].as_object_mut().expect("a record has an info");
        assert_eq!(info.remove("deleted"), Some(json!("")));
        assert_eq!(json_of(&written), theirs);
    }
}

#[test]
fn a_record_tells_what_helm_did() {
    for (records, apply_method) in [(BY_HELM_4, ApplyMethod::ServerSide), (BY_HELM_3, ApplyMethod::Unsaid)] {
        let [first, upgrade, rollback] = records.map(decoded);
        assert_eq!(first.info.status, Status::Superseded);
        assert_eq!(first.info.description, "Install complete");
        assert_eq!((first.chart.name(), first.chart.version(), first.chart.app_version()), ("demo", "1.2.0", "1"));
        assert_eq!(Value::Object(upgrade.config), json!({"color": "blue", "count": 3, "big": "1e6"}));
        assert_eq!(rollback.info.status, Status::Deployed);
        assert_eq!(rollback.version, 3);
        assert_eq!(rollback.manifest, first.manifest);
        assert_eq!(rollback.apply_method, apply_method);
        let [hook] = &rollback.hooks[..] else { panic!("the chart has one hook") };
        assert_eq!(hook.events, [HookEvent::PreInstall, HookEvent::PostUpgrade]);
        assert_eq!((hook.weight, &hook.last_run.phase), (-5, &HookPhase::Succeeded));
    }
}

#[test]
fn a_chart_is_recorded_as_by_helm() {
    let archive = include_bytes!("../../tests/records/demo-1.2.0.tgz");
    let chart = crate::chart::archive::load(archive, &crate::chart::Limits::default()).expect("Helm packed it");
    for bytes in BY_HELM_4 {
        let theirs = decoded(bytes);
        let active = crate::values::ActiveChart::new(&chart, &theirs.config).expect("its dependencies are there");
        let ours = Release { chart: (&active).into(), ..theirs.clone() };
        assert_eq!(json!(ours), json!(theirs));
    }
}

#[test]
fn zero_times_are_no_times() {
    for zero in [json!(null), json!(""), json!("0001-01-01T00:00:00Z")] {
        let info: Info = serde_json::from_value(json!({"deleted": zero, "status": "failed"})).expect("an info");
        assert_eq!(info.deleted, None, "{zero}");
        assert_eq!(serde_json::to_value(&info).expect("JSON"), json!({"status": "failed"}));
    }
}

#[test]
fn times_with_an_offset_are_read() {
    let info: Info = serde_json::from_value(json!({"last_deployed": "2026-11-21T07:00:00.5+02:00"})).expect("an info");
    assert_eq!(info.last_deployed, "2026-11-21T05:00:00.5Z".parse().ok());
}

#[test]
fn words_of_other_helms_are_kept() {
    let hook = json!({"events": ["crd-install"], "last_run": {"phase": "Odd"}, "delete_policies": ["never"]});
    let read: Hook = serde_json::from_value(hook.clone()).expect("a hook");
    assert_eq!(serde_json::to_value(read).expect("JSON"), hook);
}

#[test]
fn records_from_before_compression_are_read() {
    let release = decoded(
        &BASE64_STANDARD.encode(r#"{"name": "old", "version": 7, "config": null, "hooks": null}"#).into_bytes(),
    );
    assert_eq!((release.name.as_str(), release.version), ("old", 7));
}

#[test]
fn damaged_records_are_refused_without_quoting_them() {
    let truncated = &decoded(BY_HELM_4[0]);
    let truncated = codec::encode(truncated).expect("a record");
    let cases: [(&[u8], &str); 4] = [
        (b"%", "failed to read the release record as base64"),
        (&truncated[..400], "failed to decompress the release record"),
        (b"eyJuYW1lIjogWyJodW50ZXIyIl19", "failed to read the release record as JSON, at line 1 column 9"),
        (b"", "failed to read the release record as JSON, at line 1 column 0"),
    ];
    for (bytes, expected) in cases {
        assert_eq!(codec::decode(bytes).expect_err("it is damaged").to_string(), expected);
    }
}

#[test]
fn a_record_that_unpacks_without_end_is_refused() {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    let zeros = vec![b' '; 1 << 20];
    for _ in 0..=codec::MAX_JSON_BYTES >> 20 {
        gzip.write_all(&zeros).expect("writing to memory");
    }
    let bomb = BASE64_STANDARD.encode(gzip.finish().expect("writing to memory"));
    assert!(matches!(codec::decode(bomb.as_bytes()), Err(codec::Error::TooLarge)));
}

#[test]
fn nothing_configured_or_rendered_is_printed() {
    let mut release = decoded(BY_HELM_4[1]);
    release.config.insert("password".to_owned(), json!("hunter2"));
    release.info.notes = "hunter2".to_owned();
    release.manifest = "hunter2".to_owned();
    release.hooks[0].manifest = "hunter2".to_owned();
    let printed = format!("{release:#?} {:?} {:?}", release.hooks, release.chart.templates);
    assert!(!printed.contains("hunter2") && !printed.contains("blue"), "{printed}");
}

#[test]
fn names_are_accepted_as_by_helm() {
    for name in ["a", "a.b", "my-release", "1", "a--b", &"x".repeat(53)] {
        assert_eq!(ReleaseName::parse(name).expect("Helm takes it").as_str(), name);
    }
    assert_eq!(ReleaseName::parse(""), Err(NameError::Missing));
    for name in ["A", "-a", "a-", "a.", ".a", "a..b", "a_b", "é", &"x".repeat(54)] {
        assert_eq!(ReleaseName::parse(name), Err(NameError::Invalid), "{name}");
    }
}

#[test]
fn secrets_are_named_and_labelled_as_by_helm() {
    let mut release = decoded(BY_HELM_4[2]);
    release.labels = [("team", "a"), ("status", "mine"), ("createdAt", "1")]
        .map(|(label, value)| (label.to_owned(), value.to_owned()))
        .into();
    let labels = json!({"name": "demo4", "owner": "helm", "status": "deployed", "version": "3", "team": "a"});
    assert_eq!(json!(storage::labels(&release)), labels);
    assert_eq!(storage::secret_name("my.v2", 3), "sh.helm.release.v1.my.v2.v3");
    assert_eq!(storage::parse_secret_name("sh.helm.release.v1.my.v2.v3"), Some(("my.v2", 3)));
    assert_eq!(storage::parse_secret_name("sh.helm.release.v1.my"), None);
}

#[test]
fn only_the_three_pending_statuses_lock_a_release() {
    let pending = ["pending-install", "pending-upgrade", "pending-rollback"];
    for status in
        ["unknown", "deployed", "uninstalled", "superseded", "failed", "uninstalling"].into_iter().chain(pending)
    {
        assert_eq!(Status::from(status).as_str(), status);
        assert_eq!(Status::from(status).is_pending(), pending.contains(&status), "{status}");
    }
    assert_eq!(Status::from("new-in-helm-5"), Status::Unknown);
}

/// Values of so many levels, their own table included, and one more chart that has them, too.
fn nested(levels: usize, list: bool) -> Value {
    (1..levels).fold(json!({}), |inner, _| if list { json!([inner]) } else { json!({ "a": inner }) })
}

#[test]
fn what_nests_as_deeply_as_values_may_is_read_back() {
    let config = |value: Value| Map::from_iter([("a".to_owned(), value)]);
    for list in [false, true] {
        let values = nested(crate::values::LEVELS - 1, list);
        let chart = ReleaseChart { values: config(values.clone()), ..ReleaseChart::default() };
        let release = Release { config: config(values), chart, ..Release::default() };
        crate::values::check_levels(&release.config).expect("so deep they may be");
        let bytes = codec::encode(&release).expect("it can be written");
        assert!(decoded(&bytes) == release);
        let deeper = Release { config: config(nested(codec::MAX_LEVELS, list)), ..Release::default() };
        assert!(matches!(codec::encode(&deeper), Err(codec::Error::TooDeep)));
    }
    let too_deep = config(nested(crate::values::LEVELS, true));
    let refused = crate::values::check_levels(&too_deep).expect_err("one level more");
    assert_eq!(refused.to_string(), "the values nest more than 500 levels");
}

#[test]
fn deep_records_of_others_are_refused_without_reading_them() {
    let record = |json: String| {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(json.as_bytes()).expect("writing to memory");
        codec::decode(BASE64_STANDARD.encode(gzip.finish().expect("writing to memory")).as_bytes())
    };
    for open in ["[", "{\"a\":"] {
        let refused = record(format!("{{\"config\":{{\"a\":{}", open.repeat(1_000_000)));
        assert!(matches!(refused, Err(codec::Error::TooDeep)));
    }
    // Brackets in texts are none.
    let text = format!(r#"{{"manifest":"\"{}\\","version":7}}"#, "[{".repeat(1_000));
    assert_eq!(record(text).expect("it is flat").version, 7);
}
