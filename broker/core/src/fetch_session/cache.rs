//! The broker's sessions: which exist, which one gives way (`max.incremental.fetch.session.cache.slots`).
//!
//! A new session takes a free slot, or the slot of one unused for `eviction_ms`; or, if there is none, of one that
//! is worth less: followers' sessions are worth more than consumers', larger more than smaller, and one younger
//! than `eviction_ms` gives way to followers only (KIP-227, Kafka's `FetchSessionCache`).

use super::context::{Context, Kind};
use super::session::{FetchPartition, PartitionKey, Partitions};
use super::{FINAL_EPOCH, FULL_EPOCH, NO_SESSION, SessionHeader, next_epoch};
use ottla_types::ErrorCode;
use std::collections::{BTreeSet, HashMap};

/// How much the sessions may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Sessions, `max.incremental.fetch.session.cache.slots`.
    pub slots: usize,
    /// Partitions in all sessions together.
    pub partitions: usize,
    /// A session unused for so long may be given up for any other.
    pub eviction_ms: u64,
}

/// What becomes of a request.
#[derive(Debug)]
pub enum Opened {
    /// Read these partitions, then give the context back.
    Context(Context),
    /// Answer with this error, session id 0 and no partitions.
    Refused(ErrorCode),
}

/// Worth: privileged, size, id.
type Worth = (bool, usize, i32);

#[derive(Debug)]
struct Slot {
    /// The epoch the next request must name.
    epoch: i32,
    uses_topic_ids: bool,
    privileged: bool,
    created_ms: u64,
    last_used_ms: u64,
    size: usize,
    /// `None` while a request works on it.
    partitions: Option<Partitions>,
}

/// The sessions of one broker (or of one shard of it).
#[derive(Debug)]
pub struct Cache {
    limits: Limits,
    sessions: HashMap<i32, Slot>,
    last_used: BTreeSet<(u64, i32)>,
    evictable_by_all: BTreeSet<Worth>,
    evictable_by_privileged: BTreeSet<Worth>,
    partitions: usize,
    evictions: u64,
    seed: u64,
}

impl Cache {
    /// An empty one; session ids are drawn from `seed`.
    #[must_use]
    pub fn new(limits: Limits, seed: u64) -> Self {
        Self {
            limits,
            sessions: HashMap::new(),
            last_used: BTreeSet::new(),
            evictable_by_all: BTreeSet::new(),
            evictable_by_privileged: BTreeSet::new(),
            partitions: 0,
            evictions: 0,
            seed,
        }
    }

    /// A Fetch request arrived. `uses_topic_ids` is true from version 13 on; the partitions are those it names,
    /// `forgotten` those it drops from its session.
    pub fn open(
        &mut self,
        now_ms: u64,
        header: SessionHeader,
        (uses_topic_ids, is_follower): (bool, bool),
        partitions: Vec<(PartitionKey, FetchPartition)>,
        forgotten: &[PartitionKey],
    ) -> Opened {
        if header.is_full() {
            if header.id != NO_SESSION {
                self.remove(header.id);
            }
            let kind = match header.epoch {
                FINAL_EPOCH => Kind::Sessionless,
                _ => Kind::Full { privileged: is_follower, uses_topic_ids },
            };
            return Opened::Context(Context::new(kind, Partitions::new(partitions)));
        }
        let Some(slot) = self.sessions.get_mut(&header.id) else {
            return Opened::Refused(ErrorCode::FetchSessionIdNotFound);
        };
        if slot.epoch != header.epoch || slot.partitions.is_none() {
            return Opened::Refused(ErrorCode::InvalidFetchSessionEpoch);
        }
        if slot.uses_topic_ids != uses_topic_ids {
            return Opened::Refused(ErrorCode::FetchSessionTopicIdError);
        }
        let room = self.limits.partitions - self.partitions;
        let mut held = slot.partitions.take().unwrap_or_default();
        if partitions.iter().filter(|(key, _)| !held.contains(key)).count() > room {
            // The client starts over with a full request, and without a session if there is still no room.
            self.remove(header.id);
            return Opened::Refused(ErrorCode::FetchSessionIdNotFound);
        }
        let opened = Self::update(&mut held, partitions, forgotten);
        if held.len() == 0 {
            self.remove(header.id);
            return Opened::Context(Context::new(Kind::Sessionless, Partitions::new(opened)));
        }
        slot.epoch = next_epoch(slot.epoch);
        self.touch(now_ms, header.id, held.len());
        Opened::Context(Context::new(Kind::Incremental { id: header.id }, held))
    }

    /// Changes the session's partitions; returns the named ones only if the session is empty afterwards.
    fn update(
        held: &mut Partitions,
        partitions: Vec<(PartitionKey, FetchPartition)>,
        forgotten: &[PartitionKey],
    ) -> Vec<(PartitionKey, FetchPartition)> {
        let named: Vec<_> = if forgotten.is_empty() { Vec::new() } else { partitions.clone() };
        for (key, want) in partitions {
            held.set(key, want);
        }
        for key in forgotten {
            held.remove(key);
        }
        if held.len() == 0 { named } else { Vec::new() }
    }

    /// The answer is made: returns the session id to put in it, [`NO_SESSION`] if there is no session.
    pub fn finish(&mut self, now_ms: u64, context: Context) -> i32 {
        match context.kind {
            Kind::Sessionless => NO_SESSION,
            Kind::Incremental { id } => {
                if let Some(slot) = self.sessions.get_mut(&id) {
                    slot.partitions = Some(context.partitions);
                }
                id
            }
            Kind::Full { privileged, uses_topic_ids } => {
                let slot = Slot {
                    epoch: next_epoch(FULL_EPOCH),
                    uses_topic_ids,
                    privileged,
                    created_ms: now_ms,
                    last_used_ms: now_ms,
                    size: context.partitions.len(),
                    partitions: Some(context.partitions),
                };
                self.create(now_ms, slot)
            }
        }
    }

    /// There will be no answer (the connection is gone): its session ends.
    pub fn abandon(&mut self, context: Context) {
        if let Kind::Incremental { id } = context.kind {
            self.remove(id);
        }
    }

    fn create(&mut self, now_ms: u64, slot: Slot) -> i32 {
        let size = slot.size;
        if size == 0 || size > self.limits.partitions {
            return NO_SESSION;
        }
        while self.sessions.len() >= self.limits.slots || self.partitions + size > self.limits.partitions {
            if !self.evict_for(now_ms, (slot.privileged, size, 0)) {
                return NO_SESSION;
            }
        }
        let id = self.new_id();
        self.partitions += size;
        self.last_used.insert((now_ms, id));
        self.sessions.insert(id, slot);
        self.touch(now_ms, id, size);
        id
    }

    fn evict_for(&mut self, now_ms: u64, newcomer: Worth) -> bool {
        let stale =
            self.last_used.first().filter(|(used, _)| now_ms.saturating_sub(*used) > self.limits.eviction_ms);
        let cheaper = || {
            let candidates = if newcomer.0 { &self.evictable_by_privileged } else { &self.evictable_by_all };
            candidates.first().filter(|&&worth| newcomer >= worth).map(|&(_, _, id)| id)
        };
        match stale.map(|&(_, id)| id).or_else(cheaper) {
            Some(id) => {
                self.remove(id);
                self.evictions += 1;
                true
            }
            None => false,
        }
    }

    fn touch(&mut self, now_ms: u64, id: i32, size: usize) {
        let Some(slot) = self.sessions.get_mut(&id) else { return };
        self.last_used.remove(&(slot.last_used_ms, id));
        let before = (slot.privileged, slot.size, id);
        self.evictable_by_all.remove(&before);
        self.evictable_by_privileged.remove(&before);
        self.partitions = self.partitions - slot.size + size;
        slot.last_used_ms = now_ms;
        slot.size = size;
        let worth = (slot.privileged, size, id);
        let settled = now_ms.saturating_sub(slot.created_ms) > self.limits.eviction_ms;
        if settled {
            self.evictable_by_all.insert(worth);
        }
        if settled || !slot.privileged {
            self.evictable_by_privileged.insert(worth);
        }
        self.last_used.insert((now_ms, id));
    }

    fn remove(&mut self, id: i32) {
        let Some(slot) = self.sessions.remove(&id) else { return };
        let worth = (slot.privileged, slot.size, id);
        self.last_used.remove(&(slot.last_used_ms, id));
        self.evictable_by_all.remove(&worth);
        self.evictable_by_privileged.remove(&worth);
        self.partitions -= slot.size;
    }

    /// A positive id that is not in use.
    fn new_id(&mut self) -> i32 {
        loop {
            // SplitMix64.
            self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut bits = self.seed;
            bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            let id = i32::try_from((bits ^ (bits >> 31)) >> 33).unwrap_or(NO_SESSION);
            if id != NO_SESSION && !self.sessions.contains_key(&id) {
                return id;
            }
        }
    }

    /// The number of sessions.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// True without sessions.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// The number of partitions in all sessions.
    #[must_use]
    pub fn partitions(&self) -> usize {
        self.partitions
    }

    /// Sessions given up for others so far.
    #[must_use]
    pub fn evictions(&self) -> u64 {
        self.evictions
    }
}

#[cfg(test)]
mod tests;
