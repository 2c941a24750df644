//! The latest offset of each key, in bounded memory.
//!
//! Keys are kept as 96 bits of a keyed hash (SipHash-1-3 with 128 bits), sixteen bytes for each key with its offset. Two
//! keys are taken for one with a probability of about n^2 / 2^97: for a hundred million keys less than 10^-13. The hash's
//! key is the caller's secret, so that nobody can choose keys that collide.
//!
//! When the map is full the pass ends there, and the next one goes on: the memory bounds the pass, never the log.

use ottla_types::Offset;
use siphasher::sip128::{Hasher128, SipHasher13};
use std::hash::Hasher;

/// Bytes of memory for each key.
const SLOT_BYTES: usize = 16;
/// Where few keys are expected, slots for each of them.
const ROOM: f64 = 1.35;

/// A secret for the hash.
pub type HashKey = (u64, u64);

/// Three words of hash, and the offset less the map's first one plus 1 (0: free).
type Slot = [u32; 4];

/// Keys and their latest offsets.
#[derive(Debug)]
pub(crate) struct KeyMap {
    slots: Vec<Slot>,
    len: usize,
    max_len: usize,
    hash_key: HashKey,
    first_offset: Offset,
    next_offset: Offset,
}

/// How much a map may hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    /// Memory.
    pub(crate) bytes: usize,
    /// Share of the slots that may be taken.
    pub(crate) load_factor: f64,
    /// More keys than this will not come.
    pub(crate) keys: u64,
}

impl KeyMap {
    /// An empty map for records from `first_offset` on.
    pub(crate) fn new(first_offset: Offset, room: Room, hash_key: HashKey) -> Self {
        let most = (room.bytes / SLOT_BYTES).max(16);
        let wanted = (room.keys as f64 * ROOM) as usize + 16;
        let slots = wanted.min(most);
        let max_len = ((slots as f64 * room.load_factor.clamp(0.05, 0.95)) as usize).max(1);
        let slots = vec![[0; 4]; slots];
        Self { slots, len: 0, max_len, hash_key, first_offset, next_offset: first_offset }
    }

    /// Every record below was taken into account.
    pub(crate) fn next_offset(&self) -> Offset {
        self.next_offset
    }

    /// Notes that all records below were taken into account.
    pub(crate) fn covers(&mut self, next_offset: Offset) {
        self.next_offset = self.next_offset.max(next_offset);
    }

    /// Share of the memory that is in use.
    pub(crate) fn utilization(&self) -> f64 {
        self.len as f64 / self.slots.len() as f64
    }

    /// Notes a key's record; records come in the order of their offsets. False if there is no room: nothing was noted.
    pub(crate) fn put(&mut self, key: &[u8], offset: Offset) -> bool {
        let Ok(place) = u32::try_from(offset - self.first_offset + 1) else { return false };
        let (hash, index) = self.find(key);
        if self.slots[index][3] == 0 {
            if self.len >= self.max_len {
                return false;
            }
            self.len += 1;
        }
        self.slots[index] = [hash[0], hash[1], hash[2], place];
        self.next_offset = offset + 1;
        true
    }

    /// The offset of the key's latest record, if it has one here.
    pub(crate) fn get(&self, key: &[u8]) -> Option<Offset> {
        let (_, index) = self.find(key);
        match self.slots[index][3] {
            0 => None,
            place => Some(self.first_offset + i64::from(place) - 1),
        }
    }

    /// The key's hash, and its slot or the free one where it belongs. There is always a free one.
    fn find(&self, key: &[u8]) -> ([u32; 3], usize) {
        let mut hasher = SipHasher13::new_with_keys(self.hash_key.0, self.hash_key.1);
        hasher.write(key);
        let hash = hasher.finish128();
        let words = [(hash.h1 >> 32) as u32, hash.h1 as u32, hash.h2 as u32];
        let mut index = ((u128::from(hash.h1) * self.slots.len() as u128) >> 64) as usize;
        loop {
            let slot = &self.slots[index];
            if slot[3] == 0 || slot[..3] == words {
                return (words, index);
            }
            index += 1;
            if index == self.slots.len() {
                index = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    proptest! {
        #[test]
        fn it_is_a_map_until_it_is_full(keys in prop::collection::vec(0..300u16, 0..600), bytes in 256..8_000usize) {
            let room = Room { bytes, load_factor: 0.9, keys: 600 };
            let mut map = KeyMap::new(1_000, room, (1, 2));
            let mut model = HashMap::new();
            for (offset, key) in (1_000..).zip(&keys) {
                if !map.put(&key.to_be_bytes(), offset) {
                    prop_assert!(!model.contains_key(key));
                    prop_assert!(map.len >= map.max_len);
                    break;
                }
                model.insert(*key, offset);
                prop_assert_eq!(map.next_offset(), offset + 1);
            }
            for key in 0..300u16 {
                prop_assert_eq!(map.get(&key.to_be_bytes()), model.get(&key).copied());
            }
            prop_assert!(map.slots.len() * SLOT_BYTES <= bytes.max(256));
        }
    }

    #[test]
    fn few_keys_take_little_memory() {
        let map = KeyMap::new(0, Room { bytes: 128 << 20, load_factor: 0.9, keys: 1_000 }, (0, 0));
        assert!(map.slots.len() < 2_000);
    }
}
