//! By whose access a release asks a registry, and what a refusal means for it. Pure.
//!
//! The words of [`registry::Error`] say what was tried and what came back. What to do depends on the `HelmRepository` that
//! was used, or on there being none: a release has no fields for credentials or trust of its own.

use super::error::{ReconcileError, chain};
use super::matching::{Choice, Closed, Gives, Key, Used};
use crate::api::Reason;
use crate::registry::{self, ChartReference, Denial};

/// By whose access a release asks a registry.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// The namespace of the release's object.
    namespace: String,
    chart: ChartReference,
    /// What is at the reference: a chart, or an artifact.
    what: &'static str,
    used: Option<Used>,
    closed: Vec<(Key, Closed)>,
}

impl Source {
    /// What was chosen for a release of `namespace`.
    pub(crate) fn new(namespace: String, choice: Choice) -> Self {
        let Choice { chart, used, closed } = choice;
        Self { namespace, chart, what: "chart", used, closed }
    }

    /// The same for an artifact, which is no chart.
    pub(crate) fn of_artifact(namespace: String, choice: Choice) -> Self {
        Self { what: "artifact", ..Self::new(namespace, choice) }
    }

    /// A failed question to the registry as an error of the release.
    pub(crate) fn explain(&self, error: &registry::Error) -> ReconcileError {
        let plain = ReconcileError::from(error.clone());
        if let Some(denied) = self.withheld(error) {
            return ReconcileError {
                reason: Reason::AccessDenied,
                message: format!("{}; {denied}", finding(error)),
                ..plain
            };
        }
        let message = match self.todo(error) {
            Some(todo) => format!("{}; {todo}", finding(error)),
            None => format!("{}{}", plain.message, self.asked_as()),
        };
        ReconcileError { message, ..plain }
    }

    /// What to do about an error that needs a change of the repository, or one of its own.
    fn todo(&self, error: &registry::Error) -> Option<String> {
        use registry::Error as E;
        let repository = self.used.as_ref().map(|used| format!("HelmRepository {}", Key::of(&*used.repository)));
        Some(match (error, repository) {
            (E::Unauthorized { anonymous, .. } | E::Forbidden { anonymous, .. }, repository) => {
                self.credentials(*anonymous, repository)
            }
            (E::PlainHttp { server_is_plain: true, .. }, Some(repository)) => {
                format!("set insecure: true in {repository} to speak plain HTTP to it")
            }
            (E::PlainHttp { server_is_plain: true, .. }, None) => self.create("insecure: true"),
            (E::PlainHttp { server_is_plain: false, .. }, Some(repository)) => {
                format!("remove insecure: true from {repository}")
            }
            (E::TlsUnknownCa { .. }, Some(repository)) => format!(
                "put the authority's certificate into ca.crt of the Secret in auth.tls.secretRef of {repository}"
            ),
            (E::TlsUnknownCa { .. }, None) => self.create("a Secret with the authority's ca.crt in auth.tls.secretRef"),
            _ => return None,
        })
    }

    /// Why what a repository of another namespace sets does not hold for this release, if that is what is needed.
    fn withheld(&self, error: &registry::Error) -> Option<String> {
        use registry::Error as E;
        let used = self.used.as_ref().filter(|used| used.gives == Gives::Credentials)?;
        let spec = &used.repository.spec;
        let tls = spec.auth.as_ref().and_then(|auth| auth.tls.as_ref());
        let skips = tls.is_some_and(|tls| tls.insecure_skip_verify);
        let field = match error {
            E::PlainHttp { server_is_plain: true, .. } if spec.insecure => "insecure",
            E::TlsUnknownCa { .. } | E::TlsExpired { .. } | E::TlsWrongName { .. } if skips => {
                "auth.tls.insecureSkipVerify"
            }
            E::TlsUnknownCa { .. } if tls.is_some_and(|tls| tls.secret_ref.is_some()) => "auth.tls.secretRef",
            _ => return None,
        };
        let (key, namespace) = (Key::of(&*used.repository), &self.namespace);
        Some(format!(
            "HelmRepository {key} sets {field}, which other namespaces get only where its spec.accessFrom selects them: let it select namespace {namespace}, name it in spec.chart.repository, or create a HelmRepository in namespace {namespace}"
        ))
    }

    /// What to do about missing, wrong or insufficient credentials.
    fn credentials(&self, anonymous: bool, repository: Option<String>) -> String {
        let Some(repository) = repository else {
            return self.create("a Secret with username and password in auth.basic.secretRef");
        };
        let basic = self.used.as_ref().and_then(|used| used.repository.spec.auth.as_ref()?.basic.as_ref());
        let secret = basic.and_then(|basic| basic.secret_ref.as_ref());
        let given = match (secret, basic) {
            (Some(secret), _) => format!("Secret {} of {repository}", secret.name),
            (None, Some(basic)) if basic.username.is_some() => format!("auth.basic of {repository}"),
            (None, _) => {
                return format!(
                    "{repository}, which is used for it, has no credentials: name a Secret with username and password in its auth.basic.secretRef, or check that the {} exists{}",
                    self.what,
                    self.twins()
                );
            }
        };
        if anonymous {
            return format!(
                "{given} holds no entry for {:?}: add one, or check that the {} exists",
                self.chart.host(),
                self.what
            );
        }
        format!(
            "correct or renew {given}, let its account read {}, or check that the {} exists{}",
            self.chart,
            self.what,
            self.twins()
        )
    }

    /// Without a repository: which one to create, and which there are that may not be used.
    fn create(&self, with: &str) -> String {
        let Self { namespace, chart, .. } = self;
        format!(
            "no HelmRepository that namespace {namespace} may use covers {chart}: create one there with url oci://{} and {with}{}",
            chart.host(),
            self.closed()
        )
    }

    fn closed(&self) -> String {
        let one = |(key, why): &(Key, Closed)| {
            format!("; HelmRepository {key} covers it, but {}", why.because(&self.namespace))
        };
        self.closed.iter().map(one).collect()
    }

    /// Ends a message with the repository that was used, where the release does not name it.
    fn asked_as(&self) -> String {
        match &self.used {
            Some(used) if used.named => String::new(),
            Some(used) => {
                format!("; asked with the access of HelmRepository {}{}", Key::of(&*used.repository), self.twins())
            }
            None => self.closed(),
        }
    }

    fn twins(&self) -> String {
        let Some(used) = self.used.as_ref().filter(|used| !used.twins.is_empty()) else { return String::new() };
        let names: Vec<String> = used.twins.iter().map(ToString::to_string).collect();
        format!(
            " (HelmRepository {} has the same url: the first by name is used; name another in spec.chart.repository)",
            names.join(", ")
        )
    }
}

/// What was tried and what came back, without the advice that some errors end with and that no release can follow.
fn finding(error: &registry::Error) -> String {
    use registry::Error as E;
    match error {
        // These say more than that they were refused.
        E::Unauthorized { why: Denial::Expired | Denial::LineBreak | Denial::NoEntry(_), .. } => chain(error),
        E::Unauthorized { attempt, detail, anonymous: true, .. } => {
            format!("failed to {attempt}: the registry asks for credentials (401){detail}")
        }
        E::Unauthorized { attempt, detail, .. } => {
            format!("failed to {attempt}: the registry refuses the credentials (401){detail}")
        }
        E::Forbidden { attempt, detail, .. } => {
            format!("failed to {attempt}: the registry gives no access (403){detail}")
        }
        E::PlainHttp { attempt, server_is_plain: true } => {
            format!("failed to {attempt}: the server speaks plain HTTP where HTTPS was asked")
        }
        E::PlainHttp { attempt, .. } => {
            format!("failed to {attempt}: the server speaks HTTPS where plain HTTP was asked")
        }
        E::TlsUnknownCa { attempt, host } => {
            format!("failed to {attempt}: the certificate of {host:?} is signed by an unknown authority")
        }
        _ => chain(error),
    }
}

#[cfg(test)]
mod tests;
