//! Each refusal of the server, provoked for real, is the error that says so.

use anyhow::{Result, bail, ensure};
use helm_operator::cluster::{ApplyOptions, Cluster, Error, Owner, Source};
use serde_json::{Value, json};

use crate::{Ground, config_map, deployment, impersonated};

/// The error of applying `documents`.
async fn refusal(ground: &Ground, documents: &[Value]) -> Result<Error> {
    let objects = ground.objects(documents).await?;
    match ground.cluster.apply(&objects, &ground.apply_options("shop")).await {
        Ok(applied) => bail!("it was applied: {applied:?}"),
        Err(error) => Ok(error),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_selector_is_an_immutable_field() -> Result<()> {
    let ground = Ground::new("refusal-immutable").await?;
    let objects = ground.objects(&[deployment("web", "")]).await?;
    ground.cluster.apply(&objects, &ground.apply_options("shop")).await?;
    let mut changed = deployment("web", "");
    changed["spec"]["selector"]["matchLabels"] = json!({ "app": "other" });
    changed["spec"]["template"]["metadata"]["labels"] = json!({ "app": "other" });
    let error = refusal(&ground, &[changed]).await?;
    let Error::Immutable { field, object, .. } = &error else { bail!("{error:?}") };
    ensure!(field == "spec.selector" && object.kind == "Deployment", "{error}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_job_template_and_a_changed_volume_claim_template_are_immutable_fields() -> Result<()> {
    let ground = Ground::new("refusal-immutable-more").await?;
    let set = |size: &str| {
        json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": { "name": "db" },
            "spec": {
                "serviceName": "db", "replicas": 0, "selector": { "matchLabels": { "app": "db" } },
                "template": {
                    "metadata": { "labels": { "app": "db" } },
                    "spec": { "containers": [{ "name": "db", "image": "db:1" }] },
                },
                "volumeClaimTemplates": [{
                    "metadata": { "name": "data" },
                    "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": size } } },
                }],
            },
        })
    };
    let mut job = crate::job("migrate", "");
    let objects = ground.objects(&[set("1Gi"), job.clone()]).await?;
    ground.cluster.apply(&objects, &ground.apply_options("shop")).await?;
    let error = refusal(&ground, &[set("2Gi")]).await?;
    ensure!(matches!(error, Error::Immutable { .. }), "{error:?}");
    ensure!(error.to_string().contains("fields other than 'replicas'"), "what may change is missing: {error}");
    job["spec"]["template"]["spec"]["containers"][0]["image"] = "job:2".into();
    let error = refusal(&ground, &[job]).await?;
    let Error::Immutable { field, .. } = &error else { bail!("{error:?}") };
    ensure!(field == "spec.template", "{error}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_used_up_quota_is_told() -> Result<()> {
    let ground = Ground::new("refusal-quota").await?;
    let quota = json!({ "metadata": { "name": "few" }, "spec": { "hard": { "services": "0" } } });
    ground.create("v1", "ResourceQuota", quota).await?;
    let quotas = ground.api("v1", "ResourceQuota");
    e2e::eventually::object(&quotas, "few", crate::LONG, |quota| {
        ensure!(quota.data["status"]["hard"]["services"] == "0", "not counted yet");
        Ok(())
    })
    .await
    .ok();
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": "web" }, "spec": { "ports": [{ "port": 80 }] },
    });
    let error = refusal(&ground, &[service]).await?;
    let Error::Quota { message, .. } = &error else { bail!("{error:?}") };
    ensure!(message.contains("exceeded quota: few"), "{message}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policys_denial_names_the_policy_and_its_words() -> Result<()> {
    let ground = Ground::new("refusal-policy").await?;
    let policy = json!({
        "metadata": { "name": "no-latest" },
        "spec": {
            "matchConstraints": { "resourceRules": [{
                "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"],
            }] },
            "validations": [{ "expression": "false", "message": "use a pinned tag" }],
        },
    });
    let binding = json!({
        "metadata": { "name": "no-latest" },
        "spec": {
            "policyName": "no-latest", "validationActions": ["Deny"],
            "matchResources": { "namespaceSelector": { "matchLabels": {
                "kubernetes.io/metadata.name": "refusal-policy" } } },
        },
    });
    let admission = "admissionregistration.k8s.io/v1";
    cluster_wide(&ground, admission, "ValidatingAdmissionPolicy", policy).await?;
    cluster_wide(&ground, admission, "ValidatingAdmissionPolicyBinding", binding).await?;
    // The server takes a moment to enforce a new policy; each look uses a new name.
    let mut attempt = 0;
    let error = e2e::eventually::eventually("the policy denies", crate::LONG, || {
        attempt += 1;
        let document = config_map(&format!("settings-{attempt}"), json!({}));
        let ground = &ground;
        async move { refusal(ground, &[document]).await }
    })
    .await?;
    let Error::Webhook { webhook, message, .. } = &error else { bail!("{error:?}") };
    ensure!(webhook == "no-latest" && message == "use a pinned tag", "{error}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_does_not_answer_is_named() -> Result<()> {
    let ground = Ground::new("refusal-webhook").await?;
    let webhook = json!({
        "metadata": { "name": "away" },
        "webhooks": [{
            "name": "away.example.com", "sideEffects": "None", "admissionReviewVersions": ["v1"],
            "failurePolicy": "Fail", "timeoutSeconds": 1,
            "clientConfig": { "url": "https://127.0.0.1:1/" },
            "rules": [{ "apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": ["configmaps"] }],
            "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": "refusal-webhook" } },
        }],
    });
    let kind = "ValidatingWebhookConfiguration";
    cluster_wide(&ground, "admissionregistration.k8s.io/v1", kind, webhook).await?;
    let mut attempt = 0;
    let error = e2e::eventually::eventually("the webhook is asked", crate::LONG, || {
        attempt += 1;
        let document = config_map(&format!("settings-{attempt}"), json!({}));
        let ground = &ground;
        async move { refusal(ground, &[document]).await }
    })
    .await?;
    let Error::WebhookUnreachable { webhook, .. } = &error else { bail!("{error:?}") };
    ensure!(webhook == "admission webhook \"away.example.com\"", "{error}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_right_names_verb_resource_and_namespace() -> Result<()> {
    let ground = Ground::new("refusal-forbidden").await?;
    let jane = Ground { cluster: Cluster::new(impersonated("jane").await?), ..ground };
    let error = refusal(&jane, &[config_map("settings", json!({}))]).await?;
    let Error::Forbidden { verb, resource, namespace, .. } = &error else { bail!("{error:?}") };
    ensure!(verb == "get" && resource == "configmaps", "{error}");
    ensure!(namespace.as_deref() == Some("refusal-forbidden"), "{error}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_kind_is_told_with_the_versions_that_exist() -> Result<()> {
    let ground = Ground::new("refusal-kind").await?;
    let find = async |document: Value| {
        let text = document.to_string();
        ground.cluster.objects(&[Source { origin: "a.yaml", text: &text }], "default").await
    };
    let unknown = json!({ "apiVersion": "example.com/v1", "kind": "Gadget", "metadata": { "name": "g" } });
    let Err(error @ Error::UnknownKind { .. }) = find(unknown).await else { bail!("it is known") };
    ensure!(error.to_string().contains("CustomResourceDefinition"), "{error}");
    let old = json!({ "apiVersion": "apps/v1beta1", "kind": "Deployment", "metadata": { "name": "web" } });
    let Err(Error::UnknownKind { served, .. }) = find(old).await else { bail!("it is known") };
    ensure!(served == ["apps/v1"], "{served:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_namespace_and_one_that_is_being_deleted_are_told_apart() -> Result<()> {
    let ground = Ground::new("refusal-namespace").await?;
    let mut elsewhere = config_map("settings", json!({}));
    elsewhere["metadata"]["namespace"] = "no-such-namespace".into();
    let error = refusal(&ground, &[elsewhere]).await?;
    let Error::NamespaceMissing { namespace, .. } = &error else { bail!("{error:?}") };
    ensure!(namespace == "no-such-namespace" && !error.to_string().contains("createNamespace"), "{error}");
    let mut own = config_map("settings", json!({}));
    own["metadata"]["namespace"] = "not-made-yet".into();
    let owner = Owner { release: "shop".to_owned(), namespace: "not-made-yet".to_owned() };
    let options = ApplyOptions { owner, ..ground.apply_options("shop") };
    let Err(error) = ground.cluster.apply(&ground.objects(&[own]).await?, &options).await else { bail!("applied") };
    ensure!(error.to_string().contains("spec.release.createNamespace"), "{error}");

    let held = json!({ "metadata": { "name": "held", "finalizers": ["example.com/hold"] } });
    ground.create("v1", "ConfigMap", held).await?;
    let namespaces: kube::Api<k8s_openapi::api::core::v1::Namespace> = kube::Api::all(ground.client.clone());
    namespaces.delete(&ground.namespace, &kube::api::DeleteParams::default()).await?;
    let error = refusal(&ground, &[config_map("settings", json!({}))]).await?;
    ensure!(matches!(error, Error::NamespaceTerminating { .. }), "{error:?}");
    let free = kube::api::Patch::Merge(json!({ "metadata": { "finalizers": null } }));
    ground.api("v1", "ConfigMap").patch("held", &kube::api::PatchParams::default(), &free).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_objects_are_told_and_secrets_are_not_quoted() -> Result<()> {
    let ground = Ground::new("refusal-invalid").await?;
    let mut unknown_field = deployment("web", "");
    unknown_field["spec"]["replica"] = 1.into();
    let error = refusal(&ground, &[unknown_field]).await?;
    let Error::Invalid { message, .. } = &error else { bail!("{error:?}") };
    ensure!(message.contains("replica"), "{message}");

    let mut invalid = deployment("web", "");
    invalid["spec"]["template"]["spec"]["containers"][0]["name"] = "NOT VALID".into();
    let error = refusal(&ground, &[invalid]).await?;
    ensure!(matches!(error, Error::Invalid { .. }), "{error:?}");

    for data in [json!("hunter2"), json!({ "password": ["hunter2"] }), json!({ "password": "hunter2!" })] {
        let secret = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "s" }, "data": data });
        let error = refusal(&ground, &[secret]).await?;
        let told = format!("{error} {error:?}");
        ensure!(matches!(error, Error::Invalid { .. }), "{told}");
        ensure!(!told.contains("hunter2"), "{told}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn several_errors_of_one_apply_are_told_in_one_line() -> Result<()> {
    let ground = Ground::new("refusal-several").await?;
    let mut wrong = deployment("web", "");
    wrong["spec"]["template"]["spec"]["containers"][0]["args"] = json!([1, 2]);
    let text = refusal(&ground, &[wrong]).await?.to_string();
    ensure!(
        text.contains(".args[0]: expected") && text.contains("; .spec") && text.contains(".args[1]: expected"),
        "{text:?}"
    );
    ensure!(!text.contains('\n'), "{text:?}");
    Ok(())
}

pub(crate) async fn cluster_wide(ground: &Ground, api_version: &str, kind: &str, body: Value) -> Result<()> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let mut resource = kube::core::ApiResource::from_gvk(&kube::core::GroupVersionKind::gvk(group, version, kind));
    if kind.ends_with("Policy") {
        resource.plural = format!("{}ies", kind.to_lowercase().trim_end_matches('y'));
    }
    let mut body = body;
    body["apiVersion"] = api_version.into();
    body["kind"] = kind.into();
    let api: kube::Api<kube::api::DynamicObject> = kube::Api::all_with(ground.client.clone(), &resource);
    api.create(&kube::api::PostParams::default(), &serde_json::from_value(body)?).await?;
    Ok(())
}
