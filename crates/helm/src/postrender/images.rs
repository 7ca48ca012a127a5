//! Images by their name, as kustomize replaces them: in the containers of whatever object has some.

use serde_json::Value;

/// An image that is replaced.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    /// Its name, without a tag or digest.
    pub name: String,
    /// The name that takes its place.
    pub new_name: Option<String>,
    /// The tag that takes the place of any tag or digest.
    pub new_tag: Option<String>,
    /// The digest that takes the place of any digest, beside the tag.
    pub digest: Option<String>,
}

/// Replaces images wherever `value` has containers; whether there were any to replace.
pub(super) fn replace(images: &[Image], value: &mut Value) -> bool {
    let mut changed = false;
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                if matches!(key.as_str(), "containers" | "initContainers") {
                    for container in value.as_array_mut().into_iter().flatten() {
                        changed |= container.get_mut("image").is_some_and(|image| replace_one(images, image));
                    }
                }
                changed |= replace(images, value);
            }
        }
        Value::Array(items) => {
            for item in items {
                changed |= replace(images, item);
            }
        }
        _ => {}
    }
    changed
}

fn replace_one(images: &[Image], image: &mut Value) -> bool {
    let mut changed = false;
    for wanted in images {
        let Some(replaced) = image.as_str().and_then(|image| wanted.replaced(image)) else { continue };
        changed |= *image != replaced.as_str();
        *image = replaced.into();
    }
    changed
}

impl Image {
    /// What takes the place of `image`, if it is this one.
    fn replaced(&self, image: &str) -> Option<String> {
        let (named, digest) = image.split_once('@').map_or((image, None), |(named, digest)| (named, Some(digest)));
        // A colon before a slash is that of a port.
        let (name, tag) = match named.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (named, None),
        };
        if name != self.name {
            return None;
        }
        let (tag, digest) = match (&self.new_tag, &self.digest) {
            (None, None) => (tag, digest),
            (Some(tag), None) => (Some(tag.as_str()), None),
            (None, Some(digest)) => (None, Some(digest.as_str())),
            (Some(tag), Some(digest)) => (Some(tag.as_str()), Some(digest.as_str())),
        };
        let mut replaced = self.new_name.as_ref().unwrap_or(&self.name).clone();
        if let Some(tag) = tag {
            replaced.extend([":", tag]);
        }
        if let Some(digest) = digest {
            replaced.extend(["@", digest]);
        }
        Some(replaced)
    }
}
