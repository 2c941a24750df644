//! Which brokers hold which replicas.
//!
//! Pure functions over plain ids, shared with the operator. Everything is decided by the arguments: the same seed
//! gives the same placement.

/// Mixes 64 bits so that each bit of the result depends on all of the argument (SplitMix64's finalizer).
#[must_use]
pub const fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
