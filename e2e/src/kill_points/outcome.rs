//! How releases stand, in lines that can be compared: `T` is the token of each.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use helm_operator::api::HelmRelease;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ListParams};
use kube::{Api, Client, ResourceExt as _};
use serde::de::DeserializeOwned;

use crate::model::{self, Event, Release};
use crate::status::Conditioned as _;

/// Lines about one release, in order.
pub(super) type Outcome = BTreeSet<String>;

/// How long a token is: `kp` and four digits.
pub(super) const TOKEN: usize = 6;

/// What every token's releases have come to.
pub(super) struct Snapshot {
    pub(super) releases: BTreeMap<String, HelmRelease>,
    lines: BTreeMap<String, Outcome>,
}

impl Snapshot {
    /// Reads the clusters once for all tokens, the operator's own first, and Helm's history from what was recorded.
    pub(super) async fn take(clients: &[&Client], events: &[Event]) -> Result<Self> {
        let mut snapshot = Self { releases: BTreeMap::new(), lines: BTreeMap::new() };
        if let Some(home) = clients.first() {
            for release in Api::<HelmRelease>::all((*home).clone()).list(&ListParams::default()).await? {
                snapshot.releases.insert(release.namespace().unwrap_or_default(), release);
            }
        }
        for client in clients {
            snapshot.objects(client).await?;
        }
        snapshot.histories(events);
        Ok(snapshot)
    }

    async fn objects(&mut self, client: &Client) -> Result<()> {
        let maps = ListParams::default().fields("metadata.name!=kube-root-ca.crt");
        for map in there::<ConfigMap>(client, &maps).await? {
            let data = map.data.clone().unwrap_or_default();
            let values = ["version", "greeting"].map(|key| data.get(key).cloned().unwrap_or_default());
            self.object("ConfigMap", &map, &values.join(" "));
        }
        let any = ListParams::default();
        there::<Job>(client, &any).await?.iter().for_each(|job| self.object("Job", job, ""));
        there::<Service>(client, &any).await?.iter().for_each(|service| self.object("Service", service, ""));
        there::<Deployment>(client, &any).await?.iter().for_each(|web| self.object("Deployment", web, ""));
        self.widgets(client).await
    }

    async fn widgets(&mut self, client: &Client) -> Result<()> {
        let definitions = Api::<CustomResourceDefinition>::all(client.clone()).list(&ListParams::default()).await?;
        for definition in definitions {
            let Some(token) = definition.spec.group.strip_suffix(".example.com") else { continue };
            self.line(token, "CustomResourceDefinition widgets.T");
            let kind = ApiResource::from_gvk(&GroupVersionKind::gvk(&definition.spec.group, "v1", "Widget"));
            let widgets: Api<DynamicObject> = Api::all_with(client.clone(), &kind);
            // A definition that is new is not served yet.
            for widget in widgets.list(&ListParams::default()).await.into_iter().flatten() {
                self.object("Widget", &widget, "");
            }
        }
        Ok(())
    }

    fn histories(&mut self, events: &[Event]) {
        let releases: BTreeSet<&Release> = events.iter().map(|event| &event.release).collect();
        for release in releases {
            let of_release: Vec<Event> = events.iter().filter(|event| event.release == *release).cloned().collect();
            let history = model::history(&of_release, release);
            let told = if history.is_empty() { "none" } else { &history };
            self.line(&release.namespace, &format!("release {release}: {told}"));
        }
    }

    fn object(&mut self, kind: &str, object: &impl kube::Resource, told: &str) {
        if object.meta().deletion_timestamp.is_none() {
            let namespace = object.namespace().unwrap_or_default();
            let line = format!("{kind} {namespace}/{} {told}", object.name_any());
            self.line(&namespace, line.trim_end());
        }
    }

    fn line(&mut self, namespace: &str, line: &str) {
        if let Some(token) = namespace.get(..TOKEN).filter(|token| token.starts_with("kp")) {
            self.lines.entry(token.to_owned()).or_default().insert(line.replace(token, "T"));
        }
    }

    /// The lines about one token.
    pub(super) fn of(&self, token: &str) -> Outcome {
        let mut lines = self.lines.get(token).cloned().unwrap_or_default();
        lines.insert(match self.releases.get(token) {
            None => "HelmRelease gone".to_owned(),
            Some(release) => {
                let stands = |kind: &str| {
                    let found = release.conditions().iter().find(|condition| condition.type_ == kind);
                    found.map_or("none", |condition| &condition.status).to_owned()
                };
                let observed = release.observed_generation() == release.metadata.generation;
                let stalled = if stands("Stalled") == "True" { " Stalled" } else { "" };
                let listed = release.status.as_ref().map(|status| status.kube_configs.join(", ")).unwrap_or_default();
                let listed = if listed.is_empty() { listed } else { format!(" in {listed}") };
                if observed {
                    format!("HelmRelease{listed} Ready={}{stalled}", stands("Ready"))
                } else {
                    "HelmRelease unobserved".into()
                }
            }
        });
        lines
    }
}

async fn there<K>(client: &Client, chosen: &ListParams) -> Result<Vec<K>>
where
    K: kube::Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    Ok(Api::<K>::all(client.clone()).list(chosen).await?.items)
}
