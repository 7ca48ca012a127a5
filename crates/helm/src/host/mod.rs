//! What template functions may ask of the world during one render.

mod lookup;
mod random;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gotmpl::Str;
use jiff::Zoned;

use random::RandomStream;

pub use lookup::{Lookup, LookupError, NoLookup};
pub use random::SEED_BYTES;

/// The host of one render: a clock that stands still, a stream of random bytes and the cluster.
///
/// Every question is remembered, so that the result can tell whether the same inputs would render the same again.
pub struct Host {
    now: Zoned,
    random: RefCell<RandomStream>,
    lookup: Arc<dyn Lookup>,
    repeatable: Cell<bool>,
    by_chance: Cell<bool>,
    /// The file that is being rendered, by its path from the root chart.
    file: RefCell<String>,
    /// The files whose rendering asked the cluster.
    looking_up: RefCell<BTreeSet<String>>,
    /// How often each template is being included at the moment.
    included: RefCell<BTreeMap<Str, u32>>,
}

impl Host {
    /// A host for one render at the instant `now`, whose random bytes come from `seed`.
    pub fn new(now: Zoned, seed: [u8; SEED_BYTES], lookup: Arc<dyn Lookup>) -> Self {
        let random = RefCell::new(RandomStream::new(seed));
        Self {
            now,
            random,
            lookup,
            repeatable: Cell::new(true),
            by_chance: Cell::new(false),
            file: RefCell::default(),
            looking_up: RefCell::default(),
            included: RefCell::default(),
        }
    }

    /// The instant of the render, in the caller's time zone. The result is no longer repeatable.
    pub fn now(&self) -> Zoned {
        self.repeatable.set(false);
        self.by_chance.set(true);
        self.now.clone()
    }

    /// The caller's time zone, which is part of the inputs: asking for it leaves the result repeatable.
    pub fn time_zone(&self) -> jiff::tz::TimeZone {
        self.now.time_zone().clone()
    }

    /// Fills `out` with random bytes. The result is no longer repeatable.
    pub fn random(&self, out: &mut [u8]) {
        self.repeatable.set(false);
        self.by_chance.set(true);
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
        self.looking_up.borrow_mut().insert(self.file.borrow().clone());
        self.lookup.lookup(api_version, kind, namespace, name)
    }

    /// Whether no function has asked for time, randomness or the cluster so far.
    pub fn repeatable(&self) -> bool {
        self.repeatable.get()
    }

    /// Whether a function has asked for time or randomness so far.
    pub fn by_chance(&self) -> bool {
        self.by_chance.get()
    }

    /// The files whose rendering has asked the cluster so far.
    pub(crate) fn into_looking_up(self) -> BTreeSet<String> {
        self.looking_up.into_inner()
    }

    /// Notes that the rendering of a file begins.
    pub(crate) fn begin(&self, file: &str) {
        file.clone_into(&mut self.file.borrow_mut());
    }

    /// Notes that the template `name` is entered; false if it is within itself more than `limit` times already.
    pub(crate) fn enter(&self, name: &Str, limit: u32) -> bool {
        let mut included = self.included.borrow_mut();
        let count = included.entry(name.clone()).or_default();
        if *count > limit {
            return false;
        }
        *count += 1;
        true
    }

    /// Notes that the template `name` is left.
    pub(crate) fn leave(&self, name: &Str) {
        if let Some(count) = self.included.borrow_mut().get_mut(name) {
            *count -= 1;
        }
    }
}
