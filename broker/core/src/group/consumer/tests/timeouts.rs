use super::{beat, group, harness, refused, two_members};
use crate::group::consumer::{LEAVE_STATIC_EPOCH, State};
use crate::group::harness::{beats, joins, partitions};
use ottla_types::ErrorCode;

#[test]
fn a_silent_member_is_out_after_its_session() {
    let mut harness = harness();
    two_members(&mut harness);
    harness.pass(40_000);
    beat(&mut harness, &beats("a", 2));
    harness.pass(5_000);
    assert_eq!(refused(&mut harness, &beats("b", 2)), ErrorCode::UnknownMemberId);
    let a = beat(&mut harness, &beats("a", 2));
    assert_eq!(a.assignment, Some(partitions(&[("topic", &[0, 1, 2, 3, 4, 5])])));
}

#[test]
fn a_group_may_have_its_own_session_timeout() {
    let mut harness = harness();
    let overrides =
        crate::group::Overrides { consumer_session_timeout_ms: Some(50_000), ..Default::default() };
    harness.settings.overrides.insert("g".into(), overrides);
    harness.shard.set_settings(harness.settings.clone().into());
    two_members(&mut harness);
    harness.pass(49_999);
    beat(&mut harness, &beats("a", 2));
    harness.pass(1);
    assert_eq!(refused(&mut harness, &beats("b", 2)), ErrorCode::UnknownMemberId);
}

#[test]
fn a_member_that_does_not_give_up_in_time_is_out() {
    let mut harness = harness();
    beat(&mut harness, &joins("a", &["topic"]));
    beat(&mut harness, &joins("b", &["topic"]));
    for _ in 0..12 {
        beat(&mut harness, &beats("a", 1));
        beat(&mut harness, &beats("b", 2));
        harness.pass(5_000);
    }
    assert_eq!(refused(&mut harness, &beats("a", 1)), ErrorCode::UnknownMemberId);
    let b = beat(&mut harness, &beats("b", 2));
    assert_eq!(b.assignment, Some(partitions(&[("topic", &[0, 1, 2, 3, 4, 5])])));
}

#[test]
fn the_time_to_give_up_goes_on_after_a_reload() {
    let mut harness = harness();
    beat(&mut harness, &joins("a", &["topic"]));
    beat(&mut harness, &joins("b", &["topic"]));
    beat(&mut harness, &beats("a", 1));
    harness.reload();
    for _ in 0..12 {
        beat(&mut harness, &beats("a", 1));
        harness.pass(5_000);
    }
    assert_eq!(refused(&mut harness, &beats("a", 1)), ErrorCode::UnknownMemberId);
}

#[test]
fn a_static_member_that_does_not_come_back_is_out() {
    let mut harness = harness();
    beat(&mut harness, &joins("a1", &["topic"]).instance("a"));
    beat(&mut harness, &beats("a1", LEAVE_STATIC_EPOCH).instance("a"));
    harness.pass(45_000);
    assert_eq!(group(&harness).state(), State::Empty);
    beat(&mut harness, &joins("a2", &["topic"]).instance("a"));
}

#[test]
fn a_timeout_whose_records_cannot_be_appended_is_tried_again() {
    let mut harness = harness();
    beat(&mut harness, &joins("a", &["topic"]));
    harness.broken = Some(ErrorCode::NotEnoughReplicas);
    harness.pass(45_000);
    assert_eq!(group(&harness).members().len(), 1);
    harness.broken = None;
    harness.pass(1_000);
    assert_eq!(group(&harness).members().len(), 0);
}
