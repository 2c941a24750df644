//! The uniform assignor: as even as the subscriptions allow, moving as little as possible, and near the member's
//! rack where that costs neither.
//!
//! Members keep what they have (and still subscribe to); what nobody has goes to whoever has least, in its rack
//! first. Then the balance is repaired: as long as a member can hand a partition on, perhaps over others, to one
//! that ends with at least two less, it does. With equal subscriptions all counts differ by one at most.

use super::{MemberSpec, Partitions, TopicSpecs};
use ottla_types::TopicId;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Hand-overs (from, to, topic), the last receiver first.
type Chain = Vec<(usize, usize, TopicId)>;

struct Plan<'a> {
    members: &'a [MemberSpec],
    targets: Vec<Partitions>,
    counts: Vec<usize>,
    subscribers: BTreeMap<TopicId, Vec<usize>>,
}

/// Computes the target of every member, in the order of `members`.
pub(super) fn assign(members: &[MemberSpec], topics: &TopicSpecs) -> Vec<Partitions> {
    let mut subscribers: BTreeMap<TopicId, Vec<usize>> = BTreeMap::new();
    for (at, member) in members.iter().enumerate() {
        for topic in member.topics.iter().filter(|topic| topics.contains_key(topic)) {
            subscribers.entry(*topic).or_default().push(at);
        }
    }
    let targets = vec![Partitions::new(); members.len()];
    let mut plan = Plan { members, targets, counts: vec![0; members.len()], subscribers };
    let equal = members.windows(2).all(|pair| pair[0].topics == pair[1].topics);
    let free = plan.keep(topics, equal);
    plan.give(topics, free);
    if !equal {
        plan.balance();
    }
    plan.targets
}

impl Plan<'_> {
    fn add(&mut self, member: usize, topic: TopicId, partition: i32) {
        self.targets[member].entry(topic).or_default().insert(partition);
        self.counts[member] += 1;
    }

    /// Members keep what they have, with equal subscriptions no more than their share; gives back what is free.
    fn keep(&mut self, topics: &TopicSpecs, equal: bool) -> Vec<(TopicId, i32)> {
        let of_topic = |topic: &TopicId| topics.get(topic).map_or(0, |topic| topic.partitions);
        let mut free: BTreeSet<(TopicId, i32)> = BTreeSet::new();
        for topic in self.subscribers.keys() {
            free.extend((0..of_topic(topic)).map(|partition| (*topic, partition)));
        }
        let (share, mut extra) = match (equal, self.members.len()) {
            (true, count) if count > 0 => (free.len() / count, free.len() % count),
            _ => (usize::MAX, 0),
        };
        // Those with most come first, so that the larger shares go to whom they spare a move.
        let mut order: Vec<usize> = (0..self.members.len()).collect();
        let has = |at: &usize| self.members[*at].current.values().map(BTreeSet::len).sum::<usize>();
        order.sort_by_key(|at| Reverse(has(at)));
        for at in order {
            let member = &self.members[at];
            let mut room = share;
            // Partitions in the member's rack are the last to go.
            let mut current: Vec<(bool, TopicId, i32)> = Vec::new();
            for (topic, partitions) in
                member.current.iter().filter(|(topic, _)| member.topics.contains(topic))
            {
                let near = |partition| {
                    topics.get(topic).is_some_and(|spec| spec.is_in_rack(partition, member.rack_id.as_ref()))
                };
                current.extend(partitions.iter().map(|partition| (!near(*partition), *topic, *partition)));
            }
            current.sort_unstable();
            for (_, topic, partition) in current {
                if !free.contains(&(topic, partition)) {
                    continue;
                }
                if room == 0 {
                    if extra == 0 || self.counts[at] > share {
                        break;
                    }
                    extra -= 1;
                    room = 1;
                }
                room -= 1;
                free.remove(&(topic, partition));
                self.add(at, topic, partition);
            }
        }
        free.into_iter().collect()
    }

    /// Hands out what is free: first to members in the partition's rack, up to their share, then to whoever has
    /// least.
    fn give(&mut self, topics: &TopicSpecs, mut free: Vec<(TopicId, i32)>) {
        if topics.values().any(|topic| !topic.racks.is_empty()) {
            free = self.give_near(topics, free);
        }
        // Topics with few subscribers first: they have the least choice.
        free.sort_by_key(|(topic, partition)| {
            (self.subscribers.get(topic).map_or(0, Vec::len), *topic, *partition)
        });
        // Topics with the same subscribers share a queue of them, ordered by what they have.
        let mut queue: BTreeSet<(usize, usize)> = BTreeSet::new();
        let mut queue_of: Option<Vec<usize>> = None;
        for (topic, partition) in free {
            let subscribers = self.subscribers.get(&topic).map_or(&[][..], Vec::as_slice);
            if queue_of.as_deref() != Some(subscribers) {
                queue = subscribers.iter().map(|at| (self.counts[*at], *at)).collect();
                queue_of = Some(subscribers.to_vec());
            }
            if let Some((count, at)) = queue.pop_first() {
                queue.insert((count + 1, at));
                self.add(at, topic, partition);
            }
        }
    }

    /// What the members in the partitions' racks take without getting more than their share; gives back the rest.
    fn give_near(&mut self, topics: &TopicSpecs, free: Vec<(TopicId, i32)>) -> Vec<(TopicId, i32)> {
        let share = (free.len() + self.counts.iter().sum::<usize>()) / self.members.len().max(1);
        let mut rest = Vec::new();
        for (topic, partition) in free {
            let near = |at: &usize| {
                let rack_id = self.members[*at].rack_id.as_ref();
                topics.get(&topic).is_some_and(|spec| spec.is_in_rack(partition, rack_id))
            };
            let subscribers = self.subscribers.get(&topic).into_iter().flatten().copied();
            let least = subscribers.filter(near).min_by_key(|at| (self.counts[*at], *at));
            match least {
                Some(at) if self.counts[at] < share => self.add(at, topic, partition),
                _ => rest.push((topic, partition)),
            }
        }
        rest
    }

    /// Moves partitions along chains of members until no chain evens anything out. Every round lowers the sum of
    /// the squared counts, so it ends.
    fn balance(&mut self) {
        while let Some(chain) = self.find_chain() {
            for (from, to, topic) in chain {
                self.hand_on(from, to, topic);
            }
        }
    }

    fn hand_on(&mut self, from: usize, to: usize, topic: TopicId) {
        let Some(partitions) = self.targets[from].get_mut(&topic) else { return };
        // What the receiver had before comes back to it, if possible; what the giver never had goes first.
        let had = |at: usize, partition: &i32| {
            self.members[at].current.get(&topic).is_some_and(|current| current.contains(partition))
        };
        let chosen = partitions
            .iter()
            .copied()
            .min_by_key(|partition| (!had(to, partition), had(from, partition), Reverse(*partition)));
        let Some(partition) = chosen else { return };
        partitions.remove(&partition);
        if partitions.is_empty() {
            self.targets[from].remove(&topic);
        }
        self.counts[from] -= 1;
        self.add(to, topic, partition);
    }

    /// The shortest chain from a member with much to one with at least two less.
    fn find_chain(&self) -> Option<Chain> {
        let mut starts: Vec<usize> = (0..self.members.len()).collect();
        starts.sort_by_key(|at| (Reverse(self.counts[*at]), *at));
        let least = self.counts.iter().copied().min()?;
        // A member that the search from a larger one reached without success cannot do better itself.
        let mut hopeless = vec![false; self.members.len()];
        for start in starts {
            if self.counts[start] < least + 2 {
                return None;
            }
            if hopeless[start] {
                continue;
            }
            let (chain, seen) = self.search(start);
            if chain.is_some() {
                return chain;
            }
            for at in seen {
                hopeless[at] = true;
            }
        }
        None
    }

    fn search(&self, start: usize) -> (Option<Chain>, Vec<usize>) {
        let mut came_by: BTreeMap<usize, (usize, TopicId)> = BTreeMap::new();
        let mut seen_topics: BTreeSet<TopicId> = BTreeSet::new();
        let mut queue = VecDeque::from([start]);
        let mut seen = vec![start];
        while let Some(at) = queue.pop_front() {
            for topic in self.targets[at].keys() {
                // All subscribers of a topic are reached when it is first seen.
                if !seen_topics.insert(*topic) {
                    continue;
                }
                for next in self.subscribers.get(topic).into_iter().flatten().copied() {
                    if next == start || came_by.contains_key(&next) {
                        continue;
                    }
                    came_by.insert(next, (at, *topic));
                    if self.counts[next] + 2 <= self.counts[start] {
                        return (Some(unwind(&came_by, start, next)), seen);
                    }
                    seen.push(next);
                    queue.push_back(next);
                }
            }
        }
        (None, seen)
    }
}

fn unwind(came_by: &BTreeMap<usize, (usize, TopicId)>, start: usize, end: usize) -> Chain {
    let mut chain = Vec::new();
    let mut at = end;
    while at != start {
        let Some((from, topic)) = came_by.get(&at) else { break };
        chain.push((*from, at, *topic));
        at = *from;
    }
    // From the end: each member hands on before it receives, so that it never gives what it just got.
    chain
}
