//! Waiting: who is waited for, what ends it, what it costs, and what is said when it fails.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use e2e::kwok::play;
use helm_operator::cluster::{Cluster, WaitError, WaitOptions};
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::Api;
use kube::api::PostParams;
use serde_json::{Value, json};

use crate::{Ground, LONG, config_map, deployment, impersonated, job};

const PATIENT: WaitOptions = WaitOptions { timeout: LONG, declared: LONG, jobs: true };
const HASTY: WaitOptions =
    WaitOptions { timeout: Duration::from_secs(3), declared: Duration::from_secs(4), jobs: true };

/// Applies `documents` and waits for them.
async fn wait(ground: &Ground, documents: &[Value], options: &WaitOptions) -> Result<Result<(), WaitError>> {
    let objects = ground.objects(documents).await?;
    let applied = ground.cluster.apply(&objects, &ground.apply_options("shop")).await?;
    Ok(ground.cluster.wait_ready(&applied, options).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_ends_when_the_last_object_is_ready() -> Result<()> {
    let ground = Ground::new("wait-ready").await?;
    let documents =
        [config_map("a", json!({})), deployment("late", play::SLOW), deployment("web", ""), job("once", "")];
    wait(&ground, &documents, &PATIENT).await??;
    let live = ground.live("apps/v1", "Deployment", "late").await?;
    ensure!(live["status"]["availableReplicas"] == 1, "{}", live["status"]);
    let live = ground.live("batch/v1", "Job", "once").await?;
    ensure!(live["status"]["succeeded"] == 1, "{}", live["status"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_waits_for_the_new_generation() -> Result<()> {
    let ground = Ground::new("wait-upgrade").await?;
    wait(&ground, &[deployment("web", "")], &PATIENT).await??;
    let mut next = deployment("web", play::SLOW);
    next["spec"]["template"]["spec"]["containers"][0]["image"] = "web:2".into();
    wait(&ground, &[next], &PATIENT).await??;
    let live = ground.live("apps/v1", "Deployment", "web").await?;
    ensure!(live["status"]["updatedReplicas"] == 1 && live["status"]["replicas"] == 1, "{}", live["status"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_ready_in_time_is_explained() -> Result<()> {
    let ground = Ground::new("wait-late").await?;
    let documents = [
        deployment("crash", play::CRASH),
        deployment("pull", play::IMAGE_PULL),
        deployment("probe", play::NEVER_READY),
        deployment("web", ""),
    ];
    let Err(error @ WaitError::Timeout { .. }) = wait(&ground, &documents, &HASTY).await? else { bail!("ready") };
    let text = error.to_string();
    ensure!(text.starts_with("not ready within 4s: "), "{text}");
    for words in [r#"Deployment "crash""#, "CrashLoopBackOff", "ImagePullBackOff", "is not ready"] {
        ensure!(text.contains(words), "{words:?} is not in {text}");
    }
    ensure!(!text.contains(r#"Deployment "web""#), "{text}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_that_waits_for_its_first_consumer_says_so() -> Result<()> {
    let ground = Ground::new("wait-claim").await?;
    let class = json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": { "name": "wait-claim" },
        "provisioner": "kubernetes.io/no-provisioner", "volumeBindingMode": "WaitForFirstConsumer",
    });
    let claim = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": { "name": "data" },
        "spec": {
            "storageClassName": "wait-claim", "accessModes": ["ReadWriteOnce"],
            "resources": { "requests": { "storage": "1Gi" } },
        },
    });
    let Err(error) = wait(&ground, &[class, claim], &HASTY).await? else { bail!("it is bound") };
    ensure!(error.to_string().contains("WaitForFirstConsumer: waiting for first consumer"), "{error}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_job_ends_the_wait_at_once() -> Result<()> {
    let ground = Ground::new("wait-failed").await?;
    let start = Instant::now();
    let documents = [job("broken", play::FAIL), deployment("never", play::NEVER_READY)];
    let Err(WaitError::Failed { objects }) = wait(&ground, &documents, &PATIENT).await? else { bail!("no failure") };
    ensure!(start.elapsed() < LONG / 2, "after {:?}", start.elapsed());
    ensure!(objects.len() == 1 && objects[0].object.name == "broken", "{objects:?}");
    ensure!(objects[0].message.starts_with("Job Failed. failed: 1/1"), "{objects:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_job_is_ready_unless_its_end_is_asked_for() -> Result<()> {
    let ground = Ground::new("wait-jobs").await?;
    let documents = [job("long", play::HANG)];
    wait(&ground, &documents, &WaitOptions { jobs: false, ..PATIENT }).await??;
    let Err(WaitError::Timeout { objects, .. }) = wait(&ground, &documents, &HASTY).await? else { bail!("ended") };
    ensure!(objects[0].message == "Job in progress", "{objects:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn many_waits_share_one_watch_which_ends_after_them() -> Result<()> {
    let ground = Ground::new("wait-shared").await?;
    let before = watches(&ground, "statefulsets").await?;
    let applied = AtomicUsize::new(0);
    let waits = (0..20).map(|number| {
        let mut set = deployment(&format!("db-{number}"), play::NEVER_READY);
        set["kind"] = "StatefulSet".into();
        wait_for_ever(&ground, &ground.namespace, set, &applied)
    });
    let one_more = e2e::eventually::eventually("the watch is open", LONG, || async {
        ensure!(applied.load(Ordering::Relaxed) == 20, "not all wait yet");
        let more = watches(&ground, "statefulsets").await? - before;
        ensure!(more == 1, "{more} more watches");
        Ok(())
    });
    // The waits are dropped here: that ends them.
    tokio::select! {
        ended = futures::future::try_join_all(waits) => bail!("the waits ended: {ended:?}"),
        opened = one_more => opened?,
    }
    e2e::eventually::eventually("the watch is closed", LONG, || async {
        ensure!(watches(&ground, "statefulsets").await? <= before, "still open");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn waits_in_many_namespaces_share_one_watch_of_the_cluster() -> Result<()> {
    let ground = Ground::new("wait-wide").await?;
    let before = watches(&ground, "daemonsets").await?;
    let namespaces: Vec<_> = (0..20).map(|number| format!("wait-wide-{number}")).collect();
    for namespace in &namespaces {
        ground.cluster.ensure_namespace(namespace).await?;
    }
    let mut agent = deployment("agent", play::NEVER_READY);
    agent["kind"] = "DaemonSet".into();
    agent["spec"].as_object_mut().and_then(|spec| spec.remove("replicas"));
    let applied = AtomicUsize::new(0);
    let waits = namespaces.iter().map(|namespace| {
        let (ground, agent, applied) = (&ground, agent.clone(), &applied);
        async move { wait_for_ever(ground, namespace, agent, applied).await }
    });
    let few_more = e2e::eventually::eventually("few watches are open", LONG, || async {
        ensure!(applied.load(Ordering::Relaxed) == namespaces.len(), "not all wait yet");
        let more = watches(&ground, "daemonsets").await? - before;
        ensure!((1..=5).contains(&more), "{more} more watches");
        Ok(())
    });
    tokio::select! {
        ended = futures::future::try_join_all(waits) => bail!("the waits ended: {ended:?}"),
        opened = few_more => opened,
    }
}

/// Who may watch single namespaces only is served by watches of single namespaces.
#[tokio::test(flavor = "multi_thread")]
async fn waits_end_without_the_right_to_watch_all_namespaces() -> Result<()> {
    let ground = Ground::new("wait-confined").await?;
    let namespaces: Vec<_> = (0..7).map(|number| format!("wait-confined-{number}")).collect();
    for namespace in &namespaces {
        ground.cluster.ensure_namespace(namespace).await?;
        let binding = serde_json::from_value(json!({
            "metadata": { "name": "tenant" },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin" },
            "subjects": [{ "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "tenant" }],
        }))?;
        let bindings: Api<RoleBinding> = Api::namespaced(ground.client.clone(), namespace);
        bindings.create(&PostParams::default(), &binding).await?;
    }
    let tenant = Ground { cluster: Cluster::new(impersonated("tenant").await?), ..ground };
    let waits = namespaces.iter().map(|namespace| {
        let tenant = &tenant;
        async move {
            let mut web = deployment("web", play::SLOW);
            web["metadata"]["namespace"] = namespace.as_str().into();
            wait(tenant, &[web], &PATIENT).await??;
            anyhow::Ok(())
        }
    });
    futures::future::try_join_all(waits).await?;
    Ok(())
}

async fn wait_for_ever(ground: &Ground, namespace: &str, mut document: Value, applied: &AtomicUsize) -> Result<()> {
    document["metadata"]["namespace"] = namespace.into();
    let objects = ground.objects(&[document]).await?;
    let ready = ground.cluster.apply(&objects, &ground.apply_options("shop")).await?;
    applied.fetch_add(1, Ordering::Relaxed);
    ground.cluster.wait_ready(&ready, &PATIENT).await?;
    Ok(())
}

/// Watches of a resource that the API server holds open. The controllers hold some, too.
async fn watches(ground: &Ground, resource: &str) -> Result<i64> {
    let request = http::Request::get("/metrics").body(Vec::new())?;
    let metrics = ground.client.request_text(request).await?;
    let (resource, verb) = (format!(r#"resource="{resource}""#), r#"verb="WATCH""#);
    let counts = metrics
        .lines()
        .filter(|line| line.starts_with("apiserver_longrunning_requests{"))
        .filter(|line| line.contains(&resource) && line.contains(verb))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<i64>().ok());
    Ok(counts.sum())
}
