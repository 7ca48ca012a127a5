//! Waiting for a condition with a deadline: the only place of the harness where time passes on purpose.

use std::fmt::{Debug, Display};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use futures::{StreamExt, TryStreamExt};
use kube::Api;
use kube::runtime::{WatchStreamExt, watcher};
use serde::de::DeserializeOwned;

const STEP: Duration = Duration::from_millis(25);

/// Asks `check` again and again until it answers, for what cannot be watched (a port, a file, another program).
///
/// # Errors
/// The last refusal, after `within`.
pub async fn eventually<T>(
    what: impl Display,
    within: Duration,
    mut check: impl AsyncFnMut() -> Result<T>,
) -> Result<T> {
    let deadline = Instant::now() + within;
    loop {
        match check().await {
            Ok(answer) => return Ok(answer),
            Err(refusal) if Instant::now() >= deadline => {
                return Err(refusal.context(format!("{what}: not within {within:?}")));
            }
            Err(_) => tokio::time::sleep(STEP).await,
        }
    }
}

/// Watches one object until `check` accepts it; `check` says what it misses.
///
/// # Errors
/// What `check` missed last, after `within`, or that the object never was there.
pub async fn object<K>(api: &Api<K>, name: &str, within: Duration, mut check: impl FnMut(&K) -> Result<()>) -> Result<K>
where
    K: kube::Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let mut missing = anyhow!("no such object");
    let watching = async {
        loop {
            let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
            let mut events = watcher(api.clone(), config).default_backoff().applied_objects().boxed();
            // The watcher mends its own errors: while the API server is away there is nothing to decide.
            while let Some(object) = events.next().await {
                match object.map_err(anyhow::Error::from).and_then(|object| check(&object).map(|()| object)) {
                    Ok(object) => return object,
                    Err(refusal) => missing = refusal,
                }
            }
        }
    };
    match tokio::time::timeout(within, watching).await {
        Ok(object) => Ok(object),
        Err(_) => Err(missing.context(format!("{name}: not as expected within {within:?}"))),
    }
}

/// Watches until the object is gone.
///
/// # Errors
/// When it is still there after `within`.
pub async fn gone<K>(api: &Api<K>, name: &str, within: Duration) -> Result<()>
where
    K: kube::Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let watching = async {
        let mut states = watcher::watch_object(api.clone(), name).boxed();
        while let Some(state) = states.try_next().await.transpose() {
            if matches!(state, Ok(None)) {
                return;
            }
        }
    };
    match tokio::time::timeout(within, watching).await {
        Ok(()) => Ok(()),
        Err(_) => bail!("{name} is still there after {within:?}"),
    }
}

/// Lets time pass while something is measured. No story waits by it: a condition is never "surely there by now".
pub async fn measure(window: Duration) {
    tokio::time::sleep(window).await;
}
