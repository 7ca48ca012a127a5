use std::sync::Arc;

use serde_json::{Value, json};

use super::*;

/// A repository `namespace/name` at `url`, with `spec` over it.
fn repository(key: &str, url: &str, spec: &Value) -> HelmRepository {
    let key = Key::parse(key).expect("namespace/name");
    let mut object = json!({
        "apiVersion": "helm-operator.ketches.cn/v1alpha1",
        "kind": "HelmRepository",
        "metadata": { "name": key.name, "namespace": key.namespace },
        "spec": spec,
    });
    object["spec"]["url"] = json!(url);
    serde_json::from_value(object).expect("a decodable repository")
}

/// What a release of namespace `apps` wants.
fn wanted(chart: &Value) -> Result<Wanted, ReconcileError> {
    Wanted::of(&release(chart))
}

fn release(chart: &Value) -> HelmRelease {
    let object = json!({
        "apiVersion": "helm-operator.ketches.cn/v1alpha1",
        "kind": "HelmRelease",
        "metadata": { "name": "web", "namespace": "apps" },
        "spec": { "chart": chart },
    });
    serde_json::from_value(object).expect("a decodable release")
}

fn unnamed(reference: &str) -> Wanted {
    wanted(&json!({ "name": "web", "ociRepository": reference })).expect("a place")
}

fn known(repositories: &[(&str, &str, Value)], own_namespace_only: bool) -> Repositories {
    let mut known = Repositories::new(own_namespace_only);
    for (key, url, spec) in repositories {
        known.put(Arc::new(repository(key, url, spec)));
    }
    let labels = BTreeMap::from([("team".to_owned(), "red".to_owned())]);
    *known.labels_mut() = Some(BTreeMap::from([("apps".to_owned(), labels)]));
    known
}

fn from(team: &str) -> Value {
    json!({ "accessFrom": { "namespaceSelectors": [{ "matchLabels": { "team": team } }] } })
}

fn used(choice: &Choice) -> Option<(String, Gives)> {
    choice.used.as_ref().map(|used| (Key::of(&*used.repository).to_string(), used.gives))
}

/// What is the case, the repositories, which one is used and what it gives, and which are closed.
type Case =
    (&'static str, Vec<(&'static str, &'static str, Value)>, Option<(&'static str, Gives)>, &'static [&'static str]);

#[test]
#[expect(clippy::too_many_lines, reason = "one flat table")]
fn an_unnamed_chart_takes_the_most_specific_repository_that_its_namespace_may_use() {
    use Gives::{Credentials, Everything};
    let open = || json!({});
    let none = || json!({ "accessFrom": { "namespaceSelectors": [] } });
    let everybody = || json!({ "accessFrom": { "namespaceSelectors": [{}] } });
    let cases: Vec<Case> = vec![
        ("none is above", vec![("apps/a", "oci://r.example/charts-old", open())], None, &[]),
        ("another host", vec![("apps/a", "oci://s.example", open())], None, &[]),
        (
            "segments count, not letters of the host",
            vec![("apps/a", "oci://R.example/", open()), ("apps/b", "oci://r.example/charts", open())],
            Some(("apps/b", Everything)),
            &[],
        ),
        (
            "the chart's own repository is the most specific",
            vec![("apps/a", "oci://r.example/charts/web", open()), ("apps/b", "oci://r.example/charts", open())],
            Some(("apps/a", Everything)),
            &[],
        ),
        (
            "the own namespace goes before a more specific one of another",
            vec![("apps/a", "oci://r.example", open()), ("platform/b", "oci://r.example/charts", open())],
            Some(("apps/a", Everything)),
            &[],
        ),
        (
            "one that nobody shared gives its credentials alone",
            vec![("platform/b", "oci://r.example/charts", open())],
            Some(("platform/b", Credentials)),
            &[],
        ),
        (
            "one that is shared expressly gives everything",
            vec![("platform/b", "oci://r.example/charts", from("red"))],
            Some(("platform/b", Everything)),
            &[],
        ),
        (
            "with everybody is expressly, too",
            vec![("platform/b", "oci://r.example/charts", everybody())],
            Some(("platform/b", Everything)),
            &[],
        ),
        (
            "one that is closed is passed over, and told",
            vec![
                ("platform/b", "oci://r.example/charts", from("blue")),
                ("platform/c", "oci://r.example", open()),
                ("platform/d", "oci://r.example/charts/web", none()),
            ],
            Some(("platform/c", Credentials)),
            &["platform/d", "platform/b"],
        ),
        (
            "of equals the first by namespace and name",
            vec![
                ("q/a", "oci://r.example", open()),
                ("p/z", "oci://r.example", open()),
                ("p/y", "oci://r.example", open()),
            ],
            Some(("p/y", Credentials)),
            &[],
        ),
        ("upper case is above nothing", vec![("apps/a", "oci://r.example/CHARTS", open())], None, &[]),
    ];
    for (case, repositories, expected, closed) in cases {
        let choice = choose(&unnamed("oci://r.example/charts/web"), &known(&repositories, false)).expect(case);
        let expected = expected.map(|(key, gives)| (key.to_owned(), gives));
        assert_eq!(used(&choice), expected, "{case}");
        let told: Vec<String> = choice.closed.iter().map(|(key, _)| key.to_string()).collect();
        assert_eq!(told, closed, "{case}");
    }
}

#[test]
fn values_take_the_repository_that_the_chart_names_where_it_is_above_them() {
    let known = known(
        &[
            ("apps/all", "oci://r.example", json!({})),
            ("apps/values", "oci://r.example/values", json!({})),
            ("apps/charts", "oci://r.example/charts", json!({})),
        ],
        false,
    );
    let used_by = |named: &str| {
        let release = release(&json!({ "name": "web", "repository": { "name": named } }));
        let wanted = Wanted::artifact(&release, "oci://r.example/values/prod:1").expect("a reference");
        used(&choose(&wanted, &known).expect("a choice")).map(|(key, _)| key)
    };
    assert_eq!(used_by("all").as_deref(), Some("apps/all"));
    assert_eq!(used_by("charts").as_deref(), Some("apps/values"));
}

#[test]
fn hosts_are_compared_by_what_answers() {
    let hub = known(&[("apps/hub", "oci://docker.io/library", json!({}))], false);
    let choice = choose(&unnamed("oci://registry-1.docker.io/library/web"), &hub).expect("a choice");
    assert_eq!(used(&choice), Some(("apps/hub".to_owned(), Gives::Everything)));
}

#[test]
fn twins_are_told_and_only_those() {
    let url = "oci://r.example/charts";
    let known = known(
        &[
            ("apps/b", url, json!({})),
            ("apps/a", url, json!({})),
            ("apps/c", "oci://r.example", json!({})),
            ("platform/d", url, json!({})),
        ],
        false,
    );
    let choice = choose(&unnamed("oci://r.example/charts/web"), &known).expect("a choice");
    let used = choice.used.expect("one is used");
    assert_eq!((used.repository.name_any(), used.twins), ("a".to_owned(), vec![Key::parse("apps/b").expect("a key")]));
}

#[test]
fn a_named_repository_gives_everything_below_its_url_and_nothing_elsewhere() {
    let all = [
        ("apps/own", "oci://r.example/charts", json!({})),
        ("platform/open", "oci://r.example/charts", json!({})),
        ("platform/closed", "oci://r.example/charts", from("blue")),
        ("apps/old", "https://charts.example", json!({})),
        ("apps/elsewhere", "oci://s.example", json!({})),
    ];
    let name = |key: &str| {
        let key = Key::parse(key).expect("a key");
        json!({ "name": key.name, "namespace": key.namespace })
    };
    let chart = "oci://r.example/charts/web";
    let named = |key: &str| json!({ "name": "web", "repository": name(key) });
    let both = |key: &str| json!({ "name": "web", "repository": name(key), "ociRepository": chart });
    let full = |key: &str| Ok(Some((key.to_owned(), Gives::Everything)));
    for (what, only_own, expected) in [
        (named("apps/own"), false, full("apps/own")),
        (named("platform/open"), false, full("platform/open")),
        (named("platform/open"), true, Err(Reason::AccessDenied)),
        (named("platform/closed"), false, Err(Reason::AccessDenied)),
        (named("platform/nowhere"), false, Err(Reason::HelmRepositoryNotFound)),
        (named("apps/old"), false, Err(Reason::UnsupportedRepositoryType)),
        (both("platform/open"), false, full("platform/open")),
        (both("apps/elsewhere"), false, full("apps/own")),
    ] {
        let choice = choose(&wanted(&what).expect("a place"), &known(&all, only_own));
        assert_eq!(choice.as_ref().map(used).map_err(|error| error.reason), expected, "{what}");
        if let Ok(choice) = choice {
            assert_eq!(choice.chart.to_string(), chart);
        }
    }
}

#[test]
fn a_place_that_cannot_be_is_told_with_its_field() {
    for (chart, reason, word) in [
        (json!({ "name": "web" }), Reason::ConfigurationError, "ociRepository, repository or repositoryURL"),
        (
            json!({ "name": "web", "ociRepository": "oci://r.example" }),
            Reason::ConfigurationError,
            "spec.chart.ociRepository",
        ),
        (
            json!({ "name": "WEB", "repositoryURL": "oci://r.example" }),
            Reason::ConfigurationError,
            "spec.chart.repositoryURL",
        ),
        (
            json!({ "name": "web", "repositoryURL": "https://r.example" }),
            Reason::UnsupportedRepositoryType,
            "helm push",
        ),
    ] {
        let error = wanted(&chart).expect_err("no place");
        assert_eq!(error.reason, reason, "{chart}");
        assert!(error.message.contains(word), "{chart}: {}", error.message);
    }
}

#[test]
fn unknown_labels_decide_nothing() {
    let selecting = ("platform/b", "oci://r.example/charts", from("red"));
    for (repositories, expected) in [
        (vec![selecting.clone()], Err(Reason::ClusterUnavailable)),
        (vec![selecting.clone(), ("apps/a", "oci://r.example", json!({}))], Ok(Some("apps/a"))),
        (
            vec![("platform/b", "oci://r.example", json!({ "accessFrom": { "namespaceSelectors": [{}] } }))],
            Ok(Some("platform/b")),
        ),
    ] {
        let mut known = known(&repositories, false);
        *known.labels_mut() = None;
        let choice = choose(&unnamed("oci://r.example/charts/web"), &known);
        let key = choice.as_ref().map(used).map_err(|error| error.reason);
        assert_eq!(key.map(|used| used.map(|(key, _)| key)), expected.map(|key| key.map(ToOwned::to_owned)));
    }
}

#[test]
fn a_repository_concerns_who_uses_it_and_who_would() {
    let all = [
        ("apps/host", "oci://r.example", json!({})),
        ("apps/charts", "oci://r.example/charts", json!({})),
        ("platform/closed", "oci://q.example/charts", from("blue")),
        ("platform/open", "oci://q.example", json!({})),
    ];
    let named = |name: &str, namespace: &str| {
        wanted(&json!({ "name": "web", "repository": { "name": name, "namespace": namespace } })).expect("a place")
    };
    for (wanted, key, expected) in [
        (unnamed("oci://r.example/charts/web"), "apps/charts", true),
        (unnamed("oci://r.example/charts/web"), "apps/host", false),
        (unnamed("oci://r.example/other/web"), "apps/host", true),
        (unnamed("oci://q.example/charts/web"), "platform/closed", true),
        (unnamed("oci://q.example/charts/web"), "platform/open", true),
        (named("nowhere", "apps"), "apps/nowhere", true),
        (named("nowhere", "apps"), "apps/charts", false),
        (named("charts", "apps"), "apps/host", false),
        (named("closed", "platform"), "platform/closed", true),
        (named("closed", "platform"), "platform/open", false),
    ] {
        let key = Key::parse(key).expect("a key");
        assert_eq!(concerns(&wanted, &key, &known(&all, false)), expected, "{wanted:?} and {key}");
    }
}
