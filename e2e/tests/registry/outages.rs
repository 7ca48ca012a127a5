//! Registries that hang, fail and come back: what they cost, and whom.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use e2e::faults::{Reply, Server as Script};
use helm_operator::registry::{Access, Error, Limits, Wait};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::{Operator, plain, refusal};

const JSON: (&str, &str) = ("content-type", "application/json");

/// Short limits, and pauses as they are.
fn impatient() -> Result<Operator> {
    Operator::with(|settings| {
        settings.limits = Limits {
            answer: Duration::from_millis(600),
            idle: Duration::from_millis(600),
            first_pause: Duration::from_millis(300),
            longest_pause: Duration::from_millis(600),
            ..Limits::default()
        };
    })
}

fn tags() -> Reply {
    Reply::new(200, &[JSON], r#"{"tags":["1.0.0"]}"#)
}

/// A server that answers every connection's first bytes with `answer`, and then holds the connection.
async fn raw(answer: &'static [u8]) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let host = listener.local_addr()?.to_string();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            if stream.read(&mut request).await.is_ok() && stream.write_all(answer).await.is_ok() {
                held.push(stream);
            }
        }
    });
    Ok(host)
}

#[tokio::test]
async fn a_hanging_host_holds_up_nobody_else_and_is_asked_within_its_permits() -> Result<()> {
    let operator = impatient()?;
    let (asked, most) = (Arc::new(AtomicUsize::new(0)), Limits::default().per_host);
    let counted = Arc::clone(&asked);
    let hanging = Script::start(None, move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        Reply::Hang
    })
    .await?;
    let healthy = Script::start(None, |_| tags()).await?;
    let calls = (0..40).map(|number| {
        let url = format!("oci://{}/chart{number}", hanging.host());
        let operator = &operator;
        async move { refusal(operator.tags(&url, &plain()).await, &[]) }
    });
    let beside = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let begun = Instant::now();
        for number in 0..40 {
            operator.tags(&format!("oci://{}/chart{number}", healthy.host()), &plain()).await?;
        }
        anyhow::Ok((begun.elapsed(), asked.load(Ordering::Relaxed)))
    };
    let begun = Instant::now();
    let (errors, beside) = futures::join!(futures::future::join_all(calls), beside);
    let (healthy_took, asked_meanwhile) = beside?;
    assert!(healthy_took < Duration::from_millis(500), "{healthy_took:?} while the other host hangs");
    assert!(asked_meanwhile <= most, "{asked_meanwhile} requests at once");
    // The first ones wait for the limit, all others learn of it.
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    let direct = errors.iter().filter(|error| matches!(error, Error::Timeout { wait: Wait::Answer, .. })).count();
    let told = errors.iter().filter(|error| matches!(error, Error::Paused { .. })).count();
    assert_eq!((direct + told, direct <= most), (40, true), "{}", errors[0]);
    assert!(errors.iter().all(|error| error.to_string().contains("did not begin to answer within")), "{}", errors[0]);
    Ok(())
}

#[tokio::test]
async fn each_limit_is_named_when_it_is_reached() -> Result<()> {
    let operator = impatient()?;
    let stalled = raw(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{").await?;
    let silent = raw(b"").await?;
    let short = Access { timeout: Duration::from_millis(200), ..plain() };
    let cases = [
        (&stalled, plain(), Wait::NextPart, "then sent nothing for 600ms"),
        (&silent, plain(), Wait::Answer, "did not begin to answer within 600ms"),
        (&silent, short, Wait::WholeAnswer, "no complete answer"),
    ];
    for (host, access, expected, words) in cases {
        tokio::time::sleep(Duration::from_millis(700)).await;
        let error = refusal(operator.tags(&format!("oci://{host}/c"), &access).await, &[]);
        assert!(matches!(error, Error::Timeout { wait, .. } if wait == expected), "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
    Ok(())
}

#[tokio::test]
async fn a_dead_registry_is_tried_by_one_for_all_and_served_at_once_when_it_is_back() -> Result<()> {
    let operator = impatient()?;
    let mut recoveries = operator.registry.recoveries();
    let down = Arc::new(AtomicBool::new(true));
    let script_down = Arc::clone(&down);
    let server = Script::start(None, move |_| if script_down.load(Ordering::Relaxed) { Reply::Close } else { tags() });
    let server = server.await?;
    let url = |number: usize| format!("oci://{}/chart{number}", server.host());
    let outage = Instant::now();
    // A hundred releases, each again and again for three seconds: what releases did to a dead registry.
    let insist = (0..100).map(|number| {
        let (operator, url) = (&operator, url(number));
        async move {
            let mut longest = Duration::ZERO;
            while outage.elapsed() < Duration::from_secs(3) {
                let begun = Instant::now();
                refusal(operator.tags(&url, &plain()).await, &[]);
                longest = longest.max(begun.elapsed());
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            longest
        }
    });
    let longest = futures::future::join_all(insist).await.into_iter().max().unwrap_or_default();
    let asked = server.seen().len();
    assert!(asked <= 30, "{asked} requests to a dead registry");
    assert!(longest < Duration::from_secs(3), "an answer took {longest:?}");

    down.store(false, Ordering::Relaxed);
    let back = Instant::now();
    let all = (0..100).map(|number| {
        let (operator, url) = (&operator, url(number));
        async move {
            while operator.tags(&url, &plain()).await.is_err() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    });
    futures::future::join_all(all).await;
    assert!(back.elapsed() < Duration::from_secs(3), "all are served {:?} after its return", back.elapsed());
    assert_eq!(recoveries.recv().await?, server.host());
    Ok(())
}

#[tokio::test]
async fn damage_on_the_way_is_asked_again_at_once_and_is_never_the_charts_fault() -> Result<()> {
    let real = e2e::registry::Registry::start(e2e::registry::Face::anonymous()).await?;
    super::push(&real, "", ("podinfo", "1.0.0"), None).await?;
    let flip = |mut body: Vec<u8>| {
        body[20] ^= 1;
        body
    };
    for (part, lasts) in [("/blobs/", false), ("/manifests/", false), ("/blobs/", true), ("/manifests/", true)] {
        let upstream = format!("http://{}", real.host());
        let times = AtomicUsize::new(0);
        let front = Script::before(&real.host(), move |seen| {
            let concerned = seen.method == http::Method::GET && seen.path.contains(part);
            let damage = concerned && (lasts || times.fetch_add(1, Ordering::Relaxed) == 0);
            damage.then(|| Reply::Rewrite(upstream.clone(), flip))
        })
        .await?;
        let operator = Operator::new()?;
        let pulled = operator.pull(&format!("oci://{}/podinfo", front.host()), "1.0.0", &plain()).await;
        assert_eq!(pulled.is_ok(), !lasts, "{part}: {pulled:?}");
        if lasts {
            let error = refusal(pulled, &[]);
            assert!(error.is_outage(), "{part}: {error}");
        }
    }
    // A manifest that is none, as proxies send in bad hours.
    let front = Script::before(&real.host(), |seen| {
        let manifest = seen.path.contains("/manifests/");
        manifest.then(|| Reply::new(if seen.method == http::Method::HEAD { 405 } else { 200 }, &[JSON], "{}"))
    })
    .await?;
    let operator = Operator::new()?;
    let error = refusal(operator.pull(&format!("oci://{}/podinfo", front.host()), "1.0.0", &plain()).await, &[]);
    assert!(matches!(error, Error::Unexpected { .. }), "{error}");
    Ok(())
}

#[tokio::test]
async fn pages_without_end_or_in_a_circle_are_left_soon() -> Result<()> {
    let link = |target: &str| ("link".to_owned(), format!("<{target}>; rel=\"next\""));
    let page = |(name, value): (String, String)| Reply::new(200, &[JSON, (&name, &value)], r#"{"tags":["1.0.0"]}"#);
    let endless = Script::start(None, move |seen| page(link(&format!("{}x", seen.path)))).await?;
    let circle = Script::start(None, move |seen| page(link(&seen.path))).await?;
    let operator = Operator::new()?;
    let error = refusal(operator.tags(&format!("oci://{}/c", endless.host()), &plain()).await, &[]);
    assert!(matches!(error, Error::TooLarge { limit: 500, unit: "pages", .. }), "{error}");
    assert_eq!(endless.seen().len(), 500);
    let error = refusal(operator.tags(&format!("oci://{}/c", circle.host()), &plain()).await, &[]);
    assert!(matches!(error, Error::Unexpected { .. }), "{error}");
    assert_eq!(circle.seen().len(), 1);
    Ok(())
}

#[tokio::test]
async fn the_next_page_may_be_named_relative_to_the_page_before() -> Result<()> {
    let operator = Operator::new()?;
    for next in ["list?page=2", "?page=2", "/v2/team/c/tags/list?page=2", "./list?page=2"] {
        let link = format!("<{next}>; rel=\"next\"");
        let listing = Script::start(None, move |seen| match seen.path.as_str() {
            "/v2/team/c/tags/list?n=1000" => {
                Reply::new(200, &[JSON, ("link", &link)], r#"{"tags":["1.0.0","latest"]}"#)
            }
            "/v2/team/c/tags/list?page=2" => Reply::new(200, &[JSON], r#"{"tags":["2.0.0","sha256-abc.sig"]}"#),
            _ => Reply::new(404, &[], ""),
        })
        .await?;
        let tags = operator.tags(&format!("oci://{}/team/c", listing.host()), &plain()).await?;
        assert_eq!(tags, ["1.0.0", "2.0.0"], "{next}; what is no version is not kept");
    }
    Ok(())
}

#[tokio::test]
async fn bytes_that_are_no_http_are_called_that_and_nothing_else() -> Result<()> {
    let operator = Operator::new()?;
    let https = Access { plain_http: false, ..plain() };
    for noise in [&b"SSH-2.0-OpenSSH_9.2\r\n"[..], b"\x00\x01\x02\x03\x04\x05\x06\x07\x08", b"<html></html>\r\n\r\n"] {
        let host = raw(noise).await?;
        for access in [plain(), https.clone()] {
            let error = refusal(operator.tags(&format!("oci://{host}/c"), &access).await, &[]);
            let words = error.to_string();
            assert!(!words.contains("insecure"), "{words}");
            assert!(!matches!(error, Error::PlainHttp { .. }), "{words}");
        }
    }
    Ok(())
}
