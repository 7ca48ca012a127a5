//! Releases that are carried out as service accounts: what those may do, and nothing else.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::charts::{self, Chart};
use e2e::eventually;
use e2e::status;
use e2e::story::{SOON, Story, alone, story};
use helm_operator::api::{HelmRelease, Reason};
use k8s_openapi::api::core::v1::{ConfigMap, Secret, ServiceAccount};
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::Api;
use kube::api::{DeleteParams, ListParams};
use serde_json::json;

/// A service account that may do everything with `resources` (of the core group and apps) of its namespace.
pub(super) async fn account(story: &Story<'_>, name: &str, resources: &[&str]) -> Result<()> {
    let object = |kind: &str, api: &str| json!({ "apiVersion": api, "kind": kind, "metadata": { "name": name } });
    let rbac = "rbac.authorization.k8s.io/v1";
    let (mut role, mut binding) = (object("Role", rbac), object("RoleBinding", rbac));
    role["rules"] = json!([{ "apiGroups": ["", "apps"], "resources": resources, "verbs": ["*"] }]);
    binding["roleRef"] = json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name });
    binding["subjects"] = json!([{ "kind": "ServiceAccount", "name": name, "namespace": story.namespace }]);
    for object in [object("ServiceAccount", "v1"), role, binding] {
        story.apply(&object.to_string()).await?;
    }
    Ok(())
}

/// A chart that makes whoever installs it administrator.
fn greedy() -> Chart {
    let binding = "apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: {{ .Release.Namespace }}-greedy
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{kind: ServiceAccount, name: default, namespace: {{ .Release.Namespace }}}]
";
    Chart::new("greedy", "1.0.0").file("templates/binding.yaml", binding)
}

/// A chart that copies a Secret of another namespace.
fn curious() -> Chart {
    let copy = "apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}
data:
  found: {{ lookup \"v1\" \"Secret\" \"kube-system\" \"\" | toJson | quote }}
";
    Chart::new("curious", "1.0.0").file("templates/copy.yaml", copy)
}

#[test]
fn a_release_may_do_what_its_service_account_may() -> Result<()> {
    story("service-account", async |story| {
        for chart in [charts::web("web", "1.0.0"), charts::web("web", "1.1.0"), greedy(), curious()] {
            story.push(&chart).await?;
        }
        story.open_repository().await?;
        account(story, "deployer", &["configmaps", "services", "deployments", "pods", "events"]).await?;
        let as_deployer = json!({ "serviceAccountName": "deployer", "timeout": "30s" });
        story.release("web", "web", "1.0.0", as_deployer.clone()).await?;
        story.ready("web").await?;
        story.patch("web", json!({ "spec": { "chart": { "version": "1.1.0" } } })).await?;
        story.ready("web").await?;

        let deployer = format!("system:serviceaccount:{}:deployer", story.namespace);
        story.release("greedy", "greedy", "1.0.0", as_deployer.clone()).await?;
        story.refused("greedy", Reason::Forbidden, &[&deployer, "clusterrolebindings"]).await?;
        story.release("curious", "curious", "1.0.0", as_deployer).await?;
        story.refused("curious", Reason::Forbidden, &[&deployer, "secrets", "kube-system"]).await?;
        ensure!(story.objects::<ConfigMap>().get_opt("curious").await?.is_none(), "the copy was made");

        story.delete("web").await?;
        let left = story.objects::<ConfigMap>().get_opt("web-config").await?;
        ensure!(left.is_none(), "the release was not uninstalled");
        ensure!(story.history("web").await.is_err(), "its history is left");
        Ok(())
    })
}

#[test]
fn a_service_account_that_is_missing_is_named_and_its_coming_noticed() -> Result<()> {
    story("service-account-missing", async |story| {
        story.push(&charts::note("memo", "1.0.0")).await?;
        story.open_repository().await?;
        story.release("memo", "memo", "1.0.0", json!({ "serviceAccountName": "late" })).await?;
        let named = format!("{}/late", story.namespace);
        story.refused("memo", Reason::ServiceAccountNotFound, &[&named, "create it"]).await?;
        account(story, "late", &["configmaps"]).await?;
        story.ready("memo").await.map(drop)
    })
}

#[test]
fn a_release_whose_service_account_is_gone_is_left_and_says_so() -> Result<()> {
    story("service-account-gone", async |story| {
        story.push(&charts::note("memo", "1.0.0")).await?;
        story.open_repository().await?;
        account(story, "short-lived", &["configmaps"]).await?;
        story.release("memo", "memo", "1.0.0", json!({ "serviceAccountName": "short-lived" })).await?;
        story.ready("memo").await?;
        story.release("bound", "memo", "1.0.0", json!({ "serviceAccountName": "short-lived" })).await?;
        story.ready("bound").await?;
        story.objects::<ServiceAccount>().delete("short-lived", &DeleteParams::default()).await?;
        // What is bound to its name still counts.
        story.delete("bound").await?;
        ensure!(story.objects::<ConfigMap>().get_opt("bound-config").await?.is_none(), "it was not uninstalled");
        story.objects::<RoleBinding>().delete("short-lived", &DeleteParams::default()).await?;
        story.delete("memo").await?;
        story.event("memo", Reason::UninstallSkipped, "short-lived").await?;
        ensure!(story.objects::<ConfigMap>().get_opt("memo-config").await?.is_some(), "the object was deleted");
        // Helm may go on with it.
        let shown = story.helm.run(&["uninstall", "memo", "--namespace", &story.namespace]).await?;
        ensure!(shown.contains("uninstalled"), "{shown}");
        Ok(())
    })
}

#[test]
fn records_are_kept_nowhere_that_the_service_account_could_not_write_them() -> Result<()> {
    story("service-account-elsewhere", async |story| {
        story.push(&charts::note("memo", "1.0.0")).await?;
        story.open_repository().await?;
        account(story, "deployer", &["configmaps"]).await?;
        let other = format!("{}-other", story.namespace);
        story.kubectl.run(&["create", "namespace", &other]).await?;
        let spec = json!({ "serviceAccountName": "deployer", "release": { "namespace": other } });
        story.release("memo", "memo", "1.0.0", spec).await?;
        story.refused("memo", Reason::Forbidden, &["may not create Secrets", &other]).await?;
        let records = Api::<Secret>::namespaced(story.client.clone(), &other).list(&ListParams::default()).await?;
        ensure!(records.items.is_empty(), "something was recorded");
        story.kubectl.run(&["delete", "namespace", &other, "--wait=false"]).await.map(drop)
    })
}

#[test]
fn an_expression_is_asked_only_of_what_the_service_account_may_read() -> Result<()> {
    story("service-account-asks", async |story| {
        let vault = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: vault\nstringData: {pin: '1234'}\n";
        story.push(&charts::note("memo", "1.0.0").file("templates/vault.yaml", vault)).await?;
        story.open_repository().await?;
        account(story, "deployer", &["configmaps", "secrets"]).await?;
        story.release("memo", "memo", "1.0.0", json!({ "serviceAccountName": "deployer" })).await?;
        story.ready("memo").await?;
        let asks = |pin: &str| {
            let failed = format!("data.pin == '{pin}'");
            json!({ "spec": { "healthCheckExprs": [{ "apiVersion": "v1", "kind": "Secret", "current": "true", "failed": failed }] } })
        };
        let told = |release: &HelmRelease| {
            let conditions = release.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
            conditions.iter().any(|it| it.type_ == "Healthy" && it.status == "False")
        };
        story.patch("memo", asks("MTIzNA==")).await?;
        eventually::object(&story.releases(), "memo", SOON, |release| {
            ensure!(told(release), "{}", status::summary(release));
            Ok(())
        })
        .await?;
        account(story, "deployer", &["configmaps"]).await?;
        story.patch("memo", asks("no")).await?;
        eventually::object(&story.releases(), "memo", SOON, |release| {
            ensure!(!told(release), "{}", status::summary(release));
            Ok(())
        })
        .await?;
        story.patch("memo", asks("MTIzNA==")).await?;
        let release = story.ready("memo").await?;
        eventually::measure(Duration::from_secs(5)).await;
        ensure!(!told(&story.releases().get("memo").await?), "{}", status::summary(&release));
        account(story, "deployer", &["configmaps", "secrets"]).await
    })
}

#[test]
fn who_names_no_service_account_has_the_default_one() -> Result<()> {
    let prepare = async |_: &_, setup: e2e::operator::Setup| Ok(setup.argument("--default-service-account=deployer"));
    alone("service-account-default", prepare, async |story| {
        story.push(&charts::note("memo", "1.0.0")).await?;
        story.push(&greedy()).await?;
        story.open_repository().await?;
        account(story, "deployer", &["configmaps"]).await?;
        story.release("memo", "memo", "1.0.0", json!({})).await?;
        story.ready("memo").await?;
        story.release("greedy", "greedy", "1.0.0", json!({})).await?;
        let deployer = format!("system:serviceaccount:{}:deployer", story.namespace);
        story.refused("greedy", Reason::Forbidden, &[&deployer]).await?;
        story.delete("memo").await
    })
}

/// Whatever goes on with it: an object whose account is taken away must not stay for ever.
#[test]
fn a_release_whose_account_goes_while_a_hook_runs_ends() -> Result<()> {
    story("service-account-hook", async |story| {
        let hook = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {{ .Release.Name }}-hangs\n  annotations: {helm.sh/hook: pre-install, PLAY: hang}\n\
                    spec:\n  restartPolicy: Never\n  containers: [{name: main, image: \"main:1\"}]\n";
        let hook = hook.replace("PLAY", e2e::kwok::PLAY).replace("hang}", &format!("{}}}", e2e::kwok::play::HANG));
        story.push(&charts::note("memo", "1.0.0").file("templates/hook.yaml", hook)).await?;
        story.open_repository().await?;
        account(story, "leaves", &["configmaps", "pods", "events"]).await?;
        for (name, uninstall) in [("gone", json!({})), ("orphan", json!({ "deletionPolicy": "Orphan" }))] {
            let spec = json!({ "serviceAccountName": "leaves", "uninstall": uninstall });
            story.release(name, "memo", "1.0.0", spec).await?;
            story
                .eventually("the hook runs", async || {
                    let pod = story.objects::<k8s_openapi::api::core::v1::Pod>().get(&format!("{name}-hangs")).await?;
                    ensure!(pod.metadata.deletion_timestamp.is_none());
                    Ok(())
                })
                .await?;
        }
        story.objects::<RoleBinding>().delete("leaves", &DeleteParams::default()).await?;
        story.objects::<ServiceAccount>().delete("leaves", &DeleteParams::default()).await?;
        for name in ["gone", "orphan"] {
            story.delete(name).await?;
        }
        story.event("gone", Reason::UninstallSkipped, "leaves").await
    })
}
