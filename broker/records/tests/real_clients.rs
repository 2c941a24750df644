//! Segments that Apache Kafka 4.3.1 wrote with batches of real clients.

#![allow(clippy::unwrap_used, reason = "a helper of tests fails the test")]

use bytes::Bytes;
use ottla_records::control::{self, ControlRecord, Marker};
use ottla_records::validate::{ProduceRules, TargetCompression, for_produce};
use ottla_records::{
    BatchHeader, BuilderOptions, Compression, Record, RecordBatch, RecordBatchBuilder, TimestampType, patch,
    split,
};

const LIMIT: usize = 1 << 20;

macro_rules! fixture {
    ($name:literal) => {
        Bytes::from_static(include_bytes!(concat!("fixtures/", $name, ".log")))
    };
}

fn batches(segment: Bytes) -> Vec<RecordBatch> {
    let batches: Vec<_> = split(segment).collect::<Result<_, _>>().unwrap();
    for batch in &batches {
        batch.verify_crc().unwrap();
    }
    batches
}

fn records(batch: &RecordBatch) -> Vec<Record> {
    batch.records(LIMIT).unwrap().collect::<Result<_, _>>().unwrap()
}

fn text(bytes: Option<&Bytes>) -> &str {
    bytes.map_or("<null>", |bytes| std::str::from_utf8(bytes).unwrap())
}

/// Thirty records, the lines that kcat and the console producer were given.
fn assert_thirty_lines(segment: Bytes, codec: Compression, headers: &[(&str, &str)]) {
    let batches = batches(segment);
    assert!(batches.iter().all(|batch| batch.header.compression() == codec), "{codec:?}");
    let records: Vec<_> = batches.iter().flat_map(records).collect();
    assert_eq!(records.len(), 30);
    for (i, record) in (0i64..).zip(&records) {
        assert_eq!(record.offset, i);
        assert_eq!(text(record.key.as_ref()), format!("key-{}", i % 7));
        assert_eq!(text(record.value.as_ref()), format!("value {i} {}", "lorem ipsum ".repeat(4)));
        let found: Vec<_> = record.headers.iter().map(|h| (h.key.as_str(), text(h.value.as_ref()))).collect();
        assert_eq!(found, headers);
    }
}

#[test]
fn librdkafka_through_kcat_is_read_in_every_codec() {
    let headers = [("trace", "abc"), ("empty", "")];
    assert_thirty_lines(fixture!("kcat-gzip"), Compression::Gzip, &headers);
    assert_thirty_lines(fixture!("kcat-snappy"), Compression::Snappy, &headers);
    assert_thirty_lines(fixture!("kcat-lz4"), Compression::Lz4, &headers);
    assert_thirty_lines(fixture!("kcat-zstd"), Compression::Zstd, &headers);
}

#[test]
fn the_java_client_is_read_in_every_codec() {
    assert_thirty_lines(fixture!("java-none"), Compression::None, &[]);
    assert_thirty_lines(fixture!("java-gzip"), Compression::Gzip, &[]);
    assert_thirty_lines(fixture!("java-snappy"), Compression::Snappy, &[]);
    assert_thirty_lines(fixture!("java-lz4"), Compression::Lz4, &[]);
    assert_thirty_lines(fixture!("java-zstd"), Compression::Zstd, &[]);
}

#[test]
fn batches_that_a_java_broker_recompressed_are_read() {
    let headers = [("trace", "abc")];
    assert_thirty_lines(fixture!("recompressed-snappy"), Compression::Snappy, &headers);
    assert_thirty_lines(fixture!("recompressed-lz4"), Compression::Lz4, &headers);
    assert_thirty_lines(fixture!("recompressed-zstd"), Compression::Zstd, &headers);
    let gzip = batches(fixture!("recompressed-gzip"));
    assert_eq!(gzip.iter().map(|batch| records(batch).len()).sum::<usize>(), 60);
}

#[test]
fn java_streams_of_several_blocks_are_read() {
    for (segment, codec) in [
        (fixture!("java-snappy-many-blocks"), Compression::Snappy),
        (fixture!("java-lz4-many-blocks"), Compression::Lz4),
    ] {
        let batches = batches(segment);
        assert_eq!(batches.len(), 1);
        assert_eq!(batches[0].header.compression(), codec);
        let records = records(&batches[0]);
        assert_eq!(records.len(), 28);
        for (i, record) in records.iter().enumerate() {
            assert_eq!(text(record.key.as_ref()), format!("big-{i}"));
            assert_eq!(text(record.value.as_ref()), "a".repeat(3_000));
        }
    }
}

#[test]
fn kafka_python_is_read_in_every_codec() {
    for (segment, codec) in [
        (fixture!("kafka-python-gzip"), Compression::Gzip),
        (fixture!("kafka-python-snappy"), Compression::Snappy),
        (fixture!("kafka-python-lz4"), Compression::Lz4),
        (fixture!("kafka-python-zstd"), Compression::Zstd),
    ] {
        let records: Vec<_> = batches(segment).iter().flat_map(records).collect();
        assert_eq!(records.len(), 20, "{codec:?}");
        for (i, record) in (0i64..).zip(&records) {
            assert_eq!(record.timestamp, 1_700_000_000_000 + i);
            assert_eq!(record.key.is_some(), i % 3 != 0 || i % 5 == 0);
            assert_eq!(record.value.is_some(), i % 5 != 0);
            assert_eq!(record.headers.len(), if i % 2 == 1 { 2 } else { 0 });
        }
    }
}

#[test]
fn an_idempotent_producers_sequences_follow_each_other() {
    let batches = batches(fixture!("librdkafka-idempotent"));
    assert_eq!(batches.len(), 2);
    let [first, second] = [batches[0].summary(), batches[1].summary()];
    assert!(first.has_producer() && first.producer_id == second.producer_id);
    assert_eq!((first.producer_epoch.0, first.base_sequence, first.last_sequence), (0, 0, 9));
    assert_eq!((second.base_sequence, second.last_sequence, second.base_offset), (10, 19, 10));
    assert_eq!(second.next_offset(), 20);
}

#[test]
fn transaction_markers_are_parsed_and_built_byte_for_byte() {
    let batches = batches(fixture!("librdkafka-transactional"));
    assert!(batches.iter().all(|batch| batch.header.is_transactional()));
    let markers: Vec<_> = batches.iter().filter(|batch| batch.header.is_control()).collect();
    assert_eq!(markers.len(), 2);
    for (batch, expected) in markers.into_iter().zip([Marker::Commit, Marker::Abort]) {
        let records = records(batch);
        let ControlRecord::EndTransaction { marker, coordinator_epoch } =
            control::parse(&records[0]).unwrap()
        else {
            panic!("no marker: {records:?}");
        };
        assert_eq!(marker, expected);
        let options = control::MarkerOptions {
            base_offset: batch.header.base_offset,
            leader_epoch: batch.header.leader_epoch,
            timestamp: batch.header.max_timestamp,
            producer_id: batch.header.producer_id,
            producer_epoch: batch.header.producer_epoch,
            coordinator_epoch,
        };
        assert_eq!(control::marker_batch(marker, &options).unwrap(), batch.bytes);
    }
}

#[test]
fn the_builder_makes_the_very_bytes_of_the_java_client() {
    for batch in batches(fixture!("java-none")) {
        let mut builder = RecordBatchBuilder::new(BuilderOptions {
            base_offset: batch.header.base_offset,
            leader_epoch: batch.header.leader_epoch,
            producer: Some((
                batch.header.producer_id,
                batch.header.producer_epoch,
                batch.header.base_sequence,
            )),
            ..BuilderOptions::default()
        });
        for record in records(&batch) {
            builder.append(record.timestamp, record.key.as_deref(), record.value.as_deref(), &[]).unwrap();
        }
        assert_eq!(builder.build(), batch.bytes);
    }
}

#[test]
fn a_clients_batch_is_validated_recompressed_and_appended_in_every_codec() {
    let sent = &batches(fixture!("kcat-lz4"))[0];
    let expected = records(sent);
    for codec in Compression::ALL {
        let rules = ProduceRules {
            compression: TargetCompression::Codec { codec, level: None },
            ..ProduceRules::defaults(sent.header.max_timestamp)
        };
        let validated = for_produce(sent, &rules).unwrap();
        let kept = validated.batch();
        let head = patch::assign(&kept.header, 500, 8, Some(42), kept.body());
        let appended = RecordBatch::new(&Bytes::from([&head[..], kept.body()].concat())).unwrap();
        appended.verify_crc().unwrap();
        let BatchHeader { base_offset, leader_epoch, max_timestamp, .. } = appended.header;
        assert_eq!((base_offset, leader_epoch, max_timestamp), (500, 8, 42));
        assert_eq!(appended.header.timestamp_type(), TimestampType::LogAppendTime);
        for (found, expected) in records(&appended).iter().zip(&expected) {
            assert_eq!((found.offset, found.timestamp), (expected.offset + 500, 42));
            assert_eq!(
                (&found.key, &found.value, &found.headers),
                (&expected.key, &expected.value, &expected.headers)
            );
        }
    }
}
