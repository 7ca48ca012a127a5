//! Changes of what a chart renders, as kustomize makes them: patches, images, labels and annotations.
//!
//! An object that nothing changes keeps its text byte for byte; one that is changed is written anew, below the same `# Source:`.

mod images;
mod merge;
mod patch;
mod schema;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

pub use images::Image;
pub use patch::Patch;

use crate::manifest::{Hook, split};
use crate::selector::{self, Chosen};

/// One step of changes: its patches in their order, then its images.
#[derive(Debug, Clone, Default)]
pub struct Step {
    /// Patches.
    pub patches: Vec<Patch>,
    /// Images that are replaced.
    pub images: Vec<Image>,
}

/// All changes: the steps in their order, then what all objects get.
#[derive(Debug, Clone, Default)]
pub struct PostRenderers {
    /// The steps.
    pub steps: Vec<Step>,
    /// Labels of all objects.
    pub labels: BTreeMap<String, String>,
    /// Annotations of all objects.
    pub annotations: BTreeMap<String, String>,
    /// Whether hooks are left as they are.
    pub skips_hooks: bool,
    /// The namespace of objects that name none.
    pub namespace: String,
}

/// Why changes cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was rendered cannot be read.
    #[error("failed to read {object} for its changes")]
    Read {
        /// Where it came from.
        object: String,
        /// What is wrong with it.
        #[source]
        source: formats::yaml::Error,
    },
    /// A patch is neither a list of operations nor an object.
    #[error("{patch} is neither a list of JSON patch operations nor an object to merge: {why}")]
    Patch {
        /// Which patch.
        patch: String,
        /// What is wrong with it.
        why: String,
    },
    /// A patch cannot be applied to an object that it is for.
    #[error("{patch} cannot be applied to {object}: {why}")]
    Apply {
        /// Which patch.
        patch: String,
        /// Which object.
        object: String,
        /// Why not.
        why: String,
    },
    /// A patch without a target names an object that is not there.
    #[error("{patch} is for {object}, which the chart does not render")]
    NoTarget {
        /// Which patch.
        patch: String,
        /// Which object.
        object: String,
    },
    /// What is changed has become too large.
    #[error("what is rendered has more than {} MiB after its changes", BYTES >> 20)]
    TooLarge,
    /// An object cannot be written.
    #[error("failed to write {object} after its changes")]
    Write {
        /// Where it came from.
        object: String,
    },
}

/// One document of what was rendered.
struct Document {
    /// The comment above it.
    heading: String,
    text: String,
    /// The list that holds the objects, without them.
    list: Option<Value>,
    /// The object, or those of a list; none where the text holds none.
    objects: Vec<Value>,
    changed: bool,
}

/// How many bytes a changed manifest may have, and hooks: a record could not hold more.
const BYTES: usize = 16 << 20;

impl PostRenderers {
    /// Whether there is nothing to change.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.labels.is_empty() && self.annotations.is_empty()
    }

    /// Makes the changes in a stored manifest, and in hooks. An object that a patch deletes is gone, and so is a hook.
    pub fn apply(&self, manifest: &mut String, hooks: &mut Vec<Hook>) -> Result<(), Error> {
        if self.is_empty() {
            return Ok(());
        }
        let mut documents = split(manifest).into_iter().map(Document::read).collect::<Result<Vec<_>, _>>()?;
        let of_hooks = if self.skips_hooks { 0 } else { hooks.len() };
        for hook in &hooks[..of_hooks] {
            documents.push(Document::parse(String::new(), hook.manifest.clone(), &hook.path)?);
        }
        for step in &self.steps {
            step.apply(&self.namespace, &mut documents)?;
        }
        let changed = documents.split_off(documents.len() - of_hooks);
        let (mut written, mut size) = (String::new(), 0);
        for document in documents {
            written += &document.finished(self, &mut size)?.written();
        }
        *manifest = written;
        let mut texts = Vec::with_capacity(of_hooks);
        for document in changed {
            texts.push(document.finished(self, &mut size)?.text());
        }
        let mut texts = texts.into_iter();
        hooks.retain_mut(|hook| match texts.next() {
            Some(Some(text)) => {
                hook.manifest = text;
                true
            }
            // A patch deleted it.
            Some(None) => false,
            // Hooks are left as they are.
            None => true,
        });
        Ok(())
    }
}

impl Step {
    fn apply(&self, namespace: &str, documents: &mut [Document]) -> Result<(), Error> {
        for patch in &self.patches {
            let mut is_found = false;
            for document in documents.iter_mut() {
                document.patch(patch, namespace, &mut is_found)?;
            }
            if let Some(object) = patch.needed().filter(|_| !is_found) {
                return Err(Error::NoTarget { patch: patch.name().to_owned(), object });
            }
        }
        for document in documents {
            for object in &mut document.objects {
                document.changed |= images::replace(&self.images, object);
            }
        }
        Ok(())
    }
}

impl Document {
    /// One document of a stored manifest, with the comment above it.
    fn read(text: &str) -> Result<Self, Error> {
        let (heading, body) = match text.split_once('\n') {
            Some((first, body)) if first.starts_with("# Source: ") => (format!("{first}\n"), body),
            _ => (String::new(), text),
        };
        let origin = heading.trim_start_matches("# Source: ").trim_end().to_owned();
        Self::parse(heading, body.to_owned(), &origin)
    }

    fn parse(heading: String, text: String, origin: &str) -> Result<Self, Error> {
        let read = |source| Error::Read { object: origin.to_owned(), source };
        let parsed = formats::yaml::parse_all(text.as_bytes()).map_err(read)?;
        let mut object = parsed.first().map(formats::json::to_serde).filter(Value::is_object);
        let is_list = object.as_ref().and_then(|it| it["kind"].as_str()).is_some_and(|kind| kind.ends_with("List"));
        let items = object.as_mut().filter(|_| is_list).and_then(|list| list.get_mut("items")?.as_array_mut());
        match items.map(std::mem::take) {
            Some(objects) => Ok(Self { heading, text, list: object, objects, changed: false }),
            None => Ok(Self { heading, text, list: None, objects: object.into_iter().collect(), changed: false }),
        }
    }

    fn patch(&mut self, patch: &Patch, namespace: &str, is_found: &mut bool) -> Result<(), Error> {
        let mut kept = Vec::with_capacity(self.objects.len());
        for mut object in std::mem::take(&mut self.objects) {
            if !patch.is_for(&object, namespace) {
                kept.push(object);
                continue;
            }
            (*is_found, self.changed) = (true, true);
            let (described, hook) = (describe(&object), of_hook(&object));
            let failed = |why| Error::Apply { patch: patch.name().to_owned(), object: described, why };
            match patch.apply(&mut object) {
                // When a hook runs was read before.
                Ok(true) if of_hook(&object) != hook => {
                    return Err(failed("annotations of hooks cannot be changed: set them in the chart".to_owned()));
                }
                Ok(true) => kept.push(object),
                Ok(false) => {}
                Err(why) => return Err(failed(why)),
            }
        }
        self.objects = kept;
        Ok(())
    }

    /// With the metadata that all objects get; what has become of its size counts.
    fn finished(mut self, post: &PostRenderers, size: &mut usize) -> Result<Self, Error> {
        for object in self.objects.iter_mut().filter_map(Value::as_object_mut) {
            for (field, texts) in [("labels", &post.labels), ("annotations", &post.annotations)] {
                if !texts.is_empty() {
                    let texts = texts.iter().map(|(key, text)| (key.clone(), Value::from(text.as_str())));
                    map_at(map_at(object, "metadata"), field).extend(texts);
                    self.changed = true;
                }
            }
        }
        if self.changed {
            self.text = self.rewritten()?;
        }
        *size += self.text.len();
        if *size > BYTES { Err(Error::TooLarge) } else { Ok(self) }
    }

    /// The text of the objects as they are now; empty where they are deleted.
    fn rewritten(&self) -> Result<String, Error> {
        let whole = match (&self.list, self.objects.as_slice()) {
            (Some(list), objects) => {
                let mut list = list.clone();
                list["items"] = objects.to_vec().into();
                list
            }
            (None, [object, ..]) => object.clone(),
            (None, []) => return Ok(String::new()),
        };
        let failed = || Error::Write { object: describe(&whole) };
        let yaml = formats::yaml::try_emit(&formats::json::from_serde_exact(&whole)).map_err(|_| failed())?;
        String::from_utf8(yaml).map_err(|_| failed())
    }

    /// The text; none where the object is deleted.
    fn text(self) -> Option<String> {
        (!self.changed || !self.text.is_empty()).then_some(self.text)
    }

    /// As a document of a stored manifest.
    fn written(self) -> String {
        let heading = self.heading.clone();
        let Some(text) = self.text() else { return String::new() };
        let end = if text.ends_with('\n') { "" } else { "\n" };
        ["---\n", &heading, &text, end].concat()
    }
}

/// What of an object says that it is a hook, and when it runs.
fn of_hook(object: &Value) -> BTreeMap<String, String> {
    let mut annotations = selector::texts(&object["metadata"], "annotations");
    annotations.retain(|key, _| key.starts_with("helm.sh/hook"));
    annotations
}

/// The map at `key`, made if it is absent or no map.
///
/// # Panics
///
/// Never: it is made a map first.
pub fn map_at<'a>(parent: &'a mut Map<String, Value>, key: &str) -> &'a mut Map<String, Value> {
    let slot = parent.entry(key).or_insert(Value::Null);
    if !slot.is_object() {
        *slot = Value::Object(Map::new());
    }
    slot.as_object_mut().expect("it was just made a map")
}

/// An object in a few words.
fn describe(object: &Value) -> String {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    format!("{} {:?}", text("/kind"), text("/metadata/name"))
}

/// What of an object a selector looks at.
fn chosen(object: &Value) -> Chosen<'_> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let (group, version) = text("/apiVersion").split_once('/').unwrap_or_else(|| ("", text("/apiVersion")));
    Chosen {
        group,
        version,
        kind: text("/kind"),
        namespace: text("/metadata/namespace"),
        name: text("/metadata/name"),
        labels: selector::texts(&object["metadata"], "labels"),
        annotations: selector::texts(&object["metadata"], "annotations"),
    }
}

#[cfg(test)]
mod tests;
