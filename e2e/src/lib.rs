//! The operator as a user meets it: a real control plane, a real registry, real Helm, and the operator's own binary.
//!
//! Reading order: [`process`] and [`tools`] are the ground; [`apiserver`] makes a cluster of them and [`kwok`] gives it
//! nodes and pods. [`helm`] and [`kubectl`] are what people use, [`charts`] what they package, [`artifact`] what they should not, [`operator`] what is tested,
//! [`status`] what is expected of it; [`registry`] is where charts come from, in every face, [`faults`]
//! a server that answers as a test wants, [`proxy`] and [`gateway`] stand before registries and the API server.
//! [`recorder`] writes down what becomes of all release Secrets, and [`model`] judges it.
//! [`story`] puts it all on a stage. [`kill_points`] lets the operator die at each of its writes. Waiting is [`eventually`]'s alone.

pub mod certificates;
pub mod eventually;
pub mod ports;
pub mod process;
pub mod sample;
pub mod tools;

pub mod apiserver;
pub mod kwok;

pub mod faults;
pub mod registry;
pub mod token_server;

pub mod artifact;
pub mod charts;
pub mod helm;
pub mod kubectl;

pub mod gateway;
pub mod operator;
pub mod proxy;
pub mod status;

pub mod model;
pub mod recorder;

pub mod story;

pub mod kill_points;
pub mod transitions;

/// Makes ring the process's TLS provider; kube and reqwest bring none of their own here.
pub fn install_tls_provider() {
    // The second caller finds one installed, which is what it wanted.
    drop(rustls::crypto::ring::default_provider().install_default());
}
