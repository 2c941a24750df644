//! Records of groups as batches of their partition's log.

use bytes::Bytes;
use ottla_core::group::records::Record;
use ottla_records::{BuilderOptions, RecordBatch, RecordBatchBuilder};
use ottla_types::{ErrorCode, TimestampMs};

/// Records of an outcome that need not be atomic go in batches of about so many bytes.
const BATCH_BYTES: usize = 512 << 10;

/// One batch of the first of `records`, and how many of them are in it.
pub(super) fn build(
    records: &[Record],
    atomic: bool,
    now: TimestampMs,
) -> Result<(RecordBatch, usize), ErrorCode> {
    let mut builder = RecordBatchBuilder::new(BuilderOptions::default());
    let mut bytes = 0;
    let mut taken = 0;
    for record in records {
        let (key, value) = record.encode();
        bytes += key.len() + value.as_ref().map_or(0, Bytes::len);
        builder.append(now, Some(&key), value.as_deref(), &[]).map_err(|error| error.code())?;
        taken += 1;
        if !atomic && bytes >= BATCH_BYTES {
            break;
        }
    }
    let batch = RecordBatch::new(&builder.build()).map_err(|error| error.code())?;
    Ok((batch, taken))
}
