use super::isr::PROPOSE_AGAIN_MS;
use super::*;
use crate::replication::partition_state::BrokerStatus;

mod properties;

const LAG_MS: u64 = 1_000;
const EPOCH: BrokerEpoch = BrokerEpoch(100);

fn config() -> Config {
    Config { min_insync_replicas: 2, replica_lag_time_max_ms: LAG_MS, count_flushed_only: false }
}

fn alive(_: BrokerId) -> Option<BrokerStatus> {
    Some(BrokerStatus { epoch: EPOCH, fenced: false, shutting_down: false })
}

fn fenced(_: BrokerId) -> Option<BrokerStatus> {
    Some(BrokerStatus { epoch: EPOCH, fenced: true, shutting_down: false })
}

fn ids(ids: &[i32]) -> Vec<BrokerId> {
    ids.iter().copied().map(BrokerId).collect()
}

fn state(isr: &[i32]) -> PartitionState {
    PartitionState {
        leader: BrokerId(1),
        leader_epoch: LeaderEpoch(5),
        partition_epoch: PartitionEpoch(10),
        replicas: ids(&[1, 2, 3]),
        adding_replicas: Vec::new(),
        removing_replicas: Vec::new(),
        isr: ids(isr),
    }
}

fn log(end: Offset, high_watermark: Offset) -> LogPosition {
    LogPosition { log_start_offset: 0, log_end_offset: end, flushed_offset: end, high_watermark }
}

fn leader_of(state: &PartitionState, config: Config) -> Leader {
    Leader::new(0, (BrokerId(1), EPOCH), config, state, log(0, 0), &alive)
}

fn leader(isr: &[i32]) -> Leader {
    leader_of(&state(isr), config())
}

fn fetch(broker: i32, fetch_offset: Offset) -> FollowerFetch {
    FollowerFetch {
        broker: BrokerId(broker),
        broker_epoch: EPOCH,
        leader_epoch: LeaderEpoch(5),
        fetch_offset,
        log_start_offset: 0,
    }
}

fn effects(leader: &mut Leader) -> Vec<Effect> {
    leader.drain_effects().filter(|effect| !matches!(effect, Effect::LowWatermarkAdvanced(_))).collect()
}

fn proposed(effects: &[Effect]) -> &AlterPartition {
    match effects {
        [Effect::AlterPartition(request)] => request,
        other => panic!("one proposal expected, not {other:?}"),
    }
}

fn altered(partition_epoch: i32, isr: &[i32]) -> Altered {
    Altered { leader_epoch: LeaderEpoch(5), partition_epoch: PartitionEpoch(partition_epoch), isr: ids(isr) }
}

#[test]
fn a_single_replica_commits_what_it_appends() {
    let mut state = state(&[1]);
    state.replicas = ids(&[1]);
    let mut leader = leader_of(&state, config());
    effects(&mut leader);
    leader.handle_append(1, 7);
    assert_eq!(effects(&mut leader), [Effect::HighWatermarkAdvanced(7)]);
    assert_eq!(leader.check_append(-1), Ok(()));
    assert_eq!(leader.check_ack(leader.ack(6)), AckState::Done);
}

#[test]
fn a_single_replica_that_must_flush_commits_what_is_on_disk() {
    let mut state = state(&[1]);
    state.replicas = ids(&[1]);
    let mut leader = leader_of(&state, Config { count_flushed_only: true, ..config() });
    effects(&mut leader);
    leader.handle_append(1, 7);
    let ack = leader.ack(6);
    assert_eq!(effects(&mut leader), []);
    assert_eq!(leader.check_ack(ack), AckState::Waiting);
    leader.handle_flushed(2, 5);
    assert_eq!(effects(&mut leader), [Effect::HighWatermarkAdvanced(5)]);
    leader.handle_flushed(3, 7);
    assert_eq!(leader.check_ack(ack), AckState::Done);
}

#[test]
fn high_watermark_is_the_lowest_end_of_the_isr() {
    let mut leader = leader(&[1, 2, 3]);
    leader.handle_append(1, 10);
    assert_eq!(effects(&mut leader), []);
    leader.handle_follower_fetch(2, fetch(2, 10)).unwrap();
    assert_eq!(effects(&mut leader), []);
    leader.handle_follower_fetch(3, fetch(3, 4)).unwrap();
    assert_eq!(effects(&mut leader), [Effect::HighWatermarkAdvanced(4)]);
    leader.handle_follower_fetch(4, fetch(3, 10)).unwrap();
    assert_eq!(effects(&mut leader), [Effect::HighWatermarkAdvanced(10)]);
}

#[test]
fn one_follower_does_not_count_for_two() {
    let mut leader = leader(&[1, 2, 3]);
    leader.handle_append(1, 10);
    leader.handle_follower_fetch(2, fetch(2, 10)).unwrap();
    leader.handle_follower_fetch(3, fetch(2, 10)).unwrap();
    assert_eq!(effects(&mut leader), []);
    assert_eq!(leader.high_watermark(), 0);
}

#[test]
fn what_followers_had_before_somebody_else_led_does_not_count() {
    let mut leader = leader(&[1, 2, 3]);
    leader.handle_append(1, 10);
    leader.handle_follower_fetch(2, fetch(3, 10)).unwrap();
    // 2 led in the epoch between, of which this leader never heard: 3 has cut off what it had from here.
    let again = PartitionState {
        leader_epoch: LeaderEpoch(7),
        partition_epoch: PartitionEpoch(12),
        ..state(&[1, 3])
    };
    assert_eq!(leader.handle_partition_change(3, &again, &alive), PartitionChange::Applied);
    assert_eq!(leader.high_watermark(), 0);
    let fetch = FollowerFetch { leader_epoch: LeaderEpoch(7), ..fetch(3, 10) };
    leader.handle_follower_fetch(4, fetch).unwrap();
    assert_eq!(leader.high_watermark(), 10);
}

#[test]
fn high_watermark_stands_still_under_min_isr() {
    let mut leader = leader(&[1]);
    leader.handle_append(1, 10);
    assert_eq!(effects(&mut leader), []);
    assert_eq!(leader.check_append(-1).map_err(AppendRefused::code), Err(ErrorCode::NotEnoughReplicas));
    assert_eq!(leader.check_append(1), Ok(()));
}

#[test]
fn an_isr_that_shrank_after_the_append_fails_the_ack_when_the_high_watermark_is_past_it() {
    let mut leader = leader(&[1, 2]);
    leader.handle_append(1, 10);
    let ack = leader.ack(9);
    leader.handle_follower_fetch(2, fetch(2, 10)).unwrap();
    assert_eq!(leader.check_ack(ack), AckState::Done);
    let alone = PartitionState { partition_epoch: PartitionEpoch(11), ..state(&[1]) };
    assert_eq!(leader.handle_partition_change(3, &alone, &fenced), PartitionChange::Applied);
    assert_eq!(leader.check_ack(ack), AckState::Failed(ErrorCode::NotEnoughReplicasAfterAppend));
    assert_eq!(effects(&mut leader).last(), Some(&Effect::TooFewInSync));
}

#[test]
fn producers_that_wait_hear_at_once_that_too_few_are_in_sync() {
    let mut leader = leader(&[1, 2]);
    leader.handle_append(1, 10);
    let ack = leader.ack(9);
    assert_eq!(leader.check_ack(ack), AckState::Waiting);
    let alone = PartitionState { partition_epoch: PartitionEpoch(11), ..state(&[1]) };
    assert_eq!(leader.handle_partition_change(3, &alone, &fenced), PartitionChange::Applied);
    assert_eq!(effects(&mut leader), [Effect::TooFewInSync]);
    assert_eq!(leader.check_ack(ack), AckState::Failed(ErrorCode::NotEnoughReplicasAfterAppend));
    leader.handle_brokers_change(4, &fenced);
    assert_eq!(effects(&mut leader), [], "it is said once");
}

#[test]
fn a_follower_that_asks_for_the_same_again_and_again_leaves_and_stays_out() {
    let mut leader = leader(&[1, 2, 3]);
    for broker in [2, 3] {
        leader.handle_follower_fetch(0, fetch(broker, 0)).unwrap();
    }
    leader.handle_append(1, 10);
    leader.handle_follower_fetch(2, fetch(2, 10)).unwrap();
    for now_ms in 3..=LAG_MS + 2 {
        leader.handle_follower_fetch(now_ms, fetch(3, 0)).unwrap();
        leader.tick(now_ms);
    }
    let [Effect::AlterPartition(shrink)] = &effects(&mut leader)[..] else { panic!() };
    let without =
        Altered { leader_epoch: LeaderEpoch(5), partition_epoch: PartitionEpoch(11), isr: ids(&[1, 2]) };
    leader.handle_alter_partition_answer(LAG_MS + 3, shrink.proposal, Ok(without));
    assert_eq!(effects(&mut leader), [Effect::HighWatermarkAdvanced(10)]);
    leader.handle_follower_fetch(LAG_MS + 4, fetch(3, 0)).unwrap();
    assert_eq!(effects(&mut leader), []);
}

#[test]
fn a_follower_with_nothing_to_ask_lags_from_the_first_record_it_lacks() {
    let mut leader = leader(&[1, 2]);
    leader.handle_follower_fetch(1, fetch(2, 0)).unwrap();
    let lag = config().replica_lag_time_max_ms;
    let late = 100 * lag;
    leader.handle_append(late, 10);
    leader.tick(late + lag);
    assert_eq!(effects(&mut leader), []);
    leader.tick(late + lag + 1);
    assert!(matches!(effects(&mut leader)[..], [Effect::AlterPartition(_)]));
}

#[test]
fn an_ack_of_an_earlier_tenure_fails() {
    let leader = leader(&[1, 2]);
    let old = Ack { since_epoch: LeaderEpoch(3), required_offset: 0 };
    assert_eq!(leader.check_ack(old), AckState::Failed(ErrorCode::NotLeaderOrFollower));
}

#[test]
fn a_follower_that_caught_up_is_proposed_for_the_isr_with_its_broker_epoch() {
    let mut leader = leader(&[1, 2]);
    leader.handle_append(1, 10);
    leader.handle_follower_fetch(2, fetch(2, 10)).unwrap();
    effects(&mut leader);
    leader.handle_follower_fetch(3, fetch(3, 10)).unwrap();
    let got = effects(&mut leader);
    let member = |broker| IsrMember { broker: BrokerId(broker), broker_epoch: EPOCH };
    assert_eq!(
        proposed(&got),
        &AlterPartition {
            proposal: 0,
            leader_epoch: LeaderEpoch(5),
            partition_epoch: PartitionEpoch(10),
            new_isr: vec![member(1), member(2), member(3)],
        }
    );
    assert_eq!(leader.isr(), ids(&[1, 2]));
}

#[test]
fn the_high_watermark_waits_for_a_proposed_replica_but_not_the_min_isr_check() {
    let mut leader = leader(&[1]);
    leader.handle_follower_fetch(1, fetch(2, 0)).unwrap();
    let got = effects(&mut leader);
    let proposal = proposed(&got).proposal;
    leader.handle_append(2, 10);
    assert_eq!(leader.check_append(-1).map_err(AppendRefused::code), Err(ErrorCode::NotEnoughReplicas));
    leader.handle_alter_partition_answer(3, proposal, Ok(altered(11, &[1, 2])));
    assert_eq!(effects(&mut leader), []);
    assert_eq!(leader.isr(), ids(&[1, 2]));
    leader.handle_follower_fetch(4, fetch(2, 10)).unwrap();
    assert_eq!(effects(&mut leader), [Effect::HighWatermarkAdvanced(10)]);
}

#[test]
fn a_follower_below_the_epochs_start_may_not_join() {
    let mut leader = Leader::new(0, (BrokerId(1), EPOCH), config(), &state(&[1, 2]), log(10, 4), &alive);
    leader.handle_follower_fetch(1, fetch(3, 9)).unwrap();
    assert_eq!(effects(&mut leader), []);
    leader.handle_follower_fetch(2, fetch(3, 10)).unwrap();
    assert_eq!(proposed(&effects(&mut leader)).new_isr.len(), 3);
}

#[test]
fn fenced_stopping_and_replaced_brokers_may_not_join() {
    for status in [
        BrokerStatus { epoch: EPOCH, fenced: true, shutting_down: false },
        BrokerStatus { epoch: EPOCH, fenced: false, shutting_down: true },
        BrokerStatus { epoch: BrokerEpoch(99), fenced: false, shutting_down: false },
    ] {
        let mut leader = leader(&[1, 2]);
        leader.handle_brokers_change(0, &|_| Some(status));
        leader.handle_follower_fetch(1, fetch(3, 0)).unwrap();
        assert_eq!(effects(&mut leader), [], "{status:?}");
        leader.handle_brokers_change(2, &alive);
        assert_eq!(proposed(&effects(&mut leader)).new_isr.len(), 3, "{status:?}");
    }
}

#[test]
fn a_fetch_of_a_replaced_incarnation_is_refused() {
    let mut leader = leader(&[1, 2]);
    let newer = |_| Some(BrokerStatus { epoch: BrokerEpoch(101), fenced: false, shutting_down: false });
    leader.handle_brokers_change(0, &newer);
    let refused = leader.handle_follower_fetch(1, fetch(2, 0)).unwrap_err();
    assert_eq!(refused, FetchRefused::StaleBrokerEpoch { asked: EPOCH, current: BrokerEpoch(101) });
    assert_eq!(refused.code(), ErrorCode::NotLeaderOrFollower);
}

#[test]
fn the_position_of_a_follower_that_restarted_does_not_count() {
    let mut leader = leader(&[1, 2, 3]);
    leader.handle_append(1, 10);
    leader.handle_follower_fetch(2, fetch(2, 10)).unwrap();
    let restarted = |broker: BrokerId| {
        let epoch = if broker == BrokerId(2) { BrokerEpoch(101) } else { EPOCH };
        Some(BrokerStatus { epoch, fenced: false, shutting_down: false })
    };
    leader.handle_brokers_change(3, &restarted);
    leader.handle_follower_fetch(4, fetch(3, 10)).unwrap();
    assert_eq!(effects(&mut leader), []);
    leader.handle_follower_fetch(5, FollowerFetch { broker_epoch: BrokerEpoch(101), ..fetch(2, 6) }).unwrap();
    assert_eq!(effects(&mut leader), [Effect::HighWatermarkAdvanced(6)]);
}

#[test]
fn a_fetch_with_a_wrong_epoch_offset_or_sender_is_refused() {
    let mut leader = leader(&[1, 2]);
    let mut code = |fetch| leader.handle_follower_fetch(1, fetch).unwrap_err().code();
    assert_eq!(
        code(FollowerFetch { leader_epoch: LeaderEpoch(4), ..fetch(2, 0) }),
        ErrorCode::FencedLeaderEpoch
    );
    assert_eq!(
        code(FollowerFetch { leader_epoch: LeaderEpoch(6), ..fetch(2, 0) }),
        ErrorCode::UnknownLeaderEpoch
    );
    assert_eq!(code(fetch(9, 0)), ErrorCode::UnknownLeaderEpoch);
    assert_eq!(
        code(FollowerFetch { leader_epoch: LeaderEpoch::NONE, ..fetch(9, 0) }),
        ErrorCode::NotLeaderOrFollower
    );
    assert_eq!(code(fetch(2, 1)), ErrorCode::OffsetOutOfRange);
}

#[test]
fn follower_behind_by_lag_leaves_isr() {
    let mut leader = leader(&[1, 2, 3]);
    leader.handle_append(1, 10);
    leader.handle_follower_fetch(500, fetch(2, 10)).unwrap();
    effects(&mut leader);
    leader.tick(LAG_MS);
    assert_eq!(effects(&mut leader), []);
    assert_eq!(leader.poll_timeout(), Some(LAG_MS + 1));
    leader.tick(LAG_MS + 1);
    let got = effects(&mut leader);
    assert_eq!(proposed(&got).new_isr.iter().map(|member| member.broker).collect::<Vec<_>>(), ids(&[1, 2]));
    assert_eq!(leader.high_watermark(), 0);
    leader.handle_alter_partition_answer(LAG_MS + 2, proposed(&got).proposal, Ok(altered(11, &[1, 2])));
    assert_eq!(effects(&mut leader), [Effect::HighWatermarkAdvanced(10)]);
}

#[test]
fn a_follower_that_always_trails_small_appends_stays_in_the_isr() {
    let mut leader = leader(&[1, 2]);
    for step in 1..20 {
        let now = step * LAG_MS / 2;
        leader.handle_append(now, step.try_into().unwrap());
        leader.handle_follower_fetch(now, fetch(2, Offset::try_from(step).unwrap() - 1)).unwrap();
        leader.tick(now);
    }
    assert!(!effects(&mut leader).iter().any(|effect| matches!(effect, Effect::AlterPartition(_))));
}

#[test]
fn an_idle_partition_keeps_a_silent_follower() {
    let mut leader = leader(&[1, 2]);
    leader.handle_follower_fetch(1, fetch(2, 0)).unwrap();
    effects(&mut leader);
    leader.tick(100 * LAG_MS);
    assert_eq!(effects(&mut leader), []);
    assert_eq!(leader.poll_timeout(), None);
}

#[test]
fn a_caught_up_follower_outside_of_the_isr_holds_the_high_watermark() {
    let mut leader = leader(&[1, 2]);
    leader.handle_follower_fetch(1, fetch(2, 0)).unwrap();
    leader.handle_follower_fetch(1, fetch(3, 0)).unwrap();
    let got = effects(&mut leader);
    leader.handle_alter_partition_answer(2, proposed(&got).proposal, Err(ErrorCode::IneligibleReplica));
    leader.handle_append(3, 5);
    leader.handle_follower_fetch(4, fetch(2, 5)).unwrap();
    assert_eq!(effects(&mut leader), []);
    leader.tick(3 * LAG_MS);
    assert!(effects(&mut leader).contains(&Effect::HighWatermarkAdvanced(5)));
}

fn with_open_expansion() -> (Leader, u64) {
    let mut leader = leader(&[1, 2]);
    leader.handle_follower_fetch(1, fetch(2, 0)).unwrap();
    leader.handle_follower_fetch(1, fetch(3, 0)).unwrap();
    let got = effects(&mut leader);
    let proposal = proposed(&got).proposal;
    (leader, proposal)
}

#[test]
fn a_certain_refusal_closes_the_proposal_and_pauses() {
    for code in [ErrorCode::OperationNotAttempted, ErrorCode::IneligibleReplica] {
        let (mut leader, proposal) = with_open_expansion();
        leader.handle_alter_partition_answer(2, proposal, Err(code));
        assert!(!leader.has_open_proposal());
        leader.handle_follower_fetch(3, fetch(3, 0)).unwrap();
        assert_eq!(effects(&mut leader), []);
        assert_eq!(leader.poll_timeout(), Some(2 + PROPOSE_AGAIN_MS));
        leader.tick(2 + PROPOSE_AGAIN_MS);
        assert_eq!(proposed(&effects(&mut leader)).proposal, proposal + 1);
    }
}

#[test]
fn an_uncertain_refusal_waits_for_metadata_and_counts_strictly() {
    for code in [
        ErrorCode::UnknownTopicOrPartition,
        ErrorCode::UnknownTopicId,
        ErrorCode::FencedLeaderEpoch,
        ErrorCode::InvalidUpdateVersion,
        ErrorCode::InvalidRequest,
        ErrorCode::NewLeaderElected,
    ] {
        let (mut leader, proposal) = with_open_expansion();
        leader.handle_alter_partition_answer(2, proposal, Err(code));
        leader.handle_append(3, 4);
        leader.handle_follower_fetch(4, fetch(2, 4)).unwrap();
        leader.tick(100 * LAG_MS);
        assert_eq!(effects(&mut leader), [], "{code}");
        assert_eq!(leader.poll_timeout(), None);
        let newer = PartitionState { partition_epoch: PartitionEpoch(12), ..state(&[1, 2]) };
        leader.handle_partition_change(100 * LAG_MS, &newer, &fenced);
        assert_eq!(effects(&mut leader), [Effect::HighWatermarkAdvanced(4)], "{code}");
    }
}

#[test]
fn a_lost_answer_repeats_the_same_proposal() {
    for code in [ErrorCode::NotController, ErrorCode::RequestTimedOut, ErrorCode::StaleBrokerEpoch] {
        let (mut leader, proposal) = with_open_expansion();
        leader.handle_alter_partition_answer(2, proposal, Err(code));
        assert_eq!(leader.poll_timeout(), Some(2 + PROPOSE_AGAIN_MS));
        leader.tick(2 + PROPOSE_AGAIN_MS);
        assert_eq!(proposed(&effects(&mut leader)).proposal, proposal, "{code}");
    }
}

#[test]
fn an_answer_that_metadata_overtook_is_ignored() {
    let (mut leader, proposal) = with_open_expansion();
    let newer = PartitionState { partition_epoch: PartitionEpoch(12), ..state(&[1, 2, 3]) };
    assert_eq!(leader.handle_partition_change(2, &newer, &alive), PartitionChange::Applied);
    leader.handle_alter_partition_answer(3, proposal, Ok(altered(11, &[1])));
    assert_eq!(leader.isr(), ids(&[1, 2, 3]));
    assert_eq!(leader.partition_epoch(), PartitionEpoch(12));
}

#[test]
fn metadata_that_repeats_the_answer_changes_nothing_but_completes_a_reassignment() {
    let (mut leader, proposal) = with_open_expansion();
    leader.handle_alter_partition_answer(2, proposal, Ok(altered(11, &[1, 3])));
    let same = PartitionState { partition_epoch: PartitionEpoch(11), ..state(&[1, 3]) };
    assert_eq!(leader.handle_partition_change(3, &same, &alive), PartitionChange::Stale);
    let moved = PartitionState { replicas: ids(&[1, 3]), ..same };
    assert_eq!(leader.handle_partition_change(3, &moved, &alive), PartitionChange::Applied);
    assert_eq!(leader.followers().len(), 1);
}

#[test]
fn another_leader_ends_this_one_and_an_old_registration_does_nothing() {
    let mut leader = leader(&[1, 2]);
    let old = PartitionState { partition_epoch: PartitionEpoch(9), leader: BrokerId(2), ..state(&[1, 2]) };
    assert_eq!(leader.handle_partition_change(1, &old, &alive), PartitionChange::Stale);
    let other = PartitionState {
        partition_epoch: PartitionEpoch(11),
        leader_epoch: LeaderEpoch(6),
        leader: BrokerId(2),
        ..state(&[1, 2])
    };
    assert_eq!(leader.handle_partition_change(1, &other, &alive), PartitionChange::NotLeader);
}

#[test]
fn a_new_epoch_of_the_same_leader_keeps_acks_and_restarts_the_lag_clock() {
    let mut leader = leader(&[1, 2]);
    leader.handle_append(1, 5);
    let ack = leader.ack(4);
    let newer = PartitionState {
        partition_epoch: PartitionEpoch(11),
        leader_epoch: LeaderEpoch(6),
        ..state(&[1, 2])
    };
    leader.handle_partition_change(5 * LAG_MS, &newer, &alive);
    effects(&mut leader);
    leader.tick(5 * LAG_MS + 10);
    assert_eq!(effects(&mut leader), []);
    leader
        .handle_follower_fetch(5 * LAG_MS + 20, FollowerFetch { leader_epoch: LeaderEpoch(6), ..fetch(2, 5) })
        .unwrap();
    assert_eq!(leader.check_ack(ack), AckState::Done);
}

#[test]
fn latest_offset_is_not_available_until_earlier_epochs_are_committed() {
    let mut leader = Leader::new(0, (BrokerId(1), EPOCH), config(), &state(&[1, 2]), log(10, 4), &alive);
    assert_eq!(leader.latest_offset(), Err(ErrorCode::OffsetNotAvailable));
    leader.handle_follower_fetch(1, fetch(2, 10)).unwrap();
    assert_eq!(leader.latest_offset(), Ok(10));
}

#[test]
fn low_watermark_waits_for_every_live_replica() {
    let mut leader = leader(&[1, 2, 3]);
    leader.handle_log_start_change(0);
    assert_eq!(leader.low_watermark(), -1);
    leader.handle_append(1, 10);
    for broker in [2, 3] {
        leader.handle_follower_fetch(1, fetch(broker, 10)).unwrap();
    }
    leader.handle_log_start_change(8);
    leader.handle_follower_fetch(2, FollowerFetch { log_start_offset: 8, ..fetch(2, 10) }).unwrap();
    assert_eq!(leader.low_watermark(), 0);
    leader.drain_effects();
    leader.handle_follower_fetch(3, FollowerFetch { log_start_offset: 8, ..fetch(3, 10) }).unwrap();
    assert_eq!(leader.drain_effects().collect::<Vec<_>>(), [Effect::LowWatermarkAdvanced(8)]);
}
