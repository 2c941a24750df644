//! A shard with the loop that its module asks for, in memory: every record goes through its bytes.

use super::classic::{
    Client, HeartbeatRequest, JoinReply, JoinRequest, LeaveRequest, Leaver, Left, SyncReply, SyncRequest,
};
use super::consumer;
use super::offsets::{CommitPartition, CommitRequest, CommitTopic, Committer, FetchGroup, FetchTopic};
use super::records::{Decoded, Record};
use super::turn::{AppendId, Effect, Moment, Outcome, Token};
use super::{Call, GroupSettings, Settings, Shard, Topic, Topics};
use bytes::Bytes;
use ottla_types::{ErrorCode, ProducerId, TopicId, Uuid};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Topics by name; ids are made from the names.
#[derive(Debug, Clone, Default)]
pub struct FixedTopics {
    pub topics: BTreeMap<Arc<str>, Topic>,
    /// Names of topics that were deleted; all others are taken to be there where only that is asked.
    pub gone: BTreeSet<&'static str>,
    pub version: i64,
}

pub fn topic_id(name: &str) -> TopicId {
    let bits = name.bytes().fold(1_u128, |bits, byte| bits.wrapping_mul(257).wrapping_add(byte.into()));
    TopicId(Uuid::from_u128(bits))
}

impl FixedTopics {
    pub fn set(&mut self, name: &str, partitions: i32) {
        let name: Arc<str> = name.into();
        let topic = Topic { id: topic_id(&name), name: Arc::clone(&name), partitions, racks: Vec::new() };
        self.topics.insert(name, topic);
        self.version += 1;
    }
}

impl Topics for FixedTopics {
    fn by_name(&self, name: &str) -> Option<Topic> {
        self.topics.get(name).cloned()
    }

    fn by_id(&self, id: TopicId) -> Option<Topic> {
        self.topics.values().find(|topic| topic.id == id).cloned()
    }

    fn has(&self, name: &str, _: TopicId) -> bool {
        !self.gone.contains(name)
    }

    fn names(&self) -> Vec<Arc<str>> {
        self.topics.keys().cloned().collect()
    }

    fn version(&self) -> i64 {
        self.version
    }
}

#[derive(Debug)]
pub struct Harness {
    pub shard: Shard,
    pub settings: GroupSettings,
    pub topics: FixedTopics,
    pub now_ms: u64,
    pub log: Vec<(Bytes, Option<Bytes>, ProducerId)>,
    pub joins: BTreeMap<Token, JoinReply>,
    pub syncs: BTreeMap<Token, SyncReply>,
    /// Appends fail while set.
    pub broken: Option<ErrorCode>,
    /// `stored` is held back while set.
    pub lagging: bool,
    pub unstored: Vec<AppendId>,
    next: u64,
}

/// Wall clock at `now_ms` 0.
pub const WALL: i64 = 1_700_000_000_000;

impl Harness {
    pub fn new(adjust: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = GroupSettings::default();
        settings.broker.group_initial_rebalance_delay_ms = 0;
        adjust(&mut settings.broker);
        let mut harness = Self {
            shard: Shard::new(settings.clone().into()),
            settings,
            topics: FixedTopics::default(),
            now_ms: 1_000,
            log: Vec::new(),
            joins: BTreeMap::new(),
            syncs: BTreeMap::new(),
            broken: None,
            lagging: false,
            unstored: Vec::new(),
            next: 1,
        };
        harness.call(|shard, call| shard.loaded(call));
        harness
    }

    pub fn at(&self) -> Moment {
        Moment { now_ms: self.now_ms, wall_ms: WALL + self.now_ms as i64 }
    }

    pub fn token(&mut self) -> Token {
        self.next += 1;
        Token(self.next)
    }

    /// One step of the loop; an append that fails gives the error.
    pub fn try_call<R>(
        &mut self,
        handler: impl FnOnce(&mut Shard, Call<'_>) -> Outcome<R>,
    ) -> Result<R, ErrorCode> {
        self.try_call_as(ProducerId::NONE, handler)
    }

    pub fn try_call_as<R>(
        &mut self,
        producer: ProducerId,
        handler: impl FnOnce(&mut Shard, Call<'_>) -> Outcome<R>,
    ) -> Result<R, ErrorCode> {
        let at = self.at();
        let outcome = handler(&mut self.shard, Call { at, topics: &self.topics });
        let appended = match self.broken {
            Some(error) if !outcome.records.is_empty() => Err(error),
            _ => Ok(()),
        };
        if appended.is_ok() {
            for record in &outcome.records {
                self.append(record, producer);
            }
        }
        self.collect();
        if let Some(append) = outcome.append {
            if self.lagging && appended.is_ok() {
                self.unstored.push(append);
            } else {
                self.stored(append, appended);
            }
        }
        appended.map(|()| outcome.reply)
    }

    pub fn stored(&mut self, append: AppendId, appended: Result<(), ErrorCode>) {
        self.try_call(|shard, call| shard.stored(call, append, appended)).ok();
    }

    pub fn call<R>(&mut self, handler: impl FnOnce(&mut Shard, Call<'_>) -> Outcome<R>) -> R {
        self.try_call(handler).unwrap()
    }

    pub fn append(&mut self, record: &Record, producer: ProducerId) {
        let (key, value) = record.encode();
        let decoded = Record::decode(&key, value.as_deref()).unwrap();
        assert_eq!(decoded, Decoded::Known(record.clone()), "a record reads back as it was");
        self.shard.replay(record, self.log.len() as i64, producer);
        self.log.push((key, value, producer));
    }

    fn collect(&mut self) {
        for effect in self.shard.drain_effects() {
            match effect {
                Effect::Join { token, reply } => {
                    assert!(self.joins.insert(token, reply).is_none(), "answered twice");
                }
                Effect::Sync { token, reply } => {
                    assert!(self.syncs.insert(token, reply).is_none(), "answered twice");
                }
            }
        }
    }

    /// Time passes; everything due on the way happens at its moment.
    pub fn pass(&mut self, ms: u64) {
        let end = self.now_ms + ms;
        while let Some(due) = self.shard.poll_timeout().filter(|due| *due <= end) {
            self.now_ms = self.now_ms.max(due);
            self.try_call(|shard, call| shard.handle_timeout(call)).ok();
        }
        self.now_ms = end;
    }

    /// The coordinator moves: a new shard is loaded from the log's bytes.
    pub fn reload(&mut self) {
        let at = self.at();
        let old = std::mem::replace(&mut self.shard, Shard::new(self.settings.clone().into()));
        for effect in old.unloaded(Call { at, topics: &self.topics }) {
            match effect {
                Effect::Join { token, reply } => drop(self.joins.insert(token, reply)),
                Effect::Sync { token, reply } => drop(self.syncs.insert(token, reply)),
            }
        }
        self.unstored.clear();
        for (offset, (key, value, producer)) in self.log.iter().enumerate() {
            let Decoded::Known(record) = Record::decode(key, value.as_deref()).unwrap() else { continue };
            self.shard.replay(&record, offset as i64, *producer);
        }
        self.call(|shard, call| shard.loaded(call));
    }

    // Requests of the classic protocol.

    pub fn join(&mut self, who: Who<'_>) -> (Token, Option<JoinReply>) {
        let token = self.token();
        let request = JoinRequest {
            token,
            group_id: who.group,
            member_id: who.member,
            group_instance_id: who.instance,
            client: Client { id: "client", host: "/127.0.0.1" },
            protocol_type: "consumer",
            protocols: who.protocols.iter().map(|name| (*name, who.metadata.clone())).collect(),
            session_timeout_ms: 10_000,
            rebalance_timeout_ms: 60_000,
            requires_known_member_id: who.requires_known_member_id,
            supports_skipping_assignment: true,
            fresh_id: Uuid::from_u128(token.0.into()),
        };
        // Where the reply comes later the machine answers, also for an append that fails.
        let mut later = false;
        let reply = self.try_call(|shard, call| {
            let outcome = shard.join(call, &request);
            later = outcome.reply.is_none();
            outcome
        });
        let reply = match reply {
            Err(error) if !later => Some(JoinReply::refused(error, "")),
            reply => reply.unwrap_or(None),
        };
        let reply = reply.or_else(|| self.joins.remove(&token));
        (token, reply)
    }

    /// Joins and waits for nothing: the member is alone or completes the group.
    pub fn joined(&mut self, who: Who<'_>) -> JoinReply {
        let (token, reply) = self.join(who);
        let reply = reply.or_else(|| {
            self.pass(0);
            self.joins.remove(&token)
        });
        reply.expect("the join is answered")
    }

    pub fn sync(
        &mut self,
        group: &str,
        joined: &JoinReply,
        all: &[(&str, &[u8])],
    ) -> (Token, Option<SyncReply>) {
        let token = self.token();
        let assignments =
            all.iter().map(|(member, bytes)| (*member, Bytes::copy_from_slice(bytes))).collect();
        let request = SyncRequest {
            token,
            group_id: group,
            member_id: &joined.member_id,
            group_instance_id: None,
            generation_id: joined.generation_id,
            protocol_type: joined.protocol_type.as_deref(),
            protocol_name: joined.protocol_name.as_deref(),
            assignments,
        };
        let reply = self.try_call(|shard, call| shard.sync(call, &request)).unwrap_or(None);
        let reply = reply.or_else(|| self.syncs.remove(&token));
        (token, reply)
    }

    pub fn heartbeat(&mut self, group: &str, member: &str, generation_id: i32) -> ErrorCode {
        let request =
            HeartbeatRequest { group_id: group, member_id: member, group_instance_id: None, generation_id };
        let at = self.at();
        let verdict = self.shard.heartbeat(Call { at, topics: &self.topics }, &request);
        self.collect();
        verdict.err().unwrap_or(ErrorCode::None)
    }

    pub fn leave(&mut self, group: &str, members: &[(&str, Option<&str>)]) -> Vec<Left> {
        self.try_leave(group, members).unwrap()
    }

    pub fn try_leave(
        &mut self,
        group: &str,
        members: &[(&str, Option<&str>)],
    ) -> Result<Vec<Left>, ErrorCode> {
        let leavers = members.iter().map(|(member_id, group_instance_id)| Leaver {
            member_id,
            group_instance_id: *group_instance_id,
        });
        let request = LeaveRequest { group_id: group, members: leavers.collect() };
        self.try_call(|shard, call| shard.leave(call, &request).unwrap())
    }

    // The consumer protocol.

    pub fn beat(&mut self, member: &Beat<'_>) -> Result<consumer::HeartbeatReply, ErrorCode> {
        let request = consumer::HeartbeatRequest {
            group_id: "g",
            member_id: member.member,
            member_epoch: member.epoch,
            instance_id: member.instance,
            rack_id: None,
            rebalance_timeout_ms: if member.epoch == 0 || member.says_everything { 60_000 } else { -1 },
            subscribed_topics: member.topics.clone(),
            subscribed_regex: member.regex,
            server_assignor: member.assignor,
            owned: member.owned.clone(),
            client: Client { id: "client", host: "/127.0.0.1" },
            fresh_id: Uuid::nil(),
        };
        let mut refused = None;
        let reply = self.try_call(|shard, call| match shard.consumer_heartbeat(call, &request) {
            Ok(outcome) => Outcome {
                records: outcome.records,
                append: outcome.append,
                atomic: outcome.atomic,
                reply: Some(outcome.reply),
            },
            Err(refusal) => {
                refused = Some(refusal.code());
                Outcome::without_records(None)
            }
        });
        match (refused, reply) {
            (Some(error), _) | (None, Err(error)) => Err(error),
            (None, Ok(reply)) => Ok(reply.unwrap()),
        }
    }

    // Offsets.

    pub fn commit(&mut self, group: &str, member: &str, generation: i32, offset: i64) -> ErrorCode {
        let from = Committer {
            member_id: member,
            group_instance_id: None,
            generation_id_or_member_epoch: generation,
            transactional: false,
            knows_member_epochs: true,
        };
        self.commit_as(group, from, ("topic", 0, offset), ProducerId::NONE)
    }

    pub fn commit_as(
        &mut self,
        group: &str,
        from: Committer<'_>,
        (topic, partition, offset): (&str, i32, i64),
        producer: ProducerId,
    ) -> ErrorCode {
        let partition = CommitPartition { partition, offset, leader_epoch: 3, metadata: "m" };
        let topics = vec![CommitTopic { name: topic, topic_id: TopicId::ZERO, partitions: vec![partition] }];
        let request = CommitRequest { group_id: group, from, retention_ms: None, topics };
        let mut refused = None;
        let reply = self.try_call_as(producer, |shard, call| match shard.commit_offsets(call, &request) {
            Ok(outcome) => outcome,
            Err(error) => {
                refused = Some(error);
                Outcome::without_records(Vec::new())
            }
        });
        match (refused, reply) {
            (Some(error), _) | (None, Err(error)) => error,
            (None, Ok(reply)) => reply[0][0],
        }
    }

    /// The committed offset of `topic-0`; -1 for none.
    pub fn committed(&self, group: &str) -> i64 {
        let topics = Some(vec![FetchTopic { name: "topic", partitions: vec![0] }]);
        let request =
            FetchGroup { group_id: group, member_id: None, member_epoch: -1, topics, require_stable: false };
        self.shard.fetch_offsets(&request).unwrap()[0].partitions[0].offset
    }
}

/// A member about to join.
#[derive(Debug, Clone)]
pub struct Who<'a> {
    pub group: &'a str,
    pub member: &'a str,
    pub instance: Option<&'a str>,
    pub protocols: Vec<&'a str>,
    pub metadata: Bytes,
    pub requires_known_member_id: bool,
}

pub fn who<'a>(group: &'a str, member: &'a str) -> Who<'a> {
    Who {
        group,
        member,
        instance: None,
        protocols: vec!["range"],
        metadata: Bytes::from_static(b"\0\0\0\0\0\x01\0\x05topic\xff\xff\xff\xff"),
        requires_known_member_id: false,
    }
}

impl<'a> Who<'a> {
    pub fn instance(self, instance: &'a str) -> Self {
        Self { instance: Some(instance), ..self }
    }

    pub fn protocols(self, protocols: &[&'a str]) -> Self {
        Self { protocols: protocols.to_vec(), ..self }
    }

    pub fn metadata(self, metadata: Bytes) -> Self {
        Self { metadata, ..self }
    }

    pub fn with_known_id_required(self) -> Self {
        Self { requires_known_member_id: true, ..self }
    }
}

/// A consumer member's heartbeat.
#[derive(Debug, Clone, Default)]
pub struct Beat<'a> {
    pub member: &'a str,
    pub epoch: i32,
    pub instance: Option<&'a str>,
    pub topics: Option<Vec<&'a str>>,
    pub regex: Option<&'a str>,
    pub assignor: Option<&'a str>,
    pub owned: Option<consumer::Partitions>,
    /// As clients do after an answer that did not come: the time-out is named, so that all is told again.
    pub says_everything: bool,
}

pub fn joins<'a>(member: &'a str, topics: &[&'a str]) -> Beat<'a> {
    Beat {
        member,
        topics: Some(topics.to_vec()),
        owned: Some(consumer::Partitions::new()),
        ..Beat::default()
    }
}

pub fn beats(member: &str, epoch: i32) -> Beat<'_> {
    Beat { member, epoch, ..Beat::default() }
}

impl<'a> Beat<'a> {
    pub fn instance(self, instance: &'a str) -> Self {
        Self { instance: Some(instance), ..self }
    }

    pub fn owning(self, owned: &[(&str, &[i32])]) -> Self {
        Self { owned: Some(partitions(owned)), ..self }
    }
}

pub fn partitions(of: &[(&str, &[i32])]) -> consumer::Partitions {
    of.iter().map(|(topic, partitions)| (topic_id(topic), partitions.iter().copied().collect())).collect()
}
