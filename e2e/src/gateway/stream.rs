//! The events of a watch on their way through a gateway: split by lines, delayed, held, broken off.

use std::collections::VecDeque;
use std::sync::Arc;

use anyhow::{Result, bail};
use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt as _};
use hyper::body::Frame;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::rules::{Asked, Events};
use super::{Shared, Told};

/// What a watch says to a client whose version is no longer kept: list anew.
pub(super) const EXPIRED: &str = "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\",\"message\":\"too old resource version\",\"reason\":\"Expired\",\"code\":410}}\n";

pub(super) type Sent = Result<Frame<Bytes>, anyhow::Error>;

/// Cuts what comes in pieces of any size into lines, each with its line feed.
#[derive(Debug, Default)]
pub(super) struct Lines {
    rest: BytesMut,
}

impl Lines {
    /// Takes a piece; returns the lines that are whole now.
    pub(super) fn push(&mut self, piece: &[u8]) -> Vec<Bytes> {
        self.rest.extend_from_slice(piece);
        let mut lines = Vec::new();
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            lines.push(self.rest.split_to(end + 1).freeze());
        }
        lines
    }
}

/// Passes the events of one watch on, as the rules want it, until either side ends or a rule breaks it off.
pub(super) async fn pass(
    shared: Arc<Shared>,
    asked: Asked,
    mut upstream: impl Stream<Item = reqwest::Result<Bytes>> + Unpin,
    out: mpsc::Sender<Sent>,
) {
    let mut changed = shared.changed.subscribe();
    let since = shared.lock().rules.newest_cut();
    let mut lines = Lines::default();
    let mut waiting = VecDeque::<(Instant, Bytes)>::new();
    let mut ended = false;
    loop {
        let rule = shared.lock().rules.events(&asked);
        let next = waiting.front().map(|(at, _)| *at).filter(|_| rule != Some(Events::Held));
        if ended && waiting.is_empty() {
            return;
        }
        tokio::select! {
            piece = upstream.next(), if !ended => match piece {
                Some(Ok(piece)) => {
                    let delay = if let Some(Events::Late(delay)) = rule { delay } else { std::time::Duration::ZERO };
                    waiting.extend(lines.push(&piece).into_iter().map(|line| (Instant::now() + delay, line)));
                }
                Some(Err(_)) | None => ended = true,
            },
            () = at(next), if next.is_some() => {
                if let Some((_, line)) = waiting.pop_front() {
                    let told = told(&line);
                    if out.send(Ok(Frame::data(line))).await.is_err() {
                        return;
                    }
                    shared.tell(told);
                }
            }
            _ = changed.changed() => {
                if shared.lock().rules.breaks_off(&asked, since) {
                    drop(out.send(broken()).await);
                    return;
                }
            }
            () = out.closed() => return,
        }
    }
}

/// What breaks a connection in the middle of its answer.
fn broken() -> Sent {
    Err(anyhow::anyhow!("broken off by the test"))
}

async fn at(next: Option<Instant>) {
    match next {
        Some(next) => tokio::time::sleep_until(next).await,
        None => std::future::pending().await,
    }
}

/// What an event tells of which object.
fn told(line: &[u8]) -> Option<Told> {
    let event: Value = serde_json::from_slice(line).ok()?;
    let metadata = &event["object"]["metadata"];
    let uid = metadata["uid"].as_str()?.to_owned();
    let version = match event["type"].as_str()? {
        "DELETED" => None,
        _ => Some(metadata["resourceVersion"].as_str()?.to_owned()),
    };
    Some(Told { uid, version })
}

/// What the answer to a write says that an event will tell.
///
/// # Errors
/// When the answer names no object.
pub(super) fn announced(answer: &[u8]) -> Result<Told> {
    let answer: Value = serde_json::from_slice(answer)?;
    if answer["kind"] == "Status" {
        // What is gone at once is answered by a Status.
        let Some(uid) = answer["details"]["uid"].as_str() else { bail!("the answer names no object") };
        return Ok(Told { uid: uid.to_owned(), version: None });
    }
    let text = |key: &str| answer["metadata"][key].as_str().map(str::to_owned);
    let (Some(uid), version @ Some(_)) = (text("uid"), text("resourceVersion")) else {
        bail!("the answer names no object")
    };
    Ok(Told { uid, version })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_whatever_the_pieces() {
        let text = b"{\"a\":1}\n{\"b\":2}\n\n{\"c\":3}";
        for size in 1..=text.len() {
            let mut lines = Lines::default();
            let whole: Vec<Bytes> = text.chunks(size).flat_map(|piece| lines.push(piece)).collect();
            assert_eq!(whole, ["{\"a\":1}\n", "{\"b\":2}\n", "\n"], "pieces of {size}");
        }
    }

    #[test]
    fn an_answer_and_its_event_tell_the_same() {
        let object = r#"{"kind":"Secret","metadata":{"uid":"u","resourceVersion":"7"}}"#;
        let event = |kind: &str| told(format!(r#"{{"type":"{kind}","object":{object}}}"#).as_bytes());
        let answer = announced(object.as_bytes()).ok();
        assert!(answer.is_some() && answer == event("ADDED") && answer == event("MODIFIED"));
        let status = br#"{"kind":"Status","status":"Success","details":{"name":"s","uid":"u"}}"#;
        let gone = announced(status).ok();
        assert!(gone.is_some() && gone == event("DELETED") && gone != answer);
        assert!(told(b"{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"9\"}}}").is_none());
        assert!(announced(br#"{"kind":"Status","status":"Failure"}"#).is_err());
    }
}
