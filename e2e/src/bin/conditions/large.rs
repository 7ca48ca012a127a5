//! One release of many objects: installed, upgraded with one change, uninstalled.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Result, ensure};
use e2e::charts::Chart;
use e2e::story::{Story, alone, as_it_is};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt as _;
use kube::api::ListParams;
use serde_json::json;

use crate::figures::Figure;
use crate::{figure, since};

/// As many objects as the values say; one of them holds a value.
const MAPS: &str = r"{{ range until (int .Values.objects) }}apiVersion: v1
kind: ConfigMap
metadata:
  name: m{{ . }}
data:
  color: {{ if eq . 7 }}{{ $.Values.color }}{{ else }}none{{ end }}
---
{{ end }}";

pub(crate) fn measure(objects: usize) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    alone("large", as_it_is, async |story| {
        let chart = Chart::new("large", "1.0.0").file("values.yaml", "objects: 1\ncolor: red\n");
        story.push(&chart.file("templates/maps.yaml", MAPS)).await?;
        story.open_repository().await?;
        let start = Instant::now();
        story.release("large", "large", "1.0.0", json!({ "values": { "objects": objects } })).await?;
        story.ready("large").await?;
        figures.push(figure(format!("seconds until {objects} objects are installed"), since(start), crate::NO_LIMIT));
        let before = versions(story).await?;
        ensure!(before.len() == objects, "{} objects", before.len());
        let start = Instant::now();
        story.patch("large", json!({ "spec": { "values": { "color": "blue" } } })).await?;
        story.ready("large").await?;
        figures.push(figure("seconds of an upgrade with one change", since(start), crate::NO_LIMIT));
        let after = versions(story).await?;
        let written = after.iter().filter(|(name, version)| before.get(*name) != Some(version)).count();
        #[expect(clippy::cast_precision_loss, reason = "some hundreds")]
        figures.push(figure("objects that it wrote", written as f64, 1.0));
        let start = Instant::now();
        story.delete("large").await?;
        figures.push(figure("seconds until all is uninstalled", since(start), crate::NO_LIMIT));
        Ok(())
    })?;
    Ok(figures)
}

/// The objects and their versions.
async fn versions(story: &Story<'_>) -> Result<BTreeMap<String, Option<String>>> {
    let maps = story.objects::<ConfigMap>();
    let of_helm = ListParams::default().labels("app.kubernetes.io/managed-by=Helm");
    let maps = maps.list_metadata(&of_helm).await?;
    Ok(maps.items.into_iter().map(|map| (map.name_any(), map.resource_version())).collect())
}
