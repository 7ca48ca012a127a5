//! Objects of any kind that a release depends on, as they stand.

use serde_json::Value;

use super::discovery::Served;
use super::object::ObjectRef;
use super::{Awaited, Cluster, Error, Reach};

/// An object that a release depends on, as it is declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// `group/version`, or the version alone.
    pub api_version: String,
    /// Kind.
    pub kind: String,
    /// Namespace, where its kind has one.
    pub namespace: String,
    /// Name.
    pub name: String,
}

/// How it stands.
#[derive(Debug)]
pub enum Dependency {
    /// The cluster does not serve its kind; maybe in these other versions.
    Unserved {
        /// `group/version`s of the same group that serve a kind of that name.
        served: Vec<String>,
        /// What ends that.
        awaited: Option<Awaited>,
    },
    /// There is none.
    Missing(ObjectRef),
    /// It is there, with all of it.
    There(ObjectRef, Value),
}

impl Cluster {
    /// Reads an object that a release depends on, which must be within its reach.
    pub async fn dependency(&self, wanted: &Wanted, reach: &Reach) -> Result<Dependency, Error> {
        let Wanted { api_version, kind, namespace, name } = wanted;
        let needed = (api_version.as_str(), kind.as_str());
        let kinds = self.discovery.kinds_with(std::iter::once(needed)).await?;
        let resource = match kinds.find(api_version, kind) {
            Served::Found(resource) => resource,
            Served::Stale => {
                let object = format!("{kind} {name:?}, which spec.dependsOn names,");
                return Err(Error::StaleGroup { object, api_version: api_version.clone() });
            }
            Served::Unknown { served } => {
                return Ok(Dependency::Unserved { served, awaited: Awaited::definition(api_version, kind) });
            }
        };
        reach.admit_lookup(resource, namespace, name)?;
        let object = ObjectRef {
            group: resource.group.clone(),
            kind: kind.clone(),
            namespace: resource.namespaced.then(|| namespace.clone()),
            name: name.clone(),
        };
        match self.requests.get(resource, &object).await {
            Ok(Some(content)) => Ok(Dependency::There(object, content)),
            Ok(None) => Ok(Dependency::Missing(object)),
            Err(error) => Err(error),
        }
    }
}
