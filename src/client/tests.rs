use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::TryStreamExt as _;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, ListParams, WatchParams};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::{Bearer, Gate, Limits, assemble, build, is_too_large};
use crate::chain::causes;
use crate::metrics::Metrics;

const LIMITS: Limits =
    Limits { request: Duration::from_millis(400), watch: Duration::from_millis(400), answer: 2 << 20, event: 1 << 20 };

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    causes(error).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// An API server that says `text` to whoever asks, and then nothing any more, as one behind a half-open connection.
async fn silent_after(text: &'static str) -> kube::Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        let mut connections = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            drop(stream.read(&mut request).await);
            drop(stream.write_all(text.as_bytes()).await);
            connections.push(stream);
        }
    });
    let url = format!("http://{address}").parse().expect("a URL");
    build(kube::Config::new(url), Arc::default(), LIMITS).expect("a client")
}

const BEGUN: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{";

#[tokio::test]
async fn an_answer_that_does_not_come_or_does_not_end_is_an_error() {
    for text in ["", BEGUN] {
        let maps = Api::<ConfigMap>::namespaced(silent_after(text).await, "default");
        let begun = Instant::now();
        let listed = maps.list(&ListParams::default()).await;
        assert!(listed.is_err() && begun.elapsed() < Duration::from_secs(5), "{text:?}: after {:?}", begun.elapsed());
    }
}

const WATCHED: &str = concat!(
    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n",
    "6e\r\n",
    r#"{"type":"ADDED","object":{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","resourceVersion":"1"}}}"#,
    "\r\n1\r\n\n\r\n",
);

#[tokio::test]
async fn a_watch_that_falls_silent_ends_as_if_the_server_had_ended_it() {
    let maps = Api::<ConfigMap>::namespaced(silent_after(WATCHED).await, "default");
    let begun = Instant::now();
    let events = maps.watch(&WatchParams::default(), "0").await.expect("a watch");
    let events: Vec<_> = events.try_collect().await.expect("no error");
    assert_eq!(events.len(), 1);
    assert!(begun.elapsed() >= LIMITS.watch && begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_server_that_turns_requests_away_is_asked_again_and_each_attempt_is_counted() {
    let busy = "HTTP/1.1 429 Too Many Requests\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address")).parse().expect("a URL");
    tokio::spawn(async move {
        for text in [busy, busy, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}"] {
            let Ok((mut stream, _)) = listener.accept().await else { return };
            drop(stream.read(&mut [0; 4096]).await);
            drop(stream.write_all(text.as_bytes()).await);
        }
    });
    let metrics = Arc::<Metrics>::default();
    let limits = Limits { request: Duration::from_secs(20), ..LIMITS };
    let client = build(kube::Config::new(url), Arc::clone(&metrics), limits).expect("a client");
    let request = http::Request::get("/version").body(Vec::new()).expect("a request");
    assert_eq!(client.request_text(request).await.expect("an answer"), "{}");
    let text = metrics.render().expect("metrics");
    assert!(text.contains(r#"kube_requests_total{method="GET"} 3"#), "{text}");
}

#[tokio::test]
async fn a_new_token_is_used_by_the_connection_that_is_there() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address")).parse().expect("a URL");
    // One connection alone is ever taken.
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut shown = Vec::new();
        for _ in 0..2 {
            let mut request = [0; 4096];
            let length = stream.read(&mut request).await.expect("a request");
            let text = String::from_utf8_lossy(&request[..length]).to_lowercase();
            shown.extend(text.lines().filter_map(|line| line.strip_prefix("authorization: ").map(str::to_owned)));
            drop(stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await);
        }
        shown
    });
    let bearer = Bearer::default();
    let limits = Limits { request: Duration::from_secs(20), ..LIMITS };
    let client =
        assemble(kube::Config::new(url), Arc::default(), limits, &Gate(None), bearer.clone()).expect("a client");
    for token in ["one", "two"] {
        bearer.set(token).expect("a text for a header");
        let request = http::Request::get("/version").body(Vec::new()).expect("a request");
        assert_eq!(client.request_text(request).await.expect("an answer"), "{}");
    }
    assert_eq!(served.await.expect("it was asked"), ["bearer one", "bearer two"]);
}

/// An API server that begins to answer with `head`, and goes on with `part` for as long as somebody reads.
async fn endless(head: &'static str, part: &'static str) -> kube::Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address")).parse().expect("a URL");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                drop(stream.read(&mut [0; 4096]).await);
                drop(stream.write_all(head.as_bytes()).await);
                while stream.write_all(part.as_bytes()).await.is_ok() {}
            });
        }
    });
    let limits = Limits { request: Duration::from_secs(30), watch: Duration::from_secs(30), ..LIMITS };
    build(kube::Config::new(url), Arc::default(), limits).expect("a client")
}

#[tokio::test]
async fn more_than_an_answer_or_an_event_may_be_is_not_taken() {
    let chunked = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    let maps = Api::<ConfigMap>::namespaced(endless(chunked, "8\r\n        \r\n").await, "default");
    let listed = maps.list(&ListParams::default()).await.map(drop).expect_err("it never ends");
    assert!(is_too_large(&listed) && chain(&listed).contains("more than 2 MiB"), "{listed:?}");
    let events = maps.watch(&WatchParams::default(), "0").await.expect("a watch");
    let ended = events.try_collect::<Vec<_>>().await.map(drop).expect_err("a line that never ends");
    assert!(is_too_large(&ended) && chain(&ended).contains("more than 1 MiB"), "{ended:?}");

    // Many events are no large one.
    let bookmark = concat!(
        "60\r\n",
        r#"{"type":"ADDED","object":{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a"}}}        "#,
        "\n\r\n"
    );
    let bookmark = bookmark.replace("60\r\n", &format!("{:x}\r\n", bookmark.len() - 6));
    let maps = Api::<ConfigMap>::namespaced(endless(chunked, bookmark.leak()).await, "default");
    let events = maps.watch(&WatchParams::default(), "0").await.expect("a watch");
    let taken: Vec<_> = futures::StreamExt::take(events, 20_000).try_collect().await.expect("no error");
    assert_eq!(taken.len(), 20_000, "more than 1 MiB in all");
}
