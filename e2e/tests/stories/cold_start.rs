//! What is not up yet, as when a cluster starts, ends no attempt: it is gone on with once it is there.

use anyhow::{Result, ensure};
use e2e::charts;
use e2e::story::{alone, as_it_is};
use helm_operator::api::Reason;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use kube::Api;
use kube::api::DeleteParams;
use serde_json::json;

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
