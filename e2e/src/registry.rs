//! The real distribution registry, in the faces that users meet: anonymous, basic, tokens, with and without TLS.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::certificates::{Authority, Identity};
use crate::eventually::eventually;
use crate::ports;
use crate::process::{Process, Scratch, Signal};
use crate::token_server::TokenServer;
use crate::tools::Tool;

const START: Duration = Duration::from_secs(20);

/// Somebody who may speak to a registry.
#[derive(Clone, Debug)]
pub struct User {
    /// The name, `robot$x` and `_json_key` included.
    pub name: String,
    /// The password, multi-line JSON included.
    pub password: String,
    /// The repositories that a token registry lets this user pull and push: those that begin with it.
    pub prefix: String,
}

impl User {
    /// A user of every repository.
    pub fn new(name: &str, password: &str) -> Self {
        Self { name: name.to_owned(), password: password.to_owned(), prefix: String::new() }
    }

    /// The same user with rights only for repositories that begin with `prefix`.
    #[must_use]
    pub fn limited_to(self, prefix: &str) -> Self {
        Self { prefix: prefix.to_owned(), ..self }
    }
}

/// Whom a registry lets in.
#[derive(Clone, Debug, Default)]
pub enum Auth {
    /// Everybody.
    #[default]
    Anonymous,
    /// Users by basic authentication, bcrypt in an htpasswd file.
    Basic(Vec<User>),
    /// Users by bearer tokens of a token server; strangers may pull what begins with `public/`.
    Token(Vec<User>),
}

/// What certificate a registry presents. All are signed by the authority in [`Registry::ca_pem`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// A good one, for `localhost` and `127.0.0.1`.
    OwnCa,
    /// One that expired in 2021.
    Expired,
    /// One for `registry.example.com`.
    WrongName,
}

/// How a registry shows itself.
#[derive(Clone, Debug, Default)]
pub struct Face {
    /// Whom it lets in.
    pub auth: Auth,
    /// What certificate it presents; plain HTTP without.
    pub tls: Option<TlsMode>,
    /// Names that a good certificate holds besides `localhost` and `127.0.0.1`, for a stand-in behind a proxy.
    pub names: Vec<String>,
}

impl Face {
    /// Open to everybody, plain HTTP.
    pub fn anonymous() -> Self {
        Self::default()
    }

    /// For `users` by basic authentication, plain HTTP.
    pub fn basic(users: Vec<User>) -> Self {
        Self { auth: Auth::Basic(users), ..Self::default() }
    }

    /// For `users` by tokens, plain HTTP.
    pub fn token(users: Vec<User>) -> Self {
        Self { auth: Auth::Token(users), ..Self::default() }
    }

    /// The same over HTTPS.
    #[must_use]
    pub fn tls(self, mode: TlsMode) -> Self {
        Self { tls: Some(mode), ..self }
    }

    /// The same as a stand-in for `names`.
    #[must_use]
    pub fn named(self, names: &[&str]) -> Self {
        Self { names: names.iter().map(ToString::to_string).collect(), ..self }
    }
}

/// A running registry. Dropping it kills it and removes its data.
pub struct Registry {
    port: u16,
    ca_pem: Option<String>,
    token_server: Option<TokenServer>,
    process: Option<Process>,
    scratch: Scratch,
}

impl Registry {
    /// Starts a registry with an empty storage and waits until it listens.
    ///
    /// # Errors
    /// When it does not start; the end of its log is in the text.
    pub async fn start(face: Face) -> Result<Self> {
        let scratch = Scratch::new("registry")?;
        let port = ports::free()?;
        let authority = Authority::new("e2e registry authority")?;
        let identity = face.tls.map(|mode| identity(&authority, mode, &face.names)).transpose()?;
        let token_server = match &face.auth {
            Auth::Token(users) => Some(TokenServer::start(users.clone(), identity.as_ref()).await?),
            Auth::Anonymous | Auth::Basic(_) => None,
        };
        let auth = match &face.auth {
            Auth::Anonymous => json!({}),
            Auth::Basic(users) => htpasswd(users, &scratch)?,
            Auth::Token(_) => token_server.as_ref().context("just made")?.registry_config(scratch.path())?,
        };
        let config = config(port, &auth, identity.as_ref(), &scratch)?;
        std::fs::write(scratch.join("config.yml"), serde_json::to_vec_pretty(&config)?)?;
        let ca_pem = identity.is_some().then(|| authority.certificate().to_owned());
        let mut registry = Self { port, ca_pem, token_server, process: None, scratch };
        registry.restart().await?;
        Ok(registry)
    }

    /// `127.0.0.1:port`, as it stands in an `oci://` URL.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// `oci://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("oci://{}", self.host())
    }

    /// The port it listens on, the same after [`Self::restart`].
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The certificate of the authority that signed the registry's, PEM; none over plain HTTP.
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    /// The folder of its storage.
    pub fn data(&self) -> std::path::PathBuf {
        self.scratch.join("data")
    }

    /// A folder of its own for logins, archives and the like.
    pub fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// The token server, where the face has one.
    pub fn token_server(&self) -> Option<&TokenServer> {
        self.token_server.as_ref()
    }

    /// Kills the registry; its data stays.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn stop(&mut self) -> Result<()> {
        if let Some(process) = self.process.take() {
            process.signal(Signal::Kill)?;
            process.ended(START).await?;
        }
        Ok(())
    }

    /// Starts it (again) on the same port with the same data, and waits until it listens.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn restart(&mut self) -> Result<()> {
        self.stop().await?;
        let mut command = Command::new(Tool::Registry.ready().await?);
        command.arg("serve").arg(self.scratch.join("config.yml")).env("OTEL_TRACES_EXPORTER", "none");
        let process = Process::spawn(&command, &self.scratch.join("registry.log"))?;
        let address = self.host();
        let listens = eventually("the registry listens", START, || async {
            TcpStream::connect(&address).await.map(drop).context("no connection")
        });
        process.while_running(listens).await?;
        self.process = Some(process);
        Ok(())
    }
}

fn identity(authority: &Authority, mode: TlsMode, names: &[String]) -> Result<Identity> {
    let names: Vec<&str> = ["localhost", "127.0.0.1"].into_iter().chain(names.iter().map(String::as_str)).collect();
    match mode {
        TlsMode::OwnCa => authority.server(&names),
        TlsMode::Expired => authority.expired_server(&names),
        TlsMode::WrongName => authority.server(&["registry.example.com"]),
    }
}

fn htpasswd(users: &[User], scratch: &Scratch) -> Result<Value> {
    // The lowest cost: tests check passwords often.
    let line = |user: &User| Ok(format!("{}:{}\n", user.name, bcrypt::hash(&user.password, 4)?));
    let lines = users.iter().map(line).collect::<Result<String>>()?;
    let path = scratch.join("htpasswd");
    std::fs::write(&path, lines)?;
    Ok(json!({ "htpasswd": { "realm": "e2e", "path": path } }))
}

fn config(port: u16, auth: &Value, identity: Option<&Identity>, scratch: &Scratch) -> Result<Value> {
    let mut http = json!({ "addr": format!("127.0.0.1:{port}"), "secret": "e2e" });
    if let Some(identity) = identity {
        let (certificate, key) = (scratch.join("tls.crt"), scratch.join("tls.key"));
        std::fs::write(&certificate, &identity.certificate)?;
        std::fs::write(&key, &identity.key)?;
        http["tls"] = json!({ "certificate": certificate, "key": key });
    }
    Ok(json!({
        "version": "0.1",
        "log": { "level": "info", "accesslog": { "disabled": true } },
        "storage": { "filesystem": { "rootdirectory": scratch.join("data") }, "delete": { "enabled": true } },
        "http": http,
        "auth": auth,
    }))
}
