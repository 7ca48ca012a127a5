//! The five examples of the OCI guide, applied as they are written there, against stand-ins of the registries they name.
//!
//! The operator reaches `ghcr.io` and the others through an HTTPS proxy that leads to loopback; their certificates come
//! from our own authority, which it trusts by `SSL_CERT_FILE`, as behind a company's proxy.

use std::collections::BTreeMap;

use anyhow::Result;
use e2e::certificates::Authority;
use e2e::charts::{self, Chart};
use e2e::faults::{Reply, Server};
use e2e::helm::{Helm, Login};
use e2e::process::Scratch;
use e2e::proxy::Proxy;
use e2e::registry::{Face, Registry, User};
use e2e::story::{SOON, Story, alone, block_on};
use e2e::{eventually, status};
use helm_operator::api::{HelmRelease, HelmRepository, Reason};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::networking::v1::Ingress;
use kube::Api;
use serde_json::json;

const ACR_PASSWORD: &str = "acr+/=password";
const ECR_PASSWORD: &str = "ZXlKd1lYbHNiMkZrSWpvaWMyVmpjbVYw";
/// What `key.json` of a Google service account looks like: several lines, and the password is all of them.
const GAR_KEY: &str = "{\n  \"type\": \"service_account\",\n  \"private_key\": \"-----BEGIN\\nkey\\n\"\n}\n";
const HARBOR_TOKEN: &str = "your-robot-token";

/// Host, path of the charts, user, and the chart that lies there.
type Place<'a> = (&'a str, &'a str, Option<(&'a str, &'a str)>, Chart);

fn places() -> Vec<Place<'static>> {
    vec![
        ("ghcr.io", "myorg/charts", None, charts::web("nginx", "1.0.0")),
        ("myregistry.azurecr.io", "helm", Some(("myregistry", ACR_PASSWORD)), charts::web("myapp", "2.1.0")),
        (
            "123456789012.dkr.ecr.us-east-1.amazonaws.com",
            "helm",
            Some(("AWS", ECR_PASSWORD)),
            charts::note("billing", "0.3.0"),
        ),
        (
            "us-central1-docker.pkg.dev",
            "my-project/helm-charts",
            Some(("_json_key", GAR_KEY)),
            charts::note("reports", "0.4.0"),
        ),
        (
            "harbor.example.com",
            "helm-charts",
            Some(("robot$helm-operator", HARBOR_TOKEN)),
            charts::web("webapp", "3.2.1"),
        ),
    ]
}

/// The registries of the guides, with the charts their users would have pushed.
struct World {
    proxy: Proxy,
    authority: Authority,
    _registries: Vec<(Registry, Server)>,
}

impl World {
    async fn build() -> Result<Self> {
        let authority = Authority::new("the company")?;
        let (helm, scratch) = (Helm::new(None).await?, Scratch::new("guides")?);
        let (mut hosts, mut registries) = (BTreeMap::new(), Vec::new());
        for (host, path, login, chart) in places() {
            let users = login.map(|(name, password)| vec![User::new(name, password)]);
            let registry = Registry::start(users.map_or_else(Face::anonymous, Face::basic)).await?;
            let archive = helm.package(&chart.write(scratch.path())?, scratch.path(), None).await?;
            let basic = login.map(|(name, password)| (name.to_owned(), password.to_owned()));
            helm.push(&archive, &format!("{}/{path}", registry.url()), &Login { basic, ca_file: None }).await?;
            let upstream = format!("http://{}", registry.host());
            let identity = authority.server(&[host])?;
            let front = Server::start(Some(&identity), move |_| Reply::Forward(upstream.clone())).await?;
            hosts.insert(host.to_owned(), front.host().parse()?);
            registries.push((registry, front));
        }
        Ok(Self { proxy: Proxy::start(hosts).await?, authority, _registries: registries })
    }
}

#[test]
fn the_five_guides_work_as_they_are_written() -> Result<()> {
    let world = block_on(World::build())?;
    let scratch = Scratch::new("trust")?;
    let trust = scratch.join("ca.crt");
    std::fs::write(&trust, world.authority.certificate())?;
    let proxy = world.proxy.url();
    alone(
        "guides",
        async |_, setup| {
            let setup = setup.environment("HTTPS_PROXY", proxy).environment("NO_PROXY", "127.0.0.1,localhost");
            Ok(setup.environment("SSL_CERT_FILE", trust.display().to_string()))
        },
        async |story| {
            for secret in [ACR_PASSWORD, ECR_PASSWORD, HARBOR_TOKEN, "service_account", "-----BEGIN"] {
                story.stage.operator().await.keep_secret(secret);
            }
            for namespace in ["production", "apps"] {
                story.kubectl.run(&["create", "namespace", namespace]).await?;
            }
            public_ghcr(story).await?;
            private_acr(story).await?;
            ecr(story).await?;
            gar(story).await?;
            harbor(story).await?;
            beyond_the_proxy(story).await
        },
    )
}

async fn public_ghcr(story: &Story<'_>) -> Result<()> {
    apply(
        story,
        &[include_str!("guides/ghcr-public-helmrepository.yaml"), include_str!("guides/nginx-oci-helmrelease.yaml")],
    )
    .await?;
    repository(story, "ghcr-public").await?;
    release(story, "default", "nginx-oci").await?;
    replicas(story, ("default", "nginx-oci"), 2).await
}

async fn private_acr(story: &Story<'_>) -> Result<()> {
    login(story, "acr-auth", "myregistry", ACR_PASSWORD).await?;
    apply(
        story,
        &[include_str!("guides/acr-private-helmrepository.yaml"), include_str!("guides/myapp-acr-helmrelease.yaml")],
    )
    .await?;
    repository(story, "acr-private").await?;
    // The repository lies in another namespace than the release: its credentials are found by URL.
    release(story, "production", "myapp-acr").await?;
    replicas(story, ("production", "myapp"), 3).await?;
    Api::<Ingress>::namespaced(story.client.clone(), "production").get("myapp").await?;
    Ok(())
}

async fn ecr(story: &Story<'_>) -> Result<()> {
    login(story, "ecr-auth", "AWS", ECR_PASSWORD).await?;
    apply(story, &[include_str!("guides/ecr-helm-helmrepository.yaml"), &of_repository("billing", "ecr-helm")]).await?;
    repository(story, "ecr-helm").await?;
    release(story, "default", "billing").await
}

async fn gar(story: &Story<'_>) -> Result<()> {
    login(story, "gar-auth", "_json_key", GAR_KEY).await?;
    let as_written = include_str!("guides/gar-helm-helmrepository.yaml");
    apply(story, &[as_written]).await?;
    repository(story, "gar-helm").await?;
    // PROJECT_ID is for the reader to replace; upper case is no repository name.
    let project = as_written.replace("PROJECT_ID", "my-project").replace("name: gar-helm", "name: gar-project");
    apply(story, &[&project, &of_repository("reports", "gar-project")]).await?;
    release(story, "default", "reports").await
}

async fn harbor(story: &Story<'_>) -> Result<()> {
    apply(
        story,
        &[
            include_str!("guides/harbor-auth-secret.yaml"),
            include_str!("guides/harbor-helm-helmrepository.yaml"),
            include_str!("guides/webapp-harbor-helmrelease.yaml"),
        ],
    )
    .await?;
    repository(story, "harbor-helm").await?;
    release(story, "apps", "webapp-harbor").await?;
    replicas(story, ("apps", "webapp"), 1).await
}

/// A host that the company's proxy does not lead to.
async fn beyond_the_proxy(story: &Story<'_>) -> Result<()> {
    let unknown = json!({
        "apiVersion": "helm-operator.ketches.cn/v1alpha1",
        "kind": "HelmRepository",
        "metadata": { "name": "unknown" },
        "spec": { "url": "oci://charts.elsewhere.example" },
    });
    apply(story, &[&unknown.to_string()]).await?;
    let repositories: Api<HelmRepository> = Api::namespaced(story.client.clone(), "default");
    let refused = |repository: &_| status::failed(repository, Reason::ProxyFailed);
    eventually::object(&repositories, "unknown", SOON, refused).await.map(drop)
}

async fn apply(story: &Story<'_>, manifests: &[&str]) -> Result<()> {
    story.kubectl.apply_as_written(&manifests.join("\n---\n")).await.map(drop)
}

/// `kubectl create secret generic NAME --from-literal=username=… --from-literal=password=…`, without a shell's quoting.
async fn login(story: &Story<'_>, name: &str, username: &str, password: &str) -> Result<()> {
    let secret = json!({
        "metadata": { "name": name },
        "type": "Opaque",
        "stringData": { "username": username, "password": password },
    });
    let secrets: Api<Secret> = Api::namespaced(story.client.clone(), "default");
    secrets.create(&kube::api::PostParams::default(), &serde_json::from_value(secret)?).await?;
    Ok(())
}

fn of_repository(chart: &str, repository: &str) -> String {
    json!({
        "apiVersion": "helm-operator.ketches.cn/v1alpha1",
        "kind": "HelmRelease",
        "metadata": { "name": chart, "namespace": "default" },
        "spec": { "chart": { "name": chart, "repository": { "name": repository } } },
    })
    .to_string()
}

async fn repository(story: &Story<'_>, name: &str) -> Result<()> {
    let repositories: Api<HelmRepository> = Api::namespaced(story.client.clone(), "default");
    eventually::object(&repositories, name, SOON, status::ready).await.map(drop)
}

async fn release(story: &Story<'_>, namespace: &str, name: &str) -> Result<()> {
    let releases: Api<HelmRelease> = Api::namespaced(story.client.clone(), namespace);
    eventually::object(&releases, name, SOON, status::ready).await.map(drop)
}

async fn replicas(story: &Story<'_>, (namespace, name): (&str, &str), expected: i32) -> Result<()> {
    let deployment = Api::<Deployment>::namespaced(story.client.clone(), namespace).get(name).await?;
    let ready = deployment.status.and_then(|status| status.ready_replicas);
    anyhow::ensure!(ready == Some(expected), "{namespace}/{name}: {ready:?} replicas are ready, not {expected}");
    Ok(())
}
