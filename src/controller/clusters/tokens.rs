//! Tokens of a service account of this cluster for another one: asked for, and asked for again long before they expire, while the
//! connection stays as it is. They are kept in memory alone.

use std::time::Duration;

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{Api, PostParams};
use tokio::time::sleep;

use crate::api::Reason;
use crate::client::{Bearer, jittered};
use crate::cluster::{Awaited, ObjectRef};
use crate::controller::causes::api_error;
use crate::controller::error::{ReconcileError, chain};
use crate::controller::kubeconfig::Identity;
use crate::controller::matching::Key;
use crate::controller::target::ClusterKey;

/// How long a token is asked to be valid, in seconds.
const LIFETIME: i64 = 3600;

/// Pauses between attempts to renew a token.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// The tokens that one cluster is shown.
pub(super) struct Tokens {
    cluster: ClusterKey,
    account: Key,
    audiences: Vec<String>,
    home: kube::Client,
    bearer: Bearer,
}

impl Tokens {
    /// Those of `identity` for `cluster`, in `bearer`; there is none yet.
    pub(super) fn new(cluster: &ClusterKey, identity: Identity, home: &kube::Client, bearer: &Bearer) -> Self {
        let Identity { account, audiences } = identity;
        let account = Key { namespace: cluster.namespace.clone(), name: account };
        Self { cluster: cluster.clone(), account, audiences, home: home.clone(), bearer: bearer.clone() }
    }

    /// Asks for a token, and has it used from now on; how long it is valid.
    pub(super) async fn renew(&self) -> Result<Duration, ReconcileError> {
        let Key { namespace, name } = &self.account;
        let accounts = Api::<ServiceAccount>::namespaced(self.home.clone(), namespace);
        let request = TokenRequest {
            spec: Some(TokenRequestSpec {
                audiences: Some(self.audiences.clone()),
                expiration_seconds: Some(LIFETIME),
                ..TokenRequestSpec::default()
            }),
            ..TokenRequest::default()
        };
        let answer = accounts.create_token_request(name, &PostParams::default(), &request).await;
        let answer = answer.map_err(|error| self.refused(&error))?;
        let granted = answer.spec.and_then(|spec| spec.expiration_seconds).unwrap_or(LIFETIME);
        let token = answer.status.and_then(|status| status.token).unwrap_or_default();
        if token.is_empty() || self.bearer.set(&token).is_err() {
            let message =
                format!("the API server issued no token that could be used for the service account {}", self.account);
            return Err(ReconcileError::new(Reason::ClusterUnavailable, message));
        }
        tracing::debug!(cluster = %self.cluster, account = %self.account, seconds = granted, "a token was issued");
        Ok(Duration::from_secs(granted.unsigned_abs()))
    }

    /// Renews the token, which is valid for `lifetime`, again and again. Never ends.
    pub(super) async fn keep(&self, mut lifetime: Duration) {
        loop {
            sleep(jittered(renew_after(lifetime))).await;
            let mut pause = FIRST_PAUSE;
            lifetime = loop {
                match self.renew().await {
                    Ok(lifetime) => break lifetime,
                    Err(error) => {
                        tracing::warn!(cluster = %self.cluster, reason = %error.reason, "failed to renew a token: {}", error.message);
                        sleep(jittered(pause)).await;
                        pause = (pause * 2).min(LONGEST_PAUSE);
                    }
                }
            };
        }
    }

    /// Whose tokens they are, and for whom, for messages.
    pub(super) fn words(&self) -> String {
        format!("the service account {} for the audience {}", self.account, self.audiences.join(", "))
    }

    fn refused(&self, error: &kube::Error) -> ReconcileError {
        let (account, map) = (&self.account, self.cluster.named());
        match error {
            kube::Error::Api(status) if status.code == 404 => {
                let message = format!(
                    "there is no service account {account}, whose tokens {} is to be shown: create it, or correct serviceAccountName in {map}",
                    self.cluster
                );
                let object = ObjectRef {
                    group: String::new(),
                    kind: "ServiceAccount".to_owned(),
                    namespace: Some(account.namespace.clone()),
                    name: account.name.clone(),
                };
                let awaits = vec![Awaited { home: true, ..Awaited::present(object) }];
                ReconcileError { awaits, ..ReconcileError::new(Reason::ServiceAccountNotFound, message) }
            }
            kube::Error::Api(status) if status.code == 422 => {
                let message = format!("{map}: no token is issued for {}: {}", self.words(), chain(error));
                ReconcileError::new(Reason::ConfigMapInvalid, message).watching(map)
            }
            kube::Error::Api(status) if status.code == 403 => {
                let message = format!(
                    "failed to request a token of the service account {account}, as {map} wants: {}; grant the operator's service account create of \
                     serviceaccounts/token (rbac.tokens in its chart)",
                    chain(error)
                );
                ReconcileError::new(Reason::Forbidden, message)
            }
            _ => api_error(&format!("request a token of the service account {account}"), error),
        }
    }
}

/// How long after it was issued a token of that lifetime is renewed, at the latest: what is left then is enough to try again many
/// times.
fn renew_after(lifetime: Duration) -> Duration {
    (lifetime * 3 / 4).max(Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{LONGEST_PAUSE, renew_after};

    #[test]
    fn a_token_is_renewed_with_time_left_to_try_again() {
        for (lifetime, after) in [(3600, 2700), (600, 450), (86_400, 64_800), (1, 1), (0, 1)] {
            let (lifetime, after) = (Duration::from_secs(lifetime), Duration::from_secs(after));
            assert_eq!(renew_after(lifetime), after);
            // The API server issues none for less than ten minutes.
            let left = lifetime.saturating_sub(after);
            assert!(lifetime < Duration::from_mins(10) || left >= 2 * LONGEST_PAUSE, "{lifetime:?}");
        }
    }
}
