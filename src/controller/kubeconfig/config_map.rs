//! What a `ConfigMap` says of a cluster that trusts the service accounts of this one: Flux's keys. Pure.
//!
//! Who writes it is whoever may write `ConfigMap`s in a namespace. A token of the operator's own is never shown to an address that
//! stands there: a service account of that namespace has to be named.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube::config::{AuthInfo, Cluster, Context, Kubeconfig, NamedAuthInfo, NamedCluster, NamedContext};

use super::{Allowed, Connection, admit_cluster};

const PROVIDER: &str = "provider";
const ADDRESS: &str = "address";
const AUTHORITY: &str = "ca.crt";
const ACCOUNT: &str = "serviceAccountName";
const AUDIENCES: &str = "audiences";

/// The keys that count.
pub(crate) const KEYS: [&str; 5] = [PROVIDER, ADDRESS, AUTHORITY, ACCOUNT, AUDIENCES];

/// The most audiences of a token.
const MAX_AUDIENCES: usize = 16;

/// Whose tokens are shown to a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The service account, in the namespace of the `ConfigMap`.
    pub(crate) account: String,
    /// Whom the tokens are meant for.
    pub(crate) audiences: Vec<String>,
}

/// Reads the data of a `ConfigMap`.
pub(crate) fn parse(data: &BTreeMap<String, String>, allowed: Allowed) -> Result<(Connection, Identity), String> {
    let text = |key: &str| data.get(key).map(|text| text.trim()).filter(|text| !text.is_empty());
    match text(PROVIDER).ok_or("it has no provider: set it to generic")? {
        "generic" => {}
        cloud @ ("aws" | "azure" | "gcp") => {
            return Err(format!(
                "its provider is {cloud}, and the identities of clouds are not supported: set provider: generic where the cluster trusts the tokens of \
                 this one, or put a kubeconfig into a Secret and name that in spec.kubeConfig.secretRef"
            ));
        }
        _ => return Err("its provider is unknown: set it to generic".to_owned()),
    }
    let address = text(ADDRESS).ok_or("it has no address: set it to the https:// URL of the API server")?;
    if !["https://", "http://"].iter().any(|scheme| address.starts_with(scheme)) {
        return Err("its address is no https:// URL".to_owned());
    }
    if address.split(['/', '?', '#']).nth(2).is_some_and(|authority| authority.contains('@')) {
        return Err("its address holds a user name or a password: leave them out".to_owned());
    }
    let account = text(ACCOUNT).ok_or(
        "it has no serviceAccountName: set it to a service account of its namespace, which the cluster is to know; the operator shows none of its \
         own tokens",
    )?;
    if !is_name(account) {
        return Err("its serviceAccountName is no name of a service account".to_owned());
    }
    let audiences: Vec<String> = match text(AUDIENCES) {
        Some(listed) => listed.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect(),
        None => vec![address.to_owned()],
    };
    if audiences.len() > MAX_AUDIENCES {
        return Err(format!("it has more than {MAX_AUDIENCES} audiences"));
    }
    let authority = text(AUTHORITY);
    if authority.is_some_and(|pem| !pem.contains("-----BEGIN CERTIFICATE-----")) {
        return Err("its ca.crt holds no certificate in PEM".to_owned());
    }
    let cluster = Cluster {
        server: Some(address.to_owned()),
        certificate_authority_data: authority.map(|pem| STANDARD.encode(pem)),
        ..Cluster::default()
    };
    let server = admit_cluster(Some(&cluster), allowed).map_err(|why| {
        why.replacen("its cluster's server", "its address", 1).replacen("its server", "its address", 1)
    })?;
    let kubeconfig = of(cluster);
    Ok((
        Connection { kubeconfig, server, has_authority: authority.is_some() },
        Identity { account: account.to_owned(), audiences },
    ))
}

/// A kubeconfig for a cluster, without credentials.
fn of(cluster: Cluster) -> Kubeconfig {
    const NAME: &str = "remote";
    let context = Context { cluster: NAME.to_owned(), user: Some(NAME.to_owned()), ..Context::default() };
    Kubeconfig {
        clusters: vec![NamedCluster { name: NAME.to_owned(), cluster: Some(cluster), ..NamedCluster::default() }],
        auth_infos: vec![NamedAuthInfo {
            name: NAME.to_owned(),
            auth_info: Some(AuthInfo::default()),
            ..NamedAuthInfo::default()
        }],
        contexts: vec![NamedContext { name: NAME.to_owned(), context: Some(context), ..NamedContext::default() }],
        current_context: Some(NAME.to_owned()),
        ..Kubeconfig::default()
    }
}

/// Whether the API server could have an object of that name; it becomes a part of a path.
fn is_name(text: &str) -> bool {
    text.len() <= 253
        && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.'))
        && !text.starts_with(['-', '.'])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Allowed, parse};

    const GOOD: [(&str, &str); 3] =
        [("provider", "generic"), ("address", "https://k.example:6443"), ("serviceAccountName", "deployer")];

    fn with(changes: &[(&str, &str)]) -> BTreeMap<String, String> {
        GOOD.iter().chain(changes).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_audience_is_the_address_unless_others_are_listed() {
        for (changes, audiences) in [
            (&[][..], &["https://k.example:6443"][..]),
            (&[("audiences", " one \n\ntwo\n")], &["one", "two"]),
            (&[("audiences", "\n"), ("cluster", "unused")], &["https://k.example:6443"]),
        ] {
            let (connection, identity) = parse(&with(changes), Allowed::default()).expect("it can be used");
            assert_eq!((connection.server.as_str(), identity.account.as_str()), ("k.example:6443", "deployer"));
            assert_eq!(identity.audiences, audiences);
        }
    }

    #[test]
    fn what_cannot_be_used_says_what_to_set() {
        let lax = Allowed { insecure_tls: true, ..Allowed::default() };
        // A word of why, and whether a flag allows it.
        for (changes, word, allowed) in [
            (&[("provider", "")][..], "set it to generic", false),
            (&[("provider", "aws")], "spec.kubeConfig.secretRef", false),
            (&[("provider", "azure")], "not supported", false),
            (&[("provider", "gcp")], "not supported", false),
            (&[("provider", "s3cret")], "unknown", false),
            (&[("address", "")], "it has no address", false),
            (&[("address", "k.example")], "its address", false),
            (&[("address", "https://")], "its address", false),
            (&[("address", "https://admin:s3cret@k.example")], "user name or a password", false),
            (&[("address", "https://admin@k.example")], "user name or a password", false),
            (&[("address", "http://k.example")], "--insecure-kubeconfig-tls", true),
            (&[("serviceAccountName", " ")], "serviceAccountName", false),
            (&[("serviceAccountName", "../../s3cret")], "no name", false),
            (&[("ca.crt", "s3cret")], "no certificate in PEM", false),
        ] {
            let why = parse(&with(changes), Allowed::default()).map(drop).expect_err("it is refused");
            assert!(why.contains(word) && !why.contains("s3cret"), "{why}");
            assert_eq!(parse(&with(changes), lax).is_ok(), allowed, "{why}");
        }
    }
}
