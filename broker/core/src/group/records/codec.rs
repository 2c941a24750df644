//! Kafka's primitive encodings, in the old form and in the flexible one (KIP-482), over byte slices.
//!
//! Reading is bounded by the bytes at hand: a length that reaches beyond them is an error before anything is
//! allocated, and hostile bytes never panic.

use bytes::{BufMut, Bytes};
use ottla_types::Uuid;
use std::sync::Arc;

/// Why bytes of `__consumer_offsets` could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The bytes end inside a field.
    #[error("the record ends inside {field}")]
    Truncated {
        /// The field that was being read.
        field: &'static str,
    },
    /// A length is negative or longer than what is left.
    #[error("{field} claims {length} bytes or elements")]
    Length {
        /// The field that was being read.
        field: &'static str,
        /// The length as read.
        length: i64,
    },
    /// Text that is not UTF-8.
    #[error("{field} is not UTF-8")]
    Text {
        /// The field that was being read.
        field: &'static str,
    },
    /// A version of a value that is newer than this code.
    #[error("version {version} of {record} is not known")]
    Version {
        /// The record's name in Kafka.
        record: &'static str,
        /// The version as read.
        version: i16,
    },
}

/// Reads fields from the front of a slice.
#[derive(Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    flexible: bool,
}

impl<'a> Reader<'a> {
    /// Reads `bytes` in the old form; [`Reader::set_flexible`] switches.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, flexible: false }
    }

    /// Compact lengths and tagged fields from here on, or not.
    pub const fn set_flexible(&mut self, flexible: bool) {
        self.flexible = flexible;
    }

    fn take(&mut self, count: usize, field: &'static str) -> Result<&'a [u8], RecordError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(RecordError::Truncated { field })?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], RecordError> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(RecordError::Truncated { field })?;
        self.rest = rest;
        Ok(*taken)
    }

    /// One signed byte.
    pub fn i8(&mut self, field: &'static str) -> Result<i8, RecordError> {
        self.array(field).map(i8::from_be_bytes)
    }

    /// Two bytes, big-endian.
    pub fn i16(&mut self, field: &'static str) -> Result<i16, RecordError> {
        self.array(field).map(i16::from_be_bytes)
    }

    /// Four bytes, big-endian.
    pub fn i32(&mut self, field: &'static str) -> Result<i32, RecordError> {
        self.array(field).map(i32::from_be_bytes)
    }

    /// Eight bytes, big-endian.
    pub fn i64(&mut self, field: &'static str) -> Result<i64, RecordError> {
        self.array(field).map(i64::from_be_bytes)
    }

    /// Sixteen bytes.
    pub fn uuid(&mut self, field: &'static str) -> Result<Uuid, RecordError> {
        self.array(field).map(Uuid::from_bytes)
    }

    fn unsigned_varint(&mut self, field: &'static str) -> Result<u32, RecordError> {
        let mut value: u32 = 0;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.array(field)?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(RecordError::Length { field, length: -1 })
    }

    /// The length of what follows; `None` is null. Never more than the bytes left.
    fn length(&mut self, wide: bool, field: &'static str) -> Result<Option<usize>, RecordError> {
        let length = match (self.flexible, wide) {
            (true, _) => i64::from(self.unsigned_varint(field)?) - 1,
            (false, true) => i64::from(self.i32(field)?),
            (false, false) => i64::from(self.i16(field)?),
        };
        match usize::try_from(length) {
            Ok(count) if count <= self.rest.len() => Ok(Some(count)),
            Ok(_) => Err(RecordError::Length { field, length }),
            Err(_) if length == -1 => Ok(None),
            Err(_) => Err(RecordError::Length { field, length }),
        }
    }

    /// Text, or null.
    pub fn nullable_str(&mut self, field: &'static str) -> Result<Option<Arc<str>>, RecordError> {
        let Some(count) = self.length(false, field)? else { return Ok(None) };
        let text = std::str::from_utf8(self.take(count, field)?).map_err(|_| RecordError::Text { field })?;
        Ok(Some(Arc::from(text)))
    }

    /// Text.
    pub fn str(&mut self, field: &'static str) -> Result<Arc<str>, RecordError> {
        self.nullable_str(field)?.ok_or(RecordError::Length { field, length: -1 })
    }

    /// Bytes, copied out.
    pub fn bytes(&mut self, field: &'static str) -> Result<Bytes, RecordError> {
        let count = self.length(true, field)?.ok_or(RecordError::Length { field, length: -1 })?;
        self.take(count, field).map(Bytes::copy_from_slice)
    }

    /// An array of elements of at least one byte each; null reads as empty.
    pub fn list<T>(
        &mut self,
        field: &'static str,
        mut element: impl FnMut(&mut Self) -> Result<T, RecordError>,
    ) -> Result<Vec<T>, RecordError> {
        let count = self.length(true, field)?.unwrap_or(0);
        let mut elements = Vec::with_capacity(count.min(1024));
        for _ in 0..count {
            elements.push(element(self)?);
        }
        Ok(elements)
    }

    /// The tagged fields of a flexible struct; unknown tags are skipped.
    pub fn tags(
        &mut self,
        mut known: impl FnMut(u32, &mut Self) -> Result<(), RecordError>,
    ) -> Result<(), RecordError> {
        if !self.flexible {
            return Ok(());
        }
        for _ in 0..self.unsigned_varint("tagged fields")? {
            let tag = self.unsigned_varint("tag")?;
            let size = self.unsigned_varint("tag size")?;
            let body = self.take(size as usize, "tagged field")?;
            known(tag, &mut Reader { rest: body, flexible: true })?;
        }
        Ok(())
    }

    /// The presence byte of a nullable struct in a tagged field: 0 is null there.
    pub fn present(&mut self, field: &'static str) -> Result<bool, RecordError> {
        self.i8(field).map(|marker| marker > 0)
    }
}

/// Writes fields to the end of a buffer.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
    flexible: bool,
}

impl Writer {
    /// A buffer that begins with a key's type or a value's version.
    #[must_use]
    pub fn new(version: i16, flexible: bool, capacity: usize) -> Self {
        let mut bytes = Vec::with_capacity(capacity + 2);
        bytes.put_i16(version);
        Self { bytes, flexible }
    }

    /// What was written.
    #[must_use]
    pub fn finish(self) -> Bytes {
        Bytes::from(self.bytes)
    }

    /// One signed byte.
    pub fn i8(&mut self, value: i8) {
        self.bytes.put_i8(value);
    }

    /// Four bytes, big-endian.
    pub fn i32(&mut self, value: i32) {
        self.bytes.put_i32(value);
    }

    /// Eight bytes, big-endian.
    pub fn i64(&mut self, value: i64) {
        self.bytes.put_i64(value);
    }

    /// Sixteen bytes.
    pub fn uuid(&mut self, value: Uuid) {
        self.bytes.put_slice(value.as_bytes());
    }

    fn unsigned_varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.bytes.push((value as u8 & 0x7f) | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    /// Lengths come from requests, which are bounded far below two gigabytes.
    fn length(&mut self, length: usize, wide: bool) {
        match (self.flexible, wide) {
            (true, _) => self.unsigned_varint(length as u32 + 1),
            (false, true) => self.bytes.put_i32(length as i32),
            (false, false) => self.bytes.put_i16(length as i16),
        }
    }

    /// Text, or null.
    pub fn nullable_str(&mut self, text: Option<&str>) {
        match (text, self.flexible) {
            (Some(text), _) => self.str(text),
            (None, true) => self.bytes.push(0),
            (None, false) => self.bytes.put_i16(-1),
        }
    }

    /// Text.
    pub fn str(&mut self, text: &str) {
        self.length(text.len(), false);
        self.bytes.put_slice(text.as_bytes());
    }

    /// Bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.length(bytes.len(), true);
        self.bytes.put_slice(bytes);
    }

    /// An array.
    pub fn list<T>(
        &mut self,
        elements: impl ExactSizeIterator<Item = T>,
        mut element: impl FnMut(&mut Self, T),
    ) {
        self.length(elements.len(), true);
        for each in elements {
            element(self, each);
        }
    }

    /// No tagged fields; nothing in the old form.
    pub fn no_tags(&mut self) {
        if self.flexible {
            self.bytes.push(0);
        }
    }

    /// At most one tagged field, which is all that these records have.
    pub fn tag(&mut self, tag: u32, body: Option<impl FnOnce(&mut Self)>) {
        let Some(body) = body else { return self.no_tags() };
        let mut inner = Self { bytes: Vec::new(), flexible: true };
        body(&mut inner);
        self.unsigned_varint(1);
        self.unsigned_varint(tag);
        self.unsigned_varint(inner.bytes.len() as u32);
        self.bytes.append(&mut inner.bytes);
    }
}
