use super::super::session::PartitionAnswer;
use super::*;
use ottla_types::{LeaderEpoch, TopicId, Uuid};

const EVICTION_MS: u64 = 100;
const BY_NAME: (bool, bool) = (false, false);
const FOLLOWER: (bool, bool) = (true, true);
const CONSUMER: (bool, bool) = (true, false);

fn cache(slots: usize) -> Cache {
    Cache::new(Limits { slots, partitions: 20, eviction_ms: EVICTION_MS }, 7)
}

fn key(partition: i32) -> PartitionKey {
    PartitionKey::by_id(TopicId(Uuid::from_u128(9)), partition)
}

fn want(fetch_offset: i64) -> FetchPartition {
    FetchPartition {
        fetch_offset,
        log_start_offset: -1,
        max_bytes: 1_000,
        current_leader_epoch: LeaderEpoch(1),
        last_fetched_epoch: LeaderEpoch::NONE,
    }
}

fn wants(partitions: std::ops::Range<i32>) -> Vec<(PartitionKey, FetchPartition)> {
    partitions.map(|partition| (key(partition), want(0))).collect()
}

fn header(id: i32, epoch: i32) -> SessionHeader {
    SessionHeader { id, epoch }
}

fn answer(high_watermark: i64) -> PartitionAnswer {
    PartitionAnswer {
        has_records: false,
        high_watermark,
        log_start_offset: 0,
        has_advice: false,
        error: ErrorCode::None,
    }
}

fn context(opened: Opened) -> Context {
    match opened {
        Opened::Context(context) => context,
        Opened::Refused(code) => panic!("refused with {code}"),
    }
}

fn refused(opened: Opened) -> ErrorCode {
    match opened {
        Opened::Refused(code) => code,
        Opened::Context(context) => panic!("not refused: {context:?}"),
    }
}

/// A new session of `size` partitions; 0 if it got none.
fn session(cache: &mut Cache, now_ms: u64, who: (bool, bool), size: i32) -> i32 {
    let context = context(cache.open(now_ms, SessionHeader::INITIAL, who, wants(0..size), &[]));
    cache.finish(now_ms, context)
}

fn partitions(context: &Context) -> Vec<i32> {
    context.partitions().map(|(_, key, _)| key.partition).collect()
}

#[test]
fn a_full_request_gets_a_session_and_answers_everything() {
    let mut cache = cache(2);
    let mut full = context(cache.open(0, SessionHeader::INITIAL, CONSUMER, wants(0..3), &[]));
    assert_eq!(partitions(&full), [0, 1, 2]);
    assert!((0..3).all(|index| full.must_answer(index, &answer(-1))));
    let id = cache.finish(0, full);
    assert!(id > 0);
    assert_eq!((cache.len(), cache.partitions()), (1, 3));
}

#[test]
fn a_request_without_session_gets_none() {
    let mut cache = cache(2);
    let legacy = context(cache.open(0, SessionHeader::LEGACY, BY_NAME, wants(0..3), &[]));
    assert_eq!(cache.finish(0, legacy), NO_SESSION);
    assert!(cache.is_empty());
}

#[test]
fn an_incremental_request_changes_the_session_and_answers_only_news() {
    let mut cache = cache(2);
    let mut full = context(cache.open(0, SessionHeader::INITIAL, CONSUMER, wants(0..3), &[]));
    for index in 0..3 {
        full.must_answer(index, &answer(5));
    }
    let id = cache.finish(0, full);
    let changed = vec![(key(1), want(8)), (key(7), want(0))];
    let mut next = context(cache.open(1, header(id, 1), CONSUMER, changed, &[key(0)]));
    assert_eq!(next.kind(), Kind::Incremental { id });
    let mut seen: Vec<_> =
        next.partitions().map(|(_, key, want)| (key.partition, want.fetch_offset)).collect();
    seen.sort_unstable();
    assert_eq!(seen, [(1, 8), (2, 0), (7, 0)]);
    let index_of = |context: &Context, wanted| {
        context.partitions().find(|(_, key, _)| key.partition == wanted).map(|(index, ..)| index).unwrap()
    };
    let (one, two, seven) = (index_of(&next, 1), index_of(&next, 2), index_of(&next, 7));
    assert!(!next.must_answer(one, &answer(5)));
    assert!(next.must_answer(two, &PartitionAnswer { has_records: true, ..answer(5) }));
    assert!(next.must_answer(seven, &answer(0)));
    assert_eq!(cache.finish(1, next), id);
    assert_eq!(cache.partitions(), 3);
}

#[test]
fn after_an_error_the_next_answer_is_news() {
    let mut cache = cache(2);
    let id = session(&mut cache, 0, CONSUMER, 1);
    let mut next = context(cache.open(1, header(id, 1), CONSUMER, vec![], &[]));
    assert!(next.must_answer(0, &PartitionAnswer { error: ErrorCode::NotLeaderOrFollower, ..answer(-1) }));
    cache.finish(1, next);
    let mut next = context(cache.open(2, header(id, 2), CONSUMER, vec![], &[]));
    assert!(next.must_answer(0, &answer(3)));
    assert!(!next.must_answer(0, &answer(3)));
    assert!(next.must_answer(0, &PartitionAnswer { has_advice: true, ..answer(3) }));
    assert!(next.must_answer(0, &PartitionAnswer { log_start_offset: 2, ..answer(3) }));
}

#[test]
fn the_partition_after_the_last_with_records_is_read_first() {
    let mut cache = cache(2);
    let id = session(&mut cache, 0, CONSUMER, 4);
    let mut next = context(cache.open(1, header(id, 1), CONSUMER, vec![], &[]));
    next.must_answer(1, &PartitionAnswer { has_records: true, ..answer(3) });
    cache.finish(1, next);
    let next = context(cache.open(2, header(id, 2), CONSUMER, vec![], &[]));
    assert_eq!(partitions(&next), [2, 3, 0, 1]);
}

#[test]
fn unknown_sessions_wrong_epochs_and_mixed_topic_names_are_refused() {
    let mut cache = cache(2);
    let id = session(&mut cache, 0, CONSUMER, 1);
    let mut code = |header, who| refused(cache.open(1, header, who, vec![], &[]));
    assert_eq!(code(header(id + 1, 1), CONSUMER), ErrorCode::FetchSessionIdNotFound);
    assert_eq!(code(header(NO_SESSION, 1), CONSUMER), ErrorCode::FetchSessionIdNotFound);
    assert_eq!(code(header(id, 2), CONSUMER), ErrorCode::InvalidFetchSessionEpoch);
    assert_eq!(code(header(id, 1), BY_NAME), ErrorCode::FetchSessionTopicIdError);
}

#[test]
fn a_session_serves_one_request_at_a_time() {
    let mut cache = cache(2);
    let id = session(&mut cache, 0, CONSUMER, 1);
    let working = context(cache.open(1, header(id, 1), CONSUMER, vec![], &[]));
    assert_eq!(
        refused(cache.open(1, header(id, 1), CONSUMER, vec![], &[])),
        ErrorCode::InvalidFetchSessionEpoch
    );
    assert_eq!(
        refused(cache.open(1, header(id, 2), CONSUMER, vec![], &[])),
        ErrorCode::InvalidFetchSessionEpoch
    );
    cache.finish(1, working);
    let next = context(cache.open(1, header(id, 2), CONSUMER, vec![], &[]));
    cache.abandon(next);
    assert!(cache.is_empty());
}

#[test]
fn a_full_request_that_names_a_session_ends_it() {
    let mut cache = cache(2);
    let id = session(&mut cache, 0, CONSUMER, 1);
    let closing = context(cache.open(1, header(id, FINAL_EPOCH), CONSUMER, wants(0..1), &[]));
    assert_eq!(closing.kind(), Kind::Sessionless);
    assert!(cache.is_empty());
}

#[test]
fn a_session_without_partitions_ends() {
    let mut cache = cache(2);
    let id = session(&mut cache, 0, CONSUMER, 1);
    let last = context(cache.open(1, header(id, 1), CONSUMER, vec![], &[key(0)]));
    assert!(last.is_empty());
    assert_eq!(cache.finish(1, last), NO_SESSION);
    assert!(cache.is_empty());
}

#[test]
fn a_young_session_does_not_give_way_to_a_consumer() {
    let mut cache = cache(1);
    let first = session(&mut cache, 0, CONSUMER, 1);
    assert_ne!(first, NO_SESSION);
    assert_eq!(session(&mut cache, EVICTION_MS, CONSUMER, 5), NO_SESSION);
    assert_eq!(cache.evictions(), 0);
}

#[test]
fn a_stale_session_gives_way_to_anybody() {
    let mut cache = cache(1);
    session(&mut cache, 0, FOLLOWER, 9);
    assert_ne!(session(&mut cache, EVICTION_MS + 1, CONSUMER, 1), NO_SESSION);
    assert_eq!((cache.len(), cache.evictions()), (1, 1));
}

#[test]
fn a_consumers_session_gives_way_to_a_follower_but_not_the_reverse() {
    let mut cache = cache(1);
    session(&mut cache, 0, CONSUMER, 9);
    let follower = session(&mut cache, 1, FOLLOWER, 1);
    assert_ne!(follower, NO_SESSION);
    for (epoch, now) in [(1, 90), (2, 180), (3, 270)] {
        let next = context(cache.open(now, header(follower, epoch), FOLLOWER, vec![], &[]));
        cache.finish(now, next);
    }
    assert_eq!(session(&mut cache, 271, CONSUMER, 9), NO_SESSION);
}

#[test]
fn a_settled_session_gives_way_to_a_larger_one_of_its_kind() {
    let mut cache = cache(1);
    let id = session(&mut cache, 0, CONSUMER, 3);
    for (epoch, now) in [(1, 90), (2, 180)] {
        let next = context(cache.open(now, header(id, epoch), CONSUMER, vec![], &[]));
        cache.finish(now, next);
    }
    assert_eq!(session(&mut cache, 181, CONSUMER, 2), NO_SESSION);
    assert_ne!(session(&mut cache, 181, CONSUMER, 4), NO_SESSION);
}

#[test]
fn partitions_of_all_sessions_together_are_bounded() {
    let mut cache = cache(10);
    let id = session(&mut cache, 0, CONSUMER, 15);
    assert_eq!(session(&mut cache, 0, CONSUMER, 21), NO_SESSION);
    assert_eq!(session(&mut cache, 0, CONSUMER, 6), NO_SESSION);
    let more = wants(0..21);
    assert_eq!(refused(cache.open(1, header(id, 1), CONSUMER, more, &[])), ErrorCode::FetchSessionIdNotFound);
    assert_eq!(cache.partitions(), 0);
}

#[test]
fn an_evicted_session_in_work_still_answers_and_then_is_gone() {
    let mut cache = cache(1);
    let id = session(&mut cache, 0, CONSUMER, 1);
    let working = context(cache.open(1, header(id, 1), CONSUMER, vec![], &[]));
    session(&mut cache, 2, FOLLOWER, 1);
    assert_eq!(cache.finish(3, working), id);
    assert_eq!(
        refused(cache.open(4, header(id, 2), CONSUMER, vec![], &[])),
        ErrorCode::FetchSessionIdNotFound
    );
}
