//! A member of a group: it gets partitions, reads them from where the group has committed, and commits.
//!
//! The two protocols differ in how partitions come and go ([`classic`], [`consumer`]); the work is the same.

mod classic;
mod consumer;
mod work;

use super::{ClientContext, ClientTimer, Questions, Routes};
use crate::group_message::{Claim, GroupAnswer, GroupQuestion, GroupRequest, OFFSETS_TOPIC, TOPIC};
use crate::message::{Answer, Request};
use crate::trace::Address;
use ottla_core::group::partition_for;
use ottla_types::{ErrorCode, Offset, TopicIdPartition};
use std::collections::BTreeMap;
use std::sync::Arc;

/// From one look at what is to be done to the next.
const TICK_US: (u64, u64) = (30_000, 70_000);
const TIMEOUT_US: u64 = 1_000_000;
/// From one heartbeat to the next.
const BEAT_US: u64 = 400_000;
/// From one commit to the next.
const COMMIT_US: u64 = 250_000;
/// `metadata.max.age.ms`: nobody tells a client of new partitions.
const METADATA_AGE_US: u64 = 5_000_000;
/// A member that hears nothing for so long gives everything up, as clients do.
const SESSION_US: u64 = 4_000_000;

/// How a group shares its partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Join and sync; the leader assigns.
    Classic,
    /// Heartbeats; the coordinator assigns (KIP-848).
    Consumer,
}

/// Why something was asked.
#[derive(Debug)]
enum Purpose {
    Metadata,
    /// Join, sync or heartbeat, sent at this time.
    Coordinate(u64),
    FetchOffsets,
    /// From these offsets.
    Fetch(BTreeMap<i32, Offset>),
    /// The commit's number in the oracle.
    Commit(u64),
    /// In a generation that is over.
    LateCommit,
}

/// A partition that this member owns.
#[derive(Debug, Clone, Copy, Default)]
struct Owned {
    /// The next offset to read; `None` before the group's committed offset is known.
    position: Option<Offset>,
    committed: Offset,
}

/// A member of a group.
#[derive(Debug)]
pub struct Member {
    id: u32,
    group: Arc<str>,
    protocol: Protocol,
    claim: Claim,
    classic: classic::Stage,
    /// What it owns must be said with the next heartbeat.
    says_all: bool,
    owned: BTreeMap<i32, Owned>,
    routes: Routes,
    questions: Questions<Purpose>,
    next_beat_us: u64,
    next_commit_us: u64,
    metadata_due_us: u64,
    /// It is away until then.
    away_until_us: u64,
    /// When the last request was sent that the coordinator has answered well.
    heard_us: u64,
    lives: u32,
}

impl Member {
    /// Member `id` of a group.
    #[must_use]
    pub fn new(id: u32, group: &str, protocol: Protocol) -> Self {
        let mut member = Self {
            id,
            group: Arc::from(group),
            protocol,
            claim: Claim { member: Arc::from(""), epoch: 0 },
            classic: classic::Stage::Out,
            says_all: true,
            owned: BTreeMap::new(),
            routes: Routes::default(),
            questions: Questions::of_client(id),
            next_beat_us: 0,
            next_commit_us: 0,
            metadata_due_us: METADATA_AGE_US,
            away_until_us: 0,
            heard_us: 0,
            lives: 0,
        };
        member.begin_life();
        member
    }

    /// Its group.
    #[must_use]
    pub fn group(&self) -> &str {
        &self.group
    }

    /// What it owns and has committed.
    pub fn owned(&self) -> impl Iterator<Item = (i32, Offset)> {
        self.owned.iter().map(|(&partition, owned)| (partition, owned.committed))
    }

    /// A new process of the same client: nobody knows it.
    fn begin_life(&mut self) {
        self.lives += 1;
        let id = match self.protocol {
            Protocol::Classic => String::new(),
            Protocol::Consumer => format!("member-{}-{}", self.id, self.lives),
        };
        self.claim = Claim { member: Arc::from(id), epoch: 0 };
        self.classic = classic::Stage::Out;
        self.says_all = true;
    }

    pub(super) fn handle_timer(&mut self, cx: &mut ClientContext<'_>, timer: ClientTimer) {
        match timer {
            ClientTimer::Next => {
                self.tick(cx);
                let (from, to) = TICK_US;
                let pause = cx.random.within(from..to);
                cx.after(pause, ClientTimer::Next);
            }
            ClientTimer::Again => {}
            ClientTimer::Deadline(number) => {
                if let Some(purpose) = self.questions.take(number) {
                    self.failed(cx, purpose, None);
                }
            }
        }
    }

    fn tick(&mut self, cx: &mut ClientContext<'_>) {
        if cx.now_us < self.away_until_us {
            return;
        }
        if !self.owned.is_empty() && cx.now_us > self.heard_us + SESSION_US {
            self.give_up_all(cx);
        }
        if cx.now_us >= self.metadata_due_us {
            self.metadata_due_us = cx.now_us + METADATA_AGE_US;
            self.ask_metadata(cx);
        }
        let Some(coordinator) = self.coordinator() else { return self.ask_metadata(cx) };
        let coordinates = self.questions.any(|purpose| matches!(purpose, Purpose::Coordinate(_)));
        if !coordinates && cx.now_us >= self.next_beat_us {
            if !cx.winding_up && cx.random.chance_ppm(4_000) {
                return self.go_away(cx, coordinator);
            }
            let question = self.coordination();
            self.ask_coordinator(cx, coordinator, question, Purpose::Coordinate(cx.now_us));
        }
        self.work(cx, coordinator);
    }

    fn coordination(&mut self) -> GroupQuestion {
        match self.protocol {
            Protocol::Classic => self.classic_question(),
            Protocol::Consumer => self.consumer_question(),
        }
    }

    /// Stops for a while, with a word to the coordinator or without.
    fn go_away(&mut self, cx: &mut ClientContext<'_>, coordinator: Address) {
        if cx.random.chance_ppm(500_000) {
            cx.trace("leaves its group", &[]);
            let what = match self.protocol {
                Protocol::Classic => GroupQuestion::Leave,
                Protocol::Consumer => GroupQuestion::ConsumerHeartbeat(None),
            };
            let epoch = if self.protocol == Protocol::Consumer { -1 } else { self.claim.epoch };
            let claim = Claim { epoch, ..self.claim.clone() };
            let request = GroupRequest { group: Arc::clone(&self.group), claim, what };
            self.questions.tell(cx, coordinator, Request::Group(Box::new(request)));
        } else {
            cx.trace("falls silent", &[]);
        }
        self.give_up_all(cx);
        self.begin_life();
        self.away_until_us = cx.now_us + cx.random.within(100_000..5_000_000);
    }

    fn coordinator(&self) -> Option<Address> {
        let topic = self.routes.topic(OFFSETS_TOPIC)?;
        let count = i32::try_from(topic.partitions.len()).ok().filter(|count| *count > 0)?;
        let partition = partition_for(&self.group, count);
        self.routes.leader(TopicIdPartition { topic_id: topic.id, partition })
    }

    fn ask_metadata(&mut self, cx: &mut ClientContext<'_>) {
        if !self.questions.any(|purpose| matches!(purpose, Purpose::Metadata))
            && let Some(to) = Routes::anybody(cx)
        {
            self.questions.ask(cx, to, Request::Metadata, TIMEOUT_US, Purpose::Metadata);
        }
    }

    fn ask_coordinator(
        &mut self,
        cx: &mut ClientContext<'_>,
        to: Address,
        what: GroupQuestion,
        purpose: Purpose,
    ) {
        let mut claim = self.claim.clone();
        if matches!(purpose, Purpose::LateCommit) {
            claim.epoch -= 1;
        }
        let request = GroupRequest { group: Arc::clone(&self.group), claim, what };
        // A JoinGroup may wait for the others.
        let timeout_us = if matches!(purpose, Purpose::Coordinate(_)) { 8_000_000 } else { TIMEOUT_US };
        self.questions.ask(cx, to, Request::Group(Box::new(request)), timeout_us, purpose);
    }

    pub(super) fn handle_answer(
        &mut self,
        cx: &mut ClientContext<'_>,
        from: Address,
        answer: Option<(u64, Answer)>,
    ) {
        let Some((number, answer)) = answer else {
            for purpose in self.questions.lost(from) {
                self.failed(cx, purpose, None);
            }
            return;
        };
        let Some(purpose) = self.questions.take(number) else { return };
        match (purpose, answer) {
            (Purpose::Metadata, Answer::Metadata(metadata)) => self.routes.take(&metadata),
            (Purpose::Fetch(asked), Answer::Fetched { partitions, .. }) => {
                self.fetched(cx, from, &asked, partitions);
            }
            (purpose, Answer::Failed(code)) => self.failed(cx, purpose, Some(code)),
            (purpose, Answer::Group(answer)) => self.group_answered(cx, purpose, *answer),
            (purpose, _) => self.failed(cx, purpose, None),
        }
    }

    fn group_answered(&mut self, cx: &mut ClientContext<'_>, purpose: Purpose, answer: GroupAnswer) {
        match (purpose, answer) {
            (purpose, GroupAnswer::Failed(code)) => self.failed(cx, purpose, Some(code)),
            (Purpose::Coordinate(sent_us), GroupAnswer::Joined(reply)) => self.joined(cx, sent_us, reply),
            (Purpose::Coordinate(sent_us), GroupAnswer::Synced(reply)) => self.synced(cx, sent_us, &reply),
            (Purpose::Coordinate(sent_us), GroupAnswer::Beat(reply)) => self.beaten(cx, sent_us, reply),
            (Purpose::Coordinate(sent_us), GroupAnswer::Done) => self.heard(cx, sent_us),
            (Purpose::FetchOffsets, GroupAnswer::Offsets(offsets)) => self.offsets_known(cx, &offsets),
            (Purpose::Commit(number), GroupAnswer::Committed(results)) => {
                self.committed(cx, number, &results);
            }
            (Purpose::LateCommit, GroupAnswer::Committed(results)) => {
                if results.contains(&ErrorCode::None) {
                    cx.broken.push(format!(
                        "group {}: a commit of a generation that is over was taken",
                        self.group
                    ));
                }
            }
            (purpose, _) => self.failed(cx, purpose, None),
        }
    }

    /// The coordinator answered a heartbeat of this time.
    fn heard(&mut self, cx: &mut ClientContext<'_>, sent_us: u64) {
        self.heard_us = self.heard_us.max(sent_us);
        self.next_beat_us = cx.now_us + BEAT_US;
        let partitions: Vec<i32> = self.owned.keys().copied().collect();
        cx.oracle.groups.heard(&self.group, self.id, &partitions, sent_us);
    }

    fn failed(&mut self, cx: &mut ClientContext<'_>, purpose: Purpose, code: Option<ErrorCode>) {
        let again_us = cx.now_us + 100_000;
        match purpose {
            Purpose::Metadata | Purpose::LateCommit => return,
            Purpose::Coordinate(_) => {
                self.next_beat_us = again_us;
                self.says_all = true;
                self.coordination_failed(cx, code);
            }
            Purpose::Commit(number) => {
                let refused = code.is_some_and(is_refusal);
                cx.oracle.groups.commit_ended(number, cx.now_us, false, refused, &mut cx.broken);
                self.next_commit_us = again_us;
            }
            Purpose::FetchOffsets | Purpose::Fetch(_) => {}
        }
        if !code.is_some_and(is_refusal) {
            self.routes.forget_all();
        }
    }

    fn coordination_failed(&mut self, cx: &mut ClientContext<'_>, code: Option<ErrorCode>) {
        let Some(code) = code else { return };
        match code {
            ErrorCode::RebalanceInProgress => {
                self.give_up_all(cx);
                self.next_beat_us = cx.now_us;
            }
            code if is_refusal(code) => {
                cx.trace("is not a member any more: error {}", &[i64::from(code.code())]);
                self.give_up_all(cx);
                self.claim.epoch = 0;
                if code == ErrorCode::UnknownMemberId && self.protocol == Protocol::Classic {
                    self.claim.member = Arc::from("");
                }
            }
            _ => {}
        }
    }

    fn give_up_all(&mut self, cx: &mut ClientContext<'_>) {
        for partition in std::mem::take(&mut self.owned).into_keys() {
            cx.oracle.groups.released(&self.group, partition, self.id);
        }
        // What the coordinator answers to before does not count any more.
        self.questions.drop_where(|purpose| matches!(purpose, Purpose::Coordinate(_)));
        self.classic = classic::Stage::Out;
        if self.protocol == Protocol::Consumer {
            self.claim.epoch = 0;
            self.says_all = true;
        }
    }

    /// It owns these partitions from now on.
    fn own(&mut self, cx: &mut ClientContext<'_>, sent_us: u64, partitions: &[i32]) {
        let gone: Vec<i32> = self.owned.keys().copied().filter(|owned| !partitions.contains(owned)).collect();
        for partition in gone {
            self.owned.remove(&partition);
            cx.oracle.groups.released(&self.group, partition, self.id);
        }
        for &partition in partitions {
            let claim = &self.claim;
            let owner = crate::oracle::Owner { client: self.id, member: Arc::clone(&claim.member), sent_us };
            let at = (cx.now_us, claim.epoch);
            cx.oracle.groups.owns(&self.group, partition, owner, at, &mut cx.broken);
            self.owned.entry(partition).or_default();
        }
        cx.trace("owns {} partitions in epoch {}", &[partitions.len() as i64, i64::from(self.claim.epoch)]);
    }
}

/// The coordinator has looked at the request and done nothing of it.
fn is_refusal(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::UnknownMemberId
            | ErrorCode::IllegalGeneration
            | ErrorCode::StaleMemberEpoch
            | ErrorCode::FencedMemberEpoch
            | ErrorCode::GroupIdNotFound
            | ErrorCode::MemberIdRequired
            | ErrorCode::RebalanceInProgress
    )
}

fn topic_partition(routes: &Routes, partition: i32) -> Option<TopicIdPartition> {
    routes.topic(TOPIC).map(|topic| TopicIdPartition { topic_id: topic.id, partition })
}
