use super::*;
use ottla_types::{TopicId, Uuid};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Replicas, adding replicas, ISR, `min.insync.replicas`.
type Partition = (Vec<BrokerId>, Vec<BrokerId>, Vec<BrokerId>, usize);

#[derive(Debug, Clone, Default)]
struct Cluster {
    brokers: BTreeMap<i32, (i64, bool, Option<&'static str>)>,
    partitions: Vec<Partition>,
    permits: Vec<PermitView>,
    voters: Vec<i32>,
}

fn ids(ids: &[i32]) -> Vec<BrokerId> {
    ids.iter().copied().map(BrokerId).collect()
}

fn id(partition: usize) -> TopicIdPartition {
    TopicIdPartition { topic_id: TopicId(Uuid::from_u128(1)), partition: i32::try_from(partition).unwrap() }
}

impl Cluster {
    fn of(brokers: i32) -> Self {
        Self { brokers: (1..=brokers).map(|id| (id, (10, true, None))).collect(), ..Self::default() }
    }

    fn with(mut self, replicas: &[i32], isr: &[i32], min: usize) -> Self {
        self.partitions.push((ids(replicas), Vec::new(), ids(isr), min));
        self
    }

    fn with_permit(mut self, holder: i32, broker_epoch: i64) -> Self {
        self.permits.push(PermitView {
            holder: BrokerId(holder),
            broker_epoch: BrokerEpoch(broker_epoch),
            epoch: 7,
        });
        self
    }

    fn ask(&self, broker: i32) -> Decision {
        self.ask_with(&Policy::default(), broker)
    }

    fn ask_with(&self, policy: &Policy, broker: i32) -> Decision {
        decide(self, policy, Ask { broker: BrokerId(broker), broker_epoch: BrokerEpoch::NONE, force: false })
    }
}

impl View for Cluster {
    fn broker(&self, broker: BrokerId) -> Option<BrokerView<'_>> {
        let &(epoch, is_active, rack) = self.brokers.get(&broker.0)?;
        Some(BrokerView { epoch: BrokerEpoch(epoch), is_active, rack })
    }

    fn partitions_of(&self, broker: BrokerId, each: &mut dyn FnMut(PartitionView<'_>) -> bool) {
        for (index, (replicas, adding, isr, min)) in self.partitions.iter().enumerate() {
            let view =
                PartitionView { partition: id(index), replicas, adding, isr, min_insync_replicas: *min };
            if replicas.contains(&broker) && !each(view) {
                return;
            }
        }
    }

    fn permits(&self) -> Vec<PermitView> {
        self.permits.clone()
    }

    fn voters(&self) -> Vec<BrokerId> {
        ids(&self.voters)
    }
}

fn granted(decision: &Decision) -> bool {
    matches!(decision, Decision::Grant { overridden, .. } if overridden.is_empty())
}

fn reason(decision: Decision) -> Reason {
    match decision {
        Decision::Refuse(Reasons { named, total: 1 }) => named.into_iter().next().unwrap(),
        other => panic!("one reason expected, not {other:?}"),
    }
}

#[test]
fn a_broker_may_stop_if_every_partition_keeps_its_minimum() {
    let cluster = Cluster::of(3).with(&[1, 2, 3], &[1, 2, 3], 2);
    assert_eq!(
        cluster.ask(1),
        Decision::Grant { broker_epoch: BrokerEpoch(10), overridden: Reasons::default() }
    );
}

#[test]
fn a_partition_at_its_minimum_refuses_and_names_itself() {
    let cluster = Cluster::of(3).with(&[1, 2, 3], &[1, 2, 3], 2).with(&[1, 2, 3], &[1, 2], 2);
    let expected = Reason::NotEnoughInSync { partition: id(1), remaining: 1, required: 2 };
    assert_eq!(reason(cluster.ask(1)), expected);
    assert!(granted(&cluster.ask(3)));
}

#[test]
fn a_fenced_or_stopping_member_of_the_isr_does_not_count() {
    let mut cluster = Cluster::of(3).with(&[1, 2, 3], &[1, 2, 3], 2);
    cluster.brokers.insert(3, (10, false, None));
    assert!(matches!(reason(cluster.ask(1)), Reason::NotEnoughInSync { remaining: 1, .. }));
}

#[test]
fn a_second_broker_is_refused_while_a_permit_is_out() {
    let cluster = Cluster::of(3).with(&[1, 2, 3], &[1, 2, 3], 1).with_permit(2, 10);
    assert_eq!(reason(cluster.ask(1)), Reason::OtherPermit { holder: BrokerId(2), epoch: 7 });
    assert_eq!(cluster.ask(2), Decision::Held { epoch: 7 });
}

#[test]
fn force_overrides_partitions_and_says_which_but_no_other_permit() {
    let ask = Ask { broker: BrokerId(1), broker_epoch: BrokerEpoch(10), force: true };
    let cluster = Cluster::of(3).with(&[1, 2, 3], &[1, 2], 2);
    let Decision::Grant { overridden, .. } = decide(&cluster, &Policy::default(), ask) else {
        panic!("force grants")
    };
    assert_eq!(overridden.total, 1);
    let decision = decide(&cluster.with_permit(2, 10), &Policy::default(), ask);
    assert!(matches!(reason(decision), Reason::OtherPermit { .. }));
}

#[test]
fn brokers_of_one_rack_may_stop_together_if_that_is_wanted() {
    let policy = Policy { same_rack: true, ..Policy::default() };
    let mut cluster = Cluster::of(4).with_permit(2, 10).with(&[1, 3, 4], &[1, 3, 4], 2);
    for (broker, rack) in [(1, "a"), (2, "a"), (3, "b"), (4, "c")] {
        cluster.brokers.insert(broker, (10, true, Some(rack)));
    }
    assert!(granted(&cluster.ask_with(&policy, 1)));
    assert!(matches!(reason(cluster.ask_with(&policy, 3)), Reason::OtherPermit { .. }));
    assert!(matches!(reason(cluster.ask(1)), Reason::OtherPermit { .. }));
    let cluster = cluster.with(&[1, 2, 3], &[1, 2, 3], 2);
    assert!(matches!(reason(cluster.ask_with(&policy, 1)), Reason::NotEnoughInSync { remaining: 1, .. }));
}

#[test]
fn partitions_that_cannot_spare_a_replica_follow_the_policy() {
    for (replicas, min) in [(vec![1], 1), (vec![1], 2), (vec![1, 2], 2)] {
        let cluster = Cluster::of(3).with(&replicas, &replicas, min);
        assert!(granted(&cluster.ask(1)), "{replicas:?}");
        for rule in [Unsparable::Refuse, Unsparable::MoveAwayFirst] {
            let policy = Policy { single_replica: rule, no_slack: rule, ..Policy::default() };
            let Reason::Unsparable { move_away, .. } = reason(cluster.ask_with(&policy, 1)) else {
                panic!("unsparable expected")
            };
            assert_eq!(move_away, rule == Unsparable::MoveAwayFirst);
        }
    }
}

#[test]
fn a_partition_without_slack_that_misses_a_replica_already_is_refused() {
    let cluster = Cluster::of(3).with(&[1, 2, 3], &[1, 2], 3);
    assert_eq!(
        reason(cluster.ask(1)),
        Reason::NotEnoughInSync { partition: id(0), remaining: 1, required: 2 }
    );
}

#[test]
fn a_replica_that_was_moved_away_in_sync_spares_the_old_one() {
    let policy = Policy { single_replica: Unsparable::MoveAwayFirst, ..Policy::default() };
    let mut cluster = Cluster::of(3);
    cluster.partitions.push((ids(&[1, 2]), ids(&[2]), ids(&[1]), 1));
    assert!(matches!(reason(cluster.ask_with(&policy, 1)), Reason::Unsparable { .. }));
    cluster.partitions[0].2 = ids(&[1, 2]);
    assert!(granted(&cluster.ask_with(&policy, 1)));
}

#[test]
fn a_replica_out_of_sync_costs_nothing() {
    let cluster = Cluster::of(3).with(&[1, 2, 3], &[2], 2);
    assert!(granted(&cluster.ask(1)));
}

#[test]
fn the_quorum_keeps_its_majority() {
    let mut cluster = Cluster::of(4);
    cluster.voters = vec![1, 2, 3];
    assert!(granted(&cluster.ask(1)));
    cluster.brokers.insert(3, (10, false, None));
    assert_eq!(reason(cluster.ask(1)), Reason::Quorum { remaining: 1, voters: 3 });
    assert_eq!(cluster.ask(4), Decision::NotNeeded);
    cluster.voters = vec![1];
    assert!(granted(&cluster.ask(1)));
}

#[test]
fn an_unknown_broker_and_an_old_incarnation_get_nothing() {
    let cluster = Cluster::of(1);
    assert_eq!(reason(cluster.ask(9)), Reason::UnknownBroker(BrokerId(9)));
    let old = Ask { broker: BrokerId(1), broker_epoch: BrokerEpoch(9), force: true };
    assert!(matches!(reason(decide(&cluster, &Policy::default(), old)), Reason::StaleBrokerEpoch { .. }));
}

#[test]
fn reasons_are_counted_but_not_all_named() {
    let mut cluster = Cluster::of(3);
    for _ in 0..5 {
        cluster = cluster.with(&[1, 2, 3], &[1, 2], 2);
    }
    let Decision::Refuse(reasons) = cluster.ask_with(&Policy { max_reasons: 2, ..Policy::default() }, 1)
    else {
        panic!("refusal expected")
    };
    assert_eq!((reasons.named.len(), reasons.total), (2, 5));
}

#[test]
fn a_permit_is_over_when_its_holder_is_back_and_in_every_isr() {
    let mut cluster = Cluster::of(3).with(&[1, 2, 3], &[2, 3], 2).with_permit(1, 10);
    let permit = cluster.permits[0];
    cluster.brokers.insert(1, (10, false, None));
    assert_eq!(end(&cluster, &permit, false), None);
    cluster.brokers.insert(1, (20, true, None));
    assert_eq!(end(&cluster, &permit, false), None, "back, but behind");
    cluster.partitions[0].2 = ids(&[1, 2, 3]);
    assert_eq!(end(&cluster, &permit, false), Some(End::Completed));
}

#[test]
fn a_holder_that_never_stopped_keeps_its_permit_until_the_deadline() {
    let cluster = Cluster::of(3).with(&[1, 2, 3], &[1, 2, 3], 2).with_permit(1, 10);
    assert_eq!(end(&cluster, &cluster.permits[0], false), None);
    assert_eq!(end(&cluster, &cluster.permits[0], true), Some(End::Expired));
}

#[test]
fn a_holder_that_was_unregistered_ends_its_permit() {
    let mut cluster = Cluster::of(3).with_permit(1, 10);
    cluster.brokers.remove(&1);
    assert_eq!(end(&cluster, &cluster.permits[0], false), Some(End::Unregistered));
}

#[test]
fn a_holder_that_restarted_must_ask_again_and_may() {
    let mut cluster = Cluster::of(3).with(&[1, 2, 3], &[2, 3], 2).with_permit(1, 10);
    cluster.brokers.insert(1, (20, true, None));
    assert!(matches!(cluster.ask(1), Decision::Grant { broker_epoch: BrokerEpoch(20), .. }));
}

proptest! {
    #[test]
    fn a_grant_leaves_every_partition_its_minimum(
        partitions in prop::collection::vec(
            (prop::sample::subsequence(vec![1, 2, 3, 4, 5], 2..=5), any::<u8>(), 1..4usize), 1..8),
        active in prop::collection::vec(any::<bool>(), 5),
        broker in 1..=5i32,
    ) {
        let mut cluster = Cluster::of(5);
        for (index, active) in active.iter().enumerate() {
            cluster.brokers.insert(i32::try_from(index).unwrap() + 1, (10, *active, None));
        }
        for (replicas, mask, min) in &partitions {
            let isr: Vec<i32> = replicas.iter().copied().filter(|id| mask & (1 << id) != 0).collect();
            cluster = cluster.with(replicas, &isr, *min);
        }
        let policy = Policy { no_slack: Unsparable::Refuse, ..Policy::default() };
        if granted(&cluster.ask_with(&policy, broker)) {
            for (replicas, _, isr, min) in &cluster.partitions {
                if replicas.contains(&BrokerId(broker)) && isr.contains(&BrokerId(broker)) {
                    let left = isr.iter().filter(|id| id.0 != broker && cluster.brokers[&id.0].1).count();
                    prop_assert!(left >= *min);
                }
            }
        }
    }
}
