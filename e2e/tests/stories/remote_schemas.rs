//! Charts whose schema points elsewhere, as app-template's and Backstage's do: schemas behind HTTPS, found, missing, and
//! not to be asked for.

use std::sync::Mutex;

use anyhow::{Context as _, Result, ensure};
use e2e::certificates::Authority;
use e2e::charts::{self, Chart};
use e2e::faults::{Reply, Seen, Server};
use e2e::operator::Setup;
use e2e::story::{Story, alone};
use helm_operator::api::Reason;
use serde_json::json;

/// A schema of two files, as most are, and nothing else.
fn answer(seen: &Seen) -> Reply {
    match seen.path.as_str() {
        "/schemas/app.json" => Reply::new(
            200,
            &[],
            r#"{"type": "object", "properties": {"greeting": {"$ref": "common.json#/definitions/word"}}}"#,
        ),
        "/schemas/common.json" => {
            Reply::new(200, &[], r#"{"definitions": {"word": {"type": "string", "maxLength": 10}}}"#)
        }
        _ => Reply::new(404, &[], "no such schema"),
    }
}

/// The least chart, whose schema is at `path` of that host.
fn chart(version: &str, host: &str, path: &str) -> Chart {
    charts::note("note", version).file("values.schema.json", format!(r#"{{"$ref": "https://{host}{path}"}}"#))
}

/// A story with an operator of its own that trusts the host of the schemas.
fn with_schemas(
    name: &str,
    arguments: &[&str],
    play: impl AsyncFnOnce(&Story<'_>, &Server) -> Result<()>,
) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = Mutex::new(None);
    let prepare = async |_: &_, setup: Setup| {
        let authority = Authority::new("schemas")?;
        let started = Server::start(Some(&authority.server(&["127.0.0.1"])?), answer).await?;
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, authority.certificate())?;
        *server.lock().expect("nobody panicked") = Some(started);
        let setup = setup.argument(format!("--ca-file={}", file.display())).argument("--remote-schema-hosts=127.0.0.1");
        Ok(arguments.iter().fold(setup, |setup, argument| setup.argument(*argument)))
    };
    alone(name, prepare, async |story| {
        let server = server.lock().expect("nobody panicked").take().context("it was started")?;
        story.open_repository().await?;
        play(story, &server).await
    })
}

#[test]
fn a_schema_elsewhere_counts_and_one_that_is_missing_is_left_out_with_a_warning() -> Result<()> {
    with_schemas("schemas-fetched", &[], async |story, server| {
        let host = server.host();
        story.push(&chart("1.0.0", &host, "/schemas/app.json")).await?;
        story.push(&chart("1.1.0", &host, "/schemas/gone.json")).await?;
        story.release("good", "note", "1.0.0", json!({})).await?;
        // Alone at first: two that ask in the same moment may both have to fetch it.
        story.ready("good").await?;
        story.release("bad", "note", "1.0.0", json!({ "values": { "greeting": "far too long a word" } })).await?;
        story.release("unchecked", "note", "1.1.0", json!({ "values": { "greeting": "far too long a word" } })).await?;
        story.refused("bad", Reason::SchemaViolation, &["greeting"]).await?;
        story.ready("unchecked").await?;
        story.event("unchecked", Reason::SchemaUnavailable, "/schemas/gone.json").await?;
        let asked = server.seen().iter().filter(|seen| seen.path == "/schemas/app.json").count();
        ensure!(asked == 1, "two releases of one chart asked {asked} times for its schema");
        story.patch("bad", json!({ "spec": { "install": { "disableSchemaValidation": true } } })).await?;
        story.ready("bad").await.map(drop)
    })
}

#[test]
fn a_schema_that_is_required_or_never_asked_for() -> Result<()> {
    with_schemas("schemas-required", &["--remote-schemas=require"], async |story, server| {
        story.push(&chart("1.1.0", &server.host(), "/schemas/gone.json")).await?;
        story.release("note", "note", "1.1.0", json!({})).await?;
        story.refused("note", Reason::SchemaViolation, &["/schemas/gone.json", "404"]).await.map(drop)
    })?;
    with_schemas("schemas-never", &["--remote-schemas=never"], async |story, server| {
        story.push(&chart("1.0.0", &server.host(), "/schemas/app.json")).await?;
        story.release("note", "note", "1.0.0", json!({ "values": { "greeting": "far too long a word" } })).await?;
        story.ready("note").await?;
        story.event("note", Reason::SchemaUnavailable, "--remote-schemas=never").await?;
        ensure!(server.seen().is_empty(), "it was asked for all the same");
        Ok(())
    })
}
