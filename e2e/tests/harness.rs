//! The harness itself: what the stories take for granted.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::apiserver::{self, ControlPlane};
use e2e::gateway::{Gateway, Moment};
use e2e::helm::Helm;
use e2e::kwok::{PLAY, play};
use e2e::process::Scratch;
use e2e::{charts, eventually};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::Api;
use kube::api::{ListParams, PostParams};
use serde_json::json;

const SOON: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_becomes_available_and_a_job_completes() -> Result<()> {
    let start = Instant::now();
    let plane = ControlPlane::shared().await?;
    drop(std::io::Write::write_fmt(
        &mut std::io::stderr(),
        format_args!("control plane ready in {:?}\n", start.elapsed()),
    ));
    let client = plane.client().await?;
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), "default");
    let template = |play: &str| {
        json!({
            "metadata": { "labels": { "app": "web" }, "annotations": { PLAY: play } },
            "spec": { "containers": [{ "name": "web", "image": "web:1" }] },
        })
    };
    let web = json!({
        "metadata": { "name": "web" },
        "spec": { "replicas": 3, "selector": { "matchLabels": { "app": "web" } }, "template": template("") },
    });
    deployments.create(&PostParams::default(), &serde_json::from_value(web)?).await?;
    eventually::object(&deployments, "web", SOON, |web| {
        let ready = web.status.as_ref().and_then(|status| status.ready_replicas);
        ensure!(ready == Some(3), "ready replicas: {ready:?}");
        Ok(())
    })
    .await?;

    let jobs: Api<Job> = Api::namespaced(client, "default");
    let mut pod = template("");
    pod["spec"]["restartPolicy"] = "Never".into();
    let job = json!({ "metadata": { "name": "migrate" }, "spec": { "template": pod } });
    jobs.create(&PostParams::default(), &serde_json::from_value(job)?).await?;
    eventually::object(&jobs, "migrate", SOON, |job| {
        let succeeded = job.status.as_ref().and_then(|status| status.succeeded);
        ensure!(succeeded == Some(1), "succeeded: {succeeded:?}");
        Ok(())
    })
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_plays_what_its_annotation_says() -> Result<()> {
    let client = ControlPlane::shared().await?.client().await?;
    let pods: Api<Pod> = Api::namespaced(client.clone(), "default");
    for (name, reason) in [(play::IMAGE_PULL, "ImagePullBackOff"), (play::CRASH, "CrashLoopBackOff")] {
        let pod = json!({
            "metadata": { "name": name, "annotations": { PLAY: name } },
            "spec": { "containers": [{ "name": "main", "image": "main:1" }] },
        });
        pods.create(&PostParams::default(), &serde_json::from_value(pod)?).await?;
        eventually::object(&pods, name, SOON, |pod| {
            let waiting = pod
                .status
                .as_ref()
                .and_then(|status| status.container_statuses.as_ref()?.first()?.state.as_ref()?.waiting.as_ref());
            ensure!(waiting.is_some_and(|waiting| waiting.reason.as_deref() == Some(reason)), "waiting: {waiting:?}");
            Ok(())
        })
        .await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_survive_a_restart_of_the_api_server() -> Result<()> {
    let plane = ControlPlane::api_only().await?;
    if !plane.is_own() {
        return Ok(());
    }
    let maps: Api<ConfigMap> = Api::namespaced(plane.client().await?, "default");
    let map = serde_json::from_value(json!({ "metadata": { "name": "kept" } }))?;
    eventually::eventually("the default namespace exists", SOON, || async {
        maps.create(&PostParams::default(), &map).await.context("not yet")
    })
    .await?;
    plane.stop_apiserver().await?;
    ensure!(maps.list(&ListParams::default()).await.is_err(), "the API server should be away");
    plane.start_apiserver().await?;
    maps.get("kept").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn helm_installs_a_written_chart_and_both_helms_tell_its_history() -> Result<()> {
    let plane = ControlPlane::shared().await?;
    let (helm, helm3) = (Helm::new(Some(plane.kubeconfig())).await?, Helm::v3(Some(plane.kubeconfig())).await?);
    let scratch = Scratch::new("charts")?;
    let chart = charts::umbrella("0.1.0", 3).write(scratch.path())?;
    let archive = helm.package(&chart, scratch.path(), Some("0.2.0")).await?;
    let archive = archive.to_str().context("a temporary path is text")?;
    helm.run(&["install", "shop", archive, "--namespace", "default"]).await?;
    ensure!(helm.manifest("default", "shop").await?.matches("\nkind: ").count() == 15, "five objects a part");
    for helm in [&helm, &helm3] {
        let listed = helm.list("default").await?;
        ensure!(listed.iter().any(|row| row.chart == "umbrella-0.2.0" && row.status == "deployed"), "{listed:?}");
        let history = helm.history("default", "shop").await?;
        ensure!(history.len() == 1 && history[0].revision == 1, "{history:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_lets_all_pass_until_the_write_that_is_the_last() -> Result<()> {
    let plane = ControlPlane::shared().await?;
    let gateway = Gateway::start(plane.kubeconfig()).await?;
    let through: Api<ConfigMap> = Api::namespaced(apiserver::client(gateway.kubeconfig()).await?, "default");
    let beside: Api<ConfigMap> = Api::namespaced(plane.client().await?, "default");
    let map = |name: &str| serde_json::from_value(json!({ "metadata": { "name": name } }));
    let create = async |name: &str| anyhow::Ok(through.create(&PostParams::default(), &map(name)?).await?);

    for (moment, names, there) in
        [(Moment::Before, ["before-0", "before-1"], false), (Moment::After, ["after-0", "after-1"], true)]
    {
        gateway.trap(1, moment);
        create(names[0]).await?;
        tokio::select! {
            () = gateway.caught() => {}
            answer = create(names[1]) => anyhow::bail!("the last write must not be answered: {answer:?}"),
        }
        ensure!(beside.get_opt(names[1]).await?.is_some() == there, "{moment:?}");
        ensure!(create("late").await.is_err(), "nothing passes after the last write");
        ensure!(gateway.writes().len() >= 2, "{:?}", gateway.writes());
    }
    gateway.open();
    // A watch streams through.
    eventually::object(&through, "after-1", SOON, |_| Ok(())).await?;
    Ok(())
}
