//! What the operator stands on goes away and comes back: the API server under it, the registry before it.

use anyhow::{Result, ensure};
use e2e::helm::Login;
use e2e::kwok::{PLAY, play};
use e2e::process::Scratch;
use e2e::registry::{Face, Registry};
use e2e::story::{SOON, Story, alone, as_it_is, repository, story};
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
    story("registry-outage", async |story| {
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
        story.release("new", "memo", "~1.0", json!({})).await?;
        story.failed("new", Reason::ConnectionFailed).await?;
        story.ready("old").await?;

        registry.restart().await?;
        eventually::object(&repositories, "charts", SOON, status::ready).await?;
        story.ready("new").await?;
        Ok(())
    })
}

async fn push(story: &Story<'_>, registry: &Registry) -> Result<()> {
    let scratch = Scratch::new("outage")?;
    let archive =
        story.helm.package(&charts::note("memo", "1.0.0").write(scratch.path())?, scratch.path(), None).await?;
    story.helm.push(&archive, &registry.url(), &Login::default()).await
}
