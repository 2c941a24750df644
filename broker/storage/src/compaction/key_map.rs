//! The latest offset of each key, in bounded memory.
//!
//! Keys are kept as 96 bits of a keyed hash (SipHash-1-3 with 128 bits), sixteen bytes for each key with its offset. Two
//! keys are taken for one with a probability of about n^2 / 2^97: for a hundred million keys less than 10^-13. The hash's
//! key is the caller's secret, so that nobody can choose keys that collide.
//!
//! When the map is full the pass ends there, and the next one goes on: the memory bounds the pass, never the log.

use ottla_records::{BatchError, RecordRef, RecordRefs};
use ottla_types::Offset;
use siphasher::sip128::{Hasher128, SipHasher13};
use std::hash::Hasher;

/// Bytes of memory for each key.
const SLOT_BYTES: usize = 16;
/// Parts of the map, each of which grows by itself: little is held twice while one does.
const SHARDS: usize = 256;
/// Slots of a part at first.
const FIRST_SLOTS: usize = 64;
/// With less memory there is one part, of its full size.
const LEAST_SHARDED_BYTES: usize = 1 << 20;

/// A secret for the hash.
pub type HashKey = (u64, u64);

/// Keys that are looked up together: their slots come from memory at the same time, not one after the other.
const TOGETHER: usize = 32;

/// What is kept of a key: three words of its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HashedKey([u32; 3]);

/// Three words of hash, and the offset less the map's first one plus 1 (0: free).
type Slot = [u32; 4];

/// Keys and their latest offsets.
#[derive(Debug)]
pub(crate) struct KeyMap {
    shards: Vec<Shard>,
    /// Slots of all shards together, and how many there may be.
    slots: usize,
    max_slots: usize,
    load_factor: f64,
    hash_key: HashKey,
    first_offset: Offset,
    next_offset: Offset,
}

/// One part: linear probing, never full.
#[derive(Debug)]
struct Shard {
    slots: Vec<Slot>,
    len: usize,
}

/// How much a map may hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    /// Memory.
    pub(crate) bytes: usize,
    /// Share of the slots that may be taken.
    pub(crate) load_factor: f64,
}

impl KeyMap {
    /// An empty map for records from `first_offset` on.
    pub(crate) fn new(first_offset: Offset, room: Room, hash_key: HashKey) -> Self {
        let max_slots = (room.bytes / SLOT_BYTES).max(16);
        let (count, each) =
            if room.bytes < LEAST_SHARDED_BYTES { (1, max_slots) } else { (SHARDS, FIRST_SLOTS) };
        let shards = (0..count).map(|_| Shard { slots: vec![[0; 4]; each], len: 0 }).collect();
        let load_factor = room.load_factor.clamp(0.05, 0.95);
        let next_offset = first_offset;
        Self { shards, slots: count * each, max_slots, load_factor, hash_key, first_offset, next_offset }
    }

    /// Every record below was taken into account.
    pub(crate) fn next_offset(&self) -> Offset {
        self.next_offset
    }

    /// Notes that all records below were taken into account.
    pub(crate) fn covers(&mut self, next_offset: Offset) {
        self.next_offset = self.next_offset.max(next_offset);
    }

    /// Share of the memory it may have that holds keys.
    pub(crate) fn utilization(&self) -> f64 {
        self.shards.iter().map(|shard| shard.len).sum::<usize>() as f64 / self.max_slots as f64
    }

    /// A key as this map knows it.
    pub(crate) fn hash(&self, key: &[u8]) -> HashedKey {
        let mut hasher = SipHasher13::new_with_keys(self.hash_key.0, self.hash_key.1);
        hasher.write(key);
        let hash = hasher.finish128();
        HashedKey([(hash.h1 >> 32) as u32, hash.h1 as u32, hash.h2 as u32])
    }

    /// Takes the next records into `some`, with what this map knows their keys as; false if none are left. Their slots
    /// are read already: most of the time of a look-up is waiting for memory, and reads that do not depend on each
    /// other wait at the same time.
    ///
    /// # Errors
    /// If a record cannot be read.
    pub(crate) fn take_some<'a>(
        &self,
        records: &mut RecordRefs<'a>,
        some: &mut Vec<(RecordRef<'a>, Option<HashedKey>)>,
    ) -> Result<bool, BatchError> {
        some.clear();
        let mut seen = 0;
        for record in records.by_ref().take(TOGETHER) {
            let record = record?;
            some.push((record, record.key.map(|key| self.hash(key))));
        }
        for HashedKey(words) in some.iter().filter_map(|(_, key)| *key) {
            let shard = &self.shards[shard_of(words, self.shards.len())];
            seen ^= shard.slots[shard.place(words)][3];
        }
        std::hint::black_box(seen);
        Ok(!some.is_empty())
    }

    /// Notes a key's record; records come in the order of their offsets. False if there is no room: nothing was noted.
    pub(crate) fn put(&mut self, HashedKey(words): HashedKey, offset: Offset) -> bool {
        let Ok(place) = u32::try_from(offset - self.first_offset + 1) else { return false };
        let at = shard_of(words, self.shards.len());
        let mut index = self.shards[at].find(words);
        if self.shards[at].slots[index][3] == 0 {
            if self.shards[at].is_full(self.load_factor) {
                if !self.grow(at) {
                    return false;
                }
                index = self.shards[at].find(words);
            }
            self.shards[at].len += 1;
        }
        self.shards[at].slots[index] = [words[0], words[1], words[2], place];
        self.next_offset = offset + 1;
        true
    }

    /// The offset of the key's latest record, if it has one here.
    pub(crate) fn get(&self, HashedKey(words): HashedKey) -> Option<Offset> {
        let shard = &self.shards[shard_of(words, self.shards.len())];
        match shard.slots[shard.find(words)][3] {
            0 => None,
            place => Some(self.first_offset + i64::from(place) - 1),
        }
    }

    /// Makes a shard half as large again; false if the memory does not allow it.
    fn grow(&mut self, at: usize) -> bool {
        let old = self.shards[at].slots.len();
        let new = old + old / 2;
        // While it grows it is there twice.
        if self.slots + new > self.max_slots {
            return false;
        }
        self.slots += new - old;
        self.shards[at].resize(new);
        true
    }
}

/// By the last word, of which the slot's place in its shard takes no bit.
fn shard_of(words: [u32; 3], shards: usize) -> usize {
    if shards == 1 { 0 } else { words[2] as usize % SHARDS }
}

impl Shard {
    fn is_full(&self, load_factor: f64) -> bool {
        (self.len + 1) as f64 > self.slots.len() as f64 * load_factor
    }

    /// Where a hash's slot would be if nothing else was there.
    fn place(&self, words: [u32; 3]) -> usize {
        let hash = u64::from(words[0]) << 32 | u64::from(words[1]);
        ((u128::from(hash) * self.slots.len() as u128) >> 64) as usize
    }

    /// The hash's slot, or the free one where it belongs. There is always a free one.
    fn find(&self, words: [u32; 3]) -> usize {
        let mut index = self.place(words);
        loop {
            let slot = &self.slots[index];
            if slot[3] == 0 || slot[..3] == words {
                return index;
            }
            index += 1;
            if index == self.slots.len() {
                index = 0;
            }
        }
    }

    fn resize(&mut self, slots: usize) {
        let old = std::mem::replace(&mut self.slots, vec![[0; 4]; slots]);
        for slot in old.into_iter().filter(|slot| slot[3] != 0) {
            let index = self.find([slot[0], slot[1], slot[2]]);
            self.slots[index] = slot;
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
            let mut map = KeyMap::new(1_000, Room { bytes, load_factor: 0.9 }, (1, 2));
            let mut model = HashMap::new();
            for (offset, key) in (1_000..).zip(&keys) {
                if !map.put(map.hash(&key.to_be_bytes()), offset) {
                    prop_assert!(!model.contains_key(key));
                    prop_assert!((model.len() + 1) * SLOT_BYTES > bytes * 9 / 10 - SLOT_BYTES);
                    break;
                }
                model.insert(*key, offset);
                prop_assert_eq!(map.next_offset(), offset + 1);
            }
            for key in 0..300u16 {
                prop_assert_eq!(map.get(map.hash(&key.to_be_bytes())), model.get(&key).copied());
            }
        }
    }

    #[test]
    fn it_grows_with_its_keys_up_to_its_bound() {
        let bytes = 2 << 20;
        let mut map = KeyMap::new(0, Room { bytes, load_factor: 0.9 }, (1, 2));
        assert!(map.slots * SLOT_BYTES < bytes / 4, "little at first");
        let mut count = 0i64;
        while map.put(map.hash(&count.to_be_bytes()), count) {
            count += 1;
        }
        let held: usize = map.shards.iter().map(|shard| shard.slots.capacity()).sum();
        assert!(held * SLOT_BYTES <= bytes);
        assert!(count as usize * SLOT_BYTES > bytes / 2, "{count} keys");
        assert!((0..count).all(|key| map.get(map.hash(&key.to_be_bytes())) == Some(key)));
        assert_eq!(map.get(map.hash(&count.to_be_bytes())), None);
        assert_eq!(map.next_offset(), count);
    }
}
