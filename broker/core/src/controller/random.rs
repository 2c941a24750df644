//! Ids and seeds from one seed.

use crate::placement::mix;
use ottla_types::Uuid;

/// A stream of numbers that depends on its seed alone (SplitMix64). Not for secrets.
#[derive(Debug, Clone)]
pub(super) struct Random {
    seed: u64,
    drawn: u64,
}

impl Random {
    pub const fn new(seed: u64) -> Self {
        Self { seed, drawn: 0 }
    }

    pub fn next_u64(&mut self) -> u64 {
        self.drawn += 1;
        mix(self.seed.wrapping_add(self.drawn.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }

    /// A random UUID (version 4).
    pub fn uuid(&mut self) -> Uuid {
        let bits = u128::from(self.next_u64()) << 64 | u128::from(self.next_u64());
        uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid()
    }
}
