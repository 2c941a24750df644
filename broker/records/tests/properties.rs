//! What holds for every batch, and for bytes that are none.

#![allow(clippy::unwrap_used, reason = "a helper of tests fails the test")]

use bytes::Bytes;
use ottla_records::validate::{ProduceRules, TargetCompression, for_produce, sole_batch};
use ottla_records::{
    BatchHeader, BuilderOptions, Compression, HEADER_BYTES, Record, RecordBatch, RecordBatchBuilder, crc32c,
    patch, split,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

type Blob = Option<Vec<u8>>;
type Fields = (i64, Blob, Blob, Vec<(String, Blob)>);

const LIMIT: usize = 1 << 20;

fn codec() -> impl Strategy<Value = Compression> {
    prop::sample::select(Compression::ALL.to_vec())
}

fn fields() -> impl Strategy<Value = Fields> {
    let blob = || option::of(vec(any::<u8>(), 0..200));
    (0i64..1 << 45, blob(), blob(), vec((".{0,8}", blob()), 0..4))
}

fn build(options: BuilderOptions, records: &[Fields]) -> Bytes {
    let mut builder = RecordBatchBuilder::new(options);
    for (timestamp, key, value, headers) in records {
        let headers: Vec<_> = headers.iter().map(|(key, value)| (key.as_str(), value.as_deref())).collect();
        builder.append(*timestamp, key.as_deref(), value.as_deref(), &headers).unwrap();
    }
    builder.build()
}

fn taken_apart(record: Record) -> Fields {
    let own = |bytes: Option<Bytes>| bytes.map(Vec::from);
    let headers = record.headers.into_iter().map(|header| (header.key, own(header.value))).collect();
    (record.timestamp, own(record.key), own(record.value), headers)
}

/// A batch with any header fields and any body whose CRC and length are right, as a hostile producer can make.
fn sealed(mut head: [u8; HEADER_BYTES], body: &[u8]) -> Vec<u8> {
    head[..8].fill(0);
    head[8..12].copy_from_slice(&((HEADER_BYTES - 12 + body.len()) as i32).to_be_bytes());
    head[16] = 2;
    let mut bytes = [&head[..], body].concat();
    let crc = crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    bytes
}

/// Everything that the crate does with a batch; nothing of it may panic or exceed its limit.
fn use_in_every_way(bytes: &Bytes) {
    for batch in split(bytes.clone()).flatten() {
        let _ =
            (batch.verify_crc(), batch.summary(), batch.header.next_offset(), batch.header.last_sequence());
        if let Ok(records) = batch.records(LIMIT) {
            assert!(records.decompressed().len() <= LIMIT.max(batch.bytes.len()));
            for record in records.flatten() {
                let _ = ottla_records::control::parse(&record);
            }
        }
    }
    let Ok(batch) = sole_batch(bytes) else { return };
    for codec in Compression::ALL {
        let compression = TargetCompression::Codec { codec, level: None };
        let rules = ProduceRules {
            compression,
            compacted: true,
            max_decompressed_bytes: LIMIT,
            ..ProduceRules::defaults(0)
        };
        if let Ok(validated) = for_produce(&batch, &rules) {
            validated.batch().verify_crc().unwrap();
            let decoded: Result<Vec<_>, _> = validated.batch().records(LIMIT).unwrap().collect();
            assert_eq!(decoded.unwrap().len(), batch.header.record_count as usize);
        }
    }
}

proptest! {
    #[test]
    fn records_come_back_from_every_codec(records in vec(fields(), 1..40), codec in codec(), level in option::of(-5..30)) {
        let options = BuilderOptions { compression: codec, level, base_offset: 1_000, leader_epoch: 3, ..BuilderOptions::default() };
        let bytes = build(options, &records);
        let batches: Vec<_> = split(bytes.clone()).collect::<Result<_, _>>().unwrap();
        prop_assert_eq!(batches.len(), 1);
        let batch = &batches[0];
        batch.verify_crc().unwrap();
        prop_assert_eq!(batch.header.total_bytes(), bytes.len());
        prop_assert_eq!(batch.header.record_count as usize, records.len());
        prop_assert_eq!(batch.header.next_offset(), 1_000 + records.len() as i64);
        prop_assert_eq!(batch.header.max_timestamp, records.iter().map(|r| r.0).max().unwrap());
        let back: Vec<_> = batch.records(LIMIT).unwrap().collect::<Result<_, _>>().unwrap();
        prop_assert!(back.iter().map(|record| record.offset).eq(1_000..1_000 + records.len() as i64));
        prop_assert_eq!(back.into_iter().map(taken_apart).collect::<Vec<_>>(), records);
    }

    #[test]
    fn a_header_reads_back_field_by_field(bytes: [[u8; 32]; 2]) {
        let bytes = bytes.concat();
        if let Ok(header) = BatchHeader::parse(&bytes) {
            prop_assert_eq!(&header.encode()[..], &bytes[..HEADER_BYTES]);
        }
    }

    #[test]
    fn a_flipped_bit_is_found(records in vec(fields(), 1..5), codec in codec(), at: prop::sample::Index, bit in 0u32..8) {
        let mut bytes = build(BuilderOptions { compression: codec, ..BuilderOptions::default() }, &records).to_vec();
        // The CRC covers what follows it; a flip within it shows too. Offset and epoch are the leader's to set.
        let at = 17 + at.index(bytes.len() - 17);
        bytes[at] ^= 1u8 << bit;
        let found = match RecordBatch::new(&bytes.into()) {
            Ok(batch) => batch.verify_crc().is_err(),
            Err(_) => true,
        };
        prop_assert!(found, "bit {} of byte {}", bit, at);
    }

    #[test]
    fn appending_assigns_offset_and_epoch_and_keeps_the_crc_right(records in vec(fields(), 1..5), offset in 0..i64::MAX / 2, epoch: i32, now in option::of(0i64..1 << 45)) {
        let bytes = build(BuilderOptions::default(), &records);
        let batch = RecordBatch::new(&bytes).unwrap();
        let head = patch::assign(&batch.header, offset, epoch, now, batch.body());
        let appended = RecordBatch::new(&Bytes::from([&head[..], batch.body()].concat())).unwrap();
        appended.verify_crc().unwrap();
        prop_assert_eq!((appended.header.base_offset, appended.header.leader_epoch), (offset, epoch));
        prop_assert_eq!(now.is_none(), appended.header.crc == batch.header.crc);
        for record in appended.records(LIMIT).unwrap() {
            let timestamp = record.unwrap().timestamp;
            prop_assert!(now.is_none_or(|now| now == timestamp));
        }
    }

    #[test]
    fn bytes_that_are_no_batch_do_no_harm(bytes in vec(any::<u8>(), 0..300)) {
        use_in_every_way(&bytes.into());
    }

    #[test]
    fn hostile_batches_with_a_right_crc_do_no_harm(head: [[u8; 32]; 2], codec in codec(), count in -1i32..20, body in vec(any::<u8>(), 0..300)) {
        let mut full = [0; HEADER_BYTES];
        full.copy_from_slice(&head.concat()[..HEADER_BYTES]);
        full[21..23].copy_from_slice(&i16::from(codec.id()).to_be_bytes());
        full[23..27].copy_from_slice(&(count - 1).to_be_bytes());
        full[43..57].fill(0xff);
        full[57..].copy_from_slice(&count.to_be_bytes());
        use_in_every_way(&sealed(full, &body).into());
    }

    #[test]
    fn damaged_records_in_every_codec_do_no_harm(records in vec(fields(), 1..10), codec in codec(), damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let good = build(BuilderOptions { compression: codec, ..BuilderOptions::default() }, &records);
        let mut head = [0; HEADER_BYTES];
        head.copy_from_slice(&good[..HEADER_BYTES]);
        let mut body = good[HEADER_BYTES..].to_vec();
        for (at, byte) in damage {
            let at = at.index(body.len());
            body[at] = byte;
        }
        use_in_every_way(&sealed(head, &body).into());
    }
}
