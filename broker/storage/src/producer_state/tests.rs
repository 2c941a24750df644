use super::*;
use ottla_types::LeaderEpoch;

pub(super) fn batch(epoch: i16, base_sequence: i32, records: i32, base_offset: Offset) -> BatchSummary {
    BatchSummary {
        base_offset,
        last_offset: base_offset + i64::from(records) - 1,
        leader_epoch: LeaderEpoch(0),
        max_timestamp: 1_000 + base_offset,
        producer_id: ProducerId(7),
        producer_epoch: ProducerEpoch(epoch),
        base_sequence,
        last_sequence: base_sequence.wrapping_add(records - 1) & i32::MAX,
        is_transactional: false,
        is_control: false,
        record_count: records,
        total_bytes: 100,
    }
}

fn transactional(batch: BatchSummary) -> BatchSummary {
    BatchSummary { is_transactional: true, ..batch }
}

fn marker(epoch: i16, offset: Offset) -> BatchSummary {
    BatchSummary {
        is_control: true,
        base_sequence: -1,
        last_sequence: -1,
        ..transactional(batch(epoch, 0, 1, offset))
    }
}

fn states(batches: &[BatchSummary]) -> ProducerStates {
    let mut states = ProducerStates::default();
    for batch in batches {
        assert_eq!(states.check(batch), Ok(Verdict::Append), "{batch:?}");
        states.apply(batch);
    }
    states
}

#[test]
fn a_repeated_batch_is_answered_with_its_first_offset() {
    let states = states(&[batch(0, 0, 5, 100), batch(0, 5, 5, 105)]);
    let expected = Verdict::Duplicate { base_offset: 100, last_offset: 104, timestamp: 1_100 };
    assert_eq!(states.check(&batch(0, 0, 5, 0)), Ok(expected));
}

#[test]
fn five_batches_are_remembered_and_no_more() {
    let batches: Vec<_> = (0..6).map(|i| batch(0, i * 2, 2, i64::from(i) * 2)).collect();
    let states = states(&batches);
    assert!(matches!(states.check(&batches[1]), Ok(Verdict::Duplicate { base_offset: 2, .. })));
    assert!(matches!(states.check(&batches[0]), Err(ProducerStateError::OutOfOrderSequence { .. })));
}

#[test]
fn a_gap_in_the_sequence_is_refused() {
    let states = states(&[batch(0, 0, 5, 0)]);
    let error = states.check(&batch(0, 6, 1, 0)).unwrap_err();
    assert_eq!(error.code(), ErrorCode::OutOfOrderSequenceNumber);
}

#[test]
fn the_sequence_wraps_to_zero() {
    let mut states = states(&[batch(0, i32::MAX - 1, 2, 0)]);
    assert_eq!(states.check(&batch(0, 0, 3, 2)), Ok(Verdict::Append));
    let mut over = batch(0, i32::MAX - 1, 4, 0);
    over.producer_id = ProducerId(8);
    assert_eq!(over.last_sequence, 1);
    states.apply(&over);
    assert!(matches!(states.check(&over), Ok(Verdict::Duplicate { base_offset: 0, .. })));
    over.base_sequence = 2;
    over.last_sequence = 2;
    assert_eq!(states.check(&over), Ok(Verdict::Append));
}

#[test]
fn an_unknown_producer_may_start_anywhere() {
    assert_eq!(ProducerStates::default().check(&batch(3, 77, 1, 0)), Ok(Verdict::Append));
}

#[test]
fn a_new_epoch_starts_at_zero_and_fences_the_old_one() {
    let mut states = states(&[batch(0, 0, 5, 0)]);
    assert!(matches!(states.check(&batch(1, 5, 1, 5)), Err(ProducerStateError::OutOfOrderSequence { .. })));
    assert_eq!(states.check(&batch(1, 0, 1, 5)), Ok(Verdict::Append));
    states.apply(&batch(1, 0, 1, 5));
    let error = states.check(&batch(0, 5, 1, 6)).unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidProducerEpoch);
}

#[test]
fn an_open_transaction_holds_the_stable_offset_until_its_marker_is_replicated() {
    let mut states = states(&[transactional(batch(0, 0, 5, 10))]);
    assert_eq!(states.first_unstable_offset(15), Some(10));
    assert_eq!(states.check(&batch(0, 5, 1, 15)).unwrap_err().code(), ErrorCode::InvalidTxnState);
    let ended = states.apply_marker(&marker(0, 15), true, 3).unwrap();
    assert_eq!((ended.first_offset, ended.last_offset, ended.aborted), (10, 15, true));
    assert_eq!(states.first_unstable_offset(15), Some(10));
    assert_eq!(states.first_unstable_offset(16), None);
}

#[test]
fn a_marker_of_an_old_coordinator_is_fenced() {
    let mut states = states(&[transactional(batch(0, 0, 5, 10))]);
    states.apply_marker(&marker(0, 15), false, 3);
    assert_eq!(
        states.check_marker(&marker(0, 16), 2).unwrap_err().code(),
        ErrorCode::TransactionCoordinatorFenced
    );
    assert_eq!(states.check_marker(&marker(0, 16), 3), Ok(()));
}

#[test]
fn silent_producers_expire_unless_in_a_transaction() {
    let mut states = states(&[batch(0, 0, 1, 0)]);
    let other = BatchSummary { producer_id: ProducerId(9), ..transactional(batch(0, 0, 1, 1)) };
    states.apply(&other);
    states.expire(1_000_000, 500);
    assert_eq!(states.views().map(|view| view.producer_id).collect::<Vec<_>>(), [ProducerId(9)]);
}

#[test]
fn a_snapshot_reads_back_whole() {
    let before = states(&[batch(0, 0, 5, 0), transactional(batch(0, 5, 5, 5))]);
    let bytes = before.encode();
    let after = ProducerStates::decode(&bytes).unwrap();
    assert_eq!(after, before);
    assert_eq!(after.first_open_offset(), Some(5));
    assert_eq!(after.encode(), bytes);
}

#[test]
fn a_damaged_snapshot_is_refused() {
    let bytes = states(&[batch(0, 0, 5, 0)]).encode();
    for at in 6..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        assert!(ProducerStates::decode(&damaged).is_err(), "bit at {at}");
    }
    for len in 0..bytes.len() {
        assert!(ProducerStates::decode(&bytes[..len]).is_err(), "cut at {len}");
    }
}

#[test]
fn a_snapshot_written_by_kafka_reads_back_with_the_last_batches() {
    let before = states(&[batch(0, 0, 5, 0), batch(0, 5, 5, 5)]);
    let mut bytes = before.encode();
    bytes.truncate(6 + 4 + 46);
    let crc = ottla_records::crc32c(&bytes[6..]);
    bytes[2..6].copy_from_slice(&crc.to_be_bytes());
    let after = ProducerStates::decode(&bytes).unwrap();
    assert!(matches!(after.check(&batch(0, 5, 5, 0)), Ok(Verdict::Duplicate { base_offset: 5, .. })));
    assert!(after.check(&batch(0, 0, 5, 0)).is_err());
    assert_eq!(after.check(&batch(0, 10, 5, 0)), Ok(Verdict::Append));
}
