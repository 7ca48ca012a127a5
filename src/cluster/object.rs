//! Rendered text to objects: parsed, lists opened, kind found, namespace settled. First step of every act.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use helm::postrender::map_at;
use serde_json::{Map, Value};

use super::discovery::{Kinds, Resource, Served};
use super::{Cluster, Error, apply, crds};
use crate::off_thread::off_thread;

/// Rendered YAML and where it came from. May hold several documents.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// Template path or file name, for messages.
    pub origin: &'a str,
    /// The YAML text.
    pub text: &'a str,
}

impl<'a> From<&'a helm::manifest::Hook> for Source<'a> {
    fn from(hook: &'a helm::manifest::Hook) -> Self {
        Self { origin: &hook.path, text: &hook.manifest }
    }
}

/// The identity of an object, as messages name it. Two versions of one kind are the same object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectRef {
    /// API group, empty for core.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Namespace; `None` for a cluster-scoped object.
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
}

/// What is special about built-in kinds.
impl ObjectRef {
    /// Whether it does its work once: made anew, it would do it again.
    pub fn runs_once(&self) -> bool {
        let once = [("batch", "Job"), ("", "Pod"), ("certificates.k8s.io", "CertificateSigningRequest")];
        once.contains(&(&*self.group, &*self.kind))
    }

    /// Whether people keep data in it, which a new one would not have.
    pub fn is_volume(&self) -> bool {
        self.group.is_empty() && matches!(&*self.kind, "PersistentVolumeClaim" | "PersistentVolume")
    }

    /// Whether it defines kinds of objects.
    pub fn defines_kinds(&self) -> bool {
        (&*self.group, &*self.kind) == ("apiextensions.k8s.io", "CustomResourceDefinition")
    }

    /// Whether data goes with it: its own, that of all objects of a kind which it defines, or of all that is in it.
    pub fn deletion_loses_data(&self) -> bool {
        self.is_volume() || self.defines_kinds() || (&*self.group, &*self.kind) == ("", "Namespace")
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.kind, self.name)?;
        match &self.namespace {
            Some(namespace) => write!(f, " in namespace {namespace:?}"),
            None => Ok(()),
        }
    }
}

/// One object of a release, ready to be applied or deleted.
#[derive(Clone)]
pub struct Object {
    reference: ObjectRef,
    resource: Resource,
    origin: String,
    content: Map<String, Value>,
    /// The uid it must have to be this object, where that is known.
    uid: Option<String>,
    /// Its kind is not served yet: a `CustomResourceDefinition` beside it defines it.
    awaits_definition: bool,
}

impl Object {
    /// Its identity.
    pub fn reference(&self) -> &ObjectRef {
        &self.reference
    }

    /// The API resource that serves it.
    pub fn resource(&self) -> &Resource {
        &self.resource
    }

    /// Template or file that described it.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The whole object as rendered, with its namespace settled. May hold the data of a Secret.
    pub fn content(&self) -> &Map<String, Value> {
        &self.content
    }

    /// Whether an object with this uid can be the one that is meant.
    pub(super) fn is_uid(&self, uid: Option<&str>) -> bool {
        self.uid.as_deref().is_none_or(|expected| uid == Some(expected))
    }

    /// Whether its kind becomes known only when a definition of the same manifest is applied.
    pub(super) fn awaits_definition(&self) -> bool {
        self.awaits_definition
    }

    /// Whether it is a Job that removes itself when it is done.
    pub fn vanishes(&self) -> bool {
        apply::vanishes(self.content.get("spec"))
    }

    /// The same object with an annotation.
    pub(super) fn annotated(&self, key: &str, value: String) -> Self {
        let mut object = self.clone();
        let metadata = map_at(&mut object.content, "metadata");
        map_at(metadata, "annotations").insert(key.to_owned(), value.into());
        object
    }

    /// An annotation as rendered.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.content.get("metadata")?.get("annotations")?.get(key)?.as_str()
    }
}

/// Only the identity: the content may be secret.
impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Object").field(&self.reference).finish()
    }
}

/// The objects of `old` that `new` no longer has.
pub fn left_behind(old: &[Object], new: &[Object]) -> Vec<Object> {
    let kept: BTreeSet<_> = new.iter().map(Object::reference).collect();
    old.iter().filter(|object| !kept.contains(object.reference())).cloned().collect()
}

/// The objects of several manifests, each once: as the first manifest that has it describes it.
pub fn distinct(manifests: Vec<Vec<Object>>) -> Vec<Object> {
    let mut known = BTreeSet::new();
    let objects = manifests.into_iter().flatten();
    objects.filter(|object| known.insert(object.reference().clone())).collect()
}

impl Cluster {
    /// The objects that `sources` describe, in their order. An object without a namespace gets `namespace` if its
    /// kind is namespaced; one that names another namespace keeps it, as with Helm.
    ///
    /// The kinds are looked up in what the cluster serves; that is read again once when a kind is unknown. A kind that
    /// only a `CustomResourceDefinition` among the documents defines is taken from there. The work is done off the
    /// calling thread: a manifest may be large.
    pub async fn objects(&self, sources: &[Source<'_>], namespace: &str) -> Result<Vec<Object>, Error> {
        let documents = parsed(sources).await?;
        let kinds = self.kinds_for(&documents).await?;
        let namespace = namespace.to_owned();
        off_thread(move || {
            let defined = definitions(&documents);
            let objects: Result<Vec<_>, Error> =
                documents.into_iter().map(|document| document.resolve(&kinds, &defined, &namespace)).collect();
            Ok(last_of_each(objects?))
        })
        .await
    }

    /// As [`Cluster::objects`], for a manifest of the past whose objects are only to be removed: a version that the
    /// cluster no longer serves is replaced by one that it does, and a document whose kind is served in none is left
    /// out, because no object of it can exist.
    pub async fn recorded_objects(&self, sources: &[Source<'_>], namespace: &str) -> Result<Vec<Object>, Error> {
        let documents = parsed(sources).await?;
        let kinds = self.kinds_for(&documents).await?;
        let namespace = namespace.to_owned();
        off_thread(move || {
            documents
                .into_iter()
                .map(|document| document.in_served_version(&kinds).resolve(&kinds, &Definitions::new(), &namespace))
                .filter(|object| !matches!(object, Err(Error::UnknownKind { .. })))
                .collect()
        })
        .await
    }

    /// Objects that are known by their identity alone, with their uid where it is known, to be removed. Those of kinds
    /// that the cluster no longer serves are left out, because they cannot exist.
    pub async fn known_objects(&self, known: Vec<(ObjectRef, Option<String>)>) -> Result<Vec<Object>, Error> {
        let kinds = self.discovery.kinds_with(std::iter::empty()).await?;
        let object = |(reference, uid): (ObjectRef, Option<String>)| {
            let resource = kinds.any_version(&reference.group, &reference.kind)?.clone();
            Some(Object {
                reference,
                resource,
                origin: "the inventory".to_owned(),
                content: Map::new(),
                uid,
                awaits_definition: false,
            })
        };
        Ok(known.into_iter().filter_map(object).collect())
    }

    async fn kinds_for(&self, documents: &[Document]) -> Result<std::sync::Arc<Kinds>, Error> {
        let needed = documents.iter().map(|document| (document.api_version.as_str(), document.kind.as_str()));
        self.discovery.kinds_with(needed).await
    }
}

/// The contents of the documents of one kind.
pub(super) fn contents_of<'a>(documents: &'a [Document], kind: &str) -> impl Iterator<Item = &'a Map<String, Value>> {
    documents.iter().filter(move |document| document.kind == kind).map(|document| &document.content)
}

/// The documents of rendered texts, before their kinds are looked up.
pub(super) async fn parsed(sources: &[Source<'_>]) -> Result<Vec<Document>, Error> {
    let owned: Vec<_> = sources.iter().map(|source| (source.origin.to_owned(), source.text.to_owned())).collect();
    off_thread(move || {
        let sources: Vec<_> = owned.iter().map(|(origin, text)| Source { origin, text }).collect();
        parse(&sources)
    })
    .await
}

/// By `group/version` and kind: what serves the kinds that a manifest itself defines.
type Definitions = BTreeMap<(String, String), Resource>;

fn definitions(documents: &[Document]) -> Definitions {
    let crds = documents.iter().filter(|document| document.kind == "CustomResourceDefinition");
    let defined = crds.flat_map(|crd| crds::defined_resources(&crd.content));
    defined.map(|resource| ((resource.api_version(), resource.kind.clone()), resource)).collect()
}

/// One document before its kind is looked up.
#[derive(Debug)]
pub(super) struct Document {
    origin: String,
    api_version: String,
    kind: String,
    name: String,
    content: Map<String, Value>,
}

fn parse(sources: &[Source<'_>]) -> Result<Vec<Document>, Error> {
    let mut documents = Vec::new();
    for source in sources.iter().flat_map(sections) {
        for value in parse_yaml(&source)? {
            collect(source.origin, value, &mut documents)?;
        }
    }
    Ok(documents)
}

/// The parts of a release's manifest, each with the template that Helm writes above it; any other text is one part.
fn sections<'a>(source: &Source<'a>) -> impl Iterator<Item = Source<'a>> + use<'a> {
    const BORDER: &str = "---\n# Source: ";
    let (whole, recorded) = (*source, source.text.strip_prefix(BORDER));
    let whole = recorded.is_none().then_some(whole);
    let named = |part: &'a str| {
        let (origin, text) = part.split_once('\n').unwrap_or((part, ""));
        Source { origin, text }
    };
    // Nothing inside a document can look like a border: text in a block is indented.
    let parts = recorded.into_iter().flat_map(|text| text.split("\n---\n# Source: ")).map(named);
    whole.into_iter().chain(parts)
}

/// The documents of one source that are not empty.
fn parse_yaml(source: &Source<'_>) -> Result<Vec<Value>, Error> {
    let values = formats::yaml::parse_all(source.text.as_bytes())
        .map_err(|problem| Error::ParseManifest { origin: source.origin.to_owned(), problem })?;
    Ok(values.iter().map(formats::json::to_serde).filter(|value| !value.is_null()).collect())
}

/// Opens lists as Helm does: whatever has `items` is a list of objects, however deep.
fn collect(origin: &str, value: Value, documents: &mut Vec<Document>) -> Result<(), Error> {
    let missing = |object: String, field| Error::MissingField { origin: origin.to_owned(), object, field };
    let Value::Object(mut content) = value else {
        return Err(missing("the document".to_owned(), "fields: it is not a map"));
    };
    if let Some(items) = items(&mut content) {
        return items.into_iter().try_for_each(|item| collect(origin, item, documents));
    }
    let text = |content: &Map<String, Value>, field: &str| {
        content.get(field).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let kind = text(&content, "kind").ok_or_else(|| missing("an object".to_owned(), "kind"))?;
    let api_version = text(&content, "apiVersion").ok_or_else(|| missing(format!("a {kind}"), "apiVersion"))?;
    let metadata = content.get("metadata").and_then(Value::as_object);
    let Some(name) = metadata.and_then(|metadata| text(metadata, "name")) else {
        let generated = metadata.is_some_and(|metadata| metadata.contains_key("generateName"));
        return Err(if generated {
            Error::GenerateName { origin: origin.to_owned(), kind }
        } else {
            missing(format!("a {kind}"), "metadata.name")
        });
    };
    documents.push(Document { origin: origin.to_owned(), api_version, kind, name, content });
    Ok(())
}

/// The items of a list; `None` for what is none. One of a typed list need not say of what kind it is; one whose template
/// made no items is empty.
fn items(content: &mut Map<String, Value>) -> Option<Vec<Value>> {
    let text = |field: &str| content.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    let of = kind.strip_suffix("List");
    let is_named = content.get("metadata").is_some_and(|metadata| metadata.get("name").is_some());
    let mut items = match content.get_mut("items") {
        Some(Value::Array(items)) => std::mem::take(items),
        Some(Value::Null) if of.is_some() && !is_named => Vec::new(),
        _ => return None,
    };
    if let Some(of) = of.filter(|of| !of.is_empty()) {
        for item in items.iter_mut().filter_map(Value::as_object_mut) {
            item.entry("kind").or_insert_with(|| of.into());
            item.entry("apiVersion").or_insert_with(|| api_version.as_str().into());
        }
    }
    Some(items)
}

impl Document {
    /// The document with another version, if its own is no longer served but one of the same kind is.
    fn in_served_version(mut self, kinds: &Kinds) -> Self {
        if matches!(kinds.find(&self.api_version, &self.kind), Served::Unknown { .. })
            && let Some(served) = kinds.any_version(group(&self.api_version), &self.kind)
        {
            self.api_version = served.api_version();
        }
        self
    }

    fn resolve(mut self, kinds: &Kinds, defined: &Definitions, default_namespace: &str) -> Result<Object, Error> {
        let found = kinds.find(&self.api_version, &self.kind);
        let own = || defined.get(&(self.api_version.clone(), self.kind.clone())).cloned();
        let own = if matches!(found, Served::Unknown { .. }) { own() } else { None };
        let awaits_definition = own.is_some();
        let resource = match (found, own) {
            (Served::Found(resource), _) => resource.clone(),
            (_, Some(resource)) => resource,
            (Served::Stale, None) => {
                return Err(Error::StaleGroup {
                    object: format!("{} {:?}", self.kind, self.name),
                    api_version: self.api_version,
                });
            }
            (Served::Unknown { served }, None) => {
                return Err(Error::UnknownKind {
                    object: format!("{} {:?}", self.kind, self.name),
                    api_version: self.api_version,
                    kind: self.kind,
                    origin: self.origin,
                    served,
                });
            }
        };
        let namespace = settle_namespace(&mut self.content, resource.namespaced, default_namespace);
        let reference = ObjectRef { group: resource.group.clone(), kind: self.kind, namespace, name: self.name };
        Ok(Object { reference, resource, origin: self.origin, content: self.content, uid: None, awaits_definition })
    }
}

fn group(api_version: &str) -> &str {
    api_version.rsplit_once('/').map_or("", |(group, _)| group)
}

/// Writes the namespace that the object will have into it, and returns it.
fn settle_namespace(content: &mut Map<String, Value>, namespaced: bool, default: &str) -> Option<String> {
    let metadata = content.get_mut("metadata").and_then(Value::as_object_mut)?;
    if !namespaced {
        metadata.remove("namespace");
        return None;
    }
    let own = metadata.get("namespace").and_then(Value::as_str).filter(|own| !own.is_empty());
    let namespace = own.unwrap_or(default).to_owned();
    metadata.insert("namespace".to_owned(), Value::String(namespace.clone()));
    Some(namespace)
}

/// Of several descriptions of one object the last counts: Helm applies them all, and the last apply wins.
fn last_of_each(objects: Vec<Object>) -> Vec<Object> {
    let mut last = BTreeMap::new();
    for (position, object) in objects.iter().enumerate() {
        if let Some(earlier) = last.insert(object.reference().clone(), position) {
            let (object, first) = (object.reference(), objects[earlier].origin());
            tracing::warn!(%object, first, "described more than once in one release: the last description counts");
        }
    }
    let keeps = |position: &usize, object: &Object| last.get(object.reference()) == Some(position);
    objects
        .into_iter()
        .enumerate()
        .filter(|(position, object)| keeps(position, object))
        .map(|(_, object)| object)
        .collect()
}

#[cfg(test)]
mod tests;
