//! The programs of the real world around the operator: found where the user has them, else built once and cached.
//!
//! Order: `KUBEBUILDER_ASSETS` (what it usually holds: etcd, kube-apiserver, kubectl), the `PATH` for kubectl only, then the
//! cache folder, keyed by version so that clean checkouts share it, then a build from the Go module proxy.

mod build;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

const KUBERNETES: &str = "v1.36.3";

/// A program the harness runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// The store of the API server.
    Etcd,
    /// The Kubernetes API server.
    KubeApiserver,
    /// What makes Deployments, Jobs, namespaces and garbage collection real.
    KubeControllerManager,
    /// What gives pods their node.
    KubeScheduler,
    /// What people look at the cluster with.
    Kubectl,
    /// Helm 4: packs and pushes charts, and is the oracle of what we write.
    Helm,
    /// Helm 3: must be able to read and continue what we write.
    Helm3,
    /// The CNCF distribution registry.
    Registry,
    /// Plays nodes and pods.
    Kwok,
    /// Copies and mends registry content.
    Crane,
    /// The oracle of what post-renderers make of a manifest.
    Kustomize,
}

/// How to build a tool that is nowhere to be found.
enum Recipe {
    /// `go install` of a main package at the tool's version.
    Install(&'static str),
    /// `go build` of a package whose module does not install: `module`, `package`.
    Module(&'static str, &'static str),
    /// A command of Kubernetes itself, whose staging modules must be pinned.
    Kubernetes(&'static str),
}

impl Tool {
    /// All of them, in the order in which a first build serves best: the longest first, helm early.
    pub const ALL: [Self; 11] = [
        Self::Helm,
        Self::KubeApiserver,
        Self::KubeControllerManager,
        Self::KubeScheduler,
        Self::Kubectl,
        Self::Etcd,
        Self::Registry,
        Self::Kwok,
        Self::Helm3,
        Self::Crane,
        Self::Kustomize,
    ];

    /// The program's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::KubeApiserver => "kube-apiserver",
            Self::KubeControllerManager => "kube-controller-manager",
            Self::KubeScheduler => "kube-scheduler",
            Self::Kubectl => "kubectl",
            Self::Helm => "helm",
            Self::Helm3 => "helm3",
            Self::Registry => "registry",
            Self::Kwok => "kwok",
            Self::Crane => "crane",
            Self::Kustomize => "kustomize",
        }
    }

    /// The version that is built when none is found.
    pub fn version(self) -> &'static str {
        match self {
            Self::Etcd => "v3.7.3",
            Self::KubeApiserver | Self::KubeControllerManager | Self::KubeScheduler | Self::Kubectl => KUBERNETES,
            Self::Helm => "v4.3.1",
            Self::Helm3 => "v3.22.0",
            Self::Registry => "v3.1.2",
            Self::Kwok => "v0.8.0",
            Self::Crane => "v0.22.1",
            Self::Kustomize => "v5.8.1",
        }
    }

    fn recipe(self) -> Recipe {
        match self {
            Self::Etcd => Recipe::Module("go.etcd.io/etcd/server/v3", "go.etcd.io/etcd/server/v3"),
            Self::KubeApiserver => Recipe::Kubernetes("k8s.io/kubernetes/cmd/kube-apiserver"),
            Self::KubeControllerManager => Recipe::Kubernetes("k8s.io/kubernetes/cmd/kube-controller-manager"),
            Self::KubeScheduler => Recipe::Kubernetes("k8s.io/kubernetes/cmd/kube-scheduler"),
            Self::Kubectl => Recipe::Kubernetes("k8s.io/kubernetes/cmd/kubectl"),
            Self::Helm => Recipe::Install("helm.sh/helm/v4/cmd/helm"),
            Self::Helm3 => Recipe::Install("helm.sh/helm/v3/cmd/helm"),
            Self::Registry => Recipe::Install("github.com/distribution/distribution/v3/cmd/registry"),
            Self::Kwok => Recipe::Install("sigs.k8s.io/kwok/cmd/kwok"),
            Self::Crane => Recipe::Install("github.com/google/go-containerregistry/cmd/crane"),
            Self::Kustomize => Recipe::Install("sigs.k8s.io/kustomize/kustomize/v5"),
        }
    }

    /// The program's path when it is there already.
    pub fn find(self) -> Option<PathBuf> {
        let asset = std::env::var_os("KUBEBUILDER_ASSETS").map(|folder| Path::new(&folder).join(self.name()));
        if let Some(asset) = asset.filter(|asset| asset.is_file()) {
            return Some(asset);
        }
        if self == Self::Kubectl
            && let Some(kubectl) = on_path(self.name())
        {
            return Some(kubectl);
        }
        cache().ok().map(|cache| self.place(&cache)).filter(|place| place.is_file())
    }

    fn place(self, cache: &Path) -> PathBuf {
        cache.join("tools").join(format!("{}-{}", self.name(), self.version())).join(self.name())
    }

    /// The program's path; builds it first when it is nowhere, which takes up to minutes and is told on standard error.
    ///
    /// # Errors
    /// When it must be built and Go is missing or the build fails; the text says what to install or how the build ended.
    pub fn path(self) -> Result<PathBuf> {
        match self.find() {
            Some(path) => Ok(path),
            None => build::build(self, &self.place(&cache()?)),
        }
    }

    /// [`Tool::path`] without holding up the asynchronous caller while it builds.
    ///
    /// # Errors
    /// As [`Tool::path`].
    pub async fn ready(self) -> Result<PathBuf> {
        match self.find() {
            Some(path) => Ok(path),
            None => tokio::task::spawn_blocking(move || self.path()).await?,
        }
    }
}

/// The folder that outlives checkouts: `HELM_OPERATOR_CACHE`, else `helm-operator` in the user's cache folder.
///
/// # Errors
/// When neither it nor a home folder is known.
pub fn cache() -> Result<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("HELM_OPERATOR_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|cache| cache.join("helm-operator")))
        .or_else(|| set("HOME").map(|home| home.join(".cache/helm-operator")))
        .context("no place for built programs: set HELM_OPERATOR_CACHE or HOME")
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|candidate| candidate.is_file())
}
