//! Every transition of a consumer group.

mod heartbeat;
mod migration;
mod random;
mod subscription;
mod timeouts;

use super::{Group, HeartbeatReply, State};
use crate::group::coordinator::tests::consumer_group;
use crate::group::harness::{Beat, Harness, beats, joins, partitions};
use ottla_types::ErrorCode;

/// Six partitions of `topic`; targets are computed at once.
fn harness() -> Harness {
    let mut harness = Harness::new(|settings| settings.group_consumer_assignment_interval_ms = 0);
    harness.topics.set("topic", 6);
    harness
}

fn group(harness: &Harness) -> &Group {
    consumer_group(&harness.shard, "g")
}

fn beat(harness: &mut Harness, beat: &Beat<'_>) -> HeartbeatReply {
    harness.beat(beat).unwrap()
}

fn refused(harness: &mut Harness, beat: &Beat<'_>) -> ErrorCode {
    harness.beat(beat).unwrap_err()
}

/// `a` and `b` share the topic: `a` has 0, 1, 2 (it came first), `b` the rest, both at epoch 2.
fn two_members(harness: &mut Harness) {
    let a = beat(harness, &joins("a", &["topic"]));
    assert_eq!(a.assignment, Some(partitions(&[("topic", &[0, 1, 2, 3, 4, 5])])));
    beat(harness, &joins("b", &["topic"]));
    let a = beat(harness, &beats("a", 1));
    let keeps = a.assignment.expect("a is told what to keep");
    let (id, kept) = keeps.iter().next().unwrap();
    assert_eq!((a.member_epoch, kept.len()), (1, 3), "a must give three up first");
    let owned = [(*id, kept.clone())].into();
    let a = beat(harness, &Beat { owned: Some(owned), ..beats("a", 1) });
    assert_eq!(a.member_epoch, 2);
    let b = beat(harness, &beats("b", 2));
    assert_eq!(b.assignment.map(|b| b.values().map(|p| p.len()).sum::<usize>()), Some(3));
    assert_eq!(group(harness).state(), State::Stable);
    group(harness).assert_consistent();
}
