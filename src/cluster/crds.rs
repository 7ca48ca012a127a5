//! What must exist before a release's objects: its namespace and the CRDs in the chart's `crds/` folder.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::discovery::Served;
use super::object::{Object, Source};
use super::order::concurrently;
use super::wait::{Question, Target, Unsettled, Version};
use super::watch::Marks;
use super::{Change, Cluster, Error};

/// Between looks at what the server serves, after a CRD is established: discovery follows within moments.
const DISCOVERY_PAUSE: Duration = Duration::from_millis(100);

impl Cluster {
    /// Makes the namespace if it does not exist, with the label `name` as Helm's `--create-namespace`. One that exists
    /// is left as it is.
    pub async fn ensure_namespace(&self, name: &str) -> Result<Change, Error> {
        let text = json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": { "name": name, "labels": { "name": name } },
        });
        let source = Source { origin: "createNamespace", text: &text.to_string() };
        let mut change = Change::Unchanged;
        for namespace in self.objects(&[source], name).await? {
            if self.requests.metadata(namespace.resource(), namespace.reference()).await?.is_none() {
                change = self.apply_one(&namespace, None, None, false).await?.change;
            }
        }
        Ok(change)
    }

    /// Creates those of `crds` that do not exist, waits until all are established and the server serves their kinds.
    /// One that exists is left as it is, as Helm does. The answer tells how many were created.
    pub async fn install_crds(&self, crds: &[Source<'_>], timeout: Duration) -> Result<usize, Error> {
        let deadline = Instant::now() + timeout;
        let objects = self.objects(crds, "default").await?;
        let created = concurrently(&objects, |object| self.install_crd(object, deadline)).await?;
        let created = created.into_iter().filter(|created| *created).count();
        if created > 0 {
            self.discovery.invalidate();
        }
        self.wait_served(&objects, deadline).await?;
        Ok(created)
    }

    async fn install_crd(&self, crd: &Object, deadline: Instant) -> Result<bool, Error> {
        let existing = self.requests.metadata(crd.resource(), crd.reference()).await?;
        let created = existing.is_none();
        let version = match existing {
            Some(_) if self.serves(crd).await? => return Ok(false),
            Some(metadata) => Version {
                resource_version: metadata.resource_version.unwrap_or_default(),
                generation: metadata.generation.unwrap_or_default(),
            },
            None => {
                let applied = self.apply_one(crd, None, None, false).await?;
                Version { resource_version: applied.resource_version, generation: applied.generation }
            }
        };
        let target = Target {
            object: crd.reference().clone(),
            resource: crd.resource().clone(),
            marks: Marks::Unknown,
            question: Question::Ready(version),
        };
        let left = deadline.saturating_duration_since(Instant::now());
        let unsettled = match self.settle(vec![target], left).await {
            Ok(()) => return Ok(created),
            Err(unsettled) => unsettled,
        };
        let message = match unsettled {
            Unsettled::Late(mut targets) | Unsettled::Failed(mut targets) => targets.swap_remove(0).1,
            Unsettled::Unwatchable(_, message) => message,
        };
        Err(Error::CrdNotEstablished { name: crd.reference().name.clone(), message })
    }

    /// Discovery lags the Established condition a little; objects of the new kinds are refused until it has caught up.
    async fn wait_served(&self, crds: &[Object], deadline: Instant) -> Result<(), Error> {
        for crd in crds {
            while !self.serves(crd).await? {
                if Instant::now() > deadline {
                    let message = "it is established, but the server does not list its kind yet".to_owned();
                    return Err(Error::CrdNotEstablished { name: crd.reference().name.clone(), message });
                }
                tokio::time::sleep(DISCOVERY_PAUSE).await;
                self.discovery.invalidate();
            }
        }
        Ok(())
    }

    /// Whether the kinds that `crd` defines are served. True for anything else that a chart keeps in `crds/`.
    async fn serves(&self, crd: &Object) -> Result<bool, Error> {
        let kinds = self.discovery.kinds_with(std::iter::empty()).await?;
        let defined = defined_kinds(crd.content());
        Ok(defined.iter().all(|(version, kind)| matches!(kinds.find(version, kind), Served::Found(_))))
    }
}

/// `group/version` and kind of each version that the CRD serves.
fn defined_kinds(crd: &serde_json::Map<String, Value>) -> Vec<(String, String)> {
    let spec = crd.get("spec").unwrap_or(&Value::Null);
    let (Some(group), Some(kind)) = (spec["group"].as_str(), spec["names"]["kind"].as_str()) else {
        return Vec::new();
    };
    let versions = spec["versions"].as_array().into_iter().flatten();
    let served = versions.filter(|version| version["served"] == true).filter_map(|version| version["name"].as_str());
    served.map(|version| (format!("{group}/{version}"), kind.to_owned())).collect()
}
