//! A Kubernetes control plane of one's own on loopback: etcd, API server, controllers, scheduler, and kwok as the nodes.
//!
//! It is ready in two to three seconds and leaves nothing behind. With `E2E_KUBECONFIG` in the environment the cluster
//! it names is used instead; what needs power over the API server itself (a restart) is refused there.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use kube::api::PostParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde_json::{Value, json};
use tokio::sync::{Mutex, OnceCell};

use crate::certificates::{Authority, Identity, signing_key};
use crate::eventually::eventually;
use crate::process::{Process, Scratch, Signal};
use crate::tools::Tool;
use crate::{kwok, ports};

const START: Duration = Duration::from_secs(90);

/// What runs beside the API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Parts {
    /// Nothing: objects are stored, and nobody acts on them.
    ApiOnly,
    /// Controllers, scheduler, and kwok that plays the pods.
    Everything,
}

/// Whether the API server writes an audit log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Audit {
    On,
    Off,
}

/// Who, what, with what outcome; nothing of what was sent or answered.
const AUDIT_POLICY: &str = r#"{"apiVersion": "audit.k8s.io/v1", "kind": "Policy",
"omitStages": ["RequestReceived"], "rules": [{"level": "Metadata"}]}"#;

const AUDIT_LOG: &str = "audit.log";

/// Who issues the tokens of service accounts, which is whom they are meant for, too, where nothing else is said.
pub const ISSUER: &str = "https://kubernetes.default.svc";

/// What the users of another cluster are called by.
const ELSEWHERE: &str = "elsewhere:";

/// A running cluster. Dropping it ends it.
#[derive(Debug)]
pub struct ControlPlane {
    kubeconfig: PathBuf,
    own: Option<Own>,
    /// Where the kubeconfig of a cluster lies that is not ours, if it is a copy.
    _scratch: Option<Scratch>,
}

/// The processes and files of a control plane that is ours.
#[derive(Debug)]
struct Own {
    url: String,
    authority: Arc<Authority>,
    apiserver: Mutex<Option<Process>>,
    apiserver_command: Flags,
    others: Vec<Process>,
    scratch: Scratch,
}

impl ControlPlane {
    /// Starts a control plane with controllers and pods, or takes the cluster of `E2E_KUBECONFIG`.
    ///
    /// # Errors
    /// When a program is missing and cannot be built, or a part does not come up; the end of its log is in the text.
    pub async fn start() -> Result<Self> {
        crate::install_tls_provider();
        match std::env::var_os("E2E_KUBECONFIG").filter(|value| !value.is_empty()) {
            Some(kubeconfig) => Ok(Self { kubeconfig: kubeconfig.into(), own: None, _scratch: None }),
            None => Self::start_own().await,
        }
    }

    /// Starts a control plane whatever the environment says, for who wants to break it.
    ///
    /// # Errors
    /// As [`ControlPlane::start`].
    pub async fn start_own() -> Result<Self> {
        Self::start_with(Parts::Everything).await
    }

    /// Starts an API server on which nothing acts: the quickest way to store and apply objects.
    ///
    /// # Errors
    /// As [`ControlPlane::start`].
    pub async fn api_only() -> Result<Self> {
        Self::start_with(Parts::ApiOnly).await
    }

    /// [`ControlPlane::api_only`], with an API server that takes the tokens which `home` issues to its service accounts, if they are
    /// meant for `audience`: it knows whom they are for by [`ControlPlane::known_as`].
    ///
    /// # Errors
    /// As [`ControlPlane::start`]; or `home` is not ours, or its keys cannot be shown to everybody.
    pub async fn trusting(home: &Self, audience: &str) -> Result<Self> {
        let issuer = home.own()?;
        // Whoever checks a token asks its issuer for the keys, as nobody in particular.
        let binding = json!({
            "metadata": { "name": "issuer-discovery-by-everybody" },
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:service-account-issuer-discovery",
            },
            "subjects": [{ "apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:unauthenticated" }],
        });
        let bindings = Api::<ClusterRoleBinding>::all(home.client().await?);
        bindings.create(&PostParams::default(), &serde_json::from_value(binding)?).await?;
        let trusted = json!({
            "apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthenticationConfiguration",
            "jwt": [{
                "issuer": {
                    "url": ISSUER,
                    "discoveryURL": format!("{}/.well-known/openid-configuration", issuer.url),
                    "certificateAuthority": issuer.authority.certificate(),
                    "audiences": [audience],
                },
                "claimMappings": { "username": { "claim": "sub", "prefix": ELSEWHERE } },
            }],
        });
        Self::start_audited(Parts::ApiOnly, Audit::Off, Some(trusted)).await
    }

    /// Whom a cluster of [`ControlPlane::trusting`] takes a service account of the other one for.
    pub fn known_as(namespace: &str, account: &str) -> String {
        format!("{ELSEWHERE}system:serviceaccount:{namespace}:{account}")
    }

    /// Where its API server is.
    ///
    /// # Errors
    /// When the cluster is not ours.
    pub fn url(&self) -> Result<&str> {
        Ok(&self.own()?.url)
    }

    /// The certificate of the authority that signed its API server's, in PEM.
    ///
    /// # Errors
    /// When the cluster is not ours.
    pub fn authority(&self) -> Result<&str> {
        Ok(self.own()?.authority.certificate())
    }

    /// The cluster that kubectl speaks to for the person at the terminal. It is not ours: nothing of it is stopped.
    ///
    /// # Errors
    /// When kubectl knows of none, or is missing.
    pub async fn current() -> Result<Self> {
        crate::install_tls_provider();
        let mut kubectl = tokio::process::Command::new(Tool::Kubectl.ready().await?);
        let read =
            kubectl.args(["config", "view", "--raw", "--minify", "--flatten", "--output", "json"]).output().await?;
        if !read.status.success() {
            bail!("kubectl knows no current cluster: {}", String::from_utf8_lossy(&read.stderr).trim());
        }
        let scratch = Scratch::new("cluster")?;
        let kubeconfig = scratch.join("kubeconfig");
        fs::write(&kubeconfig, &read.stdout)?;
        Ok(Self { kubeconfig, own: None, _scratch: Some(scratch) })
    }

    /// [`ControlPlane::start_own`] with an API server that writes down who asked for what: see [`ControlPlane::audit`].
    ///
    /// # Errors
    /// As [`ControlPlane::start`].
    pub async fn audited() -> Result<Self> {
        Self::start_audited(Parts::Everything, Audit::On, None).await
    }

    /// The one control plane that tests of this process share.
    ///
    /// # Errors
    /// As [`ControlPlane::start`].
    pub async fn shared() -> Result<&'static Self> {
        static SHARED: OnceCell<ControlPlane> = OnceCell::const_new();
        SHARED.get_or_try_init(Self::start).await
    }

    async fn start_with(parts: Parts) -> Result<Self> {
        Self::start_audited(parts, Audit::Off, None).await
    }

    async fn start_audited(parts: Parts, audit: Audit, trusted: Option<Value>) -> Result<Self> {
        crate::install_tls_provider();
        let scratch = Scratch::new("control-plane")?;
        let layout = Layout::decide(&scratch)?;
        let etcd = layout.etcd().await?;
        let command = layout.apiserver(audit, trusted).await?;
        let apiserver = command.spawn(scratch.path())?;
        let mut plane = Self {
            kubeconfig: layout.kubeconfig.clone(),
            own: Some(Own {
                url: layout.url.clone(),
                authority: Arc::clone(&layout.authority),
                apiserver: Mutex::new(Some(apiserver)),
                apiserver_command: command,
                others: vec![etcd],
                scratch,
            }),
            _scratch: None,
        };
        plane.until_ready().await?;
        if parts == Parts::Everything {
            plane.start_controllers(&layout).await?;
        }
        Ok(plane)
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Writes a kubeconfig for `user` in `group`, who may do what RBAC lets them.
    ///
    /// # Errors
    /// When the cluster is not ours: there is nobody then to sign for the user.
    pub fn kubeconfig_for(&self, user: &str, group: &str) -> Result<PathBuf> {
        let own = self.own()?;
        let identity = own.authority.client(user, group)?;
        // KUBECONFIG is a list that colons part.
        let path = own.scratch.join(format!("kubeconfig-{}", user.replace(':', "-")));
        fs::write(&path, kubeconfig(&own.url, Some(own.authority.certificate()), Some(&identity)))?;
        Ok(path)
    }

    /// A new client with an administrator's rights, tied to the calling runtime.
    ///
    /// # Errors
    /// When the kubeconfig cannot be read.
    pub async fn client(&self) -> Result<Client> {
        client(&self.kubeconfig).await
    }

    /// Whether the API server is ours to stop and start.
    pub fn is_own(&self) -> bool {
        self.own.is_some()
    }

    /// What the API server wrote down so far of the requests of `user`, as audit events without bodies.
    ///
    /// # Errors
    /// When the cluster was not started by [`ControlPlane::audited`].
    pub fn audit(&self, user: &str) -> Result<Vec<Value>> {
        let path = self.own()?.scratch.join(AUDIT_LOG);
        let log = fs::read_to_string(&path).context("the API server writes no audit log")?;
        // A line that is being written is left for the next look.
        let whole = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let mut events: Vec<Value> = whole.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        events.retain(|event| event["user"]["username"] == user);
        Ok(events)
    }

    /// Ends the API server at once; its address stays reserved for [`ControlPlane::start_apiserver`].
    ///
    /// # Errors
    /// When the cluster is not ours.
    pub async fn stop_apiserver(&self) -> Result<()> {
        let mut process = self.own()?.apiserver.lock().await;
        if let Some(process) = process.take() {
            process.signal(Signal::Kill)?;
            process.ended(START).await?;
        }
        Ok(())
    }

    /// Starts the API server where it was, and returns when it is ready.
    ///
    /// # Errors
    /// When the cluster is not ours or the server does not come up.
    pub async fn start_apiserver(&self) -> Result<()> {
        let own = self.own()?;
        *own.apiserver.lock().await = Some(own.apiserver_command.spawn(own.scratch.path())?);
        self.until_ready().await
    }

    fn own(&self) -> Result<&Own> {
        self.own.as_ref().context("the cluster of E2E_KUBECONFIG is not ours to restart")
    }

    async fn until_ready(&self) -> Result<()> {
        let client = self.client().await?;
        let own = self.own()?;
        let process = own.apiserver.lock().await;
        let process = process.as_ref().context("the API server is stopped")?;
        let ready = eventually("the API server is ready", START, || async {
            let request = http::Request::get("/readyz").body(Vec::new())?;
            client.request_text(request).await.with_context(|| format!("{} does not answer", own.url))
        });
        process.while_running(ready).await.map(drop)
    }

    /// What acts on objects. It starts when the API server is ready: the controller manager gives up waiting after ten
    /// seconds, which a loaded machine may need.
    async fn start_controllers(&mut self, layout: &Layout) -> Result<()> {
        let client = self.client().await?;
        let own = self.own.as_mut().context("only a cluster of ours gets controllers")?;
        let manager = layout.controller("kube-controller-manager", Tool::KubeControllerManager).await?;
        own.others.push(layout.controller("kube-scheduler", Tool::KubeScheduler).await?);
        own.others.push(kwok::spawn(own.scratch.path(), &layout.kubeconfig).await?);
        kwok::add_node(client.clone()).await?;
        let accounts: Api<ServiceAccount> = Api::namespaced(client, "default");
        // Pods need an account that only the controllers make.
        let made = eventually("the default service account exists", START, || async {
            accounts.get("default").await.context("not yet")
        });
        manager.while_running(made).await?;
        own.others.push(manager);
        Ok(())
    }
}

/// A client for a kubeconfig file's current context, without the rate limits that a person's tool would have.
///
/// # Errors
/// When the file cannot be read or holds no usable context.
pub async fn client(kubeconfig: &Path) -> Result<Client> {
    crate::install_tls_provider();
    let read = Kubeconfig::read_from(kubeconfig).with_context(|| format!("failed to read {}", kubeconfig.display()))?;
    let config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}

/// Files and addresses, decided before anything runs.
struct Layout {
    folder: PathBuf,
    authority: Arc<Authority>,
    url: String,
    port: u16,
    etcd_port: u16,
    kubeconfig: PathBuf,
}

impl Layout {
    fn decide(scratch: &Scratch) -> Result<Self> {
        let (port, etcd_port) = (ports::free()?, ports::free()?);
        let url = format!("https://127.0.0.1:{port}");
        let authority = Authority::new("kubernetes")?;
        // 10.0.0.1 is the address of the `kubernetes` Service: the first of the Service range.
        let names = ["127.0.0.1", "localhost", "kubernetes.default.svc", "kubernetes.default", "10.0.0.1"];
        let server = authority.server(&names)?;
        let admin = authority.client("admin", "system:masters")?;
        let (private, public) = signing_key()?;
        for (name, text) in [
            ("ca.crt", authority.certificate()),
            ("server.crt", &server.certificate),
            ("server.key", &server.key),
            ("service-account.key", &private),
            ("service-account.pub", &public),
        ] {
            fs::write(scratch.join(name), text)?;
        }
        let kubeconfig = scratch.join("kubeconfig");
        fs::write(&kubeconfig, self::kubeconfig(&url, Some(authority.certificate()), Some(&admin)))?;
        Ok(Self { folder: scratch.path().to_owned(), authority: Arc::new(authority), url, port, etcd_port, kubeconfig })
    }

    async fn etcd(&self) -> Result<Process> {
        let peer = format!("http://127.0.0.1:{}", ports::free()?);
        let client = format!("http://127.0.0.1:{}", self.etcd_port);
        let mut flags = Flags::new(Tool::Etcd).await?;
        flags.set("data-dir", self.folder.join("etcd").display()).set("unsafe-no-fsync", true);
        flags.set("listen-client-urls", &client).set("advertise-client-urls", &client);
        flags.set("listen-peer-urls", &peer).set("initial-advertise-peer-urls", &peer);
        flags.set("initial-cluster", format!("default={peer}")).set("log-level", "warn");
        let process = flags.spawn(&self.folder)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.etcd_port));
        let listens = eventually("etcd listens", START, || async {
            tokio::net::TcpStream::connect(address).await.context("no answer yet")
        });
        process.while_running(listens).await?;
        Ok(process)
    }

    async fn apiserver(&self, audit: Audit, trusted: Option<Value>) -> Result<Flags> {
        let file = |name: &str| self.folder.join(name).display().to_string();
        let mut flags = Flags::new(Tool::KubeApiserver).await?;
        flags.set("etcd-servers", format!("http://127.0.0.1:{}", self.etcd_port));
        flags.set("bind-address", "127.0.0.1").set("secure-port", self.port);
        flags.set("cert-dir", file("apiserver"));
        flags.set("tls-cert-file", file("server.crt")).set("tls-private-key-file", file("server.key"));
        flags.set("client-ca-file", file("ca.crt"));
        // Whose tokens it takes from elsewhere cannot be called as it is itself.
        flags.set("service-account-issuer", if trusted.is_some() { "https://elsewhere.example" } else { ISSUER });
        flags.set("service-account-jwks-uri", format!("{}/openid/v1/jwks", self.url));
        if let Some(trusted) = trusted {
            fs::write(self.folder.join("authentication.json"), trusted.to_string())?;
            flags.set("authentication-config", file("authentication.json"));
        }
        flags.set("service-account-key-file", file("service-account.pub"));
        flags.set("service-account-signing-key-file", file("service-account.key"));
        flags.set("service-cluster-ip-range", "10.0.0.0/20").set("endpoint-reconciler-type", "none");
        flags.set("authorization-mode", "RBAC").set("allow-privileged", true);
        if audit == Audit::On {
            fs::write(self.folder.join("audit-policy.json"), AUDIT_POLICY)?;
            flags.set("audit-policy-file", file("audit-policy.json")).set("audit-log-path", file(AUDIT_LOG));
            flags.set("audit-log-mode", "blocking");
        }
        Ok(flags)
    }

    /// The controller manager and the scheduler take the same flags but for a few.
    async fn controller(&self, name: &str, tool: Tool) -> Result<Process> {
        let kubeconfig = self.kubeconfig.display();
        let mut flags = Flags::new(tool).await?;
        flags.set("kubeconfig", &kubeconfig).set("leader-elect", false);
        flags.set("bind-address", "127.0.0.1").set("secure-port", ports::free()?);
        flags.set("authentication-kubeconfig", &kubeconfig).set("authorization-kubeconfig", &kubeconfig);
        // The defaults are meant for production; stories should not wait for a client-side queue.
        flags.set("kube-api-qps", 500).set("kube-api-burst", 1000);
        if tool == Tool::KubeControllerManager {
            flags.set("controllers", "*,-nodeipam,-cloud-node-lifecycle");
            flags.set("service-account-private-key-file", self.folder.join("service-account.key").display());
            flags.set("root-ca-file", self.folder.join("ca.crt").display());
            flags.set("cert-dir", self.folder.join(name).display());
        }
        flags.spawn(&self.folder)
    }
}

/// A program with its long flags, to be started once or again.
#[derive(Clone, Debug)]
pub(crate) struct Flags {
    program: PathBuf,
    arguments: Vec<String>,
}

impl Flags {
    pub(crate) async fn new(tool: Tool) -> Result<Self> {
        Ok(Self { program: tool.ready().await?, arguments: Vec::new() })
    }

    #[expect(clippy::needless_pass_by_value, reason = "callers pass numbers, texts and paths alike")]
    pub(crate) fn set(&mut self, flag: &str, value: impl ToString) -> &mut Self {
        self.arguments.push(format!("--{flag}={}", value.to_string()));
        self
    }

    pub(crate) fn spawn(&self, folder: &Path) -> Result<Process> {
        let Some(name) = self.program.file_name() else { bail!("{} is no program", self.program.display()) };
        // Neither a user's kubeconfig nor a proxy may leak into a cluster that is wholly ours.
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).env_remove("KUBECONFIG").env("NO_PROXY", "127.0.0.1,localhost");
        Process::spawn(&command, &folder.join(name).with_extension("log"))
    }
}

/// A kubeconfig for one server, as JSON, which every reader of YAML reads.
pub fn kubeconfig(url: &str, authority: Option<&str>, identity: Option<&Identity>) -> String {
    let mut cluster = json!({ "server": url });
    if let Some(authority) = authority {
        cluster["certificate-authority-data"] = STANDARD.encode(authority).into();
    }
    let user = identity.map_or_else(
        || json!({}),
        |identity| {
            json!({
                "client-certificate-data": STANDARD.encode(&identity.certificate),
                "client-key-data": STANDARD.encode(&identity.key),
            })
        },
    );
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "e2e",
        "clusters": [{ "name": "e2e", "cluster": cluster }],
        "users": [{ "name": "e2e", "user": user }],
        "contexts": [{ "name": "e2e", "context": { "cluster": "e2e", "user": "e2e" } }],
    })
    .to_string()
}
