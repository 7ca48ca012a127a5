//! Charts that were loaded and parsed once, kept by repository and digest within a memory bound.
//!
//! A hundred releases of one chart unpack and parse it once. The least recently used go first.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use helm::chart::Chart;
use helm::engine::ParsedTemplates;

/// A chart ready to render.
pub(crate) struct LoadedChart {
    /// The chart.
    pub(crate) chart: Chart,
    /// Its templates, parsed.
    pub(crate) templates: ParsedTemplates,
}

/// Loaded charts by their repository and the digest of their manifest.
#[derive(Clone)]
pub(crate) struct Charts {
    bound: usize,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    clock: u64,
    bytes: usize,
    charts: BTreeMap<String, Slot>,
}

struct Slot {
    chart: Arc<LoadedChart>,
    bytes: usize,
    used: u64,
}

impl Charts {
    /// A store that keeps about `bound` bytes of charts.
    pub(crate) fn new(bound: usize) -> Self {
        Self { bound, kept: Arc::default() }
    }

    /// The chart with this reference, if it is kept.
    pub(crate) fn get(&self, digest: &str) -> Option<Arc<LoadedChart>> {
        let mut kept = self.lock();
        kept.clock += 1;
        let now = kept.clock;
        let slot = kept.charts.get_mut(digest)?;
        slot.used = now;
        Some(Arc::clone(&slot.chart))
    }

    /// Keeps a chart of about `bytes` bytes, and lets go of others beyond the bound.
    pub(crate) fn insert(&self, digest: String, chart: Arc<LoadedChart>, bytes: usize) {
        let mut kept = self.lock();
        kept.clock += 1;
        let used = kept.clock;
        if let Some(old) = kept.charts.insert(digest, Slot { chart, bytes, used }) {
            kept.bytes -= old.bytes;
        }
        kept.bytes += bytes;
        while kept.bytes > self.bound && kept.charts.len() > 1 {
            let oldest = kept.charts.iter().min_by_key(|(_, slot)| slot.used).map(|(digest, _)| digest.clone());
            let Some(slot) = oldest.and_then(|digest| kept.charts.remove(&digest)) else { break };
            kept.bytes -= slot.bytes;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
