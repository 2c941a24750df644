//! What every handler is given and gives back.

use super::classic;
use super::records::Record;
use super::settings::GroupSettings;
use super::timers::{Key, Purpose, Timers};
use super::topics::Topics;
use ottla_types::{ErrorCode, TimestampMs};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The time of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Monotonic milliseconds: time-outs.
    pub now_ms: u64,
    /// Wall clock: what is stored.
    pub wall_ms: TimestampMs,
}

/// The caller's name for a request whose reply may come later; unique per shard while it waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(pub u64);

/// Names the records of one outcome whose fate the machine wants to hear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AppendId(pub u64);

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} ({})", code.name())]
pub struct Refusal {
    code: ErrorCode,
    message: Cow<'static, str>,
}

impl Refusal {
    /// A refusal in words a user can read.
    pub fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into() }
    }

    /// Kafka's error code.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        self.code
    }

    /// The words.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl From<Refusal> for ErrorCode {
    fn from(refusal: Refusal) -> Self {
        refusal.code
    }
}

/// What a handler decided: append these records as one batch, replay them, then answer.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub struct Outcome<R> {
    /// To append, in this order, all or none; may be empty.
    pub records: Vec<Record>,
    /// Report the fate of `records` with this name.
    pub append: Option<AppendId>,
    /// False if the records may be appended as several batches, in order (deletions of any number).
    pub atomic: bool,
    /// The answer, to be sent when the high watermark has passed everything replayed so far.
    pub reply: R,
}

impl<R> Outcome<R> {
    pub(super) const fn without_records(reply: R) -> Self {
        Self { records: Vec::new(), append: None, atomic: true, reply }
    }
}

/// A reply to a request that had to wait. Same rule for sending it as for [`Outcome::reply`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Answer a JoinGroup.
    Join {
        /// The request.
        token: Token,
        /// Its answer.
        reply: classic::JoinReply,
    },
    /// Answer a SyncGroup.
    Sync {
        /// The request.
        token: Token,
        /// Its answer.
        reply: classic::SyncReply,
    },
}

/// What to do when the fate of appended records is known.
#[derive(Debug)]
pub(super) enum Completion {
    /// A leader's assignment was stored or not.
    ClassicSync(classic::StoredAssignment),
    /// A static member's new id was stored or not.
    ClassicStaticJoin(Box<classic::StoredReplacement>),
    /// A new group with its first joining member was stored or not.
    ClassicJoin(std::sync::Arc<str>, Token),
    /// What a classic member of a consumer group said as it joined was stored or not; with the timers that it had.
    ConsumerJoin([(Option<(u64, Purpose)>, Key); 2]),
    /// A timer's records were not stored: try again.
    Retry(Key, Purpose),
    /// A consumer group became a classic one, or did not; after a timer, which is then tried again.
    Downgrade(std::sync::Arc<str>, Option<(Key, Purpose)>),
}

/// Completions that wait; as many as there are appends under way.
#[derive(Debug, Default)]
pub(super) struct Completions {
    waiting: BTreeMap<AppendId, Completion>,
    next: u64,
}

impl Completions {
    pub(super) fn add(&mut self, completion: Completion) -> AppendId {
        let id = AppendId(self.next);
        self.next += 1;
        self.waiting.insert(id, completion);
        id
    }

    pub(super) fn take(&mut self, id: AppendId) -> Option<Completion> {
        self.waiting.remove(&id)
    }
}

/// What happened since the shard was made, for metrics; soft.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Offsets committed.
    pub offset_commits: u64,
    /// Offsets deleted by request.
    pub offset_deletions: u64,
    /// Offsets that became too old.
    pub offset_expirations: u64,
    /// Generations of classic groups that became stable.
    pub classic_rebalances: u64,
    /// Epochs of consumer groups.
    pub consumer_rebalances: u64,
    /// Members that were silent, or slow, for too long.
    pub expired_members: u64,
}

impl Counters {
    /// Adds what happened elsewhere.
    pub const fn add(&mut self, other: &Self) {
        self.offset_commits += other.offset_commits;
        self.offset_deletions += other.offset_deletions;
        self.offset_expirations += other.offset_expirations;
        self.classic_rebalances += other.classic_rebalances;
        self.consumer_rebalances += other.consumer_rebalances;
        self.expired_members += other.expired_members;
    }
}

/// One turn of the machine: what a handler may read and touch besides its group.
pub(super) struct Turn<'a> {
    pub(super) at: Moment,
    pub(super) settings: &'a GroupSettings,
    pub(super) topics: &'a dyn Topics,
    pub(super) timers: &'a mut Timers,
    pub(super) effects: &'a mut Vec<Effect>,
    pub(super) completions: &'a mut Completions,
    pub(super) counters: &'a mut Counters,
    pub(super) records: Vec<Record>,
    pub(super) append: Option<AppendId>,
    pub(super) atomic: bool,
}

impl Turn<'_> {
    /// Sets a timer `delay_ms` from now; a negative delay is none.
    pub(super) fn set_timer(&mut self, key: Key, delay_ms: i32, purpose: Purpose) {
        let delay_ms = u64::try_from(delay_ms).unwrap_or(0);
        self.timers.set(key, self.at.now_ms.saturating_add(delay_ms), purpose);
    }

    /// Wants to hear of the fate of this turn's records.
    pub(super) fn on_stored(&mut self, completion: Completion) {
        debug_assert!(self.append.is_none(), "one completion a turn");
        self.append = Some(self.completions.add(completion));
    }

    pub(super) fn join_reply(&mut self, token: Token, reply: classic::JoinReply) {
        self.effects.push(Effect::Join { token, reply });
    }

    pub(super) fn sync_reply(&mut self, token: Token, reply: classic::SyncReply) {
        self.effects.push(Effect::Sync { token, reply });
    }

    /// Ends the turn with its answer.
    pub(super) fn outcome<R>(self, reply: R) -> Outcome<R> {
        Outcome { records: self.records, append: self.append, atomic: self.atomic, reply }
    }
}
