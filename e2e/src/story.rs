//! The stage on which a story plays: a cluster with an operator at work, a registry, and a namespace of the story's own.
//!
//! All stories of a process share one control plane, operator and registry, unless they break such a part: those bring
//! their own by [`alone`]. A story that fails shows objects, conditions, events and the operator's log before it cleans up.

use std::io::Write as _;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use helm_operator::api::{HelmRelease, HelmRepository, Reason};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt as _};
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::sync::{Mutex, MutexGuard, OnceCell};

use crate::apiserver::ControlPlane;
use crate::charts::Chart;
use crate::eventually;
use crate::gateway::Gateway;
use crate::helm::{Helm, Login};
use crate::kubectl::Kubectl;
use crate::operator::{Operator, Setup};
use crate::process::Scratch;
use crate::registry::{Face, Registry};
use crate::status;

/// How long a story waits for what should take a second or two: generous, for two cores shared with a compiler.
pub const SOON: Duration = Duration::from_mins(1);

/// One runtime for all tests of a process, so that what they share outlives the test that started it.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime starts on every machine"));

/// The parts of the world that a story may use and, if they are its own, break.
#[derive(Debug)]
pub struct Stage {
    /// The cluster.
    pub plane: ControlPlane,
    operator: Mutex<Operator>,
}

impl Stage {
    /// The CRDs on a control plane, and an operator that `prepare` may tell more.
    ///
    /// # Errors
    /// When a part does not come up.
    pub async fn set(
        plane: ControlPlane,
        prepare: impl AsyncFnOnce(&ControlPlane, Setup) -> Result<Setup>,
    ) -> Result<Self> {
        install_definitions(plane.client().await?).await?;
        let setup = prepare(&plane, Setup::new(plane.kubeconfig())?).await?;
        let operator = setup.start().await?;
        Ok(Self { plane, operator: Mutex::new(operator) })
    }

    /// The operator, to be killed, measured or read; held until the guard goes.
    pub async fn operator(&self) -> MutexGuard<'_, Operator> {
        self.operator.lock().await
    }
}

/// A story on its stage.
pub struct Story<'a> {
    /// The story's own namespace.
    pub namespace: String,
    /// An administrator's client.
    pub client: Client,
    /// `kubectl` of an administrator.
    pub kubectl: Kubectl,
    /// Helm 4 of an administrator.
    pub helm: Helm,
    /// The parts around it.
    pub stage: &'a Stage,
}

/// Plays a story on the stage that all stories share.
///
/// # Errors
/// The story's, after the state of its namespace was shown.
pub fn story(name: &str, play: impl AsyncFnOnce(&Story<'_>) -> Result<()>) -> Result<()> {
    static SHARED: OnceCell<Stage> = OnceCell::const_new();
    RUNTIME.block_on(async {
        let stage = SHARED.get_or_try_init(async || Stage::set(ControlPlane::start().await?, as_it_is).await).await?;
        with_namespace(stage, name, play).await?.clean_up().await
    })
}

/// Plays a story that breaks what others stand on, with a control plane and an operator of its own.
///
/// # Errors
/// The story's, after the state of its namespace was shown.
pub fn alone(
    name: &str,
    prepare: impl AsyncFnOnce(&ControlPlane, Setup) -> Result<Setup>,
    play: impl AsyncFnOnce(&Story<'_>) -> Result<()>,
) -> Result<()> {
    alone_on(ControlPlane::start_own(), name, prepare, play)
}

/// [`alone`] on a control plane of a certain kind.
///
/// # Errors
/// The story's, after the state of its namespace was shown.
pub fn alone_on(
    plane: impl Future<Output = Result<ControlPlane>>,
    name: &str,
    prepare: impl AsyncFnOnce(&ControlPlane, Setup) -> Result<Setup>,
    play: impl AsyncFnOnce(&Story<'_>) -> Result<()>,
) -> Result<()> {
    RUNTIME.block_on(async {
        let stage = Stage::set(plane.await?, prepare).await?;
        // Nothing to clean up: the cluster goes with the stage.
        with_namespace(&stage, name, play).await.map(drop)
    })
}

/// For [`alone`]: the operator without further flags.
///
/// # Errors
/// None; the type is that of other preparations.
pub async fn as_it_is(_: &ControlPlane, setup: Setup) -> Result<Setup> {
    Ok(setup)
}

/// Runs what needs a runtime but no stage.
///
/// # Errors
/// What `play` ends with.
pub fn block_on<T>(play: impl Future<Output = Result<T>>) -> Result<T> {
    RUNTIME.block_on(play)
}

async fn with_namespace<'a>(
    stage: &'a Stage,
    name: &str,
    play: impl AsyncFnOnce(&Story<'_>) -> Result<()>,
) -> Result<Story<'a>> {
    let client = stage.plane.client().await?;
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let namespace = json!({ "metadata": { "generateName": format!("{name}-") } });
    let namespace = namespaces.create(&PostParams::default(), &serde_json::from_value(namespace)?).await?.name_any();
    let story = Story {
        namespace,
        client,
        kubectl: Kubectl::new(stage.plane.kubeconfig()).await?,
        helm: Helm::new(Some(stage.plane.kubeconfig())).await?,
        stage,
    };
    let played = match play(&story).await {
        Ok(()) => stage.operator().await.check_log(),
        Err(error) => Err(error),
    };
    if let Err(error) = played {
        let seen = story.state().await;
        // The stream itself, past the test harness, which would hold it back until the end.
        drop(writeln!(std::io::stderr(), "story {name} failed: {error:#}\n{seen}"));
        return Err(error);
    }
    Ok(story)
}

impl Story<'_> {
    /// The releases of the namespace.
    pub fn releases(&self) -> Api<HelmRelease> {
        self.objects()
    }

    /// The repositories of the namespace.
    pub fn repositories(&self) -> Api<HelmRepository> {
        self.objects()
    }

    /// Objects of any namespaced kind, in the story's namespace.
    pub fn objects<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Applies manifests as a person does.
    ///
    /// # Errors
    /// The API server's words.
    pub async fn apply(&self, manifests: &str) -> Result<()> {
        self.kubectl.apply(&self.namespace, manifests).await.map(drop)
    }

    /// Ends the stage's operator, and starts one with these further arguments that reaches the API server through a
    /// gateway, for a story that plays [`alone`].
    ///
    /// # Errors
    /// When either does not start.
    pub async fn behind_gateway(&self, arguments: &[&str]) -> Result<(Gateway, Operator)> {
        self.stage.operator().await.stop().await?;
        let gateway = Gateway::start(self.stage.plane.kubeconfig()).await?;
        let setup = arguments.iter().fold(Setup::new(gateway.kubeconfig())?, |setup, flag| setup.argument(*flag));
        Ok((gateway, setup.start().await?))
    }

    /// Packages a chart and pushes it to the stories' registry, into a path of the story's own.
    ///
    /// # Errors
    /// Helm's own words.
    pub async fn push(&self, chart: &Chart) -> Result<()> {
        let scratch = Scratch::new("chart")?;
        let folder = chart.write(scratch.path())?;
        self.push_folder(&folder, None).await
    }

    /// [`Story::push`] for a chart that lies in a folder, with another version if one is given.
    ///
    /// # Errors
    /// Helm's own words.
    pub async fn push_folder(&self, folder: &Path, version: Option<&str>) -> Result<()> {
        let scratch = Scratch::new("package")?;
        let archive = self.helm.package(folder, scratch.path(), version).await?;
        self.helm.push(&archive, &self.charts_url().await?, &Login::default()).await
    }

    /// Where [`Story::push`] pushes to.
    ///
    /// # Errors
    /// When the registry does not start.
    pub async fn charts_url(&self) -> Result<String> {
        Ok(format!("{}/{}", registry().await?.url(), self.namespace))
    }

    /// Applies a `HelmRepository` called `charts` for [`Story::charts_url`].
    ///
    /// # Errors
    /// When the registry does not start or the API server refuses.
    pub async fn open_repository(&self) -> Result<()> {
        self.apply(&repository("charts", &self.charts_url().await?)).await
    }

    /// Applies a `HelmRelease` of a chart in the repository `charts`; `spec` is merged over the least one.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn release(&self, name: &str, chart: &str, version: &str, spec: serde_json::Value) -> Result<()> {
        let mut manifest = json!({
            "apiVersion": "helm-operator.ketches.cn/v1alpha1",
            "kind": "HelmRelease",
            "metadata": { "name": name },
            "spec": { "chart": { "name": chart, "version": version, "repository": { "name": "charts" } } },
        });
        merge(&mut manifest["spec"], spec);
        self.apply(&manifest.to_string()).await
    }

    /// Waits until a release is ready as it is now declared.
    ///
    /// # Errors
    /// What its status says instead.
    pub async fn ready(&self, release: &str) -> Result<HelmRelease> {
        eventually::object(&self.releases(), release, SOON, status::ready).await
    }

    /// Waits until a release is `Ready=False` with a reason, as it is now declared.
    ///
    /// # Errors
    /// What its status says instead.
    pub async fn failed(&self, release: &str, reason: Reason) -> Result<HelmRelease> {
        eventually::object(&self.releases(), release, SOON, |release| status::failed(release, reason)).await
    }

    /// [`Story::failed`], with a message that holds all of `words`.
    ///
    /// # Errors
    /// What its status says instead.
    pub async fn refused(&self, release: &str, reason: Reason, words: &[&str]) -> Result<HelmRelease> {
        // What it said before, for the same reason, may stand there a moment longer.
        eventually::object(&self.releases(), release, SOON, |refused| {
            status::failed(refused, reason)?;
            let message = status::message(refused);
            let missing = words.iter().find(|word| !message.contains(**word));
            ensure!(missing.is_none(), "{release}: the message lacks {missing:?}: {message}");
            Ok(())
        })
        .await
    }

    /// Waits for an Event about a release with that reason, whose note holds `words`.
    ///
    /// # Errors
    /// The Events that there are instead.
    pub async fn event(&self, release: &str, reason: Reason, words: &str) -> Result<()> {
        let events: Api<Event> = self.objects();
        let about = ListParams::default().fields(&format!("reason={reason}"));
        eventually::eventually(&format!("an Event {reason} about {release}"), SOON, async || {
            let notes = events.list(&about).await?.items.into_iter().filter_map(|event| {
                event.regarding.filter(|object| object.name.as_deref() == Some(release)).and(event.note)
            });
            let notes: Vec<String> = notes.collect();
            ensure!(notes.iter().any(|note| note.contains(words)), "none says {words:?}: {notes:?}");
            Ok(())
        })
        .await
    }

    /// Merges a patch into a release, as a person's `kubectl patch` does.
    ///
    /// # Errors
    /// The API server's words.
    pub async fn patch(&self, release: &str, patch: serde_json::Value) -> Result<HelmRelease> {
        Ok(self.releases().patch(release, &PatchParams::default(), &Patch::Merge(patch)).await?)
    }

    /// Deletes a release and waits until it is gone.
    ///
    /// # Errors
    /// When it is still there after a while.
    pub async fn delete(&self, release: &str) -> Result<()> {
        self.releases().delete(release, &DeleteParams::default()).await?;
        eventually::gone(&self.releases(), release, SOON).await
    }

    /// The revisions of a release with their statuses, as Helm tells them: `1 superseded, 2 deployed`.
    ///
    /// # Errors
    /// Helm's own words.
    pub async fn history(&self, release: &str) -> Result<String> {
        let revisions = self.helm.history(&self.namespace, release).await?;
        let told: Vec<String> = revisions.iter().map(|is| format!("{} {}", is.revision, is.status)).collect();
        Ok(told.join(", "))
    }

    /// Waits for what nothing can watch.
    ///
    /// # Errors
    /// The last refusal.
    pub async fn eventually<T>(&self, what: &str, check: impl AsyncFnMut() -> Result<T>) -> Result<T> {
        eventually::eventually(what, SOON, check).await
    }

    async fn clean_up(&self) -> Result<()> {
        for release in self.releases().list(&ListParams::default()).await? {
            self.delete(&release.name_any()).await?;
        }
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        namespaces.delete(&self.namespace, &DeleteParams::default()).await?;
        Ok(())
    }

    /// What a person would look at. Values of Secrets are not in it.
    async fn state(&self) -> String {
        let mut state = String::new();
        for arguments in [
            "get helmrepositories,helmreleases --all-namespaces --output wide",
            "get helmrepositories,helmreleases,helmreleasedefaults --output yaml --namespace",
            "get all,configmaps,secrets,ingresses --output wide --namespace",
            "get events --sort-by .lastTimestamp --namespace",
        ] {
            let mut words: Vec<&str> = arguments.split(' ').collect();
            if arguments.ends_with("--namespace") {
                words.push(&self.namespace);
            }
            let said = self.kubectl.run(&words).await.unwrap_or_else(|error| format!("{error:#}\n"));
            state.extend(["── kubectl ", &words.join(" "), "\n", &said]);
        }
        state.push_str("── the operator's log ends with\n");
        state.push_str(&self.stage.operator().await.log_tail());
        state
    }
}

/// The registry that all stories push to: open to everybody, plain HTTP.
///
/// # Errors
/// When it does not start.
pub async fn registry() -> Result<&'static Registry> {
    static SHARED: OnceCell<Registry> = OnceCell::const_new();
    SHARED.get_or_try_init(|| Registry::start(Face::anonymous())).await
}

/// The manifest of a `HelmRepository` for a registry that speaks plain HTTP.
pub fn repository(name: &str, url: &str) -> String {
    json!({
        "apiVersion": "helm-operator.ketches.cn/v1alpha1",
        "kind": "HelmRepository",
        "metadata": { "name": name },
        "spec": { "url": url, "type": "oci", "insecure": true },
    })
    .to_string()
}

fn merge(into: &mut serde_json::Value, from: serde_json::Value) {
    match (into, from) {
        (serde_json::Value::Object(into), serde_json::Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(serde_json::Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

/// Applies the operator's CRDs and waits until they are served.
///
/// # Errors
/// When the API server does not take them.
pub async fn install_definitions(client: Client) -> Result<()> {
    let definitions: Api<CustomResourceDefinition> = Api::all(client);
    for (_, definition) in helm_operator::api::definitions() {
        let name = definition.name_any();
        let parameters = PatchParams::apply("e2e").force();
        definitions.patch(&name, &parameters, &Patch::Apply(&definition)).await?;
        eventually::object(&definitions, &name, SOON, |definition| {
            let conditions = definition.status.as_ref().and_then(|status| status.conditions.as_ref());
            let established = conditions
                .context("no conditions yet")?
                .iter()
                .any(|condition| condition.type_ == "Established" && condition.status == "True");
            ensure!(established, "not established yet");
            Ok(())
        })
        .await?;
    }
    Ok(())
}
