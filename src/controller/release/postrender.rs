//! The declared changes of what a chart renders. Pure.

use helm::postrender::{Image, Patch, PostRenderers, Step};
use serde_json::json;

use super::differences::selector;
use crate::api::{CommonMetadata, HelmReleaseSpec, KustomizeImage, KustomizePatch, PostRenderStrategy, Reason};
use crate::controller::error::{ReconcileError, chain};

/// The changes, and a text that tells them apart from others; an empty one where there are none.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// The changes.
    pub(crate) post: PostRenderers,
    /// What is declared of them.
    pub(crate) declared: String,
}

/// The longest name of a label or an annotation, and the longest value of a label.
const NAME: usize = 63;

/// The longest prefix of a name.
const PREFIX: usize = 253;

/// Parses what is declared of a release in `namespace`.
pub(crate) fn of(spec: &HelmReleaseSpec, namespace: &str) -> Result<Changes, ReconcileError> {
    let common = spec.common_metadata.clone().unwrap_or_default();
    check(&common)?;
    let steps = spec.post_renderers.iter().enumerate().filter_map(|(at, it)| Some((at, it.kustomize.as_ref()?)));
    let step = |(at, kustomize): (usize, &crate::api::Kustomize)| {
        let patch = |(number, declared): (usize, &KustomizePatch)| {
            let KustomizePatch { patch, target } = declared;
            let name = format!("spec.postRenderers[{at}].kustomize.patches[{number}]");
            let target = target.as_ref().map(|target| selector(Some(target), &format!("{name}.target"))).transpose()?;
            Patch::parse(&name, patch, target.as_ref())
                .map_err(|error| ReconcileError::new(Reason::ConfigurationError, chain(&error)))
        };
        let image = |declared: &KustomizeImage| {
            let KustomizeImage { name, new_name, new_tag, digest } = declared.clone();
            Image { name, new_name, new_tag, digest }
        };
        Ok(Step {
            patches: kustomize
                .patches
                .iter()
                .enumerate()
                .map(patch)
                .collect::<Result<Vec<_>, ReconcileError>>()?
                .concat(),
            images: kustomize.images.iter().map(image).collect(),
        })
    };
    let post = PostRenderers {
        steps: steps.map(step).collect::<Result<_, ReconcileError>>()?,
        labels: common.labels,
        annotations: common.annotations,
        skips_hooks: spec.post_render_strategy == Some(PostRenderStrategy::Nohooks),
        namespace: namespace.to_owned(),
    };
    if post.is_empty() {
        return Ok(Changes::default());
    }
    let declared = json!([&spec.post_renderers, &spec.common_metadata, post.skips_hooks]).to_string();
    Ok(Changes { post, declared })
}

/// Whether objects can have these labels and annotations.
fn check(common: &CommonMetadata) -> Result<(), ReconcileError> {
    let names = [("labels", &common.labels), ("annotations", &common.annotations)];
    let mut names = names.into_iter().flat_map(|(field, map)| map.keys().map(move |name| (field, name)));
    let wrong = |message| Err(ReconcileError::new(Reason::ConfigurationError, message));
    if let Some((field, name)) = names.find(|(_, name)| !is_name(name)) {
        return wrong(format!(
            "spec.commonMetadata.{field}: {name:?} is no name that an object's {field} can have: letters, digits, '-', '_' and '.', at \
             most {NAME}, below a domain and '/' where there is one"
        ));
    }
    match common.labels.iter().find(|(_, value)| !value.is_empty() && !is_word(value)) {
        Some((name, value)) => wrong(format!(
            "spec.commonMetadata.labels: {name} cannot be {value:?}: a label is at most {NAME} letters, digits, '-', '_' and '.', with a \
             letter or digit at both ends"
        )),
        None => Ok(()),
    }
}

/// Whether it is a qualified name, as the API server checks it.
fn is_name(name: &str) -> bool {
    let (prefix, name) = name.split_once('/').map_or((None, name), |(prefix, name)| (Some(prefix), name));
    let is_lower = |part: &str| is_word(part) && !part.contains(['_', '.']) && !part.contains(char::is_uppercase);
    is_word(name) && prefix.is_none_or(|prefix| prefix.len() <= PREFIX && prefix.split('.').all(is_lower))
}

fn is_word(text: &str) -> bool {
    let is_inner = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    let is_end = |letter: char| letter.is_ascii_alphanumeric();
    (1..=NAME).contains(&text.len()) && text.chars().all(is_inner) && text.starts_with(is_end) && text.ends_with(is_end)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn labels_and_annotations_are_such_as_an_object_can_have() {
        let long = "a".repeat(64);
        let cases = [
            ("team", "shop", true),
            ("app.kubernetes.io/part-of", "Shop_1.0", true),
            ("team", "", true),
            ("te am", "shop", false),
            ("Example.com/team", "shop", false),
            ("a/b/c", "shop", false),
            ("/team", "shop", false),
            ("", "shop", false),
            ("team", "-shop", false),
            ("team", "sh op", false),
            ("team", long.as_str(), false),
            (long.as_str(), "shop", false),
        ];
        for (name, value, is_fine) in cases {
            let labels = BTreeMap::from([(name.to_owned(), value.to_owned())]);
            assert_eq!(
                check(&CommonMetadata { labels, ..CommonMetadata::default() }).is_ok(),
                is_fine,
                "{name}={value}"
            );
        }
        let annotations = BTreeMap::from([("note".to_owned(), format!("{long} and more"))]);
        assert!(check(&CommonMetadata { annotations, ..CommonMetadata::default() }).is_ok());
    }
}
