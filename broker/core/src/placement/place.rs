//! Replicas for new partitions.
//!
//! One partition after the other: the next replica goes to the rack that has the fewest replicas of this partition,
//! there to the broker that has the fewest replicas of this topic, then the fewest of all, then to the one that the
//! seed prefers. So a topic is spread over all brokers even while one of them is new and empty. Who leads is decided
//! afterwards, over all of the new partitions together.

use super::leaders::balance_leaders;
use super::{Availability, Broker, PlacementError, mix};
use ottla_types::BrokerId;
use std::collections::BTreeMap;

/// The replica sets of `partitions` new partitions, each with its preferred leader first.
///
/// # Errors
/// When there are fewer brokers than replicas, or none of them is active.
pub fn place(
    brokers: &[Broker],
    partitions: usize,
    replication_factor: usize,
    seed: u64,
) -> Result<Vec<Vec<BrokerId>>, PlacementError> {
    let mut open: Vec<&Broker> =
        brokers.iter().filter(|broker| broker.availability != Availability::Closed).collect();
    open.sort_by_key(|broker| broker.id);
    if replication_factor == 0 {
        return Err(PlacementError::NoReplicas);
    }
    if !open.iter().any(|broker| broker.availability == Availability::Active) {
        return Err(PlacementError::NoActiveBroker);
    }
    if open.len() < replication_factor {
        return Err(PlacementError::TooFewBrokers { replication_factor, brokers: open.len() });
    }

    let mut placer = Placer::new(&open, seed);
    let mut sets: Vec<Vec<usize>> =
        (0..partitions).map(|partition| placer.next_set(partition, replication_factor)).collect();
    let may_lead: Vec<bool> = open.iter().map(|broker| broker.availability == Availability::Active).collect();
    let loads: Vec<u64> =
        open.iter().map(|broker| u64::from(broker.topic_leaders) << 32 | u64::from(broker.leaders)).collect();
    assign_leaders(&mut sets, &may_lead, loads);
    let topic_leaders: Vec<u32> = open.iter().map(|broker| broker.topic_leaders).collect();
    balance_leaders(&mut sets, &may_lead, topic_leaders);
    Ok(sets.into_iter().map(|set| set.into_iter().map(|index| open[index].id).collect()).collect())
}

/// Puts the least loaded broker that may lead first in each set; `loads` are the leaders so far, the topic's own in
/// the upper half.
fn assign_leaders(sets: &mut [Vec<usize>], may_lead: &[bool], mut loads: Vec<u64>) {
    for set in sets {
        let candidates = set.iter().enumerate().filter(|(_, broker)| may_lead[**broker]);
        let Some((position, &broker)) = candidates.min_by_key(|(_, broker)| loads[**broker]) else {
            continue;
        };
        loads[broker] += 1 << 32 | 1;
        set[..=position].rotate_right(1);
    }
}

struct Placer {
    seed: u64,
    ids: Vec<u64>,
    racks: Vec<usize>,
    /// Away brokers count as fuller than every active one.
    is_away: Vec<bool>,
    topic_replicas: Vec<u32>,
    replicas: Vec<u32>,
    /// Of the partition at hand: replicas in each rack.
    in_rack: Vec<u32>,
}

impl Placer {
    fn new(open: &[&Broker], seed: u64) -> Self {
        let mut names: BTreeMap<&Option<String>, usize> = BTreeMap::new();
        let racks: Vec<usize> = open
            .iter()
            .map(|broker| {
                let next = names.len();
                *names.entry(&broker.rack).or_insert(next)
            })
            .collect();
        Self {
            seed,
            ids: open.iter().map(|broker| broker.id.0 as u64).collect(),
            in_rack: vec![0; names.len()],
            racks,
            is_away: open.iter().map(|broker| broker.availability == Availability::Away).collect(),
            topic_replicas: open.iter().map(|broker| broker.topic_replicas).collect(),
            replicas: open.iter().map(|broker| broker.replicas).collect(),
        }
    }

    fn next_set(&mut self, partition: usize, replication_factor: usize) -> Vec<usize> {
        let seed = mix(self.seed ^ partition as u64);
        let mut set = Vec::with_capacity(replication_factor);
        self.in_rack.fill(0);
        for _ in 0..replication_factor {
            let free = (0..self.ids.len()).filter(|index| !set.contains(index));
            let best = free.min_by_key(|&index| {
                (
                    self.is_away[index],
                    self.in_rack[self.racks[index]],
                    self.topic_replicas[index],
                    self.replicas[index],
                    mix(seed ^ self.ids[index]),
                )
            });
            // There are as many brokers as replicas, so one is always free.
            let Some(index) = best else { break };
            self.in_rack[self.racks[index]] += 1;
            self.topic_replicas[index] += 1;
            self.replicas[index] += 1;
            set.push(index);
        }
        set
    }
}
