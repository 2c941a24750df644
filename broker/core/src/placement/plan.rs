//! Plans that move as few replicas as possible: rebalance, drain, change of the replication factor.

use super::fleet::{Fleet, Move};
use super::leaders::balance_leaders;
use super::{Broker, PlacementError};
use ottla_types::BrokerId;
use std::collections::VecDeque;

/// Moves that spread the replicas of `partitions` evenly over the active brokers.
///
/// First every partition is spread over as many racks as it can be, then replicas go from the fullest broker to the
/// emptiest until they differ by one at the most, or racks forbid it. Leaders are evened out at last, which moves
/// nothing. Brokers that are away or closed keep what they have.
#[must_use]
pub fn rebalance(brokers: &[Broker], partitions: &[Vec<BrokerId>], seed: u64) -> Vec<Move> {
    let mut fleet = Fleet::new(brokers, partitions, seed);
    for set in 0..fleet.sets.len() {
        spread_over_racks(&mut fleet, set);
    }
    even_out(&mut fleet);
    let (may_lead, nobody) = (fleet.may_lead(), vec![0; fleet.len()]);
    balance_leaders(&mut fleet.sets, &may_lead, nobody);
    fleet.moves(partitions)
}

/// Moves that take every replica away from the brokers that are leaving.
///
/// # Errors
/// When the other active brokers are too few for a partition.
pub fn drain(
    brokers: &[Broker],
    partitions: &[Vec<BrokerId>],
    leaving: &[BrokerId],
    seed: u64,
) -> Result<Vec<Move>, PlacementError> {
    let mut fleet = Fleet::new(brokers, partitions, seed);
    let leaving: Vec<usize> = leaving.iter().filter_map(|id| fleet.index_of(*id)).collect();
    for &broker in &leaving {
        fleet.close(broker);
    }
    let mut leads = leader_counts(&fleet);
    for &broker in &leaving {
        let mut sets = fleet.sets_of(broker).to_vec();
        sets.sort_unstable();
        for set in sets {
            let replication_factor = fleet.sets[set].len();
            let too_few = PlacementError::TooFewBrokers { replication_factor, brokers: fleet.open().count() };
            let to = fleet.best_for(set, Some(broker)).ok_or(too_few)?;
            let led = fleet.sets[set].first() == Some(&broker);
            fleet.replace(set, broker, to);
            if led {
                lead_by_least(&mut fleet, set, &mut leads);
            }
        }
    }
    Ok(fleet.moves(partitions))
}

/// Moves after which every partition has `replication_factor` replicas. Those that are taken away are on the fullest
/// rack and broker, and never the preferred leader.
///
/// # Errors
/// When there are not as many active brokers.
pub fn change_replication_factor(
    brokers: &[Broker],
    partitions: &[Vec<BrokerId>],
    replication_factor: usize,
    seed: u64,
) -> Result<Vec<Move>, PlacementError> {
    if replication_factor == 0 {
        return Err(PlacementError::NoReplicas);
    }
    let mut fleet = Fleet::new(brokers, partitions, seed);
    for set in 0..fleet.sets.len() {
        while fleet.sets[set].len() > replication_factor {
            let in_racks = fleet.in_racks(set);
            let spare = fleet.sets[set][1..].iter().copied().max_by_key(|&member| {
                (!fleet.is_open(member), in_racks[fleet.rack(member)], fleet.load(member), member)
            });
            let Some(spare) = spare else { break };
            fleet.remove(set, spare);
        }
        while fleet.sets[set].len() < replication_factor {
            let too_few = PlacementError::TooFewBrokers { replication_factor, brokers: fleet.open().count() };
            let new = fleet.best_for(set, None).ok_or(too_few)?;
            fleet.add(set, new);
        }
    }
    Ok(fleet.moves(partitions))
}

fn leader_counts(fleet: &Fleet) -> Vec<usize> {
    let mut counts = vec![0; fleet.len()];
    for first in fleet.sets.iter().filter_map(|set| set.first()) {
        counts[*first] += 1;
    }
    counts
}

/// The first of a set has gone: the member that leads least takes its place.
fn lead_by_least(fleet: &mut Fleet, set: usize, leads: &mut [usize]) {
    let may_lead = fleet.may_lead();
    let members = &mut fleet.sets[set];
    let best = (0..members.len()).min_by_key(|&at| (!may_lead[members[at]], leads[members[at]], at));
    if let Some(best) = best {
        members.swap(0, best);
        leads[members[0]] += 1;
    }
}

/// Moves replicas of one set out of racks that have two more than another.
fn spread_over_racks(fleet: &mut Fleet, set: usize) {
    for _ in 0..fleet.sets[set].len() {
        let in_racks = fleet.in_racks(set);
        let crowded = fleet.sets[set].iter().copied().filter(|&member| fleet.is_open(member));
        let Some(from) =
            crowded.max_by_key(|&member| (in_racks[fleet.rack(member)], fleet.load(member), member))
        else {
            return;
        };
        let Some(to) = fleet.best_for(set, Some(from)) else { return };
        if in_racks[fleet.rack(to)] + 2 > in_racks[fleet.rack(from)] {
            return;
        }
        fleet.replace(set, from, to);
    }
}

/// Moves replicas from full brokers to empty ones until they differ by one at the most.
fn even_out(fleet: &mut Fleet) {
    let mut stuck = vec![false; fleet.len()];
    let mut moved = false;
    loop {
        let fullest = fleet.open().filter(|&broker| !stuck[broker]);
        match fullest.max_by_key(|&broker| (fleet.load(broker), std::cmp::Reverse(broker))) {
            Some(from) => match find_chain(fleet, from) {
                Some(chain) => {
                    for step in chain {
                        fleet.replace(step.set, step.from, step.to);
                    }
                    moved = true;
                }
                None => stuck[from] = true,
            },
            // What was in somebody's way may have gone.
            None if moved => {
                stuck.fill(false);
                moved = false;
            }
            None => return,
        }
    }
}

#[derive(Clone, Copy)]
struct Step {
    set: usize,
    from: usize,
    to: usize,
}

/// The shortest chain of moves from `from` to a broker that has at least two replicas fewer.
fn find_chain(fleet: &Fleet, from: usize) -> Option<Vec<Step>> {
    let is_goal = |broker: usize| fleet.load(broker) + 2 <= fleet.load(from);
    let mut by_load: Vec<usize> = fleet.open().collect();
    by_load.sort_by_key(|&broker| (fleet.load(broker), broker));
    if !by_load.first().is_some_and(|&emptiest| is_goal(emptiest)) {
        return None;
    }
    let mut came: Vec<Option<Step>> = vec![None; fleet.len()];
    let mut queue = VecDeque::from([from]);
    while let Some(at) = queue.pop_front() {
        for &to in by_load.iter().filter(|&&to| to != from) {
            if came[to].is_some() {
                continue;
            }
            let Some(set) = fleet.movable(at, to) else { continue };
            came[to] = Some(Step { set, from: at, to });
            if is_goal(to) {
                return Some(walk_back(&came, from, to));
            }
            queue.push_back(to);
        }
    }
    None
}

fn walk_back(came: &[Option<Step>], from: usize, to: usize) -> Vec<Step> {
    let mut chain = Vec::new();
    let mut at = to;
    while let Some(step) = came[at].filter(|_| at != from) {
        chain.push(step);
        at = step.from;
    }
    chain.reverse();
    chain
}
