//! The words of [`Error`](super::Error): what is wrong, and what to do about it.

use std::fmt;
use std::time::Duration;

/// Why credentials open nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denial {
    /// None are given.
    NoCredentials,
    /// The given Docker configuration has none for the registry, but for these hosts.
    NoEntry(Vec<String>),
    /// The registry does not say why.
    Refused,
    /// The registry says, or means, that they are no longer valid.
    Expired,
    /// They are refused, and the password ends with a line break.
    LineBreak,
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCredentials => f.write_str(
                "the registry asks for credentials (401) and none are given, or what is asked for does not exist; name a Secret with username and password in spec.auth.basic.secretRef of the HelmRepository",
            ),
            Self::NoEntry(hosts) if hosts.is_empty() => f.write_str(
                "the registry asks for credentials (401) and the given Docker configuration holds none at all; add an entry for the registry",
            ),
            Self::NoEntry(hosts) => write!(
                f,
                "the registry asks for credentials (401) and the given Docker configuration has none for it, only for {}; add an entry for the registry",
                hosts.join(", ")
            ),
            Self::Refused => f.write_str(
                "the registry refuses the given credentials (401); correct or renew the username and password",
            ),
            Self::Expired => f.write_str(
                "the registry no longer accepts the given credentials: the password or token has expired, was revoked or is wrong; renew it",
            ),
            Self::LineBreak => f.write_str(
                "the registry refuses the given credentials (401), and the password ends with a line break, which is sent as part of it; make the Secret without it (printf instead of echo)",
            ),
        }
    }
}

/// What does not have the digest that it must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mismatch {
    /// The bytes that were sent.
    Content,
    /// A tag that had the pinned digest once.
    TagMoved,
    /// A version that never had it, as far as is known.
    Apart,
    /// The version that a range, or no version at all, leads to.
    Chosen,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Content => "the registry, or something between, sent other bytes than the digest names",
            Self::TagMoved => {
                "the tag moved away from the pinned digest: pin the new one, or have the tag put back"
            }
            Self::Apart => {
                "the version and the pinned digest do not belong together: correct one of them; if they did once, the tag was moved"
            }
            Self::Chosen => {
                "the newest version that is asked for has another digest than the pinned one: name the version that has it, or pin the new one"
            }
        })
    }
}

/// What was waited for in vain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// A connection.
    Connection,
    /// The beginning of an answer, after the connection was made.
    Answer,
    /// The next part of an answer that had begun.
    NextPart,
    /// The end of the whole exchange, the queue for the host included.
    WholeAnswer,
}

/// What the other side said, ready to end a text: empty, or ` (it says: …)` in one short line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Detail(String);

impl Detail {
    /// Longest text that is kept, in characters.
    const MAX: usize = 200;

    /// `text` in one line of at most [`Self::MAX`] characters.
    pub(in crate::registry) fn new(text: &str) -> Self {
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let kept: String = line.chars().filter(|c| !c.is_control()).take(Self::MAX).collect();
        Self(kept)
    }
}

impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        write!(f, " (it says: {})", self.0)
    }
}

pub(super) fn no_permission(anonymous: bool) -> &'static str {
    if anonymous {
        "the registry lets nobody pull this without credentials, or it does not exist; name a Secret in spec.auth.basic.secretRef of the HelmRepository"
    } else {
        "the given credentials may not pull this, or it does not exist; grant the account read access"
    }
}

pub(super) fn late(wait: Wait, host: &str, after: Duration) -> String {
    match wait {
        Wait::Connection => format!(
            "no connection to {host:?} within {after:?}; something between drops the packets: check the host, its port and network policies"
        ),
        Wait::Answer => format!("{host:?} did not begin to answer within {after:?}"),
        Wait::NextPart => format!("{host:?} began to answer and then sent nothing for {after:?}"),
        Wait::WholeAnswer => format!("no complete answer from {host:?} within {after:?}"),
    }
}

pub(super) fn names(presented: &[String]) -> String {
    if presented.is_empty() { String::new() } else { format!(", it holds {}", presented.join(", ")) }
}

pub(super) fn neighbours(nearest: &[String]) -> String {
    if nearest.is_empty() {
        "it lists no versions near it".to_owned()
    } else {
        format!("the nearest are {}", nearest.join(", "))
    }
}

pub(super) fn what_exists(existing: &[String], total: usize) -> String {
    match (existing.len(), total) {
        (0, _) => "the repository holds no tags that are versions".to_owned(),
        (shown, total) if shown < total => {
            format!("the newest of the {total} that exist are {}", existing.join(", "))
        }
        _ => format!("there are {}", existing.join(", ")),
    }
}

pub(super) fn which_files(files: &[String]) -> String {
    let quoted: Vec<String> = files.iter().map(|file| format!("{file:?}")).collect();
    if quoted.is_empty() { String::new() } else { format!(", but {}", quoted.join(", ")) }
}

pub(super) fn prereleases(hint: Option<&String>) -> String {
    hint.map(|hint| format!("; pre-releases count with {hint:?}")).unwrap_or_default()
}

pub(super) fn plain_http(server_is_plain: bool) -> &'static str {
    if server_is_plain {
        "the server speaks plain HTTP where HTTPS was asked; set spec.insecure: true in the HelmRepository to speak plain HTTP to it"
    } else {
        "the server speaks HTTPS where plain HTTP was asked; remove insecure: true from the HelmRepository"
    }
}

pub(super) fn when(retry_after: Option<Duration>) -> String {
    match retry_after {
        Some(wait) => format!("it asks to wait {} seconds", wait.as_secs()),
        None => "it does not say for how long".to_owned(),
    }
}
