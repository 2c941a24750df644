//! Brokers and the replica sets on them, by index: what the plans work on.

use super::{Availability, Broker, mix};
use ottla_types::BrokerId;
use std::collections::BTreeMap;

/// Brokers and replica sets, both by index.
pub(super) struct Fleet {
    ids: Vec<BrokerId>,
    racks: Vec<usize>,
    rack_count: usize,
    /// May be given replicas.
    is_open: Vec<bool>,
    /// The replica sets, the preferred leader first.
    pub sets: Vec<Vec<usize>>,
    /// The sets that a broker is in, in no order.
    on: Vec<Vec<usize>>,
    /// By broker and rack: sets of the broker that have fewer replicas in that rack than in the broker's own.
    crossable: Vec<Vec<u32>>,
    seed: u64,
}

/// A partition that is to have other replicas, or others of them first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// Its place in the list that the plan was made for.
    pub partition: usize,
    /// All of its replicas, the preferred leader first.
    pub replicas: Vec<BrokerId>,
}

impl Fleet {
    /// Brokers that hold replicas and are not in `brokers` are there too, and get nothing.
    pub fn new(brokers: &[Broker], partitions: &[Vec<BrokerId>], seed: u64) -> Self {
        let mut index: BTreeMap<BrokerId, usize> = BTreeMap::new();
        let known = brokers.iter().map(|broker| broker.id).chain(partitions.iter().flatten().copied());
        for id in known {
            let next = index.len();
            index.entry(id).or_insert(next);
        }
        let mut ids = vec![BrokerId::NONE; index.len()];
        for (id, at) in &index {
            ids[*at] = *id;
        }
        let mut rack_names: BTreeMap<Option<&String>, usize> = BTreeMap::new();
        let mut racks = vec![0; ids.len()];
        let mut is_open = vec![false; ids.len()];
        for broker in brokers {
            let next = rack_names.len();
            racks[index[&broker.id]] = *rack_names.entry(broker.rack.as_ref()).or_insert(next);
            is_open[index[&broker.id]] = broker.availability == Availability::Active;
        }
        let sets: Vec<Vec<usize>> =
            partitions.iter().map(|set| set.iter().map(|id| index[id]).collect()).collect();
        let mut on = vec![Vec::new(); ids.len()];
        for (set, members) in sets.iter().enumerate() {
            for &member in members {
                on[member].push(set);
            }
        }
        let rack_count = rack_names.len().max(1);
        let crossable = vec![vec![0; rack_count]; ids.len()];
        let mut fleet = Self { ids, racks, rack_count, is_open, sets, on, crossable, seed };
        for set in 0..fleet.sets.len() {
            fleet.count_crossings(set, 1);
        }
        fleet
    }

    /// Adds what a set contributes to `crossable`, or takes it away.
    fn count_crossings(&mut self, set: usize, sign: i32) {
        let in_racks = self.in_racks(set);
        for &member in &self.sets[set] {
            for rack in 0..self.rack_count {
                if in_racks[rack] < in_racks[self.racks[member]] {
                    let count = &mut self.crossable[member][rack];
                    *count = count.wrapping_add_signed(sign);
                }
            }
        }
    }

    pub fn index_of(&self, id: BrokerId) -> Option<usize> {
        self.ids.iter().position(|known| *known == id)
    }

    pub fn len(&self) -> usize {
        self.ids.len()
    }

    pub fn close(&mut self, broker: usize) {
        self.is_open[broker] = false;
    }

    pub fn is_open(&self, broker: usize) -> bool {
        self.is_open[broker]
    }

    pub fn open(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.ids.len()).filter(|&broker| self.is_open[broker])
    }

    /// Who may lead: those that may be given replicas.
    pub fn may_lead(&self) -> Vec<bool> {
        self.is_open.clone()
    }

    pub fn load(&self, broker: usize) -> usize {
        self.on[broker].len()
    }

    /// The sets that a broker is in, in no order.
    pub fn sets_of(&self, broker: usize) -> &[usize] {
        &self.on[broker]
    }

    /// Replicas of a set in each rack.
    pub fn in_racks(&self, set: usize) -> Vec<u32> {
        let mut counts = vec![0; self.rack_count];
        for &member in &self.sets[set] {
            counts[self.racks[member]] += 1;
        }
        counts
    }

    pub fn rack(&self, broker: usize) -> usize {
        self.racks[broker]
    }

    /// The open broker that should get the next replica of a set: in the rack that has the fewest, then the one with
    /// the least load. `leaving` is a member that is about to go.
    pub fn best_for(&self, set: usize, leaving: Option<usize>) -> Option<usize> {
        let mut in_racks = self.in_racks(set);
        if let Some(leaving) = leaving {
            in_racks[self.racks[leaving]] -= 1;
        }
        let seed = mix(self.seed ^ set as u64);
        let free = self.open().filter(|broker| !self.sets[set].contains(broker));
        free.min_by_key(|&broker| {
            (in_racks[self.racks[broker]], self.load(broker), mix(seed ^ self.ids[broker].0 as u64))
        })
    }

    /// A set of which a replica can go from one broker to the other without being less spread over racks; of those
    /// the one that came last.
    pub fn movable(&self, from: usize, to: usize) -> Option<usize> {
        let (old, new) = (self.racks[from], self.racks[to]);
        if old != new && self.crossable[from][new] == 0 {
            return None;
        }
        let is_movable = |set: &usize| {
            let members = &self.sets[*set];
            let count = |rack| members.iter().filter(|&&member| self.racks[member] == rack).count();
            !members.contains(&to) && (old == new || count(new) < count(old))
        };
        self.on[from].iter().rev().copied().find(is_movable)
    }

    pub fn replace(&mut self, set: usize, from: usize, to: usize) {
        self.count_crossings(set, -1);
        if let Some(member) = self.sets[set].iter_mut().find(|member| **member == from) {
            *member = to;
        }
        self.take_off(set, from);
        self.on[to].push(set);
        self.count_crossings(set, 1);
    }

    pub fn add(&mut self, set: usize, broker: usize) {
        self.count_crossings(set, -1);
        self.sets[set].push(broker);
        self.on[broker].push(set);
        self.count_crossings(set, 1);
    }

    pub fn remove(&mut self, set: usize, broker: usize) {
        self.count_crossings(set, -1);
        self.sets[set].retain(|member| *member != broker);
        self.take_off(set, broker);
        self.count_crossings(set, 1);
    }

    fn take_off(&mut self, set: usize, broker: usize) {
        if let Some(at) = self.on[broker].iter().rposition(|known| *known == set) {
            self.on[broker].swap_remove(at);
        }
    }

    /// What differs from how it was.
    pub fn moves(&self, before: &[Vec<BrokerId>]) -> Vec<Move> {
        let now = self.sets.iter().map(|set| set.iter().map(|&member| self.ids[member]).collect());
        let changed = now
            .zip(before)
            .enumerate()
            .filter(|(_, (now, before)): &(usize, (Vec<BrokerId>, _))| now != *before);
        changed.map(|(partition, (replicas, _))| Move { partition, replicas }).collect()
    }
}
