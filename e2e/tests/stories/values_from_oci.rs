//! Values from OCI artifacts: read as `oras push` makes them, used when their tag moves, and told clearly when they cannot be had.

use anyhow::{Context as _, Result, ensure};
use e2e::artifact::{File, push_files};
use e2e::registry::{Face, Registry, User};
use e2e::story::{SOON, Story, registry, repository, story};
use e2e::{charts, eventually, status};
use helm_operator::api::Reason;
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::{Value, json};

const PASSWORD: &str = "s3cret-of-the-artifact";
const YAML: &str = "application/yaml";

fn yaml<'a>(name: &'a str, content: &'a str) -> File<'a> {
    (name, YAML, content.as_bytes())
}

/// Pushes files to the stories' registry, below the charts of the story. Returns the digest.
async fn push(story: &Story<'_>, name: &str, tag: &str, files: &[File<'_>]) -> Result<String> {
    let place = format!("{}/{name}", story.namespace);
    push_files(&registry().await?.host(), (&place, tag), files, None).await
}

#[expect(clippy::needless_pass_by_value, reason = "it is called with what was just written down")]
fn artifact(url: String) -> Value {
    json!({ "kind": "OCIArtifact", "url": url })
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
fn an_artifact_is_read_and_a_tag_that_moves_upgrades() -> Result<()> {
    story("values-oci", async |story| {
        story.push(&charts::note("memo", "1.0.0")).await?;
        story.open_repository().await?;
        let first =
            push(story, "shared", "prod", &[yaml("values.yaml", "greeting: one\n"), yaml("b.yaml", "two")]).await?;
        let url = format!("{}/shared", story.charts_url().await?);
        let map = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "base" },
            "data": { "values.yaml": "greeting: base" } });
        story.apply(&map.to_string()).await?;
        let spec = json!({
            "interval": "2s",
            "valuesFrom": [{ "kind": "ConfigMap", "name": "base" }, artifact(format!("{url}:prod"))],
        });
        story.release("memo", "memo", "1.0.0", spec).await?;
        story.ready("memo").await?;
        greets(story, "one").await?;
        let told = story.releases().get("memo").await?.status.context("a status")?.values_artifacts;
        ensure!(told.len() == 1 && told[0].url == format!("{url}:prod") && told[0].digest == first, "{told:?}");

        // The type that oras gives to a file for which none is named.
        let plain: File<'_> = ("only.yaml", "application/vnd.oci.image.layer.v1.tar", b"greeting: moved\n");
        let second = push(story, "shared", "prod", &[plain]).await?;
        greets(story, "moved").await?;
        story
            .eventually("the status tells the new digest", async || {
                let told = story.releases().get("memo").await?.status.context("a status")?.values_artifacts;
                ensure!(told.iter().any(|artifact| artifact.digest == second), "{told:?}");
                Ok(())
            })
            .await?;

        // By digest nothing moves; a file by its title, set at a path.
        let pinned = json!([{ "kind": "OCIArtifact", "url": format!("{url}@{first}"), "valuesKey": "b.yaml",
            "targetPath": "greeting" }]);
        story.patch("memo", json!({ "spec": { "valuesFrom": pinned } })).await?;
        greets(story, "two").await?;
        let history = story.history("memo").await?;
        ensure!(history == "1 superseded, 2 superseded, 3 deployed", "{history}");
        Ok(())
    })
}

#[test]
fn what_cannot_be_read_is_told_with_what_is_there() -> Result<()> {
    story("values-oci-wrong", async |story| {
        story.push(&charts::note("memo", "1.0.0")).await?;
        story.open_repository().await?;
        let large = vec![b'#'; (4 << 20) + 1];
        let packed = "application/vnd.oci.image.layer.v1.tar+gzip";
        for (name, files) in [
            ("two", &[yaml("a.yaml", "a: 1"), yaml("b.yaml", "b: 1")][..]),
            ("words", &[yaml("values.yaml", "just words")]),
            ("bytes", &[("values.yaml", YAML, &[0xff, 0xfe])]),
            ("folder", &[("conf", packed, b"packed")]),
            ("large", &[("values.yaml", YAML, &large)]),
        ] {
            push(story, name, "v1", files).await?;
        }
        let base = story.charts_url().await?;
        let zeros = format!("sha256:{}", "0".repeat(64));
        let cases = [
            ("tag", "two:v2".to_owned(), Reason::TagNotFound, &["no tag \"v2\""][..]),
            ("none", "nothing:v1".to_owned(), Reason::RepositoryNotFound, &["no such repository"]),
            (
                "title",
                "two:v1".to_owned(),
                Reason::ValuesNotFound,
                &["no file \"values.yaml\"", "\"a.yaml\", \"b.yaml\""],
            ),
            ("words", "words:v1".to_owned(), Reason::ValuesInvalid, &["is no YAML of a map", "words:v1"]),
            ("bytes", "bytes:v1".to_owned(), Reason::ValuesInvalid, &["no text in UTF-8"]),
            ("folder", "folder:v1".to_owned(), Reason::ValuesInvalid, &["tar+gzip", "oras push"]),
            ("large", "large:v1".to_owned(), Reason::ValuesInvalid, &["the file exceeds the limit of 4194304 bytes"]),
            ("moved", format!("two:v1@{zeros}"), Reason::DigestMismatch, &[&zeros, "pinned"]),
            ("gone", format!("two@{zeros}"), Reason::TagNotFound, &["nothing with this digest"]),
        ];
        for (name, url, ..) in &cases {
            let spec = json!({ "valuesFrom": [artifact(format!("{base}/{url}"))] });
            story.release(name, "memo", "1.0.0", spec).await?;
        }
        for (name, _, reason, words) in &cases {
            story.refused(name, *reason, &[&["spec.valuesFrom[0]"], *words].concat()).await?;
        }
        // What is optional may be missing: the tag, the repository, the file.
        let optional = |url: &str, file: Option<&str>| json!({ "kind": "OCIArtifact", "url": format!("{base}/{url}"), "valuesKey": file, "optional": true });
        let missing = [optional("two:v2", None), optional("nothing:v1", None), optional("two:v1", Some("c.yaml"))];
        story.patch("tag", json!({ "spec": { "valuesFrom": missing } })).await?;
        story.ready("tag").await.map(drop)
    })
}

/// A `HelmRepository` above everything in `registry`, with the password of the Secret `login`.
#[expect(clippy::needless_pass_by_value, reason = "it is called with what was just written down")]
fn with_login(name: &str, registry: &Registry, access: Value) -> String {
    let spec = json!({
        "url": registry.url(), "insecure": true, "auth": { "basic": { "secretRef": { "name": "login" } } },
        "accessFrom": access,
    });
    json!({ "apiVersion": "helm-operator.ketches.cn/v1alpha1", "kind": "HelmRepository", "metadata": { "name": name },
        "spec": spec })
    .to_string()
}

fn login(password: &str) -> String {
    json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "login" },
        "stringData": { "username": "reader", "password": password } })
    .to_string()
}

#[test]
fn the_credentials_of_the_repository_above_it_are_used() -> Result<()> {
    story("values-oci-login", async |story| {
        story.stage.operator().await.keep_secret(PASSWORD);
        let private = Registry::start(Face::basic(vec![User::new("reader", PASSWORD)])).await?;
        let files = [yaml("values.yaml", "greeting: private\n")];
        push_files(&private.host(), ("team/values", "v1"), &files, Some(("reader", PASSWORD))).await?;
        story.push(&charts::note("memo", "1.0.0")).await?;
        story.open_repository().await?;
        let from = artifact(format!("{}/team/values:v1", private.url()));
        story.release("memo", "memo", "1.0.0", json!({ "valuesFrom": [from] })).await?;
        story.refused("memo", Reason::PlainHttp, &["no HelmRepository", "covers", "insecure: true"]).await?;

        // One of another namespace that is not open to this one gives nothing.
        let other = format!("{}-platform", story.namespace);
        story.kubectl.run(&["create", "namespace", &other]).await?;
        story.kubectl.apply(&other, &login(PASSWORD)).await?;
        let closed = json!({ "namespaceSelectors": [{ "matchLabels": { "team": "nobody" } }] });
        story.kubectl.apply(&other, &with_login("values", &private, closed)).await?;
        let words = [&format!("HelmRepository {other}/values covers it"), "accessFrom does not select"];
        eventually::object(&story.releases(), "memo", SOON, |release| {
            let message = status::message(release);
            ensure!(words.iter().all(|word| message.contains(word)), "{message}");
            Ok(())
        })
        .await?;

        story.apply(&login("mistyped")).await?;
        story.apply(&with_login("values", &private, Value::Null)).await?;
        let words = ["401", "Secret login", "values", "check that the artifact exists"];
        story.refused("memo", Reason::AuthenticationFailed, &words).await?;
        // A corrected Secret is used at once.
        story.apply(&login(PASSWORD)).await?;
        story.ready("memo").await?;
        greets(story, "private").await?;
        story.kubectl.run(&["delete", "namespace", &other, "--wait=false"]).await.map(drop)
    })
}

#[test]
fn what_is_deployed_stays_while_the_registry_is_away() -> Result<()> {
    story("values-oci-away", async |story| {
        let mut own = Registry::start(Face::anonymous()).await?;
        push_files(&own.host(), ("values", "v1"), &[yaml("values.yaml", "greeting: kept\n")], None).await?;
        story.push(&charts::note("memo", "1.0.0")).await?;
        story.open_repository().await?;
        story.apply(&repository("values", &own.url())).await?;
        let from = artifact(format!("{}/values:v1", own.url()));
        story.release("memo", "memo", "1.0.0", json!({ "valuesFrom": [from] })).await?;
        story.ready("memo").await?;
        own.stop().await?;
        let asked = json!({ "metadata": { "annotations": { "helm-operator.ketches.cn/requestedAt": "away" } } });
        story.patch("memo", asked).await?;
        eventually::object(&story.releases(), "memo", SOON, |release| {
            status::ready(release)?;
            status::has(release, "SourceReady", "False", Reason::ConnectionFailed)?;
            let told = serde_json::to_string(&release.status)?;
            ensure!(told.contains("spec.valuesFrom[0]: failed to"), "{told}");
            Ok(())
        })
        .await?;
        ensure!(story.history("memo").await? == "1 deployed", "a revision was made");
        // A new release waits for it, and goes on when it is back.
        let from = artifact(format!("{}/values:v1", own.url()));
        story.release("late", "memo", "1.0.0", json!({ "valuesFrom": [from] })).await?;
        let down = |release: &_| {
            let message = status::message(release);
            ensure!(message.contains("spec.valuesFrom[0]: failed to"), "{message}");
            Ok(())
        };
        eventually::object(&story.releases(), "late", SOON, down).await?;
        own.restart().await?;
        story.ready("late").await?;
        eventually::object(&story.releases(), "memo", SOON, |release| {
            status::ready(release)?;
            status::has(release, "SourceReady", "True", Reason::SyncCompleted)
        })
        .await?;
        greets(story, "kept").await
    })
}
