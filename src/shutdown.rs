//! The end of the process: once it is asked for, no write begins, and the writes under way are still answered.
//!
//! [`client`](crate::client) passes every write to the cluster through here. What no longer begins waits until the
//! process has ended: the next process goes on from what is recorded, as after a crash.

use std::task::{Context, Poll};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::{Method, Request};
use tokio::sync::watch;
use tower::{Layer, Service};

/// Whether the process is to end, and what it still waits for. Clones are handles to the same.
#[derive(Debug, Clone)]
pub struct Shutdown(watch::Sender<State>);

#[derive(Debug, Default)]
struct State {
    requested: bool,
    writes: usize,
}

/// A write under way. Dropping it says that it was answered, or given up.
#[derive(Debug)]
pub struct Write(Shutdown);

impl Default for Shutdown {
    fn default() -> Self {
        Self(watch::Sender::new(State::default()))
    }
}

impl Shutdown {
    /// Asks for the end.
    pub fn request(&self) {
        self.0.send_modify(|state| state.requested = true);
    }

    /// Resolves when the end is asked for.
    pub async fn requested(&self) {
        self.until(|state| state.requested).await;
    }

    /// Resolves when the end is asked for and no write is under way.
    pub async fn drained(&self) {
        self.until(|state| state.requested && state.writes == 0).await;
    }

    /// Lets a write begin; `None` once the end is asked for.
    pub fn begin_write(&self) -> Option<Write> {
        let begun = self.0.send_if_modified(|state| {
            state.writes += usize::from(!state.requested);
            !state.requested
        });
        begun.then(|| Write(self.clone()))
    }

    async fn until(&self, reached: impl FnMut(&State) -> bool) {
        // The channel is open for as long as this handle is there.
        drop(self.0.subscribe().wait_for(reached).await);
    }
}

impl Drop for Write {
    fn drop(&mut self) {
        self.0.0.send_modify(|state| state.writes -= 1);
    }
}

/// What every request to the cluster passes on its way. Without a shutdown it lets all pass, always.
#[derive(Debug, Clone)]
pub struct Gate(pub Option<Shutdown>);

impl<S> Layer<S> for Gate {
    type Service = Gated<S>;

    fn layer(&self, inner: S) -> Gated<S> {
        Gated { inner, shutdown: self.0.clone() }
    }
}

/// A service behind the gate.
#[derive(Debug, Clone)]
pub struct Gated<S> {
    inner: S,
    shutdown: Option<Shutdown>,
}

impl<S, B> Service<Request<B>> for Gated<S>
where
    S: Service<Request<B>>,
    S::Future: Send + 'static,
    S::Response: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
        let write = match &self.shutdown {
            Some(shutdown) if !reads => match shutdown.begin_write() {
                Some(write) => Some(write),
                // Whoever asks waits until the process has ended.
                None => return futures::future::pending().boxed(),
            },
            _ => None,
        };
        let answer = self.inner.call(request);
        async move {
            let answer = answer.await;
            drop(write);
            answer
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures::FutureExt as _;
    use futures::future::OptionFuture;
    use http::Request;
    use tokio::sync::oneshot;
    use tower::{Layer as _, Service as _, service_fn};

    use super::{Gate, Shutdown};

    #[tokio::test]
    async fn writes_under_way_are_waited_for_and_none_begins_after() {
        let shutdown = Shutdown::default();
        let (answer, answered) = oneshot::channel::<()>();
        let answered = std::sync::Mutex::new(Some(answered));
        // The server answers reads at once, and the first write when the test says so.
        let server = service_fn(move |request: Request<()>| {
            let held = answered.lock().ok().filter(|_| request.method() != "GET").and_then(|mut held| held.take());
            async move {
                OptionFuture::from(held).await.and_then(Result::ok).unwrap_or_default();
                Ok::<_, Infallible>(())
            }
        });
        let mut client = Gate(Some(shutdown.clone())).layer(server);
        let mut ask = |method: &str| client.call(Request::builder().method(method).body(()).expect("a method"));

        let mut write = ask("PATCH");
        assert!(write.as_mut().now_or_never().is_none());
        assert!(shutdown.requested().now_or_never().is_none() && shutdown.drained().now_or_never().is_none());
        shutdown.request();
        assert!(shutdown.requested().now_or_never().is_some());
        assert!(shutdown.drained().now_or_never().is_none(), "a write is under way");
        assert!(ask("POST").now_or_never().is_none(), "no write begins any more");
        assert!(ask("GET").now_or_never().is_some(), "reads pass");
        answer.send(()).expect("the write waits for it");
        assert!(write.now_or_never().is_some());
        assert!(shutdown.drained().now_or_never().is_some());
    }
}
