//! `helm-operator`: keeps Helm releases from OCI registries as declared.
//!
//! The flow has one direction, and the modules stand in its order:
//!
//! ```text
//! HelmRelease → dereference → validate → resolve → observe → plan → act (fetch, render, record, apply, wait, record) → report → status
//! api           └───────────────────────── controller ──────────────────────────────────────────────────────────────────────┘
//!                                        registry   history         registry  helm    cluster        history
//! ```
//!
//! - [`api`]: the custom resources, pure data.
//! - [`registry`]: OCI registries: a version to a digest, a digest to a chart's archive. Knows no Kubernetes.
//! - [`cluster`]: the one door to users' objects: find kinds, apply, delete, wait by watching.
//! - [`history`]: the one door to Helm's release Secrets.
//! - [`controller`]: what is watched, and the two sentences `reconcile`.
//! - [`args`], [`chain`], [`client`], [`leader`], [`telemetry`], [`metrics`], [`server`], [`shutdown`]: the process around it;
//!   `permits` and `off_thread`: how many may do something at once, and computing off the thread that answers.
//!
//! Apart from it: [`template`], the command that renders a chart without a cluster, and [`diff`], which prints what a plan
//! changes that waits for approval, or what applying a file would change.
//!
//! What a chart means, [`helm`] computes, what a template means, [`gotmpl`], and what YAML says, [`formats`]: none of them sees
//! a cluster, a registry or a clock.
//!
//! The words that the code uses are listed in `docs/architecture.md`.

pub mod api;
pub mod args;
pub mod chain;
pub mod client;
pub mod cluster;
pub mod controller;
pub mod diff;
pub mod history;
pub mod leader;
pub mod metrics;
mod off_thread;
mod permits;
pub mod registry;
pub mod server;
pub mod shutdown;
pub mod telemetry;
pub mod template;

#[cfg(test)]
mod generated;
#[cfg(test)]
mod tidy;
