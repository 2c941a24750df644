//! What Apache Kafka 4.3.1 answers to the same bytes is in the comments where this module answers differently.

use super::*;
use crate::builder::{BuilderOptions, RecordBatchBuilder};
use crate::varint;
use ottla_types::ErrorCode;

const NOW: i64 = 1_795_379_969_309;

/// A record as bytes, well formed or not.
fn record(offset_delta: i32, timestamp_delta: i64, key: Option<&[u8]>, trailing: &[u8]) -> Vec<u8> {
    let mut body = vec![0];
    varint::write_i64(&mut body, timestamp_delta);
    varint::write_i32(&mut body, offset_delta);
    match key {
        None => varint::write_i32(&mut body, -1),
        Some(key) => {
            varint::write_i32(&mut body, key.len() as i32);
            body.extend_from_slice(key);
        }
    }
    varint::write_i32(&mut body, 1);
    body.push(b'v');
    varint::write_i32(&mut body, 0);
    body.extend_from_slice(trailing);
    let mut out = Vec::new();
    varint::write_i32(&mut out, body.len() as i32);
    out.extend_from_slice(&body);
    out
}

fn keyed(count: i32) -> Vec<u8> {
    (0..count).flat_map(|i| record(i, 0, Some(b"k"), b"")).collect()
}

fn header(count: i32) -> BatchHeader {
    BatchHeader {
        base_offset: 0,
        batch_length: 0,
        leader_epoch: -1,
        magic: 2,
        crc: 0,
        attributes: 0,
        last_offset_delta: count - 1,
        base_timestamp: NOW,
        max_timestamp: NOW,
        producer_id: -1,
        producer_epoch: -1,
        base_sequence: -1,
        record_count: count,
    }
}

/// A batch of three records with the header changed by `change`, its CRC right.
fn three(change: impl FnOnce(&mut BatchHeader)) -> RecordBatch {
    let mut header = header(3);
    change(&mut header);
    with_header(header, &keyed(3))
}

fn rules() -> ProduceRules {
    ProduceRules::defaults(NOW)
}

fn code(batch: &RecordBatch, rules: &ProduceRules) -> ErrorCode {
    for_produce(batch, rules).map_or_else(|error| error.code(), |_| ErrorCode::None)
}

#[test]
fn a_good_batch_passes_as_the_same_bytes() {
    let batch = three(|_| ());
    let validated = for_produce(&batch, &rules()).unwrap();
    assert!(!validated.was_rewritten());
    assert_eq!(validated.batch().bytes.as_ptr(), batch.bytes.as_ptr());
}

#[test]
fn headers_that_contradict_themselves_are_invalid_records() {
    type Change = fn(&mut BatchHeader);
    let cases: [(&str, Change); 8] = [
        ("base offset", |h| h.base_offset = 5),
        ("more records than offsets", |h| h.record_count = 4),
        ("more offsets than records", |h| h.last_offset_delta = 7),
        ("no records", |h| (h.record_count, h.last_offset_delta) = (0, -1)),
        ("no records, one offset", |h| (h.record_count, h.last_offset_delta) = (0, 0)),
        ("negative count", |h| h.record_count = -1),
        ("control", |h| h.attributes |= 0x20),
        ("producer without sequence", |h| (h.producer_id, h.producer_epoch) = (5, 0)),
    ];
    for (name, change) in cases {
        assert_eq!(code(&three(change), &rules()), ErrorCode::InvalidRecord, "{name}");
    }
    assert_eq!(
        code(&three(|h| h.last_offset_delta = i32::MAX), &rules()),
        ErrorCode::InvalidRecord,
        "the count of offsets does not overflow"
    );
}

#[test]
fn a_sequenced_batch_and_unknown_attributes_pass() {
    let sequenced = three(|h| (h.producer_id, h.producer_epoch, h.base_sequence) = (5, 0, 0));
    assert_eq!(code(&sequenced, &rules()), ErrorCode::None);
    assert_eq!(code(&three(|h| h.attributes |= 0x7f80), &rules()), ErrorCode::None);
    assert_eq!(code(&three(|h| h.attributes |= 0x40), &rules()), ErrorCode::None);
}

#[test]
fn a_wrong_crc_is_a_corrupt_message_and_size_is_looked_at_first() {
    let mut batch = three(|_| ());
    batch.header.crc ^= 1;
    assert_eq!(code(&batch, &rules()), ErrorCode::CorruptMessage);
    let strict = ProduceRules { max_message_bytes: 80, ..rules() };
    assert_eq!(code(&batch, &strict), ErrorCode::MessageTooLarge);
    let exact = ProduceRules { max_message_bytes: batch.bytes.len(), ..rules() };
    assert_eq!(code(&three(|_| ()), &exact), ErrorCode::None);
}

#[test]
fn a_request_has_exactly_one_batch_for_a_partition() {
    let batch = three(|_| ()).bytes;
    let joined = |tail: &[u8]| Bytes::from([&batch[..], tail].concat());
    let code = |bytes: &Bytes| sole_batch(bytes).map_or_else(|error| error.code(), |_| ErrorCode::None);
    assert_eq!(code(&Bytes::new()), ErrorCode::InvalidRecord);
    assert_eq!(code(&batch.slice(..batch.len() - 1)), ErrorCode::InvalidRecord);
    assert_eq!(code(&batch.slice(..40)), ErrorCode::InvalidRecord);
    assert_eq!(code(&joined(&batch)), ErrorCode::InvalidRecord);
    assert_eq!(code(&joined(&batch[..batch.len() - 1])), ErrorCode::None, "a cut-off tail is left out");
    assert_eq!(code(&joined(b"abcdefgh")), ErrorCode::None);
    assert_eq!(sole_batch(&joined(b"abcdefgh")).unwrap().bytes, batch);
}

#[test]
fn formats_and_codecs_that_are_not_there_are_refused() {
    let with_byte = |at: usize, value: u8| {
        let mut bytes = three(|_| ()).bytes.to_vec();
        bytes[at] = value;
        sole_batch(&bytes.into()).unwrap_err().code()
    };
    assert_eq!(with_byte(16, 0), ErrorCode::InvalidRecord);
    assert_eq!(with_byte(16, 1), ErrorCode::InvalidRecord);
    assert_eq!(with_byte(16, 3), ErrorCode::CorruptMessage);
    assert_eq!(with_byte(8, 0xff), ErrorCode::CorruptMessage, "negative length");
    // Kafka: UNKNOWN_SERVER_ERROR.
    assert_eq!(with_byte(22, 5), ErrorCode::UnsupportedCompressionType);
}

#[test]
fn timestamps_out_of_bounds_are_named_record_by_record() {
    let mut body = record(0, 0, Some(b"k"), b"");
    body.extend(record(1, 2 * 3_600_000, Some(b"k"), b""));
    let batch = with_header(BatchHeader { max_timestamp: NOW + 2 * 3_600_000, ..header(2) }, &body);
    let error = for_produce(&batch, &rules()).unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidTimestamp);
    assert_eq!(error.record_errors().iter().map(|e| e.index).collect::<Vec<_>>(), [1]);

    let mut body = record(0, 0, Some(b"k"), b"");
    body.extend(record(1, -2 * 86_400_000, Some(b"k"), b""));
    let batch = with_header(header(2), &body);
    assert_eq!(code(&batch, &rules()), ErrorCode::None, "no bound on age by default");
    let bounded = ProduceRules { before_max_ms: 86_400_000, ..rules() };
    let error = for_produce(&batch, &bounded).unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidTimestamp);
    assert_eq!(error.record_errors().iter().map(|e| e.index).collect::<Vec<_>>(), [1]);
    let append_time = ProduceRules { timestamp_type: TimestampType::LogAppendTime, ..bounded };
    assert_eq!(code(&batch, &append_time), ErrorCode::None, "the producer's time is not kept");
}

#[test]
fn a_header_that_exaggerates_its_newest_timestamp_is_corrected() {
    let batch = three(|h| h.max_timestamp = NOW + 99_999_999);
    let validated = for_produce(&batch, &rules()).unwrap();
    assert!(validated.was_rewritten());
    assert_eq!(validated.batch().header.max_timestamp, NOW);
    validated.batch().verify_crc().unwrap();
}

#[test]
fn records_without_timestamp_pass_the_bounds() {
    let bounded = ProduceRules { before_max_ms: 1_000, ..rules() };
    let batch = three(|h| (h.base_timestamp, h.max_timestamp) = (-1, -1));
    assert_eq!(code(&batch, &bounded), ErrorCode::None);
}

#[test]
fn append_time_is_the_brokers_to_stamp() {
    let stamped = three(|h| h.attributes |= TIMESTAMP_TYPE_BIT);
    let validated = for_produce(&stamped, &rules()).unwrap();
    assert_eq!(
        validated.batch().header.timestamp_type(),
        TimestampType::CreateTime,
        "corrected, as Kafka does"
    );
    validated.batch().verify_crc().unwrap();

    let append_time = ProduceRules { timestamp_type: TimestampType::LogAppendTime, ..rules() };
    let error = for_produce(&stamped, &append_time).unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidTimestamp);
    assert_eq!(error.record_errors().len(), 3);
    let without_time = three(|h| {
        h.attributes |= TIMESTAMP_TYPE_BIT;
        (h.base_timestamp, h.max_timestamp) = (-1, -1);
    });
    assert_eq!(code(&without_time, &rules()), ErrorCode::InvalidTimestamp);
}

#[test]
fn a_compacted_topic_wants_keys() {
    let mut body = keyed(1);
    body.extend(record(1, 0, None, b""));
    let batch = with_header(header(2), &body);
    assert_eq!(code(&batch, &rules()), ErrorCode::None);
    let compacted = ProduceRules { compacted: true, ..rules() };
    let error = for_produce(&batch, &compacted).unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidRecord);
    assert_eq!(error.record_errors()[0].index, 1);
    let kept = for_produce(&three(|_| ()), &compacted).unwrap();
    assert!(!kept.was_rewritten());

    let mut body = record(0, 0, None, b"");
    body.extend(record(1, 99_999_999, Some(b"k"), b""));
    let batch = with_header(BatchHeader { max_timestamp: NOW + 99_999_999, ..header(2) }, &body);
    let error = for_produce(&batch, &compacted).unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidTimestamp, "a wrong timestamp decides the code");
    assert_eq!(error.record_errors().len(), 2);
}

#[test]
fn refusals_name_a_bounded_number_of_records() {
    let body: Vec<u8> = (0..5_000).flat_map(|i| record(i, 0, None, b"")).collect();
    let batch = with_header(header(5_000), &body);
    let error = for_produce(&batch, &ProduceRules { compacted: true, ..rules() }).unwrap_err();
    assert_eq!(error.record_errors().len(), MAX_RECORD_ERRORS);
}

#[test]
fn what_does_not_decode_is_refused_wherever_records_are_decoded() {
    let compacted = ProduceRules { compacted: true, ..rules() };
    let garbage = |attributes| with_header(BatchHeader { attributes, ..header(1) }, b"garbage");
    let long = with_header(header(1), &record(0, 0, Some(b"k"), b"zz"));
    let cases = [
        ("record longer than its fields", long),
        ("fewer records than told", with_header(header(4), &keyed(3))),
        ("more records than told", with_header(header(2), &keyed(3))),
        ("no record", garbage(0)),
        // From here on Kafka: UNKNOWN_SERVER_ERROR.
        ("gzip", garbage(1)),
        ("snappy", garbage(2)),
        ("lz4", garbage(3)),
        ("zstd", garbage(4)),
    ];
    for (name, batch) in cases {
        assert_eq!(code(&batch, &compacted), ErrorCode::InvalidRecord, "{name}");
        let by_header_alone = batch.header.compression() != Compression::None;
        let code = code(&batch, &rules());
        assert_eq!(code, if by_header_alone { ErrorCode::None } else { ErrorCode::InvalidRecord }, "{name}");
    }
}

#[test]
fn offset_deltas_are_put_in_order_when_records_are_decoded() {
    let mut body = record(5, 0, Some(b"a"), b"");
    body.extend(record(3, 7, Some(b"b"), b""));
    let batch = with_header(BatchHeader { max_timestamp: NOW + 7, ..header(2) }, &body);
    let validated = for_produce(&batch, &ProduceRules { compacted: true, ..rules() }).unwrap();
    assert!(validated.was_rewritten());
    let records: Vec<_> = validated.batch().records(1_000).unwrap().map(Result::unwrap).collect();
    assert_eq!(records.iter().map(|r| (r.offset, r.timestamp)).collect::<Vec<_>>(), [(0, NOW), (1, NOW + 7)]);
    validated.batch().verify_crc().unwrap();
}

#[test]
fn a_topics_codec_replaces_the_producers_and_keeps_all_else() {
    for source in Compression::ALL {
        let options = BuilderOptions {
            compression: source,
            producer: Some((9, 2, 40)),
            transactional: true,
            ..BuilderOptions::default()
        };
        let mut builder = RecordBatchBuilder::new(options);
        for i in 0..50 {
            builder
                .append(NOW - 50 + i, Some(b"key"), Some(&[7; 40]), &[("h", Some(b"x")), ("n", None)])
                .unwrap();
        }
        let batch = RecordBatch::new(&builder.build()).unwrap();
        let before: Vec<_> = batch.records(10_000).unwrap().map(Result::unwrap).collect();
        for codec in Compression::ALL {
            let compression = TargetCompression::Codec { codec, level: None };
            let validated = for_produce(&batch, &ProduceRules { compression, ..rules() }).unwrap();
            assert_eq!(validated.was_rewritten(), codec != source, "{source:?} to {codec:?}");
            let kept = validated.batch();
            kept.verify_crc().unwrap();
            assert_eq!(RecordBatch::new(&kept.bytes).unwrap(), *kept);
            assert_eq!(kept.header.compression(), codec);
            let after: Vec<_> = kept.records(10_000).unwrap().map(Result::unwrap).collect();
            assert_eq!(before, after);
            let same = |h: &BatchHeader| {
                (h.producer_id, h.producer_epoch, h.base_sequence, h.max_timestamp, h.is_transactional())
            };
            assert_eq!(same(&kept.header), same(&batch.header));
        }
    }
}

#[test]
fn recompression_answers_for_the_size_it_makes() {
    let mut builder = RecordBatchBuilder::new(BuilderOptions {
        compression: Compression::Zstd,
        ..BuilderOptions::default()
    });
    builder.append(NOW, None, Some(&[0; 100_000]), &[]).unwrap();
    let batch = RecordBatch::new(&builder.build()).unwrap();
    let strict = ProduceRules { max_message_bytes: 10_000, ..rules() };
    assert_eq!(code(&batch, &strict), ErrorCode::None);
    let compression = TargetCompression::Codec { codec: Compression::None, level: None };
    assert_eq!(code(&batch, &ProduceRules { compression, ..strict }), ErrorCode::MessageTooLarge);
    let poor = ProduceRules { compression, max_decompressed_bytes: 50_000, ..rules() };
    assert_eq!(code(&batch, &poor), ErrorCode::MessageTooLarge);
}
