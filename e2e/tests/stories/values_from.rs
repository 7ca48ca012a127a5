//! Values from `ConfigMap`s and Secrets: merged as Helm merges them, used as soon as they change, and nothing secret told.

use anyhow::{Result, ensure};
use e2e::charts::{self, Chart};
use e2e::eventually;
use e2e::helm::Helm;
use e2e::status;
use e2e::story::{SOON, Story, story};
use helm_operator::api::Reason;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

const PASSWORD: &str = "hunter2-is-the-word";

/// Prints its values as Helm sees them, with their types.
fn telling() -> Chart {
    let template = "apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-told
data:
  values: {{ omit .Values \"global\" | toJson | quote }}
  big: {{ printf \"%v %T\" .Values.big .Values.big | quote }}
";
    Chart::new("telling", "1.0.0")
        .file("values.yaml", "a: chart\nbig: 1\ndropped: here\n")
        .file("templates/told.yaml", template)
}

async fn config_map(story: &Story<'_>, name: &str, data: Value) -> Result<()> {
    let map = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name }, "data": data });
    story.apply(&map.to_string()).await
}

async fn secret(story: &Story<'_>, name: &str, data: Value) -> Result<()> {
    let secret = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name }, "stringData": data });
    story.apply(&secret.to_string()).await
}

async fn told(story: &Story<'_>, release: &str) -> Result<std::collections::BTreeMap<String, String>> {
    let name = format!("{release}-told");
    Ok(story.objects::<ConfigMap>().get(&name).await?.data.unwrap_or_default())
}

#[test]
fn values_are_put_together_as_helm_does_it() -> Result<()> {
    story("values-from", async |story| {
        let chart = telling();
        story.push(&chart).await?;
        story.open_repository().await?;
        let first = "a: first\nnested: {x: 1, y: 1}\ndropped: null\n";
        config_map(story, "first", json!({ "values.yaml": first })).await?;
        secret(story, "second", json!({ "prod.yaml": "nested: {y: 2}\n", "word": PASSWORD })).await?;
        config_map(story, "third", json!({ "size": "12345678", "text": "a,b={c}\n" })).await?;
        let spec = json!({
            "valuesFrom": [
                { "kind": "ConfigMap", "name": "third", "valuesKey": "size", "targetPath": "big" },
                { "kind": "ConfigMap", "name": "first" },
                { "kind": "Secret", "name": "second", "valuesKey": "prod.yaml" },
                { "kind": "Secret", "name": "second", "valuesKey": "word", "targetPath": "nested.password" },
                { "kind": "ConfigMap", "name": "third", "valuesKey": "text", "targetPath": "text", "literal": true },
                { "kind": "ConfigMap", "name": "absent", "optional": true },
                { "kind": "ConfigMap", "name": "first", "valuesKey": "absent", "optional": true },
            ],
            "values": { "a": "own" },
        });
        story.release("app", "telling", "1.0.0", spec).await?;
        story.ready("app").await?;

        let folder = tempfile::tempdir()?;
        let (chart, file) = (chart.write(folder.path())?, folder.path().join("first.yaml"));
        std::fs::write(&file, first)?;
        let second = folder.path().join("second.yaml");
        std::fs::write(&second, "nested: {y: 2}\n")?;
        let path = |path: &std::path::Path| path.display().to_string();
        let helm = Helm::new(None).await?;
        let flags = ["--set", "a=own", "--set", "big=12345678", "--set", &format!("nested.password={PASSWORD}")];
        let files = ["template", "app", &path(&chart), "-f", &path(&file), "-f", &path(&second)];
        let printed = helm.run(&[&files[..], &flags[..], &["--set-literal", "text=a,b={c}\n"]].concat()).await?;
        let found = told(story, "app").await?;
        for value in found.values() {
            let quoted = serde_json::to_string(value)?;
            ensure!(printed.contains(&quoted), "Helm has it otherwise than {quoted}:\n{printed}");
        }
        ensure!(found["big"] == "12345678 int64", "{found:?}");
        Ok(())
    })
}

#[test]
fn what_values_are_read_from_is_watched() -> Result<()> {
    story("values-watched", async |story| {
        story.push(&charts::note("memo", "1.0.0")).await?;
        story.open_repository().await?;
        let spec = json!({ "valuesFrom": [
            { "kind": "ConfigMap", "name": "shared" },
            { "kind": "Secret", "name": "private", "valuesKey": "greeting", "targetPath": "greeting" },
        ]});
        story.release("memo", "memo", "1.0.0", spec).await?;
        says(story, &["no ConfigMap", "shared", "valuesFrom[0]", "optional"]).await?;
        config_map(story, "shared", json!({ "values.yaml": "greeting: from the map\n" })).await?;
        says(story, &["no Secret", "private", "valuesFrom[1]"]).await?;
        secret(story, "private", json!({ "other": "key" })).await?;
        says(story, &["has no key \"greeting\""]).await?;
        secret(story, "private", json!({ "greeting": "from the secret" })).await?;
        story.ready("memo").await?;
        greets(story, "from the secret").await?;
        secret(story, "private", json!({ "greeting": "from the changed secret" })).await?;
        greets(story, "from the changed secret").await?;
        let drop = json!({ "spec": { "valuesFrom": [{ "kind": "ConfigMap", "name": "shared" }] } });
        story.patch("memo", drop).await?;
        greets(story, "from the map").await?;

        // A deployed release whose values are gone stays as it is, and says so.
        let before = story.history("memo").await?;
        story.objects::<ConfigMap>().delete("shared", &DeleteParams::default()).await?;
        story.refused("memo", Reason::ValuesNotFound, &["no ConfigMap"]).await?;
        ensure!(story.history("memo").await? == before, "a revision was made");
        Ok(())
    })
}

async fn says(story: &Story<'_>, words: &[&str]) -> Result<()> {
    eventually::object(&story.releases(), "memo", SOON, |release| {
        status::failed(release, Reason::ValuesNotFound)?;
        let message = status::message(release);
        ensure!(words.iter().all(|word| message.contains(word)), "{message}");
        Ok(())
    })
    .await
    .map(drop)
}

async fn greets(story: &Story<'_>, expected: &str) -> Result<()> {
    story
        .eventually(&format!("the note greets {expected:?}"), async || {
            let note = story.objects::<ConfigMap>().get("memo-config").await?;
            let data = note.data.unwrap_or_default();
            ensure!(data.get("greeting").map(String::as_str) == Some(expected), "it says {data:?}");
            Ok(())
        })
        .await
}

#[test]
fn what_a_secret_holds_is_told_nowhere() -> Result<()> {
    story("values-secret", async |story| {
        let failing = "{{ fail (printf \"the password %s is too weak\" .Values.password) }}\n";
        story.push(&Chart::new("picky", "1.0.0").file("templates/check.yaml", failing)).await?;
        let schema = r#"{"properties": {"password": {"type": "string", "pattern": "^[0-9]+$"}}}"#;
        let strict = charts::note("strict", "1.0.0").file("values.schema.json", schema);
        story.push(&strict.file("templates/NOTES.txt", "It is {{ .Values.password }}.\n")).await?;
        story.open_repository().await?;
        secret(story, "login", json!({ "values.yaml": format!("password: {PASSWORD}\n") })).await?;
        let spec = json!({ "valuesFrom": [{ "kind": "Secret", "name": "login" }] });
        story.release("picky", "picky", "1.0.0", spec.clone()).await?;
        story.failed("picky", Reason::ChartRefused).await?;
        story.release("strict", "strict", "1.0.0", spec.clone()).await?;
        story.failed("strict", Reason::SchemaViolation).await?;
        let mut lenient = spec;
        lenient["install"] = json!({ "disableSchemaValidation": true });
        story.release("lenient", "strict", "1.0.0", lenient).await?;
        story.ready("lenient").await?;
        for name in ["picky", "strict", "lenient"] {
            let release = story.releases().get(name).await?;
            let text = serde_json::to_string(&release)?;
            ensure!(!text.contains(PASSWORD), "{name} tells the password: {}", status::message(&release));
        }
        let events = story.kubectl.run(&["get", "events", "--namespace", &story.namespace, "--output=json"]).await?;
        ensure!(!events.contains(PASSWORD), "an Event tells the password");
        let patch = json!({ "stringData": { "values.yaml": "password: '12345678'\n" } });
        let secrets = story.objects::<Secret>();
        secrets.patch("login", &PatchParams::default(), &Patch::Merge(patch)).await?;
        story.ready("strict").await.map(drop)
    })
}

#[test]
fn what_values_are_read_from_is_bounded_in_all() -> Result<()> {
    story("values-large", async |story| {
        story.push(&charts::note("memo", "1.0.0")).await?;
        story.open_repository().await?;
        // More than most releases have, and less than is refused.
        for at in 0..6 {
            let large = format!("filler{at}: {}\ngreeting: from {at}\n", "x".repeat(1_000_000));
            let map = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": format!("large-{at}") }, "data": { "values.yaml": large } });
            let map = serde_json::from_value(map)?;
            story.objects::<ConfigMap>().create(&PostParams::default(), &map).await?;
        }
        let from = |maps: std::ops::Range<usize>| {
            let references = maps.map(|at| json!({ "kind": "ConfigMap", "name": format!("large-{at}") }));
            json!({ "valuesFrom": references.collect::<Vec<_>>() })
        };
        story.release("memo", "memo", "1.0.0", from(0..6)).await?;
        story
            .refused("memo", Reason::ValuesInvalid, &["spec.valuesFrom", "bytes or more in all, more than 4194304"])
            .await?;
        story.patch("memo", json!({ "spec": from(0..3) })).await?;
        story.ready("memo").await?;
        greets(story, "from 2").await
    })
}
