//! What is not up yet, as when a cluster starts, ends no attempt: it is gone on with once it is there.

use anyhow::{Result, ensure};
use e2e::charts;
use e2e::story::{alone, as_it_is, story};
use helm_operator::api::Reason;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;

/// A kind in two versions of which a webhook makes one of the other; it is where nobody is.
fn converted(namespace: &str) -> String {
    let version = |name: &str, is_stored: bool| {
        json!({
            "name": name, "served": true, "storage": is_stored,
            "schema": { "openAPIV3Schema": { "type": "object", "x-kubernetes-preserve-unknown-fields": true } },
        })
    };
    let webhook = json!({ "conversionReviewVersions": ["v1"], "clientConfig": { "service": { "name": "away", "namespace": namespace } } });
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": "turncoats.cold.example.com" },
        "spec": {
            "group": "cold.example.com", "scope": "Namespaced",
            "names": { "kind": "Turncoat", "listKind": "TurncoatList", "plural": "turncoats", "singular": "turncoat" },
            "versions": [version("v1", true), version("v2", false)],
            "conversion": { "strategy": "Webhook", "webhook": webhook },
        },
    })
    .to_string()
}

#[test]
fn a_conversion_webhook_that_is_not_up_yet_uses_up_no_attempt() -> Result<()> {
    story("cold-conversion", async |story| {
        let part = "apiVersion: cold.example.com/v2\nkind: Turncoat\nmetadata:\n  name: {{ .Release.Name }}\nspec: {size: 1}\n";
        story.push(&charts::note("memo", "1.0.0").file("templates/part.yaml", part)).await?;
        story.open_repository().await?;
        story.apply(&converted(&story.namespace)).await?;
        let once = json!({ "install": { "remediation": { "retries": 0 } } });
        story.release("memo", "memo", "1.0.0", once).await?;
        let words = ["the conversion webhook of cold.example.com/v2, Kind=Turncoat did not answer"];
        story.refused("memo", Reason::WebhookUnavailable, &words).await?;
        let definitions = Api::<CustomResourceDefinition>::all(story.client.clone());
        let up = json!({ "spec": { "conversion": { "strategy": "None", "webhook": null } } });
        let name = "turncoats.cold.example.com";
        definitions.patch(name, &PatchParams::default(), &Patch::Merge(up)).await?;
        story.ready("memo").await?;
        let history = story.history("memo").await?;
        ensure!(history == "1 deployed", "{history}");
        story.delete("memo").await?;
        definitions.delete(name, &DeleteParams::default()).await?;
        Ok(())
    })
}

#[test]
fn a_webhook_that_is_not_up_yet_uses_up_no_attempt() -> Result<()> {
    alone("cold-start", as_it_is, async |story| {
        story.push(&charts::note("memo", "1.0.0")).await?;
        story.open_repository().await?;
        let webhook = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration", "metadata": { "name": "away" },
            "webhooks": [{
                "name": "away.example.com", "admissionReviewVersions": ["v1"], "sideEffects": "None", "failurePolicy": "Fail",
                "clientConfig": { "service": { "name": "away", "namespace": story.namespace } },
                "rules": [{ "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"] }],
            }],
        });
        story.apply(&webhook.to_string()).await?;
        let once = json!({ "install": { "remediation": { "retries": 0 } } });
        story.release("memo", "memo", "1.0.0", once).await?;
        story.refused("memo", Reason::WebhookUnavailable, &["away.example.com"]).await?;
        let history = story.history("memo").await?;
        ensure!(history == "1 pending-install", "{history}");
        let webhooks: Api<ValidatingWebhookConfiguration> = Api::all(story.client.clone());
        webhooks.delete("away", &DeleteParams::default()).await?;
        story.ready("memo").await?;
        let history = story.history("memo").await?;
        ensure!(history == "1 deployed", "{history}");

        // It ends with the timeout of the action.
        story.apply(&webhook.to_string()).await?;
        let bounded = json!({ "install": { "timeout": "1s", "remediation": { "retries": 0 } } });
        story.release("other", "memo", "1.0.0", bounded).await?;
        story.refused("other", Reason::RetriesExhausted, &["away.example.com"]).await?;
        webhooks.delete("away", &DeleteParams::default()).await?;
        Ok(())
    })
}
