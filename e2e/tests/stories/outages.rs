//! What the operator stands on goes away and comes back: the API server under it, the registry before it.

use anyhow::{Result, ensure};
use e2e::helm::Login;
use e2e::kwok::{PLAY, play};
use e2e::process::Scratch;
use e2e::registry::{Face, Registry};
use e2e::story::{SOON, Story, alone, as_it_is, repository};
use e2e::{charts, eventually, status};
use helm_operator::api::{HelmRelease, Reason};
use serde_json::json;

#[test]
fn an_api_server_that_restarts_interrupts_nothing() -> Result<()> {
    alone("api-restart", as_it_is, async |story| {
        story.push(&charts::web("web", "1.0.0")).await?;
        story.open_repository().await?;
        story.release("before", "web", "1.0.0", json!({})).await?;
        story.ready("before").await?;

        let slow = json!({ "values": { "podAnnotations": { PLAY: play::SLOW } } });
        story.release("during", "web", "1.0.0", slow).await?;
        eventually::object(&story.releases(), "during", SOON, reconciling).await?;
        story.stage.plane.stop_apiserver().await?;
        story.stage.plane.start_apiserver().await?;
        story.ready("during").await?;
        story.release("after", "web", "1.0.0", json!({})).await?;
        story.ready("after").await?;
        for release in ["before", "during", "after"] {
            let told = story.history(release).await?;
            ensure!(told == "1 deployed", "{release}: helm history tells: {told}");
        }
        ensure!(story.stage.operator().await.process()?.is_running(), "the operator did not survive");
        Ok(())
    })
}

fn reconciling(release: &HelmRelease) -> Result<()> {
    use e2e::status::Conditioned as _;
    let reconciling = release.conditions().iter().any(|is| is.type_ == "Reconciling" && is.status == "True");
    ensure!(reconciling, "{}", status::summary(release));
    Ok(())
}

#[test]
fn a_registry_that_goes_and_comes_back_stops_new_releases_only() -> Result<()> {
    alone("registry-outage", as_it_is, async |story| {
        let mut registry = Registry::start(Face::anonymous()).await?;
        push(story, &registry).await?;
        story.apply(&repository("charts", &registry.url())).await?;
        story.release("old", "memo", "1.0.0", json!({})).await?;
        story.ready("old").await?;

        registry.stop().await?;
        let annotation = "helm-operator.ketches.cn/requestedAt";
        let asked = json!({ "metadata": { "annotations": { annotation: "during the outage" } } });
        let repositories = story.repositories();
        repositories.patch("charts", &kube::api::PatchParams::default(), &kube::api::Patch::Merge(asked)).await?;
        let away = |repository: &_| status::failed(repository, Reason::ConnectionFailed);
        eventually::object(&repositories, "charts", SOON, away).await?;
        story.release("new", "fresh", "~1.0", json!({})).await?;
        story.failed("new", Reason::ConnectionFailed).await?;
        // What is deployed as declared stays ready, however often the registry is asked; another condition tells of it.
        story.patch("old", json!({ "metadata": { "annotations": { annotation: "during the outage" } } })).await?;
        let without = |release: &HelmRelease| {
            status::has(release, "SourceReady", "False", Reason::ConnectionFailed)?;
            let applied = release.status.as_ref().and_then(|status| status.last_applied_revision.as_deref());
            ensure!(applied == Some("1.0.0"), "applied {applied:?}");
            status::ready(release)
        };
        eventually::object(&story.releases(), "old", SOON, without).await?;
        story.stage.operator().await.kill().await?;
        story.stage.operator().await.start().await?;
        story.patch("old", json!({ "metadata": { "annotations": { annotation: "after a restart" } } })).await?;
        let asked_again = |release: &HelmRelease| {
            let handled = release.status.as_ref().and_then(|status| status.last_handled_reconcile_at.as_deref());
            ensure!(handled == Some("after a restart"), "handled {handled:?}");
            without(release)
        };
        eventually::object(&story.releases(), "old", SOON, asked_again).await?;
        // But not another version of it.
        story.patch("old", json!({ "spec": { "chart": { "version": "~1.1" } } })).await?;
        story.failed("old", Reason::ConnectionFailed).await?;
        story.patch("old", json!({ "spec": { "chart": { "version": "1.0.0" } } })).await?;

        registry.restart().await?;
        eventually::object(&repositories, "charts", SOON, status::ready).await?;
        story.ready("new").await?;
        story.ready("old").await?;
        ensure!(story.history("old").await? == "1 deployed", "an outage is no upgrade");
        Ok(())
    })
}

async fn push(story: &Story<'_>, registry: &Registry) -> Result<()> {
    let scratch = Scratch::new("outage")?;
    for chart in ["memo", "fresh"] {
        let folder = charts::note(chart, "1.0.0").write(scratch.path())?;
        let archive = story.helm.package(&folder, scratch.path(), None).await?;
        story.helm.push(&archive, &registry.url(), &Login::default()).await?;
    }
    Ok(())
}
