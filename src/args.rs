//! The command line. With [`template::Options`], the only reader of flags and of the environment.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use crate::template;

/// Keeps Helm releases from OCI registries as declared.
#[derive(Debug, Parser)]
#[command(version, about, args_override_self = true)]
pub struct Args {
    /// What to do; without one: run the operator.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// Where to serve Prometheus metrics: `host:port`, `:port`, or `0` for nowhere.
    #[arg(long, default_value = "0", value_parser = address)]
    pub metrics_bind_address: Address,

    /// Where to serve `/healthz` and `/readyz`: `host:port`, `:port`, or `0` for nowhere.
    #[arg(long, default_value = ":8081", value_parser = address)]
    pub health_probe_bind_address: Address,

    /// Act only while holding the lease `helm-operator.ketches.cn`, so that of several instances one acts.
    #[arg(long, default_value_t = false, num_args = 0..=1, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub leader_elect: bool,

    /// The namespace of the lease.
    #[arg(long, env = "POD_NAMESPACE", default_value = "default")]
    pub leader_election_namespace: String,

    /// What this instance is called in leases and events.
    #[arg(long, env = "POD_NAME", default_value = "helm-operator")]
    pub instance: String,

    /// Where pulled charts are kept, by digest. It may be lost at any time.
    #[arg(long, env = "HELM_OPERATOR_CACHE_DIR", default_value = "/tmp/helm-operator")]
    pub cache_dir: PathBuf,

    /// How many MiB of pulled charts to keep.
    #[arg(long, default_value_t = 512)]
    pub cache_mib: u64,

    /// How many releases are fetched, rendered and applied at the same time. Waiting ones do not count.
    #[arg(long, default_value_t = 8)]
    pub concurrent: u16,

    /// Refuse what crosses namespaces: repositories and Secrets of other ones, and releases into them.
    #[arg(long)]
    pub no_cross_namespace_refs: bool,

    /// Let repositories use Secrets of other namespaces that do not allow it by their annotation
    /// helm-operator.ketches.cn/allowed-namespaces. For the move from operators that asked for no such consent.
    #[arg(long)]
    pub allow_cross_namespace_secrets: bool,

    /// What to log: a level, or `tracing` directives such as `info,helm_operator=debug`.
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
    /// Render a chart as `helm template` does, without a cluster.
    Template(Box<template::Options>),
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
    full.parse().map(|address| Address(Some(address))).map_err(|_| format!("{text:?} is no host:port, :port or 0"))
}
