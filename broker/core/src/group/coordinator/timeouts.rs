//! Time-outs: one at a time, as the next may depend on the records of the one before.

use super::{Call, Group, Shard};
use crate::group::offsets::{ExpiryOf, ExpiryRules, expired};
use crate::group::timers::{Key, Purpose};
use crate::group::turn::{Completion, Outcome, Turn};
use std::ops::Bound;
use std::sync::Arc;

/// How soon a time-out whose records could not be appended is tried again, in milliseconds.
const RETRY_MS: i32 = 500;
/// Tombstones of expired offsets in one outcome.
const MAX_TOMBSTONES: usize = 1_000;
/// Groups looked at for expired offsets in one outcome.
const MAX_GROUPS_LOOKED_AT: usize = 1_000;

/// Tries a time-out again whose records could not be stored, unless its member was heard since then and has a new timer.
pub(super) fn retry(turn: &mut Turn<'_>, key: Key, purpose: Purpose) {
    if key == Key::OffsetExpiry || !turn.timers.contains(&key) {
        turn.set_timer(key, RETRY_MS, purpose);
    }
}

impl Shard {
    /// When [`Shard::handle_timeout`] wants to be called, in the milliseconds of [`super::Moment::now_ms`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<u64> {
        self.timers.next_ms()
    }

    /// Handles one time-out that is due, if any.
    pub fn handle_timeout(&mut self, call: Call<'_>) -> Outcome<()> {
        let Some((key, purpose)) = self.timers.pop_due(call.at.now_ms) else {
            return Outcome::without_records(());
        };
        if key == Key::OffsetExpiry {
            return self.expire_offsets(call);
        }
        let (mut parts, mut turn) = self.turn(call);
        match &key {
            Key::ClassicSession(id, member) => {
                if let Some(Group::Classic(group)) = parts.groups.get_mut(id) {
                    group.session_expired(&mut turn, member);
                }
            }
            Key::ClassicJoin(id) => {
                if let Some(Group::Classic(group)) = parts.groups.get_mut(id) {
                    match purpose {
                        Purpose::InitialRebalance { delay_ms, remaining_ms } => {
                            group.initial_delay_expired(&mut turn, delay_ms, remaining_ms);
                        }
                        Purpose::Plain | Purpose::AtEpoch(_) => group.join_expired(&mut turn),
                    }
                }
            }
            Key::ClassicSync(id) => {
                if let (Some(Group::Classic(group)), Purpose::AtEpoch(generation_id)) =
                    (parts.groups.get_mut(id), purpose)
                {
                    group.sync_expired(&mut turn, generation_id);
                }
            }
            Key::ConsumerSession(id, member)
            | Key::ConsumerJoin(id, member)
            | Key::ConsumerSync(id, member)
            | Key::ConsumerRebalance(id, member) => {
                parts.member_expired(&mut turn, (id, member), (key.clone(), purpose));
            }
            Key::ConsumerAssign(id) => parts.assign(&mut turn, id),
            Key::OffsetExpiry => {}
        }
        if !turn.records.is_empty() && turn.append.is_none() {
            turn.on_stored(Completion::Retry(key, purpose));
        }
        turn.outcome(())
    }

    /// Looks at the next groups for offsets that are too old; a group of which nothing is left goes too.
    fn expire_offsets(&mut self, call: Call<'_>) -> Outcome<()> {
        let retention_ms = self.settings.broker.offsets_retention_ms;
        let interval_ms = self.settings.broker.offsets_retention_check_interval_ms;
        let from = self.expiry_cursor.take();
        let mut cursor: Option<Arc<str>> = None;
        let (parts, mut turn) = self.turn(call);
        turn.atomic = false;
        let after = from.map_or(Bound::Unbounded, Bound::Included);
        for (looked_at, (id, group)) in parts.groups.range((after, Bound::Unbounded)).enumerate() {
            let room = MAX_TOMBSTONES.saturating_sub(turn.records.len());
            if looked_at >= MAX_GROUPS_LOOKED_AT || room == 0 {
                cursor = Some(Arc::clone(id));
                break;
            }
            let rules = group.expiry_base();
            let of = ExpiryOf {
                rules: rules.map(|base| ExpiryRules { wall_ms: turn.at.wall_ms, retention_ms, base }),
                is_subscribed_to: &|topic| group.is_subscribed_to(topic),
                topics: turn.topics,
            };
            let (tombstones, nothing_stays) = expired(parts.offsets, id, &of, room);
            turn.counters.offset_expirations += tombstones.len() as u64;
            turn.records.extend(tombstones);
            if nothing_stays && group.may_vanish() {
                group.push_tombstones(&mut turn, id);
            }
        }
        let delay_ms = if cursor.is_some() { 0 } else { interval_ms };
        turn.timers.set(Key::OffsetExpiry, turn.at.now_ms.saturating_add(delay_ms), Purpose::Plain);
        if !turn.records.is_empty() {
            turn.on_stored(Completion::Retry(Key::OffsetExpiry, Purpose::Plain));
        }
        let outcome = turn.outcome(());
        self.expiry_cursor = cursor;
        outcome
    }
}

impl Group {
    fn expiry_base(&self) -> Option<crate::group::offsets::ExpiryBase> {
        match self {
            Self::Classic(group) => group.expiry_base(),
            Self::Consumer(group) => Some(group.expiry_base()),
        }
    }

    /// An empty group without offsets is forgotten, unless someone is about to join.
    fn may_vanish(&self) -> bool {
        match self {
            Self::Classic(group) => group.is_abandoned(),
            Self::Consumer(group) => group.members().is_empty(),
        }
    }
}
