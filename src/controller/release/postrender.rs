//! The declared changes of what a chart renders. Pure.

use helm::postrender::{Image, Patch, PostRenderers, Step};
use serde_json::json;

use super::differences::selector;
use crate::api::{HelmReleaseSpec, KustomizeImage, KustomizePatch, PostRenderStrategy, Reason};
use crate::controller::error::{ReconcileError, chain};

/// The changes, and a text that tells them apart from others; an empty one where there are none.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// The changes.
    pub(crate) post: PostRenderers,
    /// What is declared of them.
    pub(crate) declared: String,
}

/// Parses what is declared.
pub(crate) fn of(spec: &HelmReleaseSpec) -> Result<Changes, ReconcileError> {
    let common = spec.common_metadata.clone().unwrap_or_default();
    let steps = spec.post_renderers.iter().enumerate().filter_map(|(at, it)| Some((at, it.kustomize.as_ref()?)));
    let step = |(at, kustomize): (usize, &crate::api::Kustomize)| {
        let patch = |(number, declared): (usize, &KustomizePatch)| {
            let KustomizePatch { patch, target } = declared;
            let name = format!("spec.postRenderers[{at}].kustomize.patches[{number}]");
            let target = target.as_ref().map(|target| selector(Some(target), &format!("{name}.target"))).transpose()?;
            Patch::parse(&name, patch, target)
                .map_err(|error| ReconcileError::new(Reason::ConfigurationError, chain(&error)))
        };
        let image = |declared: &KustomizeImage| {
            let KustomizeImage { name, new_name, new_tag, digest } = declared.clone();
            Image { name, new_name, new_tag, digest }
        };
        Ok(Step {
            patches: kustomize.patches.iter().enumerate().map(patch).collect::<Result<_, ReconcileError>>()?,
            images: kustomize.images.iter().map(image).collect(),
        })
    };
    let post = PostRenderers {
        steps: steps.map(step).collect::<Result<_, ReconcileError>>()?,
        labels: common.labels,
        annotations: common.annotations,
        skips_hooks: spec.post_render_strategy == Some(PostRenderStrategy::Nohooks),
    };
    if post.is_empty() {
        return Ok(Changes::default());
    }
    let declared = json!([&spec.post_renderers, &spec.common_metadata, post.skips_hooks]).to_string();
    Ok(Changes { post, declared })
}
