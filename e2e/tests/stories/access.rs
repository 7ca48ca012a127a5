//! Who may use whose repository, and who may manage which release.

use anyhow::{Result, ensure};
use e2e::charts;
use e2e::story::{Story, alone, repository, story};
use helm_operator::api::{HelmRelease, Reason};
use kube::Api;
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

#[test]
fn a_repository_of_another_namespace_serves_whom_it_admits() -> Result<()> {
    story("access", async |story| {
        story.push(&charts::note("memo", "1.0.0")).await?;
        let selector = |label: &str| json!({ "namespaceSelectors": [{ "matchLabels": { "team": label } }] });
        let other = neighbour(story, Some(selector("blue"))).await?;
        story.release("memo", "memo", "1.0.0", from(&other)).await?;
        story.refused("memo", Reason::AccessDenied, &["shared", &story.namespace]).await?;

        // The platform team opens it: no change of the release is needed.
        let open = json!({ "spec": { "accessFrom": selector("red") } });
        let repositories: Api<helm_operator::api::HelmRepository> = Api::namespaced(story.client.clone(), &other);
        story.kubectl.run(&["label", "namespace", &story.namespace, "team=red"]).await?;
        repositories.patch("shared", &kube::api::PatchParams::default(), &kube::api::Patch::Merge(open)).await?;
        story.ready("memo").await?;
        story.kubectl.run(&["delete", "namespace", &other, "--wait=false"]).await?;
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
            story.refused("memo", Reason::AccessDenied, &["shared"]).await?;
            story.open_repository().await?;
            story.release("own", "memo", "1.0.0", json!({})).await?;
            story.ready("own").await?;
            Ok(())
        },
    )
}

#[test]
fn two_objects_that_name_one_release_do_not_fight_over_it() -> Result<()> {
    story("one-release", async |story| {
        story.push(&charts::note("memo", "1.0.0")).await?;
        story.open_repository().await?;
        let named = json!({ "release": { "name": "memo" } });
        story.release("older", "memo", "1.0.0", named.clone()).await?;
        story.ready("older").await?;
        story.release("younger", "memo", "1.0.0", named).await?;
        story.refused("younger", Reason::ReleaseNameConflict, &["older"]).await?;
        let told = story.history("memo").await?;
        ensure!(told == "1 deployed", "helm history tells: {told}");

        // The one that never had it leaves it where it is.
        story.delete("younger").await?;
        let told = story.history("memo").await?;
        ensure!(told == "1 deployed", "helm history tells: {told}");
        let older: HelmRelease = story.ready("older").await?;
        ensure!(older.metadata.deletion_timestamp.is_none(), "the older one is being deleted");
        Ok(())
    })
}
