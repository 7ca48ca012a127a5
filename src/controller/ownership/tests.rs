use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::history::{Marks, ReleaseKey};

const TARGET: (&str, &str) = ("apps", "shop");
const DEPLOYED: &str = "2026-01-01T12:00:00Z";

fn target() -> Target {
    Target { cluster: None, release: ReleaseKey::new(TARGET.0, TARGET.1) }
}

/// An object `name`, created in `second`, that declares the release `declares`; its uid is `uid-name`.
fn object(name: &str, second: u32, declares: &str, status: &Value) -> Candidate {
    let key = Key::parse(name).expect("namespace/name");
    let object = json!({
        "apiVersion": "helm-operator.ketches.cn/v1alpha1",
        "kind": "HelmRelease",
        "metadata": {
            "name": key.name,
            "namespace": key.namespace,
            "uid": format!("uid-{}", key.name),
            "creationTimestamp": format!("2026-01-01T00:00:{second:02}Z"),
        },
        "spec": { "chart": { "name": "web" }, "release": { "name": declares, "namespace": TARGET.0 } },
        "status": status,
    });
    Candidate::of(&serde_json::from_value(object).expect("an object"), &target())
}

fn undecodable(name: &str) -> Candidate {
    let key = Key::parse(name).expect("namespace/name");
    let object = json!({
        "apiVersion": "helm-operator.ketches.cn/v1alpha1",
        "kind": "HelmRelease",
        "metadata": { "name": key.name, "namespace": key.namespace, "uid": "x", "creationTimestamp": "2025-01-01T00:00:00Z" },
        "spec": { "chart": 7 },
    });
    Candidate::of(&serde_json::from_value(object).expect("a guarded object"), &target())
}

/// A history from words `status` or `status=owner:uid`, revisions counted from 1.
fn history(words: &str) -> Vec<RecordMeta> {
    let meta = |(word, revision): (&str, u32)| {
        let (status, mark) = word.split_once('=').map_or((word, None), |(status, mark)| (status, Some(mark)));
        let marks = mark.and_then(|mark| mark.split_once(':')).map(|(owner, uid)| Marks {
            owner: owner.to_owned(),
            uid: uid.to_owned(),
            ..Marks::default()
        });
        // Made from its metadata, as the watch does.
        let secret = json!({
            "name": format!("sh.helm.release.v1.{}.v{revision}", TARGET.1),
            "namespace": TARGET.0,
            "creationTimestamp": DEPLOYED,
            "labels": { "owner": "helm", "name": TARGET.1, "version": revision.to_string(), "status": status },
        });
        let metadata = serde_json::from_value(secret).expect("metadata");
        RecordMeta { marks, ..RecordMeta::from_metadata(&metadata).expect("a record") }
    };
    words.split_whitespace().zip(1..).map(meta).collect()
}

fn status(revision: u32, deployed: &str) -> Value {
    json!({ "helmRelease": {
        "name": TARGET.1, "namespace": TARGET.0, "revision": revision, "status": "deployed", "lastDeployed": deployed,
    } })
}

/// What is the case, the history, the objects, and the owner with the evidence and whether it leaves.
type Case = (&'static str, &'static str, Vec<Candidate>, Option<(&'static str, Evidence, bool)>);

#[test]
#[expect(clippy::too_many_lines, reason = "one flat table")]
fn the_newest_mark_of_a_living_object_decides_then_the_status_then_age() {
    use Evidence::{Age, Revision, Status};
    let older = || object("apps/older", 1, "shop", &json!({}));
    let younger = || object("apps/younger", 2, "shop", &json!({}));
    let moved = || object("apps/moved", 0, "elsewhere", &json!({}));
    let told = |deployed: &str| object("apps/told", 9, "shop", &status(1, deployed));
    let cases: Vec<Case> = vec![
        ("nothing and nobody", "", vec![], None),
        ("nothing marked: age", "", vec![younger(), older()], Some(("apps/older", Age, false))),
        ("by hand: age", "deployed", vec![younger(), older()], Some(("apps/older", Age, false))),
        (
            "an older one renamed onto a younger one's",
            "deployed=apps/younger:uid-younger",
            vec![older(), younger()],
            Some(("apps/younger", Revision(1), false)),
        ),
        (
            "who made an old revision only",
            "superseded=apps/older:uid-older deployed=apps/younger:uid-younger",
            vec![older(), younger()],
            Some(("apps/younger", Revision(2), false)),
        ),
        (
            "the newest one is gone",
            "superseded=apps/older:uid-older deployed=apps/younger:uid-younger",
            vec![older()],
            Some(("apps/older", Revision(1), false)),
        ),
        (
            "a rollback by hand in between",
            "superseded=apps/younger:uid-younger deployed",
            vec![older(), younger()],
            Some(("apps/younger", Revision(1), false)),
        ),
        (
            "restored, with another uid",
            "deployed=apps/younger:uid-before",
            vec![older(), younger()],
            Some(("apps/younger", Revision(1), false)),
        ),
        (
            "moving away",
            "deployed=apps/moved:uid-moved",
            vec![older(), moved()],
            Some(("apps/moved", Revision(1), true)),
        ),
        (
            "another object of the name of one that is gone, for another release",
            "deployed=apps/moved:uid-before",
            vec![younger(), moved()],
            Some(("apps/younger", Age, false)),
        ),
        (
            "one that moved away long ago",
            "superseded=apps/moved:uid-moved deployed=apps/gone:uid-gone",
            vec![younger(), moved()],
            Some(("apps/younger", Age, false)),
        ),
        (
            "uninstalled, with its history kept",
            "superseded=apps/younger:uid-younger uninstalled=apps/younger:uid-younger",
            vec![younger(), older()],
            Some(("apps/older", Age, false)),
        ),
        (
            "installed again since",
            "uninstalled=apps/older:uid-older deployed=apps/younger:uid-younger",
            vec![younger(), older()],
            Some(("apps/younger", Revision(2), false)),
        ),
        (
            "an undecodable one that made it",
            "deployed=apps/odd:x",
            vec![older(), undecodable("apps/odd")],
            Some(("apps/odd", Revision(1), false)),
        ),
        (
            "an undecodable one that made nothing",
            "",
            vec![younger(), undecodable("apps/odd")],
            Some(("apps/younger", Age, false)),
        ),
        ("marks lost to the CLI", "deployed", vec![older(), told(DEPLOYED)], Some(("apps/told", Status(1), false))),
        (
            "installed by hand after ours was gone",
            "deployed",
            vec![older(), told("2025-12-24T12:00:00Z")],
            Some(("apps/older", Age, false)),
        ),
        (
            "a mark goes before a status",
            "superseded deployed=apps/older:uid-older",
            vec![older(), told(DEPLOYED)],
            Some(("apps/older", Revision(2), false)),
        ),
    ];
    for (case, words, candidates, expected) in cases {
        let owner = owner(&history(words), &candidates);
        let found = owner.as_ref().map(|owner| (owner.key.to_string(), owner.evidence, owner.leaves));
        let expected = expected.map(|(key, evidence, leaves)| (key.to_owned(), evidence, leaves));
        assert_eq!(found, expected, "{case}");
        let may_uninstall = owner.is_some_and(|owner| owner.has_installed());
        assert_eq!(may_uninstall, expected.is_some_and(|(_, evidence, _)| evidence != Age), "{case}");
    }
}

#[test]
fn objects_of_one_second_are_told_apart_by_name() {
    let first = object("apps/a", 5, "shop", &json!({}));
    let second = object("apps/b", 5, "shop", &json!({}));
    assert_eq!(first.created, "2026-01-01T00:00:05Z".parse::<Timestamp>().ok());
    for candidates in [vec![first.clone(), second.clone()], vec![second, first]] {
        assert_eq!(owner(&[], &candidates).map(|owner| owner.key.name), Some("a".to_owned()));
    }
}

#[test]
fn an_object_takes_the_place_of_the_one_it_adopts() {
    let adopting = |name: &str, adopted: &str, declares: &str| {
        let namespace = Key::parse(name).expect("namespace/name").namespace;
        let mut candidate = object(name, 5, declares, &json!({}));
        candidate.adopts = Some(Key { namespace, name: adopted.to_owned() });
        candidate
    };
    let old = || object("apps/old", 1, "shop", &json!({}));
    let made = history("deployed=apps/old:uid-old");
    let owns = |candidates: &[Candidate]| {
        owner(&made, candidates).map(|owner| (owner.key.to_string(), owner.adopted.is_some()))
    };
    let owned = |by: &str, adopted| Some((by.to_owned(), adopted));
    assert_eq!(owns(&[old(), adopting("apps/new", "old", "shop")]), owned("apps/new", true));
    // It takes nothing out of the cluster before it has marked what it took over.
    assert!(owner(&made, &[old(), adopting("apps/new", "old", "shop")]).is_some_and(|owner| !owner.has_installed()));
    // One that is being deleted takes nothing over, nor does the older of the two, whatever its annotation still says.
    let leaving = Candidate { leaving: true, ..adopting("apps/new", "old", "shop") };
    assert_eq!(owns(&[old(), leaving]), owned("apps/old", false));
    let back = Candidate { created: None, ..adopting("apps/new", "old", "shop") };
    assert_eq!(owns(&[old(), back]), owned("apps/old", false));
    // Made in the same second: whoever names the other takes over, but of two that name each other neither does.
    let twin = || object("apps/twin", 5, "shop", &json!({}));
    let by_twin = history("deployed=apps/twin:uid-twin");
    let next = |candidates: &[Candidate]| owner(&by_twin, candidates).map(|owner| owner.key.to_string());
    assert_eq!(next(&[twin(), adopting("apps/new", "twin", "shop")]).as_deref(), Some("apps/new"));
    assert_eq!(
        next(&[adopting("apps/twin", "new", "shop"), adopting("apps/new", "twin", "shop")]).as_deref(),
        Some("apps/twin")
    );
    let ending = history("uninstalling=apps/old:uid-old");
    assert!(owner(&ending, &[old(), adopting("apps/new", "old", "shop")]).is_some_and(|owner| owner.adopted.is_none()));
    // Only what is its own to take: of its namespace, of this release, of that name.
    assert_eq!(owns(&[old(), adopting("other/new", "old", "shop")]), owned("apps/old", false));
    assert_eq!(owns(&[old(), adopting("apps/new", "old", "elsewhere")]), owned("apps/old", false));
    assert_eq!(owns(&[old(), adopting("apps/new", "another", "shop")]), owned("apps/old", false));
    // Gone before it was looked at: what it made is taken over as it is, too, and not made anew.
    assert_eq!(owns(&[adopting("apps/new", "old", "shop")]), owned("apps/new", true));
    assert_eq!(owns(&[adopting("apps/new", "another", "shop")]), owned("apps/new", false));
    // Once it has made a revision it needs no leave, and the annotation may stay.
    let since = history("superseded=apps/old:uid-old deployed=apps/new:uid-new");
    let owner_since = owner(&since, &[old(), adopting("apps/new", "old", "shop")]).expect("an owner");
    assert_eq!((owner_since.key.to_string().as_str(), owner_since.adopted), ("apps/new", None));
}

#[test]
fn a_record_says_from_which_cluster_it_was_made_where_both_are_known() {
    let home = |homes: &[Option<&str>], last: &str| {
        let words: Vec<&str> =
            homes.iter().map(|home| home.map_or("superseded", |_| "superseded=apps/web:u")).collect();
        let mut revisions = history(&format!("{} {last}", words.join(" ")));
        for (meta, home) in revisions.iter_mut().zip(homes) {
            if let Some(marks) = &mut meta.marks {
                marks.home = home.unwrap_or_default().to_owned();
            }
        }
        revisions
    };
    for (homes, last, own, expected) in [
        (vec![Some("there")], "", Some("here"), Some(1)),
        (vec![Some("here")], "", Some("here"), None),
        // Somebody used helm on it.
        (vec![Some("there"), None], "", Some("here"), Some(1)),
        // The newest that says so decides.
        (vec![Some("there"), Some("here")], "", Some("here"), None),
        (vec![Some("here"), Some("there")], "", Some("here"), Some(2)),
        // What was uninstalled is free.
        (vec![Some("there")], "uninstalled", Some("here"), None),
    ] {
        let revisions = home(&homes, last);
        let viewer = |uid| Viewer { uid, home: own, is_remote: true };
        let found = made_elsewhere(&revisions, viewer("another")).map(|meta| meta.revision);
        assert_eq!(found, expected, "{homes:?} {last:?} {own:?}");
    }
    // Where the record, or the operator, does not know, the object's uid decides, and by what the record says that the cluster is reached.
    for (name, own, cluster, is_remote, expected) in [
        ("there", None, "prod", true, true),
        ("", Some("here"), "", true, true),
        ("", Some("here"), "prod", true, false),
        ("", Some("here"), "", false, false),
        ("", None, "", false, false),
    ] {
        let mut revisions = home(&[Some(name)], "");
        revisions[0].marks.as_mut().expect("marks").cluster = cluster.to_owned();
        for (uid, expected) in [("another", expected), ("u", false)] {
            let found = made_elsewhere(&revisions, Viewer { uid, home: own, is_remote });
            assert_eq!(found.is_some(), expected, "{name:?} {own:?} {cluster:?} {is_remote} {uid}");
        }
    }
}
