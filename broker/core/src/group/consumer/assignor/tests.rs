//! Properties of the assignors.

use super::{MemberSpec, Partitions, TopicSpec, TopicSpecs, assign};
use crate::group::harness::topic_id;
use crate::group::settings::AssignorName;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

fn topics(sizes: &[i32]) -> TopicSpecs {
    let spec = |(at, partitions): (usize, &i32)| {
        (topic_id(&format!("t{at}")), TopicSpec { partitions: *partitions, racks: Vec::new() })
    };
    sizes.iter().enumerate().map(spec).collect()
}

fn member(id: usize, subscribed: &BTreeSet<usize>) -> MemberSpec {
    MemberSpec {
        id: format!("m{id:03}").into(),
        instance_id: None,
        rack_id: None,
        topics: subscribed.iter().map(|at| topic_id(&format!("t{at}"))).collect(),
        current: Arc::default(),
    }
}

fn count(target: &Partitions) -> usize {
    target.values().map(BTreeSet::len).sum()
}

/// Every partition of a subscribed topic has one owner, who subscribes to it.
fn assert_covered(members: &[MemberSpec], topics: &TopicSpecs, targets: &[Partitions]) {
    let mut owners = BTreeMap::new();
    for (member, target) in members.iter().zip(targets) {
        for (topic, partitions) in target {
            assert!(member.topics.contains(topic), "{} does not subscribe", member.id);
            for partition in partitions {
                assert!(owners.insert((*topic, *partition), &member.id).is_none(), "two owners");
            }
        }
    }
    let subscribed: BTreeSet<_> = members.iter().flat_map(|member| &member.topics).collect();
    let all = topics.iter().filter(|(topic, _)| subscribed.contains(topic));
    let all: usize = all.map(|(_, topic)| usize::try_from(topic.partitions).unwrap()).sum();
    assert_eq!(owners.len(), all, "nothing is left over");
}

/// No partition can be handed to a member that then still has less.
fn assert_balanced(members: &[MemberSpec], targets: &[Partitions]) {
    for (giver, target) in targets.iter().enumerate() {
        for topic in target.keys() {
            for (taker, other) in members.iter().enumerate() {
                if other.topics.contains(topic) {
                    assert!(
                        count(&targets[giver]) <= count(&targets[taker]) + 1,
                        "{} has {}, {} has {}",
                        members[giver].id,
                        count(&targets[giver]),
                        other.id,
                        count(&targets[taker]),
                    );
                }
            }
        }
    }
}

fn moved(before: &[MemberSpec], targets: &[Partitions]) -> usize {
    let kept = |(member, target): (&MemberSpec, &Partitions)| {
        let kept = |(topic, now): (_, &BTreeSet<i32>)| {
            member.current.get(topic).map_or(0, |before| before.intersection(now).count())
        };
        target.iter().map(kept).sum::<usize>()
    };
    let before_all: usize = before.iter().map(|member| count(&member.current)).sum();
    before_all - before.iter().zip(targets).map(kept).sum::<usize>()
}

fn settle(assignor: AssignorName, members: &mut [MemberSpec], topics: &TopicSpecs) -> Vec<Partitions> {
    let targets = assign(assignor, members, topics);
    assert_covered(members, topics, &targets);
    for (member, target) in members.iter_mut().zip(&targets) {
        member.current = Arc::new(target.clone());
    }
    targets
}

fn subscriptions() -> impl Strategy<Value = Vec<BTreeSet<usize>>> {
    prop::collection::vec(prop::collection::btree_set(0..4_usize, 1..4), 1..8)
}

proptest! {
    #[test]
    fn uniform_is_balanced_and_complete_for_any_subscriptions(
        sizes in prop::collection::vec(0..12_i32, 4),
        subscriptions in subscriptions(),
    ) {
        let topics = topics(&sizes);
        let mut members: Vec<_> = subscriptions.iter().enumerate().map(|(id, s)| member(id, s)).collect();
        let targets = settle(AssignorName::Uniform, &mut members, &topics);
        assert_balanced(&members, &targets);
        prop_assert_eq!(settle(AssignorName::Uniform, &mut members, &topics), targets, "nothing moves by itself");
    }

    #[test]
    fn uniform_moves_only_what_balance_needs_when_a_member_comes(
        partitions in 1..60_i32,
        count_before in 1..12_usize,
    ) {
        let topics = topics(&[partitions]);
        let all = BTreeSet::from([0]);
        let mut members: Vec<_> = (0..count_before).map(|id| member(id, &all)).collect();
        settle(AssignorName::Uniform, &mut members, &topics);
        members.push(member(count_before, &all));
        let targets = assign(AssignorName::Uniform, &members, &topics);
        assert_covered(&members, &topics, &targets);
        assert_balanced(&members, &targets);
        prop_assert_eq!(moved(&members, &targets), count(&targets[count_before]), "only the newcomer receives");
    }

    #[test]
    fn uniform_moves_nothing_of_those_who_stay_when_a_member_goes(
        partitions in 1..60_i32,
        count_before in 2..12_usize,
        leaver in any::<prop::sample::Index>(),
    ) {
        let topics = topics(&[partitions, 7]);
        let all = BTreeSet::from([0, 1]);
        let mut members: Vec<_> = (0..count_before).map(|id| member(id, &all)).collect();
        settle(AssignorName::Uniform, &mut members, &topics);
        members.remove(leaver.index(count_before));
        let targets = assign(AssignorName::Uniform, &members, &topics);
        assert_covered(&members, &topics, &targets);
        assert_balanced(&members, &targets);
        prop_assert_eq!(moved(&members, &targets), 0);
    }

    #[test]
    fn any_history_of_changes_stays_complete_and_balanced(
        sizes in prop::collection::vec(1..9_i32, 4),
        history in prop::collection::vec(subscriptions(), 1..6),
    ) {
        let mut topics = topics(&sizes);
        let mut members: Vec<MemberSpec> = Vec::new();
        for (round, subscriptions) in history.iter().enumerate() {
            members.truncate(subscriptions.len());
            for (id, subscribed) in subscriptions.iter().enumerate() {
                let current = members.get(id).map(|member| Arc::clone(&member.current)).unwrap_or_default();
                let next = MemberSpec { current, ..member(id, subscribed) };
                if id < members.len() { members[id] = next } else { members.push(next) }
            }
            if let Some(topic) = topics.values_mut().nth(round % 4) {
                topic.partitions += 2;
            }
            let targets = settle(AssignorName::Uniform, &mut members, &topics);
            assert_balanced(&members, &targets);
        }
    }

    #[test]
    fn range_is_complete_and_keeps_equal_partitions_together(
        partitions in 1..40_i32,
        members in 1..10_usize,
    ) {
        let topics = topics(&[partitions, partitions]);
        let all = BTreeSet::from([0, 1]);
        let mut members: Vec<_> = (0..members).map(|id| member(id, &all)).collect();
        for target in settle(AssignorName::Range, &mut members, &topics) {
            let parts: Vec<_> = target.values().collect();
            prop_assert!(parts.is_empty() || parts[0] == parts[1]);
            for part in parts {
                let (first, last) = (part.first().unwrap(), part.last().unwrap());
                prop_assert_eq!(part.len(), usize::try_from(last - first + 1).unwrap(), "consecutive");
            }
        }
    }
}

#[test]
fn a_chain_of_members_evens_out() {
    // m0 can only take t0, m2 only t2; m1 stands between them over t0 and t2.
    let topics = topics(&[3, 0, 3]);
    let mut members = vec![
        member(0, &BTreeSet::from([0])),
        member(1, &BTreeSet::from([0, 2])),
        member(2, &BTreeSet::from([2])),
    ];
    members[1].current = Arc::new(BTreeMap::from([(topic_id("t0"), BTreeSet::from([0, 1, 2]))]));
    members[2].current = Arc::new(BTreeMap::from([(topic_id("t2"), BTreeSet::from([0, 1, 2]))]));
    let targets = assign(AssignorName::Uniform, &members, &topics);
    assert_eq!(targets.iter().map(count).collect::<Vec<_>>(), [2, 2, 2]);
}

#[test]
fn partitions_go_to_members_in_their_rack_where_that_is_free() {
    let racks = |rack: &str| vec![Arc::from(rack)];
    let spec = TopicSpec { partitions: 4, racks: vec![racks("b"), racks("b"), racks("a"), racks("a")] };
    let topics = TopicSpecs::from([(topic_id("t0"), spec)]);
    let mut members: Vec<_> = (0..2).map(|id| member(id, &BTreeSet::from([0]))).collect();
    members[0].rack_id = Some("a".into());
    members[1].rack_id = Some("b".into());
    let targets = assign(AssignorName::Uniform, &members, &topics);
    assert_eq!(targets[0][&topic_id("t0")], BTreeSet::from([2, 3]));
    assert_eq!(targets[1][&topic_id("t0")], BTreeSet::from([0, 1]));
}
