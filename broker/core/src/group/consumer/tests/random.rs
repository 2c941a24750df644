//! Random schedules of consumer and classic members in one group: joins, heartbeats, leaves, crashes, lost answers,
//! changed subscriptions, growing topics, time, failing appends, reloads.
//!
//! Clients behave as Kafka's: they own what they were told and give up before they say so. Checked all along: the
//! group's own invariants, that no two clients own a partition at the same time, and that offsets committed are
//! what was committed last. In the end, without faults, everyone arrives and everything is owned.

use crate::group::classic::JoinReply;
use crate::group::consumer::{HeartbeatReply, LEAVE_EPOCH, LEAVE_STATIC_EPOCH, Partitions, State};
use crate::group::consumer_protocol::{Subscription, decode_assignment};
use crate::group::coordinator::tests::{consumer_group, find_classic_group, is_consumer_group};
use crate::group::harness::{Beat, Harness, topic_id, who};
use ottla_types::{ErrorCode, TopicId};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// `group.consumer.session.timeout.ms`.
const SESSION_MS: u64 = 45_000;
/// The time in which the harness's members say that they give partitions up.
const REBALANCE_MS: u64 = 60_000;
const NAMES: [&str; 4] = ["m0", "m1", "m2", "m3"];

#[derive(Debug, Clone)]
enum Step {
    Beat(usize),
    LoseAnswer(usize),
    Resubscribe(usize, bool),
    Commit(usize),
    Leave(usize),
    Crash(usize),
    ClassicJoin,
    ClassicSync,
    ClassicBeat,
    ClassicLeave,
    GrowTopic,
    Pass(u64),
    Break(bool),
    Reload,
}

fn step() -> impl Strategy<Value = Step> {
    let client = 0..4_usize;
    prop_oneof![
        14 => client.clone().prop_map(Step::Beat),
        2 => client.clone().prop_map(Step::LoseAnswer),
        2 => (client.clone(), any::<bool>()).prop_map(|(client, both)| Step::Resubscribe(client, both)),
        2 => client.clone().prop_map(Step::Commit),
        1 => client.clone().prop_map(Step::Leave),
        1 => client.prop_map(Step::Crash),
        3 => Just(Step::ClassicJoin),
        3 => Just(Step::ClassicSync),
        3 => Just(Step::ClassicBeat),
        1 => Just(Step::ClassicLeave),
        1 => Just(Step::GrowTopic),
        3 => (0..4_000_u64).prop_map(Step::Pass),
        1 => Just(Step::Pass(61_000)),
        1 => prop::bool::weighted(0.3).prop_map(Step::Break),
        1 => Just(Step::Reload),
    ]
}

/// A client of the consumer protocol; `m3` is a static member.
#[derive(Debug, Clone, Default)]
struct Client {
    incarnation: u32,
    epoch: i32,
    owned: Partitions,
    both: bool,
    /// It waits for an answer still, or got an error: it will say everything again.
    says_everything: bool,
    told_at_ms: u64,
    /// Until when the coordinator will think it alive: what it owns after that is not its any more.
    alive_until_ms: u64,
    left_to_come_back: bool,
}

#[derive(Debug, Default)]
struct Classic {
    member_id: String,
    generation_id: i32,
    joined: Option<JoinReply>,
    owned: Vec<(Arc<str>, Vec<i32>)>,
    alive_until_ms: u64,
    /// Until when it must have synced, or joined again.
    must_act_by_ms: Option<u64>,
}

#[derive(Debug)]
struct World {
    harness: Harness,
    clients: Vec<Client>,
    classic: Classic,
    committed: i64,
    next_offset: i64,
}

impl World {
    fn new() -> Self {
        let mut harness = Harness::new(|settings| settings.group_consumer_assignment_interval_ms = 500);
        harness.topics.set("topic", 5);
        harness.topics.set("other", 2);
        Self {
            harness,
            clients: vec![Client::default(); 4],
            classic: Classic::default(),
            committed: -1,
            next_offset: 0,
        }
    }

    fn name(&self, index: usize) -> String {
        format!("{}-{}", NAMES[index], self.clients[index].incarnation)
    }

    fn instance(index: usize) -> Option<&'static str> {
        (index == 3).then_some("static")
    }

    fn beat(&mut self, index: usize, lose_answer: bool) {
        let client = self.clients[index].clone();
        if client.epoch < 0 {
            return;
        }
        let name = self.name(index);
        let joins = client.epoch == 0;
        let topics = if client.both { vec!["topic", "other"] } else { vec!["topic"] };
        let beat = Beat {
            member: &name,
            epoch: client.epoch,
            instance: Self::instance(index),
            topics: Some(topics),
            owned: Some(if joins { Partitions::new() } else { client.owned }),
            says_everything: client.says_everything,
            ..Beat::default()
        };
        self.clients[index].says_everything = true;
        match self.harness.beat(&beat) {
            Ok(_) if lose_answer => {}
            Ok(reply) => self.told(index, reply),
            Err(
                ErrorCode::FencedMemberEpoch
                | ErrorCode::UnknownMemberId
                | ErrorCode::FencedInstanceId
                | ErrorCode::GroupIdNotFound,
            ) => {
                let client = &mut self.clients[index];
                client.epoch = 0;
                client.owned.clear();
            }
            Err(_) => {}
        }
    }

    fn told(&mut self, index: usize, reply: HeartbeatReply) {
        let now_ms = self.harness.now_ms;
        let client = &mut self.clients[index];
        client.epoch = reply.member_epoch;
        client.says_everything = false;
        client.alive_until_ms = now_ms + SESSION_MS;
        let told_before_ms = std::mem::replace(&mut client.told_at_ms, now_ms);
        let Some(assignment) = reply.assignment else { return };
        let keeps = |(topic, owned): (&TopicId, &BTreeSet<i32>)| {
            assignment.get(topic).is_some_and(|assigned| assigned.is_superset(owned))
        };
        if !client.owned.iter().all(keeps) {
            // A lost answer may have said so before; the time to give partitions up runs since then.
            client.alive_until_ms = client.alive_until_ms.min(told_before_ms + REBALANCE_MS);
        }
        client.owned = assignment;
    }

    fn leave(&mut self, index: usize) {
        let client = &self.clients[index];
        if client.epoch <= 0 {
            return;
        }
        let name = self.name(index);
        let instance = Self::instance(index);
        let epoch = if instance.is_some() { LEAVE_STATIC_EPOCH } else { LEAVE_EPOCH };
        // Whether or not the coordinator could store it, the client is gone.
        let left = self.harness.beat(&Beat { member: &name, epoch, instance, ..Beat::default() });
        self.crash(index);
        self.clients[index].left_to_come_back = left.is_ok() && instance.is_some();
    }

    fn crash(&mut self, index: usize) {
        let client = &mut self.clients[index];
        *client = Client { incarnation: client.incarnation + 1, both: client.both, ..Client::default() };
    }

    fn commit(&mut self, index: usize) {
        let client = &self.clients[index];
        let holds = client.owned.get(&topic_id("topic")).is_some_and(|owned| owned.contains(&0));
        if client.epoch <= 0 || !holds {
            return;
        }
        self.next_offset += 1;
        let (name, epoch) = (self.name(index), client.epoch);
        if self.harness.commit("g", &name, epoch, self.next_offset) == ErrorCode::None {
            self.committed = self.next_offset;
        }
    }

    fn classic_metadata(&self) -> bytes::Bytes {
        let topics = vec![Arc::from("topic")];
        let owned_partitions = self.classic.owned.clone();
        Subscription { version: 3, topics, owned_partitions, generation_id: -1, ..Subscription::default() }
            .encode()
    }

    fn classic_join(&mut self) {
        let metadata = self.classic_metadata();
        let member_id = self.classic.member_id.clone();
        let (token, reply) = self.harness.join(who("g", &member_id).metadata(metadata));
        let reply = reply.or_else(|| {
            self.harness.pass(0);
            self.harness.joins.remove(&token)
        });
        let Some(reply) = reply else { return };
        match reply.error {
            ErrorCode::None => {
                self.classic.member_id = reply.member_id.to_string();
                self.classic.generation_id = reply.generation_id;
                self.classic.alive_until_ms = self.harness.now_ms + 10_000;
                self.classic.must_act_by_ms = Some(self.harness.now_ms + REBALANCE_MS);
                self.classic.joined = Some(reply);
            }
            ErrorCode::UnknownMemberId => self.classic = Classic::default(),
            _ => {}
        }
    }

    fn classic_sync(&mut self) {
        let Some(joined) = self.classic.joined.clone() else { return };
        let assignment: Vec<(Arc<str>, Vec<i32>)> = self
            .harness
            .topics
            .topics
            .values()
            .filter(|topic| &*topic.name == "topic")
            .map(|topic| (Arc::clone(&topic.name), (0..topic.partitions).collect()))
            .collect();
        let all = crate::group::consumer_protocol::encode_assignment(3, &assignment);
        let leads = joined.leader == joined.member_id;
        let parts: &[(&str, &[u8])] = &[(&joined.member_id, &all)];
        let (token, reply) = self.harness.sync("g", &joined, if leads { parts } else { &[] });
        let Some(reply) = reply.or_else(|| self.harness.syncs.remove(&token)) else { return };
        match reply.error {
            ErrorCode::None => {
                self.classic.alive_until_ms = self.harness.now_ms + 10_000;
                self.classic.must_act_by_ms = None;
                self.classic.owned = if reply.assignment.is_empty() {
                    Vec::new()
                } else {
                    decode_assignment(&reply.assignment).unwrap().0
                };
            }
            ErrorCode::UnknownMemberId => self.classic = Classic::default(),
            _ => self.classic.joined = None,
        }
    }

    fn classic_beat(&mut self) {
        let Classic { member_id, generation_id, joined: Some(_), .. } = &self.classic else { return };
        match self.harness.heartbeat("g", &member_id.clone(), *generation_id) {
            error @ (ErrorCode::None | ErrorCode::RebalanceInProgress) => {
                let now_ms = self.harness.now_ms;
                self.classic.alive_until_ms = now_ms + 10_000;
                if error == ErrorCode::RebalanceInProgress {
                    self.classic.must_act_by_ms.get_or_insert(now_ms + REBALANCE_MS);
                }
            }
            _ => self.classic = Classic::default(),
        }
    }

    fn classic_leave(&mut self) {
        let member_id = std::mem::take(&mut self.classic.member_id);
        if !member_id.is_empty() {
            self.harness.try_leave("g", &[(&member_id, None)]).ok();
        }
        self.classic = Classic::default();
    }

    fn apply(&mut self, step: &Step) {
        match step {
            Step::Beat(index) => self.beat(*index, false),
            Step::LoseAnswer(index) => self.beat(*index, true),
            Step::Resubscribe(index, both) => self.clients[*index].both = *both,
            Step::Commit(index) => self.commit(*index),
            Step::Leave(index) => self.leave(*index),
            Step::Crash(index) => self.crash(*index),
            Step::ClassicJoin => self.classic_join(),
            Step::ClassicSync => self.classic_sync(),
            Step::ClassicBeat => self.classic_beat(),
            Step::ClassicLeave => self.classic_leave(),
            Step::GrowTopic => {
                let partitions = self.harness.topics.topics["topic"].partitions;
                self.harness.topics.set("topic", (partitions + 1).min(8));
            }
            Step::Pass(ms) => self.harness.pass(*ms),
            Step::Break(broken) => self.harness.broken = broken.then_some(ErrorCode::NotEnoughReplicas),
            Step::Reload => {
                let broken = self.harness.broken.take();
                self.harness.reload();
                self.harness.broken = broken;
            }
        }
    }

    fn check(&self) {
        assert_eq!(self.committed_now(), self.committed, "the offset committed last");
        if let Some(group) = find_classic_group(&self.harness.shard, "g") {
            group.assert_consistent();
        }
        if !is_consumer_group(&self.harness.shard, "g") {
            return;
        }
        consumer_group(&self.harness.shard, "g").assert_consistent();
        let mut owners: BTreeMap<(TopicId, i32), String> = BTreeMap::new();
        let mut own = |topic: TopicId, partition: i32, who: String| {
            if let Some(other) = owners.insert((topic, partition), who.clone()) {
                panic!("{who} and {other} both own partition {partition}");
            }
        };
        for (index, client) in self.clients.iter().enumerate() {
            let alive = client.epoch > 0 && client.alive_until_ms > self.harness.now_ms;
            for (topic, partitions) in client.owned.iter().filter(|_| alive) {
                partitions.iter().for_each(|partition| own(*topic, *partition, self.name(index)));
            }
        }
        let until_ms = self.classic.must_act_by_ms.unwrap_or(u64::MAX).min(self.classic.alive_until_ms);
        let alive = self.classic.joined.is_some() && until_ms > self.harness.now_ms;
        for (topic, partitions) in self.classic.owned.iter().filter(|_| alive) {
            partitions.iter().for_each(|partition| own(topic_id(topic), *partition, "classic".into()));
        }
    }

    fn committed_now(&self) -> i64 {
        self.harness.committed("g")
    }

    /// Without faults all consumer members arrive, own everything and nothing moves any more.
    fn settle(&mut self) {
        self.harness.broken = None;
        self.classic_leave();
        self.harness.pass(70_000);
        for _ in 0..60 {
            for index in 0..4 {
                self.beat(index, false);
                self.check();
            }
            self.harness.pass(1_000);
        }
        let group = consumer_group(&self.harness.shard, "g");
        assert_eq!(group.state(), State::Stable);
        assert_eq!(group.members().len(), 4);
        let owned: usize =
            self.clients.iter().flat_map(|client| client.owned.values()).map(|p| p.len()).sum();
        let topic = self.harness.topics.topics["topic"].partitions;
        let other = if self.clients.iter().any(|client| client.both) { 2 } else { 0 };
        assert_eq!(owned, usize::try_from(topic + other).unwrap(), "everything is owned");
    }
}

fn run(steps: &[Step]) {
    let mut world = World::new();
    for step in steps {
        world.apply(step);
        world.check();
    }
    world.settle();
}

/// The time to give up ended while nothing could be stored: the member goes although it was heard again since.
#[test]
fn a_member_that_did_not_hear_what_to_give_up_does_not_count_on_it_for_ever() {
    use Step::{Beat, Break, LoseAnswer, Pass};
    run(&[
        Beat(0),
        Beat(1),
        Beat(0),
        Pass(61_000),
        Beat(0),
        Beat(2),
        Beat(0),
        Pass(500),
        Beat(0),
        LoseAnswer(2),
        Break(true),
        Pass(61_000),
        Break(false),
        Beat(2),
        Pass(500),
        Beat(3),
    ]);
}

#[test]
fn a_classic_member_whose_join_could_not_be_stored_need_not_sync() {
    use Step::{Beat, Break, ClassicBeat, ClassicJoin, ClassicSync, Pass};
    run(&[
        ClassicJoin,
        Beat(0),
        ClassicJoin,
        Break(true),
        ClassicSync,
        ClassicJoin,
        Pass(61_000),
        Beat(0),
        Break(false),
        ClassicBeat,
        Pass(500),
        Beat(0),
    ]);
}

#[test]
fn what_a_classic_member_must_still_give_up_survives_a_downgrade() {
    use Step::{Beat, ClassicJoin, ClassicSync, Leave};
    run(&[ClassicJoin, ClassicSync, Beat(0), ClassicJoin, Leave(0), Beat(0)]);
}

#[test]
fn what_a_classic_member_owns_between_join_and_sync_survives_an_upgrade() {
    use Step::{Beat, Break, ClassicJoin, ClassicSync, Pass};
    run(&[
        Beat(0),
        Pass(61_000),
        ClassicJoin,
        ClassicSync,
        Break(true),
        ClassicJoin,
        ClassicSync,
        Break(false),
        ClassicJoin,
        Beat(1),
    ]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn partitions_have_one_owner_at_any_time_and_offsets_survive_any_schedule(
        steps in prop::collection::vec(step(), 1..150),
    ) {
        run(&steps);
    }
}
