//! How a `HelmRepository` gives access to a registry: its Secrets read, and turned into a [`registry::Access`].

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;

use super::context::Context;
use super::halt::{Halt, chain};
use crate::api::{HelmRepository, Reason, SecretReference};
use crate::registry::{Access, Credentials};

/// A repository with the Secrets it names.
pub(crate) struct DereferencedRepository {
    /// The repository.
    pub(crate) repository: HelmRepository,
    credentials: Option<Arc<Secret>>,
    tls: Option<Arc<Secret>>,
}

/// Reads the Secrets that a repository names.
pub(crate) async fn dereference(repository: HelmRepository, context: &Context) -> Result<DereferencedRepository, Halt> {
    let auth = repository.spec.auth.clone().unwrap_or_default();
    let credentials = read(auth.basic.and_then(|basic| basic.secret_ref), &repository, context).await?;
    let tls = read(auth.tls.and_then(|tls| tls.secret_ref), &repository, context).await?;
    Ok(DereferencedRepository { repository, credentials, tls })
}

async fn read(
    reference: Option<SecretReference>,
    repository: &HelmRepository,
    context: &Context,
) -> Result<Option<Arc<Secret>>, Halt> {
    let Some(reference) = reference else { return Ok(None) };
    let own = repository.namespace().unwrap_or_default();
    let namespace = reference.namespace.unwrap_or_else(|| own.clone());
    if context.policy.no_cross_namespace_refs && namespace != own {
        let message = format!(
            "the operator does not allow references to other namespaces: Secret {namespace}/{}",
            reference.name
        );
        return Err(Halt::new(Reason::AccessDenied, message));
    }
    match context.secrets.get(&namespace, &reference.name).await {
        Ok(Some(secret)) => Ok(Some(secret)),
        Ok(None) => Err(Halt::new(
            Reason::SecretNotFound,
            format!(
                "there is no Secret {namespace}/{}: create it, or correct the reference in HelmRepository {own}/{}",
                reference.name,
                repository.name_any()
            ),
        )),
        Err(error) => Err(Halt::new(
            Reason::ClusterUnavailable,
            format!("failed to read Secret {namespace}/{}: {}", reference.name, chain(&error)),
        )),
    }
}

impl DereferencedRepository {
    /// The access to `path` on `host` that this repository gives. Pure.
    pub(crate) fn access(&self, host: &str, path: &str) -> Result<Access, Halt> {
        let spec = &self.repository.spec;
        let tls = spec.auth.as_ref().and_then(|auth| auth.tls.as_ref());
        Ok(Access {
            credentials: self.credentials(host, path)?,
            ca_pem: self.ca_pem()?,
            insecure_skip_verify: tls.is_some_and(|tls| tls.insecure_skip_verify),
            plain_http: spec.insecure,
            timeout: spec.timeout.0,
        })
    }

    fn credentials(&self, host: &str, path: &str) -> Result<Option<Credentials>, Halt> {
        let Some(basic) = self.repository.spec.auth.as_ref().and_then(|auth| auth.basic.as_ref()) else {
            return Ok(None);
        };
        if let Some(secret) = &self.credentials {
            let kind = secret.type_.as_deref().unwrap_or("Opaque");
            return Credentials::from_secret(kind, &contents(secret), host, path).map_err(|error| {
                Halt::new(Reason::SecretInvalid, format!("Secret {}: {}", full_name(secret), chain(&error)))
            });
        }
        match (&basic.username, &basic.password) {
            (Some(username), Some(password)) => Ok(Some(Credentials::new(username, password))),
            (None, None) => Ok(None),
            _ => Err(Halt::new(
                Reason::ConfigurationError,
                "auth.basic needs both username and password, or a secretRef",
            )),
        }
    }

    fn ca_pem(&self) -> Result<Option<Vec<u8>>, Halt> {
        let Some(secret) = &self.tls else { return Ok(None) };
        let ca = secret.data.as_ref().and_then(|data| data.get("ca.crt")).map(|ca| ca.0.clone());
        ca.map(Some).ok_or_else(|| {
            Halt::new(Reason::SecretInvalid, format!("Secret {} has no key \"ca.crt\"", full_name(secret)))
        })
    }

    /// The Secrets this repository depends on, as namespace and name.
    pub(crate) fn secret_names(repository: &HelmRepository) -> Vec<(String, String)> {
        let auth = repository.spec.auth.as_ref();
        let basic = auth.and_then(|auth| auth.basic.as_ref()).and_then(|basic| basic.secret_ref.as_ref());
        let tls = auth.and_then(|auth| auth.tls.as_ref()).and_then(|tls| tls.secret_ref.as_ref());
        let own = repository.namespace().unwrap_or_default();
        let names = basic.into_iter().chain(tls);
        names
            .map(|reference| (reference.namespace.clone().unwrap_or_else(|| own.clone()), reference.name.clone()))
            .collect()
    }
}

fn contents(secret: &Secret) -> BTreeMap<String, Vec<u8>> {
    secret.data.iter().flatten().map(|(key, value)| (key.clone(), value.0.clone())).collect()
}

fn full_name(secret: &Secret) -> String {
    format!("{}/{}", secret.namespace().unwrap_or_default(), secret.name_any())
}
