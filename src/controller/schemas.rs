//! The JSON schemas that charts refer to by address, for renders that never wait for one.
//!
//! A render asks a [`Gathered`] for what was fetched before. What is missing stops it; it is fetched while the release
//! holds no slot, and the render begins anew. Most charts refer to none.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use clap::ValueEnum;
use futures::StreamExt as _;
use helm::engine::{SchemaCheck, SchemaFetchError, SchemaSource};
use tokio::time::{Instant, timeout_at};

use crate::registry::{SchemaError, Schemas};

/// How long all schemas of a chart may take together. What is not there by then counts as unavailable.
const TOTAL_TIMEOUT: Duration = Duration::from_mins(1);

/// How many are fetched at the same time for one chart.
const AT_ONCE: usize = 4;

/// What becomes of schemas that a chart's `values.schema.json` refers to by address.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum RemoteSchemas {
    /// They are fetched. What cannot be had is left out, and the release tells of it.
    #[default]
    Fetch,
    /// They are fetched. What cannot be had refuses the chart, as in Helm.
    Require,
    /// They are not fetched, and left out.
    Never,
}

/// A schema, or why it is not there.
type Fetched = Result<Arc<[u8]>, SchemaError>;

/// What a render may know of schemas elsewhere. Shared between the attempts of one.
pub(crate) struct Gathered {
    /// `None` where schemas do not count.
    policy: Option<RemoteSchemas>,
    schemas: Schemas,
    deadline: Instant,
    known: Mutex<BTreeMap<String, Fetched>>,
    missing: Mutex<BTreeSet<String>>,
}

/// The source of one attempt: it stops what asks for something that is missing.
pub(crate) struct Attempt<'a> {
    /// What is known.
    pub(crate) gathered: &'a Gathered,
    /// Stops the render.
    pub(crate) stop: Arc<AtomicBool>,
}

impl Gathered {
    /// Nothing yet; `schemas` fetches.
    pub(crate) fn new(policy: Option<RemoteSchemas>, schemas: &Schemas) -> Self {
        Self {
            policy,
            schemas: schemas.clone(),
            deadline: Instant::now() + TOTAL_TIMEOUT,
            known: Mutex::default(),
            missing: Mutex::default(),
        }
    }

    /// Whether the last attempt lacked something: it proves nothing then, and is to be repeated.
    pub(crate) fn lacks_some(&self) -> bool {
        !lock(&self.missing).is_empty()
    }

    /// Fetches what the last attempt lacked.
    pub(crate) async fn complete(&self) {
        let missing = std::mem::take(&mut *lock(&self.missing));
        let fetch = async |url: String| {
            let fetched = self.schemas.fetch(&url).await;
            lock(&self.known).insert(url, fetched);
        };
        let all = futures::stream::iter(missing.clone()).for_each_concurrent(AT_ONCE, fetch);
        if timeout_at(self.deadline, all).await.is_ok() {
            return;
        }
        for url in missing {
            let why = format!("the schemas of the chart did not come within {} s", TOTAL_TIMEOUT.as_secs());
            let unavailable = Err(SchemaError::Unavailable { url: url.clone(), why });
            lock(&self.known).entry(url).or_insert(unavailable);
        }
    }
}

impl Attempt<'_> {
    /// How values are checked.
    pub(crate) fn check(&self) -> SchemaCheck<'_> {
        match self.gathered.policy {
            None => SchemaCheck::Skip,
            Some(RemoteSchemas::Require) => SchemaCheck::Fetch(self),
            Some(RemoteSchemas::Fetch | RemoteSchemas::Never) => SchemaCheck::FetchOrLeaveOut(self),
        }
    }
}

impl SchemaSource for Attempt<'_> {
    fn schema(&self, url: &str) -> Result<Arc<[u8]>, SchemaFetchError> {
        if self.gathered.policy == Some(RemoteSchemas::Never) {
            return Err(SchemaFetchError::new("the operator runs with --remote-schemas=never"));
        }
        if let Some(known) = lock(&self.gathered.known).get(url) {
            return known.clone().map_err(SchemaFetchError::new);
        }
        lock(&self.gathered.missing).insert(url.to_owned());
        self.stop.store(true, Ordering::Relaxed);
        Err(SchemaFetchError::new("it was not fetched yet"))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
