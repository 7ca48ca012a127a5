//! Who asks, and whom we trust: credentials read from a Secret, and the terms on which a registry is spoken to.
//!
//! Nothing here prints a password: [`Credentials`] and [`Access`] have a redacting `Debug`, no `Display` and no
//! `Serialize`, and errors name keys and hosts only.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::reference::{endpoint, hex};

/// A user name and a password (or token), as given: the bytes are not trimmed.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    username: String,
    password: String,
    /// Docker's `identitytoken`, as `az acr login` leaves one: exchanged for tokens in place of the password.
    identity_token: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(redacted)")
    }
}

/// Why a Secret holds no usable credentials. Values are never quoted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// One of `username`, `password` is there without the other.
    #[error("the Secret has no key {key:?}: both username and password are needed")]
    MissingKey {
        /// The key that is missing.
        key: &'static str,
    },
    /// None of the known keys are there.
    #[error("the Secret has neither username and password nor .dockerconfigjson, but {keys:?}")]
    NoKnownKeys {
        /// The keys it has.
        keys: Vec<String>,
    },
    /// A value is not text.
    #[error("the value of key {key:?} is not UTF-8 text")]
    NotText {
        /// The key.
        key: &'static str,
    },
    /// The Docker configuration is not JSON of the known shape. The parser's words are left out: they quote values.
    #[error("the value of key {key:?} is not a Docker configuration: line {line}, column {column}")]
    DockerConfig {
        /// The key.
        key: &'static str,
        /// Line of the fault, from 1.
        line: usize,
        /// Column of the fault.
        column: usize,
    },
    /// An entry of the Docker configuration holds nothing that can be used.
    #[error("the entry {entry:?} of the Docker configuration has no auth, nor username and password that can be read")]
    DockerEntry {
        /// The entry's key, a host or URL.
        entry: String,
    },
}

impl Credentials {
    /// The credentials of `username`.
    pub fn new(username: impl Into<String>, password: impl Into<String>) -> Self {
        Self { username: username.into(), password: password.into(), identity_token: None }
    }

    /// Reads the credentials for `host` (and `path` in it) from a Secret's decoded `data`.
    ///
    /// `username` and `password` are taken as they are, a multi-line JSON key included. A Docker configuration
    /// (`.dockerconfigjson`, or the older `.dockercfg`) is matched as kubelet does: by host, wildcards in it, and the
    /// longest path prefix; it yields `None` when no entry fits, as Docker then asks without credentials.
    pub fn from_secret(
        secret_type: &str,
        data: &BTreeMap<String, Vec<u8>>,
        host: &str,
        path: &str,
    ) -> Result<Option<Self>, CredentialsError> {
        if let Some(json) = data.get(".dockerconfigjson") {
            let config: DockerConfig = docker_json(".dockerconfigjson", json)?;
            return pick(&config.auths, host, path);
        }
        if let Some(json) = data.get(".dockercfg") {
            return pick(&docker_json(".dockercfg", json)?, host, path);
        }
        let given = (data.get("username"), data.get("password"));
        match given {
            (Some(username), Some(password)) => {
                Ok(Some(Self::new(text("username", username)?, text("password", password)?)))
            }
            (Some(_), None) => Err(CredentialsError::MissingKey { key: "password" }),
            (None, Some(_)) => Err(CredentialsError::MissingKey { key: "username" }),
            (None, None) if secret_type == "kubernetes.io/dockerconfigjson" => {
                Err(CredentialsError::MissingKey { key: ".dockerconfigjson" })
            }
            (None, None) => Err(CredentialsError::NoKnownKeys { keys: data.keys().cloned().collect() }),
        }
    }

    /// The hosts that the Docker configuration of a Secret has entries for, in order; `None` where it holds none, or one
    /// that cannot be read. For messages: why [`Self::from_secret`] found nothing.
    pub fn docker_hosts(data: &BTreeMap<String, Vec<u8>>) -> Option<Vec<String>> {
        let entries: BTreeMap<String, serde_json::Value> = match (data.get(".dockerconfigjson"), data.get(".dockercfg"))
        {
            (Some(json), _) => serde_json::from_slice::<DockerHosts>(json).ok()?.auths,
            (None, Some(json)) => serde_json::from_slice(json).ok()?,
            (None, None) => return None,
        };
        Some(entries.into_keys().collect())
    }

    /// Whether the password ends with a line break: `echo` was at work. It is sent all the same.
    pub(super) fn ends_with_line_break(&self) -> bool {
        self.password.ends_with(['\n', '\r'])
    }

    /// The value of a basic `Authorization` header.
    pub(super) fn basic(&self) -> String {
        format!("Basic {}", STANDARD.encode(format!("{}:{}", self.username, self.password)))
    }

    /// What a token server takes in place of the password, where there is one.
    pub(super) fn identity_token(&self) -> Option<&str> {
        self.identity_token.as_deref()
    }

    /// `text` without anything of these credentials, for texts that the other side chose.
    pub(super) fn redact(&self, text: &str) -> String {
        let encoded = STANDARD.encode(format!("{}:{}", self.username, self.password));
        let hide = |text: String, secret: &str| {
            if secret.is_empty() { text } else { text.replace(secret, "…") }
        };
        let hidden = hide(hide(text.to_owned(), &encoded), &self.password);
        hide(hidden, self.identity_token().unwrap_or_default())
    }
}

#[derive(Deserialize)]
struct DockerConfig {
    #[serde(default)]
    auths: BTreeMap<String, DockerEntry>,
}

#[derive(Deserialize)]
struct DockerHosts {
    #[serde(default)]
    auths: BTreeMap<String, serde_json::Value>,
}

#[derive(Deserialize)]
struct DockerEntry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    #[serde(rename = "identitytoken")]
    identity_token: Option<String>,
}

fn docker_json<T: serde::de::DeserializeOwned>(key: &'static str, json: &[u8]) -> Result<T, CredentialsError> {
    serde_json::from_slice(json).map_err(|error| CredentialsError::DockerConfig {
        key,
        line: error.line(),
        column: error.column(),
    })
}

fn text(key: &'static str, value: &[u8]) -> Result<String, CredentialsError> {
    String::from_utf8(value.to_vec()).map_err(|_| CredentialsError::NotText { key })
}

/// The entry that fits best: the longest path prefix, then the host as it is before an URL of it, then wildcards.
fn pick(
    auths: &BTreeMap<String, DockerEntry>,
    host: &str,
    path: &str,
) -> Result<Option<Credentials>, CredentialsError> {
    let best = auths
        .iter()
        .filter_map(|(key, entry)| fit(key, host, path).map(|fit| (fit, key, entry)))
        .max_by_key(|(fit, ..)| *fit);
    best.map(|(_, key, entry)| entry.credentials(key)).transpose()
}

/// How well the configuration key `key` (`host`, `https://host/v1/`, `*.host`, `host/path`) covers `host/path`:
/// `None` when it does not, else the length of its path, whether the host is exact, and whether it is the key that
/// Docker itself writes for the host.
fn fit(key: &str, host: &str, path: &str) -> Option<(usize, bool, bool)> {
    let written = if endpoint(host) == endpoint("docker.io") { "https://index.docker.io/v1/" } else { host };
    let bare = key.split_once("://").map_or(key, |(_, rest)| rest);
    let (key_host, key_path) = bare.split_once('/').unwrap_or((bare, ""));
    let key_host = key_host.to_ascii_lowercase();
    let key_path = match key_path.trim_matches('/') {
        "v1" | "v2" => "",
        other => other,
    };
    let exact = endpoint(&key_host) == endpoint(host);
    if !exact && !wildcard(&key_host, host) {
        return None;
    }
    let rest = path.trim_matches('/').strip_prefix(key_path)?;
    let on_border = key_path.is_empty() || rest.is_empty() || rest.starts_with('/');
    on_border.then_some((key_path.len(), exact, key == written))
}

/// Whether `pattern`, where a whole label or a part of it may be `*`, covers `host`; both have the same labels and port.
fn wildcard(pattern: &str, host: &str) -> bool {
    let (pattern_name, pattern_port) = pattern.split_once(':').unwrap_or((pattern, ""));
    let (name, port) = host.split_once(':').unwrap_or((host, ""));
    let labels = |text: &str| text.split('.').map(str::to_owned).collect::<Vec<_>>();
    let (pattern_labels, labels) = (labels(pattern_name), labels(name));
    pattern.contains('*')
        && pattern_port == port
        && pattern_labels.len() == labels.len()
        && pattern_labels.iter().zip(&labels).all(|(p, l)| match p.split_once('*') {
            Some((start, end)) => l.len() >= start.len() + end.len() && l.starts_with(start) && l.ends_with(end),
            None => p == l,
        })
}

impl DockerEntry {
    fn credentials(&self, entry: &str) -> Result<Credentials, CredentialsError> {
        let identity_token = self.identity_token.clone().filter(|token| !token.is_empty());
        let basic = self.basic();
        if basic.is_none() && identity_token.is_none() {
            return Err(CredentialsError::DockerEntry { entry: entry.to_owned() });
        }
        let (username, password) = basic.unwrap_or_default();
        Ok(Credentials { username, password, identity_token })
    }

    /// User name and password: as `auth`, which counts where there is one, or given as such.
    fn basic(&self) -> Option<(String, String)> {
        if let Some(decoded) = self.decoded() {
            return Some(decoded);
        }
        if let (Some(username), Some(password)) = (&self.username, &self.password)
            && !username.is_empty()
        {
            return Some((username.clone(), password.clone()));
        }
        None
    }

    fn decoded(&self) -> Option<(String, String)> {
        let decoded = STANDARD.decode(self.auth.as_deref()?.trim()).ok()?;
        let decoded = String::from_utf8(decoded).ok()?;
        let (username, password) = decoded.split_once(':')?;
        // Docker pads what it stores with NUL characters.
        Some((username.to_owned(), password.trim_end_matches('\0').to_owned()))
    }
}

/// The terms on which one registry is spoken to.
#[derive(Clone, PartialEq, Eq)]
pub struct Access {
    /// Who asks; nobody when absent.
    pub credentials: Option<Credentials>,
    /// The hosts of a Docker configuration that was given and has no entry for this registry: for messages only.
    pub docker_hosts: Option<Vec<String>>,
    /// Certificates trusted besides the system's, PEM.
    pub ca_pem: Option<Vec<u8>>,
    /// Accept any certificate.
    pub insecure_skip_verify: bool,
    /// Speak plain HTTP.
    pub plain_http: bool,
    /// Limit of each call of [`Registry`](super::Registry), waiting for others' requests included.
    pub timeout: Duration,
}

impl Default for Access {
    /// Anonymous, over HTTPS, the system's certificates, five minutes.
    fn default() -> Self {
        Self {
            credentials: None,
            docker_hosts: None,
            ca_pem: None,
            insecure_skip_verify: false,
            plain_http: false,
            timeout: Duration::from_mins(5),
        }
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("anonymous", &self.credentials.is_none())
            .field("docker_hosts", &self.docker_hosts)
            .field("ca_pem", &self.ca_pem.as_ref().map(Vec::len))
            .field("insecure_skip_verify", &self.insecure_skip_verify)
            .field("plain_http", &self.plain_http)
            .field("timeout", &self.timeout)
            .finish()
    }
}

/// What tells one access from another without holding it: a digest of everything but the timeout.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AccessKey([u8; 32]);

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessKey(redacted)")
    }
}

impl AccessKey {
    /// The key as text.
    pub(super) fn to_hex(&self) -> String {
        hex(&self.0)
    }
}

impl Access {
    /// The key under which answers got with this access are kept. The timeout is no part of it.
    pub fn key(&self) -> AccessKey {
        let mut hasher = Sha256::new();
        let mut part = |bytes: Option<&[u8]>| {
            hasher.update(bytes.map_or(u64::MAX, |bytes| bytes.len() as u64).to_le_bytes());
            hasher.update(bytes.unwrap_or_default());
        };
        part(self.credentials.as_ref().map(|credentials| credentials.username.as_bytes()));
        part(self.credentials.as_ref().map(|credentials| credentials.password.as_bytes()));
        part(self.credentials.as_ref().and_then(Credentials::identity_token).map(str::as_bytes));
        part(self.ca_pem.as_deref());
        part(Some(&[u8::from(self.insecure_skip_verify), u8::from(self.plain_http)]));
        AccessKey(hasher.finalize().into())
    }
}

#[cfg(test)]
mod tests;
