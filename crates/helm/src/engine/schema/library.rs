//! The documents that schemas are in, and what a reference leads to.
//!
//! A document has resources: schemas that give themselves an address, and its root. References are resolved against the
//! resource they stand in. Values are told apart by where they are in memory: a library never changes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::LazyLock;

use formats::go;
use serde_json::Value;

use super::draft::Draft;
use super::source::Elsewhere;
use super::step::{Key, Step};

/// A schema, as a part of a document.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schema<'s> {
    pub(super) value: &'s Value,
    /// Its document and resource in the library.
    document: usize,
    resource: usize,
}

impl Schema<'_> {
    /// Whether both are the same schema, not merely equal ones.
    pub(super) fn is(&self, other: &Self) -> bool {
        std::ptr::eq(self.value, other.value)
    }
}

/// A document, and what is known by name in it.
struct Document<'s> {
    url: String,
    root: &'s Value,
    /// Whether it stands for one that is left out, whatever is looked for in it.
    is_stand_in: bool,
    resources: Vec<Resource>,
    /// Resources by the addresses of their values.
    by_value: BTreeMap<usize, usize>,
    /// What is said of an address that two resources have.
    duplicate: Option<String>,
}

struct Resource {
    url: String,
    draft: Draft,
    /// Addresses of values by the names that `$anchor` and the like give them.
    anchors: BTreeMap<String, Vec<String>>,
    dynamic_anchors: BTreeSet<String>,
    is_recursive: bool,
    /// The keys that lead to it from the root.
    path: Vec<String>,
}

/// Why a reference leads nowhere, in Go's words.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("json-pointer in {} not found", go::quote(.0))]
    Pointer(String),
    #[error("anchor in {} not found in schema {}", go::quote(reference), go::quote(document))]
    Anchor { reference: String, document: String },
    #[error("failing loading {}: {reason}", go::quote(url))]
    Load { url: String, reason: String },
    #[error("{0}")]
    Duplicate(String),
}

/// Documents that refer to each other.
pub(super) struct Library<'s> {
    documents: Vec<Document<'s>>,
    /// Where documents are had that lie elsewhere.
    elsewhere: Option<&'s Elsewhere<'s>>,
    /// Documents from elsewhere that are not looked at yet.
    fetched: Vec<usize>,
}

fn address(value: &Value) -> usize {
    std::ptr::from_ref(value).addr()
}

/// What any name without a loader stands for.
static ANYTHING: Value = Value::Bool(true);

impl<'s> Library<'s> {
    /// A library of one document, known as `url`, in a draft unless it says otherwise.
    pub(super) fn new(url: &str, (root, draft): (&'s Value, Draft), elsewhere: Option<&'s Elsewhere<'s>>) -> Self {
        let mut library = Self { documents: Vec::new(), elsewhere, fetched: Vec::new() };
        library.add(url, root, draft);
        library
    }

    fn add(&mut self, url: &str, root: &'s Value, draft: Draft) -> usize {
        let by_value = BTreeMap::new();
        let (url, resources) = (url.to_owned(), Vec::new());
        let mut document =
            Document { url: url.clone(), root, is_stand_in: false, resources, by_value, duplicate: None };
        let named = root.get("$schema").and_then(Value::as_str).and_then(Draft::of_url);
        document.add_resource(root, url, named.unwrap_or(draft), &[]);
        document.collect(root, 0, &mut Vec::new());
        self.documents.push(document);
        self.documents.len() - 1
    }

    /// What is wrong with the addresses in the first document.
    pub(super) fn duplicate(&self) -> Option<&str> {
        self.documents[0].duplicate.as_deref()
    }

    /// The whole of the first document.
    pub(super) fn root(&self) -> Schema<'s> {
        self.whole(0)
    }

    fn whole(&self, document: usize) -> Schema<'s> {
        Schema { value: self.documents[document].root, document, resource: 0 }
    }

    /// A document from elsewhere that this has not given before, with its address.
    pub(super) fn take_fetched(&mut self) -> Option<(&str, Schema<'s>)> {
        let document = self.fetched.pop()?;
        Some((&self.documents[document].url, self.whole(document)))
    }

    fn resource(&self, schema: &Schema<'_>) -> &Resource {
        &self.documents[schema.document].resources[schema.resource]
    }

    pub(super) fn draft(&self, schema: &Schema<'_>) -> Draft {
        self.resource(schema).draft
    }

    pub(super) fn is_recursive(&self, schema: &Schema<'_>) -> bool {
        self.resource(schema).is_recursive
    }

    /// A schema within `parent`.
    pub(super) fn child(&self, parent: &Schema<'s>, value: &'s Value) -> Schema<'s> {
        let known = self.documents[parent.document].by_value.get(&address(value));
        Schema { value, document: parent.document, resource: known.copied().unwrap_or(parent.resource) }
    }

    /// The schema with a dynamic anchor in the resource of `schema`.
    pub(super) fn dynamic(&self, schema: &Schema<'s>, anchor: &str) -> Option<Schema<'s>> {
        let resource = self.resource(schema);
        let path = resource.anchors.get(anchor).filter(|_| resource.dynamic_anchors.contains(anchor))?;
        self.at(schema.document, &[], path)
    }

    /// What a reference in `schema` leads to. Other documents are schemas of schemas, or lie elsewhere.
    pub(super) fn resolve(&mut self, schema: &Schema<'s>, reference: &str) -> Result<Schema<'s>, Error> {
        let (place, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let base = &self.resource(schema).url;
        let url = if place.is_empty() { base.clone() } else { join(base, place) };
        let (document, resource) = match self.find(schema.document, &url) {
            Some(found) => found,
            None => (self.load(&url)?, 0),
        };
        if self.documents[document].is_stand_in {
            return Ok(self.whole(document));
        }
        let Resource { anchors, path, .. } = &self.documents[document].resources[resource];
        let text = unescape_percent(fragment);
        if text.is_empty() || text.starts_with('/') {
            let keys: Vec<String> = text.split('/').skip(1).map(unescape).collect();
            self.at(document, path, &keys).ok_or_else(|| Error::Pointer(format!("{url}#{fragment}")))
        } else {
            let found = anchors.get(&text).and_then(|path| self.at(document, &[], path));
            let named = || Error::Anchor {
                reference: format!("{url}#{fragment}"),
                document: self.documents[document].url.clone(),
            };
            found.ok_or_else(named)
        }
    }

    /// A resource by its address, in the document at hand first.
    fn find(&self, near: usize, url: &str) -> Option<(usize, usize)> {
        let within = |document: usize| {
            let resources = &self.documents[document].resources;
            let own = (self.documents[document].url == url).then_some(0);
            let found = own.or_else(|| resources.iter().position(|resource| resource.url == url));
            found.map(|resource| (document, resource))
        };
        within(near)
            .or_else(|| (0..self.documents.len()).find(|index| self.documents[*index].url == url).and_then(within))
    }

    fn load(&mut self, url: &str) -> Result<usize, Error> {
        if let Some((root, draft)) = metaschema(url) {
            return Ok(self.add(url, root, draft));
        }
        if url.starts_with("urn:") {
            // As Helm, which knows no such names and lets anything pass.
            return Ok(self.add(url, &ANYTHING, Draft::Y2020));
        }
        let Some(elsewhere) = self.elsewhere.filter(|_| is_remote(url)) else { return Err(refusal(url)) };
        let value = elsewhere.get(url).map_err(|reason| Error::Load { url: url.to_owned(), reason })?;
        let draft = value.map_or(Ok(Draft::Y2020), |value| draft_of(value, self.elsewhere))?;
        let document = self.add(url, value.unwrap_or(&ANYTHING), draft);
        self.documents[document].is_stand_in = value.is_none();
        if let Some(words) = self.documents[document].duplicate.take() {
            return Err(Error::Duplicate(words));
        }
        self.fetched.extend(value.map(|_| document));
        Ok(document)
    }

    /// The schema at a path of keys from another path in a document.
    fn at(&self, document: usize, base: &[String], keys: &[String]) -> Option<Schema<'s>> {
        base.iter().chain(keys).try_fold(self.whole(document), |schema, key| {
            let value = match schema.value {
                Value::Array(items) => items.get(key.parse::<usize>().ok()?)?,
                other => other.get(key)?,
            };
            Some(self.child(&schema, value))
        })
    }

    /// The address of a schema, with the pointer to it.
    pub(super) fn location(&self, schema: &Schema<'_>) -> String {
        let document = &self.documents[schema.document];
        let mut path = Vec::new();
        find_path(document.root, schema.value, &mut path);
        format!("{}#{}", document.url, escape_percent(&pointer(&path)))
    }
}

impl<'s> Document<'s> {
    fn add_resource(&mut self, value: &'s Value, url: String, draft: Draft, path: &[Step<'_>]) -> usize {
        let is_recursive = value.get("$recursiveAnchor") == Some(&Value::Bool(true)) && draft >= Draft::Y2019;
        let (anchors, dynamic_anchors) = (BTreeMap::new(), BTreeSet::new());
        let path = keys(path);
        self.resources.push(Resource { url, draft, anchors, dynamic_anchors, is_recursive, path });
        self.by_value.insert(address(value), self.resources.len() - 1);
        self.resources.len() - 1
    }

    fn note_duplicate(&mut self, url: &str, path: &[Step<'_>]) {
        let Some(known) = self.resources.iter().find(|resource| resource.url == url) else { return };
        let [first, second] = [&known.path, &keys(path)].map(|path| go::quote(&pointer(path)));
        let (url, document) = (go::quote(url), go::quote(&self.url));
        let words = || format!("duplicate id {url} in {document} at {first} and {second}");
        self.duplicate.get_or_insert_with(words);
    }

    /// Notes what a schema and those within it call themselves.
    fn collect(&mut self, schema: &'s Value, within: usize, path: &mut Vec<Step<'s>>) {
        let draft = self.resources[within].draft;
        let id = draft.id(schema).map(|id| id.split_once('#').unwrap_or((id, "")));
        let mut resource = within;
        if let Some((place, _)) = id.filter(|(place, _)| !place.is_empty()) {
            let url = join(&self.resources[within].url, place);
            if path.is_empty() {
                self.resources[0].url = url;
            } else {
                self.note_duplicate(&url, path);
                resource = self.add_resource(schema, url, draft, path);
            }
        }
        let anchor = |keyword: &str| schema.get(keyword).and_then(Value::as_str);
        let names = match draft {
            Draft::Four | Draft::Six | Draft::Seven => [id.map(|(_, name)| name).filter(|name| is_name(name)), None],
            Draft::Y2019 => [anchor("$anchor"), None],
            Draft::Y2020 => [anchor("$anchor"), anchor("$dynamicAnchor")],
        };
        for name in names.into_iter().flatten() {
            self.resources[resource].anchors.insert(name.to_owned(), keys(path));
        }
        if let [_, Some(name)] = names {
            self.resources[resource].dynamic_anchors.insert(name.to_owned());
        }
        draft.visit_subschemas(schema, |step, value| {
            path.push(step);
            self.collect(value, resource, path);
            path.pop();
        });
    }
}

fn is_name(fragment: &str) -> bool {
    !fragment.is_empty() && !fragment.starts_with('/')
}

/// Whether an address is asked for over the network.
fn is_remote(url: &str) -> bool {
    matches!(url.split_once(':'), Some(("http" | "https", _)))
}

/// The draft of a document: the one its `$schema` names, or the one of the schema of schemas at that address.
///
/// # Errors
/// That schema of schemas is not to be had, or leads to itself.
pub(super) fn draft_of(document: &Value, elsewhere: Option<&Elsewhere<'_>>) -> Result<Draft, Error> {
    let mut document = document;
    let mut seen = BTreeSet::new();
    loop {
        let Some(named) = document.get("$schema").and_then(Value::as_str) else { return Ok(Draft::Y2020) };
        if let Some(draft) = Draft::of_url(named) {
            return Ok(draft);
        }
        let url = named.split('#').next().unwrap_or(named);
        let Some(elsewhere) = elsewhere.filter(|_| is_remote(url)) else { return Err(refusal(url)) };
        let failed = |reason| Error::Load { url: url.to_owned(), reason };
        if !seen.insert(url.to_owned()) {
            return Err(failed("it is its own $schema".to_owned()));
        }
        let Some(next) = elsewhere.get(url).map_err(failed)? else { return Ok(Draft::Y2020) };
        document = next;
    }
}

/// Why the document at an address is not had.
fn refusal(url: &str) -> Error {
    let reason = match url.split_once(':') {
        Some(("file", path)) => {
            let path = path.strip_prefix("//").and_then(|path| path.find('/').map(|slash| &path[slash..]));
            format!("open {}: no such file or directory", path.unwrap_or_default())
        }
        _ => format!("no URLLoader registered for {}", go::quote(url)),
    };
    Error::Load { url: url.to_owned(), reason }
}

/// The keys that lead from `value` to `wanted`.
fn find_path(value: &Value, wanted: &Value, path: &mut Vec<String>) -> bool {
    if std::ptr::eq(value, wanted) {
        return true;
    }
    let mut visit = |key: String, value: &Value| {
        path.push(key);
        let found = find_path(value, wanted, path);
        if !found {
            path.pop();
        }
        found
    };
    match value {
        Value::Object(entries) => entries.iter().any(|(key, value)| visit(key.clone(), value)),
        Value::Array(items) => items.iter().enumerate().any(|(index, value)| visit(index.to_string(), value)),
        _ => false,
    }
}

/// A schema of schemas by its address, and its draft.
pub(super) fn metaschema(url: &str) -> Option<(&'static Value, Draft)> {
    static ALL: LazyLock<BTreeMap<String, (Value, Draft)>> = LazyLock::new(|| {
        // The specification's own, as published on json-schema.org.
        let texts = [
            (include_str!("metaschemas/draft-04.json"), Draft::Four),
            (include_str!("metaschemas/draft-06.json"), Draft::Six),
            (include_str!("metaschemas/draft-07.json"), Draft::Seven),
            (include_str!("metaschemas/2019-09.json"), Draft::Y2019),
            (include_str!("metaschemas/2020-12.json"), Draft::Y2020),
        ];
        let mut all = BTreeMap::new();
        for (text, draft) in texts {
            let documents = match serde_json::from_str(text).unwrap_or_default() {
                Value::Array(documents) => documents,
                document => vec![document],
            };
            for document in documents {
                let id = draft.id(&document).unwrap_or_default().trim_end_matches('#').to_owned();
                all.insert(id, (document, draft));
            }
        }
        all
    });
    ALL.get(url).map(|(value, draft)| (value, *draft))
}

/// A relative reference taken from a base address.
fn join(base: &str, reference: &str) -> String {
    if reference.split(['/', '?']).next().is_some_and(|start| start.contains(':')) {
        return reference.to_owned();
    }
    // A slash in a query is no folder, and `..` in one leads nowhere.
    let base = base.split('?').next().unwrap_or(base);
    let (reference, query) = reference.split_at(reference.find('?').unwrap_or(reference.len()));
    let Some(authority) = base.find("://").map(|at| at + 3) else { return format!("{reference}{query}") };
    let path = base[authority..].find('/').map_or(base.len(), |slash| authority + slash);
    if reference.starts_with("//") {
        return format!("{}{reference}{query}", &base[..authority - 2]);
    }
    let joined = if reference.starts_with('/') {
        reference.to_owned()
    } else {
        let folder = base[path..].rfind('/').map_or("/", |slash| &base[path..=path + slash]);
        format!("{folder}{reference}")
    };
    format!("{}{}{query}", &base[..path], crate::chart::path::clean(&joined))
}

fn unescape(key: &str) -> String {
    key.replace("~1", "/").replace("~0", "~")
}

fn keys(path: &[Step<'_>]) -> Vec<String> {
    path.iter().flat_map(|step| step.keys()).collect()
}

fn pointer(path: &[String]) -> String {
    path.iter().flat_map(|key| ["/".to_owned(), Key::Name(key).to_string()]).collect()
}

/// As a fragment of a URL.
fn escape_percent(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => escaped.push(char::from(byte)),
            _ if b"-_.~$&+/:=@".contains(&byte) => escaped.push(char::from(byte)),
            other => write!(escaped, "%{other:02X}").expect("writing to a string does not fail"),
        }
    }
    escaped
}

fn unescape_percent(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = hex.and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(|_| *first == b'%');
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
