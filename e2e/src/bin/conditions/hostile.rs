//! Everything hostile at once in 512 MiB: what it costs the process, and those who have nothing to do with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use e2e::charts::{self, Chart};
use e2e::story::{SOON, Story, alone};
use e2e::{eventually, status};
use helm_operator::api::HelmRelease;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use serde_json::json;

use crate::figures::Figure;
use crate::{figure, since};

/// What the pod of our chart may take.
const MEMORY: u64 = 512 << 20;

/// Releases that build large lists, and releases that loop over `lookup`.
const LARGE: usize = 16;
const LOOPS: usize = 10;

/// Changes of a release that has nothing to do with it.
const CHANGES: usize = 20;

/// How long many objects may take to be made, or to go.
const LONG: Duration = Duration::from_mins(30);

/// Lists that are all kept, up to every bound.
const LISTS: &str = "{{ $all := list }}{{ range until 100000 }}{{ $all = append $all (until 1000) }}{{ end }}";

const LOOKUPS: &str = r#"{{ range until 100000 }}{{ $x := lookup "v1" "ConfigMap" "default" (print "x" .) }}{{ end }}"#;

/// As many small objects as the values say.
const MAPS: &str = r"{{ range until (int .Values.objects) }}apiVersion: v1
kind: ConfigMap
metadata:
  name: m{{ . }}
---
{{ end }}";

pub(crate) fn measure(objects: usize) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    let arguments = ["--leader-elect", "--memory-mib=512"];
    let setup = async |_: &_, setup: e2e::operator::Setup| {
        Ok(arguments.iter().fold(setup, |setup, argument| setup.argument(*argument)))
    };
    alone("hostile", setup, async |story| {
        let group = Group::new()?;
        let pid = story.stage.operator().await.process()?.pid();
        group.enter(pid)?;
        prepare(story, objects).await?;
        let calm = changes(story, "calm").await?;
        unleash(story).await?;
        let beside = changes(story, "beside").await?;
        let gone = Instant::now();
        eventually::gone(&story.releases(), "many", LONG).await?;
        figures.push(figure(format!("seconds until {objects} objects are gone"), since(gone), crate::NO_LIMIT));
        figures.push(figure("seconds of a change in calm, p95", calm, crate::NO_LIMIT));
        figures.push(figure("seconds of a change beside all of it, p95", beside, 5.0));
        #[expect(clippy::cast_precision_loss, reason = "bytes of one process")]
        figures.push(figure("MiB at the most", group.peak()? as f64 / f64::from(1 << 20), 512.0));
        let operator = story.stage.operator().await;
        ensure!(operator.process()?.pid() == pid, "it was killed and started again");
        operator.usage().context("the operator was killed")?;
        let leases: Api<Lease> = Api::namespaced(story.client.clone(), "default");
        let lease =
            leases.list(&kube::api::ListParams::default()).await?.items.into_iter().next().context("no lease")?;
        let handed_on = lease.spec.and_then(|spec| spec.lease_transitions).unwrap_or_default();
        figures.push(figure("times that the lease changed hands", f64::from(handed_on), 1.0));
        Ok(())
    })?;
    Ok(figures)
}

async fn prepare(story: &Story<'_>, objects: usize) -> Result<()> {
    story.open_repository().await?;
    for version in ["1.0.0", "1.1.0"] {
        story.push(&charts::note("memo", version)).await?;
    }
    story.push(&Chart::new("lists", "1.0.0").file("templates/a.yaml", LISTS)).await?;
    story.push(&Chart::new("lookups", "1.0.0").file("templates/a.yaml", LOOKUPS)).await?;
    story.push(&Chart::new("many", "1.0.0").file("values.yaml", "objects: 1\n").file("templates/a.yaml", MAPS)).await?;
    story.release("many", "many", "1.0.0", json!({ "timeout": "1h", "values": { "objects": objects } })).await?;
    eventually::object(&story.releases(), "many", LONG, status::ready).await.map(drop)
}

/// Begins all that is hostile.
async fn unleash(story: &Story<'_>) -> Result<()> {
    let deep = json!({
        "apiVersion": "helm-operator.ketches.cn/v1alpha1",
        "kind": "HelmRelease",
        "metadata": { "name": "deep" },
        "spec": { "chart": { "name": "memo", "version": "1.0.0", "repository": { "name": "charts" } }, "values": "DEEP" },
    });
    let values = format!("{{\"a\":{}1{}}}", "[".repeat(300), "]".repeat(300));
    story.apply(&deep.to_string().replace("\"DEEP\"", &values)).await?;
    story.releases().delete("many", &DeleteParams::background()).await?;
    for number in 0..LARGE {
        story.release(&format!("lists-{number}"), "lists", "1.0.0", json!({ "interval": "1m" })).await?;
    }
    for number in 0..LOOPS {
        story.release(&format!("lookups-{number}"), "lookups", "1.0.0", json!({ "interval": "1m" })).await?;
    }
    Ok(())
}

/// The slowest twentieth of some changes of one release in a namespace of its own, one after the other.
async fn changes(story: &Story<'_>, name: &str) -> Result<f64> {
    let mut seconds = Vec::new();
    let namespace = format!("{}-{name}", story.namespace);
    let made = json!({ "metadata": { "name": namespace } });
    Api::<Namespace>::all(story.client.clone()).create(&PostParams::default(), &serde_json::from_value(made)?).await?;
    let releases = Api::<HelmRelease>::namespaced(story.client.clone(), &namespace);
    for number in 0..CHANGES {
        let start = Instant::now();
        let repository = json!({ "name": "charts", "namespace": story.namespace });
        let release = json!({
            "apiVersion": "helm-operator.ketches.cn/v1alpha1",
            "kind": "HelmRelease",
            "metadata": { "name": name },
            "spec": {
                "chart": { "name": "memo", "version": "1.0.0", "repository": repository },
                "values": { "greeting": format!("number {number}") },
            },
        });
        story.kubectl.apply(&namespace, &release.to_string()).await?;
        eventually::object(&releases, name, SOON, |release| {
            let observed = release.status.as_ref().and_then(|status| status.observed_generation);
            ensure!(observed == release.metadata.generation, "generation {observed:?} is observed");
            status::ready(release)
        })
        .await?;
        seconds.push(since(start));
    }
    seconds.sort_by(f64::total_cmp);
    seconds.get(CHANGES * 19 / 20).copied().context("no change")
}

/// A control group for memory; removed in the end.
struct Group {
    folder: PathBuf,
}

impl Group {
    fn new() -> Result<Self> {
        let folder = Path::new("/sys/fs/cgroup/memory").join(format!("helm-operator-{}", std::process::id()));
        fs::create_dir(&folder)
            .context("a control group of version 1 for memory is needed, and the right to make one")?;
        let group = Self { folder };
        fs::write(group.folder.join("memory.limit_in_bytes"), MEMORY.to_string())?;
        Ok(group)
    }

    fn enter(&self, pid: u32) -> Result<()> {
        fs::write(self.folder.join("cgroup.procs"), pid.to_string()).context("failed to confine the operator")
    }

    fn peak(&self) -> Result<u64> {
        let bytes = fs::read_to_string(self.folder.join("memory.max_usage_in_bytes"))?;
        Ok(bytes.trim().parse()?)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // The operator may still be in it: the machine's next start removes it then.
        drop(fs::remove_dir(&self.folder));
    }
}
