//! The command line. With [`template::Options`], the only reader of flags and of the environment.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use crate::controller::RemoteSchemas;
use crate::{client, diff, template};

/// Keeps Helm releases from OCI registries as declared.
#[derive(Debug, Parser)]
#[command(version, about, args_override_self = true)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub struct Args {
    /// What to do; without one: run the operator.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// Where to serve Prometheus metrics: `address:port`, `:port`, or `0` for nowhere.
    #[arg(long, default_value = "0", value_parser = address)]
    pub metrics_bind_address: Address,

    /// Where to serve `/healthz` and `/readyz`: `address:port`, `:port`, or `0` for nowhere.
    #[arg(long, default_value = ":8081", value_parser = address)]
    pub health_probe_bind_address: Address,

    /// Act only while holding the lease `helm-operator.ketches.cn`, so that of several instances one acts.
    #[arg(long, default_value_t = false, num_args = 0..=1, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub leader_elect: bool,

    /// The namespace of the lease.
    #[arg(long, env = "POD_NAMESPACE", default_value = "default")]
    pub leader_election_namespace: String,

    /// What this instance is called in leases and events; no other that runs may have the same name. Default: the host's
    /// name with some random letters.
    #[arg(long, env = "POD_NAME", default_value_t = unique_name(), hide_default_value = true, value_parser = name)]
    pub instance: String,

    /// Where pulled charts are kept, by digest. It may be lost at any time.
    #[arg(long, env = "HELM_OPERATOR_CACHE_DIR", default_value = "/tmp/helm-operator")]
    pub cache_dir: PathBuf,

    /// How many MiB of pulled charts to keep. 0 keeps none, nor schemas, nor what tags stood for when a registry goes away.
    #[arg(long, default_value_t = 512)]
    pub cache_mib: u64,

    /// A file of PEM certificates of authorities that are trusted besides the system's, for all registries. Read at the
    /// start. `SSL_CERT_FILE` and `SSL_CERT_DIR` name others instead of the system's; `HTTPS_PROXY`, `HTTP_PROXY` and
    /// `NO_PROXY` are heeded.
    #[arg(long, env = "HELM_OPERATOR_CA_FILE")]
    pub ca_file: Option<PathBuf>,

    /// How many releases are fetched, rendered and applied at the same time, 1 at least. Waiting ones do not count; as many
    /// again may be uninstalled.
    #[arg(long, default_value_t = 8)]
    pub concurrent: u16,

    /// How many MiB of memory the process may take: how many large charts are rendered at the same time follows from it.
    /// Default: the limit of the container.
    #[arg(long)]
    pub memory_mib: Option<u64>,

    /// Confine each release to the namespace of its object: repositories and Secrets of other namespaces are refused,
    /// releases into them, charts with objects of other namespaces or of the whole cluster; `lookup` sees nothing beyond.
    #[arg(long)]
    pub no_cross_namespace_refs: bool,

    /// Let repositories use Secrets of other namespaces that do not allow it by their annotation
    /// helm-operator.ketches.cn/allowed-namespaces. For the move from operators that asked for no such consent.
    #[arg(long)]
    pub allow_cross_namespace_secrets: bool,

    /// The service account as which releases are carried out that name none, in the namespace of each. Without it they are
    /// carried out with the operator's own rights.
    #[arg(long, value_parser = name)]
    pub default_service_account: Option<String>,

    /// What becomes of schemas that a chart's values.schema.json refers to by address.
    #[arg(long, value_enum, default_value_t = RemoteSchemas::Fetch)]
    pub remote_schemas: RemoteSchemas,

    /// Hosts, parted by commas, that schemas are fetched from though their addresses are not public, or behind a proxy:
    /// `name`, `name:port` or `*.domain`. All others are asked at public addresses only.
    #[arg(long, value_delimiter = ',')]
    pub remote_schema_hosts: Vec<String>,

    /// Refuse `spec.kubeConfig`: releases are carried out in this cluster only. The operator then connects to no address that whoever
    /// may write a Secret chooses.
    #[arg(long)]
    pub no_remote_clusters: bool,

    /// Let kubeconfigs of other clusters (`spec.kubeConfig`) name programs that tell the credentials, which then run in the
    /// operator's container as the operator: for those who alone write such Secrets.
    #[arg(long)]
    pub insecure_kubeconfig_exec: bool,

    /// Let kubeconfigs of other clusters leave out the check of the server's certificate, or have none at all.
    #[arg(long)]
    pub insecure_kubeconfig_tls: bool,

    /// What to log: a level (off, error, warn, info, debug, trace), or several `target=level` parted by commas, such as
    /// `info,helm_operator::registry=debug`. A level alone opens libraries up to info only: below it they print whole
    /// requests and answers, Secrets among them; one that is named, such as `kube_client=debug`, does print them.
    #[arg(long, env = "HELM_OPERATOR_LOG", default_value = "info")]
    pub log: String,

    /// How log lines look.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
}

/// Other things than running the operator.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print the definitions of the custom resources as YAML.
    Crds,
    /// Print a `HelmRelease` of the cluster as it is carried out: with what `HelmReleaseDefaults` give it, and which of them.
    Effective(Effective),
    /// Render a chart as `helm template` does, without a cluster.
    Template(Box<template::Options>),
    /// Print what the plan changes that waits for approval, or with `-f` what applying a file would change. Ends with 0 where
    /// nothing does, with 1 where something does, and with more where something is wrong, as `kubectl diff`.
    Diff(diff::Options),
}

/// Which release is shown.
#[derive(Debug, clap::Args)]
pub struct Effective {
    /// The name of the `HelmRelease`.
    pub name: String,

    /// In which cluster, and as whom.
    #[command(flatten)]
    pub person: client::Person,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Where to listen, if anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address(pub Option<SocketAddr>);

fn address(text: &str) -> Result<Address, String> {
    if text == "0" || text.is_empty() {
        return Ok(Address(None));
    }
    let full = if text.starts_with(':') { format!("[::]{text}") } else { text.to_owned() };
    full.parse().map(|address| Address(Some(address))).map_err(|_| format!("{text:?} is no address:port, :port or 0"))
}

/// A name that no other process has by chance.
fn unique_name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = if host.trim().is_empty() { "helm-operator" } else { host.trim() };
    let mut random = [0; 5];
    // Without the kernel's randomness the process id still tells the processes of one host apart.
    if getrandom::fill(&mut random).is_err() {
        random[..4].copy_from_slice(&std::process::id().to_be_bytes());
    }
    random.iter().fold(format!("{host}_"), |name, byte| name + &format!("{byte:02x}"))
}

fn name(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("a name is needed".to_owned()) } else { Ok(text.to_owned()) }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::{Args, unique_name};

    #[test]
    fn two_processes_never_share_a_name_by_default() {
        assert_ne!(unique_name(), unique_name());
        let one = Args::try_parse_from(["helm-operator"]).expect("no flag is needed").instance;
        assert!((12..=128).contains(&one.len()), "an Event's reportingInstance holds 128 characters: {one}");
        let given = Args::try_parse_from(["helm-operator", "--instance=blue"]).expect("a name").instance;
        assert_eq!(given, "blue");
        assert!(Args::try_parse_from(["helm-operator", "--instance="]).is_err(), "an empty holder means a free lease");
    }
}
