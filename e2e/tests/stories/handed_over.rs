//! A release that another object takes over while its owner is at work on it.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::charts::{self, Chart};
use e2e::gateway::{Answer, Which};
use e2e::story::{Story, alone, as_it_is};
use helm_operator::api::{ADOPT, Reason};
use http::Method;
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::{Value, json};

/// A `ServiceAccount`, and the note, which is applied after it.
fn chart() -> Chart {
    let account = "apiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: {{ .Release.Name }}\n";
    charts::note("memo", "1.0.0").file("templates/account.yaml", account)
}

fn spec(greeting: &str) -> Value {
    json!({ "release": { "name": "prod" }, "values": { "greeting": greeting } })
}

#[test]
fn who_is_replaced_in_the_middle_of_an_apply_applies_nothing_more() -> Result<()> {
    alone("handed-over", as_it_is, async |story| {
        story.push(&chart()).await?;
        story.open_repository().await?;
        let (gateway, operator) = story.behind_gateway(&[]).await?;
        story.release("first", "memo", "1.0.0", spec("of the first")).await?;
        story.ready("first").await?;

        let accounts = Which::writes("/serviceaccounts").method(Method::PATCH).times(1);
        gateway.answers(accounts, Answer::Late(Duration::from_secs(4)));
        story.patch("first", json!({ "spec": spec("of the upgrade") })).await?;
        story
            .eventually("the upgrade is applied", async || {
                ensure!(gateway.writes().iter().filter(|write| write.contains("/serviceaccounts")).count() == 2);
                Ok(())
            })
            .await?;
        story.release("second", "memo", "1.0.0", spec("of the second")).await?;
        story.patch("second", json!({ "metadata": { "annotations": { ADOPT: "first" } } })).await?;
        story.ready("second").await?;
        story.refused("first", Reason::ReleaseNameConflict, &["second"]).await?;
        greets(story, "of the second").await?;
        operator.check_log()
    })
}

async fn greets(story: &Story<'_>, expected: &str) -> Result<()> {
    let note = story.objects::<ConfigMap>().get("prod-config").await?;
    let data = note.data.unwrap_or_default();
    ensure!(data.values().any(|greeting| greeting.contains(expected)), "the note says {data:?}");
    Ok(())
}
