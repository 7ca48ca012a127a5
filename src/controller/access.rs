//! How a `HelmRepository` gives access to a registry: its Secrets read, and turned into a [`registry::Access`].
//!
//! A Secret of another namespace has to consent, or a repository could send that namespace's password to a host of its choice.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;

use super::causes::api_error;
use super::context::{Context, Policy};
use super::error::{ReconcileError, chain};
use super::matching::{Gives, Key};
use crate::api::{ALLOWED_NAMESPACES, HelmRepository, Reason, SecretReference};
use crate::registry::{Access, Credentials};

/// A repository with the Secrets it names.
pub(crate) struct DereferencedRepository {
    /// The repository.
    pub(crate) repository: Arc<HelmRepository>,
    gives: Gives,
    credentials: Option<Arc<Secret>>,
    tls: Option<Arc<Secret>>,
}

/// Reads the Secrets that a repository names, as far as they are needed for what it gives.
pub(crate) async fn dereference(
    repository: Arc<HelmRepository>,
    gives: Gives,
    context: &Context,
) -> Result<DereferencedRepository, ReconcileError> {
    let auth = repository.spec.auth.clone().unwrap_or_default();
    let credentials = read(auth.basic.and_then(|basic| basic.secret_ref), &repository, context).await?;
    let tls = match gives {
        Gives::Everything => read(auth.tls.and_then(|tls| tls.secret_ref), &repository, context).await?,
        Gives::Credentials => None,
    };
    Ok(DereferencedRepository { repository, gives, credentials, tls })
}

async fn read(
    reference: Option<SecretReference>,
    repository: &HelmRepository,
    context: &Context,
) -> Result<Option<Arc<Secret>>, ReconcileError> {
    let Some(reference) = reference else { return Ok(None) };
    let own = repository.namespace().unwrap_or_default();
    let wanted = Key { namespace: reference.namespace.unwrap_or_else(|| own.clone()), name: reference.name };
    if context.policy.no_cross_namespace_refs && wanted.namespace != own {
        let message = format!(
            "HelmRepository {} names Secret {wanted} of another namespace, and the operator runs with --no-cross-namespace-refs: use a Secret of namespace {own}",
            Key::of(repository)
        );
        return Err(ReconcileError::new(Reason::AccessDenied, message));
    }
    let found = context
        .secrets
        .get(&wanted.namespace, &wanted.name)
        .await
        .map_err(|error| api_error(&format!("read Secret {wanted}"), &error))?;
    context.forget_unused();
    if !consents(found.as_deref(), &wanted, &own, &context.policy) {
        let error = ReconcileError::new(Reason::AccessDenied, needs_consent(&wanted, repository));
        return Err(error.watching(format!("Secret {wanted}")));
    }
    found.map(Some).ok_or_else(|| {
        let repository = Key::of(repository);
        let message =
            format!("there is no Secret {wanted}: create it, or correct the reference in HelmRepository {repository}");
        ReconcileError::new(Reason::SecretNotFound, message)
    })
}

/// Whether repositories of namespace `own` may use the Secret. One that is not there does not consent either: who may not
/// use it does not learn whether it exists.
fn consents(secret: Option<&Secret>, wanted: &Key, own: &str, policy: &Policy) -> bool {
    if wanted.namespace == own || policy.allow_cross_namespace_secrets {
        return true;
    }
    let allowed = secret.and_then(|secret| secret.annotations().get(ALLOWED_NAMESPACES));
    allowed.is_some_and(|allowed| allowed.split(',').map(str::trim).any(|allowed| allowed == "*" || allowed == own))
}

fn needs_consent(wanted: &Key, repository: &HelmRepository) -> String {
    let Key { namespace, name } = wanted;
    let own = repository.namespace().unwrap_or_default();
    format!(
        "HelmRepository {} names Secret {wanted}, which does not exist or does not allow namespace {own} to use it; its owner allows it with: \
         kubectl annotate secret {name} --namespace {namespace} {ALLOWED_NAMESPACES}={own} \
         (with --overwrite and the other namespaces, separated by commas, where it allows some already)",
        Key::of(repository)
    )
}

impl DereferencedRepository {
    /// The access to `path` on `host` that this repository gives. Pure.
    pub(crate) fn access(&self, host: &str, path: &str) -> Result<Access, ReconcileError> {
        let spec = &self.repository.spec;
        let tls = spec.auth.as_ref().and_then(|auth| auth.tls.as_ref());
        let everything = self.gives == Gives::Everything;
        let credentials = self.credentials(host, path)?;
        let docker_hosts = match (&credentials, &self.credentials) {
            (None, Some(secret)) => Credentials::docker_hosts(&contents(secret)),
            _ => None,
        };
        Ok(Access {
            credentials,
            docker_hosts,
            ca_pem: self.ca_pem()?,
            insecure_skip_verify: everything && tls.is_some_and(|tls| tls.insecure_skip_verify),
            plain_http: everything && spec.insecure,
            timeout: spec.timeout.at_least_a_second(),
        })
    }

    fn credentials(&self, host: &str, path: &str) -> Result<Option<Credentials>, ReconcileError> {
        let Some(basic) = self.repository.spec.auth.as_ref().and_then(|auth| auth.basic.as_ref()) else {
            return Ok(None);
        };
        if let Some(secret) = &self.credentials {
            let kind = secret.type_.as_deref().unwrap_or("Opaque");
            return Credentials::from_secret(kind, &contents(secret), host, path).map_err(|error| {
                let named = format!("Secret {}", full_name(secret));
                ReconcileError::new(Reason::SecretInvalid, format!("{named}: {}", chain(&error))).watching(named)
            });
        }
        match (&basic.username, &basic.password) {
            (Some(username), Some(password)) => Ok(Some(Credentials::new(username, password))),
            (None, None) => Ok(None),
            _ => Err(ReconcileError::new(
                Reason::ConfigurationError,
                "auth.basic needs both username and password, or a secretRef",
            )),
        }
    }

    fn ca_pem(&self) -> Result<Option<Vec<u8>>, ReconcileError> {
        let Some(secret) = &self.tls else { return Ok(None) };
        let ca = secret.data.as_ref().and_then(|data| data.get("ca.crt")).map(|ca| ca.0.clone());
        ca.map(Some).ok_or_else(|| {
            let named = format!("Secret {}", full_name(secret));
            ReconcileError::new(Reason::SecretInvalid, format!("{named} has no key \"ca.crt\"")).watching(named)
        })
    }

    /// The Secrets that a repository names.
    pub(crate) fn secret_names(repository: &HelmRepository) -> Vec<Key> {
        let auth = repository.spec.auth.as_ref();
        let basic = auth.and_then(|auth| auth.basic.as_ref()).and_then(|basic| basic.secret_ref.as_ref());
        let tls = auth.and_then(|auth| auth.tls.as_ref()).and_then(|tls| tls.secret_ref.as_ref());
        let own = repository.namespace().unwrap_or_default();
        let key = |reference: &SecretReference| Key {
            namespace: reference.namespace.clone().unwrap_or_else(|| own.clone()),
            name: reference.name.clone(),
        };
        basic.into_iter().chain(tls).map(key).collect()
    }
}

fn contents(secret: &Secret) -> BTreeMap<String, Vec<u8>> {
    secret.data.iter().flatten().map(|(key, value)| (key.clone(), value.0.clone())).collect()
}

fn full_name(secret: &Secret) -> Key {
    Key::of(secret)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_secret_of_another_namespace_must_allow_it() {
        let secret = |allowed: Option<&str>| -> Secret {
            let annotations = allowed.map(|allowed| json!({ ALLOWED_NAMESPACES: allowed }));
            serde_json::from_value(
                json!({ "metadata": { "name": "login", "namespace": "platform", "annotations": annotations } }),
            )
            .expect("a Secret")
        };
        for (allowed, expected) in [
            (None, false),
            (Some(""), false),
            (Some("apps"), true),
            (Some("shop, apps"), true),
            (Some("shop,apps-2"), false),
            (Some("*"), true),
            (Some("app*"), false),
        ] {
            let secret = secret(allowed);
            let wanted = Key::of(&secret);
            let policy = Policy::default();
            assert_eq!(consents(Some(&secret), &wanted, "apps", &policy), expected, "{allowed:?}");
            assert!(consents(Some(&secret), &wanted, "platform", &policy), "its own namespace");
            assert!(!consents(None, &wanted, "apps", &policy), "one that is not there tells nothing of that");
            let policy = Policy { allow_cross_namespace_secrets: true, ..Policy::default() };
            assert!(consents(Some(&secret), &wanted, "apps", &policy) && consents(None, &wanted, "apps", &policy));
        }
    }
}
