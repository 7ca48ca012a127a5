//! What must exist before a release's objects: its namespace and the CRDs in the chart's `crds/` folder.

mod changes;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use helm::engine::Capabilities;

use kube::core::params::ListParams;
use serde_json::{Value, json};

use self::changes::Verdict;

use super::apply::How;
use super::checks::Judge;
use super::discovery::Served;
use super::object::{self, Object, Source};
use super::order::concurrently;
use super::ownership;
use super::wait::{AsOf, Question, Target, Unsettled};
use super::watch::Marks;
use super::{Applied, Change, Cluster, Error, Owner, Reach, Resource};

const CRD: &str = "CustomResourceDefinition";

/// Between looks at what the server serves, after a CRD is established: discovery mostly follows within moments.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// What becomes of definitions that exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// They stay as they are, as with Helm.
    Keep,
    /// They become as the chart has them, where no object loses anything by it.
    Replace,
    /// They become as the chart has them, though objects lose fields.
    ReplaceWithLoss,
}

impl Cluster {
    /// Makes the namespace if it does not exist, with the label `name` as Helm's `--create-namespace`. One that exists
    /// is left as it is.
    pub async fn ensure_namespace(&self, name: &str) -> Result<Change, Error> {
        let mut change = Change::Unchanged;
        for namespace in self.namespace_objects(name).await? {
            if self.requests.metadata(namespace.resource(), namespace.reference()).await?.is_none() {
                change = self.apply_one(&namespace, None, How::default()).await?.change;
            }
        }
        Ok(change)
    }

    /// A namespace as it would be made.
    pub(super) async fn namespace_objects(&self, name: &str) -> Result<Vec<Object>, Error> {
        let text = json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": { "name": name, "labels": { "name": name } },
        });
        self.objects(&[Source { origin: "createNamespace", text: &text.to_string() }], name).await
    }

    /// What charts see as `.Capabilities` once `crds` are installed.
    pub async fn capabilities_with(&self, crds: &[Source<'_>]) -> Result<Capabilities, Error> {
        let mut capabilities = self.capabilities().await?;
        if crds.is_empty() {
            return Ok(capabilities);
        }
        let documents = object::parsed(crds).await?;
        let defined = object::contents_of(&documents, CRD).flat_map(defined_resources);
        let named = defined.flat_map(|it| [it.api_version(), format!("{}/{}", it.api_version(), it.kind)]);
        let versions: BTreeSet<String> = capabilities.api_versions.iter().cloned().chain(named).collect();
        capabilities.api_versions = versions.into_iter().collect();
        Ok(capabilities)
    }

    /// Creates those of `crds` that do not exist, waits until all are established and the server serves their kinds.
    /// What becomes of one that exists, `existing` says; it is waited for as it is then. One that was a part of a release is
    /// replaced for that release alone, whose chart has it in `crds/` by now. The answer tells how many were created or changed.
    pub async fn install_crds(
        &self,
        crds: &[Source<'_>],
        existing: Existing,
        timeout: Duration,
        owner: Option<&Owner>,
    ) -> Result<usize, Error> {
        let deadline = Instant::now() + timeout;
        let objects = self.objects(crds, owner.map_or("default", |owner| &owner.namespace)).await?;
        let installed = concurrently(&objects, |object| async move {
            match existing {
                // As Helm, which takes whatever is there; but that is nobody's to replace.
                _ if !object.reference().defines_kinds() => self.install_crd(object, deadline).await,
                Existing::Keep => self.install_crd(object, deadline).await,
                Existing::Replace => self.replace_crd(object, false, deadline, owner).await,
                Existing::ReplaceWithLoss => self.replace_crd(object, true, deadline, owner).await,
            }
        });
        let installed = installed.await?;
        let created = installed.iter().filter(|(created, _)| *created).count();
        if created > 0 {
            self.discovery.invalidate();
        }
        for (crd, (_, served)) in objects.iter().zip(&installed) {
            self.wait_served(&crd.reference().name, served, deadline).await?;
        }
        Ok(created)
    }

    /// Refuses those of `crds` that do not exist yet and are out of `reach`, as all that have no namespace may be. What needs one
    /// and names none is in `namespace`.
    pub async fn admit_crds(&self, crds: &[Source<'_>], namespace: &str, reach: &Reach) -> Result<(), Error> {
        for crd in self.objects(crds, namespace).await? {
            let one = std::slice::from_ref(&crd);
            if let refused @ Err(_) = reach.admit(one)
                && self.requests.metadata(crd.resource(), crd.reference()).await?.is_none()
            {
                return refused;
            }
        }
        Ok(())
    }

    /// Waits until the server serves what `crd`, just applied, defines, as far as `objects` wait for it.
    pub(super) async fn wait_defined(
        &self,
        crd: &Object,
        applied: &Applied,
        objects: &[Object],
        timeout: Duration,
    ) -> Result<(), Error> {
        if crd.reference().kind != CRD || !objects.iter().any(Object::awaits_definition) {
            return Ok(());
        }
        let mut defined = defined_resources(crd.content());
        defined.retain(|resource| {
            objects.iter().any(|object| object.awaits_definition() && object.resource() == resource)
        });
        if defined.is_empty() {
            return Ok(());
        }
        let deadline = Instant::now() + timeout;
        let version =
            AsOf { resource_version: applied.resource_version.clone(), generation: applied.generation, overdue: None };
        self.wait_established(crd, version, deadline).await?;
        self.discovery.invalidate();
        self.wait_served(&crd.reference().name, &defined, deadline).await
    }

    /// Whether the CRD was created, and the kinds that it then serves.
    async fn install_crd(&self, crd: &Object, deadline: Instant) -> Result<(bool, Vec<Resource>), Error> {
        let defined = defined_resources(crd.content());
        let existing = self.requests.metadata(crd.resource(), crd.reference()).await?;
        if existing.is_some() && self.serves(&defined).await? {
            return Ok((false, Vec::new()));
        }
        // What counts of one that exists is what it defines, not what the chart's own would.
        if existing.is_some()
            && let Some(Value::Object(live)) = self.requests.get(crd.resource(), crd.reference()).await?
        {
            let metadata = &live["metadata"];
            let version = AsOf {
                resource_version: metadata["resourceVersion"].as_str().unwrap_or_default().to_owned(),
                generation: metadata["generation"].as_i64().unwrap_or_default(),
                overdue: None,
            };
            self.wait_established(crd, version, deadline).await?;
            return Ok((false, defined_resources(&live)));
        }
        let applied = self.apply_one(crd, None, How::default()).await?;
        let version =
            AsOf { resource_version: applied.resource_version, generation: applied.generation, overdue: None };
        self.wait_established(crd, version, deadline).await?;
        Ok((true, defined))
    }

    /// Whether the CRD was created or changed, and the kinds that it then serves. It is applied, never put: what others set
    /// that the chart does not, such as the `caBundle` of a conversion webhook, stays.
    async fn replace_crd(
        &self,
        crd: &Object,
        forced: bool,
        deadline: Instant,
        owner: Option<&Owner>,
    ) -> Result<(bool, Vec<Resource>), Error> {
        let Some(live) = self.requests.get(crd.resource(), crd.reference()).await? else {
            return self.install_crd(crd, deadline).await;
        };
        let refused =
            |why: String| Error::CrdNotReplaced { name: crd.reference().name.clone(), why: why.trim().to_owned() };
        let existing: super::request::Metadata = serde_json::from_value(live["metadata"].clone()).unwrap_or_default();
        let is_own = owner.is_some_and(|owner| ownership::is_of(&existing, owner));
        if let Some(release) = ownership::release_of(&existing).filter(|_| !is_own) {
            return Err(refused(format!(
                "it is part of the Helm release {release}, which keeps it as its chart has it"
            )));
        }
        match changes::compare(&live, &Value::Object(crd.content().clone())) {
            Verdict::Refused(why) => return Err(refused(why)),
            Verdict::LosesFields(fields) if !forced && self.has_objects(&live).await? => {
                return Err(refused(format!(
                    "its objects would lose the fields {fields}; set spec.upgrade.force (for an install, spec.install.force) to true to lose them"
                )));
            }
            Verdict::Safe | Verdict::LosesFields(_) => {}
        }
        // Its marks stay: a rollback to the revision that it was a part of finds it as its own.
        let owner = owner.filter(|_| is_own);
        let applied = self.apply_one(crd, Some(&existing), How { owner, force: true, ..How::default() }).await?;
        let version =
            AsOf { resource_version: applied.resource_version, generation: applied.generation, overdue: None };
        self.wait_established(crd, version, deadline).await?;
        Ok((applied.change != Change::Unchanged, defined_resources(crd.content())))
    }

    /// Whether `object` defines a kind of which there are objects, which would go with it. Where that may not be known there may be.
    ///
    /// # Errors
    ///
    /// The API server does not answer.
    pub async fn is_in_use(&self, object: &Object) -> Result<bool, Error> {
        if !object.reference().defines_kinds() {
            return Ok(false);
        }
        match self.requests.get(object.resource(), object.reference()).await? {
            None => Ok(false),
            Some(live) => match self.has_objects(&live).await {
                // Another API server may not serve it yet. Of a kind whose names are another's there is none.
                Err(Error::UnknownKind { .. }) => Ok(is_established(&live)),
                // As where a webhook that has left converts them.
                Err(Error::Forbidden { .. } | Error::WebhookUnreachable { .. } | Error::Invalid { .. }) => Ok(true),
                answer => answer,
            },
        }
    }

    /// Whether there is an object of a kind that `definition` defines. Where no version of it is served there may be.
    async fn has_objects(&self, definition: &Value) -> Result<bool, Error> {
        let Some(crd) = definition.as_object() else { return Ok(false) };
        let versions = definition["spec"]["versions"].as_array().into_iter().flatten();
        let stored: Vec<&str> =
            versions.filter(|it| it["storage"] == true).filter_map(|it| it["name"].as_str()).collect();
        // As they are stored they need no conversion.
        let served = defined_resources(crd);
        let is_stored = |resource: &&Resource| stored.contains(&resource.version.as_str());
        let Some(resource) = served.iter().find(is_stored).or_else(|| served.last()) else {
            return Ok(is_established(definition));
        };
        let first = ListParams::default().limit(1);
        let found = self.requests.list::<Value>(resource, None, &first).await?;
        Ok(!found.items.is_empty())
    }

    async fn wait_established(&self, crd: &Object, version: AsOf, deadline: Instant) -> Result<(), Error> {
        let target = Target {
            object: crd.reference().clone(),
            resource: crd.resource().clone(),
            marks: Marks::Unknown,
            judge: Judge::Strict,
            question: Question::Ready(version, false),
        };
        let left = deadline.saturating_duration_since(Instant::now());
        let message = match self.settle(vec![target], left).await {
            Ok(()) => return Ok(()),
            Err(Unsettled::Late(mut targets) | Unsettled::Failed(mut targets)) => targets.swap_remove(0).1,
            Err(Unsettled::Unwatchable(_, message)) => message,
        };
        Err(Error::CrdNotEstablished { name: crd.reference().name.clone(), message })
    }

    /// Discovery lags the Established condition a little; objects of the new kinds are refused until it has caught up.
    async fn wait_served(&self, crd: &str, served: &[Resource], deadline: Instant) -> Result<(), Error> {
        let mut pause = FIRST_PAUSE;
        while !self.serves(served).await? {
            if Instant::now() > deadline {
                let message = "it is established, but the server does not list its kind yet".to_owned();
                return Err(Error::CrdNotEstablished { name: crd.to_owned(), message });
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            self.discovery.invalidate();
        }
        Ok(())
    }

    async fn serves(&self, defined: &[Resource]) -> Result<bool, Error> {
        let kinds = self.discovery.kinds_with(std::iter::empty()).await?;
        let found =
            |resource: &Resource| matches!(kinds.find(&resource.api_version(), &resource.kind), Served::Found(_));
        Ok(defined.iter().all(found))
    }
}

/// Whether the names that `definition` gives its kind are its own: where they are another's there is no object of it.
fn is_established(definition: &Value) -> bool {
    let conditions = definition["status"]["conditions"].as_array().into_iter().flatten();
    conditions.into_iter().any(|it| it["type"] == "Established" && it["status"] == "True")
}

/// What a CRD defines: its kind in each version that it serves. Nothing for anything else that a chart keeps in `crds/`.
pub(super) fn defined_resources(crd: &serde_json::Map<String, Value>) -> Vec<Resource> {
    let spec = crd.get("spec").unwrap_or(&Value::Null);
    let (group, names) = (spec["group"].as_str(), &spec["names"]);
    let (Some(group), Some(kind), Some(plural)) = (group, names["kind"].as_str(), names["plural"].as_str()) else {
        return Vec::new();
    };
    let versions = spec["versions"].as_array().into_iter().flatten();
    let served = versions.filter(|version| version["served"] == true).filter_map(|version| version["name"].as_str());
    let resource = |version: &str| Resource {
        group: group.to_owned(),
        version: version.to_owned(),
        kind: kind.to_owned(),
        plural: plural.to_owned(),
        namespaced: spec["scope"] == "Namespaced",
    };
    served.map(resource).collect()
}
