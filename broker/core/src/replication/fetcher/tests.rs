use super::super::partition_state::EpochEnd;
use super::*;
use crate::fetch_session::SessionHeader;
use ottla_types::{TopicId, Uuid};

const BACKOFF_MS: u64 = 1_000;
const EPOCH: LeaderEpoch = LeaderEpoch(4);

fn partition(partition: i32) -> TopicIdPartition {
    TopicIdPartition { topic_id: TopicId(Uuid::from_u128(1)), partition }
}

fn log(end: Offset) -> FollowerLog {
    FollowerLog {
        log_start_offset: 0,
        log_end_offset: end,
        flushed_offset: end,
        latest_epoch: LeaderEpoch(3),
    }
}

fn follow(end: Offset) -> Follow {
    Follow { leader_epoch: EPOCH, log: log(end), high_watermark: 0, flush_first: false }
}

fn fetcher(partitions: i32) -> Fetcher {
    let mut fetcher = Fetcher::new(FetcherConfig { partition_max_bytes: 1_000, backoff_ms: BACKOFF_MS });
    for index in 0..partitions {
        fetcher.follow(partition(index), follow(10));
    }
    fetcher
}

fn named(request: &SessionRequest<TopicIdPartition>) -> Vec<(i32, Offset)> {
    request.partitions.iter().map(|(key, want)| (key.partition, want.fetch_offset)).collect()
}

fn dropped(request: &SessionRequest<TopicIdPartition>) -> Vec<i32> {
    request.forgotten.iter().map(|key| key.partition).collect()
}

fn fetched(records_bytes: usize) -> Fetched {
    Fetched {
        error: ErrorCode::None,
        high_watermark: 30,
        log_start_offset: 0,
        diverging: None,
        records_bytes,
    }
}

fn failed(error: ErrorCode) -> Fetched {
    Fetched { error, high_watermark: -1, log_start_offset: -1, ..fetched(0) }
}

fn effects(fetcher: &mut Fetcher) -> Vec<FollowerEffect> {
    fetcher.drain_effects().map(|(_, effect)| effect).collect()
}

/// One request and its answer for partition 0.
fn exchange(fetcher: &mut Fetcher, now_ms: u64, answer: &Fetched) -> Vec<FollowerEffect> {
    assert!(fetcher.request(now_ms).is_some());
    assert!(fetcher.handle_response(now_ms, ErrorCode::None, 5));
    fetcher.handle_partition(now_ms, &partition(0), answer);
    effects(fetcher)
}

#[test]
fn the_first_request_names_every_partition_and_one_request_is_out_at_a_time() {
    let mut fetcher = fetcher(3);
    let request = fetcher.request(0).unwrap();
    assert_eq!(named(&request), [(0, 10), (1, 10), (2, 10)]);
    assert_eq!(request.partitions[0].1.last_fetched_epoch, LeaderEpoch(3));
    assert_eq!(request.partitions[0].1.current_leader_epoch, EPOCH);
    assert_eq!(fetcher.request(0), None);
    assert_eq!(fetcher.poll_timeout(), None);
}

#[test]
fn after_an_append_only_the_partition_that_moved_is_named() {
    let mut fetcher = fetcher(3);
    assert_eq!(
        exchange(&mut fetcher, 0, &fetched(100)),
        [FollowerEffect::Append, FollowerEffect::HighWatermarkAdvanced(10)]
    );
    fetcher.handle_appended(0, &partition(0), &fetched(100), Ok((25, EPOCH)));
    assert_eq!(effects(&mut fetcher), [FollowerEffect::HighWatermarkAdvanced(25)]);
    let next = fetcher.request(1).unwrap();
    assert_eq!(next.header, SessionHeader { id: 5, epoch: 1 });
    assert_eq!(named(&next), [(0, 25)]);
    assert_eq!(next.partitions[0].1.last_fetched_epoch, EPOCH);
}

#[test]
fn a_replica_that_must_flush_first_is_left_out_until_it_has() {
    let mut fetcher = fetcher(0);
    for index in 0..2 {
        fetcher.follow(partition(index), Follow { flush_first: true, ..follow(10) });
    }
    exchange(&mut fetcher, 0, &fetched(100));
    fetcher.handle_appended(0, &partition(0), &fetched(100), Ok((25, EPOCH)));
    assert!(effects(&mut fetcher).contains(&FollowerEffect::Flush));
    let next = fetcher.request(1).unwrap();
    assert_eq!((named(&next), dropped(&next)), (vec![], vec![0]));
    fetcher.handle_response(1, ErrorCode::None, 5);
    fetcher.handle_flushed(&partition(0), 24);
    assert_eq!(named(&fetcher.request(2).unwrap()), []);
    fetcher.handle_response(2, ErrorCode::None, 5);
    fetcher.handle_flushed(&partition(0), 25);
    assert_eq!(named(&fetcher.request(3).unwrap()), [(0, 25)]);
}

#[test]
fn an_unflushed_log_is_flushed_before_its_first_fetch() {
    let mut fetcher = fetcher(0);
    let unflushed = FollowerLog { flushed_offset: 4, ..log(10) };
    fetcher.follow(partition(0), Follow { flush_first: true, log: unflushed, ..follow(10) });
    assert_eq!(effects(&mut fetcher), [FollowerEffect::Flush]);
    assert_eq!(fetcher.request(0), None);
    fetcher.handle_flushed(&partition(0), 10);
    assert_eq!(named(&fetcher.request(0).unwrap()), [(0, 10)]);
}

#[test]
fn a_diverging_epoch_truncates_and_nothing_else_of_the_answer_counts() {
    let mut fetcher = fetcher(1);
    let leader_end = EpochEnd { epoch: LeaderEpoch(3), end_offset: 8 };
    let answer = Fetched { diverging: Some(leader_end), ..fetched(0) };
    assert_eq!(exchange(&mut fetcher, 0, &answer), [FollowerEffect::Truncate { leader_end }]);
    assert_eq!(fetcher.request(0), None);
    fetcher.handle_log_reset(&partition(0), log(8));
    assert_eq!(named(&fetcher.request(1).unwrap()), [(0, 8)]);
    assert_eq!(fetcher.follower(&partition(0)).unwrap().high_watermark(), 0);
}

#[test]
fn a_truncation_that_changes_nothing_is_not_repeated_at_once() {
    let mut fetcher = fetcher(1);
    let leader_end = EpochEnd { epoch: LeaderEpoch(2), end_offset: 10 };
    let answer = Fetched { diverging: Some(leader_end), ..fetched(0) };
    assert_eq!(exchange(&mut fetcher, 0, &answer), [FollowerEffect::Truncate { leader_end }]);
    fetcher.handle_log_reset(&partition(0), log(10));
    assert_eq!(exchange(&mut fetcher, 0, &answer), []);
    assert_eq!(fetcher.poll_timeout(), Some(FIRST_BACKOFF_MS));
}

#[test]
fn out_of_range_above_the_leader_truncates_to_its_end() {
    let mut fetcher = fetcher(1);
    let got = exchange(&mut fetcher, 0, &failed(ErrorCode::OffsetOutOfRange));
    assert_eq!(got, [FollowerEffect::AskOffsets]);
    let offsets = LeaderOffsets { log_start_offset: 0, log_end_offset: 7 };
    fetcher.handle_leader_offsets(1, &partition(0), Ok(offsets));
    assert_eq!(effects(&mut fetcher), [FollowerEffect::TruncateTo(7)]);
}

#[test]
fn out_of_range_below_the_leader_starts_anew() {
    let mut fetcher = fetcher(1);
    exchange(&mut fetcher, 0, &failed(ErrorCode::OffsetOutOfRange));
    let offsets = LeaderOffsets { log_start_offset: 50, log_end_offset: 70 };
    fetcher.handle_leader_offsets(1, &partition(0), Ok(offsets));
    assert_eq!(effects(&mut fetcher), [FollowerEffect::StartAt(50)]);
    fetcher.handle_log_reset(&partition(0), FollowerLog { log_start_offset: 50, ..log(50) });
    assert_eq!(named(&fetcher.request(1).unwrap()), [(0, 50)]);
    assert_eq!(fetcher.follower(&partition(0)).unwrap().high_watermark(), 50);
}

#[test]
fn leader_offsets_around_our_end_just_resume_and_an_error_delays() {
    let mut fetcher = fetcher(1);
    exchange(&mut fetcher, 0, &failed(ErrorCode::OffsetOutOfRange));
    fetcher.handle_leader_offsets(0, &partition(0), Err(ErrorCode::NotLeaderOrFollower));
    assert_eq!(fetcher.poll_timeout(), Some(FIRST_BACKOFF_MS));
    let now = FIRST_BACKOFF_MS;
    exchange(&mut fetcher, now, &failed(ErrorCode::OffsetOutOfRange));
    let offsets = LeaderOffsets { log_start_offset: 0, log_end_offset: 12 };
    fetcher.handle_leader_offsets(now, &partition(0), Ok(offsets));
    assert_eq!(named(&fetcher.request(now).unwrap()), [(0, 10)]);
}

#[test]
fn errors_delay_one_partition_longer_each_time_and_leave_the_others_alone() {
    let mut fetcher = fetcher(2);
    let mut now = 0;
    for failures in 0..8 {
        exchange(&mut fetcher, now, &failed(ErrorCode::UnknownLeaderEpoch));
        let delay = (FIRST_BACKOFF_MS << failures).min(BACKOFF_MS);
        let next = fetcher.request(now + delay - 1).unwrap();
        assert_eq!(dropped(&next), [0], "{failures}");
        fetcher.handle_response(now, ErrorCode::None, 5);
        now += delay;
    }
}

#[test]
fn a_fenced_follower_waits_for_a_new_epoch() {
    let mut fetcher = fetcher(1);
    exchange(&mut fetcher, 0, &failed(ErrorCode::FencedLeaderEpoch));
    assert_eq!(fetcher.poll_timeout(), None);
    assert_eq!(fetcher.request(100_000), None);
    fetcher.follow(partition(0), Follow { leader_epoch: LeaderEpoch(5), ..follow(10) });
    assert_eq!(fetcher.request(100_000).unwrap().partitions[0].1.current_leader_epoch, LeaderEpoch(5));
}

#[test]
fn following_again_in_the_same_epoch_changes_nothing() {
    let mut fetcher = fetcher(1);
    fetcher.request(0);
    fetcher.follow(partition(0), follow(3));
    assert_eq!(fetcher.follower(&partition(0)).unwrap().log_end_offset(), 10);
}

#[test]
fn an_answer_to_an_earlier_epoch_or_offset_is_ignored() {
    let mut fetcher = fetcher(1);
    fetcher.request(0);
    fetcher.follow(partition(0), Follow { leader_epoch: LeaderEpoch(5), ..follow(10) });
    fetcher.handle_response(1, ErrorCode::None, 5);
    fetcher.handle_partition(1, &partition(0), &fetched(100));
    assert_eq!(effects(&mut fetcher), []);
    fetcher.unfollow(&partition(0));
    fetcher.handle_partition(1, &partition(0), &fetched(100));
    assert!(fetcher.is_empty());
}

#[test]
fn a_broken_connection_delays_everything_and_starts_a_full_request() {
    let mut fetcher = fetcher(2);
    exchange(&mut fetcher, 0, &fetched(0));
    fetcher.request(0);
    fetcher.handle_failure(10);
    assert_eq!(fetcher.poll_timeout(), Some(10 + FIRST_BACKOFF_MS));
    assert_eq!(fetcher.request(10 + FIRST_BACKOFF_MS - 1), None);
    assert_eq!(named(&fetcher.request(10 + FIRST_BACKOFF_MS).unwrap()).len(), 2);
}

#[test]
fn a_lost_session_is_made_anew_at_once() {
    let mut fetcher = fetcher(2);
    exchange(&mut fetcher, 0, &fetched(0));
    fetcher.request(0);
    assert!(!fetcher.handle_response(1, ErrorCode::FetchSessionIdNotFound, 0));
    assert_eq!(fetcher.request(1).unwrap().header, SessionHeader::INITIAL);
}

#[test]
fn invalid_records_are_fetched_again_and_a_failed_disk_stops_the_replica() {
    let mut fetcher = fetcher(1);
    exchange(&mut fetcher, 0, &fetched(100));
    fetcher.handle_appended(0, &partition(0), &fetched(100), Err(AppendFailure::Invalid));
    assert_eq!(fetcher.poll_timeout(), Some(FIRST_BACKOFF_MS));
    exchange(&mut fetcher, FIRST_BACKOFF_MS, &fetched(100));
    fetcher.handle_appended(0, &partition(0), &fetched(100), Err(AppendFailure::Storage));
    assert!(fetcher.follower(&partition(0)).unwrap().is_stopped());
    assert_eq!(fetcher.poll_timeout(), None);
}

#[test]
fn throttled_partitions_that_are_behind_wait_while_over_quota() {
    let mut fetcher = fetcher(2);
    fetcher.set_throttled(partition(0), true);
    fetcher.set_over_quota(true);
    assert_eq!(named(&fetcher.request(0).unwrap()), [(1, 10)]);
    fetcher.handle_response(0, ErrorCode::None, 5);
    fetcher.set_over_quota(false);
    let caught_up = Fetched { high_watermark: 10, ..fetched(0) };
    exchange(&mut fetcher, 0, &caught_up);
    fetcher.set_over_quota(true);
    assert_eq!(dropped(&fetcher.request(0).unwrap()), []);
}

#[test]
fn the_log_start_follows_the_leaders_but_not_past_what_is_committed() {
    let mut fetcher = fetcher(1);
    let answer = Fetched { high_watermark: 8, log_start_offset: 9, ..fetched(0) };
    assert_eq!(
        exchange(&mut fetcher, 0, &answer),
        [FollowerEffect::HighWatermarkAdvanced(8), FollowerEffect::LogStartAdvanced(8)]
    );
}
