//! What a gateway does to the requests that a test picks out: which they are, and what becomes of their answers.

use std::time::{Duration, Instant};

use http::{Method, Uri};

/// What the API server says when its store did not answer it in time.
pub(super) const TIMED_OUT: &str = r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Timeout: request did not complete within requested timeout - context deadline exceeded","reason":"Timeout","details":{},"code":504}"#;

/// What it says when others wrote an object as often as it tried to.
pub(super) const CONFLICT: &str = r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Operation cannot be fulfilled: the object has been modified; please apply your changes to the latest version and try again","reason":"Conflict","code":409}"#;

/// A choice of requests.
#[derive(Clone, Debug)]
pub struct Which {
    kind: Kind,
    methods: Vec<Method>,
    parts: Vec<String>,
    left: Option<usize>,
}

/// What a request is about, by its method and query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It changes something.
    Write,
    /// It asks for the events of a kind, and stays open.
    Watch,
    /// It asks for something once.
    Read,
}

impl Which {
    /// Writes whose path holds `part` (all of them for an empty one).
    pub fn writes(part: &str) -> Self {
        Self { kind: Kind::Write, methods: Vec::new(), parts: vec![part.to_owned()], left: None }
    }

    /// Watches whose path and query hold `part`.
    pub fn watches(part: &str) -> Self {
        Self { kind: Kind::Watch, ..Self::writes(part) }
    }

    /// Reads, of one object or of a list, whose path and query hold `part`.
    pub fn reads(part: &str) -> Self {
        Self { kind: Kind::Read, ..Self::writes(part) }
    }

    /// Those of them that have this method.
    #[must_use]
    pub fn method(mut self, method: Method) -> Self {
        self.methods.push(method);
        self
    }

    /// Those of them whose path and query hold this too.
    #[must_use]
    pub fn and(mut self, part: &str) -> Self {
        self.parts.push(part.to_owned());
        self
    }

    /// Only the first `n` of them.
    #[must_use]
    pub fn times(mut self, n: usize) -> Self {
        self.left = Some(n);
        self
    }

    /// Whether it chooses this request; counts it if it does.
    pub(super) fn takes(&mut self, asked: &Asked) -> bool {
        let chosen = self.kind == asked.kind
            && (self.methods.is_empty() || self.methods.contains(&asked.method))
            && self.parts.iter().all(|part| asked.path.contains(part));
        match &mut self.left {
            _ if !chosen => false,
            None => true,
            Some(0) => false,
            Some(left) => {
                *left -= 1;
                true
            }
        }
    }
}

/// A request as far as rules look at it.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) kind: Kind,
    pub(super) method: Method,
    /// Path and query.
    pub(super) path: String,
}

impl Asked {
    pub(super) fn new(method: &Method, uri: &Uri) -> Self {
        let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str).to_owned();
        let reads = [Method::GET, Method::HEAD, Method::OPTIONS].contains(method);
        let watches = uri.query().is_some_and(|query| query.split('&').any(|pair| pair.starts_with("watch=")));
        let kind = match (reads, watches) {
            (false, _) => Kind::Write,
            (true, true) => Kind::Watch,
            (true, false) => Kind::Read,
        };
        Self { kind, method: method.clone(), path }
    }

    /// Events, leases and access reviews tell or ask; they do not move a release.
    pub(super) fn is_chatter(&self) -> bool {
        let (path, _) = self.parts();
        ["/events", "/leases", "accessreviews"].iter().any(|part| path.contains(part))
    }

    /// Whether it changes something: no read, no review, no dry run.
    pub(super) fn persists(&self) -> bool {
        let (path, query) = self.parts();
        self.kind == Kind::Write
            && !path.contains("accessreviews")
            && !query.split('&').any(|pair| pair == "dryRun=All")
    }

    fn parts(&self) -> (&str, &str) {
        self.path.split_once('?').unwrap_or((&self.path, ""))
    }
}

/// What becomes of the answer to a write that the API server has carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It comes later than the event that tells of the write.
    Late(Duration),
    /// It is held until a watch has delivered the event that tells of the write, and so much longer.
    AfterEvent(Duration),
    /// It never comes: the connection breaks.
    Lost,
    /// It is `504`, as when the API server gave up waiting for its store.
    TimedOut,
    /// It is `409`, as when the API server gave up against the writes of others; and the write is not carried out.
    Conflict,
}

/// What is answered to a read in the place of the API server: what a part says that no test runs, such as a kubelet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The `Content-Type`.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
}

/// What becomes of the events of a watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Events {
    /// Each comes so much later, in order.
    Late(Duration),
    /// None comes until the rule is taken away.
    Held,
}

/// Watches that are broken off.
#[derive(Debug)]
pub(super) struct Cut {
    /// Grows with each cut, so that a watch knows those that came after its beginning.
    pub(super) number: u64,
    pub(super) which: Which,
    /// Before that no watch begins again.
    pub(super) until: Instant,
    /// Paths of the watches that were broken off: each is told once that it must list anew.
    pub(super) expired: Vec<String>,
}

/// All rules in force.
#[derive(Debug, Default)]
pub(super) struct Rules {
    pub(super) answers: Vec<(Which, Answer)>,
    pub(super) events: Vec<(Which, Events)>,
    pub(super) cuts: Vec<Cut>,
    pub(super) stale: Vec<Which>,
    pub(super) replies: Vec<(Which, Reply)>,
    pub(super) away: bool,
}

impl Rules {
    pub(super) fn answer(&mut self, asked: &Asked) -> Option<Answer> {
        self.answers.iter_mut().find_map(|(which, answer)| which.takes(asked).then_some(*answer))
    }

    /// What becomes of the events of this watch as things stand.
    pub(super) fn events(&self, asked: &Asked) -> Option<Events> {
        self.events.iter().find_map(|(which, events)| which.clone().takes(asked).then_some(*events))
    }

    pub(super) fn is_stale(&self, asked: &Asked) -> bool {
        self.stale.iter().any(|which| which.clone().takes(asked))
    }

    /// What is answered to a read in the place of the API server.
    pub(super) fn reply(&mut self, asked: &Asked) -> Option<Reply> {
        self.replies.iter_mut().find_map(|(which, reply)| which.takes(asked).then(|| reply.clone()))
    }

    /// The number of the newest cut.
    pub(super) fn newest_cut(&self) -> u64 {
        self.cuts.last().map_or(0, |cut| cut.number)
    }

    /// Whether a watch that began after the cut `since` is to be broken off; it is remembered as such.
    pub(super) fn breaks_off(&mut self, asked: &Asked, since: u64) -> bool {
        let cut = self.cuts.iter_mut().find(|cut| cut.number > since && cut.which.clone().takes(asked));
        if let Some(cut) = cut {
            cut.expired.push(base(&asked.path));
            return true;
        }
        self.away
    }

    /// How long a new watch has to wait because of a cut.
    pub(super) fn gap(&self, asked: &Asked) -> Duration {
        let now = Instant::now();
        let cuts = self.cuts.iter().filter(|cut| cut.which.clone().takes(asked));
        cuts.map(|cut| cut.until.saturating_duration_since(now)).max().unwrap_or_default()
    }

    /// Whether a new watch is to be told that its version is too old; asked once for each watch that was broken off.
    pub(super) fn expires(&mut self, asked: &Asked) -> bool {
        let path = base(&asked.path);
        for cut in &mut self.cuts {
            if let Some(at) = cut.expired.iter().position(|expired| *expired == path) {
                cut.expired.remove(at);
                return true;
            }
        }
        false
    }
}

/// A watch without the version it begins at: the same watch, begun again.
fn base(path: &str) -> String {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let kept: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with("resourceVersion=")).collect();
    format!("{path}?{}", kept.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: &str, uri: &str) -> Asked {
        Asked::new(&method.parse().expect("a method"), &uri.parse().expect("a URI"))
    }

    #[test]
    fn requests_are_told_apart() {
        for (method, uri, kind) in [
            ("GET", "/api/v1/secrets?labelSelector=owner%3Dhelm", Kind::Read),
            ("GET", "/api/v1/secrets?&watch=true&resourceVersion=7", Kind::Watch),
            ("GET", "/api/v1/namespaces/a/configmaps/watch", Kind::Read),
            ("PATCH", "/api/v1/namespaces/a/configmaps/b?fieldManager=helm", Kind::Write),
            ("DELETE", "/api/v1/namespaces/a/configmaps/b", Kind::Write),
        ] {
            assert_eq!(asked(method, uri).kind, kind, "{method} {uri}");
        }
    }

    #[test]
    fn a_choice_is_by_kind_method_and_path_and_may_run_out() {
        let post = asked("POST", "/api/v1/namespaces/a/secrets");
        let put = asked("PUT", "/api/v1/namespaces/a/secrets/s");
        let mut any = Which::writes("/secrets");
        assert!(any.takes(&post) && any.takes(&put));
        let mut posts = Which::writes("/secrets").method(Method::POST);
        assert!(posts.takes(&post) && !posts.takes(&put));
        assert!(!Which::writes("/secrets").and("/namespaces/b/").takes(&post));
        assert!(!Which::watches("/secrets").takes(&post));
        let mut first = Which::writes("/secrets").times(1);
        assert_eq!([first.takes(&post), first.takes(&put)], [true, false]);
    }

    #[test]
    fn a_watch_that_was_broken_off_expires_once() {
        let watch = |version: u32| asked("GET", &format!("/api/v1/secrets?watch=true&resourceVersion={version}"));
        let mut rules = Rules::default();
        let cut = Cut { number: 1, which: Which::watches("/secrets"), until: Instant::now(), expired: Vec::new() };
        rules.cuts.push(cut);
        assert!(!rules.breaks_off(&watch(7), 1), "it began after the cut");
        assert!(rules.breaks_off(&watch(7), 0));
        assert!(rules.expires(&watch(9)));
        assert!(!rules.expires(&watch(9)));
    }
}
