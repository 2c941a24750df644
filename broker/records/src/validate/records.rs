//! The part of validation that decodes records, and what it rewrites.

use super::{MAX_RECORD_ERRORS, NO_TIMESTAMP, ProduceError, ProduceRules, RecordError, Validated};
use super::{check_size, with_header};
use crate::batch::RecordBatch;
use crate::compression::Compression;
use crate::error::BatchError;
use crate::header::{BatchHeader, COMPRESSION_MASK, TIMESTAMP_TYPE_BIT, TimestampType};
use crate::record::{RecordRef, RecordRefs};
use ottla_types::TimestampMs;
use std::borrow::Cow;

/// Decodes the batch's records, checks each, and rewrites the batch as far as the rules or its faults demand.
pub(super) fn check(batch: &RecordBatch, rules: &ProduceRules) -> Result<Validated, ProduceError> {
    let codec = batch.header.compression();
    let records: Cow<'_, [u8]> = match codec {
        Compression::None => batch.body().into(),
        codec => codec.decompress(batch.body(), rules.max_decompressed_bytes)?.into(),
    };
    let seen = survey(&records, &batch.header, rules)?;
    let renumbered =
        if seen.offsets_in_order { None } else { Some(renumber(&records, batch.header.record_count)?) };
    let target = rules.recompress_to(&batch.header);
    let header = corrected(&batch.header, &seen, target, rules);
    if renumbered.is_none() && target.is_none() {
        if header == batch.header {
            return Ok(Validated { batch: batch.clone(), rewritten: false });
        }
        return Ok(Validated { batch: with_header(header, batch.body()), rewritten: true });
    }
    let (codec, level) = target.unwrap_or((codec, None));
    let records = renumbered.as_deref().unwrap_or(&records);
    let body = match codec {
        Compression::None => Cow::Borrowed(records),
        codec => codec.compress(records, level, 0)?.into(),
    };
    let rewritten = with_header(header, &body);
    check_size(rewritten.bytes.len(), rules)?;
    Ok(Validated { batch: rewritten, rewritten: true })
}

/// What the records are, as opposed to what the header says.
struct Seen {
    max_timestamp: TimestampMs,
    offsets_in_order: bool,
}

fn survey(records: &[u8], header: &BatchHeader, rules: &ProduceRules) -> Result<Seen, ProduceError> {
    let mut seen = Seen { max_timestamp: NO_TIMESTAMP, offsets_in_order: true };
    let mut errors = Vec::new();
    let mut timestamps_at_fault = false;
    for (index, record) in (0i32..).zip(RecordRefs::new(records, header.record_count)) {
        let record = record?;
        let timestamp = record.timestamp(header);
        seen.max_timestamp = seen.max_timestamp.max(timestamp);
        seen.offsets_in_order &= record.offset_delta == index;
        let Some(fault) = fault(&record, timestamp, rules) else { continue };
        timestamps_at_fault |= matches!(fault, Fault::Timestamp(_));
        if errors.len() < MAX_RECORD_ERRORS {
            errors.push(RecordError { index, message: fault.message(rules) });
        }
    }
    if errors.is_empty() {
        Ok(seen)
    } else if timestamps_at_fault {
        Err(ProduceError::Timestamps { errors })
    } else {
        Err(ProduceError::Records { errors })
    }
}

enum Fault {
    NoKey,
    Timestamp(TimestampMs),
}

impl Fault {
    fn message(&self, rules: &ProduceRules) -> String {
        match self {
            Self::NoKey => "a compacted topic takes no record without a key".into(),
            Self::Timestamp(timestamp) => format!(
                "timestamp {timestamp} is out of range: it must be within [{}, {}]",
                rules.now.saturating_sub(rules.before_max_ms),
                rules.now.saturating_add(rules.after_max_ms),
            ),
        }
    }
}

fn fault(record: &RecordRef<'_>, timestamp: TimestampMs, rules: &ProduceRules) -> Option<Fault> {
    if rules.compacted && record.key.is_none() {
        return Some(Fault::NoKey);
    }
    let stamped = rules.timestamp_type == TimestampType::CreateTime && timestamp != NO_TIMESTAMP;
    (stamped && !rules.timestamp_is_in_bounds(timestamp)).then_some(Fault::Timestamp(timestamp))
}

fn corrected(
    header: &BatchHeader,
    seen: &Seen,
    target: Option<(Compression, Option<i32>)>,
    rules: &ProduceRules,
) -> BatchHeader {
    let mut header = *header;
    if rules.timestamp_type == TimestampType::CreateTime {
        header.attributes &= !TIMESTAMP_TYPE_BIT;
        header.max_timestamp = seen.max_timestamp;
    }
    if let Some((codec, _)) = target {
        header.attributes = (header.attributes & !COMPRESSION_MASK) | i16::from(codec.id());
    }
    header
}

/// The same records with offset deltas 0, 1, 2 ...
fn renumber(records: &[u8], record_count: i32) -> Result<Vec<u8>, BatchError> {
    let mut out = Vec::with_capacity(records.len());
    for (index, record) in (0i32..).zip(RecordRefs::new(records, record_count)) {
        record?.write_at(index, &mut out);
    }
    Ok(out)
}
