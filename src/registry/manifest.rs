//! A manifest: its digest, its document, and the layer in it that is the chart, or a file.

use std::str::FromStr;

use bytes::Bytes;
use oci_client::manifest::{
    IMAGE_MANIFEST_LIST_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE,
    OciDescriptor, OciImageManifest, OciManifest,
};
use reqwest::StatusCode;
use reqwest::header::HeaderName;

use super::error::{Attempt, Detail, Error, Mismatch};
use super::pull::{self, Store};
use super::reference::{ChartReference, Digest};
use super::transport::{Answer, Session};

/// What Helm pushes a chart's `Chart.yaml` as.
const CONFIG: &str = "application/vnd.cncf.helm.config.v1+json";

/// What Helm pushes a chart's archive as, now and before 3.7.
const CHART_LAYERS: [&str; 2] = ["application/vnd.cncf.helm.chart.content.v1.tar+gzip", "application/tar+gzip"];

/// Most files of an artifact that a message names.
const MAX_NAMED: usize = 10;

/// Most bytes of a manifest; registries refuse to store larger ones.
const MAX_MANIFEST: u64 = 4 * 1024 * 1024;

const DIGEST_HEADER: HeaderName = HeaderName::from_static("docker-content-digest");

/// The digest that `reference`'s tag (or digest) has in the registry now; `None` when there is no such manifest.
///
/// `HEAD` says it without a body. It is believed where the repository has given the bytes of that digest before; else,
/// and where a registry does not answer it or leaves the digest out, the document is asked for and its bytes are hashed.
pub(super) async fn digest(
    session: &Session<'_>,
    store: &Store<'_>,
    reference: &ChartReference,
) -> Result<Option<Digest>, Error> {
    let answer = session.head(&path(reference), &accept()).await?;
    let told = answer.header(&DIGEST_HEADER).and_then(|text| Digest::from_str(text).ok());
    match (answer.status(), told) {
        (status, Some(digest)) if status.is_success() && store.memory.holds(reference, &digest) => Ok(Some(digest)),
        (StatusCode::NOT_FOUND, _) => missing(session, store, answer, reference).await,
        // A refusal of `HEAD` has no body, and its words tell an expired token from a missing right.
        (
            StatusCode::METHOD_NOT_ALLOWED
            | StatusCode::NOT_IMPLEMENTED
            | StatusCode::BAD_REQUEST
            | StatusCode::FORBIDDEN,
            _,
        ) => by_document(session, store, reference).await,
        (status, _) if status.is_success() => by_document(session, store, reference).await,
        _ => Err(answer.trouble().await),
    }
}

/// A 404 of `HEAD` has no body to tell a web page from a missing manifest: a type of HTML is asked again by `GET`.
async fn missing(
    session: &Session<'_>,
    store: &Store<'_>,
    answer: Answer<'_>,
    reference: &ChartReference,
) -> Result<Option<Digest>, Error> {
    if answer.is_web_page() {
        return by_document(session, store, reference).await;
    }
    Ok(None)
}

async fn by_document(
    session: &Session<'_>,
    store: &Store<'_>,
    reference: &ChartReference,
) -> Result<Option<Digest>, Error> {
    let Some((digest, document)) = pull::twice(async || fetch(session, reference).await).await? else {
        return Ok(None);
    };
    store.keep(reference, &digest, &document).await;
    Ok(Some(digest))
}

/// The manifest document of `reference` and its digest, computed from the bytes; `None` when there is none.
/// Where `reference` or the answer names a digest, the bytes must have it.
pub(super) async fn fetch(session: &Session<'_>, reference: &ChartReference) -> Result<Option<(Digest, Bytes)>, Error> {
    let answer = session.get(&path(reference), &accept()).await?;
    if answer.status() == StatusCode::NOT_FOUND && !answer.is_web_page() {
        return Ok(None);
    }
    let answer = answer.success().await?;
    let host = answer.host();
    let told = answer.header(&DIGEST_HEADER).and_then(|text| Digest::from_str(text).ok());
    let body = answer.body(MAX_MANIFEST, "the manifest").await?;
    let expected = reference.digest().cloned().or(told);
    let digest = match expected {
        Some(expected) => verify(&body, expected, session.attempt())?,
        None => Digest::of(&body),
    };
    // What is asked for by a tag is whatever comes; at least it must be of the kind.
    if reference.digest().is_none() && !is_manifest(&body) {
        return Err(Error::Unexpected {
            attempt: session.attempt().clone(),
            host,
            what: "a document that is no manifest".to_owned(),
            detail: Detail::default(),
        });
    }
    Ok(Some((digest, body)))
}

/// `expected`, if it is the digest of `bytes`.
pub(super) fn verify(bytes: &[u8], expected: Digest, attempt: &Attempt) -> Result<Digest, Error> {
    let actual = expected.rehash(bytes);
    if actual == expected {
        return Ok(expected);
    }
    Err(Error::DigestMismatch { attempt: attempt.clone(), expected, actual, kind: Mismatch::Content })
}

/// Whether `document` may be a manifest or an index of any kind, rather than something that took its place.
fn is_manifest(document: &[u8]) -> bool {
    let json: Option<serde_json::Value> = serde_json::from_slice(document).ok();
    let marks = ["schemaVersion", "mediaType", "config", "manifests"];
    json.is_some_and(|json| marks.iter().any(|mark| json.get(mark).is_some()))
}

/// Which layer of a manifest is wanted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Content {
    /// The archive of a chart.
    Chart,
    /// A file by its title; without one [`DEFAULT_FILE`], or the only one.
    File(Option<String>),
}

impl Content {
    /// What it is, for messages.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Chart => "the chart's archive",
            Self::File(_) => "the file",
        }
    }

    /// The digest and the size of the layer that is wanted.
    pub(super) fn layer(&self, manifest: &[u8], attempt: &Attempt) -> Result<(Digest, u64), Error> {
        let image = image(manifest);
        match self {
            Self::Chart => chart_layer(image, attempt),
            Self::File(title) => file_layer(image, title.as_deref(), attempt),
        }
    }
}

/// The file of an artifact that is meant where none is named.
const DEFAULT_FILE: &str = "values.yaml";

/// The annotation of a layer that names the file in it.
const TITLE: &str = "org.opencontainers.image.title";

/// The media type of the layer that stands in for none.
const EMPTY: &str = "application/vnd.oci.empty.v1+json";

/// A manifest, or the media type of what is none.
fn image(manifest: &[u8]) -> Result<OciImageManifest, String> {
    match serde_json::from_slice(manifest) {
        Ok(OciManifest::Image(image)) => Ok(image),
        Ok(OciManifest::ImageIndex(index)) => {
            Err(index.media_type.unwrap_or_else(|| OCI_IMAGE_INDEX_MEDIA_TYPE.to_owned()))
        }
        Err(_) => Err(media_type(manifest)),
    }
}

/// The layer that is the chart's archive.
///
/// A provenance layer beside it is left alone. An index is refused: Helm neither writes nor reads charts in one.
fn chart_layer(image: Result<OciImageManifest, String>, attempt: &Attempt) -> Result<(Digest, u64), Error> {
    let not_a_chart =
        |media_type: &str| Error::NotAChart { attempt: attempt.clone(), media_type: media_type.to_owned() };
    let image = image.map_err(|other| not_a_chart(&other))?;
    if image.config.media_type != CONFIG {
        return Err(not_a_chart(kind(&image)));
    }
    let is_chart = |layer: &&OciDescriptor| CHART_LAYERS.contains(&layer.media_type.as_str());
    let layer = image.layers.iter().find(is_chart);
    let first = || image.layers.first().map_or(CONFIG, |layer| layer.media_type.as_str());
    descriptor(layer.ok_or_else(|| not_a_chart(first()))?, attempt)
}

/// The type that `oras push` gives to a file for which none is named.
const PLAIN_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// Annotation of a layer that is a packed folder.
const UNPACK: &str = "io.deis.oras.content.unpack";

/// The layer that is a file: each file that is pushed is a layer with its name as title.
fn file_layer(
    image: Result<OciImageManifest, String>,
    wanted: Option<&str>,
    attempt: &Attempt,
) -> Result<(Digest, u64), Error> {
    let image = image.map_err(|media_type| Error::NoFiles { attempt: attempt.clone(), media_type })?;
    let layers: Vec<&OciDescriptor> = image.layers.iter().filter(|layer| layer.media_type != EMPTY).collect();
    let title = |layer: &OciDescriptor| layer.annotations.as_ref().and_then(|all| all.get(TITLE).cloned());
    let titled = |name: &str| layers.iter().copied().find(|layer| title(layer).as_deref() == Some(name));
    let layer = match (wanted, layers.as_slice()) {
        (Some(name), _) => titled(name),
        (None, [only]) => Some(*only),
        (None, _) => titled(DEFAULT_FILE),
    };
    let Some(layer) = layer else {
        return Err(Error::FileNotFound {
            attempt: attempt.clone(),
            file: wanted.unwrap_or(DEFAULT_FILE).to_owned(),
            files: layers.iter().take(MAX_NAMED).filter_map(|layer| title(layer)).collect(),
        });
    };
    // A file that is pushed without a type gets that of a layer, and is as it is all the same.
    let is_packed = ["tar", "gzip", "zstd"].iter().any(|packed| layer.media_type.contains(packed));
    let is_unpacked = layer.annotations.as_ref().and_then(|all| all.get(UNPACK)).is_some_and(|unpack| unpack == "true");
    if is_packed && (layer.media_type != PLAIN_LAYER || is_unpacked) {
        return Err(Error::NoFiles { attempt: attempt.clone(), media_type: layer.media_type.clone() });
    }
    descriptor(layer, attempt)
}

fn descriptor(layer: &OciDescriptor, attempt: &Attempt) -> Result<(Digest, u64), Error> {
    let digest =
        Digest::from_str(&layer.digest).map_err(|source| Error::Reference { attempt: attempt.clone(), source })?;
    Ok((digest, u64::try_from(layer.size).unwrap_or_default()))
}

/// What an artifact that is no chart calls itself: the specification's artifact type, else its config's type.
fn kind(image: &OciImageManifest) -> &str {
    image.artifact_type.as_deref().unwrap_or(&image.config.media_type)
}

/// The `mediaType` of a document that is no manifest.
fn media_type(document: &[u8]) -> String {
    let json: Option<serde_json::Value> = serde_json::from_slice(document).ok();
    let named = json.as_ref().and_then(|json| json["mediaType"].as_str());
    match (named, &json) {
        (Some(media_type), _) => media_type.to_owned(),
        (None, Some(_)) => "a JSON document without mediaType".to_owned(),
        (None, None) => "a document that is not JSON".to_owned(),
    }
}

fn path(reference: &ChartReference) -> String {
    let by = match (reference.digest(), reference.tag()) {
        (Some(digest), _) => digest.as_str(),
        (None, tag) => tag.unwrap_or_default(),
    };
    format!("{}/manifests/{by}", reference.repository())
}

/// The index types are accepted to say what the artifact is, instead of a registry's 404 or a conversion.
fn accept() -> String {
    [OCI_IMAGE_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE, IMAGE_MANIFEST_LIST_MEDIA_TYPE]
        .join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry::error::Action;

    fn layer_of(manifest: &str) -> Result<(Digest, u64), Error> {
        Content::Chart.layer(manifest.as_bytes(), &Attempt::new(Action::Download, &"oci://h/c"))
    }

    fn manifest(config: &str, layers: &[&str]) -> String {
        let digest = format!("sha256:{}", "0".repeat(64));
        let descriptor =
            |media_type: &str| format!("{{\"mediaType\":\"{media_type}\",\"digest\":\"{digest}\",\"size\":7}}");
        let layers = layers.iter().map(|layer| descriptor(layer)).collect::<Vec<_>>().join(",");
        format!("{{\"schemaVersion\":2,\"config\":{},\"layers\":[{layers}]}}", descriptor(config))
    }

    #[test]
    fn the_chart_layer_is_found_beside_provenance_and_in_its_old_type() {
        let provenance = "application/vnd.cncf.helm.chart.provenance.v1.prov";
        for layers in [vec![CHART_LAYERS[0]], vec![CHART_LAYERS[1]], vec![provenance, CHART_LAYERS[0]]] {
            let (_, size) = layer_of(&manifest(CONFIG, &layers)).expect("a chart");
            assert_eq!(size, 7, "{layers:?}");
        }
    }

    #[test]
    fn what_is_no_chart_is_named_by_its_media_type() {
        let image = "application/vnd.docker.container.image.v1+json";
        let index = "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\",\"manifests\":[]}";
        let cases = [
            (manifest(image, &["application/vnd.oci.image.layer.v1.tar+gzip"]), image),
            (manifest(CONFIG, &["application/octet-stream"]), "application/octet-stream"),
            (manifest(CONFIG, &[]), CONFIG),
            (index.to_owned(), "application/vnd.oci.image.index.v1+json"),
            ("{\"mediaType\":\"x/y\"}".to_owned(), "x/y"),
            ("<html>".to_owned(), "a document that is not JSON"),
        ];
        for (document, expected) in cases {
            match layer_of(&document) {
                Err(Error::NotAChart { media_type, .. }) => assert_eq!(media_type, expected),
                other => panic!("{document}: {other:?}"),
            }
        }
    }

    /// A manifest of files, each `title` or `title|media type`; an empty title is none.
    fn files(layers: &[&str]) -> String {
        let layer = |words: &&str| {
            let (title, media) = words.split_once('|').unwrap_or((words, "application/yaml"));
            let annotations = if title.is_empty() { json!({}) } else { json!({ TITLE: title }) };
            let digest = format!("sha256:{}", "0".repeat(64));
            json!({ "mediaType": media, "digest": digest, "size": title.len(), "annotations": annotations })
        };
        let layers: Vec<_> = layers.iter().map(layer).collect();
        let config = json!({ "mediaType": EMPTY, "digest": format!("sha256:{}", "0".repeat(64)), "size": 2 });
        json!({ "schemaVersion": 2, "config": config, "layers": layers }).to_string()
    }

    #[test]
    fn a_file_is_found_by_its_title_or_as_the_only_one() {
        let attempt = Attempt::new(Action::ReadFile, &"oci://h/c");
        let found = |layers: &[&str], title: Option<&str>| {
            Content::File(title.map(str::to_owned)).layer(files(layers).as_bytes(), &attempt).map(|(_, size)| size)
        };
        assert_eq!(found(&["values.yaml", "prod.yaml"], None).ok(), Some(11));
        assert_eq!(found(&["values.yaml", "prod.yaml"], Some("prod.yaml")).ok(), Some(9));
        assert_eq!(found(&["prod.yaml"], None).ok(), Some(9), "the only one");
        assert_eq!(found(&[""], None).ok(), Some(0), "without a title, too");
        for (layers, title, words) in [
            (vec!["a.yaml", "b.yaml"], None, "no file \"values.yaml\", but \"a.yaml\", \"b.yaml\""),
            (vec!["a.yaml"], Some("b.yaml"), "no file \"b.yaml\", but \"a.yaml\""),
            (vec!["|application/vnd.oci.empty.v1+json"], None, "no file \"values.yaml\""),
            (vec!["conf|application/vnd.oci.image.layer.v1.tar+gzip"], None, "tar+gzip"),
        ] {
            let error = found(&layers, title).expect_err(words).to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
