use super::*;

#[test]
fn a_chart_reference_keeps_host_repository_tag_and_digest() {
    let digest = format!("sha256:{}", "a".repeat(64));
    let cases = [
        ("oci://ghcr.io/org/chart", ("ghcr.io", "org/chart", None, None)),
        ("oci://Localhost:5000/chart:1.2.3", ("localhost:5000", "chart", Some("1.2.3"), None)),
        ("oci://[::1]:5000/a/b/c/", ("[::1]:5000", "a/b/c", None, None)),
        ("oci://h/c:1.0.0+build.1", ("h", "c", Some("1.0.0_build.1"), None)),
        (&format!("oci://h/c:v1@{digest}"), ("h", "c", Some("v1"), Some(digest.as_str()))),
        (&format!("oci://h/c@{digest}"), ("h", "c", None, Some(digest.as_str()))),
    ];
    for (text, (host, repository, tag, digest)) in cases {
        let reference = ChartReference::parse(text).expect(text);
        assert_eq!(reference.host(), host, "{text}");
        assert_eq!(reference.repository(), repository, "{text}");
        assert_eq!(reference.tag(), tag, "{text}");
        assert_eq!(reference.digest().map(Digest::as_str), digest, "{text}");
    }
}

#[test]
fn what_is_not_a_reference_is_refused_with_its_reason() {
    let cases = [
        ("https://charts.example.com", "does not begin with oci://"),
        ("charts/podinfo", "does not begin with oci://"),
        ("oci://", "is not a registry host"),
        ("oci://host:port/chart", "is not a registry host"),
        ("oci://host:0/chart", "is not a registry host"),
        ("oci://ho st/chart", "is not a registry host"),
        ("oci://host", "names a registry but no chart"),
        ("oci://host/PROJECT_ID/chart", "\"PROJECT_ID\" is not allowed"),
        ("oci://host/a//b", "\"\" is not allowed"),
        ("oci://host/a___b", "\"a___b\" is not allowed"),
        ("oci://host/../etc", "\"..\" is not allowed"),
        ("oci://host/chart:-x", "is not a tag"),
        ("oci://host/chart@sha256:abc", "is not a digest"),
        ("oci://host/chart@md5:abc", "is not a digest"),
    ];
    for (text, expected) in cases {
        let error = ChartReference::parse(text).expect_err(text).to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn a_password_in_an_url_is_never_quoted() {
    for text in ["oci://user:hunter2@host/chart", "https://user:hunter2@host/chart"] {
        let error = ChartReference::parse(text).expect_err(text);
        assert_eq!(error, ReferenceError::UserInfo, "{text}");
        assert!(!error.to_string().contains("hunter2"));
    }
}

#[test]
fn a_repository_covers_references_on_segment_borders() {
    let cases = [
        ("oci://h", "oci://h/a/b", true),
        ("oci://h/", "oci://h/a/b", true),
        ("oci://h/a", "oci://h/a/b", true),
        ("oci://h/a", "oci://h/a", true),
        ("oci://h/a", "oci://h/ab/c", false),
        ("oci://h/a/b", "oci://h/a", false),
        ("oci://h:5000", "oci://h/a", false),
        ("oci://docker.io/user", "oci://registry-1.docker.io/user/chart", true),
    ];
    for (url, reference, expected) in cases {
        let url = RepositoryUrl::parse(url).expect("an url");
        let reference = ChartReference::parse(reference).expect("a reference");
        assert_eq!(url.is_prefix_of(&reference), expected, "{url} {reference}");
    }
}

#[test]
fn join_appends_the_chart_to_the_path() {
    let join = |url: &str, name| RepositoryUrl::parse(url).expect("an url").join(name);
    assert_eq!(join("oci://h/a/", "podinfo").expect("valid").to_string(), "oci://h/a/podinfo");
    assert_eq!(join("oci://h", "podinfo").expect("valid").name(), "podinfo");
    assert!(join("oci://h", "../x").is_err());
    assert!(join("oci://h", "").is_err());
}
