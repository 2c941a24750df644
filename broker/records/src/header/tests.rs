use super::*;

fn header() -> BatchHeader {
    BatchHeader {
        base_offset: 100,
        batch_length: 49,
        leader_epoch: 2,
        magic: 2,
        crc: 0,
        attributes: 0,
        last_offset_delta: 9,
        base_timestamp: 5,
        max_timestamp: 7,
        producer_id: 1,
        producer_epoch: 0,
        base_sequence: 20,
        record_count: 10,
    }
}

#[test]
fn offsets_and_bytes_follow_from_the_fields() {
    let header = header();
    assert_eq!((header.last_offset(), header.next_offset(), header.total_bytes()), (109, 110, 61));
    assert_eq!(BatchHeader::parse(&header.encode()), Ok(header));
    let at_the_end = BatchHeader { base_offset: i64::MAX - 3, ..header };
    assert_eq!(at_the_end.next_offset(), i64::MAX);
}

#[test]
fn sequences_wrap_after_the_largest_int() {
    assert_eq!(header().last_sequence(), 29);
    let wrapping = BatchHeader { base_sequence: i32::MAX - 3, ..header() };
    assert_eq!(wrapping.last_sequence(), 5);
    assert_eq!(BatchHeader { base_sequence: i32::MAX - 9, ..header() }.last_sequence(), i32::MAX);
    assert_eq!(BatchHeader { base_sequence: -1, ..header() }.last_sequence(), -1);
}

#[test]
fn attributes_are_told_apart() {
    let with = |attributes| BatchHeader { attributes, ..header() };
    assert_eq!(with(0x04).compression(), Compression::Zstd);
    assert_eq!(with(0x08).timestamp_type(), TimestampType::LogAppendTime);
    assert!(with(0x10).is_transactional() && !with(0x10).is_control());
    assert!(with(0x20).is_control() && !with(0x20).is_transactional());
    assert_eq!(with(0x40).delete_horizon_ms(), Some(5));
    assert_eq!(header().delete_horizon_ms(), None);
}

#[test]
fn what_is_no_header_is_refused_for_its_reason() {
    let parse = |change: fn(&mut [u8])| {
        let mut bytes = header().encode();
        change(&mut bytes);
        BatchHeader::parse(&bytes).unwrap_err()
    };
    assert_eq!(parse(|b| b[16] = 1), BatchError::OldFormat { magic: 1 });
    assert_eq!(parse(|b| b[16] = 9), BatchError::UnknownMagic { magic: 9 });
    assert_eq!(parse(|b| b[11] = 48), BatchError::InvalidLength { batch_length: 48 });
    assert_eq!(parse(|b| b[8] = 0x80), BatchError::InvalidLength { batch_length: i32::MIN + 49 });
    assert_eq!(parse(|b| b[22] = 7), BatchError::UnknownCompression { id: 7 });
    let short = BatchHeader::parse(&header().encode()[..60]);
    assert_eq!(short, Err(BatchError::Truncated { needed: 61, available: 60 }));
    let old_and_short = [&header().encode()[..16], &[0, 1, 2, 3]].concat();
    assert_eq!(BatchHeader::parse(&old_and_short), Err(BatchError::OldFormat { magic: 0 }));
}
