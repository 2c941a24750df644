//! One replica on this broker: its log, its role, and who waits for it.
//!
//! The lock is held for the length of one append or one position look-up, never while bytes go to a socket,
//! a disk sync runs or another broker is asked. Lock order: the replica, then its log; nothing else is taken
//! while either is held.
//!
//! Invariants: a leader machine exists only while the metadata names this broker as leader; whoever waits for an
//! offset is answered when the mark passes it or when the role ends, whichever is first.

use super::waiters::{DataSignal, DataWaiters, OffsetWaiters};
use super::watch::{Watch, Watches};
use ottla_core::metadata::LOST_DIRECTORY;
use ottla_core::replication::{Ack, AckState, AlterPartition, Altered, Effect, Leader};
use ottla_protocol::fetch_response::Replicated;
use ottla_storage::{Log, LogHandle};
use ottla_types::{BrokerId, DirectoryId, ErrorCode, LeaderEpoch, Offset, TopicIdPartition};
use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// What this broker does with the replica.
#[derive(Debug)]
pub enum Role {
    /// Takes appends and serves reads.
    Leader(Box<Leader>),
    /// Copies from a leader. `high_watermark` is what that leader last told.
    Follower {
        /// Who leads; `BrokerId::NONE` while nobody does.
        leader: BrokerId,
        /// The leader's epoch.
        leader_epoch: LeaderEpoch,
        /// Everything below is committed.
        high_watermark: Offset,
    },
}

/// What is behind the lock.
#[derive(Debug)]
pub struct State {
    /// The log; an error text if it could not be opened.
    pub log: Result<LogHandle, String>,
    /// What we do with it.
    pub role: Role,
    /// What every replica has, as the leader said while we follow it.
    pub replicated: Replicated,
    /// Producers waiting for the high watermark.
    pub committed: OffsetWaiters,
    /// Coordinators waiting for the high watermark, however long it takes.
    pub coordinated: OffsetWaiters,
    /// Producers waiting for a disk sync.
    pub flushed: OffsetWaiters,
    /// DeleteRecords waiting for the low watermark.
    pub low_watermark: OffsetWaiters,
    /// Consumers waiting for committed records.
    pub data: DataWaiters,
    /// Followers, to be told of records and marks.
    pub followers: Watches,
}

/// A request to the controller that a leader machine made.
#[derive(Debug)]
pub struct IsrProposal {
    /// The partition.
    pub partition: Arc<Partition>,
    /// What it asks for.
    pub request: AlterPartition,
}

/// Where a replica is, for the controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// Its directory; [`LOST_DIRECTORY`] if its log is gone or damaged.
    pub directory: DirectoryId,
    /// The log is as it was, though it counted as lost.
    pub found: bool,
}

impl Placed {
    /// The log is gone or damaged.
    pub const LOST: Self = Self { directory: LOST_DIRECTORY, found: false };
}

/// Work that a partition hands to the broker's background tasks.
#[derive(Debug, Clone)]
pub struct Outbox {
    /// ISR changes for the controller.
    pub proposals: mpsc::UnboundedSender<IsrProposal>,
    /// Replicas that are elsewhere than the controller knows.
    pub placed: mpsc::UnboundedSender<(TopicIdPartition, Placed)>,
    /// Partitions whose log must be synced because somebody waits for it.
    pub flush: mpsc::UnboundedSender<Arc<Partition>>,
}

impl std::fmt::Display for Partition {
    /// `topic-0`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.topic, self.id.partition)
    }
}

/// One replica.
#[derive(Debug)]
pub struct Partition {
    /// Topic id and index.
    pub id: TopicIdPartition,
    /// The topic's name.
    pub topic: Arc<str>,
    state: Mutex<State>,
    pub(super) outbox: Outbox,
}

impl Partition {
    /// A replica that follows nobody yet.
    pub fn new(
        id: TopicIdPartition,
        topic: Arc<str>,
        log: Result<LogHandle, String>,
        outbox: Outbox,
    ) -> Arc<Self> {
        let role =
            Role::Follower { leader: BrokerId::NONE, leader_epoch: LeaderEpoch::NONE, high_watermark: 0 };
        let state = State {
            log,
            role,
            replicated: Replicated { partition_epoch: -1, offset: 0 },
            committed: OffsetWaiters::default(),
            coordinated: OffsetWaiters::default(),
            flushed: OffsetWaiters::default(),
            low_watermark: OffsetWaiters::default(),
            data: DataWaiters::default(),
            followers: Watches::default(),
        };
        Arc::new(Self { id, topic, state: Mutex::new(state), outbox })
    }

    /// Locks the replica. See the module's rules.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Carries out what the leader machine decided. Call after every event, before the lock is released.
    pub fn run_effects(self: &Arc<Self>, state: &mut State) {
        let Role::Leader(leader) = &mut state.role else { return };
        if !leader.has_effects() {
            return;
        }
        for effect in leader.drain_effects() {
            match effect {
                Effect::HighWatermarkAdvanced(offset) => {
                    state.committed.reached(offset);
                    state.coordinated.reached(offset);
                    state.data.wake_all();
                    state.followers.tell_marks(self.id);
                }
                Effect::TooFewInSync => state.committed.fail_all(ErrorCode::NotEnoughReplicasAfterAppend),
                Effect::LowWatermarkAdvanced(offset) => state.low_watermark.reached(offset),
                Effect::AlterPartition(request) => {
                    // The receiving end lives as long as the broker.
                    let _ = self.outbox.proposals.send(IsrProposal { partition: self.clone(), request });
                }
            }
        }
    }

    /// What must happen before everything appended so far is committed.
    pub fn wait_committed(&self) -> Wait {
        let mut guard = self.lock();
        let state = &mut *guard;
        let Role::Leader(leader) = &state.role else { return Wait::Nothing };
        let end = leader.log_end_offset();
        if leader.high_watermark() >= end {
            return Wait::Nothing;
        }
        let ack = leader.ack(end - 1);
        Wait::Committed(state.coordinated.wait_for(end), ack)
    }

    /// Brings the controller's answer to an ISR change, or why there is none.
    pub fn answer_proposal(self: &Arc<Self>, now_ms: u64, proposal: u64, answer: Result<Altered, ErrorCode>) {
        let mut state = self.lock();
        if let Role::Leader(leader) = &mut state.role {
            leader.handle_alter_partition_answer(now_ms, proposal, answer);
            self.run_effects(&mut state);
        }
    }

    /// Asks for a disk sync of everything appended so far; whoever waits is answered after it.
    pub fn request_flush(self: &Arc<Self>) {
        let _ = self.outbox.flush.send(self.clone());
    }

    /// Whether an append that waited for the high watermark may be acknowledged.
    ///
    /// # Errors
    /// If too few replicas have it, or another leader has been in between.
    pub fn check_ack(&self, ack: Ack) -> Result<(), ErrorCode> {
        match self.lock().leader()?.check_ack(ack) {
            AckState::Done => Ok(()),
            AckState::Failed(error) => Err(error),
            AckState::Waiting => Err(ErrorCode::RequestTimedOut),
        }
    }

    /// True if this replica leads and another is in sync, which a controller may have made leader since.
    pub fn others_may_lead(&self) -> bool {
        self.lock().leader().is_ok_and(|leader| leader.isr().len() > 1)
    }

    /// Tells a follower of news from now on.
    pub fn watch(&self, watch: &Arc<Watch>) {
        self.lock().followers.add(watch);
    }

    /// Wakes `signal` when there is something new for a consumer to read.
    pub fn register(&self, signal: &DataSignal) {
        self.lock().data.register(signal);
    }
}

impl State {
    /// The log, locked, or the error a client gets.
    pub fn log(&self) -> Result<MutexGuard<'_, Log>, ErrorCode> {
        lock_log(&self.log)
    }

    /// The leader machine, or the error a client gets.
    pub fn leader(&self) -> Result<&Leader, ErrorCode> {
        match &self.role {
            Role::Leader(leader) => Ok(leader),
            Role::Follower { .. } => Err(ErrorCode::NotLeaderOrFollower),
        }
    }

    /// Epoch of the leader this replica knows.
    pub fn leader_epoch(&self) -> LeaderEpoch {
        match &self.role {
            Role::Leader(leader) => leader.leader_epoch(),
            Role::Follower { leader_epoch, .. } => *leader_epoch,
        }
    }

    /// Everything below is committed.
    pub fn high_watermark(&self) -> Offset {
        match &self.role {
            Role::Leader(leader) => leader.high_watermark(),
            Role::Follower { high_watermark, .. } => *high_watermark,
        }
    }

    /// Every replica has what is below, as far as is known here.
    pub fn replicated_offset(&self) -> Offset {
        match &self.role {
            Role::Leader(leader) => leader.replicated_offset(),
            Role::Follower { .. } => self.replicated.offset,
        }
    }

    /// The leader said what every replica has. Of an older registration of the partition it means nothing: there may be
    /// replicas now that the leader did not know of.
    pub fn handle_replicated(&mut self, replicated: Replicated) {
        if replicated.partition_epoch >= self.replicated.partition_epoch {
            self.replicated = replicated;
        }
    }

    /// This replica stopped leading, or is going away: nobody can be answered any more.
    pub fn fail_waiters(&mut self, id: TopicIdPartition, error: ErrorCode) {
        self.followers.tell_records(id);
        self.committed.fail_all(error);
        self.coordinated.fail_all(error);
        self.flushed.fail_all(error);
        self.low_watermark.fail_all(error);
        self.data.wake_all();
    }
}

/// A replica's log, locked, or the error a client gets.
pub fn lock_log(log: &Result<LogHandle, String>) -> Result<MutexGuard<'_, Log>, ErrorCode> {
    log.as_ref().map(|log| log.lock()).map_err(|_| ErrorCode::KafkaStorageError)
}

/// What still stands between an append and its answer.
#[derive(Debug)]
pub enum Wait {
    /// Nothing: answer now.
    Nothing,
    /// The records were written and cannot be acknowledged: answer so now.
    Failed(ErrorCode),
    /// For the leader's disk.
    Flushed(oneshot::Receiver<Result<(), ErrorCode>>),
    /// For the high watermark; then the condition must be checked once more.
    Committed(oneshot::Receiver<Result<(), ErrorCode>>, Ack),
}
