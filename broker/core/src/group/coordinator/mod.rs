//! The groups and offsets of one partition of `__consumer_offsets`.
//!
//! # What the loop around it must do
//!
//! One loop owns a shard and nothing else touches it.
//!
//! 1. **Load**: [`Shard::new`], then [`Shard::replay`] for every record of the partition up to the high watermark
//!    (and [`Shard::end_transaction`] for every control batch), then [`Shard::loaded`]. Until then handlers refuse
//!    with `COORDINATOR_LOAD_IN_PROGRESS`.
//! 2. **Handle**: a handler gives an [`Outcome`]. Append its records as one batch (with the producer's id and
//!    epoch for a transactional commit; outcomes that are not `atomic` may be split over several batches), then
//!    `replay` each of them with its offset, before anything else is handled.
//! 3. **Answer**: the reply, and everything [`Shard::drain_effects`] gives after the call, is sent once the high
//!    watermark has reached the end that the partition had after step 2; also where there were no records, as
//!    the answer may speak of earlier ones. Then, if the outcome names an `append`, call [`Shard::stored`] with
//!    `Ok` and treat what it gives like any other outcome.
//! 4. **Fail**: if the append is refused, replay nothing, call `stored` with the error (if there is an `append`)
//!    and answer the request with [`append_error`] of it, unless its reply was to come later: then it does, as
//!    an effect. Nothing that lasts has changed: handlers look, only
//!    `replay` changes. If leadership is lost, or records below the high watermark vanish, call
//!    [`Shard::unloaded`], send its effects and drop the shard; the next leader loads it anew.
//! 5. **Time**: when [`Shard::poll_timeout`] is reached call [`Shard::handle_timeout`] until it lies ahead again,
//!    treating each outcome as above.
//!
//! Invariants: a group id is one group; replaying the log gives the groups and offsets that last, whatever was
//! soft; a waiting request is answered exactly once; everything that waits has a timer that ends the waiting.

mod classic;
mod consumer;
mod manage;
mod observe;
mod offsets;
mod replay;
#[cfg(test)]
pub(in crate::group) mod tests;
mod timeouts;

pub use manage::{DescribeError, GroupType, ListFilter, Listed};
pub use observe::{Observed, Stats};

use super::settings::GroupSettings;
use super::timers::{Key, Purpose, Timers};
use super::topics::Topics;
use super::turn::{AppendId, Completion, Completions, Counters, Effect, Moment, Outcome, Turn};
use super::{classic as classic_group, consumer as consumer_group, offsets as offset_store};
use ottla_types::ErrorCode;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A group of either protocol.
#[derive(Debug)]
pub(in crate::group) enum Group {
    /// Of the classic protocol, or without members.
    Classic(Box<classic_group::Group>),
    /// Of the consumer protocol.
    Consumer(Box<consumer_group::Group>),
}

pub(in crate::group) type Groups = BTreeMap<Arc<str>, Group>;

/// What a call may look at besides the shard.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    /// The time.
    pub at: Moment,
    /// The cluster's topics now.
    pub topics: &'a dyn Topics,
}

/// The groups and offsets of one partition of `__consumer_offsets`. See the module's comment for its use.
#[derive(Debug, Default)]
pub struct Shard {
    settings: Arc<GroupSettings>,
    groups: Groups,
    offsets: offset_store::Store,
    timers: Timers,
    effects: Vec<Effect>,
    completions: Completions,
    counters: Counters,
    active: bool,
    /// Where the current round of looking for expired offsets goes on; `None` between rounds.
    expiry_cursor: Option<Arc<str>>,
    /// Classic groups that take a consumer group's place when their record is replayed.
    prepared: BTreeMap<Arc<str>, classic_group::Group>,
}

/// The parts of a shard that a handler works on, beside its turn.
struct Parts<'a> {
    groups: &'a mut Groups,
    offsets: &'a offset_store::Store,
    prepared: &'a mut BTreeMap<Arc<str>, classic_group::Group>,
}

/// Kafka's translation of a failed append into what a group's client may be told.
#[must_use]
pub const fn append_error(error: ErrorCode) -> ErrorCode {
    match error {
        ErrorCode::UnknownTopicOrPartition | ErrorCode::NotEnoughReplicas | ErrorCode::RequestTimedOut => {
            ErrorCode::CoordinatorNotAvailable
        }
        ErrorCode::NotLeaderOrFollower | ErrorCode::KafkaStorageError => ErrorCode::NotCoordinator,
        ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge | ErrorCode::InvalidFetchSize => {
            ErrorCode::UnknownServerError
        }
        other => other,
    }
}

impl Shard {
    /// An empty shard that must be loaded.
    #[must_use]
    pub fn new(settings: Arc<GroupSettings>) -> Self {
        Self { settings, ..Self::default() }
    }

    /// Other settings from now on (dynamic broker settings, a group's overrides).
    pub fn set_settings(&mut self, settings: Arc<GroupSettings>) {
        self.settings = settings;
    }

    fn turn<'a>(&'a mut self, call: Call<'a>) -> (Parts<'a>, Turn<'a>) {
        let parts = Parts { groups: &mut self.groups, offsets: &self.offsets, prepared: &mut self.prepared };
        let turn = Turn {
            at: call.at,
            settings: &self.settings,
            topics: call.topics,
            timers: &mut self.timers,
            effects: &mut self.effects,
            completions: &mut self.completions,
            counters: &mut self.counters,
            records: Vec::new(),
            append: None,
            atomic: true,
        };
        (parts, turn)
    }

    fn check_active(&self) -> Result<(), ErrorCode> {
        if self.active { Ok(()) } else { Err(ErrorCode::CoordinatorLoadInProgress) }
    }

    /// Everything was replayed: this broker coordinates these groups from now on.
    pub fn loaded(&mut self, call: Call<'_>) -> Outcome<()> {
        self.active = true;
        let interval_ms = self.settings.broker.offsets_retention_check_interval_ms;
        self.timers.set(Key::OffsetExpiry, call.at.now_ms.saturating_add(interval_ms), Purpose::Plain);
        let (parts, mut turn) = self.turn(call);
        for group in parts.groups.values_mut() {
            match group {
                Group::Classic(group) => group.loaded(&mut turn),
                Group::Consumer(group) => group.loaded(&mut turn),
            }
        }
        turn.outcome(())
    }

    /// This broker no longer coordinates these groups: send the effects, drop the shard.
    pub fn unloaded(mut self, call: Call<'_>) -> Vec<Effect> {
        let (parts, mut turn) = self.turn(call);
        for group in parts.groups.values_mut() {
            if let Group::Classic(group) = group {
                group.dismiss_all(&mut turn, ErrorCode::NotCoordinator);
            }
        }
        self.effects
    }

    /// Replies to requests that waited; send them by the rule of step 3.
    pub fn drain_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// The records named `append` have passed the high watermark, or could not be appended.
    pub fn stored(&mut self, call: Call<'_>, append: AppendId, stored: Result<(), ErrorCode>) -> Outcome<()> {
        let stored = stored.map_err(append_error);
        let completion = self.completions.take(append);
        let (parts, mut turn) = self.turn(call);
        match completion {
            Some(Completion::ClassicSync(assignment)) => {
                if let Some(Group::Classic(group)) = parts.groups.get_mut(assignment.group()) {
                    group.assignment_stored(&mut turn, assignment, stored);
                }
            }
            Some(Completion::ClassicStaticJoin(replacement)) => {
                if let Some(Group::Classic(group)) = parts.groups.get_mut(replacement.group()) {
                    group.replacement_stored(&mut turn, *replacement, stored);
                }
            }
            Some(Completion::ClassicJoin(id, token)) => {
                if let (Some(Group::Classic(group)), Err(error)) = (parts.groups.get_mut(&id), stored) {
                    group.join_not_stored(&mut turn, token, error);
                }
            }
            Some(Completion::ConsumerJoin(before)) if stored.is_err() => {
                // It did not join: nothing is expected of it that was not before.
                for (timer, key) in before {
                    match timer {
                        Some((due_ms, purpose)) => turn.timers.set(key, due_ms, purpose),
                        None => turn.timers.cancel(&key),
                    }
                }
            }
            Some(Completion::Retry(key, purpose)) if stored.is_err() => {
                timeouts::retry(&mut turn, key, purpose)
            }
            Some(Completion::Downgrade(id, timer)) if stored.is_err() => {
                parts.prepared.remove(&id);
                if let Some((key, purpose)) = timer {
                    timeouts::retry(&mut turn, key, purpose);
                }
            }
            Some(Completion::ConsumerJoin(..) | Completion::Retry(..) | Completion::Downgrade(..)) | None => {
            }
        }
        turn.outcome(())
    }
}
