//! Two management clusters that declare one release of a third one: who has it, who is told so, and how it changes hands.

use anyhow::{Context as _, Result, ensure};
use e2e::apiserver::ControlPlane;
use e2e::eventually;
use e2e::helm::Helm;
use e2e::kubectl::Kubectl;
use e2e::story::{SOON, Stage, Story, alone_on, as_it_is};
use helm_operator::api::{FORCE_AT, Reason};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use serde_json::{Value, json};

use crate::remote_clusters::{Remote, named, prepare, set};

/// The same namespace of another management cluster.
async fn beside<'a>(story: &Story<'_>, stage: &'a Stage) -> Result<Story<'a>> {
    let namespace = json!({ "metadata": { "name": story.namespace } });
    let namespaces = Api::<Namespace>::all(stage.plane.client().await?);
    namespaces.create(&PostParams::default(), &serde_json::from_value(namespace)?).await?;
    within(story, stage).await
}

/// The same namespace of another cluster, where it is.
async fn within<'a>(story: &Story<'_>, stage: &'a Stage) -> Result<Story<'a>> {
    Ok(Story {
        namespace: story.namespace.clone(),
        client: stage.plane.client().await?,
        kubectl: Kubectl::new(stage.plane.kubeconfig()).await?,
        helm: Helm::new(Some(stage.plane.kubeconfig())).await?,
        stage,
    })
}

/// That, with all that two management clusters need for a release in a third one.
async fn opened<'a>(one: &Story<'_>, stage: &'a Stage, remote: &Remote<'_>) -> Result<Story<'a>> {
    let two = beside(one, stage).await?;
    prepare(one).await?;
    two.open_repository().await?;
    for story in [one, &two] {
        set(story, "prod", "value", &remote.kubeconfig()?).await?;
    }
    Ok(two)
}

/// The version of the first record, which changes with each write.
async fn version(remote: &Remote<'_>, story: &Story<'_>) -> Result<Option<String>> {
    let secrets = Api::<Secret>::namespaced(remote.client.clone(), &story.namespace);
    Ok(secrets.get("sh.helm.release.v1.memo.v1").await?.metadata.resource_version)
}

/// An object as a backup has it: what was asked of it long ago stands on it still.
fn restored(spec: &Value) -> Value {
    let mut restored = json!({
        "apiVersion": "helm-operator.ketches.cn/v1alpha1",
        "kind": "HelmRelease",
        "metadata": { "name": "memo", "annotations": { FORCE_AT: "long ago" } },
        "spec": spec,
    });
    restored["spec"]["chart"] = json!({ "name": "memo", "version": "1.0.0", "repository": { "name": "charts" } });
    restored
}

#[test]
fn two_management_clusters_do_not_have_one_release_and_it_changes_hands_only_when_asked() -> Result<()> {
    alone_on(ControlPlane::api_only(), "remote-homes", as_it_is, async |one| {
        let plane = ControlPlane::api_only().await?;
        let remote = Remote::of(&plane, one).await?;
        let stage = Stage::set(ControlPlane::api_only().await?, as_it_is).await?;
        let two = &opened(one, &stage, &remote).await?;
        one.release("memo", "memo", "1.0.0", named("prod")).await?;
        one.ready("memo").await?;
        let record = version(&remote, one).await?;

        // Whatever the other declares: it is told, and nothing is written.
        two.release("memo", "memo", "1.0.0", named("prod")).await?;
        let belongs = ["of another cluster", FORCE_AT, "made its revision 1"];
        two.refused("memo", Reason::ReleaseNameConflict, &belongs).await?;
        two.patch("memo", json!({ "spec": { "chart": { "version": "1.1.0" } } })).await?;
        two.refused("memo", Reason::ReleaseNameConflict, &belongs).await?;
        for suspended in [true, false] {
            two.patch("memo", json!({ "spec": { "suspend": suspended } })).await?;
        }
        two.refused("memo", Reason::ReleaseNameConflict, &belongs).await?;
        two.releases().delete("memo", &DeleteParams::default()).await?;
        eventually::gone(&two.releases(), "memo", SOON).await?;
        two.event("memo", Reason::UninstallSkipped, "of another cluster").await?;
        ensure!(remote.map("memo-config").await?.is_some(), "the other's release was uninstalled");
        ensure!(version(&remote, one).await? == record, "the other's record was written");

        // Nothing that is declared takes it over, here or there; a person does.
        let mut adopts = named("prod");
        adopts["adopt"] = json!(true);
        two.apply(&restored(&adopts).to_string()).await?;
        two.refused("memo", Reason::ReleaseNameConflict, &belongs).await?;
        let handled = two.releases().get("memo").await?.status.and_then(|status| status.last_handled_force_at);
        ensure!(handled.as_deref() == Some("long ago"), "{handled:?}");
        two.patch("memo", json!({ "metadata": { "annotations": { FORCE_AT: "first" } } })).await?;
        two.ready("memo").await?;
        let taken = ["taken over", "of another cluster", FORCE_AT];
        one.refused("memo", Reason::ReleaseNameConflict, &taken).await?;
        one.patch("memo", json!({ "spec": { "adopt": true, "chart": { "version": "1.1.0" } } })).await?;
        one.refused("memo", Reason::ReleaseNameConflict, &taken).await?;
        let taken_once = "1 superseded, 2 deployed";
        ensure!(remote.history("memo").await? == taken_once, "{}", remote.history("memo").await?);

        // But once for each demand.
        one.patch("memo", json!({ "metadata": { "annotations": { FORCE_AT: "back" } } })).await?;
        one.ready("memo").await?;
        two.refused("memo", Reason::ReleaseNameConflict, &taken).await?;
        let taken_back = "1 superseded, 2 superseded, 3 deployed";
        ensure!(remote.history("memo").await? == taken_back, "{}", remote.history("memo").await?);
        two.patch("memo", json!({ "metadata": { "annotations": { FORCE_AT: "mine" } } })).await?;
        two.ready("memo").await?;
        one.refused("memo", Reason::ReleaseNameConflict, &taken).await?;

        one.delete("memo").await?;
        one.event("memo", Reason::UninstallSkipped, "of another cluster").await?;
        ensure!(remote.map("memo-config").await?.is_some(), "the other's release was uninstalled");
        two.delete("memo").await?;
        ensure!(remote.map("memo-config").await?.is_none() && remote.records().await? == 0, "something is left there");
        let operator = stage.operator().await;
        operator.check_log().context("the second operator")
    })
}

#[test]
fn two_management_clusters_do_not_have_one_release_with_two_histories() -> Result<()> {
    alone_on(ControlPlane::api_only(), "remote-histories", as_it_is, async |one| {
        let plane = ControlPlane::api_only().await?;
        let remote = Remote::of(&plane, one).await?;
        let stage = Stage::set(ControlPlane::api_only().await?, as_it_is).await?;
        let two = &opened(one, &stage, &remote).await?;
        let mut apart = named("prod");
        apart["storageNamespace"] = json!("default");
        one.release("memo", "memo", "1.0.0", apart).await?;
        one.ready("memo").await?;
        two.release("memo", "memo", "1.1.0", named("prod")).await?;
        two.refused("memo", Reason::OwnershipConflict, &["history of it in namespace default", "of another cluster"])
            .await?;
        two.delete("memo").await?;
        ensure!(remote.map("memo-config").await?.is_some(), "the other's release was uninstalled");
        one.delete("memo").await?;
        ensure!(remote.map("memo-config").await?.is_none(), "something is left there");
        stage.operator().await.check_log().context("the second operator")
    })
}

#[test]
fn what_the_operator_of_a_cluster_has_there_is_not_had_by_another_that_reaches_it() -> Result<()> {
    alone_on(ControlPlane::api_only(), "remote-own", as_it_is, async |story| {
        let stage = Stage::set(ControlPlane::api_only().await?, as_it_is).await?;
        let remote = Remote::of(&stage.plane, story).await?;
        let there = &within(story, &stage).await?;
        prepare(story).await?;
        there.open_repository().await?;
        set(story, "prod", "value", &remote.kubeconfig()?).await?;
        there.release("memo", "memo", "1.0.0", json!({})).await?;
        there.ready("memo").await?;
        let record = version(&remote, there).await?;

        let theirs = ["of that cluster itself", FORCE_AT, "made its revision 1"];
        story.release("memo", "memo", "1.1.0", named("prod")).await?;
        story.refused("memo", Reason::ReleaseNameConflict, &theirs).await?;
        // It may have got no further than to be listed there.
        story.delete("memo").await?;
        story.event("memo", Reason::UninstallSkipped, "of that cluster itself").await?;
        ensure!(remote.map("memo-config").await?.is_some(), "the release of that cluster was uninstalled");
        ensure!(version(&remote, there).await? == record, "the record of that cluster was written");

        // It is handed over, and back, when a person asks; not for a demand that came with the object.
        story.apply(&restored(&named("prod")).to_string()).await?;
        story.refused("memo", Reason::ReleaseNameConflict, &theirs).await?;
        // What else fails meanwhile does not make it forget that.
        set(story, "prod", "value", "nothing").await?;
        story.refused("memo", Reason::SecretInvalid, &[]).await?;
        story.patch("memo", json!({ "metadata": { "annotations": { FORCE_AT: "mine" } } })).await?;
        set(story, "prod", "value", &remote.kubeconfig()?).await?;
        story.ready("memo").await?;
        there.refused("memo", Reason::ReleaseNameConflict, &["taken over", "of another cluster", FORCE_AT]).await?;
        there.patch("memo", json!({ "metadata": { "annotations": { FORCE_AT: "back" } } })).await?;
        there.ready("memo").await?;
        story.refused("memo", Reason::ReleaseNameConflict, &["taken over", "of that cluster itself"]).await?;
        story.delete("memo").await?;
        ensure!(remote.map("memo-config").await?.is_some(), "the release of that cluster was uninstalled");
        there.delete("memo").await?;
        ensure!(remote.map("memo-config").await?.is_none() && remote.records().await? == 0, "something is left there");
        let operator = stage.operator().await;
        operator.check_log().context("the operator there")
    })
}
