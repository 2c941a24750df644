//! Writes a segment in every codec, for other programs to read:
//! `cargo run -p ottla-records --example write_segments -- DIR`, then Kafka's
//! `kafka-dump-log.sh --deep-iteration --print-data-log --files DIR/*/00000000000000000000.log`.

use ottla_records::control::{Marker, MarkerOptions, marker_batch};
use ottla_records::validate::{ProduceRules, TargetCompression, for_produce};
use ottla_records::{BatchError, BuilderOptions, Compression, RecordBatch, RecordBatchBuilder, patch};
use std::error::Error;
use std::fs;
use std::path::Path;

const RECORDS_PER_BATCH: i64 = 60;

fn main() -> Result<(), Box<dyn Error>> {
    let dir = std::env::args().nth(1).ok_or("name a directory to write to")?;
    for codec in Compression::ALL {
        let mut segment = Vec::new();
        for batch in 0..3 {
            segment.extend_from_slice(&batch_of(codec, batch * RECORDS_PER_BATCH)?);
        }
        let next = 3 * RECORDS_PER_BATCH;
        segment.extend_from_slice(&recompressed(codec, next)?);
        segment.extend_from_slice(&marker(next + RECORDS_PER_BATCH)?);
        let dir = Path::new(&dir).join(format!("{}-0", codec.name()));
        fs::create_dir_all(&dir)?;
        fs::write(dir.join("00000000000000000000.log"), segment)?;
    }
    Ok(())
}

fn batch_of(codec: Compression, base_offset: i64) -> Result<Vec<u8>, BatchError> {
    let mut builder = RecordBatchBuilder::new(BuilderOptions {
        compression: codec,
        base_offset,
        leader_epoch: 4,
        producer: Some((7, 1, i32::try_from(base_offset).unwrap_or(0))),
        transactional: true,
        ..BuilderOptions::default()
    });
    for i in 0..RECORDS_PER_BATCH {
        let key = format!("key-{i}");
        // Text that compresses and, every fourth time, bytes that do not; together more than a codec's block.
        let value: Vec<u8> = match i % 4 {
            0 => (0..3_000u32)
                .map(|n| b'A' + (n.wrapping_mul(2_654_435_761 + i as u32) >> 13) as u8 % 50)
                .collect(),
            _ => format!("value {i} ").repeat(200).into_bytes(),
        };
        let value = (i % 10 != 9).then_some(value);
        let headers = [("trace", Some(b"abc".as_slice())), ("null", None)];
        builder.append(1_700_000_000_000 + i, Some(key.as_bytes()), value.as_deref(), &headers)?;
    }
    Ok(builder.build().into())
}

fn recompressed(codec: Compression, offset: i64) -> Result<Vec<u8>, Box<dyn Error>> {
    let source = if codec == Compression::Lz4 { Compression::Gzip } else { Compression::Lz4 };
    let produced = RecordBatch::new(&batch_of(source, 0)?.into())?;
    let compression = TargetCompression::Codec { codec, level: Some(1) };
    let validated =
        for_produce(&produced, &ProduceRules { compression, ..ProduceRules::defaults(1_700_000_000_000) })?;
    let kept = validated.batch();
    let head = patch::assign(&kept.header, offset, 5, Some(1_800_000_000_000), kept.body());
    Ok([&head[..], kept.body()].concat())
}

fn marker(base_offset: i64) -> Result<Vec<u8>, BatchError> {
    let options = MarkerOptions {
        base_offset,
        leader_epoch: 5,
        timestamp: 1_700_000_001_000,
        producer_id: 7,
        producer_epoch: 1,
        coordinator_epoch: 3,
    };
    Ok(marker_batch(Marker::Commit, &options)?.into())
}
