//! One shard at work: handle, append, replay, and answer when the high watermark has passed.

use super::batch;
use crate::broker::Broker;
use crate::replicas::{Now, Partition, Wait};
use ottla_core::group::classic::{JoinReply, SyncReply};
use ottla_core::group::records::Record;
use ottla_core::group::{self as machine, Call, Effect, GroupSettings, Moment, Outcome, Token, append_error};
use ottla_core::replication::Ack;
use ottla_records::validate::Validated;
use ottla_types::{ErrorCode, LeaderEpoch, Offset, ProducerId, TopicId};
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, oneshot};

/// A request whose reply comes later.
#[derive(Debug)]
enum Waiting {
    Join(oneshot::Sender<JoinReply>),
    Sync(oneshot::Sender<SyncReply>),
}

#[derive(Debug)]
struct State {
    /// `None` once the shard was unloaded.
    machine: Option<machine::Shard>,
    waiting: HashMap<Token, Waiting>,
    next_token: u64,
    /// When the clock looks here next, in its milliseconds; it must be told of anything earlier.
    looked_at_ms: u64,
}

/// The groups of one partition of `__consumer_offsets`, while this broker leads it in one epoch.
#[derive(Debug)]
pub struct Shard {
    replica: Arc<Partition>,
    leader_epoch: LeaderEpoch,
    state: Mutex<State>,
    clock_moved: Arc<Notify>,
}

/// What must be true before a reply may leave.
type Commit = Option<(oneshot::Receiver<Result<(), ErrorCode>>, Ack)>;

/// A request that was handled; its answer is there, or comes with a later turn.
#[derive(Debug)]
pub struct Begun<R> {
    reply: Option<R>,
    commit: Commit,
    receiver: oneshot::Receiver<R>,
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.replica.fmt(f)
    }
}

impl Shard {
    /// A shard that must be loaded.
    pub fn new(
        replica: Arc<Partition>,
        leader_epoch: LeaderEpoch,
        settings: Arc<GroupSettings>,
        clock_moved: Arc<Notify>,
    ) -> Self {
        let state = State {
            machine: Some(machine::Shard::new(settings)),
            waiting: HashMap::new(),
            next_token: 0,
            looked_at_ms: u64::MAX,
        };
        Self { replica, leader_epoch, state: Mutex::new(state), clock_moved }
    }

    /// The epoch in which this broker leads the partition.
    pub fn leader_epoch(&self) -> LeaderEpoch {
        self.leader_epoch
    }

    /// The partition.
    pub fn replica(&self) -> &Arc<Partition> {
        &self.replica
    }

    /// Looks at the machine without changing anything.
    ///
    /// # Errors
    /// `NotCoordinator` after the shard was unloaded.
    pub fn look<R>(&self, look: impl FnOnce(&machine::Shard) -> R) -> Result<R, ErrorCode> {
        self.state.lock().machine.as_ref().map(look).ok_or(ErrorCode::NotCoordinator)
    }

    /// Replays a record of the log while the shard is loading.
    pub(super) fn replay(&self, record: &Record, offset: Offset, producer: ProducerId) {
        if let Some(machine) = &mut self.state.lock().machine {
            machine.replay(record, offset, producer);
        }
    }

    /// Opens the shard for requests.
    pub(super) fn loaded(self: &Arc<Self>, broker: &Arc<Broker>) {
        self.step(broker, |machine, call| machine.loaded(call));
    }

    /// Ends the shard: whoever waits is sent to the next coordinator.
    pub(super) fn unload(self: &Arc<Self>, broker: &Broker) {
        let mut state = self.state.lock();
        let Some(machine) = state.machine.take() else { return };
        let effects = with_call(broker, |call| machine.unloaded(call));
        deliver(&mut state, effects);
        state.waiting.clear();
    }

    /// Other settings from now on.
    pub(super) fn set_settings(&self, settings: Arc<GroupSettings>) {
        if let Some(machine) = &mut self.state.lock().machine {
            machine.set_settings(settings);
        }
    }

    /// Forgets what was committed for topics that are gone.
    pub(super) fn topics_deleted(self: &Arc<Self>, broker: &Arc<Broker>, gone: &BTreeMap<&str, TopicId>) {
        self.step(broker, |machine, call| {
            let Outcome { records, append, atomic, reply: _ } = machine.topics_deleted(call, gone);
            Outcome { records, append, atomic, reply: () }
        });
    }

    /// Does what is due; returns when the next is.
    pub(super) fn pass_time(self: &Arc<Self>, broker: &Arc<Broker>) -> Option<u64> {
        loop {
            {
                let mut state = self.state.lock();
                let next = state.machine.as_ref()?.poll_timeout();
                if next.is_none_or(|next| next > broker.clock.now_ms()) {
                    state.looked_at_ms = next.unwrap_or(u64::MAX);
                    return next;
                }
            }
            self.step(broker, |machine, call| machine.handle_timeout(call));
        }
    }

    /// Waits until everything that was decided so far is committed.
    ///
    /// # Errors
    /// If it will not be, as another broker coordinates these groups, or not within `offsets.commit.timeout.ms`.
    pub async fn settled(&self, broker: &Broker) -> Result<(), ErrorCode> {
        self.committed_in_time(broker, self.commit()).await
    }

    /// A turn that nobody waits for.
    fn step(
        self: &Arc<Self>,
        broker: &Arc<Broker>,
        turn: impl FnOnce(&mut machine::Shard, Call<'_>) -> Outcome<()>,
    ) {
        let mut state = self.state.lock();
        let Some(machine) = &mut state.machine else { return };
        let outcome = with_call(broker, |call| turn(machine, call));
        // What could not be appended is tried again by the machine's own clock.
        let _ = self.settle(broker, &mut state, outcome);
    }

    /// Handles a request and waits until its answer may leave.
    ///
    /// # Errors
    /// What the machine refuses with, or why its records could not be committed.
    pub async fn request<R>(
        self: &Arc<Self>,
        broker: &Arc<Broker>,
        turn: impl FnOnce(&mut machine::Shard, Call<'_>) -> Result<Outcome<R>, ErrorCode>,
    ) -> Result<R, ErrorCode> {
        let (reply, commit) = {
            let mut state = self.state.lock();
            let machine = state.machine.as_mut().ok_or(ErrorCode::NotCoordinator)?;
            let outcome = with_call(broker, |call| turn(machine, call))?;
            self.settle(broker, &mut state, outcome)
        };
        let reply = reply?;
        self.committed_in_time(broker, commit).await?;
        Ok(reply)
    }

    /// Handles a JoinGroup; [`Shard::finish`] waits for its answer, without the request.
    ///
    /// # Errors
    /// Why there is no answer of the group's.
    pub fn join(
        self: &Arc<Self>,
        broker: &Arc<Broker>,
        turn: impl FnOnce(&mut machine::Shard, Call<'_>, Token) -> Outcome<Option<JoinReply>>,
    ) -> Result<Begun<JoinReply>, ErrorCode> {
        self.begin(broker, Waiting::Join, turn)
    }

    /// Handles a SyncGroup; as [`Shard::join`].
    ///
    /// # Errors
    /// Why there is no answer of the group's.
    pub fn sync(
        self: &Arc<Self>,
        broker: &Arc<Broker>,
        turn: impl FnOnce(&mut machine::Shard, Call<'_>, Token) -> Outcome<Option<SyncReply>>,
    ) -> Result<Begun<SyncReply>, ErrorCode> {
        self.begin(broker, Waiting::Sync, turn)
    }

    fn begin<R>(
        self: &Arc<Self>,
        broker: &Arc<Broker>,
        waiting: fn(oneshot::Sender<R>) -> Waiting,
        turn: impl FnOnce(&mut machine::Shard, Call<'_>, Token) -> Outcome<Option<R>>,
    ) -> Result<Begun<R>, ErrorCode> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.state.lock();
        let token = Token(state.next_token);
        let Some(machine) = &mut state.machine else { return Err(ErrorCode::NotCoordinator) };
        let outcome = with_call(broker, |call| turn(machine, call, token));
        state.next_token += 1;
        let comes_later = outcome.reply.is_none();
        if comes_later {
            state.waiting.insert(token, waiting(sender));
        }
        match self.settle(broker, &mut state, outcome) {
            (Err(_), _) if comes_later => Ok(Begun { reply: None, commit: None, receiver }),
            (reply, commit) => Ok(Begun { reply: reply?, commit, receiver }),
        }
    }

    /// Waits until the answer may leave.
    ///
    /// # Errors
    /// Why there is none of the group's.
    pub async fn finish<R>(&self, broker: &Broker, begun: Begun<R>) -> Result<R, ErrorCode> {
        match begun.reply {
            Some(reply) => {
                self.committed_in_time(broker, begun.commit).await?;
                Ok(reply)
            }
            // The sender goes away when the shard does.
            None => begun.receiver.await.map_err(|_| ErrorCode::NotCoordinator),
        }
    }

    /// Appends and replays what a turn decided, and sends what it answers to others once it is committed.
    fn settle<R>(
        self: &Arc<Self>,
        broker: &Arc<Broker>,
        state: &mut State,
        outcome: Outcome<R>,
    ) -> (Result<R, ErrorCode>, Commit) {
        let appended = self.append(broker, state, &outcome);
        let next = state.machine.as_ref().and_then(machine::Shard::poll_timeout);
        if let Some(next) = next.filter(|next| *next < state.looked_at_ms) {
            state.looked_at_ms = next;
            self.clock_moved.notify_one();
        }
        if let Err(error) = appended {
            if let (Some(append), Some(machine)) = (outcome.append, &mut state.machine) {
                let next = with_call(broker, |call| machine.stored(call, append, Err(error)));
                let _ = self.settle(broker, state, next);
            }
            self.send_effects(broker, state, None);
            return (Err(append_error(error)), None);
        }
        self.send_effects(broker, state, outcome.append);
        (Ok(outcome.reply), self.commit())
    }

    fn append<R>(&self, broker: &Broker, state: &mut State, outcome: &Outcome<R>) -> Result<(), ErrorCode> {
        let now = Now { ms: broker.clock.now_ms(), wall_ms: broker.clock.wall_ms() };
        let mut rest = &outcome.records[..];
        while !rest.is_empty() {
            let (batch, taken) = batch::build(rest, outcome.atomic, now.wall_ms)?;
            let produced =
                self.replica.produce(&Validated::internal(batch), -1, now).map_err(|e| e.code())?;
            let (done, behind) = rest.split_at(taken);
            if let Some(machine) = &mut state.machine {
                for (offset, record) in (produced.base_offset..).zip(done) {
                    machine.replay(record, offset, ProducerId::NONE);
                }
            }
            rest = behind;
        }
        Ok(())
    }

    /// What everything replayed so far must wait for.
    fn commit(&self) -> Commit {
        match self.replica.wait_committed() {
            Wait::Committed(receiver, ack) => Some((receiver, ack)),
            Wait::Nothing | Wait::Failed(_) | Wait::Flushed(_) => None,
        }
    }

    /// Whoever waits is not kept waiting while the replicas are too few: it may ask again.
    async fn committed_in_time(&self, broker: &Broker, commit: Commit) -> Result<(), ErrorCode> {
        if commit.is_none() {
            return Ok(());
        }
        let within = Duration::from_millis(broker.config.settings.count("offsets.commit.timeout.ms"));
        let committed = tokio::time::timeout(within, self.committed(commit)).await;
        committed.unwrap_or(Err(append_error(ErrorCode::RequestTimedOut)))
    }

    async fn committed(&self, commit: Commit) -> Result<(), ErrorCode> {
        let Some((receiver, ack)) = commit else { return Ok(()) };
        let done = receiver.await.unwrap_or(Err(ErrorCode::NotLeaderOrFollower));
        done.and_then(|()| self.replica.check_ack(ack)).map_err(append_error)
    }

    fn send_effects(
        self: &Arc<Self>,
        broker: &Arc<Broker>,
        state: &mut State,
        append: Option<machine::AppendId>,
    ) {
        let effects = state.machine.as_mut().map(machine::Shard::drain_effects).unwrap_or_default();
        if effects.is_empty() && append.is_none() {
            return;
        }
        match self.commit() {
            None => {
                deliver(state, effects);
                if let (Some(append), Some(machine)) = (append, &mut state.machine) {
                    let next = with_call(broker, |call| machine.stored(call, append, Ok(())));
                    let _ = self.settle(broker, state, next);
                }
            }
            commit @ Some(_) => {
                let (shard, broker) = (self.clone(), broker.clone());
                tokio::spawn(async move {
                    let stored = shard.committed(commit).await;
                    shard.after_commit(&broker, effects, append, stored);
                });
            }
        }
    }

    fn after_commit(
        self: &Arc<Self>,
        broker: &Arc<Broker>,
        effects: Vec<Effect>,
        append: Option<machine::AppendId>,
        stored: Result<(), ErrorCode>,
    ) {
        let mut state = self.state.lock();
        match stored {
            Ok(()) => deliver(&mut state, effects),
            Err(error) => {
                deliver(&mut state, effects.into_iter().map(|effect| failed(effect, error)).collect())
            }
        }
        if let (Some(append), Some(machine)) = (append, &mut state.machine) {
            let next = with_call(broker, |call| machine.stored(call, append, stored));
            let _ = self.settle(broker, &mut state, next);
        }
    }
}

fn with_call<R>(broker: &Broker, turn: impl FnOnce(Call<'_>) -> R) -> R {
    let topics = broker.metadata.image();
    let at = Moment { now_ms: broker.clock.now_ms(), wall_ms: broker.clock.wall_ms() };
    turn(Call { at, topics: &*topics })
}

fn failed(effect: Effect, error: ErrorCode) -> Effect {
    match effect {
        Effect::Join { token, reply } => {
            Effect::Join { token, reply: JoinReply::refused(error, reply.member_id) }
        }
        Effect::Sync { token, .. } => Effect::Sync { token, reply: SyncReply::refused(error) },
    }
}

fn deliver(state: &mut State, effects: Vec<Effect>) {
    for effect in effects {
        // Whoever asked may have gone.
        match effect {
            Effect::Join { token, reply } => {
                if let Some(Waiting::Join(sender)) = state.waiting.remove(&token) {
                    let _ = sender.send(reply);
                }
            }
            Effect::Sync { token, reply } => {
                if let Some(Waiting::Sync(sender)) = state.waiting.remove(&token) {
                    let _ = sender.send(reply);
                }
            }
        }
    }
}
