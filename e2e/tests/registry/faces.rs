//! Real registries: every way in, and every ordinary refusal.

use anyhow::Result;
use e2e::registry::{Face, Registry as Server, TlsMode, User};
use e2e::tools::Tool;
use std::time::Duration;

use helm_operator::registry::{Access, ChartReference, Digest, Error, Mismatch, VersionRequest};

use super::{Operator, plain, push, refusal, run, text, trusting, with};

const JSON_KEY: &str =
    "{\n  \"type\": \"service_account\",\n  \"private_key\": \"-----BEGIN KEY-----\\nhunter2\\n\"\n}";

fn json_key() -> User {
    User::new("_json_key", JSON_KEY)
}

fn robot() -> User {
    User::new("robot$helm-operator", "hunter2$x")
}

#[tokio::test]
async fn every_kind_of_version_finds_what_helm_pushed() -> Result<()> {
    let server = Server::start(Face::anonymous()).await?;
    let operator = Operator::new()?;
    let mut digests = std::collections::BTreeMap::new();
    for version in ["0.9.0", "1.0.0", "1.1.0+build.7", "1.2.0-rc.1", "2.0.0"] {
        digests.insert(version, push(&server, "/charts", ("podinfo", version), None).await?);
    }
    let url = format!("{}/charts/podinfo", server.url());
    let cases = [
        ("", "2.0.0"),
        ("0.9.0", "0.9.0"),
        ("1.1.0+build.7", "1.1.0+build.7"),
        ("^1.0.0", "1.1.0+build.7"),
        ("^1.0.0-0", "1.2.0-rc.1"),
        ("1.2.0-rc.1", "1.2.0-rc.1"),
        ("<1", "0.9.0"),
        ("~1.0", "1.0.0"),
    ];
    operator.probe(&server.url(), &plain()).await?;
    for (request, expected) in cases {
        let resolved = operator.resolve(&url, request, &plain()).await?;
        assert_eq!(resolved.version, expected, "{request:?}");
        assert_eq!(resolved.digest.as_str(), digests[expected], "{request:?}");
    }
    // An exact version is a tag; without its build metadata it is another tag.
    let error = refusal(operator.resolve(&url, "1.1.0", &plain()).await, &[]);
    assert!(matches!(&error, Error::TagNotFound { nearest, .. } if nearest[0] == "1.1.0+build.7"), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_pulled_archive_is_the_one_that_helm_pulls() -> Result<()> {
    let server = Server::start(Face::anonymous()).await?;
    let operator = Operator::new()?;
    push(&server, "/charts", ("podinfo", "1.0.0"), None).await?;
    let url = format!("{}/charts/podinfo", server.url());
    let archive = operator.pull(&url, "1.0.0", &plain()).await?;
    let folder = server.scratch().join("pulled");
    std::fs::create_dir_all(&folder)?;
    let arguments = ["pull", &url, "--version", "1.0.0", "--plain-http", "--destination", &text(&folder)];
    run(Tool::Helm, server.scratch(), &arguments.map(str::to_owned)).await?;
    let expected = std::fs::read(folder.join("podinfo-1.0.0.tgz"))?;
    assert_eq!(archive.bytes, expected);
    assert_eq!(archive.chart_digest, Digest::of(&expected));
    Ok(())
}

#[tokio::test]
async fn basic_takes_every_password_that_users_have() -> Result<()> {
    let users = vec![robot(), User::new("plain", "p:w ü"), json_key()];
    let server = Server::start(Face::basic(users.clone())).await?;
    let operator = Operator::new()?;
    push(&server, "", ("podinfo", "1.0.0"), Some(&robot())).await?;
    let url = format!("{}/podinfo", server.url());
    // bcrypt reads 72 bytes of a password; Go refuses longer ones when hashing, not when comparing.
    for user in &users {
        let access = with(plain(), user);
        operator.probe(&server.url(), &access).await?;
        operator.pull(&url, "", &access).await?;
    }
    Ok(())
}

#[tokio::test]
async fn basic_refuses_wrong_and_missing_credentials_by_name() -> Result<()> {
    let server = Server::start(Face::basic(vec![robot()])).await?;
    let operator = Operator::new()?;
    push(&server, "", ("podinfo", "1.0.0"), Some(&robot())).await?;
    let url = format!("{}/podinfo", server.url());
    let wrong = with(plain(), &User::new("robot$helm-operator", "not-hunter3"));
    for (access, nobody) in [(wrong, false), (plain(), true)] {
        for error in [
            refusal(operator.probe(&server.url(), &access).await, &["hunter3"]),
            refusal(operator.resolve(&url, "", &access).await, &["hunter3"]),
            refusal(operator.resolve(&url, "1.0.0", &access).await, &["hunter3"]),
        ] {
            assert!(matches!(&error, Error::Unauthorized { anonymous, .. } if *anonymous == nobody), "{error}");
        }
    }
    // The right ones still work: a refusal is not remembered for others.
    operator.resolve(&url, "", &with(plain(), &robot())).await?;
    Ok(())
}

#[tokio::test]
async fn tokens_open_what_the_user_may_read_and_nothing_else() -> Result<()> {
    let limited = User::new("limited", "hunter2").limited_to("team-a/");
    let server = Server::start(Face::token(vec![robot(), limited.clone()]).tls(TlsMode::OwnCa)).await?;
    let operator = Operator::new()?;
    for path in ["/team-a", "/team-b", "/public"] {
        push(&server, path, ("podinfo", "1.0.0"), Some(&robot())).await?;
    }
    let chart = |path: &str| format!("{}/{path}/podinfo", server.url());
    let stranger = trusting(&server);
    let limited = with(trusting(&server), &limited);
    let wrong = with(trusting(&server), &User::new("limited", "hunter3"));

    for access in [&stranger, &limited] {
        operator.probe(&server.url(), access).await?;
        operator.pull(&chart("public"), "", access).await?;
    }
    operator.pull(&chart("team-a"), "^1.0.0", &limited).await?;

    let error = refusal(operator.resolve(&chart("team-b"), "", &limited).await, &["hunter2"]);
    assert!(matches!(error, Error::Forbidden { anonymous: false, .. }), "{error}");
    let error = refusal(operator.resolve(&chart("team-a"), "", &stranger).await, &[]);
    assert!(matches!(error, Error::Unauthorized { anonymous: true, .. }), "{error}");
    let error = refusal(operator.probe(&server.url(), &wrong).await, &["hunter3"]);
    assert!(matches!(error, Error::Unauthorized { anonymous: false, .. }), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_token_is_fetched_once_and_again_when_it_expires() -> Result<()> {
    let server = Server::start(Face::token(vec![robot()])).await?;
    let operator = Operator::new()?;
    push(&server, "", ("podinfo", "1.0.0"), Some(&robot())).await?;
    let (url, access) = (format!("{}/podinfo", server.url()), with(plain(), &robot()));
    let tokens = || operator.registry.stats().tokens.get();
    for _ in 0..5 {
        operator.tags(&url, &access).await?;
    }
    operator.pull(&url, "", &access).await?;
    assert_eq!(tokens(), 1);

    // A token that is over as soon as it is there is used for its request, and not kept.
    let operator = Operator::new()?;
    server.token_server().expect("the face has one").set_life(0);
    operator.tags(&url, &access).await?;
    operator.tags(&url, &access).await?;
    assert_eq!(operator.registry.stats().tokens.get(), 2);
    Ok(())
}

#[tokio::test]
async fn certificates_are_trusted_by_authority_time_and_name() -> Result<()> {
    let operator = Operator::new()?;
    let good = Server::start(Face::anonymous().tls(TlsMode::OwnCa)).await?;
    operator.probe(&good.url(), &trusting(&good)).await?;
    operator.probe(&format!("oci://localhost:{}", good.port()), &trusting(&good)).await?;
    let unknown = Access { ca_pem: None, ..trusting(&good) };
    let error = refusal(operator.probe(&good.url(), &unknown).await, &[]);
    assert!(matches!(error, Error::TlsUnknownCa { .. }), "{error}");

    let expired = Server::start(Face::anonymous().tls(TlsMode::Expired)).await?;
    let error = refusal(operator.probe(&expired.url(), &trusting(&expired)).await, &[]);
    assert!(matches!(error, Error::TlsExpired { .. }), "{error}");

    let misnamed = Server::start(Face::anonymous().tls(TlsMode::WrongName)).await?;
    let error = refusal(operator.probe(&misnamed.url(), &trusting(&misnamed)).await, &[]);
    assert!(matches!(error, Error::TlsWrongName { .. }), "{error}");
    assert!(error.to_string().contains("registry.example.com"), "{error}");

    for server in [&good, &expired, &misnamed] {
        let careless = Access { insecure_skip_verify: true, ..unknown.clone() };
        operator.probe(&server.url(), &careless).await?;
    }
    let nonsense = Access { ca_pem: Some(b"no certificate".to_vec()), ..unknown };
    let error = refusal(operator.probe(&good.url(), &nonsense).await, &[]);
    assert!(matches!(error, Error::InvalidCa { .. }), "{error}");
    Ok(())
}

#[tokio::test]
async fn http_and_https_spoken_to_each_other_are_told() -> Result<()> {
    let operator = Operator::new()?;
    let open = Server::start(Face::anonymous()).await?;
    let https = Access { plain_http: false, ..plain() };
    let error = refusal(operator.probe(&open.url(), &https).await, &[]);
    assert!(matches!(error, Error::PlainHttp { server_is_plain: true, .. }), "{error}");
    let tls = Server::start(Face::anonymous().tls(TlsMode::OwnCa)).await?;
    for error in [
        refusal(operator.probe(&tls.url(), &plain()).await, &[]),
        refusal(operator.resolve(&format!("{}/c", tls.url()), "1.0.0", &plain()).await, &[]),
    ] {
        assert!(matches!(error, Error::PlainHttp { server_is_plain: false, .. }), "{error}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_missing_is_told_with_what_is_there() -> Result<()> {
    let server = Server::start(Face::anonymous()).await?;
    let operator = Operator::new()?;
    for version in ["1.0.0", "1.0.1"] {
        push(&server, "", ("podinfo", version), None).await?;
    }
    let url = format!("{}/podinfo", server.url());
    for version in ["", "^1.0.0", "1.0.0"] {
        let error = refusal(operator.resolve(&format!("{}/nothing", server.url()), version, &plain()).await, &[]);
        assert!(matches!(error, Error::RepositoryNotFound { .. }), "{version:?}: {error}");
    }
    match refusal(operator.resolve(&url, "1.0.2", &plain()).await, &[]) {
        Error::TagNotFound { tag, nearest, .. } => {
            assert_eq!((tag.as_str(), nearest), ("1.0.2", vec!["1.0.1".to_owned(), "1.0.0".to_owned()]));
        }
        error => panic!("{error}"),
    }
    match refusal(operator.resolve(&url, ">=2.0.0", &plain()).await, &[]) {
        Error::NoMatchingVersion { existing, total, .. } => {
            assert_eq!((existing, total), (vec!["1.0.1".to_owned(), "1.0.0".to_owned()], 2));
        }
        error => panic!("{error}"),
    }
    let error = refusal(operator.resolve(&format!("{url}:1.0.0"), "1.0.1", &plain()).await, &[]);
    assert!(matches!(error, Error::VersionConflict { .. }), "{error}");
    Ok(())
}

#[tokio::test]
async fn an_image_and_an_index_are_no_charts() -> Result<()> {
    let server = Server::start(Face::anonymous()).await?;
    let operator = Operator::new()?;
    let layer = server.scratch().join("layer.tar");
    std::fs::write(&layer, vec![0; 1024])?;
    let (image, index) = (format!("{}/image", server.host()), format!("{}/index:1.0.0", server.host()));
    let tagged = format!("{image}:1.0.0");
    let crane = async |arguments: &[&str]| {
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        run(Tool::Crane, server.scratch(), &arguments).await
    };
    crane(&["append", "--insecure", "--oci-empty-base", "-f", &text(&layer), "-t", &tagged]).await?;
    crane(&["index", "append", "--insecure", "-m", &tagged, "-t", &index]).await?;
    for (name, expected) in [("image", "image.config"), ("index", "image.index")] {
        let pulled = operator.pull(&format!("{}/{name}", server.url()), "1.0.0", &plain()).await;
        match refusal(pulled, &[]) {
            Error::NotAChart { media_type, .. } => assert!(media_type.contains(expected), "{media_type}"),
            error => panic!("{error}"),
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_pin_holds_the_content_and_notices_a_moved_tag() -> Result<()> {
    let server = Server::start(Face::anonymous()).await?;
    let operator = Operator::new()?;
    let first = push(&server, "", ("podinfo", "1.0.0"), None).await?;
    let url = format!("{}/podinfo", server.url());
    let resolved = operator.resolve(&format!("{url}@{first}"), "", &plain()).await?;
    assert_eq!((resolved.version.as_str(), resolved.digest.as_str()), ("", first.as_str()));
    operator.resolve(&format!("{url}:1.0.0@{first}"), "", &plain()).await?;

    let second = push(&server, "", ("podinfo", "1.0.0"), None).await?;
    assert_ne!(first, second);
    // Who saw the tag at the pinned digest knows that it moved; who did not, says what is known.
    let [witness, stranger] = [operator.restarted(), Operator::new()?.registry];
    let pinned = ChartReference::parse(&format!("{url}@{first}"))?;
    for (registry, version, known) in [
        (&witness, "1.0.0", Mismatch::TagMoved),
        (&stranger, "1.0.0", Mismatch::Apart),
        (&stranger, "^1.0.0", Mismatch::Chosen),
    ] {
        let request = VersionRequest::parse(version)?;
        match refusal(registry.resolve(&pinned, &request, &plain(), Duration::ZERO).await, &[]) {
            Error::DigestMismatch { expected, actual, kind, .. } => {
                assert_eq!((expected.as_str(), actual.as_str()), (first.as_str(), second.as_str()));
                assert_eq!(kind, known, "{version}");
            }
            error => panic!("{error}"),
        }
    }
    let operator = Operator::new()?;
    let archive = operator.pull(&format!("{url}@{first}"), "", &plain()).await?;
    assert_eq!(archive.digest.as_str(), first, "the content is still there by digest");
    let gone = operator.resolve(&format!("{url}@{first}"), "9.9.9", &plain()).await?;
    assert_eq!(gone.digest.as_str(), first, "a tag that is gone leaves the pin, as in Helm");
    let nowhere = format!("{url}@sha256:{}", "0".repeat(64));
    let error = refusal(operator.resolve(&nowhere, "", &plain()).await, &[]);
    assert!(matches!(error, Error::DigestNotFound { .. }), "{error}");
    Ok(())
}

#[tokio::test]
async fn many_callers_make_one_tag_list_and_one_download() -> Result<()> {
    let server = Server::start(Face::basic(vec![robot()])).await?;
    let operator = Operator::new()?;
    push(&server, "", ("podinfo", "1.0.0"), Some(&robot())).await?;
    let (url, access) = (format!("{}/podinfo", server.url()), with(plain(), &robot()));
    let pulls = (0..50).map(|_| operator.pull(&url, "", &access));
    let pulled = futures::future::join_all(pulls).await;
    assert!(pulled.iter().all(Result::is_ok), "{:?}", pulled.iter().find(|pull| pull.is_err()));
    let stats = operator.registry.stats();
    assert_eq!((stats.tag_lists.get(), stats.downloads.get()), (1, 1));
    // Tags and digest, manifest and archive; the first of them is asked twice, for its challenge.
    assert_eq!(stats.requests.get(), 5);
    // The shared cache is no way around the registry's word.
    let error = refusal(operator.pull(&url, "", &plain()).await, &[]);
    assert!(matches!(error, Error::Unauthorized { .. }), "{error}");
    Ok(())
}

#[tokio::test]
async fn an_outage_is_bridged_by_what_is_known_and_told_otherwise() -> Result<()> {
    let mut server = Server::start(Face::anonymous()).await?;
    let operator = Operator::new()?;
    push(&server, "", ("podinfo", "1.0.0"), None).await?;
    let url = format!("{}/podinfo", server.url());
    let known = operator.resolve(&url, "", &plain()).await?;
    let archive = operator.registry.pull(&known, &plain()).await?;
    server.stop().await?;

    assert_eq!(operator.resolve(&url, "", &plain()).await?, known);
    let restarted = operator.restarted();
    let cached = restarted.pull(&known, &plain()).await?;
    assert_eq!((cached.bytes, restarted.stats().requests.get()), (archive.bytes, 0));
    let error = refusal(operator.tags(&url, &plain()).await, &[]);
    assert!(matches!(error, Error::Connect { .. }), "{error}");

    server.restart().await?;
    assert_eq!(operator.tags(&url, &plain()).await?, ["1.0.0"]);
    Ok(())
}

#[tokio::test]
async fn a_damaged_cache_costs_a_download_and_nothing_else() -> Result<()> {
    let server = Server::start(Face::anonymous()).await?;
    let operator = Operator::new()?;
    push(&server, "", ("podinfo", "1.0.0"), None).await?;
    let url = format!("{}/podinfo", server.url());
    let first = operator.pull(&url, "", &plain()).await?;
    for file in std::fs::read_dir(operator.cache.path())? {
        let file = file?;
        if file.file_type()?.is_file() {
            std::fs::write(file.path(), "damaged")?;
        }
    }
    let again = operator.pull(&url, "", &plain()).await?;
    assert_eq!(first.bytes, again.bytes);
    assert_eq!(operator.registry.stats().downloads.get(), 2);
    Ok(())
}
