//! What applying a file would change: its objects as the API server would store them, then what becomes of each release.

use std::path::{Path, PathBuf};

use http::Request;
use kube::api::{Api, PostParams};
use kube::core::{NamespaceResourceScope, ObjectMeta, Request as Requests};
use kube::{Client, Resource};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::file::{self, Documents};
use super::{Error, Shown};
use crate::api::{HelmRelease, HelmRepository};
use crate::chain::chain;
use crate::client::Person;
use crate::controller::{Declared, Setup, foresee};

/// As whom the API server is asked what it would store.
const MANAGER: &str = "helm-operator-diff";

/// How often it is asked again where the object was written meanwhile, as statuses are.
const TRIES: usize = 5;

/// Metadata that is the server's own, and in what it printed.
const OF_SERVER: [&str; 6] =
    ["uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "deletionTimestamp"];

pub(super) async fn show(files: &[PathBuf], person: &Person, setup: Setup) -> Result<Shown, Error> {
    let mut files = file::read_all(files)?;
    let others: Vec<String> = files.iter_mut().flat_map(|(_, documents)| documents.others.drain(..)).collect();
    let (client, namespace) = person.connect().await?;
    let mut shown = Shown::default();
    if !others.is_empty() {
        shown
            .notices
            .push(format!("not looked at, being neither HelmRelease nor HelmRepository: {}", others.join(", ")));
    }
    let mut declared = Declared::default();
    for (file, Documents { releases, repositories, .. }) in files {
        let place = (namespace.as_str(), person.namespace.is_some(), file);
        for document in repositories {
            declared.repositories.push(Box::pin(admitted::<HelmRepository>(&client, document, place)).await?);
        }
        for document in releases {
            match Box::pin(admitted::<HelmRelease>(&client, document, place)).await {
                Ok(release) => declared.releases.push(release),
                Err(refused @ (Error::Refused { .. } | Error::Undecodable { .. })) => {
                    shown.failures.push(chain(&refused));
                }
                Err(error) => return Err(error),
            }
        }
    }
    let names: Vec<String> = declared.releases.iter().map(|release| named(&release.metadata)).collect();
    if names.is_empty() {
        return Ok(shown);
    }
    let several = names.len() > 1;
    for (name, foreseen) in names.iter().zip(Box::pin(foresee(client, setup, declared)).await?) {
        match foreseen {
            Ok(foreseen) => {
                let told = |notice: String| if several { format!("{name}: {notice}") } else { notice };
                shown.notices.extend(foreseen.notices.into_iter().map(told));
                match foreseen.difference {
                    Some(difference) if shown.differences.is_empty() => shown.differences = difference,
                    Some(difference) => shown.differences.extend(["\n", &difference]),
                    None => shown.notices.push(format!("{name}: no difference")),
                }
            }
            Err(error) => shown.failures.push(format!("HelmRelease {name}: {error}")),
        }
    }
    Ok(shown)
}

fn named(metadata: &ObjectMeta) -> String {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    format!("{}/{}", text(&metadata.namespace), text(&metadata.name))
}

/// What the API server would store if `document` were the whole of what is declared: asked by a dry run, which fills in
/// defaults, and refuses what may not be. Labels and annotations that are there beside those of the document stay.
async fn admitted<K>(
    client: &Client,
    mut document: Value,
    (namespace, is_given, file): (&str, bool, &Path),
) -> Result<K, Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + std::fmt::Debug,
{
    let kind = K::kind(&()).into_owned();
    let malformed = |problem: String| Error::Malformed { file: file.display().to_string(), problem };
    let Some(metadata) = document.get_mut("metadata").and_then(Value::as_object_mut) else {
        return Err(malformed(format!("a {kind} in it has no metadata")));
    };
    let name = metadata.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let declared = metadata.get("namespace").and_then(Value::as_str).map(str::to_owned);
    let namespace = match declared {
        Some(declared) if is_given && declared != namespace => {
            let problem = format!("the namespace of {kind} {name} is {declared}, and --namespace is {namespace}");
            return Err(malformed(problem));
        }
        Some(declared) => declared,
        None => namespace.to_owned(),
    };
    metadata.insert("namespace".to_owned(), namespace.clone().into());
    for field in OF_SERVER {
        metadata.remove(field);
    }
    let object = format!("{kind} {namespace}/{name}");
    let refused = |source| Error::Refused { object: object.clone(), source: Box::new(source) };
    let api = Api::<K>::namespaced(client.clone(), &namespace);
    let mut tries = 0;
    let stored: Value = loop {
        tries += 1;
        let live = api.get_metadata_opt(&name).await.map_err(refused)?;
        let request = dry_run::<K>(&namespace, &name, &document, live.map(|live| live.metadata)).map_err(refused)?;
        match client.request(request).await {
            Err(kube::Error::Api(status)) if status.code == 409 && tries < TRIES => {}
            answer => break answer.map_err(refused)?,
        }
    };
    serde_json::from_value(stored).map_err(|source| Error::Undecodable { object: object.clone(), source })
}

/// The request that creates the object, or puts the document in the place of the one that is there; carried out by nobody.
fn dry_run<K: Resource<DynamicType = (), Scope = NamespaceResourceScope>>(
    namespace: &str,
    name: &str,
    document: &Value,
    live: Option<ObjectMeta>,
) -> Result<Request<Vec<u8>>, kube::Error> {
    let params = PostParams { dry_run: true, field_manager: Some(MANAGER.to_owned()) };
    let requests = Requests::new(K::url_path(&(), Some(namespace)));
    let mut request = match live {
        None => requests.create(&params, document.to_string().into_bytes()),
        Some(live) => requests.replace(name, &params, over(document.clone(), live).to_string().into_bytes()),
    }
    .map_err(kube::Error::BuildRequest)?;
    // What kubectl asks for, too: a field that is misspelt is no field that is left out.
    let strict = format!("{}&fieldValidation=Strict", request.uri());
    *request.uri_mut() = strict.parse().map_err(|error: http::uri::InvalidUri| kube::Error::HttpError(error.into()))?;
    Ok(request)
}

/// The document over the object that is there.
fn over(mut document: Value, live: ObjectMeta) -> Value {
    let Some(metadata) = document.get_mut("metadata").and_then(Value::as_object_mut) else { return document };
    metadata.insert("resourceVersion".to_owned(), live.resource_version.clone().into());
    let live = serde_json::to_value(live).unwrap_or_default();
    for field in ["finalizers", "ownerReferences"] {
        if let (false, Some(there)) = (metadata.contains_key(field), live.get(field)) {
            metadata.insert(field.to_owned(), there.clone());
        }
    }
    for field in ["labels", "annotations"] {
        let of = |object: Option<&Value>| object.and_then(Value::as_object).cloned().unwrap_or_default();
        let mut all: Map<String, Value> = of(live.get(field));
        all.extend(of(metadata.get(field)));
        metadata.insert(field.to_owned(), all.into());
    }
    document
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::over;

    #[test]
    fn what_is_there_beside_the_document_stays() {
        let live = json!({
            "name": "web", "resourceVersion": "7", "finalizers": ["f"],
            "labels": { "a": "live", "b": "live" }, "annotations": { "kept": "yes" },
        });
        let live = serde_json::from_value(live).expect("metadata");
        let document = json!({ "metadata": { "name": "web", "labels": { "a": "file" } }, "spec": { "x": 1 } });
        let expected = json!({
            "metadata": {
                "name": "web", "resourceVersion": "7", "finalizers": ["f"],
                "labels": { "a": "file", "b": "live" }, "annotations": { "kept": "yes" },
            },
            "spec": { "x": 1 },
        });
        assert_eq!(over(document, live), expected);
    }
}
