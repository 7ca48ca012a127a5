//! Limits: of a whole answer's time and size, of a watch's silence and the size of its events, and of requests at the same time.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response};
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep_until};
use tower::{BoxError, Layer, Service};

/// How long the API server may take, how long it may be silent, and how much it may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// From sending a request to the end of its answer. The API server's own limit is 60 s.
    pub request: Duration,
    /// Between two lines of a watch. The API server sends a bookmark each minute.
    pub watch: Duration,
    /// Bytes of an answer.
    pub answer: usize,
    /// Bytes of one event of a watch.
    pub event: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { request: Duration::from_secs(65), watch: Duration::from_secs(90), answer: usize::MAX, event: usize::MAX }
    }
}

/// The API server was silent for longer than it may be.
#[derive(Debug, thiserror::Error)]
#[error("no complete answer within {}s", .0.as_secs())]
struct Silent(Duration);

/// The API server said more than it may.
#[derive(Debug, thiserror::Error)]
#[error("an answer, or an event of a watch, of more than {} MiB", .0 >> 20)]
pub(super) struct TooLarge(usize);

/// Requests at the same time that are no watches, and so connections: each costs memory and a handshake, and the API
/// server does not answer more of them faster.
const AT_ONCE: usize = 32;

/// Limits the requests of the service below it.
#[derive(Debug, Clone)]
pub(super) struct LimitLayer {
    limits: Limits,
    at_once: Arc<Semaphore>,
}

impl LimitLayer {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, at_once: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

impl<S> Layer<S> for LimitLayer {
    type Service = Limit<S>;

    fn layer(&self, inner: S) -> Limit<S> {
        Limit { inner, limits: self.limits, at_once: Arc::clone(&self.at_once) }
    }
}

/// A service whose requests are limited in number, and their answers in time.
#[derive(Debug, Clone)]
pub(super) struct Limit<S> {
    inner: S,
    limits: Limits,
    at_once: Arc<Semaphore>,
}

impl<S, In, Out> Service<Request<In>> for Limit<S>
where
    S: Service<Request<In>, Response = Response<Out>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    In: Send + 'static,
    Out: Body<Data = Bytes> + Unpin,
{
    type Response = Response<Limited<Out>>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<In>) -> Self::Future {
        let Limits { request: whole, watch, answer: all, event } = self.limits;
        let (bound, most) =
            if is_watch(request.uri()) { (Bound::Silence(watch), event) } else { (Bound::Whole(whole), all) };
        let at_once = Arc::clone(&self.at_once);
        // The one that said it is ready is the one to call.
        let next = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, next);
        Box::pin(async move {
            let permit = match bound {
                // Never closed, so never an error.
                Bound::Whole(_) => at_once.acquire_owned().await.ok(),
                Bound::Silence(_) => None,
            };
            // Waiting for others is not the server's time.
            let end = Instant::now() + whole;
            let answer = inner.call(request);
            let answer = tokio::time::timeout_at(end, answer).await.map_err(|_| Silent(whole))?.map_err(Into::into)?;
            let end = match bound {
                Bound::Whole(_) => end,
                Bound::Silence(silence) => Instant::now() + silence,
            };
            let end = Box::pin(sleep_until(end));
            Ok(answer.map(|body| Limited { body, bound, most, taken: 0, end, _permit: permit }))
        })
    }
}

fn is_watch(uri: &http::Uri) -> bool {
    uri.query().is_some_and(|query| query.split('&').any(|pair| pair == "watch=true" || pair == "watch=1"))
}

#[derive(Debug, Clone, Copy)]
enum Bound {
    /// Of the whole answer, which fails if it is longer under way.
    Whole(Duration),
    /// Between two parts of the answer, which ends after a longer silence as if the server had ended it.
    Silence(Duration),
}

/// The body of an answer, limited in time and in size.
pub(super) struct Limited<B> {
    body: B,
    bound: Bound,
    /// The most bytes, of all or of one line.
    most: usize,
    /// So many of them were taken.
    taken: usize,
    end: Pin<Box<Sleep>>,
    /// Given back when the answer was read, or is no longer wanted.
    _permit: Option<OwnedSemaphorePermit>,
}

impl<B> Limited<B> {
    /// Counts what has come.
    fn take(&mut self, data: &[u8]) -> Result<(), TooLarge> {
        let (first, rest) = match self.bound {
            Bound::Whole(_) => (data.len(), None),
            // What lies between two ends of lines has come at once, and is no larger than that.
            Bound::Silence(_) => {
                let mut lines = data.split(|byte| *byte == b'\n').map(<[u8]>::len);
                (lines.next().unwrap_or_default(), lines.next_back())
            }
        };
        self.taken = self.taken.saturating_add(first);
        if self.taken > self.most {
            return Err(TooLarge(self.most));
        }
        self.taken = rest.unwrap_or(self.taken);
        Ok(())
    }
}

impl<B> Body for Limited<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) {
            if let Bound::Silence(silence) = this.bound {
                this.end.as_mut().reset(Instant::now() + silence);
            }
            let data = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref());
            if let Some(too_large) = data.cloned().and_then(|data| this.take(&data).err()) {
                return Poll::Ready(Some(Err(too_large.into())));
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        ready!(this.end.as_mut().poll(context));
        Poll::Ready(match this.bound {
            Bound::Whole(limit) => Some(Err(Silent(limit).into())),
            Bound::Silence(_) => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
