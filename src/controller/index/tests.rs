use std::time::Instant;

use serde_json::{Value, json};

use super::*;
use crate::api::KubeConfig;
use crate::history::ReleaseKey;

fn key(text: &str) -> Key {
    Key::parse(text).expect("namespace/name")
}

fn release(name: &str, spec: &Value) -> HelmRelease {
    let key = key(name);
    let object = json!({
        "apiVersion": "helm-operator.ketches.cn/v1alpha1",
        "kind": "HelmRelease",
        "metadata": { "name": key.name, "namespace": key.namespace },
        "spec": spec,
    });
    serde_json::from_value(object).expect("a decodable release")
}

fn repository(name: &str, spec: &Value) -> Arc<HelmRepository> {
    let key = key(name);
    let object = json!({
        "apiVersion": "helm-operator.ketches.cn/v1alpha1",
        "kind": "HelmRepository",
        "metadata": { "name": key.name, "namespace": key.namespace },
        "spec": spec,
    });
    Arc::new(serde_json::from_value(object).expect("a decodable repository"))
}

fn named(repository: &str) -> Value {
    json!({ "chart": { "name": "web", "repository": { "name": repository } } })
}

fn at(chart: &str) -> Value {
    json!({ "chart": { "name": "web", "ociRepository": chart } })
}

fn enter(index: &mut Index, name: &str, spec: &Value) -> Vec<String> {
    texts(&index.release_changed(&key(name), Some(&release(name, spec))))
}

fn declare(index: &mut Index, name: &str, spec: &Value) -> Vec<String> {
    texts(&index.repository_changed(&key(name), Some(repository(name, spec))))
}

fn target(namespace: &str, name: &str) -> Target {
    Target { cluster: None, release: ReleaseKey::new(namespace, name) }
}

fn texts<'a>(keys: impl IntoIterator<Item = &'a Key>) -> Vec<String> {
    keys.into_iter().map(ToString::to_string).collect()
}

fn users(index: &Index, repository: &str) -> Vec<(String, String)> {
    index.users(&key(repository)).map(|(user, chart)| (user.to_string(), chart.to_string())).collect()
}

#[test]
fn a_repository_is_asked_for_the_charts_of_those_that_use_it_alone() {
    let mut index = Index::default();
    enter(&mut index, "apps/a", &named("one"));
    enter(&mut index, "apps/b", &named("two"));
    enter(&mut index, "apps/c", &at("oci://two.example/charts/extra:1.0.0"));
    enter(&mut index, "apps/d", &at("oci://two.example/charts-old/extra"));
    let concerned = declare(&mut index, "apps/one", &json!({ "url": "oci://one.example" }));
    assert_eq!(concerned, ["apps/a"]);
    let two = json!({ "url": "oci://two.example/charts" });
    assert_eq!(declare(&mut index, "apps/two", &two), ["apps/b", "apps/c"]);
    let pair = |user: &str, chart: &str| (user.to_owned(), chart.to_owned());
    assert_eq!(users(&index, "apps/one"), [pair("apps/a", "oci://one.example/web")]);
    let expected = [pair("apps/b", "oci://two.example/charts/web"), pair("apps/c", "oci://two.example/charts/extra")];
    assert_eq!(users(&index, "apps/two"), expected);

    // Moved to another URL it concerns those that used it before, too; gone, those that used it.
    let moved = json!({ "url": "oci://two.example/charts-old" });
    let concerned = declare(&mut index, "apps/two", &moved);
    assert_eq!(concerned, ["apps/b", "apps/c", "apps/d"]);
    assert_eq!(texts(&index.repository_changed(&key("apps/two"), None)), ["apps/b", "apps/d"]);
    assert!(users(&index, "apps/two").is_empty());
    assert_eq!(texts(&index.concerned(&key("apps/two"))), ["apps/b"], "who names it waits for it");
}

#[test]
fn one_that_is_closed_learns_nothing_and_wakes_all_the_same() {
    let mut index = Index::default();
    enter(&mut index, "apps/a", &at("oci://r.example/web"));
    let closed = json!({ "url": "oci://r.example", "accessFrom": { "namespaceSelectors": [] } });
    let concerned = declare(&mut index, "platform/r", &closed);
    assert_eq!(concerned, ["apps/a"]);
    assert!(users(&index, "platform/r").is_empty());
    declare(&mut index, "platform/r", &json!({ "url": "oci://r.example" }));
    assert_eq!(users(&index, "platform/r").len(), 1);
}

#[test]
fn secrets_lead_to_the_repositories_that_name_them_now() {
    let mut index = Index::default();
    let with = |secret: Value| json!({ "url": "oci://r.example", "auth": { "basic": { "secretRef": secret } } });
    declare(&mut index, "apps/r", &with(json!({ "name": "login" })));
    assert_eq!(texts(index.naming_secret(&key("apps/login"))), ["apps/r"]);
    let other = with(json!({ "name": "login", "namespace": "platform" }));
    declare(&mut index, "apps/r", &other);
    assert!(index.naming_secret(&key("apps/login")).next().is_none());
    assert_eq!(texts(index.naming_secret(&key("platform/login"))), ["apps/r"]);
    index.repository_changed(&key("apps/r"), None);
    assert!(index.naming_secret(&key("platform/login")).next().is_none());
}

#[test]
fn who_gives_up_a_target_leaves_it_to_the_others() {
    let mut index = Index::default();
    let shop = |values: &str| json!({ "chart": { "name": "web" }, "release": { "name": "shop" }, "values": values });
    assert!(enter(&mut index, "apps/a", &shop("")).is_empty());
    assert!(enter(&mut index, "apps/b", &shop("")).is_empty());
    assert!(enter(&mut index, "apps/a", &shop("x: 1")).is_empty(), "it still declares it");
    assert_eq!(texts(index.declaring(&target("apps", "shop"))), ["apps/a", "apps/b"]);
    assert_eq!(enter(&mut index, "apps/a", &json!({ "chart": { "name": "web" } })), ["apps/b"]);
    assert_eq!(texts(index.declaring(&target("apps", "a"))), ["apps/a"]);
    enter(&mut index, "apps/a", &shop(""));
    assert_eq!(texts(&index.release_changed(&key("apps/a"), None)), ["apps/b"]);
    assert_eq!(texts(index.declaring(&target("apps", "shop"))), ["apps/b"]);
}

#[test]
fn releases_of_another_cluster_are_found_by_it_and_by_its_secret_until_it_is_left() {
    let mut index = Index::default();
    let by = |secret: Value| json!({ "chart": { "name": "web" }, "kubeConfig": { "secretRef": secret } });
    let cluster = |secret: &str| ClusterKey::new("apps", &KubeConfig::parse(secret));
    enter(&mut index, "apps/a", &by(json!({ "name": "prod" })));
    enter(&mut index, "apps/b", &by(json!({ "name": "prod", "key": "blue" })));
    enter(&mut index, "apps/c", &by(json!({ "name": "prod-2" })));
    enter(&mut index, "other/d", &by(json!({ "name": "prod" })));
    let map = json!({ "chart": { "name": "web" }, "kubeConfig": { "configMapRef": { "name": "prod" } } });
    enter(&mut index, "apps/e", &map);
    let named = |index: &Index, secret: &str| {
        let (namespace, name) = secret.split_once('/').expect("a namespace");
        texts(&index.naming_kube_config(&ClusterKey::new(namespace, &KubeConfig::parse(name))))
    };
    assert_eq!(named(&index, "apps/prod"), ["apps/a", "apps/b"]);
    assert_eq!(named(&index, "apps/ConfigMap/prod"), ["apps/e"]);
    assert_eq!(texts(index.in_cluster(&cluster("prod"))), ["apps/a"]);
    assert!(index.declaring(&target("apps", "a")).next().is_none(), "it is in another cluster");

    // One that was listed counts until it is left.
    let mut moved = release("apps/a", &json!({ "chart": { "name": "web" } }));
    moved.status = serde_json::from_value(json!({ "kubeConfigs": ["prod"] })).expect("a status");
    index.release_changed(&key("apps/a"), Some(&moved));
    assert_eq!(texts(index.declaring(&target("apps", "a"))), ["apps/a"]);
    assert_eq!(named(&index, "apps/prod"), ["apps/a", "apps/b"]);
    index.left(&key("apps/a"), &cluster("prod"));
    assert_eq!(named(&index, "apps/prod"), ["apps/b"]);
    index.left(&key("apps/b"), &cluster("prod/blue"));
    assert_eq!(named(&index, "apps/prod"), ["apps/b"], "it is declared there");
}

#[test]
fn releases_are_found_by_what_their_values_are_read_from() {
    let mut index = Index::default();
    let shared = json!({ "kind": "ConfigMap", "name": "shared" });
    let reading = |from: Value| json!({ "chart": { "name": "web" }, "valuesFrom": from });
    enter(&mut index, "apps/a", &reading(json!([shared, shared])));
    enter(&mut index, "other/b", &reading(json!([shared])));
    let found = |index: &Index, kind, name| texts(index.reading_values(kind, &key(name)));
    assert_eq!(found(&index, ValuesKind::ConfigMap, "apps/shared"), ["apps/a"]);
    assert!(found(&index, ValuesKind::Secret, "apps/shared").is_empty());
    enter(&mut index, "apps/a", &reading(json!([])));
    assert!(found(&index, ValuesKind::ConfigMap, "apps/shared").is_empty());
}

#[test]
fn labels_concern_the_releases_of_their_namespace_that_depend_on_them() {
    let mut index = Index::default();
    let from = |team: &str| json!({ "namespaceSelectors": [{ "matchLabels": { "team": team } }] });
    let spec = json!({ "url": "oci://r.example", "accessFrom": from("red") });
    declare(&mut index, "platform/r", &spec);
    enter(&mut index, "apps/a", &at("oci://r.example/web"));
    enter(&mut index, "apps/b", &at("oci://q.example/web"));
    enter(&mut index, "shop/c", &at("oci://r.example/web"));
    let labels = |team: &str| BTreeMap::from([("team".to_owned(), team.to_owned())]);
    let listed = BTreeMap::from([("apps".to_owned(), labels("blue")), ("shop".to_owned(), labels("red"))]);
    assert_eq!(texts(&index.namespaces_listed(&listed)), ["apps/a", "shop/c"]);
    assert_eq!(users(&index, "platform/r").len(), 1, "shop/c alone");
    assert!(index.namespace_changed("apps", Some(labels("blue"))).is_empty(), "nothing has changed");
    assert_eq!(texts(&index.namespace_changed("apps", Some(labels("red")))), ["apps/a"]);
    assert_eq!(users(&index, "platform/r").len(), 2);
    assert_eq!(texts(&index.namespaces_listed(&BTreeMap::new())), ["apps/a", "shop/c"]);
    assert!(users(&index, "platform/r").is_empty());
}

/// What a start with 3,000 releases of three revisions each costs: entering them, finding for each revision whom it wakes
/// and for each release its rivals and its repository, and for each repository its users.
#[test]
fn a_start_with_three_thousand_releases() {
    const RELEASES: usize = 3000;
    let mut index = Index::default();
    for number in 0..20 {
        let name = format!("platform/r{number}");
        declare(&mut index, &name, &json!({ "url": format!("oci://r.example/{number}") }));
    }
    let objects: Vec<(Key, HelmRelease)> = (0..RELEASES)
        .map(|number| {
            let name = format!("apps-{}/release-{number}", number % 50);
            (key(&name), release(&name, &at(&format!("oci://r.example/{}/web", number % 20))))
        })
        .collect();
    let started = Instant::now();
    for (key, release) in &objects {
        assert!(index.release_changed(key, Some(release)).is_empty());
    }
    let entered = started.elapsed();
    let mut found = 0;
    for (_, release) in &objects {
        let target = matching::target(release);
        found += (0..3).map(|_| index.declaring(&target).count()).sum::<usize>();
        found += index.declaring(&target).count();
        let wanted = Wanted::of(release).expect("a place");
        found += usize::from(index.choose(&wanted).expect("a choice").used.is_some());
    }
    let looked_up = started.elapsed().saturating_sub(entered);
    let used: usize = (0..20).map(|number| index.users(&key(&format!("platform/r{number}"))).count()).sum();
    println!(
        "{RELEASES} releases: entered in {entered:?}, looked up in {looked_up:?}, users in {:?}",
        started.elapsed().saturating_sub(entered + looked_up)
    );
    let started = Instant::now();
    let scanned = objects.iter().map(|(_, release)| {
        let target = matching::target(release);
        objects.iter().filter(|(_, other)| matching::target(other) == target).count()
    });
    let scanned: usize = scanned.sum();
    println!("one scan of all for each, instead of five look-ups: {:?}", started.elapsed());
    assert_eq!((found, used, scanned), (5 * RELEASES, RELEASES, RELEASES));
}
