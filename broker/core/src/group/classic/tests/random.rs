//! Random schedules: members join, sync, commit, leave, crash; time passes; appends fail; the coordinator moves.
//!
//! Checked all along: the group's own invariants, one owner per partition and generation, and that committed
//! offsets are what was committed last, whatever happens.

use crate::group::Token;
use crate::group::classic::{JoinReply, SyncReply};
use crate::group::coordinator::tests::find_classic_group;
use crate::group::harness::{Harness, who};
use ottla_types::ErrorCode;
use proptest::prelude::*;
use std::collections::BTreeMap;

const PARTITIONS: u8 = 4;

#[derive(Debug, Clone)]
enum Step {
    Join(usize),
    Sync(usize),
    Heartbeat(usize),
    Commit(usize),
    Leave(usize),
    Crash(usize),
    Pass(u64),
    Store,
    Lag(bool),
    Break(bool),
    Reload,
}

fn step() -> impl Strategy<Value = Step> {
    let client = 0..4_usize;
    prop_oneof![
        6 => client.clone().prop_map(Step::Join),
        6 => client.clone().prop_map(Step::Sync),
        3 => client.clone().prop_map(Step::Heartbeat),
        3 => client.clone().prop_map(Step::Commit),
        1 => client.clone().prop_map(Step::Leave),
        1 => client.prop_map(Step::Crash),
        3 => (0..8_000_u64).prop_map(Step::Pass),
        1 => Just(Step::Pass(60_000)),
        3 => Just(Step::Store),
        1 => any::<bool>().prop_map(Step::Lag),
        1 => prop::bool::weighted(0.3).prop_map(Step::Break),
        1 => Just(Step::Reload),
    ]
}

/// A client of the group; those with an odd index are static members.
#[derive(Debug, Default)]
struct Client {
    instance: Option<String>,
    member_id: String,
    joining: Option<Token>,
    joined: Option<JoinReply>,
    syncing: Option<Token>,
}

#[derive(Debug)]
struct World {
    harness: Harness,
    clients: Vec<Client>,
    /// Owner by (generation, partition).
    owners: BTreeMap<(i32, u8), String>,
    committed: i64,
    next_offset: i64,
}

impl World {
    fn new() -> Self {
        let clients = (0..4).map(|index| Client {
            instance: (index % 2 == 1).then(|| format!("static{index}")),
            ..Client::default()
        });
        Self {
            harness: Harness::new(|settings| settings.group_initial_rebalance_delay_ms = 1_000),
            clients: clients.collect(),
            owners: BTreeMap::new(),
            committed: -1,
            next_offset: 0,
        }
    }

    fn apply(&mut self, step: &Step) {
        match step {
            Step::Join(index) => self.join(*index),
            Step::Sync(index) => self.sync(*index),
            Step::Heartbeat(index) => {
                if let Some(joined) = self.clients[*index].joined.clone() {
                    let error = self.harness.heartbeat("g", &joined.member_id, joined.generation_id);
                    self.react(*index, error);
                }
            }
            Step::Commit(index) => self.commit(*index),
            Step::Leave(index) => {
                let id = std::mem::take(&mut self.clients[*index].member_id);
                if !id.is_empty() {
                    self.harness.try_leave("g", &[(&id, None)]).ok();
                }
                self.crash(*index);
            }
            Step::Crash(index) => self.crash(*index),
            Step::Pass(ms) => self.harness.pass(*ms),
            Step::Store => {
                if !self.harness.unstored.is_empty() {
                    let append = self.harness.unstored.remove(0);
                    self.harness.stored(append, Ok(()));
                }
            }
            Step::Lag(lagging) => self.harness.lagging = *lagging,
            Step::Break(broken) => self.harness.broken = broken.then_some(ErrorCode::NotEnoughReplicas),
            Step::Reload => {
                let broken = self.harness.broken.take();
                self.harness.reload();
                self.harness.broken = broken;
            }
        }
        self.read_replies();
    }

    fn crash(&mut self, index: usize) {
        let instance = self.clients[index].instance.take();
        self.clients[index] = Client { instance, ..Client::default() };
    }

    fn join(&mut self, index: usize) {
        let client = &self.clients[index];
        if client.joining.is_some() || client.syncing.is_some() {
            return;
        }
        let (member_id, instance) = (client.member_id.clone(), client.instance.clone());
        let mut who = who("g", &member_id);
        who.instance = instance.as_deref();
        who.requires_known_member_id = index == 2;
        let (token, reply) = self.harness.join(who);
        self.clients[index].joined = None;
        self.clients[index].joining = Some(token);
        if let Some(reply) = reply {
            self.harness.joins.insert(token, reply);
        }
    }

    fn sync(&mut self, index: usize) {
        let client = &self.clients[index];
        let Some(joined) = client.joined.clone().filter(|_| client.syncing.is_none()) else { return };
        let members: Vec<String> = joined.members.iter().map(|member| member.member_id.to_string()).collect();
        let parts: Vec<Vec<u8>> = (0..members.len())
            .map(|at| (0..PARTITIONS).filter(|part| usize::from(*part) % members.len() == at).collect())
            .collect();
        let leads = joined.leader == joined.member_id && !joined.skip_assignment;
        let all = members.iter().zip(&parts).filter(|_| leads);
        let all: Vec<(&str, &[u8])> = all.map(|(id, part)| (id.as_str(), part.as_slice())).collect();
        let (token, reply) = self.harness.sync("g", &joined, &all);
        self.clients[index].syncing = Some(token);
        if let Some(reply) = reply {
            self.harness.syncs.insert(token, reply);
        }
    }

    fn commit(&mut self, index: usize) {
        let Some(joined) = self.clients[index].joined.clone() else { return };
        self.next_offset += 1;
        let error = self.harness.commit("g", &joined.member_id, joined.generation_id, self.next_offset);
        if error == ErrorCode::None {
            self.committed = self.next_offset;
        }
    }

    fn react(&mut self, index: usize, error: ErrorCode) {
        match error {
            ErrorCode::UnknownMemberId | ErrorCode::FencedInstanceId => self.crash(index),
            ErrorCode::IllegalGeneration | ErrorCode::RebalanceInProgress => {
                self.clients[index].joined = None
            }
            _ => {}
        }
    }

    fn read_replies(&mut self) {
        for index in 0..self.clients.len() {
            let join = self.clients[index].joining.and_then(|token| self.harness.joins.remove(&token));
            if let Some(reply) = join {
                self.joined(index, reply);
            }
            let sync = self.clients[index].syncing.and_then(|token| self.harness.syncs.remove(&token));
            if let Some(reply) = sync {
                self.synced(index, &reply);
            }
        }
    }

    fn joined(&mut self, index: usize, reply: JoinReply) {
        self.clients[index].joining = None;
        match reply.error {
            ErrorCode::None => {
                self.clients[index].member_id = reply.member_id.to_string();
                self.clients[index].joined = Some(reply);
            }
            ErrorCode::MemberIdRequired => self.clients[index].member_id = reply.member_id.to_string(),
            error => self.react(index, error),
        }
    }

    fn synced(&mut self, index: usize, reply: &SyncReply) {
        self.clients[index].syncing = None;
        if reply.error != ErrorCode::None {
            return self.react(index, reply.error);
        }
        let Some(joined) = self.clients[index].joined.clone() else { return };
        let owner = self.clients[index].instance.clone().unwrap_or_else(|| joined.member_id.to_string());
        for partition in reply.assignment.iter() {
            let known =
                self.owners.entry((joined.generation_id, *partition)).or_insert_with(|| owner.clone());
            assert_eq!(*known, owner, "two owners of {partition} in generation {}", joined.generation_id);
        }
    }

    fn check(&self) {
        if let Some(group) = find_classic_group(&self.harness.shard, "g") {
            group.assert_consistent();
            assert_eq!(self.harness.committed("g"), self.committed, "the offset committed last");
        }
    }

    /// Without faults everyone who joins becomes stable.
    fn settle(&mut self) {
        self.harness.broken = None;
        self.harness.lagging = false;
        while let Some(append) = self.harness.unstored.pop() {
            self.harness.stored(append, Ok(()));
        }
        self.harness.reload();
        for round in 0..600 {
            self.read_replies();
            let index = round % self.clients.len();
            if self.clients[index].joined.is_none() {
                self.join(index);
            } else if !self.is_stable() {
                self.sync(index);
            }
            self.apply(&Step::Heartbeat(index));
            self.harness.pass(500);
            self.check();
        }
        assert!(self.is_stable(), "the group becomes stable");
        assert!(
            self.clients.iter().all(|client| client.joined.is_some()),
            "with everyone: {:#?}",
            self.clients
        );
    }

    fn is_stable(&self) -> bool {
        find_classic_group(&self.harness.shard, "g")
            .is_some_and(|group| group.state() == super::State::Stable)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn partitions_have_one_owner_and_offsets_survive_any_schedule(
        steps in prop::collection::vec(step(), 1..150),
    ) {
        let mut world = World::new();
        for step in &steps {
            world.apply(step);
            world.check();
        }
        world.settle();
    }
}
