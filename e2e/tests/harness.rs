//! The harness itself: what the stories take for granted.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::apiserver::{self, ControlPlane};
use e2e::gateway::{Answer, Events, Gateway, Moment, Trap, Which};
use e2e::helm::Helm;
use e2e::kwok::{PLAY, play};
use e2e::process::Scratch;
use e2e::{charts, eventually};
use futures::StreamExt as _;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, ResourceExt as _};
use serde_json::json;
use tokio::sync::mpsc;

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

/// A namespace behind a gateway of its own, and straight.
struct Door {
    gateway: Gateway,
    through: Api<ConfigMap>,
    beside: Api<ConfigMap>,
}

impl Door {
    async fn open(namespace: &str) -> Result<Self> {
        let plane = ControlPlane::shared().await?;
        let gateway = Gateway::start(plane.kubeconfig()).await?;
        let client = plane.client().await?;
        let object = serde_json::from_value(json!({ "metadata": { "name": namespace } }))?;
        Api::<k8s_openapi::api::core::v1::Namespace>::all(client.clone())
            .create(&PostParams::default(), &object)
            .await?;
        let through = Api::namespaced(apiserver::client(gateway.kubeconfig()).await?, namespace);
        Ok(Self { gateway, through, beside: Api::namespaced(client, namespace) })
    }

    /// What a watch through the gateway tells: `name=value` of each map with a value, `-name` of a deletion, `list` of a
    /// list that is complete.
    async fn watch(&self) -> Result<mpsc::UnboundedReceiver<(Instant, String)>> {
        let (out, mut told) = mpsc::unbounded_channel();
        let maps = self.through.clone();
        tokio::spawn(async move {
            // With pauses: without its runtime every request fails at once, and the task would never give way to the end.
            let mut events = watcher(maps, watcher::Config::default().labels("value")).default_backoff().boxed();
            while let Some(event) = events.next().await {
                let text = match event {
                    Ok(Event::Apply(map) | Event::InitApply(map)) => {
                        format!("{}={}", map.name_any(), map.labels().get("value").cloned().unwrap_or_default())
                    }
                    Ok(Event::Delete(map)) => format!("-{}", map.name_any()),
                    Ok(Event::InitDone) => "list".to_owned(),
                    Ok(Event::Init) | Err(_) => continue,
                };
                if out.send((Instant::now(), text)).is_err() {
                    return;
                }
            }
        });
        ensure!(next(&mut told).await?.1 == "list", "the watch begins with a list of nothing");
        Ok(told)
    }

    async fn put(maps: &Api<ConfigMap>, name: &str, value: &str) -> Result<Instant> {
        let map = json!({ "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": { "name": name, "labels": { "value": value } } });
        maps.patch(name, &PatchParams::apply("e2e").force(), &Patch::Apply(map)).await?;
        Ok(Instant::now())
    }
}

async fn next(told: &mut mpsc::UnboundedReceiver<(Instant, String)>) -> Result<(Instant, String)> {
    tokio::time::timeout(SOON, told.recv()).await.context("the watch tells nothing")?.context("the watch ended")
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_come_late_and_events_do_and_either_comes_first() -> Result<()> {
    const LATE: Duration = Duration::from_millis(300);
    let door = Door::open("late").await?;
    let mut told = door.watch().await?;

    door.gateway.answers(Which::writes("/configmaps"), Answer::Late(LATE));
    let answered = Door::put(&door.through, "a", "1").await?;
    let (event, text) = next(&mut told).await?;
    ensure!(text == "a=1" && event + LATE / 2 < answered, "{text}: {:?}", answered - event);

    door.gateway.calm();
    door.gateway.events(Which::watches("/configmaps"), Events::Late(LATE));
    let answered = Door::put(&door.through, "a", "2").await?;
    let (event, text) = next(&mut told).await?;
    ensure!(text == "a=2" && answered + LATE / 2 < event, "{text}: {:?}", event - answered);

    // Both: the event is late, and the answer still later.
    door.gateway.answers(Which::writes("/configmaps"), Answer::AfterEvent(LATE / 3));
    let answered = Door::put(&door.through, "a", "3").await?;
    let (event, text) = next(&mut told).await?;
    ensure!(text == "a=3" && event < answered, "the answer came {:?} before the event", event - answered);
    door.through.delete("a", &DeleteParams::default()).await?;
    let answered = Instant::now();
    let (event, text) = next(&mut told).await?;
    ensure!(text == "-a" && event < answered, "{text}");

    door.gateway.calm();
    door.gateway.events(Which::watches("/configmaps"), Events::Held);
    for value in ["1", "2"] {
        Door::put(&door.through, "b", value).await?;
    }
    ensure!(told.try_recv().is_err(), "what is held is not told");
    door.gateway.calm();
    ensure!([next(&mut told).await?.1, next(&mut told).await?.1] == ["b=1", "b=2"], "held events come in order");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_may_be_carried_out_and_its_answer_lost() -> Result<()> {
    let door = Door::open("lost").await?;
    let post = async |name: &str| {
        let map = serde_json::from_value(json!({ "metadata": { "name": name } }))?;
        anyhow::Ok(door.through.create(&PostParams::default(), &map).await?)
    };
    for (name, answer) in [("broken", Answer::Lost), ("timed-out", Answer::TimedOut)] {
        door.gateway.calm();
        door.gateway.answers(Which::writes("/lost/").method(http::Method::POST).times(1), answer);
        let refused = post(name).await;
        ensure!(refused.is_err(), "{answer:?} is no answer");
        ensure!(door.beside.get_opt(name).await?.is_some(), "{answer:?}: it was carried out");
        let again = post(name).await.err().context("it exists")?.to_string();
        ensure!(again.contains("already exists"), "only the first answer is lost: {again}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_is_broken_off_sees_several_versions_as_one() -> Result<()> {
    let door = Door::open("cut").await?;
    let mut told = door.watch().await?;
    Door::put(&door.beside, "a", "1").await?;
    Door::put(&door.beside, "gone", "1").await?;
    ensure!([next(&mut told).await?.1, next(&mut told).await?.1] == ["a=1", "gone=1"], "before the cut");
    door.gateway.cut_watches(Which::watches("/configmaps"), Duration::from_secs(1));
    for value in ["2", "3", "4"] {
        Door::put(&door.beside, "a", value).await?;
    }
    door.beside.delete("gone", &DeleteParams::default()).await?;
    ensure!([next(&mut told).await?.1, next(&mut told).await?.1] == ["a=4", "list"], "the list tells the last version");
    Door::put(&door.beside, "a", "5").await?;
    ensure!(next(&mut told).await?.1 == "a=5", "the watch goes on");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_is_away_or_answers_with_old_lists() -> Result<()> {
    let door = Door::open("away").await?;
    let count = async || anyhow::Ok(door.through.list(&ListParams::default().labels("value")).await?.items.len());
    ensure!(count().await? == 0, "nothing is there");
    let mut told = door.watch().await?;
    door.gateway.away(true);
    ensure!(count().await.is_err(), "nobody answers");
    Door::put(&door.beside, "a", "1").await?;
    door.gateway.away(false);
    ensure!(next(&mut told).await?.1 == "a=1", "the watch comes back");

    door.gateway.serve_stale(Which::reads("/away/configmaps")).await?;
    Door::put(&door.beside, "b", "1").await?;
    ensure!(count().await? == 1, "an old list");
    door.gateway.calm();
    ensure!(count().await? == 2, "a new list");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_each_dies_at_its_own_write() -> Result<()> {
    let door = Door::open("armed").await?;
    let trap = |token: &str, occurrence, moment| Trap {
        token: token.to_owned(),
        write: format!("PATCH /api/v1/namespaces/armed/configmaps/{token}"),
        occurrence,
        moment,
    };
    door.gateway.arm(vec![trap("first", 0, Moment::Before), trap("second", 1, Moment::After)]);
    ensure!(Door::put(&door.through, "first", "1").await.is_err(), "the first dies at once");
    Door::put(&door.through, "second", "1").await?;
    ensure!(door.gateway.sprung("first") && !door.gateway.sprung("second"), "each has its own trap");
    ensure!(Door::put(&door.through, "second", "2").await.is_err(), "the second dies at its second write");
    ensure!(Door::put(&door.through, "second-other", "1").await.is_err(), "a dead one writes nothing more");
    Door::put(&door.through, "third", "1").await?;
    door.gateway.open();
    let maps = door.beside.list(&ListParams::default().labels("value")).await?;
    let told = maps.iter().map(|map| format!("{}={}", map.name_any(), map.labels()["value"]));
    ensure!(told.collect::<Vec<_>>() == ["second=2", "third=1"], "Before is never heard of, After is carried out");
    Door::put(&door.through, "first", "1").await?;
    Ok(())
}
