//! Reading and writing Kafka's primitive types within bounds.
//!
//! A reader hands out slices of its frame without copying. It refuses lengths beyond the frame before
//! anything is allocated for them.

use bytes::{Buf, BufMut, Bytes};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

/// Bytes that are not what the protocol says must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The frame ends before the field does.
    #[error("the frame ends within a field")]
    Truncated,
    /// A length below zero where null is not allowed, or below -1.
    #[error("a length is negative")]
    NegativeLength,
    /// A variable-length integer of more than five bytes.
    #[error("a variable-length integer is too long")]
    LongVarint,
    /// A string that is not UTF-8.
    #[error("a string is not UTF-8")]
    NotUtf8,
    /// A claimed number of elements that cannot fit into what is left, or too many over all.
    #[error("an array claims {claimed} elements, of which at most {possible} are possible")]
    TooManyElements {
        /// What the frame claims.
        claimed: usize,
        /// What could be there.
        possible: usize,
    },
}

/// Reads a frame from front to back.
#[derive(Debug, Clone)]
pub struct Reader {
    bytes: Bytes,
    flexible: bool,
}

macro_rules! fixed {
    ($(#[$doc:meta] $name:ident, $get:ident -> $type:ty;)*) => {
        $(
            #[$doc]
            ///
            /// # Errors
            /// If the frame ends before.
            pub fn $name(&mut self) -> Result<$type, WireError> {
                self.bytes.$get().map_err(|_| WireError::Truncated)
            }
        )*
    };
}

impl Reader {
    /// Reads `bytes`; `flexible` says whether lengths are compact and structures end in tagged fields.
    #[must_use]
    pub fn new(bytes: Bytes, flexible: bool) -> Self {
        Self { bytes, flexible }
    }

    fixed! {
        /// An 8-bit integer.
        i8, try_get_i8 -> i8;
        /// A 16-bit integer.
        i16, try_get_i16 -> i16;
        /// A 32-bit integer.
        i32, try_get_i32 -> i32;
        /// A 64-bit integer.
        i64, try_get_i64 -> i64;
    }

    /// Bytes not read yet.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.bytes.len()
    }

    /// What is left, unread.
    #[must_use]
    pub fn into_rest(self) -> Bytes {
        self.bytes
    }

    /// A boolean byte.
    ///
    /// # Errors
    /// If the frame ends before.
    pub fn bool(&mut self) -> Result<bool, WireError> {
        Ok(self.i8()? != 0)
    }

    /// A UUID.
    ///
    /// # Errors
    /// If the frame ends before.
    pub fn uuid(&mut self) -> Result<Uuid, WireError> {
        self.bytes.try_get_u128().map(Uuid::from_u128).map_err(|_| WireError::Truncated)
    }

    /// An unsigned variable-length integer of at most 32 bits.
    ///
    /// # Errors
    /// If it is longer than five bytes or the frame ends before.
    pub fn unsigned_varint(&mut self) -> Result<u32, WireError> {
        let mut value: u32 = 0;
        for shift in (0..35).step_by(7) {
            let byte = self.bytes.try_get_u8().map_err(|_| WireError::Truncated)?;
            value |= u32::from(byte & 0x7f).wrapping_shl(shift);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(WireError::LongVarint)
    }

    /// The next `length` bytes, a slice of the frame.
    ///
    /// # Errors
    /// If there are fewer.
    pub fn take(&mut self, length: usize) -> Result<Bytes, WireError> {
        if length > self.bytes.len() {
            return Err(WireError::Truncated);
        }
        Ok(self.bytes.split_to(length))
    }

    /// Passes over `length` bytes.
    ///
    /// # Errors
    /// If there are fewer.
    pub fn skip(&mut self, length: usize) -> Result<(), WireError> {
        if length > self.bytes.len() {
            return Err(WireError::Truncated);
        }
        self.bytes.advance(length);
        Ok(())
    }

    fn length(&mut self, short: bool) -> Result<Option<usize>, WireError> {
        let length = if self.flexible {
            i64::from(self.unsigned_varint()?) - 1
        } else if short {
            i64::from(self.i16()?)
        } else {
            i64::from(self.i32()?)
        };
        match length {
            -1 => Ok(None),
            0.. => usize::try_from(length).map(Some).map_err(|_| WireError::Truncated),
            _ => Err(WireError::NegativeLength),
        }
    }

    /// A string or null.
    ///
    /// # Errors
    /// If the frame ends before, the length is below -1 or it is not UTF-8.
    pub fn nullable_string(&mut self) -> Result<Option<StrBytes>, WireError> {
        let Some(length) = self.length(true)? else { return Ok(None) };
        let bytes = self.take(length)?;
        StrBytes::from_utf8(bytes).map(Some).map_err(|_| WireError::NotUtf8)
    }

    /// A string.
    ///
    /// # Errors
    /// As [`Reader::nullable_string`], and for null.
    pub fn string(&mut self) -> Result<StrBytes, WireError> {
        self.nullable_string()?.ok_or(WireError::NegativeLength)
    }

    /// Bytes or null: a slice of the frame.
    ///
    /// # Errors
    /// If the frame ends before or the length is below -1.
    pub fn nullable_bytes(&mut self) -> Result<Option<Bytes>, WireError> {
        match self.length(false)? {
            None => Ok(None),
            Some(length) => self.take(length).map(Some),
        }
    }

    /// Passes over a string or null, whatever its bytes.
    ///
    /// # Errors
    /// If the frame ends before or the length is below -1.
    pub fn skip_string(&mut self) -> Result<(), WireError> {
        let length = self.length(true)?.unwrap_or(0);
        self.skip(length)
    }

    /// Passes over bytes or null.
    ///
    /// # Errors
    /// If the frame ends before or the length is below -1.
    pub fn skip_bytes(&mut self) -> Result<(), WireError> {
        let length = self.length(false)?.unwrap_or(0);
        self.skip(length)
    }

    /// The number of elements of an array or null, where one element takes at least
    /// `element_bytes` (> 0): no more are accepted than can be in the rest of the frame.
    ///
    /// # Errors
    /// If the frame ends before or more are claimed than can fit.
    pub fn nullable_count(&mut self, element_bytes: usize) -> Result<Option<usize>, WireError> {
        let Some(claimed) = self.length(false)? else { return Ok(None) };
        let possible = self.remaining() / element_bytes;
        if claimed > possible {
            return Err(WireError::TooManyElements { claimed, possible });
        }
        Ok(Some(claimed))
    }

    /// The number of elements of an array.
    ///
    /// # Errors
    /// As [`Reader::nullable_count`], and for null.
    pub fn count(&mut self, element_bytes: usize) -> Result<usize, WireError> {
        self.nullable_count(element_bytes)?.ok_or(WireError::NegativeLength)
    }

    /// Passes over the tagged fields at the end of a structure, if there are any; returns how many.
    ///
    /// # Errors
    /// If the frame ends before.
    pub fn skip_tagged_fields(&mut self) -> Result<usize, WireError> {
        if !self.flexible {
            return Ok(0);
        }
        let count = self.unsigned_varint()? as usize;
        for _ in 0..count {
            self.unsigned_varint()?;
            let length = self.unsigned_varint()? as usize;
            self.skip(length)?;
        }
        Ok(count)
    }
}

/// Bytes that `value` takes as an unsigned variable-length integer.
#[must_use]
pub const fn unsigned_varint_bytes(value: u32) -> usize {
    match value {
        0..=0x7f => 1,
        0x80..=0x3fff => 2,
        0x4000..=0x1f_ffff => 3,
        0x20_0000..=0x0fff_ffff => 4,
        _ => 5,
    }
}

/// Writes an unsigned variable-length integer.
pub fn put_unsigned_varint(out: &mut impl BufMut, mut value: u32) {
    while value >= 0x80 {
        out.put_u8((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn varints_read_back_and_take_what_they_say(value: u32) {
            let mut out = Vec::new();
            put_unsigned_varint(&mut out, value);
            prop_assert_eq!(out.len(), unsigned_varint_bytes(value));
            let mut reader = Reader::new(Bytes::from(out), true);
            prop_assert_eq!(reader.unsigned_varint(), Ok(value));
            prop_assert_eq!(reader.remaining(), 0);
        }
    }

    #[test]
    fn a_string_beyond_the_frame_is_truncated() {
        let mut reader = Reader::new(Bytes::from_static(&[0x7f, 0xff, b'a']), false);
        assert_eq!(reader.string(), Err(WireError::Truncated));
    }

    #[test]
    fn a_count_beyond_the_frame_is_refused_before_anything_is_allocated() {
        let mut reader = Reader::new(Bytes::from_static(&[0x7f, 0xff, 0xff, 0xff, 0, 0]), false);
        let refused = WireError::TooManyElements { claimed: 0x7fff_ffff, possible: 1 };
        assert_eq!(reader.count(2), Err(refused));
    }

    #[test]
    fn a_varint_of_six_bytes_is_refused() {
        let mut reader = Reader::new(Bytes::from_static(&[0xff; 6]), true);
        assert_eq!(reader.unsigned_varint(), Err(WireError::LongVarint));
    }
}
