//! Pushes what `helm push` would refuse: any bytes, under any media types, as an OCI artifact.

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// The media types of a chart pushed by Helm.
pub const CHART: (&str, &str) =
    ("application/vnd.cncf.helm.config.v1+json", "application/vnd.cncf.helm.chart.content.v1.tar+gzip");

/// Pushes one layer as `repository:tag` of a plain-HTTP registry, with `media` as the types of config and layer.
///
/// # Errors
/// When the registry refuses.
pub async fn push(host: &str, repository: &str, tag: &str, media: (&str, &str), layer: &[u8]) -> Result<()> {
    let client = client(None)?;
    let base = format!("http://{host}/v2/{repository}");
    let content = upload(&client, &base, layer).await?;
    let layers = json!([{ "mediaType": media.1, "digest": content, "size": layer.len() }]);
    tag_layers(&client, &base, tag, media.0, layers).await.map(drop)
}

/// A file as `oras push` takes it: its name, its media type, its content.
pub type File<'a> = (&'a str, &'a str, &'a [u8]);

/// Pushes files as `oras push` does, each a layer with its name as title, to a plain-HTTP registry that may ask for name and
/// password. Returns the digest of the manifest.
///
/// # Errors
/// When the registry refuses.
pub async fn push_files(
    host: &str,
    (repository, tag): (&str, &str),
    files: &[File<'_>],
    login: Option<(&str, &str)>,
) -> Result<String> {
    let client = client(login)?;
    let base = format!("http://{host}/v2/{repository}");
    let mut layers = Vec::new();
    for (name, media, content) in files {
        let digest = upload(&client, &base, content).await?;
        let title = json!({ "org.opencontainers.image.title": name });
        layers.push(json!({ "mediaType": media, "digest": digest, "size": content.len(), "annotations": title }));
    }
    tag_layers(&client, &base, tag, "application/vnd.oci.empty.v1+json", json!(layers)).await
}

fn client(login: Option<(&str, &str)>) -> Result<reqwest::Client> {
    crate::install_tls_provider();
    let mut headers = reqwest::header::HeaderMap::new();
    if let Some((user, password)) = login {
        let value = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}")));
        headers.insert(reqwest::header::AUTHORIZATION, value.parse()?);
    }
    Ok(reqwest::Client::builder().no_proxy().default_headers(headers).build()?)
}

async fn tag_layers(client: &reqwest::Client, base: &str, tag: &str, config: &str, layers: Value) -> Result<String> {
    let empty = upload(client, base, b"{}").await?;
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": { "mediaType": config, "digest": empty, "size": 2 },
        "layers": layers,
    });
    let manifest = manifest.to_string();
    let digest = digest(manifest.as_bytes());
    let answer = client
        .put(format!("{base}/manifests/{tag}"))
        .header("content-type", "application/vnd.oci.image.manifest.v1+json")
        .body(manifest)
        .send()
        .await?;
    ensure!(answer.status().is_success(), "the registry answers {} to a manifest", answer.status());
    Ok(digest)
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold("sha256:".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

async fn upload(client: &reqwest::Client, base: &str, bytes: &[u8]) -> Result<String> {
    let digest = digest(bytes);
    let begun = client.post(format!("{base}/blobs/uploads/")).send().await?;
    let location = begun.headers().get("location").context("an upload begins with a location")?.to_str()?;
    let joint = if location.contains('?') { '&' } else { '?' };
    let answer = client.put(format!("{location}{joint}digest={digest}")).body(bytes.to_vec()).send().await?;
    ensure!(answer.status().is_success(), "the registry answers {} to a blob", answer.status());
    Ok(digest)
}

/// A gzipped tar archive of what `fill` puts in.
///
/// # Errors
/// What `fill` ends with.
pub fn archive(fill: impl FnOnce(&mut tar::Builder<GzEncoder<Vec<u8>>>) -> Result<()>) -> Result<Vec<u8>> {
    let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    fill(&mut builder)?;
    Ok(builder.into_inner()?.finish()?)
}

/// A header for an entry of that size under any name, such as `tar` itself would refuse to write.
///
/// # Errors
/// When the name is longer than 100 bytes.
pub fn header(name: &str, size: u64) -> Result<tar::Header> {
    let mut header = tar::Header::new_gnu();
    let place = header.as_old_mut().name.get_mut(..name.len()).context("a short name")?;
    place.copy_from_slice(name.as_bytes());
    header.set_size(size);
    header.set_mode(0o644);
    header.set_cksum();
    Ok(header)
}
