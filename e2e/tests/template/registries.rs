//! Charts that are pulled from the real registry, in its faces.

use std::fs;

use anyhow::{Result, ensure};
use base64::Engine as _;
use e2e::registry::{Face, Registry, TlsMode, User};

use crate::Bench;

const VERSIONS: [&str; 6] = ["0.1.0", "0.2.0", "1.0.0", "1.2.3", "2.0.0-rc.1", "1.1.0+b5"];

const PASSWORD: &str = "hunter2-hunter2";

impl Bench {
    /// Pushes [`VERSIONS`] of a chart to `charts/web` of a registry, with the real Helm.
    fn push(&self, registry: &Registry, flags: &[&str]) -> Result<()> {
        for version in VERSIONS {
            let archive = format!("web-{version}.tgz");
            let to = format!("{}/charts", registry.url());
            for arguments in [&["package", "web", "--version", version][..], &["push", &archive, &to]] {
                let mut helm = self.helm();
                helm.args(arguments).args(if arguments[0] == "push" { flags } else { &[] });
                let output = helm.output()?;
                ensure!(output.status.success(), "{output:?}");
            }
        }
        Ok(())
    }
}

/// The lines with the registry's host in place of `HOST`.
fn at(registry: &Registry, lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| line.replace("HOST", &registry.host())).collect()
}

fn texts(lines: &[String]) -> Vec<&str> {
    lines.iter().map(String::as_str).collect()
}

#[tokio::test]
async fn versions_are_chosen_as_in_helm() -> Result<()> {
    let bench = Bench::new().await?;
    let registry = Registry::start(Face::anonymous()).await?;
    bench.push(&registry, &["--plain-http"])?;
    fs::create_dir_all(bench.path("docker"))?;
    fs::write(bench.path("docker/config.json"), format!("{{\"auths\":{{\"{}\":{{}}}}}}", registry.host()))?;
    let lines = at(
        &registry,
        &[
            "oci://HOST/charts/web --plain-http",
            "DOCKER_CONFIG=docker oci://HOST/charts/web --plain-http",
            "shop oci://HOST/charts/web --plain-http --version 0.1.0 -f a.yaml --include-crds",
            "oci://HOST/charts/web:0.2.0 --plain-http",
            "oci://HOST/charts/web:0.2.0 --plain-http --version 0.2.0",
            "oci://HOST/charts/web --plain-http --version '^0.1'",
            "oci://HOST/charts/web --plain-http --version '~1.0'",
            "oci://HOST/charts/web --plain-http --version '>=0.1.0 <1.0.0'",
            "oci://HOST/charts/web --plain-http --version '>0.0.0-0'",
            "oci://HOST/charts/web --plain-http --devel",
            "oci://HOST/charts/web --plain-http --devel --version 1.x",
            "oci://HOST/charts/web --plain-http --version 1.x",
            "oci://HOST/charts/web:1.x --plain-http",
            "oci://HOST/charts/web --plain-http --version 2.0.0-rc.1",
            "oci://HOST/charts/web --plain-http --version 1.1.0+b5",
            "oci://HOST/charts/web --plain-http --version ' 1.0.0 '",
            "oci://HOST/charts/web --plain-http --version '>=1.0.0' -s templates/config.yaml",
            // What is not there.
            "oci://HOST/charts/web --plain-http --version 9.9.9",
            "oci://HOST/charts/web:9.9.9 --plain-http",
            "oci://HOST/charts/web --plain-http --version '^9'",
            "oci://HOST/charts/web --plain-http --version 1",
            "oci://HOST/charts/web --plain-http --version v0.1.0",
            "oci://HOST/charts/web --plain-http --version latest",
            "oci://HOST/charts/web:latest --plain-http",
            "oci://HOST/charts/web:0.1.0 --plain-http --version 0.2.0",
            "oci://HOST/charts/web:0.1.0 --plain-http --version '^0.1'",
            "oci://HOST/charts/web:1.1.0+b5 --plain-http",
            "oci://HOST/charts/none --plain-http --version 1.0.0",
            "oci://HOST/Charts/web --plain-http",
            "oci://HOST --plain-http",
            "oci://HOST/charts/web --plain-http --version 0.1.0 -f nope.yaml",
            "Upper oci://HOST/charts/web --plain-http --version 0.1.0",
            // HTTPS where there is none, and nobody.
            "oci://HOST/charts/web",
            "oci://HOST/charts/web --version 0.1.0",
            "oci://127.0.0.1:1/charts/web",
            "oci://127.0.0.1:1/charts/web --version 0.1.0",
        ],
    );
    bench.same(&texts(&lines))?;
    // The registry's own explanation follows in Helm's text.
    bench.same_start(&texts(&at(&registry, &["oci://HOST/charts/none --plain-http"])))
}

#[tokio::test]
async fn a_digest_pins_a_chart() -> Result<()> {
    let bench = Bench::new().await?;
    let registry = Registry::start(Face::anonymous()).await?;
    bench.push(&registry, &["--plain-http"])?;
    let said = bench.we_say(&format!("{}/charts/web:0.1.0 --plain-http", registry.url()))?;
    let digest = said.stderr.lines().find_map(|line| line.strip_prefix("Digest: ")).unwrap_or_default().to_owned();
    let other = format!("sha256:{}", "0".repeat(64));
    let lines = at(
        &registry,
        &["oci://HOST/charts/web@DIGEST", "oci://HOST/charts/web@OTHER", "oci://HOST/charts/web:0.2.0@DIGEST"],
    );
    let lines: Vec<String> =
        lines.iter().map(|line| line.replace("DIGEST", &digest).replace("OTHER", &other) + " --plain-http").collect();
    bench.same(&texts(&lines))
}

#[tokio::test]
async fn a_registry_asks_who_comes_over_tls_of_its_own() -> Result<()> {
    let bench = Bench::new().await?;
    let face = Face::basic(vec![User::new("joe", PASSWORD)]).tls(TlsMode::OwnCa);
    let registry = Registry::start(face).await?;
    fs::write(bench.path("ca.crt"), registry.ca_pem().unwrap_or_default())?;
    bench.push(&registry, &["--ca-file", "ca.crt", "--username", "joe", "--password", PASSWORD])?;
    let auth = base64::engine::general_purpose::STANDARD.encode(format!("joe:{PASSWORD}"));
    let logins = format!("{{\"auths\":{{\"{}\":{{\"auth\":\"{auth}\"}}}}}}", registry.host());
    fs::create_dir_all(bench.path("docker"))?;
    fs::write(bench.path("docker/config.json"), &logins)?;
    let user = format!("--username joe --password {PASSWORD}");
    let lines = [
        "oci://HOST/charts/web --ca-file ca.crt USER",
        "oci://HOST/charts/web --ca-file ca.crt --version '^1' USER",
        "oci://HOST/charts/web:0.1.0 --insecure-skip-tls-verify USER",
        "oci://HOST/charts/web:0.1.0 --ca-file ca.crt --plain-http USER",
        "HELM_REGISTRY_CONFIG=docker/config.json oci://HOST/charts/web:0.1.0 --ca-file ca.crt",
        "oci://HOST/charts/web:0.1.0 --ca-file ca.crt --registry-config docker/config.json",
        "DOCKER_CONFIG=docker oci://HOST/charts/web:0.1.0 --ca-file ca.crt",
        "oci://HOST/charts/web:0.1.0 USER",
        "oci://HOST/charts/web USER",
        "oci://HOST/charts/web:0.1.0 --ca-file ca.crt",
        "oci://HOST/charts/web --ca-file ca.crt",
        "oci://HOST/charts/web --ca-file ca.crt --username joe",
        "oci://HOST/charts/web:0.1.0 --ca-file a.yaml USER",
    ];
    let lines: Vec<String> = at(&registry, &lines).iter().map(|line| line.replace("USER", &user)).collect();
    bench.same(&texts(&lines))?;
    let wrong = [
        "oci://HOST/charts/web:0.1.0 --ca-file ca.crt --username joe --password wrong",
        "oci://HOST/charts/web --ca-file ca.crt --username mallory --password x",
        "oci://HOST/charts/web --plain-http USER",
    ];
    let lines: Vec<String> = at(&registry, &wrong).iter().map(|line| line.replace("USER", &user)).collect();
    bench.same_start(&texts(&lines))?;
    passwords_from_standard_input(&bench, &registry)
}

/// A flag that `helm template` does not have: compared with the password on the command line.
fn passwords_from_standard_input(bench: &Bench, registry: &Registry) -> Result<()> {
    fs::write(bench.path("right"), format!("{PASSWORD}\n"))?;
    fs::write(bench.path("wrong"), "wrong\n")?;
    let chart = format!("{}/charts/web:0.1.0 --ca-file ca.crt --username joe", registry.url());
    let ours = bench.we_say(&format!("{chart} --password-stdin <right"))?;
    assert_eq!(ours, bench.we_say(&format!("{chart} --password {PASSWORD}"))?);
    let refused = bench.we_say(&format!("{chart} --password-stdin <wrong"))?;
    ensure!(
        refused.code == Some(1) && refused.stderr.contains("401") && !refused.stderr.contains("wrong"),
        "{refused:?}"
    );
    let twice = bench.we_say(&format!("{chart} --password-stdin --password x <right"))?;
    ensure!(twice.code == Some(1) && twice.stderr.contains("cannot be used with"), "{twice:?}");
    let shared = bench.we_say(&format!("{chart} --password-stdin -f - <right"))?;
    ensure!(shared.code == Some(1) && shared.stderr.contains("both read standard input"), "{shared:?}");
    Ok(())
}

// The token server is a part of this process: it must go on while a program is waited for.
#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_fetched_for_users_and_strangers() -> Result<()> {
    let bench = Bench::new().await?;
    let registry = Registry::start(Face::token(vec![User::new("joe", PASSWORD)])).await?;
    bench.push(&registry, &["--plain-http", "--username", "joe", "--password", PASSWORD])?;
    let user = format!("--plain-http --username joe --password {PASSWORD}");
    let lines = ["oci://HOST/charts/web USER", "oci://HOST/charts/web:0.2.0 USER"];
    let lines: Vec<String> = at(&registry, &lines).iter().map(|line| line.replace("USER", &user)).collect();
    bench.same(&texts(&lines))?;
    let refused =
        ["oci://HOST/charts/web --plain-http", "oci://HOST/charts/web --plain-http --username joe --password no"];
    for line in at(&registry, &refused) {
        let (ours, helms) = (bench.we_say(&line)?, bench.helm_says(&line)?);
        ensure!(ours.code == Some(1) && helms.code == Some(1), "{line}\n  {helms:?}\n  {ours:?}");
        ensure!(ours.stdout.is_empty() && ours.stderr.starts_with("Error: "), "{ours:?}");
    }
    Ok(())
}

#[tokio::test]
async fn bad_certificates_are_told_apart() -> Result<()> {
    let bench = Bench::new().await?;
    for mode in [TlsMode::Expired, TlsMode::WrongName] {
        let registry = Registry::start(Face::anonymous().tls(mode)).await?;
        fs::write(bench.path("ca.crt"), registry.ca_pem().unwrap_or_default())?;
        bench.push(&registry, &["--insecure-skip-tls-verify"])?;
        bench.same(&texts(&at(&registry, &["oci://HOST/charts/web:0.1.0 --insecure-skip-tls-verify"])))?;
        let line = at(&registry, &["oci://HOST/charts/web:0.1.0 --ca-file ca.crt"]).remove(0);
        let (ours, helms) = (bench.we_say(&line)?, bench.helm_says(&line)?);
        let (start, _) = ours.stderr.split_once("x509: ").unwrap_or_default();
        ensure!(ours.code == helms.code && !start.is_empty(), "{mode:?}\n  {helms:?}\n  {ours:?}");
        ensure!(helms.stderr.starts_with(start), "{mode:?}\n  {helms:?}\n  {ours:?}");
    }
    Ok(())
}
