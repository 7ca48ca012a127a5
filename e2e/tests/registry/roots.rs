//! A system without certificate authorities, as in an image on nothing.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use e2e::certificates::Authority;
use e2e::faults::{Reply, Server as Script};
use helm_operator::registry::{Access, CaBundle, Error};

use super::{Operator, plain, refusal, text};

const JSON: (&str, &str) = ("content-type", "application/json");

/// The environment is the process's, so the asking half runs as a process of its own.
#[tokio::test]
async fn a_system_without_authorities_has_the_bundled_ones_and_the_given_ones() -> Result<()> {
    const ASKING: &str = "E2E_WITHOUT_AUTHORITIES";
    if let Some(bundle) = std::env::var_os(ASKING) {
        let given = CaBundle::parse(&std::fs::read(Path::new(&bundle).join("ca.crt"))?)?;
        let host = std::fs::read_to_string(Path::new(&bundle).join("host"))?;
        let https = Access { plain_http: false, ..plain() };
        let operator = Operator::with(|settings| settings.ca = Some(given.clone()))?;
        let trust = operator.registry.trust();
        assert!(trust.system == 0 && trust.bundled > 100 && trust.given == 1, "{trust:?}");
        operator.probe(&format!("oci://{host}"), &https).await?;
        let without = Operator::new()?;
        let error = refusal(without.probe(&format!("oci://{host}"), &https).await, &[]);
        assert!(matches!(error, Error::TlsUnknownCa { .. }), "{error}");
        return Ok(());
    }
    let authority = Authority::new("test")?;
    let server = Script::start(Some(&authority.server(&["127.0.0.1"])?), |_| Reply::new(200, &[JSON], "{}")).await?;
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("ca.crt"), authority.certificate())?;
    std::fs::write(folder.path().join("host"), server.host())?;
    let output = tokio::process::Command::new(std::env::current_exe()?)
        .args(["--exact", "roots::a_system_without_authorities_has_the_bundled_ones_and_the_given_ones"])
        .env(ASKING, folder.path())
        .env("SSL_CERT_FILE", "/nonexistent/ca.crt")
        .env("SSL_CERT_DIR", "/nonexistent")
        .output()
        .await?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(!server.seen().is_empty());
    Ok(())
}

/// `SSL_CERT_FILE` is the system's way to name its authorities: those, and not the bundled ones, count then.
#[tokio::test]
async fn the_systems_own_variable_names_its_authorities() -> Result<()> {
    const ASKING: &str = "E2E_WITH_CERT_FILE";
    if let Some(host) = std::env::var_os(ASKING) {
        let operator = Operator::new()?;
        let https = Access { plain_http: false, ..plain() };
        operator.probe(&format!("oci://{}", host.to_string_lossy()), &https).await?;
        let trust = operator.registry.trust();
        assert_eq!((trust.system, trust.bundled, trust.given), (1, 0, 0));
        return Ok(());
    }
    let authority = Authority::new("test")?;
    let server = Script::start(Some(&authority.server(&["127.0.0.1"])?), |_| Reply::new(200, &[JSON], "{}")).await?;
    let folder = tempfile::tempdir()?;
    let bundle = folder.path().join("bundle.pem");
    std::fs::write(&bundle, authority.certificate())?;
    let output = tokio::process::Command::new(std::env::current_exe()?)
        .args(["--exact", "roots::the_systems_own_variable_names_its_authorities"])
        .env(ASKING, server.host())
        .env("SSL_CERT_FILE", &bundle)
        .env_remove("SSL_CERT_DIR")
        .output()
        .await?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    Ok(())
}

/// The binary in a root that holds nothing else but the libraries it is linked with: none for a static one.
#[tokio::test]
async fn the_binary_pulls_over_tls_in_an_empty_root() -> Result<()> {
    let namespaces = tokio::process::Command::new("unshare").args(["--map-root-user", "true"]).status().await;
    if !namespaces.is_ok_and(|status| status.success()) {
        eprintln!("left out: this machine gives no user namespaces, so no root of one's own");
        return Ok(());
    }
    let authority = Authority::new("test")?;
    let tls = authority.server(&["127.0.0.1"])?;
    let plain_registry = e2e::registry::Registry::start(e2e::registry::Face::anonymous()).await?;
    super::push(&plain_registry, "", ("podinfo", "1.0.0"), None).await?;
    let upstream = format!("http://{}", plain_registry.host());
    let front = Script::start(Some(&tls), move |_| Reply::Forward(upstream.clone())).await?;

    let root = tempfile::tempdir()?;
    let program = e2e::operator::binary().await?;
    std::fs::copy(&program, root.path().join("helm-operator"))?;
    for library in libraries(&program).await? {
        let to = root.path().join(library.strip_prefix("/")?);
        std::fs::create_dir_all(to.parent().context("a library lies in a folder")?)?;
        std::fs::copy(&library, to)?;
    }
    std::fs::write(root.path().join("ca.crt"), authority.certificate())?;
    let render = |arguments: &[&str]| {
        let mut command = tokio::process::Command::new("unshare");
        command.args(["--map-root-user", "--root", &text(root.path()), "/helm-operator", "template", "r"]);
        command.arg(format!("oci://{}/podinfo", front.host())).args(arguments).env_clear();
        command
    };
    let with = render(&["--version", "1.0.0", "--ca-file", "/ca.crt"]).output().await?;
    let said = String::from_utf8_lossy(&with.stderr).into_owned();
    assert!(with.status.success(), "{said}");
    assert!(String::from_utf8_lossy(&with.stdout).contains("kind: ConfigMap"));
    let without = render(&["--version", "1.0.0"]).output().await?;
    let said = String::from_utf8_lossy(&without.stderr).into_owned();
    assert!(said.contains("certificate signed by unknown authority"), "{said}");
    Ok(())
}

/// What the dynamic linker would load for `program`.
async fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    let output = tokio::process::Command::new("ldd").arg(program).output().await?;
    let listed = String::from_utf8_lossy(&output.stdout).into_owned();
    let words = listed.split_whitespace().filter(|word| word.starts_with('/'));
    Ok(words.map(PathBuf::from).collect())
}
