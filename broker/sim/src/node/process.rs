//! The memory of one run of a broker, and the dispatch of what comes in.

use super::fetch::ParkedFetch;
use super::flush::Syncing;
use super::follow::FetcherRun;
use super::groups::Groups;
use super::{Context, Durable, Timer, TopicSettings};
use crate::message::{Answer, Body, Request};
use crate::trace::Address;
use ottla_core::controller::Controller;
use ottla_core::fetch_session::{Cache, Limits};
use ottla_core::metadata::{Image, NodeId};
use ottla_core::quorum::{Persist, Quorum};
use ottla_core::replication::{Ack, AlterPartition, Leader};
use ottla_storage::{Log, LogDir, MetadataLog};
use ottla_types::{BrokerEpoch, BrokerId, LeaderEpoch, Offset, TopicIdPartition, Uuid};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// How long an answer may take.
pub(super) const ANSWER_TIMEOUT_US: u64 = 2_000_000;
/// How often leaders and followers look at the time.
pub(super) const REPLICA_TICK_US: u64 = 25_000;

/// Why something was asked.
#[derive(Debug, Clone)]
pub enum Purpose {
    /// To follow this leader.
    Fetch(BrokerId),
    /// To find the ends of the leader's log.
    LeaderOffsets(BrokerId, TopicIdPartition),
    /// For these leaders' proposals.
    AlterPartition(Vec<(TopicIdPartition, u64)>),
    /// To become part of the cluster.
    Register,
    /// To stay part of it.
    Heartbeat,
    /// To be allowed to stop.
    Permit,
}

/// A question that waits for its answer.
#[derive(Debug)]
pub(super) struct Question {
    pub to: Address,
    pub purpose: Purpose,
}

/// What this broker does with a replica.
#[derive(Debug)]
pub enum Role {
    /// It leads.
    Leader(Box<Leader>),
    /// It follows this broker.
    Follower {
        /// Whom.
        leader: BrokerId,
        /// In which epoch.
        epoch: LeaderEpoch,
        /// What it knows to be committed.
        high_watermark: Offset,
    },
}

/// A produce request that is not answered yet.
#[derive(Debug)]
pub(super) struct WaitingProduce {
    pub ticket: u64,
    pub from: Address,
    pub number: u64,
    pub ack: Ack,
    pub base_offset: Offset,
    /// The leader's own copy must be on disk up to here.
    pub flushed_to: Offset,
    /// It waits for the high watermark.
    pub all: bool,
}

/// A replica on this broker.
#[derive(Debug)]
pub struct Replica {
    /// The topic's name.
    pub topic: Arc<str>,
    /// Its settings.
    pub settings: TopicSettings,
    /// Its log.
    pub log: Log,
    /// What it does.
    pub role: Role,
    pub(super) waiting: Vec<WaitingProduce>,
    pub(super) syncing: Option<Syncing>,
    /// Somebody waits for a sync.
    pub(super) wants_sync: bool,
}

impl Replica {
    /// Everything below is committed, as far as this replica knows.
    #[must_use]
    pub fn high_watermark(&self) -> Offset {
        match &self.role {
            Role::Leader(leader) => leader.high_watermark(),
            Role::Follower { high_watermark, .. } => *high_watermark,
        }
    }
}

/// One run of a broker.
pub struct Process {
    /// `node.id`.
    pub id: BrokerId,
    pub(super) incarnation: Uuid,
    pub(super) durable: Durable,
    /// The data directory, as all logs see it.
    pub(super) log_dir: Arc<LogDir>,
    /// It was without room when the controller was last told.
    pub(super) was_full: bool,
    pub(super) metadata_log: MetadataLog,
    pub(super) unwritten: Option<Persist>,
    /// The metadata quorum.
    pub quorum: Quorum,
    /// The metadata as applied.
    pub image: Image,
    /// The controller, while this broker is in control.
    pub controller: Option<Controller>,
    pub(super) term: u64,
    /// Answers of the controller, by the index that must be committed first.
    pub(super) uncommitted: VecDeque<(u64, Address, u64, Answer)>,
    /// This broker's registration.
    pub epoch: BrokerEpoch,
    /// The image holds this registration: what it says about replicas is new enough to act on.
    pub(super) online: bool,
    pub(super) asked_controller: bool,
    /// Whom the quorum names did not answer as the controller.
    pub(super) doubts_controller: bool,
    pub(super) previous_epoch: BrokerEpoch,
    /// It was told to stop when it may.
    pub(super) wants_stop: bool,
    /// The replicas on it.
    pub replicas: BTreeMap<TopicIdPartition, Replica>,
    pub(super) fetchers: BTreeMap<BrokerId, FetcherRun>,
    pub(super) sessions: Cache,
    pub(super) parked: BTreeMap<u64, ParkedFetch>,
    /// By partition of `__consumer_offsets` that it leads.
    pub(super) groups: BTreeMap<TopicIdPartition, Groups>,
    pub(super) proposals: BTreeMap<TopicIdPartition, AlterPartition>,
    pub(super) proposals_out: bool,
    /// By partition: up to where the checkers were told what is committed.
    pub(super) reported: BTreeMap<TopicIdPartition, Offset>,
    pub(super) peers: Vec<BrokerId>,
    pub(super) permit_epoch: Option<i64>,
    /// The newest permit that the checkers were told of.
    pub(super) reported_permit: i64,
    pub(super) questions: BTreeMap<u64, Question>,
    pub(super) next_number: u64,
}

impl std::fmt::Debug for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Process({} {:?})", self.id, self.quorum)
    }
}

impl Process {
    /// Starts on what the last run has left.
    ///
    /// # Errors
    /// If that cannot be read; what the last run has left comes back.
    pub fn start(
        cx: &mut Context<'_>,
        id: BrokerId,
        mut durable: Durable,
        (run, peers): (u64, Vec<BrokerId>),
    ) -> Result<Self, (Durable, String)> {
        let recovered = super::recovery::recover(cx, id, &durable);
        let (image, quorum, metadata_log, log_dir) = match recovered {
            Ok(recovered) => recovered,
            Err(error) => return Err((durable, error)),
        };
        durable.founds = false;
        let previous_epoch = std::mem::replace(&mut durable.clean_epoch, BrokerEpoch::NONE);
        let reported_permit = super::quorum::newest_permit(&image);
        let limits = Limits { slots: 8, partitions: 1_000, eviction_ms: 120_000 };
        let mut process = Self {
            id,
            incarnation: Uuid::from_u64_pair(cx.random.next_u64(), cx.random.next_u64()),
            durable,
            log_dir,
            was_full: false,
            metadata_log,
            unwritten: None,
            quorum,
            image,
            controller: None,
            term: 0,
            uncommitted: VecDeque::new(),
            epoch: BrokerEpoch::NONE,
            online: false,
            asked_controller: false,
            doubts_controller: false,
            previous_epoch,
            wants_stop: false,
            replicas: BTreeMap::new(),
            fetchers: BTreeMap::new(),
            sessions: Cache::new(limits, cx.random.next_u64()),
            parked: BTreeMap::new(),
            groups: BTreeMap::new(),
            proposals: BTreeMap::new(),
            proposals_out: false,
            reported: BTreeMap::new(),
            peers,
            permit_epoch: None,
            reported_permit,
            questions: BTreeMap::new(),
            next_number: run << 32,
        };
        for (delay, timer) in
            [(50_000, Timer::QuorumTick), (1_000, Timer::Heartbeat), (REPLICA_TICK_US, Timer::ReplicaTick)]
        {
            cx.after(delay, timer);
        }
        process.run_quorum(cx);
        Ok(process)
    }

    /// Its identity in the quorum.
    #[must_use]
    pub fn node(&self) -> NodeId {
        NodeId::new(self.id, self.durable.directory)
    }

    /// Do these metadata know of this run, and count it in?
    #[must_use]
    pub fn is_active_in(&self, image: &Image) -> bool {
        let known = image.broker(self.id).filter(|known| known.incarnation_id == self.incarnation);
        known.is_some_and(|known| known.is_active())
    }

    /// Its logs were all opened since the machine started: what was torn then is cut off.
    #[must_use]
    pub fn has_looked_at_logs(&self) -> bool {
        self.online || self.durable.page_cache_survived
    }

    /// The process is gone; this is left.
    #[must_use]
    pub fn into_durable(self) -> Durable {
        self.durable
    }

    /// What is on its disk.
    #[must_use]
    pub fn durable(&self) -> &Durable {
        &self.durable
    }

    /// Asks it to stop as soon as it may.
    pub fn ask_to_stop(&mut self) {
        self.wants_stop = true;
    }

    /// Something arrived.
    pub fn handle_message(&mut self, cx: &mut Context<'_>, from: Address, body: Body) {
        match body {
            Body::Consensus(bytes) => {
                let _ = self.quorum.step(&bytes);
                self.run_quorum(cx);
            }
            Body::Request(number, request) => self.handle_request(cx, from, number, request),
            Body::Answer(number, answer) => {
                if let Some(question) = self.questions.remove(&number) {
                    self.handle_answer(cx, question, Some(answer));
                }
            }
            Body::ConnectionLost => self.handle_connection_lost(cx, from),
        }
    }

    fn handle_request(&mut self, cx: &mut Context<'_>, from: Address, number: u64, request: Request) {
        match request {
            Request::Control(request) => self.handle_control(cx, from, number, *request),
            Request::Metadata => self.handle_metadata(cx, from, number),
            Request::Group(request) => self.handle_group(cx, (from, number), &request),
            Request::Produce { partition, acks, batch } => {
                self.handle_produce(cx, from, number, partition, (acks, batch));
            }
            Request::LeaderOffsets { partition, leader_epoch } => {
                self.handle_leader_offsets(cx, from, number, partition, leader_epoch);
            }
            Request::Fetch { header, partitions, forgotten, follower, max_wait_us } => {
                let named = super::fetch::Named { header, partitions, forgotten, follower };
                self.handle_fetch(cx, from, number, named, max_wait_us);
            }
        }
    }

    fn handle_connection_lost(&mut self, cx: &mut Context<'_>, peer: Address) {
        let lost: Vec<u64> = self
            .questions
            .iter()
            .filter(|(_, question)| question.to == peer)
            .map(|(&number, _)| number)
            .collect();
        for number in lost {
            if let Some(question) = self.questions.remove(&number) {
                self.handle_answer(cx, question, None);
            }
        }
        self.peer_gone(cx, peer);
    }

    fn handle_answer(&mut self, cx: &mut Context<'_>, question: Question, answer: Option<Answer>) {
        match question.purpose {
            Purpose::Fetch(leader) => self.handle_fetched(cx, leader, answer),
            Purpose::LeaderOffsets(leader, partition) => {
                self.handle_offsets_answer(cx, leader, partition, answer);
            }
            Purpose::AlterPartition(proposals) => self.handle_altered(cx, &proposals, answer),
            Purpose::Register => self.handle_registered(cx, answer),
            Purpose::Heartbeat => self.handle_heartbeat_answer(cx, answer),
            Purpose::Permit => self.handle_permit_answer(cx, answer),
        }
    }

    /// A timer fired.
    pub fn handle_timer(&mut self, cx: &mut Context<'_>, timer: Timer) {
        match timer {
            Timer::QuorumTick => {
                self.quorum.tick();
                cx.after(50_000, Timer::QuorumTick);
                self.run_quorum(cx);
            }
            Timer::Persisted(number) => self.handle_persisted(cx, number),
            Timer::Heartbeat => self.heartbeat(cx),
            Timer::ControllerTick => self.controller_tick(cx),
            Timer::ReplicaTick => self.replica_tick(cx),
            Timer::Flushed(partition, number) => self.handle_synced(cx, partition, number),
            Timer::LoadGroups(partition, epoch) => self.load_groups(cx, partition, epoch),
            Timer::FetchDeadline(ticket) => self.answer_parked(cx, ticket),
            Timer::ProduceDeadline(partition, ticket) => self.produce_timed_out(cx, partition, ticket),
            Timer::AnswerDeadline(number) => {
                if let Some(question) = self.questions.remove(&number) {
                    self.handle_answer(cx, question, None);
                }
            }
        }
    }

    /// Asks another broker (or this one).
    pub(super) fn ask(&mut self, cx: &mut Context<'_>, to: BrokerId, request: Request, purpose: Purpose) {
        let number = self.number();
        let to = super::address(to);
        self.questions.insert(number, Question { to, purpose });
        cx.after(ANSWER_TIMEOUT_US, Timer::AnswerDeadline(number));
        cx.send(to, Body::Request(number, request));
    }

    pub(super) fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }
}
