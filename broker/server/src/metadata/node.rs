//! The thread that runs the quorum, the metadata log and, while this broker leads the quorum, the controller.
//!
//! Everything that arrives while one batch is being synced is handled together after it: changes share their syncs.
//!
//! Invariants: a reply leaves only after the records behind it are committed and published here; a controller lives
//! no longer than the term it began in; whoever waits for a reply when it ends gets `NotController`.

mod disk;

use super::Controller as Leader;
use super::publisher::{Publication, Publisher};
use crate::clock::Clock;
use bytes::Bytes;
use ottla_core::controller::membership;
use ottla_core::controller::{Controller, Outcome, Reply, Request, Rules};
use ottla_core::metadata::{self, Image, ImageDelta, NodeId};
use ottla_core::quorum::{
    Committed, Effect, Leadership, MembershipChange, Payload, Persist, Quorum, Snapshot, Status,
};
use ottla_storage::MetadataLog;
use ottla_types::{BrokerId, ErrorCode};
use std::collections::{BTreeSet, VecDeque};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// What the thread is told.
#[derive(Debug)]
pub enum Event {
    /// A request for the controller.
    Submit {
        /// What is asked.
        request: Request,
        /// Where the answer goes.
        reply: oneshot::Sender<Result<Reply, ErrorCode>>,
    },
    /// A question about the quorum.
    Status(oneshot::Sender<Status>),
    /// From another node of the quorum.
    Message(Bytes),
    /// The connection to another broker broke.
    PeerLost(BrokerId),
    /// Change who takes part in the quorum.
    ChangeMembership {
        /// How.
        change: MembershipChange,
        /// Told when it is committed.
        reply: oneshot::Sender<Result<Reply, ErrorCode>>,
    },
    /// Hand leadership to another node, if there is one that can take it.
    Resign,
    /// End.
    Stop,
}

/// A reply that waits for its records to be committed.
#[derive(Debug)]
pub struct PendingReply {
    /// The entry with its records; nothing waits for 0.
    pub index: u64,
    /// What to say.
    pub reply: Reply,
    /// To whom.
    pub to: oneshot::Sender<Result<Reply, ErrorCode>>,
}

/// Carries messages to the other nodes; never waits.
pub trait Transport: Send {
    /// Sends `message` to `to`, or loses it.
    fn send(&mut self, to: NodeId, message: Bytes);
    /// Connects to a voter before there is anything to say.
    fn approach(&mut self, voter: BrokerId);
    /// Brokers registered, changed or went.
    fn learn(&mut self, image: &Image);
    /// The connection to that broker broke and is not back.
    fn is_down(&self, peer: BrokerId) -> bool;
}

/// What the thread needs.
pub struct Node {
    /// The consensus.
    pub quorum: Quorum,
    /// Where its entries are kept.
    pub log: MetadataLog,
    /// The image at what was applied.
    pub image: Image,
    /// Settings of the controller.
    pub rules: Rules,
    /// The clocks.
    pub clock: Clock,
    /// To the other nodes.
    pub transport: Box<dyn Transport>,
    /// To the replicas.
    pub publisher: Publisher,
    /// Where the leader is made known.
    pub leader: watch::Sender<Leader>,
    /// Milliseconds of a tick.
    pub tick_ms: u64,
}

/// An error after which this node cannot take part any more.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The metadata log cannot be written.
    #[error("the metadata log cannot be written: {0}")]
    Log(#[from] ottla_storage::MetadataLogError),
    /// A committed entry cannot be read.
    #[error("a committed metadata entry cannot be read: {0}")]
    Codec(#[from] ottla_core::quorum::CodecError),
    /// A committed batch cannot be read.
    #[error("a committed metadata batch cannot be read: {0}")]
    Decode(#[from] metadata::DecodeError),
    /// Committed records that make no sense.
    #[error("a committed metadata record does not fit: {0}")]
    Replay(#[from] metadata::ReplayError),
}

struct Running {
    node: Node,
    controller: Option<Controller>,
    pending: VecDeque<PendingReply>,
    next_tick_ms: u64,
    /// The other voters, which are connected to; nobody unless this node is a voter.
    approached: BTreeSet<BrokerId>,
    /// Who takes part in the quorum may have to change.
    plan_due: bool,
    /// What the disk had no room for. It is tried again at every tick; until it is there the quorum does nothing more,
    /// as with a disk that is slow.
    unwritten: Option<Persist>,
}

/// Runs the node until it is told to stop or cannot go on.
///
/// # Errors
/// [`NodeError`]; the broker must stop then.
pub fn run(node: Node, events: &Receiver<Event>) -> Result<(), NodeError> {
    let next_tick_ms = node.clock.now_ms() + node.tick_ms;
    let mut running = Running {
        node,
        controller: None,
        pending: VecDeque::new(),
        next_tick_ms,
        approached: BTreeSet::new(),
        plan_due: true,
        unwritten: None,
    };
    loop {
        running.settle()?;
        let wait = Duration::from_millis(running.next_wake_ms().saturating_sub(running.node.clock.now_ms()));
        let mut next = match events.recv_timeout(wait) {
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        };
        while let Some(event) = next {
            if !running.handle(event) {
                running.settle()?;
                return Ok(());
            }
            next = events.try_recv().ok();
        }
        running.pass_time()?;
        running.plan_membership();
    }
}

impl Running {
    fn next_wake_ms(&self) -> u64 {
        let ticks = self.node.quorum.needs_ticks() || self.unwritten.is_some();
        let tick = if ticks { self.next_tick_ms } else { u64::MAX };
        let controller = self.controller.as_ref().and_then(Controller::poll_timeout).unwrap_or(u64::MAX);
        // A node that is alone and has nothing planned sleeps, but not for ever: the clock may be wrong.
        let now = self.node.clock.now_ms();
        tick.min(controller).min(now + 60_000)
    }

    fn pass_time(&mut self) -> Result<(), NodeError> {
        let now = self.node.clock.now_ms();
        if now >= self.next_tick_ms {
            self.persist_again()?;
            self.node.quorum.tick();
            self.approach_voters();
            self.next_tick_ms = (self.next_tick_ms + self.node.tick_ms).max(now);
            self.plan_due = true;
        }
        let due = self.controller.as_ref().and_then(Controller::poll_timeout).is_some_and(|at| now >= at);
        if due
            && self.node.quorum.can_propose()
            && let Some(controller) = &mut self.controller
        {
            let outcome = controller.tick(now);
            self.propose(outcome, None);
        }
        Ok(())
    }

    /// Followers only talk to their leader. When it dies they must reach each other at once, and their names may be
    /// looked up no more.
    fn approach_voters(&mut self) {
        let voters = self.node.quorum.membership().voters;
        let mut voters: BTreeSet<BrokerId> = match voters.contains(&self.node.quorum.node()) {
            true => voters.iter().map(|voter| voter.broker()).collect(),
            false => BTreeSet::new(),
        };
        voters.remove(&self.node.quorum.node().broker());
        for &voter in voters.difference(&self.approached) {
            self.node.transport.approach(voter);
        }
        self.approached = voters;
    }

    /// False if the thread must end.
    fn handle(&mut self, event: Event) -> bool {
        match event {
            Event::Submit { request, reply } => self.submit(request, reply),
            Event::Status(reply) => {
                // Whoever asked may have gone.
                let _ = reply.send(self.node.quorum.status());
            }
            Event::Message(bytes) => {
                if let Err(error) = self.node.quorum.step(&bytes) {
                    tracing::debug!(%error, "a message of the metadata quorum was ignored");
                }
            }
            Event::PeerLost(peer) => self.peer_lost(peer),
            Event::ChangeMembership { change, reply } => self.change_membership(change, reply),
            Event::Resign => {
                if let Some(successor) = self.node.quorum.successor() {
                    self.node.quorum.transfer_leader(successor);
                }
            }
            Event::Stop => return false,
        }
        true
    }

    /// A broken connection is the first sign of a dead broker: the quorum looks for another leader, the controller
    /// for other leaders of partitions, unless it is heard of again.
    fn peer_lost(&mut self, peer: BrokerId) {
        let members = self.node.quorum.membership();
        for node in members.nodes().filter(|node| node.broker() == peer) {
            self.node.quorum.suspect(node);
        }
        self.suspect(peer);
    }

    fn suspect(&mut self, peer: BrokerId) {
        let Some(epoch) = self.node.image.broker(peer).map(|broker| broker.epoch) else { return };
        if self.node.quorum.can_propose()
            && let Some(controller) = &mut self.controller
        {
            let request = Request::SuspectBroker { broker: peer, epoch };
            let outcome = controller.handle(self.node.clock.now_ms(), request);
            self.propose(outcome, None);
        }
    }

    /// The voters follow the registered brokers.
    fn plan_membership(&mut self) {
        if !std::mem::take(&mut self.plan_due) || self.controller.is_none() || !self.node.quorum.can_propose()
        {
            return;
        }
        let members = self.node.quorum.membership();
        let status = self.node.quorum.status();
        if let Some(successor) = membership::successor(&self.node.image, &status) {
            tracing::info!(%successor, "metadata quorum: handing over, this broker is on its way out");
            return self.node.quorum.transfer_leader(successor);
        }
        let Some(change) = membership::plan(&self.node.image, &members, &status) else {
            return;
        };
        // A change that is not taken now is planned again at the next tick.
        if self.node.quorum.propose_membership(change).is_ok() {
            tracing::info!(?change, "metadata quorum");
        }
    }

    fn change_membership(&mut self, change: MembershipChange, to: oneshot::Sender<Result<Reply, ErrorCode>>) {
        match self.node.quorum.propose_membership(change) {
            Ok(index) => self.pending.push_back(PendingReply { index, reply: Reply::Done, to }),
            Err(error) => {
                let _ = to.send(Err(error.code()));
            }
        }
    }

    fn submit(&mut self, request: Request, to: oneshot::Sender<Result<Reply, ErrorCode>>) {
        if !self.node.quorum.can_propose() {
            // Whoever asked may have gone; so in every place below.
            let _ = to.send(Err(ErrorCode::NotController));
            return;
        }
        let Some(controller) = &mut self.controller else {
            let _ = to.send(Err(ErrorCode::NotController));
            return;
        };
        let must_be_current = matches!(request, Request::DescribeSessions);
        let outcome = controller.handle(self.node.clock.now_ms(), request);
        if must_be_current && outcome.records.is_empty() {
            return self.confirm(outcome.reply, to);
        }
        self.propose(outcome, Some(to));
    }

    /// Replies once a majority has confirmed that this controller is still the one: an entry of nothing is committed.
    fn confirm(&mut self, reply: Reply, to: oneshot::Sender<Result<Reply, ErrorCode>>) {
        match self.node.quorum.propose(metadata::encode(&[])) {
            Ok(index) => self.pending.push_back(PendingReply { index, reply, to }),
            Err(error) => {
                let _ = to.send(Err(error.code()));
            }
        }
    }

    fn propose(&mut self, outcome: Outcome, to: Option<oneshot::Sender<Result<Reply, ErrorCode>>>) {
        let mut index = self.node.quorum.status().last_index;
        if !outcome.records.is_empty() {
            match self.node.quorum.propose(metadata::encode(&outcome.records)) {
                Ok(at) => {
                    index = at;
                    if let Some(controller) = &mut self.controller {
                        controller.appended(at);
                    }
                }
                Err(error) => {
                    // The controller already counts on these records, so it has to go; its successor starts from
                    // what was committed.
                    tracing::warn!(%error, "a decision of the controller could not be proposed");
                    self.end_controller();
                    if let Some(to) = to {
                        let _ = to.send(Err(error.code()));
                    }
                    return;
                }
            }
        }
        if let Some(to) = to {
            self.pending.push_back(PendingReply { index, reply: outcome.reply, to });
        }
    }

    fn end_controller(&mut self) {
        self.controller = None;
        for pending in self.pending.drain(..) {
            let _ = pending.to.send(Err(ErrorCode::NotController));
        }
    }

    /// Does everything the quorum wants done, until it wants nothing more.
    fn settle(&mut self) -> Result<(), NodeError> {
        let mut delta = ImageDelta::default();
        loop {
            let effects = self.node.quorum.drain()?;
            if effects.is_empty() {
                break;
            }
            for effect in effects {
                self.run_effect(effect, &mut delta)?;
            }
        }
        if self.node.quorum.is_snapshot_due() {
            self.node.quorum.snapshot(self.node.image.offset(), self.node.image.to_snapshot());
            for effect in self.node.quorum.drain()? {
                self.run_effect(effect, &mut delta)?;
            }
        }
        self.take_control();
        self.publish(delta);
        Ok(())
    }

    fn run_effect(&mut self, effect: Effect, delta: &mut ImageDelta) -> Result<(), NodeError> {
        match effect {
            Effect::Persist(persist) => self.persist(persist)?,
            Effect::Send { to, bytes } => self.node.transport.send(to, bytes),
            Effect::Apply(entries) => {
                for entry in entries {
                    self.apply(entry, delta)?;
                }
            }
            Effect::ApplySnapshot(snapshot) => self.replace_image(snapshot, delta)?,
            Effect::Leadership(leadership) => self.leadership_changed(leadership),
            Effect::SaveSnapshot { snapshot, compact_to } => self.save_snapshot(&snapshot, compact_to)?,
        }
        Ok(())
    }

    fn apply(&mut self, entry: Committed, delta: &mut ImageDelta) -> Result<(), NodeError> {
        match entry.payload {
            Payload::Data(bytes) => {
                let records = metadata::decode(bytes)?;
                self.node.image.apply(&records, entry.index, delta)?;
            }
            Payload::Membership(members) => {
                self.node.image.set_membership(members);
                self.node.image.set_offset(entry.index);
                self.plan_due = true;
                if let Some(controller) = &mut self.controller {
                    controller.membership_changed(self.node.image.membership().clone());
                }
            }
            Payload::Empty => self.node.image.set_offset(entry.index),
        }
        Ok(())
    }

    fn replace_image(&mut self, snapshot: Snapshot, delta: &mut ImageDelta) -> Result<(), NodeError> {
        let mut image = Image::from_snapshot(snapshot.data)?;
        image.set_membership(snapshot.membership);
        image.set_offset(snapshot.index);
        delta.merge(ImageDelta::between(&self.node.image, &image));
        self.node.image = image;
        Ok(())
    }

    fn leadership_changed(&mut self, leadership: Leadership) {
        tracing::info!(leader = ?leadership.leader, term = leadership.term, "metadata quorum");
        self.end_controller();
        self.node.leader.send_replace(Leader {
            node: leadership.leader,
            term: leadership.term,
            is_local: false,
        });
    }

    fn take_control(&mut self) {
        if self.controller.is_some() || !self.node.quorum.is_in_control() {
            return;
        }
        let now = self.node.clock.now_ms();
        self.controller = Some(Controller::new(self.node.image.clone(), now, self.node.rules.clone()));
        self.node.leader.send_modify(|leader| leader.is_local = true);
        self.plan_due = true;
        let down = self.node.image.brokers().keys().filter(|id| self.node.transport.is_down(**id));
        for peer in down.copied().collect::<Vec<_>>() {
            self.suspect(peer);
        }
    }

    fn publish(&mut self, delta: ImageDelta) {
        let applied = self.node.image.offset();
        let mut replies = Vec::new();
        while self.pending.front().is_some_and(|pending| pending.index <= applied) {
            replies.extend(self.pending.pop_front());
        }
        if !delta.is_empty()
            && let Some(controller) = &mut self.controller
        {
            controller.committed(&self.node.image);
        }
        if !delta.brokers.is_empty() {
            self.plan_due = true;
            self.node.transport.learn(&self.node.image);
        }
        if delta.is_empty() && replies.is_empty() && !self.node.publisher.is_behind(applied) {
            return;
        }
        self.node.publisher.publish(Publication { image: self.node.image.clone(), delta, replies });
    }
}
