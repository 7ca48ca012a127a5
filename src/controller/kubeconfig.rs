//! A kubeconfig from a Secret: read, and refused where it asks for more than a connection. Pure.
//!
//! Who writes it is whoever may write Secrets in a namespace. It may name an address and credentials, and no program, no
//! file of the operator's disk, and no other identity; nor may it leave out the check of the server's certificate.

mod config_map;

use kube::config::{AuthInfo, Cluster, Kubeconfig};

pub(crate) use self::config_map::{Identity, KEYS as CONFIG_MAP_KEYS, parse as of_config_map};

/// What an administrator allows in a kubeconfig besides.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Allowed {
    /// Programs that tell the credentials.
    pub exec: bool,
    /// Servers whose certificate is not checked, or that have none.
    pub insecure_tls: bool,
}

/// A kubeconfig that may be used: its current context alone.
pub(crate) struct Connection {
    /// What kube makes a client of.
    pub(crate) kubeconfig: Kubeconfig,
    /// The server, for messages.
    pub(crate) server: String,
    /// Whether it says which authorities are trusted; else they are those of the operator's system.
    pub(crate) has_authority: bool,
}

/// Reads `content`; what is wrong with it is told without anything that it holds but names and the server.
pub(crate) fn parse(content: &[u8], allowed: Allowed) -> Result<Connection, String> {
    let documents = formats::yaml::parse_all(content).map_err(|_| "it is no YAML".to_owned())?;
    let document = documents.first().map(formats::json::to_serde).ok_or("it is empty")?;
    // The parser's own words would quote what it holds.
    let read: Kubeconfig = serde_json::from_value(document).map_err(|_| "it is no kubeconfig".to_owned())?;
    let current = read.current_context.clone().ok_or("it has no current-context")?;
    let found = read.contexts.into_iter().find(|named| named.name == current);
    let chosen = found.ok_or_else(|| format!("it has no context {current:?}, which current-context names"))?;
    let named = chosen.context.clone().ok_or_else(|| format!("its context {current:?} is empty"))?;
    let of_context = |what: &str, name: &str| format!("it has no {what} {name:?}, which its context {current:?} names");
    let cluster = read.clusters.into_iter().find(|other| other.name == named.cluster);
    let cluster = cluster.ok_or_else(|| of_context("cluster", &named.cluster))?;
    let name = named.user.unwrap_or_default();
    let user = read.auth_infos.into_iter().find(|other| other.name == name);
    let user = user.ok_or_else(|| of_context("user", &name))?;
    let server = admit_cluster(cluster.cluster.as_ref(), allowed)?;
    admit_user(user.auth_info.as_ref(), allowed)?;
    let has_authority = cluster.cluster.as_ref().is_some_and(|it| it.certificate_authority_data.is_some());
    let kubeconfig = Kubeconfig {
        clusters: vec![cluster],
        auth_infos: vec![user],
        contexts: vec![chosen],
        current_context: Some(current),
        ..Kubeconfig::default()
    };
    Ok(Connection { kubeconfig, server, has_authority })
}

fn admit_cluster(cluster: Option<&Cluster>, allowed: Allowed) -> Result<String, String> {
    let server = cluster.and_then(|cluster| cluster.server.as_deref()).ok_or("its cluster has no server")?;
    let url: http::Uri = server.parse().map_err(|_| "its cluster's server is no URL".to_owned())?;
    let host = url.host().ok_or("its cluster's server has no host")?;
    let shown = match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    if url.scheme_str() != Some("https") && !allowed.insecure_tls {
        return Err(format!("its server {shown} is no https:// URL (--insecure-kubeconfig-tls allows it)"));
    }
    if cluster.and_then(|cluster| cluster.insecure_skip_tls_verify) == Some(true) && !allowed.insecure_tls {
        let way = "put the server's authority into certificate-authority-data (--insecure-kubeconfig-tls allows it)";
        return Err(format!("its insecure-skip-tls-verify leaves out the check of the certificate of {shown}: {way}"));
    }
    if cluster.is_some_and(|cluster| cluster.proxy_url.is_some()) && !allowed.insecure_tls {
        return Err(format!(
            "its proxy-url has {shown} reached through another address: leave it out, and set HTTPS_PROXY for the operator where it needs a \
             proxy (--insecure-kubeconfig-tls allows it)"
        ));
    }
    if cluster.is_some_and(|cluster| cluster.certificate_authority.is_some()) {
        return Err(of_disk("certificate-authority", "certificate-authority-data"));
    }
    Ok(shown)
}

fn admit_user(user: Option<&AuthInfo>, allowed: Allowed) -> Result<(), String> {
    let Some(user) = user else { return Ok(()) };
    if user.exec.is_some() && !allowed.exec {
        return Err(runs("exec"));
    }
    if user.auth_provider.is_some() && !allowed.exec {
        return Err(runs("auth-provider"));
    }
    let files = [
        (user.client_certificate.is_some(), "client-certificate", "client-certificate-data"),
        (user.client_key.is_some(), "client-key", "client-key-data"),
        (user.token_file.is_some(), "tokenFile", "token"),
    ];
    if let Some((_, named, instead)) = files.into_iter().find(|(is_named, ..)| *is_named) {
        return Err(of_disk(named, instead));
    }
    // kube leaves it out of its requests, which would be carried out with more rights than were meant.
    let impersonates = user.impersonate.is_some()
        || user.impersonate_uid.is_some()
        || user.impersonate_groups.is_some()
        || user.impersonate_user_extra.is_some();
    if impersonates {
        return Err("its user acts as another one (as), which is not done: name a service account of that cluster in \
                    spec.serviceAccountName, or use its own credentials"
            .to_owned());
    }
    Ok(())
}

fn runs(what: &str) -> String {
    format!(
        "its user's {what} runs a program in the operator: use a token or a client certificate (--insecure-kubeconfig-exec allows it)"
    )
}

fn of_disk(named: &str, instead: &str) -> String {
    format!("its {named} names a file of the operator's disk: use {instead}")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Allowed, parse};

    fn config(cluster: &Value, user: &Value) -> Value {
        json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "contexts": [{ "name": "c", "context": { "cluster": "k", "user": "u" } }, { "name": "other", "context": null }],
            "clusters": [{ "name": "k", "cluster": cluster }],
            "users": [{ "name": "u", "user": user }, { "name": "other", "user": { "exec": { "command": "rm" } } }],
        })
    }

    fn read(config: &Value, allowed: Allowed) -> Result<String, String> {
        parse(config.to_string().as_bytes(), allowed).map(|connection| connection.server)
    }

    #[test]
    fn what_asks_for_more_than_a_connection_is_refused_and_says_so() {
        let (strict, lax) = (Allowed::default(), Allowed { exec: true, insecure_tls: true });
        let server = json!({ "server": "https://k.example:6443" });
        let token = json!({ "token": "s3cret" });
        assert_eq!(read(&config(&server, &token), strict).as_deref(), Ok("k.example:6443"));
        let with = |key: &str, value: Value| {
            let mut cluster = server.clone();
            cluster[key] = value;
            config(&cluster, &token)
        };
        let exec = json!({ "exec": { "apiVersion": "client.authentication.k8s.io/v1", "command": "sh" } });
        let provider = json!({ "auth-provider": { "name": "gcp", "config": { "cmd-path": "sh" } } });
        // What is refused, a word of why, and whether the flags allow it.
        let refused = [
            (config(&server, &exec), "--insecure-kubeconfig-exec", true),
            (config(&server, &provider), "--insecure-kubeconfig-exec", true),
            (with("insecure-skip-tls-verify", json!(true)), "--insecure-kubeconfig-tls", true),
            (with("server", json!("http://169.254.169.254")), "--insecure-kubeconfig-tls", true),
            (with("proxy-url", json!("http://169.254.169.254:80")), "--insecure-kubeconfig-tls", true),
            (with("certificate-authority", json!("/etc/ca.crt")), "certificate-authority-data", false),
            (config(&server, &json!({ "tokenFile": "/var/run/token" })), "use token", false),
            (config(&server, &json!({ "client-key": "/k" })), "client-key-data", false),
            (config(&server, &json!({ "client-certificate": "/c" })), "client-certificate-data", false),
            (config(&server, &json!({ "token": "s3cret", "as": "admin" })), "spec.serviceAccountName", false),
            (config(&json!({}), &token), "no server", false),
            (config(&server, &json!({ "token": { "s3cret": 1 } })), "no kubeconfig", false),
        ];
        for (config, word, allowed) in refused {
            let why = read(&config, strict).expect_err("it is refused");
            assert!(why.contains(word) && !why.contains("s3cret"), "{why}");
            assert_eq!(read(&config, lax).is_ok(), allowed, "{config}");
        }
    }

    #[test]
    fn what_is_no_kubeconfig_is_told_without_what_it_holds() {
        let of =
            |text: &str| parse(text.as_bytes(), Allowed::default()).map(|it| it.server).expect_err("it is refused");
        assert_eq!(of(""), "it is empty");
        assert_eq!(of("s3cret: [\n"), "it is no YAML");
        assert!(["just s3cret", "- s3cret"].iter().all(|text| !of(text).contains("s3cret")));
        assert_eq!(of("apiVersion: v1"), "it has no current-context");
        assert_eq!(of("current-context: a"), "it has no context \"a\", which current-context names");
    }
}
