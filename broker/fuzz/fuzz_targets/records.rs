//! Batches from a hostile producer or a damaged disk: cut, checked, decoded, validated, recompressed.
//!
//! The first byte says how much of the rest is put right, since no fuzzer guesses a CRC: bit 0 length, magic and CRC;
//! bit 1 also counts and producer, so that validation goes on to the records.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use ottla_records::validate::{ProduceRules, TargetCompression, for_produce, sole_batch};
use ottla_records::{Compression, HEADER_BYTES, control, crc32c, patch, split};

const LIMIT: usize = 1 << 20;

fuzz_target!(|data: &[u8]| {
    let Some((&mode, bytes)) = data.split_first() else { return };
    let mut bytes = bytes.to_vec();
    if mode & 1 != 0 && bytes.len() >= HEADER_BYTES {
        repair(&mut bytes, mode & 2 != 0);
    }
    let bytes = Bytes::from(bytes);
    read(&bytes);
    produce(&bytes);
});

fn repair(bytes: &mut [u8], counts_too: bool) {
    let length = (bytes.len() - 12) as i32;
    bytes[8..12].copy_from_slice(&length.to_be_bytes());
    bytes[16] = 2;
    if counts_too {
        bytes[..8].fill(0);
        bytes[22] &= 0x07;
        let count = i32::from(bytes[60]);
        bytes[57..61].copy_from_slice(&count.to_be_bytes());
        bytes[23..27].copy_from_slice(&(count - 1).to_be_bytes());
        bytes[43..57].fill(0xff);
    }
    let crc = crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
}

fn read(bytes: &Bytes) {
    for batch in split(bytes.clone()).flatten() {
        let _ = batch.verify_crc();
        let summary = batch.summary();
        assert!(summary.next_offset() >= summary.last_offset);
        let Ok(records) = batch.records(LIMIT) else { continue };
        assert!(records.decompressed().len() <= LIMIT.max(bytes.len()));
        let walked = records.refs().count();
        let mut decoded = 0;
        for record in records {
            decoded += 1;
            if let Ok(record) = record {
                let _ = control::parse(&record);
            }
        }
        assert_eq!(walked, decoded);
    }
}

fn produce(bytes: &Bytes) {
    let Ok(batch) = sole_batch(bytes) else { return };
    for codec in Compression::ALL {
        for compression in [TargetCompression::Producer, TargetCompression::Codec { codec, level: Some(1) }] {
            let rules = ProduceRules {
                compression,
                compacted: codec == Compression::Gzip,
                before_max_ms: if codec == Compression::Lz4 { 1_000 } else { i64::MAX },
                after_max_ms: i64::MAX,
                max_decompressed_bytes: LIMIT,
                ..ProduceRules::defaults(1_700_000_000_000)
            };
            let Ok(validated) = for_produce(&batch, &rules) else { continue };
            let kept = validated.batch();
            kept.verify_crc().unwrap();
            assert_eq!(kept.header.record_count, batch.header.record_count);
            if validated.was_rewritten() && rules.compacted {
                let records: Result<Vec<_>, _> = kept.records(2 * LIMIT).unwrap().collect();
                let records = records.unwrap();
                assert!(records.iter().all(|record| record.key.is_some()));
                assert!(
                    records.iter().map(|record| record.offset).eq(0..i64::from(batch.header.record_count))
                );
            }
            let head = patch::assign(&kept.header, i64::MAX / 2, 7, Some(3), kept.body());
            let appended = sole_or_only([&head[..], kept.body()].concat());
            appended.verify_crc().unwrap();
        }
    }
}

fn sole_or_only(bytes: Vec<u8>) -> ottla_records::RecordBatch {
    ottla_records::RecordBatch::new(&Bytes::from(bytes)).unwrap()
}
