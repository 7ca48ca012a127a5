//! Random bytes for template functions, drawn from a seed that the caller provides.
//!
//! The stream is SHA-256 in counter mode over the seed. With a seed from the operating system's generator
//! it is fit for keys and passwords; with a fixed seed a render can be repeated.

use sha2::{Digest, Sha256};

/// Bytes of a seed.
pub const SEED_BYTES: usize = 32;

/// An endless stream of bytes determined by its seed.
pub(super) struct RandomStream {
    seed: [u8; SEED_BYTES],
    counter: u64,
    /// Unused bytes of the last block.
    rest: Vec<u8>,
}

impl RandomStream {
    pub(super) fn new(seed: [u8; SEED_BYTES]) -> Self {
        Self { seed, counter: 0, rest: Vec::new() }
    }

    /// Fills `out` with the next bytes of the stream.
    pub(super) fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            if self.rest.is_empty() {
                self.rest = self.next_block();
            }
            *byte = self.rest.pop().expect("a block has bytes");
        }
    }

    fn next_block(&mut self) -> Vec<u8> {
        let mut hash = Sha256::new();
        hash.update(self.seed);
        hash.update(self.counter.to_be_bytes());
        self.counter += 1;
        hash.finalize().to_vec()
    }
}
