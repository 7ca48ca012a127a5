//! Changes of what a chart renders, as kustomize makes them: patches, images, labels and annotations.
//!
//! An object that nothing changes keeps its text byte for byte; one that is changed is written anew, below the same `# Source:`.

mod images;
mod merge;
mod patch;

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
    /// The object; none where the text holds none.
    object: Option<Value>,
    changed: bool,
}

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
        for (at, step) in self.steps.iter().enumerate() {
            step.apply(at, &mut documents)?;
        }
        for document in &mut documents {
            document.add("labels", &self.labels);
            document.add("annotations", &self.annotations);
        }
        let changed = documents.split_off(documents.len() - of_hooks);
        if documents.iter().any(|document| document.changed) {
            *manifest = documents.into_iter().map(Document::write).collect::<Result<_, _>>()?;
        }
        let mut written = changed.into_iter().map(Document::text);
        let mut failed = None;
        let mut at = 0;
        hooks.retain_mut(|hook| {
            at += 1;
            match (at <= of_hooks).then(|| written.next()).flatten() {
                Some(Ok(Some(text))) => hook.manifest = text,
                Some(Ok(None)) => return false,
                Some(Err(error)) => failed = Some(error),
                None => {}
            }
            true
        });
        failed.map_or(Ok(()), Err)
    }
}

impl Step {
    fn apply(&self, at: usize, documents: &mut [Document]) -> Result<(), Error> {
        for (number, patch) in self.patches.iter().enumerate() {
            let name = format!("spec.postRenderers[{at}].kustomize.patches[{number}]");
            let mut is_found = false;
            for document in documents.iter_mut() {
                let Some(object) = document.object.as_mut().filter(|object| patch.is_for(object)) else { continue };
                is_found = true;
                let described = describe(object);
                match patch.apply(object) {
                    Ok(true) => document.changed = true,
                    Ok(false) => (document.object, document.changed) = (None, true),
                    Err(why) => return Err(Error::Apply { patch: name, object: described, why }),
                }
            }
            if let Some(object) = patch.needed().filter(|_| !is_found) {
                return Err(Error::NoTarget { patch: name, object });
            }
        }
        for document in documents {
            if let Some(object) = &mut document.object {
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
        let object = parsed.first().map(formats::json::to_serde).filter(Value::is_object);
        Ok(Self { heading, text, object, changed: false })
    }

    fn add(&mut self, field: &str, texts: &BTreeMap<String, String>) {
        let Some(Value::Object(object)) = self.object.as_mut().filter(|_| !texts.is_empty()) else { return };
        let metadata = map_at(object, "metadata");
        let field = map_at(metadata, field);
        field.extend(texts.iter().map(|(key, text)| (key.clone(), Value::from(text.as_str()))));
        self.changed = true;
    }

    /// The text of the object; none where it is deleted.
    fn text(self) -> Result<Option<String>, Error> {
        match (self.changed, &self.object) {
            (false, _) => Ok(Some(self.text)),
            (true, None) => Ok(None),
            (true, Some(object)) => {
                let failed = || Error::Write { object: describe(object) };
                let yaml = formats::yaml::try_emit(&formats::json::from_serde(object)).map_err(|_| failed())?;
                String::from_utf8(yaml).map(Some).map_err(|_| failed())
            }
        }
    }

    /// As a document of a stored manifest.
    fn write(self) -> Result<String, Error> {
        let (heading, changed) = (self.heading.clone(), self.changed);
        let Some(text) = self.text()? else { return Ok(String::new()) };
        let end = if changed || !text.ends_with('\n') { "\n" } else { "" };
        Ok(["---\n", &heading, &text, end].concat().replace("\n\n---", "\n---"))
    }
}

/// The map at `key`, made if it is absent or null.
fn map_at<'a>(parent: &'a mut Map<String, Value>, key: &str) -> &'a mut Map<String, Value> {
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
