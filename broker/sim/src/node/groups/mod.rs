//! Consumer groups on this broker: a shard for each partition of `__consumer_offsets` that it leads.
//!
//! As in the server: load by replay, then handle -> append -> replay -> answer when the high watermark has passed.

mod requests;

use super::{Context, Process, Replica, Role, Timer};
use crate::group_message::{GroupAnswer, GroupRequest, OFFSETS_TOPIC};
use crate::message::{Answer, Body};
use crate::trace::Address;
use bytes::Bytes;
use ottla_core::group::classic::{JoinReply, SyncReply};
use ottla_core::group::records::{Decoded, Record};
use ottla_core::group::{
    AppendId, Call, Effect, GroupSettings, Moment, Outcome, Settings, Shard, Token, append_error,
    partition_for,
};
use ottla_core::planted::{self, Bug};
use ottla_core::replication::{Ack, AckState};
use ottla_records::{BuilderOptions, RecordBatchBuilder, split};
use ottla_types::{ErrorCode, LeaderEpoch, ProducerId, TopicIdPartition};
use std::collections::{BTreeMap, VecDeque};

/// How long it takes to load a shard, microseconds from and to.
const LOAD_US: (u64, u64) = (1_000, 60_000);

/// The groups of one partition, while this broker leads it in one epoch.
#[derive(Debug)]
pub(super) struct Groups {
    epoch: LeaderEpoch,
    machine: Shard,
    waiting: BTreeMap<Token, (Address, u64)>,
    next_token: u64,
    /// What waits for the high watermark, in order.
    open: VecDeque<Open>,
}

#[derive(Debug)]
struct Open {
    ack: Option<Ack>,
    reply: Option<(Address, u64, GroupAnswer)>,
    effects: Vec<Effect>,
    append: Option<AppendId>,
}

fn settings() -> GroupSettings {
    let broker = Settings {
        group_min_session_timeout_ms: 1_000,
        group_initial_rebalance_delay_ms: 200,
        group_consumer_session_timeout_ms: 4_000,
        group_consumer_heartbeat_interval_ms: 400,
        group_consumer_assignment_interval_ms: 100,
        offsets_retention_check_interval_ms: 5_000,
        ..Settings::default()
    };
    GroupSettings { broker, overrides: BTreeMap::new() }
}

impl Process {
    /// This broker leads a partition in a new epoch: if it keeps groups, they are loaded.
    pub(super) fn open_groups(&mut self, cx: &mut Context<'_>, id: TopicIdPartition, epoch: LeaderEpoch) {
        if self.replicas.get(&id).is_none_or(|replica| &*replica.topic != OFFSETS_TOPIC) {
            return;
        }
        self.close_groups(cx, id);
        let (from, to) = LOAD_US;
        let delay = cx.random.within(from..to);
        let machine = Shard::new(settings().into());
        let groups =
            Groups { epoch, machine, waiting: BTreeMap::new(), next_token: 0, open: VecDeque::new() };
        self.groups.insert(id, groups);
        cx.after(delay, Timer::LoadGroups(id, epoch));
    }

    /// This broker leads the partition no more: whoever waits is sent to the next coordinator.
    pub(super) fn close_groups(&mut self, cx: &mut Context<'_>, id: TopicIdPartition) {
        let Some(mut groups) = self.groups.remove(&id) else { return };
        let call = Call { at: moment(cx), topics: &self.image };
        for effect in groups.machine.unloaded(call) {
            deliver(cx, &mut groups.waiting, effect);
        }
        let open = groups.open.into_iter().filter_map(|open| open.reply);
        let asked = open.map(|(to, number, _)| (to, number)).chain(groups.waiting.into_values());
        for (to, number) in asked {
            answer(cx, (to, number), GroupAnswer::Failed(ErrorCode::NotCoordinator));
        }
    }

    /// Replays the log and opens the shard for requests.
    pub(super) fn load_groups(&mut self, cx: &mut Context<'_>, id: TopicIdPartition, epoch: LeaderEpoch) {
        let Some(mut groups) = self.groups.remove(&id) else { return };
        if groups.epoch == epoch {
            match self.replay_groups(id, &mut groups.machine) {
                Ok(records) => {
                    cx.trace("p{}: loads groups from {} records", &[i64::from(id.partition), records]);
                    let call = Call { at: moment(cx), topics: &self.image };
                    let outcome = groups.machine.loaded(call);
                    let _ = self.settle(cx, id, &mut groups, outcome);
                }
                Err(error) => self.broken(cx, &format!("groups of {id:?} cannot be loaded: {error}")),
            }
        }
        self.groups.insert(id, groups);
        self.appended_groups(cx, id);
    }

    fn replay_groups(&mut self, id: TopicIdPartition, machine: &mut Shard) -> Result<i64, String> {
        let replica = self.replicas.get_mut(&id).ok_or("the replica is gone")?;
        let mut next = replica.log.log_start_offset();
        let end = replica.log.log_end_offset();
        let mut count = 0;
        while next < end {
            let slice = replica.log.read(next, 1 << 20, true, end).map_err(|error| error.to_string())?;
            let bytes = Bytes::from(slice.read().map_err(|error| error.to_string())?);
            if bytes.is_empty() {
                return Err(format!("nothing can be read at offset {next}"));
            }
            next = slice.next_offset;
            for batch in split(bytes) {
                let batch = batch.map_err(|error| error.to_string())?;
                for record in batch.records(1 << 20).map_err(|error| error.to_string())? {
                    let record = record.map_err(|error| error.to_string())?;
                    let key = record.key.as_deref().ok_or("a record without key")?;
                    match Record::decode(key, record.value.as_deref()) {
                        Ok(Decoded::Known(known)) => machine.replay(&known, record.offset, ProducerId::NONE),
                        Ok(Decoded::Unknown(_)) => {}
                        Err(error) => return Err(error.to_string()),
                    }
                    count += 1;
                }
            }
        }
        Ok(count)
    }

    /// Somebody asks the coordinator of a group.
    pub(super) fn handle_group(
        &mut self,
        cx: &mut Context<'_>,
        asker: (Address, u64),
        request: &GroupRequest,
    ) {
        let id = self.image.topic_by_name(OFFSETS_TOPIC).map(|topic| TopicIdPartition {
            topic_id: topic.id,
            partition: partition_for(&request.group, i32::try_from(topic.partitions.len()).unwrap_or(1)),
        });
        let taken = id.and_then(|id| Some((id, self.groups.remove(&id)?)));
        let Some((id, mut groups)) = taken else {
            return answer(cx, asker, GroupAnswer::Failed(ErrorCode::NotCoordinator));
        };
        let token = Token(groups.next_token);
        groups.next_token += 1;
        let call = Call { at: moment(cx), topics: &self.image };
        let fresh_id = ottla_types::Uuid::from_u64_pair(cx.random.next_u64(), cx.random.next_u64());
        match requests::handle(&mut groups.machine, call, request, (token, fresh_id)) {
            Err(code) => answer(cx, asker, GroupAnswer::Failed(code)),
            Ok(outcome) => {
                let comes_later = outcome.reply.is_none();
                if comes_later {
                    groups.waiting.insert(token, asker);
                }
                match self.settle(cx, id, &mut groups, outcome) {
                    Ok(Some(reply)) => {
                        let ack = self.group_ack(id);
                        let reply = Some((asker.0, asker.1, reply));
                        groups.open.push_back(Open { ack, reply, effects: Vec::new(), append: None });
                    }
                    Ok(None) => {}
                    Err(_) if comes_later => {}
                    Err(code) => answer(cx, asker, GroupAnswer::Failed(code)),
                }
            }
        }
        self.groups.insert(id, groups);
        self.appended_groups(cx, id);
    }

    /// Appends and replays what a turn decided; what it answers to others waits for the high watermark.
    fn settle<R>(
        &mut self,
        cx: &mut Context<'_>,
        id: TopicIdPartition,
        groups: &mut Groups,
        outcome: Outcome<R>,
    ) -> Result<R, ErrorCode> {
        let appended = self.append_group_records(cx, id, &mut groups.machine, &outcome.records);
        if let (Err(code), Some(append)) = (appended, outcome.append) {
            let call = Call { at: moment(cx), topics: &self.image };
            let next = groups.machine.stored(call, append, Err(code));
            let _ = self.settle(cx, id, groups, next);
        }
        let append = outcome.append.filter(|_| appended.is_ok());
        let effects = groups.machine.drain_effects();
        if !effects.is_empty() || append.is_some() {
            let ack = self.group_ack(id);
            groups.open.push_back(Open { ack, reply: None, effects, append });
        }
        appended.map(|()| outcome.reply).map_err(append_error)
    }

    fn append_group_records(
        &mut self,
        cx: &mut Context<'_>,
        id: TopicIdPartition,
        machine: &mut Shard,
        records: &[Record],
    ) -> Result<(), ErrorCode> {
        if records.is_empty() {
            return Ok(());
        }
        let mut builder = RecordBatchBuilder::new(BuilderOptions::default());
        for record in records {
            let (key, value) = record.encode();
            let built = builder.append(cx.wall_ms(), Some(&key), value.as_deref(), &[]);
            built.map_err(|error| error.code())?;
        }
        let (base_offset, _) = self.append(cx, id, -1, &builder.build())?;
        for (offset, record) in (base_offset..).zip(records) {
            machine.replay(record, offset, ProducerId::NONE);
        }
        Ok(())
    }

    /// What everything that is in the log now waits for; `None` if this broker does not lead any more.
    fn group_ack(&self, id: TopicIdPartition) -> Option<Ack> {
        let replica = self.replicas.get(&id)?;
        let Role::Leader(leader) = &replica.role else { return None };
        Some(leader.ack(leader.log_end_offset() - 1))
    }

    /// After an append to a groups' log.
    fn appended_groups(&mut self, cx: &mut Context<'_>, id: TopicIdPartition) {
        if let Some(replica) = self.replicas.get_mut(&id) {
            replica.wants_sync |= replica.settings.flush;
        }
        self.run_leader_effects(cx, id);
        self.begin_sync(cx, id);
        self.wake_fetches(cx, id);
        self.answer_groups(cx, id);
    }

    /// Sends what has waited for the high watermark.
    pub(super) fn answer_groups(&mut self, cx: &mut Context<'_>, id: TopicIdPartition) {
        let mut appended = false;
        while let Some(groups) = self.groups.get_mut(&id) {
            let Some(Replica { role: Role::Leader(leader), .. }) = self.replicas.get(&id) else { break };
            let Some(first) = groups.open.front() else { break };
            let state = match first.ack {
                _ if planted::is(Bug::AnswerGroupsBeforeReplication) => AckState::Done,
                Some(ack) => leader.check_ack(ack),
                None => AckState::Failed(ErrorCode::NotLeaderOrFollower),
            };
            let stored = match state {
                AckState::Waiting => break,
                AckState::Done => Ok(()),
                AckState::Failed(code) => Err(code),
            };
            let Some(open) = groups.open.pop_front() else { break };
            appended |= self.finish(cx, id, open, stored);
        }
        if appended {
            self.appended_groups(cx, id);
        }
    }

    fn finish(
        &mut self,
        cx: &mut Context<'_>,
        id: TopicIdPartition,
        open: Open,
        stored: Result<(), ErrorCode>,
    ) -> bool {
        let Some(mut groups) = self.groups.remove(&id) else { return false };
        for effect in open.effects {
            let effect = stored.map_or_else(|code| failed(&effect, append_error(code)), |()| effect.clone());
            deliver(cx, &mut groups.waiting, effect);
        }
        if let Some((to, number, reply)) = open.reply {
            let reply = stored.map_or_else(|code| GroupAnswer::Failed(append_error(code)), |()| reply);
            answer(cx, (to, number), reply);
        }
        let mut appended = false;
        if let Some(append) = open.append {
            let call = Call { at: moment(cx), topics: &self.image };
            let next = groups.machine.stored(call, append, stored);
            appended = !next.records.is_empty();
            let _ = self.settle(cx, id, &mut groups, next);
        }
        self.groups.insert(id, groups);
        appended
    }

    /// Lets groups do what is due by time.
    pub(super) fn tick_groups(&mut self, cx: &mut Context<'_>) {
        let due: Vec<TopicIdPartition> = self
            .groups
            .iter()
            .filter(|(_, groups)| groups.machine.poll_timeout().is_some_and(|at| at <= cx.now_ms))
            .map(|(id, _)| *id)
            .collect();
        for id in due {
            let Some(mut groups) = self.groups.remove(&id) else { continue };
            while groups.machine.poll_timeout().is_some_and(|at| at <= cx.now_ms) {
                let call = Call { at: moment(cx), topics: &self.image };
                let outcome = groups.machine.handle_timeout(call);
                let _ = self.settle(cx, id, &mut groups, outcome);
            }
            self.groups.insert(id, groups);
            self.appended_groups(cx, id);
        }
    }
}

fn moment(cx: &Context<'_>) -> Moment {
    Moment { now_ms: cx.now_ms, wall_ms: cx.wall_ms() }
}

fn answer(cx: &mut Context<'_>, (to, number): (Address, u64), answer: GroupAnswer) {
    cx.send(to, Body::Answer(number, Answer::Group(Box::new(answer))));
}

fn deliver(cx: &mut Context<'_>, waiting: &mut BTreeMap<Token, (Address, u64)>, effect: Effect) {
    let (token, reply) = match effect {
        Effect::Join { token, reply } => (token, GroupAnswer::Joined(reply)),
        Effect::Sync { token, reply } => (token, GroupAnswer::Synced(reply)),
    };
    if let Some(asker) = waiting.remove(&token) {
        answer(cx, asker, reply);
    }
}

fn failed(effect: &Effect, code: ErrorCode) -> Effect {
    match effect {
        Effect::Join { token, reply } => {
            Effect::Join { token: *token, reply: JoinReply::refused(code, reply.member_id.clone()) }
        }
        Effect::Sync { token, .. } => Effect::Sync { token: *token, reply: SyncReply::refused(code) },
    }
}
