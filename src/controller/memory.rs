//! How much memory there is, and what of it renders may take.
//!
//! What a render takes is in proportion to its steps ([`Limits`]), which are counted, and ended when they are used up. So
//! memory is given out in two sizes: a render begins with a small part, enough for most charts; one that does not fit into
//! it is ended, and begun anew as a large one, of which as many go on at once as the process has memory for. Those that
//! need much wait for each other; the others go on beside them.

use std::fs;

use helm::engine::Limits;

/// What the process takes besides renders: its code, what it watches, charts that are kept.
const BASE: u64 = 96 << 20;

/// Bytes that a render of [`Limits::STEPS`] may take, and about as much for its objects and its record.
const LARGE: u64 = 272 << 20;

/// A small render gets this part of [`Limits::STEPS`].
const SMALL_PART: u64 = 12;

/// The memory that the process may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// In bytes; `None` where nothing bounds it.
    pub bytes: Option<u64>,
}

impl Memory {
    /// So many MiB.
    pub fn mib(mib: u64) -> Self {
        Self { bytes: Some(mib.saturating_mul(1 << 20)) }
    }

    /// The bound of the container, where there is one.
    pub fn of_container() -> Self {
        // Version 2, and version 1 of control groups, as a container sees its own.
        let files = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
        let bytes = files.iter().find_map(|file| fs::read_to_string(file).ok()?.trim().parse().ok());
        // Version 1 says "none" by a number beyond any memory.
        Self { bytes: bytes.filter(|bytes| *bytes < 1 << 50) }
    }

    /// How many large renders it has room for at the same time; one at least, since a chart that is large has to be
    /// installed some time.
    pub(crate) fn large(self) -> usize {
        let room = self.bytes.map_or(u64::MAX, |bytes| bytes.saturating_sub(BASE) / LARGE);
        usize::try_from(room.clamp(1, MOST_LARGE)).unwrap_or(1)
    }
}

/// Most large renders at once, whatever the memory: they take seconds of a processor each.
const MOST_LARGE: u64 = 4;

/// What a render may take that is not large.
pub(crate) fn small() -> Limits {
    Limits { steps: Limits::STEPS / SMALL_PART, ..Limits::default() }
}

#[cfg(test)]
mod tests {
    use super::Memory;

    #[test]
    fn large_renders_fit_into_what_there_is() {
        let large = |mib: u64| Memory::mib(mib).large();
        assert_eq!([128, 512, 700, 1024, 16 << 10].map(large), [1, 1, 2, 3, 4]);
        assert_eq!(Memory { bytes: None }.large(), 4);
    }
}
