//! Leaders spread evenly over replica sets that stay as they are.

use std::collections::VecDeque;

/// Reorders replica sets so that no broker is the first of two sets more than another, where a chain of sets leads
/// from the one to the other. Brokers are indexes below `may_lead.len()`; `leaders` are counts that come on top.
/// Only sets' first places change, and as few as it takes.
pub fn balance_leaders(sets: &mut [Vec<usize>], may_lead: &[bool], mut leaders: Vec<u32>) {
    let count = may_lead.len();
    // `led[broker]` are the sets that it is the first of.
    let mut led: Vec<Vec<usize>> = vec![Vec::new(); count];
    for (index, set) in sets.iter().enumerate() {
        if let Some(&first) = set.first() {
            leaders[first] += 1;
            led[first].push(index);
        }
    }
    let mut by_load: Vec<usize> = (0..count).filter(|&broker| may_lead[broker]).collect();
    loop {
        by_load.sort_by_key(|&broker| (std::cmp::Reverse(leaders[broker]), broker));
        let moved = by_load.iter().any(|&from| {
            let Some(path) = find_path(sets, may_lead, &leaders, &led, from) else { return false };
            let to = shift(sets, &mut led, from, &path);
            leaders[from] -= 1;
            leaders[to] += 1;
            true
        });
        if !moved {
            return;
        }
    }
}

/// A step of a chain: this set gets this broker as its first.
#[derive(Clone, Copy)]
struct Step {
    set: usize,
    to: usize,
}

/// The shortest chain from `from` to a broker that has at least two leaders fewer.
fn find_path(
    sets: &[Vec<usize>],
    may_lead: &[bool],
    leaders: &[u32],
    led: &[Vec<usize>],
    from: usize,
) -> Option<Vec<Step>> {
    let is_goal = |broker: usize| leaders[broker] + 2 <= leaders[from];
    if !(0..may_lead.len()).any(|broker| may_lead[broker] && is_goal(broker)) {
        return None;
    }
    let mut came: Vec<Option<(usize, Step)>> = vec![None; may_lead.len()];
    let mut queue = VecDeque::from([from]);
    while let Some(broker) = queue.pop_front() {
        for &set in &led[broker] {
            for &to in &sets[set][1..] {
                if to == from || !may_lead[to] || came[to].is_some() {
                    continue;
                }
                came[to] = Some((broker, Step { set, to }));
                if is_goal(to) {
                    return Some(walk_back(&came, from, to));
                }
                queue.push_back(to);
            }
        }
    }
    None
}

fn walk_back(came: &[Option<(usize, Step)>], from: usize, to: usize) -> Vec<Step> {
    let mut path = Vec::new();
    let mut at = to;
    while at != from {
        let Some((before, step)) = came[at] else { break };
        path.push(step);
        at = before;
    }
    path.reverse();
    path
}

/// Carries the chain out; returns the broker that it ends at.
fn shift(sets: &mut [Vec<usize>], led: &mut [Vec<usize>], from: usize, path: &[Step]) -> usize {
    let mut holder = from;
    for step in path {
        led[holder].retain(|&set| set != step.set);
        led[step.to].push(step.set);
        let set = &mut sets[step.set];
        if let Some(position) = set.iter().position(|&broker| broker == step.to) {
            set.swap(0, position);
        }
        holder = step.to;
    }
    holder
}
