//! Counters of what registries were asked, for the metrics page.

use std::sync::atomic::{AtomicU64, Ordering};

/// A count that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// The count since the process started.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }
}

/// What was asked of registries since the process started, all hosts together.
#[derive(Debug, Default)]
pub struct Stats {
    /// HTTP requests sent, redirects and token requests included.
    pub requests: Counter,
    /// Requests that got no answer, or one of 4xx (other than a 401 challenge and a 404) or 5xx.
    pub failures: Counter,
    /// Tokens fetched.
    pub tokens: Counter,
    /// Tag lists fetched (all pages of one count as one).
    pub tag_lists: Counter,
    /// Chart archives downloaded.
    pub downloads: Counter,
    /// Bytes of chart archives downloaded.
    pub downloaded_bytes: Counter,
    /// Chart archives taken from the cache on disk.
    pub cache_hits: Counter,
}
