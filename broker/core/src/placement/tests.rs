use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

fn brokers(count: i32, racks: i32) -> Vec<Broker> {
    let rack = |id: i32| (racks > 0).then(|| format!("r{}", id % racks.max(1)));
    (0..count).map(|id| Broker::new(BrokerId(id), rack(id))).collect()
}

fn counts<'a>(sets: impl IntoIterator<Item = &'a Vec<BrokerId>>) -> BTreeMap<i32, (usize, usize)> {
    let mut counts: BTreeMap<i32, (usize, usize)> = BTreeMap::new();
    for set in sets {
        counts.entry(set[0].0).or_default().1 += 1;
        for broker in set {
            counts.entry(broker.0).or_default().0 += 1;
        }
    }
    counts
}

/// The difference of the fullest and the emptiest of these brokers: in replicas, in leaders.
fn spread(brokers: &[Broker], sets: &[Vec<BrokerId>]) -> (usize, usize) {
    let counts = counts(sets);
    let of = |broker: &Broker| counts.get(&broker.id.0).copied().unwrap_or_default();
    let range = |values: Vec<usize>| values.iter().max().unwrap() - values.iter().min().unwrap();
    (range(brokers.iter().map(|b| of(b).0).collect()), range(brokers.iter().map(|b| of(b).1).collect()))
}

fn racks_used(brokers: &[Broker], set: &[BrokerId]) -> usize {
    let racks: BTreeSet<_> =
        set.iter().map(|id| &brokers.iter().find(|broker| broker.id == *id).unwrap().rack).collect();
    racks.len()
}

fn apply(sets: &[Vec<BrokerId>], moves: &[Move]) -> Vec<Vec<BrokerId>> {
    let mut sets = sets.to_vec();
    for it in moves {
        sets[it.partition].clone_from(&it.replicas);
    }
    sets
}

fn replicas_moved(before: &[Vec<BrokerId>], after: &[Vec<BrokerId>]) -> usize {
    let new = |(before, after): (&Vec<BrokerId>, &Vec<BrokerId>)| {
        after.iter().filter(|broker| !before.contains(broker)).count()
    };
    before.iter().zip(after).map(new).sum()
}

fn has_no_repeats(sets: &[Vec<BrokerId>]) -> bool {
    sets.iter().all(|set| set.iter().collect::<BTreeSet<_>>().len() == set.len())
}

proptest! {
    #[test]
    fn new_replicas_and_leaders_are_balanced_within_one(
        count in 1..12i32, partitions in 0..200usize, factor in 1..5usize, seed: u64,
    ) {
        let brokers = brokers(count, 0);
        prop_assume!(factor <= brokers.len());
        let sets = place(&brokers, partitions, factor, seed).unwrap();
        prop_assert!(sets.len() == partitions && sets.iter().all(|set| set.len() == factor));
        prop_assert!(has_no_repeats(&sets));
        let (replicas, leaders) = spread(&brokers, &sets);
        prop_assert!(replicas <= 1, "replicas {replicas}");
        prop_assert!(leaders <= 1, "leaders {leaders}");
        prop_assert_eq!(sets, place(&brokers, partitions, factor, seed).unwrap());
    }

    #[test]
    fn replicas_are_on_as_many_racks_as_there_are(
        count in 1..12i32, racks in 1..5i32, partitions in 1..60usize, factor in 1..5usize, seed: u64,
    ) {
        let brokers = brokers(count, racks);
        prop_assume!(factor <= brokers.len());
        let possible = factor.min(racks_used(&brokers, &brokers.iter().map(|b| b.id).collect::<Vec<_>>()));
        for set in place(&brokers, partitions, factor, seed).unwrap() {
            prop_assert_eq!(racks_used(&brokers, &set), possible);
        }
    }

    #[test]
    fn a_rebalance_evens_out_with_the_least_movement(
        old in 1..8i32, new in 0..4i32, partitions in 0..120usize, factor in 1..4usize, seed: u64,
    ) {
        let before_brokers = brokers(old, 0);
        prop_assume!(factor <= before_brokers.len());
        let before = place(&before_brokers, partitions, factor, seed).unwrap();
        let all = brokers(old + new, 0);
        let after = apply(&before, &rebalance(&all, &before, seed));
        prop_assert!(has_no_repeats(&after));
        let (replicas, leaders) = spread(&all, &after);
        prop_assert!(replicas <= 1 && leaders <= 1, "{replicas} {leaders}");
        // What the new brokers must get is all that moves.
        let counts = counts(&after);
        let needed: usize = (old..old + new).map(|id| counts.get(&id).map_or(0, |count| count.0)).sum();
        prop_assert_eq!(replicas_moved(&before, &after), needed);
        // And then it is done.
        prop_assert_eq!(rebalance(&all, &after, seed), vec![]);
    }

    #[test]
    fn any_state_is_rebalanced_within_one_and_over_all_racks(
        count in 2..9i32, racks in 0..4i32, factor in 1..4usize, picks in proptest::collection::vec(any::<u64>(), 1..80), seed: u64,
    ) {
        let brokers = brokers(count, racks);
        prop_assume!(factor <= brokers.len());
        // Skewed: low ids are picked more often.
        let before: Vec<Vec<BrokerId>> = picks.iter().map(|&pick| {
            let mut set: Vec<BrokerId> = Vec::new();
            let mut drawn = pick;
            while set.len() < factor {
                drawn = mix(drawn);
                let id = BrokerId((drawn % count as u64).min(mix(drawn) % count as u64) as i32);
                if !set.contains(&id) { set.push(id); }
            }
            set
        }).collect();
        let after = apply(&before, &rebalance(&brokers, &before, seed));
        prop_assert!(has_no_repeats(&after));
        let possible = factor.min(racks_used(&brokers, &brokers.iter().map(|b| b.id).collect::<Vec<_>>()));
        for set in &after {
            prop_assert_eq!(racks_used(&brokers, set), possible);
        }
        if racks == 0 {
            prop_assert!(spread(&brokers, &after).0 <= 1);
        }
    }

    #[test]
    fn a_drained_broker_is_empty_and_nothing_else_moves(
        count in 2..8i32, racks in 0..3i32, partitions in 1..80usize, factor in 1..4usize, seed: u64,
    ) {
        let brokers = brokers(count, racks);
        prop_assume!(factor < brokers.len());
        let before = place(&brokers, partitions, factor, seed).unwrap();
        let moves = drain(&brokers, &before, &[BrokerId(0)], seed).unwrap();
        let after = apply(&before, &moves);
        prop_assert!(has_no_repeats(&after));
        prop_assert!(after.iter().all(|set| set.len() == factor && !set.contains(&BrokerId(0))));
        let held = before.iter().filter(|set| set.contains(&BrokerId(0))).count();
        prop_assert_eq!(replicas_moved(&before, &after), held);
        prop_assert_eq!(moves.len(), held);
    }

    #[test]
    fn a_replication_factor_goes_up_and_down_and_keeps_the_leader(
        count in 1..8i32, partitions in 1..60usize, from in 1..5usize, to in 1..5usize, seed: u64,
    ) {
        let brokers = brokers(count, 0);
        prop_assume!(from <= brokers.len() && to <= brokers.len());
        let before = place(&brokers, partitions, from, seed).unwrap();
        let after = apply(&before, &change_replication_factor(&brokers, &before, to, seed).unwrap());
        prop_assert!(has_no_repeats(&after));
        for (before, after) in before.iter().zip(&after) {
            prop_assert_eq!(after.len(), to);
            prop_assert_eq!(before[0], after[0]);
            let kept = after.iter().filter(|broker| before.contains(broker)).count();
            prop_assert_eq!(kept, from.min(to));
        }
    }
}

#[test]
fn closed_brokers_get_nothing_and_those_that_are_away_only_what_nobody_else_can_take() {
    let mut brokers = brokers(4, 0);
    brokers[0].availability = Availability::Closed;
    brokers[1].availability = Availability::Away;
    let sets = place(&brokers, 30, 2, 1).unwrap();
    assert!(sets.iter().flatten().all(|id| id.0 >= 2));
    let sets = place(&brokers, 30, 3, 1).unwrap();
    assert!(sets.iter().all(|set| set.contains(&BrokerId(1)) && set[0].0 >= 2));
    assert_eq!(
        place(&brokers, 1, 4, 1),
        Err(PlacementError::TooFewBrokers { replication_factor: 4, brokers: 3 })
    );
    assert_eq!(place(&brokers[..2], 1, 1, 1), Err(PlacementError::NoActiveBroker));
}

#[test]
fn a_topic_that_grows_is_balanced_with_the_partitions_that_it_has() {
    let mut brokers = brokers(3, 0);
    (brokers[0].topic_replicas, brokers[0].topic_leaders) = (4, 4);
    (brokers[1].topic_replicas, brokers[1].topic_leaders) = (4, 4);
    let sets = place(&brokers, 4, 1, 1).unwrap();
    assert!(sets.iter().all(|set| set == &[BrokerId(2)]));
}

/// The whole size where it is fast, `cargo test --release -p ottla-core placement -- --nocapture`; a tenth of the
/// partitions otherwise.
#[test]
fn a_hundred_brokers_and_a_hundred_thousand_partitions_are_spread_and_moved_as_few_as_can_be() {
    let partitions = if cfg!(debug_assertions) { 10_000 } else { 100_000 };
    let first = brokers(90, 3);
    let begin = std::time::Instant::now();
    let before = place(&first, partitions, 3, 1).unwrap();
    println!("place {:?}", begin.elapsed());
    assert!(spread(&first, &before).0 <= 1 && spread(&first, &before).1 <= 1);
    assert!(has_no_repeats(&before));

    let all = brokers(100, 3);
    let begin = std::time::Instant::now();
    let after = apply(&before, &rebalance(&all, &before, 1));
    println!("rebalance {:?}", begin.elapsed());
    // 34, 33 and 33 brokers in three racks: each rack has one replica of each partition.
    let in_rack =
        |rack: &'static str| all.iter().filter(move |broker| broker.rack.as_deref() == Some(rack)).cloned();
    for rack in ["r0", "r1", "r2"] {
        assert!(spread(&in_rack(rack).collect::<Vec<_>>(), &after).0 <= 1);
    }
    assert!(spread(&all, &after).1 <= 1, "leaders {:?}", spread(&all, &after));
    let counts = counts(&after);
    let needed: usize = (90..100).map(|id| counts.get(&id).map_or(0, |count| count.0)).sum();
    assert_eq!(replicas_moved(&before, &after), needed, "only what the new brokers need moves");

    let begin = std::time::Instant::now();
    let drained = apply(&after, &drain(&all, &after, &[BrokerId(7)], 1).unwrap());
    println!("drain {:?}", begin.elapsed());
    assert!(has_no_repeats(&drained) && drained.iter().flatten().all(|id| id.0 != 7));
    let held = after.iter().filter(|set| set.contains(&BrokerId(7))).count();
    assert_eq!(replicas_moved(&after, &drained), held);
}
