//! What template functions may ask of the world during one render.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use jiff::Zoned;

use super::lookup::{Lookup, LookupError};
use super::random::{RandomStream, SEED_BYTES};

/// The host of one render: a clock that stands still, a stream of random bytes and the cluster.
///
/// Every question is remembered, so that the result can tell whether the same inputs would render the same again.
pub struct Host {
    now: Zoned,
    random: RefCell<RandomStream>,
    lookup: Arc<dyn Lookup>,
    repeatable: Cell<bool>,
}

impl Host {
    /// A host for one render at the instant `now`, whose random bytes come from `seed`.
    pub fn new(now: Zoned, seed: [u8; SEED_BYTES], lookup: Arc<dyn Lookup>) -> Self {
        Self { now, random: RefCell::new(RandomStream::new(seed)), lookup, repeatable: Cell::new(true) }
    }

    /// The instant of the render, in the caller's time zone. The result is no longer repeatable.
    pub fn now(&self) -> Zoned {
        self.repeatable.set(false);
        self.now.clone()
    }

    /// The caller's time zone, which is part of the inputs: asking for it leaves the result repeatable.
    pub fn time_zone(&self) -> jiff::tz::TimeZone {
        self.now.time_zone().clone()
    }

    /// Fills `out` with random bytes. The result is no longer repeatable.
    pub fn random(&self, out: &mut [u8]) {
        self.repeatable.set(false);
        self.random.borrow_mut().fill(out);
    }

    /// Asks the cluster. The result is no longer repeatable.
    pub fn lookup(
        &self,
        api_version: &str,
        kind: &str,
        namespace: &str,
        name: &str,
    ) -> Result<serde_json::Value, LookupError> {
        self.repeatable.set(false);
        self.lookup.lookup(api_version, kind, namespace, name)
    }

    /// Whether no function has asked for time, randomness or the cluster so far.
    pub fn repeatable(&self) -> bool {
        self.repeatable.get()
    }
}
