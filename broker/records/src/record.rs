//! Records within a batch (`org.apache.kafka.common.record.DefaultRecord`).
//!
//! [`RecordRefs`] walks decoded bytes without allocating; [`RecordIter`] gives records that own their share of the
//! batch's memory. Both end after the first error, and both say so if records are missing or bytes are left over.

use crate::batch::RecordBatch;
use crate::compression::Compression;
use crate::error::BatchError;
use crate::header::{BatchHeader, HEADER_BYTES, TimestampType};
use crate::varint;
use bytes::Bytes;
use ottla_types::{Offset, TimestampMs};

/// A record's header: a name, which may repeat, and a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The name; what is not UTF-8 is replaced by U+FFFD, as Kafka does.
    pub key: String,
    /// The value, if not null.
    pub value: Option<Bytes>,
}

/// A record, its memory shared with the batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its place in the log.
    pub offset: Offset,
    /// When it was made or appended.
    pub timestamp: TimestampMs,
    /// The key, if not null.
    pub key: Option<Bytes>,
    /// The value; null is a tombstone for compaction.
    pub value: Option<Bytes>,
    /// In the producer's order.
    pub headers: Vec<Header>,
}

/// A record as it lies in the batch, its headers checked but not taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordRef<'a> {
    /// Offset less the batch's base offset.
    pub offset_delta: i32,
    /// Timestamp less the batch's base timestamp; meaningless with `LogAppendTime`.
    pub timestamp_delta: i64,
    /// The key, if not null.
    pub key: Option<&'a [u8]>,
    /// The value, if not null.
    pub value: Option<&'a [u8]>,
    /// How many headers there are.
    pub header_count: i32,
    headers: &'a [u8],
    /// Everything behind the offset delta: key, value and headers.
    tail: &'a [u8],
    attributes: u8,
    /// All of the record, its length field included.
    pub encoded: &'a [u8],
}

impl<'a> RecordRef<'a> {
    /// The headers' names and values.
    pub fn headers(&self) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> + use<'a> {
        let mut rest = self.headers;
        (0..self.header_count).map_while(move |_| read_header(&mut rest).ok())
    }

    /// Appends the record to `out` at another place in its batch, everything else as it is.
    pub(crate) fn write_at(&self, offset_delta: i32, out: &mut Vec<u8>) {
        self.write_with(self.timestamp_delta, offset_delta, out);
    }

    /// The same with another timestamp delta: its batch has another base timestamp.
    pub(crate) fn write_with(&self, timestamp_delta: i64, offset_delta: i32, out: &mut Vec<u8>) {
        let length = 1 + varint::len_i64(timestamp_delta) + varint::len_i32(offset_delta) + self.tail.len();
        varint::write_i32(out, length as i32);
        out.push(self.attributes);
        varint::write_i64(out, timestamp_delta);
        varint::write_i32(out, offset_delta);
        out.extend_from_slice(self.tail);
    }

    /// The timestamp, which the batch's header decides with `LogAppendTime`.
    #[must_use]
    pub const fn timestamp(&self, header: &BatchHeader) -> TimestampMs {
        match header.timestamp_type() {
            TimestampType::LogAppendTime => header.max_timestamp,
            TimestampType::CreateTime => header.base_timestamp.saturating_add(self.timestamp_delta),
        }
    }
}

/// Walks `count` records in decompressed bytes.
#[derive(Debug, Clone)]
pub struct RecordRefs<'a> {
    rest: &'a [u8],
    next: i32,
    count: i32,
    done: bool,
}

impl<'a> RecordRefs<'a> {
    /// `count` is the header's `record_count`; a negative one is an error at the first step.
    #[must_use]
    pub const fn new(bytes: &'a [u8], count: i32) -> Self {
        Self { rest: bytes, next: 0, count, done: false }
    }

    fn step(&mut self) -> Result<Option<RecordRef<'a>>, &'static str> {
        if self.count < 0 {
            return Err("the batch has a negative record count");
        }
        if self.next == self.count {
            return if self.rest.is_empty() { Ok(None) } else { Err("bytes are left after the last record") };
        }
        read_record(&mut self.rest).map(Some)
    }
}

impl<'a> Iterator for RecordRefs<'a> {
    type Item = Result<RecordRef<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        match self.step() {
            Ok(Some(record)) => {
                self.next += 1;
                Some(Ok(record))
            }
            Ok(None) => {
                self.done = true;
                None
            }
            Err(reason) => {
                self.done = true;
                Some(Err(BatchError::InvalidRecord { index: self.next, reason }))
            }
        }
    }
}

/// The records of one batch; made by [`RecordBatch::records`].
#[derive(Debug, Clone)]
pub struct RecordIter {
    header: BatchHeader,
    records: Bytes,
    position: usize,
    next: i32,
    done: bool,
}

impl RecordIter {
    pub(crate) fn new(batch: &RecordBatch, max_decompressed_bytes: usize) -> Result<Self, BatchError> {
        let records = match batch.header.compression() {
            Compression::None if batch.bytes.len() > HEADER_BYTES => batch.bytes.slice(HEADER_BYTES..),
            Compression::None => Bytes::new(),
            codec => codec.decompress(batch.body(), max_decompressed_bytes)?.into(),
        };
        Ok(Self { header: batch.header, records, position: 0, next: 0, done: false })
    }

    /// The decompressed bytes that are walked.
    #[must_use]
    pub const fn decompressed(&self) -> &Bytes {
        &self.records
    }

    /// The records not yet given, without allocating for each.
    #[must_use]
    pub fn refs(&self) -> RecordRefs<'_> {
        RecordRefs {
            rest: &self.records[self.position..],
            next: self.next,
            count: self.header.record_count,
            done: self.done,
        }
    }

    fn own(&self, record: &RecordRef<'_>) -> Record {
        let share = |part: &[u8]| self.records.slice_ref(part);
        let header = |(key, value): (&[u8], Option<&[u8]>)| Header {
            key: String::from_utf8_lossy(key).into_owned(),
            value: value.map(share),
        };
        Record {
            offset: self.header.base_offset.saturating_add(i64::from(record.offset_delta)),
            timestamp: record.timestamp(&self.header),
            key: record.key.map(share),
            value: record.value.map(share),
            headers: record.headers().map(header).collect(),
        }
    }
}

impl Iterator for RecordIter {
    type Item = Result<Record, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut refs = self.refs();
        let item = refs.next().map(|record| record.map(|record| self.own(&record)));
        let (left, next, done) = (refs.rest.len(), refs.next, refs.done);
        self.position = self.records.len() - left;
        self.next = next;
        self.done = done;
        item
    }
}

fn read_record<'a>(rest: &mut &'a [u8]) -> Result<RecordRef<'a>, &'static str> {
    const SHORT: &str = "the record is cut off";
    let whole = *rest;
    let length = varint::read_i32(rest).ok_or(SHORT)?;
    let length = usize::try_from(length).map_err(|_| "the record's length is negative")?;
    let mut body = take(rest, length).ok_or(SHORT)?;
    let encoded = &whole[..whole.len() - rest.len()];
    let (&attributes, after) = body.split_first().ok_or(SHORT)?;
    body = after;
    let timestamp_delta = varint::read_i64(&mut body).ok_or(SHORT)?;
    let offset_delta = varint::read_i32(&mut body).ok_or(SHORT)?;
    let tail = body;
    let key = read_nullable(&mut body).ok_or("the key is cut off")?;
    let value = read_nullable(&mut body).ok_or("the value is cut off")?;
    let header_count = varint::read_i32(&mut body).ok_or(SHORT)?;
    if header_count < 0 {
        return Err("the number of headers is negative");
    }
    let headers = body;
    for _ in 0..header_count {
        read_header(&mut body)?;
    }
    if !body.is_empty() {
        return Err("the record is longer than what is in it");
    }
    Ok(RecordRef {
        offset_delta,
        timestamp_delta,
        key,
        value,
        header_count,
        headers,
        tail,
        attributes,
        encoded,
    })
}

fn read_header<'a>(rest: &mut &'a [u8]) -> Result<(&'a [u8], Option<&'a [u8]>), &'static str> {
    let key = read_nullable(rest).ok_or("a header's key is cut off")?.ok_or("a header's key is null")?;
    let value = read_nullable(rest).ok_or("a header's value is cut off")?;
    Ok((key, value))
}

/// The outer `None`: cut off. The inner: null, any negative length, as Kafka reads it.
fn read_nullable<'a>(rest: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let length = varint::read_i32(rest)?;
    match usize::try_from(length) {
        Ok(length) => take(rest, length).map(Some),
        Err(_) => Some(None),
    }
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (front, back) = rest.split_at_checked(length)?;
    *rest = back;
    Some(front)
}
