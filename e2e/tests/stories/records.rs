//! Release records on a real API server: reads, races and refusals as they really come.

use anyhow::{Context, Result, ensure};
use e2e::apiserver::ControlPlane;
use futures::TryStreamExt;
use helm::release::{Release, Status};
use helm_operator::history::{Error, History, Marks, RecordMeta, ReleaseKey};
use k8s_openapi::api::core::v1::{Namespace, ResourceQuota, Secret};
use kube::api::{ListParams, PostParams, WatchEvent, WatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_found_by_name_label_and_watch() -> Result<()> {
    let (client, namespace) = stage("records-lifecycle").await?;
    let history = History::new(client.clone());
    let demo = ReleaseKey::new(&namespace, "demo");
    ensure!(history.get(&demo, 1).await?.is_none());
    for (revision, status) in [(1, Status::Superseded), (2, Status::Deployed), (10, Status::Failed)] {
        let release = release(&namespace, revision, status);
        let created = history.create(release, marks(revision)).await?;
        let read = history.get(&demo, revision).await?.context("it was created")?;
        ensure!(created == read, "what create returned is not what the server holds: {created:?} {read:?}");
    }
    history.create(Release { name: "demo2".to_owned(), ..release(&namespace, 77, Status::Deployed) }, marks(1)).await?;

    let revisions = listed(&client, &demo).await?;
    ensure!(revisions.iter().map(|meta| meta.revision).eq([1, 2, 10]), "{revisions:?}");
    ensure!(revisions[2].marks == Some(marks(10)) && revisions[2].status == Status::Failed);

    let mut watch = std::pin::pin!(
        Api::<Secret>::namespaced(client.clone(), &namespace)
            .watch_metadata(&WatchParams::default().labels("name=demo"), "0")
            .await?
    );
    let Some(WatchEvent::Added(seen)) = watch.try_next().await? else { anyhow::bail!("the watch began otherwise") };
    ensure!(revisions.contains(&RecordMeta::from_metadata(&seen.metadata)?));

    history.delete(&revisions[2]).await?;
    history.delete(&revisions[2]).await?;
    ensure!(listed(&client, &demo).await?.iter().map(|meta| meta.revision).eq([1, 2]));
    Ok(())
}

/// The revisions of a release, oldest first, as the metadata of its Secrets tells them.
pub(super) async fn listed(client: &Client, release: &ReleaseKey) -> Result<Vec<RecordMeta>> {
    let selector = ListParams::default().labels(&format!("owner=helm,name={}", release.name));
    let secrets = Api::<Secret>::namespaced(client.clone(), &release.namespace).list_metadata(&selector).await?;
    let listed = secrets.items.iter().map(|secret| RecordMeta::from_metadata(&secret.metadata));
    let mut listed = listed.collect::<Result<Vec<_>, _>>()?;
    listed.sort_by_key(|meta| meta.revision);
    Ok(listed)
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_that_cross_are_told_and_lose_nothing() -> Result<()> {
    let (client, namespace) = stage("records-races").await?;
    let history = History::new(client);
    let first = history.create(release(&namespace, 1, Status::PendingInstall), marks(1)).await?;
    let again = history.create(first.release.clone(), marks(2)).await;
    ensure!(matches!(again, Err(Error::Exists { .. })), "{again:?}");

    let mut changed = first.clone();
    changed.release.info.status = Status::Deployed;
    let changed = history.update(changed).await?;
    ensure!(changed.resource_version() != first.resource_version());
    let lost = history.update(first.clone()).await;
    ensure!(matches!(lost, Err(Error::Conflict { .. })), "{lost:?}");
    let changed = history.update(changed).await?;
    ensure!(history.get(&ReleaseKey::new(&namespace, "demo"), 1).await?.as_ref() == Some(&changed));

    history.delete(&changed.meta()?).await?;
    let gone = history.update(changed.clone()).await;
    ensure!(matches!(gone, Err(Error::Gone { .. })), "{gone:?}");
    history.create(first.release, marks(3)).await?;
    let another = history.delete(&changed.meta()?).await;
    ensure!(matches!(another, Err(Error::Conflict { .. })), "{another:?}");
    let replaced = history.update(changed).await;
    ensure!(matches!(replaced, Err(Error::Conflict { .. })), "{replaced:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_of_the_server_say_what_is_wrong() -> Result<()> {
    let (client, namespace) = stage("records-refusals").await?;
    let history = History::new(client.clone());
    let nowhere = history.create(release("no-such-namespace", 1, Status::Deployed), marks(1)).await;
    ensure!(matches!(nowhere, Err(Error::NoNamespace { .. })), "{nowhere:?}");

    let mut odd = release(&namespace, 1, Status::Deployed);
    odd.labels.insert("team".to_owned(), "not a label".to_owned());
    let odd = history.create(odd, marks(1)).await;
    ensure!(matches!(odd, Err(Error::Refused { .. })), "{odd:?}");

    let plane = ControlPlane::shared().await?;
    let kubeconfig = Kubeconfig::read_from(plane.kubeconfig())?;
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    config.auth_info.impersonate = Some(format!("system:serviceaccount:{namespace}:nobody"));
    let powerless = History::new(Client::try_from(config)?);
    let denied = powerless.get(&ReleaseKey::new(&namespace, "demo"), 1).await;
    ensure!(matches!(denied, Err(Error::Forbidden { .. })), "{denied:?}");
    let denied = powerless.create(release(&namespace, 1, Status::Deployed), marks(1)).await;
    ensure!(matches!(denied, Err(Error::Forbidden { .. })), "{denied:?}");

    let quota = json!({"metadata": {"name": "none"}, "spec": {"hard": {"count/secrets": "0"}}});
    Api::<ResourceQuota>::namespaced(client.clone(), &namespace)
        .create(&PostParams::default(), &serde_json::from_value(quota)?)
        .await?;
    let message = e2e::eventually::eventually("the quota is in force", std::time::Duration::from_secs(30), || async {
        for made in listed(&client, &ReleaseKey::new(&namespace, "demo")).await? {
            history.delete(&made).await?;
        }
        match history.create(release(&namespace, 1, Status::Deployed), marks(1)).await {
            Err(error @ Error::Quota { .. }) => Ok(error.to_string()),
            other => anyhow::bail!("{other:?}"),
        }
    })
    .await?;
    ensure!(message.contains("exceeded quota: none"), "{message}");
    Ok(())
}

fn release(namespace: &str, revision: u32, status: Status) -> Release {
    let mut release = Release {
        name: "demo".to_owned(),
        namespace: namespace.to_owned(),
        version: revision,
        manifest: "---\n".to_owned(),
        ..Release::default()
    };
    release.info.status = status;
    release
}

fn marks(generation: u32) -> Marks {
    Marks {
        owner: "apps/demo".to_owned(),
        uid: "u-1".to_owned(),
        generation: generation.into(),
        inputs: "ab12".to_owned(),
        chart: "demo-0.1.0".to_owned(),
        ..Marks::default()
    }
}

async fn stage(namespace: &str) -> Result<(Client, String)> {
    let client = ControlPlane::shared().await?.client().await?;
    let object = serde_json::from_value(json!({"metadata": {"name": namespace}}))?;
    Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &object).await?;
    Ok((client, namespace.to_owned()))
}
