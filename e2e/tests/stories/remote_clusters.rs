//! Releases in other clusters, by the kubeconfig in a Secret: what is there, what goes wrong on the way, and what becomes of
//! them when the cluster, the kubeconfig or the object goes.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use e2e::apiserver::{ControlPlane, kubeconfig};
use e2e::certificates::Authority;
use e2e::charts;
use e2e::eventually;
use e2e::gateway::{Gateway, Reply, Which};
use e2e::helm::Helm;
use e2e::status;
use e2e::story::{SOON, Story, alone, as_it_is, story};
use helm_operator::api::{HelmRelease, Reason};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

/// The other cluster of the stories that leave it standing.
async fn shared() -> Result<&'static ControlPlane> {
    static REMOTE: OnceCell<ControlPlane> = OnceCell::const_new();
    REMOTE.get_or_try_init(ControlPlane::api_only).await
}

/// An other cluster, as an administrator there sees it, with the story's namespace in it.
pub(crate) struct Remote<'a> {
    plane: &'a ControlPlane,
    pub(crate) client: Client,
    helm: Helm,
    namespace: String,
}

impl<'a> Remote<'a> {
    pub(crate) async fn of(plane: &'a ControlPlane, story: &Story<'_>) -> Result<Self> {
        let client = plane.client().await?;
        let namespace = json!({ "metadata": { "name": story.namespace } });
        let namespaces = Api::<Namespace>::all(client.clone());
        namespaces.create(&PostParams::default(), &serde_json::from_value(namespace)?).await?;
        let helm = Helm::new(Some(plane.kubeconfig())).await?;
        Ok(Self { plane, client, helm, namespace: story.namespace.clone() })
    }

    pub(crate) fn kubeconfig(&self) -> Result<String> {
        Ok(fs::read_to_string(self.plane.kubeconfig())?)
    }

    pub(crate) async fn map(&self, name: &str) -> Result<Option<ConfigMap>> {
        Ok(Api::<ConfigMap>::namespaced(self.client.clone(), &self.namespace).get_opt(name).await?)
    }

    pub(crate) async fn records(&self) -> Result<usize> {
        let secrets = Api::<Secret>::namespaced(self.client.clone(), &self.namespace);
        Ok(secrets.list(&ListParams::default()).await?.items.len())
    }

    pub(crate) async fn history(&self, release: &str) -> Result<String> {
        let revisions = self.helm.history(&self.namespace, release).await?;
        let told: Vec<String> = revisions.iter().map(|is| format!("{} {}", is.revision, is.status)).collect();
        Ok(told.join(", "))
    }
}

pub(crate) async fn set(story: &Story<'_>, secret: &str, key: &str, kubeconfig: &str) -> Result<()> {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": secret }, "stringData": { (key): kubeconfig },
    });
    story.apply(&secret.to_string()).await
}

pub(crate) fn named(secret: &str) -> Value {
    json!({ "kubeConfig": { "secretRef": { "name": secret } } })
}

pub(crate) async fn prepare(story: &Story<'_>) -> Result<()> {
    story.push(&charts::note("memo", "1.0.0")).await?;
    story.push(&charts::note("memo", "1.1.0")).await?;
    story.open_repository().await
}

pub(crate) async fn here(story: &Story<'_>, name: &str) -> Result<bool> {
    Ok(story.objects::<ConfigMap>().get_opt(name).await?.is_some())
}

#[test]
fn a_release_its_history_and_its_objects_are_in_the_cluster_of_the_kubeconfig() -> Result<()> {
    story("remote", async |story| {
        let remote = Remote::of(shared().await?, story).await?;
        prepare(story).await?;
        set(story, "prod", "value", &remote.kubeconfig()?).await?;
        story.release("memo", "memo", "1.0.0", named("prod")).await?;
        let ready = story.ready("memo").await?;
        let told = ready.status.context("a status")?;
        ensure!(told.kube_configs == ["prod"], "{:?}", told.kube_configs);
        ensure!(told.helm_release.and_then(|state| state.kube_config).as_deref() == Some("prod"));
        ensure!(remote.map("memo-config").await?.is_some(), "nothing was installed there");
        let listed = remote.helm.list(&remote.namespace).await?;
        ensure!(listed.len() == 1 && listed[0].name == "memo", "{listed:?}");
        ensure!(!here(story, "memo-config").await? && story.history("memo").await.is_err(), "something of it is here");

        story.patch("memo", json!({ "spec": { "chart": { "version": "1.1.0" } } })).await?;
        story.ready("memo").await?;
        ensure!(remote.history("memo").await? == "1 superseded, 2 deployed", "{}", remote.history("memo").await?);
        // What somebody does there is noticed.
        remote.helm.run(&["uninstall", "memo", "--namespace", &remote.namespace]).await?;
        story
            .eventually("it is installed again", async || {
                ensure!(remote.history("memo").await? == "1 deployed");
                Ok(())
            })
            .await?;

        story.ready("memo").await?;
        story.delete("memo").await?;
        ensure!(remote.map("memo-config").await?.is_none() && remote.records().await? == 0, "something is left there");
        Ok(())
    })
}

#[test]
fn objects_that_a_release_depends_on_are_looked_for_in_its_cluster() -> Result<()> {
    story("remote-depends", async |story| {
        let remote = Remote::of(shared().await?, story).await?;
        prepare(story).await?;
        set(story, "prod", "value", &remote.kubeconfig()?).await?;
        let gate = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "gate" } });
        story.apply(&gate.to_string()).await?;
        let mut spec = named("prod");
        spec["dependsOn"] = json!([{ "apiVersion": "v1", "kind": "ConfigMap", "name": "gate" }]);
        story.release("memo", "memo", "1.0.0", spec).await?;
        let secret = format!("in the cluster of Secret {}/prod", story.namespace);
        let words = ["there is no ConfigMap \"gate\"", &*secret, "spec.dependsOn[0]"];
        story.refused("memo", Reason::DependencyNotReady, &words).await?;
        let maps = Api::<ConfigMap>::namespaced(remote.client.clone(), &remote.namespace);
        maps.create(&PostParams::default(), &serde_json::from_value(gate)?).await?;
        story.ready("memo").await?;
        story.delete("memo").await
    })
}

#[test]
fn a_rotated_kubeconfig_is_used_at_once_and_a_rejected_one_says_so() -> Result<()> {
    story("remote-rotated", async |story| {
        let remote = Remote::of(shared().await?, story).await?;
        prepare(story).await?;
        let good = remote.kubeconfig()?;
        let mut wrong: Value = serde_json::from_str(&good)?;
        wrong["users"][0]["user"] = json!({ "token": "s3cret-that-was-revoked" });
        story.stage.operator().await.keep_secret("s3cret-that-was-revoked");
        story.release("memo", "memo", "1.0.0", named("prod")).await?;
        let secret = format!("{}/prod", story.namespace);
        story.refused("memo", Reason::SecretNotFound, &[&secret]).await?;
        set(story, "prod", "value.yaml", &wrong.to_string()).await?;
        let words = [&*secret, "401", "credentials", "127.0.0.1"];
        story.refused("memo", Reason::ClusterCredentialsRejected, &words).await?;
        ensure!(remote.records().await? == 0);
        set(story, "prod", "value.yaml", &good).await?;
        story.ready("memo").await?;

        // Rights are judged by the one that is there now.
        let nobody = fs::read_to_string(remote.plane.kubeconfig_for("nobody", "nobodies")?)?;
        set(story, "prod", "value.yaml", &nobody).await?;
        story.refused("memo", Reason::Forbidden, &["list and watch Secrets", &secret]).await?;
        set(story, "prod", "value.yaml", &good).await?;
        story.ready("memo").await?;
        ensure!(remote.history("memo").await? == "1 deployed", "{}", remote.history("memo").await?);
        story.delete("memo").await
    })
}

#[test]
fn a_kubeconfig_that_asks_for_more_than_a_connection_is_refused() -> Result<()> {
    story("remote-refused", async |story| {
        let remote = Remote::of(shared().await?, story).await?;
        prepare(story).await?;
        let good: Value = serde_json::from_str(&remote.kubeconfig()?)?;
        story.release("memo", "memo", "1.0.0", named("prod")).await?;
        let exec = json!({ "apiVersion": "client.authentication.k8s.io/v1", "command": "/bin/sh" });
        for (pointer, value, word) in [
            ("/users/0/user", json!({ "exec": exec }), "--insecure-kubeconfig-exec"),
            ("/clusters/0/cluster/insecure-skip-tls-verify", json!(true), "--insecure-kubeconfig-tls"),
            ("/users/0/user", json!({ "tokenFile": "/etc/passwd" }), "operator's disk"),
        ] {
            let mut asks = good.clone();
            let (parent, last) = pointer.rsplit_once('/').context("a pointer")?;
            asks.pointer_mut(parent).context("a kubeconfig")?[last] = value;
            set(story, "prod", "value", &asks.to_string()).await?;
            story
                .eventually(word, async || {
                    let refused = story.releases().get("memo").await?;
                    status::failed(&refused, Reason::SecretInvalid)?;
                    ensure!(status::message(&refused).contains(word), "{}", status::message(&refused));
                    Ok(())
                })
                .await?;
        }
        set(story, "other", "kubeconfig", &good.to_string()).await?;
        story.patch("memo", json!({ "spec": { "kubeConfig": { "secretRef": { "name": "other" } } } })).await?;
        story.refused("memo", Reason::SecretInvalid, &["value or value.yaml"]).await?;
        let named = json!({ "spec": { "kubeConfig": { "secretRef": { "key": "kubeconfig" } } } });
        story.patch("memo", named).await?;
        story.ready("memo").await?;
        story.delete("memo").await
    })
}

#[test]
fn a_release_moves_between_clusters_and_two_secrets_of_one_are_no_move() -> Result<()> {
    story("remote-moved", async |story| {
        let remote = Remote::of(shared().await?, story).await?;
        prepare(story).await?;
        for secret in ["prod", "renamed"] {
            set(story, secret, "value", &remote.kubeconfig()?).await?;
        }
        story.release("memo", "memo", "1.0.0", json!({})).await?;
        story.ready("memo").await?;
        story.patch("memo", json!({ "spec": named("prod") })).await?;
        story.ready("memo").await?;
        ensure!(!here(story, "memo-config").await? && story.history("memo").await.is_err(), "something of it is here");
        let installed = remote.map("memo-config").await?.context("it is there")?.metadata.uid;

        story.patch("memo", json!({ "spec": named("renamed") })).await?;
        let told = story.ready("memo").await?.status.context("a status")?;
        ensure!(told.kube_configs == ["renamed"], "{:?}", told.kube_configs);
        ensure!(remote.map("memo-config").await?.context("it is there")?.metadata.uid == installed, "it was made anew");
        ensure!(remote.history("memo").await? == "1 deployed", "{}", remote.history("memo").await?);

        story.patch("memo", json!({ "spec": { "kubeConfig": null } })).await?;
        let told = story.ready("memo").await?.status.context("a status")?;
        ensure!(told.kube_configs.is_empty(), "{:?}", told.kube_configs);
        ensure!(here(story, "memo-config").await?, "it is not here");
        ensure!(remote.map("memo-config").await?.is_none() && remote.records().await? == 0, "something is left there");
        story.event("memo", Reason::UninstallCompleted, "in the cluster of Secret").await?;
        story.delete("memo").await
    })
}

#[test]
fn two_objects_do_not_have_one_release_of_another_cluster() -> Result<()> {
    story("remote-rivals", async |story| {
        let remote = Remote::of(shared().await?, story).await?;
        prepare(story).await?;
        for secret in ["prod", "same"] {
            set(story, secret, "value", &remote.kubeconfig()?).await?;
        }
        story.release("memo", "memo", "1.0.0", named("prod")).await?;
        story.ready("memo").await?;
        // Its name is free here, and taken there, by whichever Secret.
        story.release("rival", "memo", "1.0.0", json!({ "release": { "name": "memo" } })).await?;
        story.ready("rival").await?;
        story.patch("rival", json!({ "spec": named("same") })).await?;
        let owner = format!("{}/memo", story.namespace);
        story.refused("rival", Reason::ReleaseNameConflict, &[&owner]).await?;
        story.delete("rival").await?;
        ensure!(remote.map("memo-config").await?.is_some(), "the other's release was uninstalled");
        ensure!(!here(story, "memo-config").await?, "what it had here is left");
        story.delete("memo").await
    })
}

#[test]
fn in_another_cluster_a_service_account_is_one_of_that_cluster() -> Result<()> {
    story("remote-account", async |story| {
        let remote = Remote::of(shared().await?, story).await?;
        prepare(story).await?;
        set(story, "prod", "value", &remote.kubeconfig()?).await?;
        let mut spec = named("prod");
        spec["serviceAccountName"] = json!("deployer");
        story.release("memo", "memo", "1.0.0", spec).await?;
        let account = format!("{}/deployer", story.namespace);
        story.refused("memo", Reason::ServiceAccountNotFound, &[&account, "in the cluster of Secret"]).await?;
        let kubectl = e2e::kubectl::Kubectl::new(remote.plane.kubeconfig()).await?;
        kubectl.run(&["create", "serviceaccount", "deployer", "--namespace", &remote.namespace]).await?;
        let user = format!("system:serviceaccount:{account}").replace('/', ":");
        story.refused("memo", Reason::Forbidden, &[&user]).await?;
        let role = "create rolebinding deployer --clusterrole=cluster-admin --serviceaccount";
        let account = account.replace('/', ":");
        let words: Vec<&str> = role.split(' ').chain([&*account, "--namespace", &remote.namespace]).collect();
        kubectl.run(&words).await?;
        story
            .patch("memo", json!({ "metadata": { "annotations": { helm_operator::api::REQUESTED_AT: "now" } } }))
            .await?;
        story.ready("memo").await?;
        story.delete("memo").await
    })
}

/// A stage of one's own with a cluster of one's own that can be broken.
fn with_own(name: &str, play: impl AsyncFnOnce(&Story<'_>, Remote<'_>) -> Result<()>) -> Result<()> {
    alone(name, as_it_is, async |story| {
        let plane = ControlPlane::api_only().await?;
        let remote = Remote::of(&plane, story).await?;
        prepare(story).await?;
        set(story, "prod", "value", &remote.kubeconfig()?).await?;
        story.release("memo", "memo", "1.0.0", named("prod")).await?;
        story.ready("memo").await?;
        play(story, remote).await
    })
}

fn is_away(release: &HelmRelease) -> Result<()> {
    status::failed(release, Reason::ClusterUnreachable)?;
    let message = status::message(release);
    ensure!(message.contains("/prod") && message.contains("127.0.0.1"), "{message}");
    Ok(())
}

#[test]
fn a_cluster_that_goes_away_costs_nobody_else_anything_and_is_gone_on_with_when_it_is_back() -> Result<()> {
    with_own("remote-away", async |story, remote| {
        remote.plane.stop_apiserver().await?;
        eventually::object(&story.releases(), "memo", SOON, is_away).await?;
        story.release("home", "memo", "1.0.0", json!({})).await?;
        story.ready("home").await?;
        // An edit is told, too, and waits.
        story.patch("memo", json!({ "spec": { "chart": { "version": "1.1.0" } } })).await?;
        eventually::object(&story.releases(), "memo", SOON, is_away).await?;

        let mut operator = story.stage.operator().await;
        operator.kill().await?;
        operator.start().await?;
        drop(operator);
        story.release("after", "memo", "1.0.0", json!({})).await?;
        story.ready("after").await?;
        eventually::object(&story.releases(), "memo", SOON, is_away).await?;

        remote.plane.start_apiserver().await?;
        story.ready("memo").await?;
        ensure!(remote.history("memo").await? == "1 superseded, 2 deployed", "{}", remote.history("memo").await?);
        Ok(())
    })
}

#[test]
fn an_object_whose_cluster_is_away_stays_and_says_how_it_goes() -> Result<()> {
    with_own("remote-deleted", async |story, remote| {
        story.release("orphan", "memo", "1.0.0", named("prod")).await?;
        story.ready("orphan").await?;
        remote.plane.stop_apiserver().await?;
        for name in ["memo", "orphan"] {
            story.releases().delete(name, &DeleteParams::default()).await?;
            eventually::object(&story.releases(), name, SOON, |release| {
                is_away(release)?;
                let message = status::message(release);
                ensure!(message.contains("deletionPolicy: Orphan") && message.contains("delete Secret"), "{message}");
                Ok(())
            })
            .await?;
        }
        story.patch("orphan", json!({ "spec": { "uninstall": { "deletionPolicy": "Orphan" } } })).await?;
        eventually::gone(&story.releases(), "orphan", SOON).await?;
        story.event("orphan", Reason::UninstallSkipped, "in the cluster of Secret").await?;
        remote.plane.start_apiserver().await?;
        eventually::gone(&story.releases(), "memo", SOON).await?;
        ensure!(remote.map("memo-config").await?.is_none(), "it was not uninstalled");
        ensure!(remote.map("orphan-config").await?.is_some(), "what was to be left is gone");
        Ok(())
    })
}

#[test]
fn an_object_whose_kubeconfig_is_gone_goes_and_nothing_is_left_without_a_word() -> Result<()> {
    with_own("remote-forgotten", async |story, remote| {
        story.release("later", "memo", "1.0.0", named("prod")).await?;
        story.ready("later").await?;
        story.objects::<Secret>().delete("prod", &DeleteParams::default()).await?;
        story.failed("memo", Reason::SecretNotFound).await?;
        // What is deleted with its Secret is uninstalled for as long as the operator has the connection.
        story.delete("memo").await?;
        ensure!(remote.map("memo-config").await?.is_none(), "it was not uninstalled");

        let mut operator = story.stage.operator().await;
        operator.stop().await?;
        operator.start().await?;
        drop(operator);
        story.releases().delete("later", &DeleteParams::default()).await?;
        story.refused("later", Reason::SecretNotFound, &["unless it is put back"]).await?;
        eventually::gone(&story.releases(), "later", SOON + Duration::from_mins(1)).await?;
        story.event("later", Reason::UninstallSkipped, "later in the cluster of Secret").await?;
        ensure!(remote.map("later-config").await?.is_some(), "it cannot have been uninstalled");
        Ok(())
    })
}

#[test]
fn a_cluster_that_is_left_while_it_is_away_is_cleared_when_it_is_back() -> Result<()> {
    with_own("remote-left", async |story, remote| {
        remote.plane.stop_apiserver().await?;
        story.patch("memo", json!({ "spec": { "kubeConfig": null } })).await?;
        let words = ["the release is deployed, but what it was in the cluster of Secret", "delete Secret"];
        story.refused("memo", Reason::ClusterUnreachable, &words).await?;
        ensure!(here(story, "memo-config").await?, "it is not here");
        // Neither an edit nor a restart forgets it.
        let mut operator = story.stage.operator().await;
        operator.kill().await?;
        operator.start().await?;
        drop(operator);
        story.patch("memo", json!({ "spec": { "chart": { "version": "1.1.0" } } })).await?;
        story.refused("memo", Reason::ClusterUnreachable, &words).await?;
        remote.plane.start_apiserver().await?;
        let told = story.ready("memo").await?.status.context("a status")?;
        ensure!(told.kube_configs.is_empty(), "{:?}", told.kube_configs);
        ensure!(remote.map("memo-config").await?.is_none() && remote.records().await? == 0, "something is left there");
        Ok(())
    })
}

#[test]
fn what_answers_and_is_no_cluster_is_told_without_its_words() -> Result<()> {
    story("remote-stranger", async |story| {
        prepare(story).await?;
        let nobody = e2e::ports::free()?;
        let config = kubeconfig(&format!("https://127.0.0.1:{nobody}"), None, None);
        set(story, "prod", "value", &config).await?;
        story.release("memo", "memo", "1.0.0", named("prod")).await?;
        story.refused("memo", Reason::ClusterUnreachable, &["does not answer", &nobody.to_string()]).await?;
        // Nothing was begun there.
        story.delete("memo").await
    })
}

#[test]
fn a_certificate_that_is_not_trusted_is_told_with_what_is_trusted() -> Result<()> {
    story("remote-untrusted", async |story| {
        let remote = Remote::of(shared().await?, story).await?;
        prepare(story).await?;
        let secret = format!("{}/prod", story.namespace);
        let good: Value = serde_json::from_str(&remote.kubeconfig()?)?;
        let other = STANDARD.encode(Authority::new("another one")?.certificate());
        story.release("memo", "memo", "1.0.0", named("prod")).await?;
        for (authority, words) in [
            (json!(other), "none of the authorities in the certificate-authority-data of the kubeconfig"),
            (Value::Null, "none of the authorities in the operator's system"),
        ] {
            let mut wrong = good.clone();
            wrong["clusters"][0]["cluster"]["certificate-authority-data"] = authority;
            set(story, "prod", "value", &wrong.to_string()).await?;
            story.refused("memo", Reason::ClusterUnreachable, &[&secret, words, "noticed at once"]).await?;
        }
        set(story, "prod", "value", &good.to_string()).await?;
        story.ready("memo").await?;
        story.delete("memo").await
    })
}

#[test]
fn what_a_cluster_answers_beyond_all_measure_is_told_and_not_taken() -> Result<()> {
    alone(
        "remote-boundless",
        async |_, setup| Ok(setup.argument("--insecure-kubeconfig-tls")),
        async |story| {
            let plane = ControlPlane::api_only().await?;
            let remote = Remote::of(&plane, story).await?;
            let gateway = Gateway::start(plane.kubeconfig()).await?;
            prepare(story).await?;
            let endless = || Reply { status: 200, content_type: "application/json", body: " ".repeat(65 << 20) };
            gateway.replies(Which::reads("/secrets"), endless());
            set(story, "prod", "value", &fs::read_to_string(gateway.kubeconfig())?).await?;
            story.release("memo", "memo", "1.0.0", named("prod")).await?;
            story.refused("memo", Reason::ClusterUnreachable, &["more than 64 MiB", "/prod"]).await?;
            gateway.calm();
            story.ready("memo").await?;
            ensure!(remote.map("memo-config").await?.is_some(), "nothing was installed there");
            story.delete("memo").await
        },
    )
}

#[test]
fn an_operator_can_be_told_to_know_no_other_cluster() -> Result<()> {
    alone(
        "no-remote",
        async |_, setup| Ok(setup.argument("--no-remote-clusters")),
        async |story| {
            story.push(&charts::note("memo", "1.0.0")).await?;
            story.open_repository().await?;
            let remote = json!({ "kubeConfig": { "secretRef": { "name": "prod" } } });
            story.release("memo", "memo", "1.0.0", remote).await?;
            let refused = ["spec.kubeConfig", "--no-remote-clusters"];
            story.refused("memo", Reason::AccessDenied, &refused).await?;
            let by_tokens = json!({ "secretRef": null, "configMapRef": { "name": "prod" } });
            story.patch("memo", json!({ "spec": { "kubeConfig": by_tokens } })).await?;
            story.refused("memo", Reason::AccessDenied, &refused).await?;
            // What was in another cluster before the flag was set is left there, told, and holds nothing up.
            story.patch("memo", json!({ "spec": { "suspend": true } })).await?;
            let was = Patch::Merge(json!({ "status": { "kubeConfigs": ["prod"] } }));
            story.releases().patch_status("memo", &PatchParams::default(), &was).await?;
            story.patch("memo", json!({ "spec": { "suspend": false, "kubeConfig": null } })).await?;
            story.event("memo", Reason::UninstallSkipped, "--no-remote-clusters").await?;
            story.ready("memo").await.map(drop)
        },
    )
}
