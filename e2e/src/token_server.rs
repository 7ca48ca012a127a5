//! A token server as Docker Hub, GHCR and Harbor have one: users by password, tokens by scope, signed for a real registry.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, PKCS_ED25519, SigningKey as _};
use serde_json::{Value, json};

use crate::certificates::Identity;
use crate::faults::{Reply, Seen, Server};
use crate::registry::User;

const SERVICE: &str = "e2e-registry";
const ISSUER: &str = "e2e-token-server";

/// A running token server. Dropping it ends it.
pub struct TokenServer {
    server: Server,
    realm: String,
    certificate: String,
    life: Arc<AtomicU64>,
}

/// What signs tokens, and for whom.
struct Issuer {
    users: Vec<User>,
    key: KeyPair,
    certificate_der: String,
    life: Arc<AtomicU64>,
}

impl TokenServer {
    /// Serves tokens for `users`, and for strangers to pull `public/…`; with TLS where there is an `identity`.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start(users: Vec<User>, identity: Option<&Identity>) -> Result<Self> {
        let key = KeyPair::generate_for(&PKCS_ED25519)?;
        let mut parameters = CertificateParams::new(Vec::new())?;
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = parameters.self_signed(&key)?;
        let life = Arc::new(AtomicU64::new(300));
        let issuer =
            Issuer { users, key, certificate_der: STANDARD.encode(certificate.der()), life: Arc::clone(&life) };
        let server = Server::start(identity, move |seen| issuer.answer(seen)).await?;
        let scheme = if identity.is_some() { "https" } else { "http" };
        let realm = format!("{scheme}://{}/token", server.host());
        Ok(Self { server, realm, certificate: certificate.pem(), life })
    }

    /// How long tokens last from now on, in seconds.
    pub fn set_life(&self, seconds: u64) {
        self.life.store(seconds, Ordering::Relaxed);
    }

    /// What it was asked.
    pub fn seen(&self) -> Vec<Seen> {
        self.server.seen()
    }

    /// The URL that a challenge names.
    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// The `auth` section of a registry that trusts this server; its certificate is written to `folder`.
    ///
    /// # Errors
    /// When the certificate cannot be written.
    pub fn registry_config(&self, folder: &Path) -> Result<Value> {
        let bundle = folder.join("token.crt");
        std::fs::write(&bundle, &self.certificate)?;
        Ok(json!({ "token": {
            "realm": self.realm, "service": SERVICE, "issuer": ISSUER, "rootcertbundle": bundle,
        }}))
    }
}

impl Issuer {
    fn answer(&self, seen: &Seen) -> Reply {
        let user = match self.user(seen) {
            Ok(user) => user,
            Err(refusal) => return *refusal,
        };
        let url = reqwest::Url::parse(&format!("http://token{}", seen.path));
        let scopes: Vec<String> = url
            .iter()
            .flat_map(reqwest::Url::query_pairs)
            .filter(|(key, _)| key == "scope")
            .map(|(_, value)| value.into_owned())
            .collect();
        let access: Vec<Value> = scopes.iter().filter_map(|scope| grant(scope, user)).collect();
        let life = self.life.load(Ordering::Relaxed);
        let token = self.sign(user.map_or("", |user| &user.name), &access, life);
        let body = json!({ "token": token, "expires_in": life }).to_string();
        Reply::new(200, &[("content-type", "application/json")], body)
    }

    /// The user of the request's credentials, nobody without, a refusal when they are wrong.
    fn user(&self, seen: &Seen) -> Result<Option<&User>, Box<Reply>> {
        let Some(authorization) = seen.authorization() else { return Ok(None) };
        let decoded = authorization.strip_prefix("Basic ").and_then(|basic| STANDARD.decode(basic).ok());
        let given = decoded.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
        let known = self.users.iter().find(|user| format!("{}:{}", user.name, user.password) == given);
        let refusal = r#"{"errors":[{"code":"UNAUTHORIZED","message":"incorrect username or password"}]}"#;
        known.map(Some).ok_or_else(|| Box::new(Reply::new(401, &[("content-type", "application/json")], refusal)))
    }

    fn sign(&self, subject: &str, access: &[Value], life: u64) -> String {
        let now = Timestamp::now().as_second();
        let header = json!({ "typ": "JWT", "alg": "EdDSA", "x5c": [self.certificate_der] });
        let claims = json!({
            "iss": ISSUER, "sub": subject, "aud": SERVICE, "jti": "e2e",
            "iat": now, "nbf": now - 30, "exp": now + i64::try_from(life).unwrap_or(i64::MAX).max(30), "access": access,
        });
        let encode = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let signed = format!("{}.{}", encode(&header), encode(&claims));
        let signature = self.key.sign(signed.as_bytes()).expect("an Ed25519 key signs everything");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// The part of `repository:NAME:ACTIONS` that `user` may do.
fn grant(scope: &str, user: Option<&User>) -> Option<Value> {
    let (name, actions) = scope.strip_prefix("repository:")?.rsplit_once(':')?;
    let granted = match user {
        Some(user) if name.starts_with(&user.prefix) => actions,
        Some(_) | None if name.starts_with("public/") => "pull",
        Some(_) | None => return None,
    };
    let granted: Vec<&str> = granted.split(',').collect();
    Some(json!({ "type": "repository", "name": name, "actions": granted }))
}
