use super::*;

fn secret(entries: &[(&str, &str)]) -> BTreeMap<String, Vec<u8>> {
    entries.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect()
}

fn docker(auths: &str) -> BTreeMap<String, Vec<u8>> {
    secret(&[(".dockerconfigjson", &format!("{{\"auths\":{auths}}}"))])
}

#[test]
fn a_password_is_taken_byte_for_byte() {
    let key = "{\n  \"type\": \"service_account\",\n  \"private_key\": \"-----BEGIN\\n\"\n}\n";
    let cases = [("_json_key", key), ("robot$helm-operator", "p:a$s\"w "), ("AWS", "")];
    for (username, password) in cases {
        let data = secret(&[("username", username), ("password", password)]);
        let read = Credentials::from_secret("Opaque", &data, "h", "p").expect("readable");
        assert_eq!(read, Some(Credentials::new(username, password)));
    }
}

#[test]
fn an_unusable_secret_says_which_key_is_missing() {
    let cases = [
        (secret(&[("username", "u")]), "no key \"password\""),
        (secret(&[("password", "hunter2")]), "no key \"username\""),
        (secret(&[("token", "hunter2")]), "[\"token\"]"),
        (secret(&[(".dockerconfigjson", "{\"auths\": hunter2}")]), "line 1, column"),
        (docker("{\"h\":{\"auth\":\"!hunter2\"}}"), "the entry \"h\""),
        (docker("{\"h\":{}}"), "the entry \"h\""),
    ];
    for (data, expected) in cases {
        let error = Credentials::from_secret("Opaque", &data, "h", "").expect_err(expected).to_string();
        assert!(error.contains(expected) && !error.contains("hunter2"), "{error}");
    }
}

#[test]
fn a_docker_configuration_is_matched_by_host_wildcard_and_longest_path() {
    let auths = r#"{
        "https://index.docker.io/v1/": {"auth": "aHViOng="},
        "ghcr.io": {"username": "ghcr", "password": "x"},
        "ghcr.io/org": {"username": "org", "password": "x"},
        "https://plain.example.com": {"username": "plain", "password": "x"},
        "*.azurecr.io": {"username": "azure", "password": "x"},
        "host:5000": {"username": "port", "password": "x"}
    }"#;
    let cases = [
        ("docker.io", "user/chart", Some("hub")),
        ("registry-1.docker.io", "user/chart", Some("hub")),
        ("ghcr.io", "other/chart", Some("ghcr")),
        ("ghcr.io", "org/chart", Some("org")),
        ("ghcr.io", "organisation/chart", Some("ghcr")),
        ("plain.example.com", "", Some("plain")),
        ("me.azurecr.io", "helm", Some("azure")),
        ("a.b.azurecr.io", "helm", None),
        ("azurecr.io", "helm", None),
        ("host:5000", "c", Some("port")),
        ("host:5001", "c", None),
        ("host", "c", None),
    ];
    for (host, path, expected) in cases {
        let read = Credentials::from_secret("kubernetes.io/dockerconfigjson", &docker(auths), host, path);
        let username = read.expect("readable").map(|credentials| credentials.username);
        assert_eq!(username.as_deref(), expected, "{host}/{path}");
    }
}

#[test]
fn an_identity_token_needs_no_password() {
    let auths = r#"{"me.azurecr.io": {"auth": "MDAwOg==", "identitytoken": "hunter2"}, "h": {"identitytoken": "x"}}"#;
    let read =
        |host| Credentials::from_secret("Opaque", &docker(auths), host, "").expect("readable").expect("an entry");
    let azure = read("me.azurecr.io");
    assert_eq!((azure.username.as_str(), azure.identity_token()), ("000", Some("hunter2")));
    assert_eq!(azure.redact("bad token hunter2"), "bad token …");
    assert_eq!(read("h").identity_token(), Some("x"));
}

#[test]
fn the_older_docker_format_has_no_auths_around() {
    let data = secret(&[(".dockercfg", r#"{"h": {"username": "u", "password": "p"}}"#)]);
    let read = Credentials::from_secret("kubernetes.io/dockercfg", &data, "h", "").expect("readable");
    assert_eq!(read, Some(Credentials::new("u", "p")));
}

#[test]
fn debug_and_redaction_show_no_credential() {
    let access = Access {
        credentials: Some(Credentials::new("robot$x", "hunter2")),
        ca_pem: Some(b"-----BEGIN".to_vec()),
        ..Access::default()
    };
    let shown = format!("{access:?} {:?} {:?}", access.credentials, access.key());
    assert!(!shown.contains("hunter2") && !shown.contains("robot"), "{shown}");
    let credentials = Credentials::new("u", "hunter2");
    let echoed = format!("bad header {} or hunter2", credentials.basic());
    let redacted = credentials.redact(&echoed);
    assert!(!redacted.contains("hunter2") && !redacted.contains("dTpodW50ZXIy"), "{redacted}");
}

#[test]
fn the_key_tells_accesses_apart_but_not_by_timeout() {
    let base = Access::default();
    let slower = Access { timeout: Duration::from_secs(1), ..base.clone() };
    assert_eq!(base.key(), slower.key());
    let others = [
        Access { credentials: Some(Credentials::new("a", "bc")), ..base.clone() },
        Access { credentials: Some(Credentials::new("ab", "c")), ..base.clone() },
        Access { ca_pem: Some(Vec::new()), ..base.clone() },
        Access { plain_http: true, ..base.clone() },
        Access { insecure_skip_verify: true, ..base.clone() },
    ];
    let keys: std::collections::BTreeSet<_> = others.iter().chain([&base]).map(Access::key).collect();
    assert_eq!(keys.len(), others.len() + 1);
}

#[test]
fn the_key_that_docker_writes_and_its_auth_come_first() {
    let user = |auth: &str| format!("{{\"auth\": \"{}\"}}", STANDARD.encode(format!("{auth}:x")));
    let (first, second) = (user("first"), user("second"));
    let cases = [
        (format!("{{\"h\": {first}, \"https://h/v2/\": {second}}}"), "h"),
        (format!("{{\"https://h/v2/\": {second}, \"h\": {first}, \"http://h\": {second}}}"), "h"),
        (format!("{{\"docker.io\": {second}, \"https://index.docker.io/v1/\": {first}}}"), "docker.io"),
        (format!("{{\"h\": {{\"username\": \"other\", \"password\": \"x\", {}}}", &first[1..]), "h"),
    ];
    for (auths, host) in cases {
        let read = Credentials::from_secret("Opaque", &docker(&auths), host, "").expect("readable");
        assert_eq!(read.expect("an entry").username, "first", "{auths}");
    }
    let unreadable = docker(r#"{"h": {"auth": "!", "username": "u", "password": "p"}}"#);
    let read = Credentials::from_secret("Opaque", &unreadable, "h", "").expect("readable");
    assert_eq!(read, Some(Credentials::new("u", "p")), "what can be used of an entry is used");
}

#[test]
fn the_hosts_of_a_docker_configuration_are_told() {
    let hosts = Credentials::docker_hosts(&docker(r#"{"b.io": {}, "a.io": {"auth": "x"}}"#));
    assert_eq!(hosts, Some(vec!["a.io".to_owned(), "b.io".to_owned()]));
    assert_eq!(Credentials::docker_hosts(&secret(&[(".dockercfg", r#"{"h": {}}"#)])), Some(vec!["h".to_owned()]));
    assert_eq!(Credentials::docker_hosts(&secret(&[("username", "u")])), None);
    assert_eq!(Credentials::docker_hosts(&secret(&[(".dockerconfigjson", "nonsense")])), None);
}
