//! Declarations that name what is not there: repositories, charts, tags, versions, Secrets; and what comes later.

use std::cell::OnceCell;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::faults::Server;
use e2e::gateway::{Gateway, Which};
use e2e::story::{SOON, alone, as_it_is, registry, repository, story};
use e2e::{charts, eventually, status};
use helm_operator::api::Reason;
use kube::api::DeleteParams;
use serde_json::{Value, json};

#[test]
fn what_is_not_there_is_told_with_what_is() -> Result<()> {
    story("references", async |story| {
        for version in ["1.0.0", "1.1.0", "2.0.0-rc.1"] {
            story.push(&charts::note("memo", version)).await?;
        }
        story.open_repository().await?;
        let chart = |chart: Value| json!({ "chart": chart });
        let cases = [
            ("no-tag", "memo", "1.2.0", json!({}), Reason::TagNotFound, &["1.2.0", "1.1.0"][..]),
            ("no-match", "memo", "^3", json!({}), Reason::NoMatchingVersion, &["^3", "1.1.0"]),
            ("no-chart", "momo", "1.0.0", json!({}), Reason::RepositoryNotFound, &["momo"]),
            (
                "no-repository",
                "memo",
                "1.0.0",
                chart(json!({ "repository": { "name": "nowhere" } })),
                Reason::HelmRepositoryNotFound,
                &["nowhere"],
            ),
            (
                "moved",
                "memo",
                "1.0.0",
                chart(json!({ "digest": format!("sha256:{}", "0".repeat(64)) })),
                Reason::DigestMismatch,
                &["sha256:"],
            ),
            (
                "no-namespace",
                "memo",
                "1.0.0",
                json!({ "release": { "namespace": "not-made-by-anyone" } }),
                Reason::NamespaceNotFound,
                &["not-made-by-anyone"],
            ),
        ];
        for (name, chart, version, spec, ..) in &cases {
            story.release(name, chart, version, spec.clone()).await?;
        }
        for (name, .., reason, words) in &cases {
            story.refused(name, *reason, words).await?;
        }
        // The repository tells which of the charts in use it lacks.
        let told = |repository: &_| {
            status::ready(repository)?;
            let message = status::message(repository);
            ensure!(message.contains("/momo not found"), "message: {message}");
            Ok(())
        };
        eventually::object(&story.repositories(), "charts", SOON, told).await?;
        // A tag that comes later is found without a change of the release.
        story.push(&charts::note("memo", "1.2.0")).await?;
        story.ready("no-tag").await?;
        Ok(())
    })
}

#[test]
fn a_repository_that_cannot_be_used_says_why() -> Result<()> {
    story("repositories", async |story| {
        let host = registry().await?.host();
        let secret = |name: &str| json!({ "basic": { "secretRef": { "name": name } } });
        let cases = [
            ("old-style", json!({ "url": "https://charts.example.com" }), Reason::UnsupportedRepositoryType),
            ("no-secret", json!({ "url": format!("oci://{host}"), "auth": secret("nowhere") }), Reason::SecretNotFound),
            ("empty-secret", json!({ "url": format!("oci://{host}"), "auth": secret("empty") }), Reason::SecretInvalid),
            ("plain", json!({ "url": format!("oci://{host}") }), Reason::PlainHttp),
            ("no-host", json!({ "url": "oci://registry.invalid/charts" }), Reason::DnsFailed),
        ];
        story.kubectl.run(&["create", "secret", "generic", "empty", "--namespace", &story.namespace]).await?;
        for (name, spec, _) in &cases {
            let repository = json!({
                "apiVersion": "helm-operator.ketches.cn/v1alpha1",
                "kind": "HelmRepository",
                "metadata": { "name": name },
                "spec": spec,
            });
            story.apply(&repository.to_string()).await?;
        }
        for (name, _, reason) in &cases {
            let told = |repository: &_| status::failed(repository, *reason);
            eventually::object(&story.repositories(), name, SOON, told).await?;
        }
        // What the grammar of references rules out is told, though the registry answers.
        story.apply(&repository("upper-case", &format!("oci://{host}/UPPER"))).await?;
        let told = eventually::object(&story.repositories(), "upper-case", SOON, status::ready).await?;
        ensure!(status::message(&told).contains("lower case"), "message: {}", status::message(&told));
        Ok(())
    })
}

#[test]
fn what_is_pushed_is_found_in_the_rhythm_of_its_repository() -> Result<()> {
    story("rhythm", async |story| {
        story.push(&charts::note("memo", "1.0.0")).await?;
        let mut often: Value = serde_json::from_str(&repository("charts", &story.charts_url().await?))?;
        often["spec"]["interval"] = json!("2s");
        story.apply(&often.to_string()).await?;
        story.release("memo", "memo", "^1", json!({ "interval": "1h" })).await?;
        story.release("fixed", "memo", "1.0.0", json!({ "interval": "1h" })).await?;
        story.release("early", "later", "0.1.0", json!({ "interval": "1h" })).await?;
        story.ready("memo").await?;
        story.ready("fixed").await?;
        story.failed("early", Reason::RepositoryNotFound).await?;

        story.push(&charts::note("memo", "1.1.0")).await?;
        story.push(&charts::note("later", "0.1.0")).await?;
        let upgraded = |release: &helm_operator::api::HelmRelease| {
            status::ready(release)?;
            let state = release.status.as_ref().and_then(|status| status.helm_release.as_ref());
            let chart = state.and_then(|state| state.chart.as_deref());
            ensure!(chart == Some("memo-1.1.0"), "the chart is {chart:?}");
            Ok(())
        };
        eventually::object(&story.releases(), "memo", SOON, upgraded).await?;
        story.ready("early").await?;
        let told = story.history("fixed").await?;
        ensure!(told == "1 deployed", "an exact version changes with no push: {told}");
        Ok(())
    })
}

#[test]
fn a_repository_of_the_go_operator_is_taken_over_counted_and_asked_no_more_than_needed() -> Result<()> {
    alone("taken-over", as_it_is, async |story| {
        story.push(&charts::note("memo", "1.0.0")).await?;
        let front = Server::before(&registry().await?.host(), |_| None).await?;
        let url = format!("oci://{}/{}", front.host(), story.namespace);
        let mut held: Value = serde_json::from_str(&repository("charts", &url))?;
        let finalizer = "helm-operator.ketches.cn/repository-finalizer";
        held["metadata"]["finalizers"] = json!([finalizer]);
        story.apply(&held.to_string()).await?;
        let told = eventually::object(&story.repositories(), "charts", SOON, status::ready).await?;
        let left = told.metadata.finalizers.unwrap_or_default();
        ensure!(!left.iter().any(|name| name == finalizer), "finalizers: {left:?}");

        // The release has its tags listed; the repository, which learns of the chart, takes that list.
        story.release("memo", "memo", "^1", json!({})).await?;
        story.ready("memo").await?;
        let told = |repository: &_| {
            status::ready(repository)?;
            ensure!(status::message(repository).contains("has the charts that releases use"), "not told yet");
            Ok(())
        };
        eventually::object(&story.repositories(), "charts", SOON, told).await?;
        let lists = front.count("/tags/list");
        ensure!(lists == 1, "the tags were listed {lists} times");

        let metrics = story.stage.operator().await.metrics().await?;
        let counted = metrics.iter().any(|(series, count)| {
            series.starts_with("helm_operator_reconcile_total{controller=\"helmrepository\"") && *count >= 1.0
        });
        ensure!(counted, "no reconcile of a repository is counted: {:?}", metrics.keys());
        Ok(())
    })
}

#[test]
fn a_release_gets_the_repository_that_comes_later() -> Result<()> {
    story("later", async |story| {
        story.push(&charts::note("memo", "1.0.0")).await?;
        story.release("named", "memo", "1.0.0", json!({})).await?;
        story.refused("named", Reason::HelmRepositoryNotFound, &["charts"]).await?;
        let reference = format!("{}/memo", story.charts_url().await?);
        let unnamed = json!({
            "apiVersion": "helm-operator.ketches.cn/v1alpha1",
            "kind": "HelmRelease",
            "metadata": { "name": "unnamed" },
            "spec": { "chart": { "name": "memo", "ociRepository": reference } },
        });
        story.apply(&unnamed.to_string()).await?;
        // Plain HTTP is nothing that passes by itself: without a wake-up it would be half an hour.
        let words = ["no HelmRepository", "covers oci://", "create one there with url", "insecure: true"];
        story.refused("unnamed", Reason::PlainHttp, &words).await?;
        story.open_repository().await?;
        story.ready("named").await?;
        story.ready("unnamed").await?;
        Ok(())
    })
}

#[test]
fn a_repository_that_goes_while_nobody_watches_is_missed() -> Result<()> {
    let gateway = OnceCell::new();
    alone(
        "vanished",
        async |plane, setup| {
            let started = Gateway::start(plane.kubeconfig()).await?;
            let setup = setup.kubeconfig(started.kubeconfig());
            gateway.set(started).map_err(|_| anyhow::anyhow!("the stage is set twice"))?;
            Ok(setup)
        },
        async |story| {
            story.push(&charts::note("memo", "1.0.0")).await?;
            story.open_repository().await?;
            story.release("memo", "memo", "1.0.0", json!({})).await?;
            story.ready("memo").await?;
            let gateway = gateway.get().context("the stage is set")?;
            gateway.cut_watches(Which::watches("helmrepositories"), Duration::from_secs(3));
            story.repositories().delete("charts", &DeleteParams::default()).await?;
            story.refused("memo", Reason::HelmRepositoryNotFound, &["charts"]).await?;
            story.open_repository().await?;
            story.ready("memo").await?;
            Ok(())
        },
    )
}
