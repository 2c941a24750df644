//! Writing a batch record by record.

use crate::compression::Compression;
use crate::error::BatchError;
use crate::header::{
    BatchHeader, CONTROL_BIT, HEADER_BYTES, LOG_OVERHEAD_BYTES, TIMESTAMP_TYPE_BIT, TRANSACTIONAL_BIT,
    TimestampType,
};
use crate::{patch, varint};
use bytes::Bytes;
use ottla_types::{Offset, TimestampMs};

/// Records of one batch take at most this many bytes before compression, so that the length field always holds them.
const MAX_BODY_BYTES: usize = 1 << 30;

/// What a batch is to be besides its records.
#[derive(Debug, Clone, Copy, Default)]
pub struct BuilderOptions {
    /// The records' codec.
    pub compression: Compression,
    /// The codec's level; `None` is Kafka's default for it.
    pub level: Option<i32>,
    /// Offset of the first record.
    pub base_offset: Offset,
    /// Epoch of the leader that appends it; -1 in a producer's hands.
    pub leader_epoch: i32,
    /// Who stamps the records.
    pub timestamp_type: TimestampType,
    /// Producer id, epoch and sequence of the first record.
    pub producer: Option<(i64, i16, i32)>,
    /// Part of a transaction.
    pub transactional: bool,
    /// Control records, which no consumer sees.
    pub control: bool,
}

/// Builds one batch. Offsets count up from the base offset unless [`append_at`](Self::append_at) says otherwise.
#[derive(Debug)]
pub struct RecordBatchBuilder {
    options: BuilderOptions,
    /// Room for the header, then the records uncompressed.
    buffer: Vec<u8>,
    base_timestamp: TimestampMs,
    max_timestamp: TimestampMs,
    last_offset_delta: i32,
    record_count: i32,
}

impl RecordBatchBuilder {
    /// An empty batch.
    #[must_use]
    pub fn new(options: BuilderOptions) -> Self {
        Self {
            options,
            buffer: vec![0; HEADER_BYTES],
            base_timestamp: -1,
            max_timestamp: -1,
            last_offset_delta: -1,
            record_count: 0,
        }
    }

    /// Adds a record at the next offset.
    ///
    /// # Errors
    /// [`BatchError::InvalidRecord`] if the batch cannot hold it (1 GiB before compression, `i32::MAX` offsets).
    pub fn append(
        &mut self,
        timestamp: TimestampMs,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&str, Option<&[u8]>)],
    ) -> Result<&mut Self, BatchError> {
        let offset = self.options.base_offset.saturating_add(i64::from(self.last_offset_delta) + 1);
        self.append_at(offset, timestamp, key, value, headers)
    }

    /// Adds a record at `offset`, which must be above that of the record before it.
    ///
    /// # Errors
    /// [`BatchError::InvalidRecord`] if the batch cannot hold it, see [`append`](Self::append).
    pub fn append_at(
        &mut self,
        offset: Offset,
        timestamp: TimestampMs,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&str, Option<&[u8]>)],
    ) -> Result<&mut Self, BatchError> {
        let refused = |reason| BatchError::InvalidRecord { index: self.record_count, reason };
        let offset_delta = i32::try_from(offset.saturating_sub(self.options.base_offset))
            .map_err(|_| refused("the offset is too far from the batch's first"))?;
        if offset_delta <= self.last_offset_delta || offset_delta == i32::MAX {
            return Err(refused("the offset does not follow that of the record before"));
        }
        let base_timestamp = if self.record_count == 0 { timestamp } else { self.base_timestamp };
        let timestamp_delta =
            timestamp.checked_sub(base_timestamp).ok_or_else(|| refused("the timestamp is out of range"))?;
        let field_bytes = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len).saturating_add(5);
        let upper_bound = headers.iter().fold(
            field_bytes(key).saturating_add(field_bytes(value)).saturating_add(30),
            |sum, (key, value)| {
                sum.saturating_add(key.len()).saturating_add(5).saturating_add(field_bytes(*value))
            },
        );
        if upper_bound.saturating_add(self.buffer.len()) > MAX_BODY_BYTES {
            return Err(refused("the batch would be larger than 1 GiB"));
        }
        write_record(&mut self.buffer, timestamp_delta, offset_delta, (key, value), headers);
        self.base_timestamp = base_timestamp;
        self.max_timestamp =
            if self.record_count == 0 { timestamp } else { self.max_timestamp.max(timestamp) };
        self.last_offset_delta = offset_delta;
        self.record_count += 1;
        Ok(self)
    }

    /// Lets the batch cover the offsets up to `last_offset`, with or without records there (as compaction leaves them).
    pub fn cover_to(&mut self, last_offset: Offset) -> &mut Self {
        let delta = last_offset.saturating_sub(self.options.base_offset).clamp(0, i64::from(i32::MAX) - 1);
        self.last_offset_delta = self.last_offset_delta.max(i32::try_from(delta).unwrap_or(0));
        self
    }

    /// Records so far.
    #[must_use]
    pub const fn record_count(&self) -> i32 {
        self.record_count
    }

    /// True before the first record.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.record_count == 0
    }

    /// Bytes of the batch if it were built now without compression.
    #[must_use]
    pub const fn uncompressed_bytes(&self) -> usize {
        self.buffer.len()
    }

    /// The batch. Should the codec fail (out of memory within it), the records stay uncompressed.
    /// A batch without records covers one offset, or those that [`cover_to`](Self::cover_to) named.
    #[must_use]
    pub fn build(self) -> Bytes {
        let mut header = self.header();
        let mut buffer = self.buffer;
        let codec = self.options.compression;
        if codec != Compression::None
            && let Ok(compressed) = codec.compress(&buffer[HEADER_BYTES..], self.options.level, HEADER_BYTES)
        {
            buffer = compressed;
            header.attributes |= i16::from(codec.id());
        }
        header.batch_length = (buffer.len() - LOG_OVERHEAD_BYTES) as i32;
        let head = patch::seal(header, &buffer[HEADER_BYTES..]);
        buffer[..HEADER_BYTES].copy_from_slice(&head);
        Bytes::from(buffer)
    }

    fn header(&self) -> BatchHeader {
        let options = &self.options;
        let flag = |set, bit| if set { bit } else { 0 };
        let (producer_id, producer_epoch, base_sequence) = options.producer.unwrap_or((-1, -1, -1));
        BatchHeader {
            base_offset: options.base_offset,
            batch_length: 0,
            leader_epoch: options.leader_epoch,
            magic: 2,
            crc: 0,
            attributes: flag(options.timestamp_type == TimestampType::LogAppendTime, TIMESTAMP_TYPE_BIT)
                | flag(options.transactional, TRANSACTIONAL_BIT)
                | flag(options.control, CONTROL_BIT),
            last_offset_delta: self.last_offset_delta.max(0),
            base_timestamp: self.base_timestamp,
            max_timestamp: self.max_timestamp,
            producer_id,
            producer_epoch,
            base_sequence,
            record_count: self.record_count,
        }
    }
}

fn write_record(
    out: &mut Vec<u8>,
    timestamp_delta: i64,
    offset_delta: i32,
    (key, value): (Option<&[u8]>, Option<&[u8]>),
    headers: &[(&str, Option<&[u8]>)],
) {
    let header_count = headers.len() as i32;
    let header_bytes: usize = headers
        .iter()
        .map(|(key, value)| nullable_bytes(Some(key.as_bytes())) + nullable_bytes(*value))
        .sum();
    let length = 1
        + varint::len_i64(timestamp_delta)
        + varint::len_i32(offset_delta)
        + nullable_bytes(key)
        + nullable_bytes(value)
        + varint::len_i32(header_count)
        + header_bytes;
    varint::write_i32(out, length as i32);
    out.push(0);
    varint::write_i64(out, timestamp_delta);
    varint::write_i32(out, offset_delta);
    write_nullable(out, key);
    write_nullable(out, value);
    varint::write_i32(out, header_count);
    for (key, value) in headers {
        write_nullable(out, Some(key.as_bytes()));
        write_nullable(out, *value);
    }
}

fn nullable_bytes(bytes: Option<&[u8]>) -> usize {
    bytes.map_or(1, |bytes| varint::len_i32(bytes.len() as i32) + bytes.len())
}

fn write_nullable(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        None => varint::write_i32(out, -1),
        Some(bytes) => {
            varint::write_i32(out, bytes.len() as i32);
            out.extend_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::RecordBatch;

    fn batch(builder: RecordBatchBuilder) -> RecordBatch {
        let batch = RecordBatch::new(&builder.build()).unwrap();
        batch.verify_crc().unwrap();
        batch
    }

    #[test]
    fn offsets_may_have_gaps_and_never_go_back() {
        let mut builder =
            RecordBatchBuilder::new(BuilderOptions { base_offset: 10, ..BuilderOptions::default() });
        builder.append_at(12, 5, None, None, &[]).unwrap().append(4, None, None, &[]).unwrap();
        assert!(builder.append_at(13, 5, None, None, &[]).is_err());
        assert!(builder.append_at(9, 5, None, None, &[]).is_err());
        assert!(builder.append_at(i64::MAX, 5, None, None, &[]).is_err());
        builder.cover_to(19);
        let batch = batch(builder);
        let offsets: Vec<_> = batch.records(0).unwrap().map(|record| record.unwrap().offset).collect();
        assert_eq!(offsets, [12, 13]);
        assert_eq!(
            (batch.header.base_offset, batch.header.last_offset(), batch.header.record_count),
            (10, 19, 2)
        );
        assert_eq!((batch.header.base_timestamp, batch.header.max_timestamp), (5, 5));
    }

    #[test]
    fn a_batch_without_records_still_covers_its_offsets() {
        let mut builder =
            RecordBatchBuilder::new(BuilderOptions { base_offset: 10, ..BuilderOptions::default() });
        assert!(builder.is_empty());
        builder.cover_to(14);
        let batch = batch(builder);
        assert_eq!(
            (batch.header.next_offset(), batch.header.record_count, batch.bytes.len()),
            (15, 0, HEADER_BYTES)
        );
        assert_eq!(batch.records(0).unwrap().count(), 0);
    }

    #[test]
    fn timestamps_too_far_apart_are_refused() {
        let mut builder = RecordBatchBuilder::new(BuilderOptions::default());
        builder.append(i64::MAX, None, None, &[]).unwrap();
        assert!(builder.append(-2, None, None, &[]).is_err());
        assert_eq!(builder.record_count(), 1);
    }
}
