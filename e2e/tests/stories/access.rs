//! Who may use whose repository, and what a repository learns of charts that are not its own.

use anyhow::{Context as _, Result, ensure};
use e2e::faults::{Reply, Server, response};
use e2e::story::{SOON, Story, alone, repository, story};
use e2e::{charts, eventually, status};
use helm::release::Status;
use helm_operator::api::{HelmRepository, Reason};
use helm_operator::history::{History, Marks, ReleaseKey};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

/// A namespace of another team, with a repository that the story's charts lie in.
async fn neighbour(story: &Story<'_>, access: Option<Value>) -> Result<String> {
    let name = format!("{}-platform", story.namespace);
    story.kubectl.run(&["create", "namespace", &name]).await?;
    let mut shared: Value = serde_json::from_str(&repository("shared", &story.charts_url().await?))?;
    if let Some(access) = access {
        shared["spec"]["accessFrom"] = access;
    }
    story.kubectl.apply(&name, &shared.to_string()).await?;
    Ok(name)
}

fn from(namespace: &str) -> Value {
    json!({ "chart": { "repository": { "name": "shared", "namespace": namespace } } })
}

/// A release of the story's chart `memo` that names no repository.
async fn unnamed(story: &Story<'_>, name: &str) -> Result<()> {
    let release = json!({
        "apiVersion": "helm-operator.ketches.cn/v1alpha1",
        "kind": "HelmRelease",
        "metadata": { "name": name },
        "spec": { "chart": { "name": "memo", "ociRepository": format!("{}/memo", story.charts_url().await?) } },
    });
    story.apply(&release.to_string()).await
}

async fn change(repositories: &Api<HelmRepository>, name: &str, spec: Value) -> Result<()> {
    let patch = Patch::Merge(json!({ "spec": spec }));
    repositories.patch(name, &PatchParams::default(), &patch).await?;
    Ok(())
}

#[test]
fn a_repository_of_another_namespace_serves_whom_it_admits() -> Result<()> {
    story("access", async |story| {
        story.push(&charts::note("memo", "1.0.0")).await?;
        let selector = |label: &str| json!({ "namespaceSelectors": [{ "matchLabels": { "team": label } }] });
        let other = neighbour(story, Some(selector("blue"))).await?;
        story.release("memo", "memo", "1.0.0", from(&other)).await?;
        story.refused("memo", Reason::AccessDenied, &["shared", &story.namespace, "accessFrom"]).await?;

        // The platform team admits another label, and the namespace gets it later: no change of the release is needed.
        let repositories: Api<HelmRepository> = Api::namespaced(story.client.clone(), &other);
        change(&repositories, "shared", json!({ "accessFrom": selector("red") })).await?;
        eventually::object(&repositories, "shared", SOON, status::ready).await?;
        story.kubectl.run(&["label", "namespace", &story.namespace, "team=red"]).await?;
        story.ready("memo").await?;

        // One that names no repository is told which one would have served.
        story.kubectl.run(&["label", "--overwrite", "namespace", &story.namespace, "team=green"]).await?;
        unnamed(story, "stranger").await?;
        let words = ["no HelmRepository that namespace", "shared covers it, but its spec.accessFrom", "insecure: true"];
        story.refused("stranger", Reason::PlainHttp, &words).await?;
        change(&repositories, "shared", json!({ "accessFrom": selector("green") })).await?;
        story.ready("stranger").await?;
        story.kubectl.run(&["delete", "namespace", &other, "--wait=false"]).await?;
        Ok(())
    })
}

#[test]
fn what_nobody_shared_brings_credentials_and_no_weaker_transport() -> Result<()> {
    story("unshared", async |story| {
        story.push(&charts::note("memo", "1.0.0")).await?;
        let other = neighbour(story, None).await?;
        unnamed(story, "memo").await?;
        let shared = format!("HelmRepository {other}/shared sets insecure");
        story.refused("memo", Reason::AccessDenied, &[&shared, "accessFrom", &story.namespace]).await?;
        // Named it is wanted as it is.
        story.release("named", "memo", "1.0.0", from(&other)).await?;
        story.ready("named").await?;
        // Shared expressly it gives everything, without a change of the release.
        let repositories: Api<HelmRepository> = Api::namespaced(story.client.clone(), &other);
        change(&repositories, "shared", json!({ "accessFrom": { "namespaceSelectors": [{}] } })).await?;
        story.ready("memo").await?;
        story.kubectl.run(&["delete", "namespace", &other, "--wait=false"]).await?;
        Ok(())
    })
}

#[test]
fn a_registry_is_asked_for_the_charts_of_its_own_users_alone() -> Result<()> {
    story("strangers", async |story| {
        story.push(&charts::note("memo", "1.0.0")).await?;
        story.open_repository().await?;
        story.release("memo", "memo", "^1", json!({})).await?;
        story.ready("memo").await?;

        // Another tenant's registry, which refuses what it does not know.
        let tenant = Server::start(None, |seen| {
            let status = if seen.path.trim_end_matches('/') == "/v2" { 200 } else { 403 };
            Reply::Answer(response(status, &[], "{}"))
        })
        .await?;
        story.apply(&repository("tenant", &format!("oci://{}", tenant.host()))).await?;
        let repositories = story.repositories();
        let told = eventually::object(&repositories, "tenant", SOON, status::ready).await?;
        ensure!(status::message(&told).contains("no release uses a chart"), "{}", status::message(&told));
        let asked: Vec<String> = tenant.seen().into_iter().map(|seen| seen.path).collect();
        ensure!(asked.iter().all(|path| path.trim_end_matches('/') == "/v2"), "it was asked for {asked:?}");

        // A user of its own: it is asked for that chart, and refuses.
        let below = json!({ "chart": { "repository": { "name": "tenant" } } });
        story.release("own", "memo", "1.0.0", below).await?;
        story.refused("own", Reason::PermissionDenied, &["HelmRepository", "tenant"]).await?;
        let refused = |repository: &_| status::failed(repository, Reason::PermissionDenied);
        eventually::object(&repositories, "tenant", SOON, refused).await?;
        let asked = tenant.seen();
        let strange = asked.iter().find(|seen| seen.path.contains(&story.namespace));
        ensure!(
            strange.is_none(),
            "it was asked for a chart of another repository: {:?}",
            strange.map(|seen| &seen.path)
        );
        Ok(())
    })
}

#[test]
fn of_two_repositories_with_one_url_the_first_by_name_is_used_and_told() -> Result<()> {
    story("twins", async |story| {
        let url = story.charts_url().await?;
        for name in ["b-second", "a-first"] {
            story.apply(&repository(name, &url)).await?;
            eventually::object(&story.repositories(), name, SOON, status::ready).await?;
        }
        unnamed(story, "memo").await?;
        let words = ["access of HelmRepository", "/a-first", "/b-second has the same url"];
        story.refused("memo", Reason::RepositoryNotFound, &words).await?;
        Ok(())
    })
}

#[test]
fn an_operator_without_cross_namespace_references_refuses_them() -> Result<()> {
    alone(
        "no-cross",
        async |_, setup| Ok(setup.argument("--no-cross-namespace-refs")),
        async |story| {
            story.push(&charts::note("memo", "1.0.0")).await?;
            let other = neighbour(story, None).await?;
            story.release("memo", "memo", "1.0.0", from(&other)).await?;
            story.refused("memo", Reason::AccessDenied, &["shared", "--no-cross-namespace-refs"]).await?;
            story.open_repository().await?;
            let into = json!({ "release": { "namespace": other } });
            story.release("guest", "memo", "1.0.0", into).await?;
            story.refused("guest", Reason::AccessDenied, &["spec.release.namespace", &other, &story.namespace]).await?;
            let away = story.helm.history(&other, "guest").await;
            ensure!(away.is_err(), "it was installed into {other}: {away:?}");
            story.release("own", "memo", "1.0.0", json!({})).await?;
            story.ready("own").await?;
            Ok(())
        },
    )
}

/// Runs before what holds it is deleted, in another namespace.
const AWAY: &str = "{{- if .Values.away }}
apiVersion: v1
kind: ConfigMap
metadata:
  name: planted
  namespace: {{ .Values.away }}
  annotations:
    helm.sh/hook: pre-delete
{{- end }}
";

#[test]
fn a_hook_reaches_no_further_than_its_object_whatever_the_record_says() -> Result<()> {
    alone(
        "no-cross-hooks",
        async |_, setup| Ok(setup.argument("--no-cross-namespace-refs")),
        async |story| {
            let chart = charts::note("memo", "1.0.0").file("templates/away.yaml", AWAY);
            story.push(&chart).await?;
            story.open_repository().await?;
            let other = format!("{}-other", story.namespace);
            story.kubectl.run(&["create", "namespace", &other]).await?;

            // A record as whoever may write Secrets here writes it: its uninstall was begun for an object of the other namespace.
            let (url, away) = (format!("{}/memo", story.charts_url().await?), format!("away={other}"));
            let install = ["install", "memo", &url, "--version", "1.0.0", "--plain-http", "--set", &away];
            story.helm.run(&[&install[..], &["--namespace", &story.namespace]].concat()).await?;
            let history = History::new(story.client.clone());
            let key = ReleaseKey { namespace: story.namespace.clone(), name: "memo".to_owned() };
            let mut record = history.get(&key, 1).await?.context("a record")?;
            record.release.info.status = Status::Uninstalling;
            record.release.info.deleted = Some(jiff::Timestamp::now());
            let (owner, uid) = (format!("{other}/memo"), "of-nobody".to_owned());
            record.marks = Some(Marks { owner, uid, generation: 1, inputs: "any".to_owned(), ..Marks::default() });
            history.update(record).await?;

            story.release("memo", "memo", "1.0.0", json!({})).await?;
            story.refused("memo", Reason::AccessDenied, &["planted", &other]).await?;
            let planted = Api::<ConfigMap>::namespaced(story.client.clone(), &other).get_opt("planted").await?;
            ensure!(planted.is_none(), "a hook was run in another namespace");
            Ok(())
        },
    )
}
