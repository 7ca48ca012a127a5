//! Schemas that charts refer to: from real TLS servers on loopback, and never from where a chart must not reach.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use e2e::certificates::Authority;
use e2e::faults::{Reply, Server as Script};
use helm_operator::registry::{CaBundle, SCHEMA_BYTES, SchemaError, Schemas};

use super::Operator;

const SCHEMA: &str = r#"{"type":"object"}"#;

/// A TLS server on loopback, and an operator that trusts it.
async fn serving(script: impl Fn(&e2e::faults::Seen) -> Reply + Send + Sync + 'static) -> Result<(Script, Operator)> {
    let authority = Authority::new("test")?;
    let server = Script::start(Some(&authority.server(&["127.0.0.1", "localhost"])?), script).await?;
    let bundle = CaBundle::parse(authority.certificate().as_bytes())?;
    let operator = Operator::with(|settings| settings.ca = Some(bundle.clone()))?;
    Ok((server, operator))
}

fn allowing(operator: &Operator, hosts: &[&str]) -> Schemas {
    operator.registry.schemas(hosts.iter().map(ToString::to_string).collect())
}

#[tokio::test]
async fn an_allowed_host_is_asked_once_and_without_credentials() -> Result<()> {
    let (server, operator) = serving(|_| Reply::new(200, &[("etag", "\"one\"")], SCHEMA)).await?;
    let url = format!("https://{}/app.json", server.host());
    for allowed in ["127.0.0.1".to_owned(), server.host()] {
        let schemas = allowing(&operator, &[&allowed]);
        assert_eq!(*schemas.fetch(&format!("{url}#/definitions/x")).await?, *SCHEMA.as_bytes());
    }
    assert_eq!(server.seen().len(), 1, "the second comes from the disk");
    assert_eq!(server.seen()[0].authorization(), None);
    let runtime = tokio::runtime::Handle::current();
    let schemas = allowing(&operator, &["127.0.0.1"]);
    let other = format!("https://{}/other.json", server.host());
    let fetched = tokio::task::spawn_blocking(move || schemas.fetch_blocking(&other, &runtime)).await??;
    assert_eq!(*fetched, *SCHEMA.as_bytes());
    Ok(())
}

#[tokio::test]
async fn what_is_not_public_is_refused_by_name_by_address_and_behind_a_redirect() -> Result<()> {
    let (server, operator) = serving(|seen| match seen.path.as_str() {
        "/inside" => Reply::new(302, &[("location", "https://169.254.169.254/latest/meta-data")], ""),
        "/name" => Reply::new(
            302,
            &[("location", &format!("https://localhost:{}/x", seen.host().split(':').next_back().unwrap_or_default()))],
            "",
        ),
        "/plain" => Reply::new(302, &[("location", "http://127.0.0.1/x")], ""),
        "/circle" => Reply::new(302, &[("location", "/circle")], ""),
        _ => Reply::new(200, &[], SCHEMA),
    })
    .await?;
    let (host, port) = (server.host(), server.port());
    let cases = [
        (format!("https://{host}/x"), true, "127.0.0.1 is no public address"),
        (format!("https://localhost:{port}/x"), true, "which is no public address"),
        (format!("https://[::ffff:127.0.0.1]:{port}/x"), true, "is no public address"),
        ("https://10.96.0.1/x".to_owned(), true, "10.96.0.1 is no public address"),
        (format!("http://{host}/x"), true, "only https"),
        ("file:///etc/passwd".to_owned(), true, "only https"),
        ("https://user:hunter2@example.com/x".to_owned(), true, "user name or password"),
        ("https://".to_owned(), true, "it is no URL"),
    ];
    let nobody = allowing(&operator, &["*.example.org"]);
    for (url, refused, words) in &cases {
        let error = nobody.fetch(url).await.expect_err(url);
        assert_eq!(error.is_refusal(), *refused, "{url}: {error}");
        assert!(error.to_string().contains(words) && !error.to_string().contains("hunter2"), "{url}: {error}");
    }
    assert!(server.seen().is_empty(), "nobody was asked");
    let schemas = allowing(&operator, &["127.0.0.1"]);
    for (path, refused, words) in [
        ("inside", true, "169.254.169.254 is no public address"),
        ("name", true, "which is no public address"),
        ("plain", true, "only https"),
        ("circle", false, "more than five redirects"),
    ] {
        let error = schemas.fetch(&format!("https://{host}/{path}")).await.expect_err(path);
        assert_eq!(error.is_refusal(), refused, "{path}: {error}");
        assert!(error.to_string().contains(words), "{path}: {error}");
    }
    assert_eq!(server.count("/x"), 0);
    Ok(())
}

#[tokio::test]
async fn large_and_missing_documents_are_told_and_not_asked_for_again_at_once() -> Result<()> {
    let (server, operator) = serving(|seen| match seen.path.as_str() {
        "/large" => Reply::new(200, &[], vec![b' '; SCHEMA_BYTES + 1]),
        "/limit" => Reply::new(200, &[], vec![b' '; SCHEMA_BYTES]),
        _ => Reply::new(404, &[], "no"),
    })
    .await?;
    let schemas = allowing(&operator, &["127.0.0.1"]);
    assert_eq!(schemas.fetch(&format!("https://{}/limit", server.host())).await?.len(), SCHEMA_BYTES);
    for (path, words) in [("large", "larger than 2097152 bytes"), ("missing?token=hunter2", "status 404")] {
        for _ in 0..3 {
            let error = schemas.fetch(&format!("https://{}/{path}", server.host())).await.expect_err(path);
            assert!(matches!(error, SchemaError::Unavailable { .. }), "{error}");
            assert!(error.to_string().contains(words) && !error.to_string().contains("hunter2"), "{error}");
        }
        assert_eq!(server.count(path), 1);
    }
    Ok(())
}

#[tokio::test]
async fn an_old_copy_is_asked_for_by_its_etag_and_bridges_an_outage() -> Result<()> {
    let down = Arc::new(AtomicBool::new(false));
    let script_down = Arc::clone(&down);
    let (server, operator) = serving(move |seen| {
        if script_down.load(Ordering::Relaxed) {
            return Reply::Close;
        }
        match seen.headers.get("if-none-match") {
            Some(etag) if etag == "\"one\"" => Reply::new(304, &[], ""),
            _ => Reply::new(200, &[("etag", "\"one\"")], SCHEMA),
        }
    })
    .await?;
    let url = format!("https://{}/app.json", server.host());
    let schemas = allowing(&operator, &["127.0.0.1"]);
    schemas.fetch(&url).await?;
    let age = || -> Result<()> {
        for file in std::fs::read_dir(operator.cache.path().join("schemas"))? {
            let file = std::fs::File::options().write(true).open(file?.path())?;
            let long_ago = std::time::SystemTime::now() - std::time::Duration::from_hours(2);
            file.set_times(std::fs::FileTimes::new().set_modified(long_ago))?;
        }
        Ok(())
    };
    age()?;
    assert_eq!(*schemas.fetch(&url).await?, *SCHEMA.as_bytes());
    assert_eq!(server.seen()[1].headers.get("if-none-match").map(http::HeaderValue::as_bytes), Some(&b"\"one\""[..]));
    schemas.fetch(&url).await?;
    assert_eq!(server.seen().len(), 2, "it is fresh again");
    age()?;
    down.store(true, Ordering::Relaxed);
    for _ in 0..3 {
        assert_eq!(*schemas.fetch(&url).await?, *SCHEMA.as_bytes());
    }
    assert!(server.seen().len() <= 4, "a host that is down is not asked again and again");
    Ok(())
}
