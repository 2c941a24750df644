//! Zigzag variable-length integers as records use them (`org.apache.kafka.common.utils.ByteUtils`).

/// Reads a 32-bit one from the front of `bytes`. `None` if it ends early or is longer than five bytes.
#[inline]
pub(crate) fn read_i32(bytes: &mut &[u8]) -> Option<i32> {
    let raw = read_raw(bytes, 5)? as u32;
    Some((raw >> 1).cast_signed() ^ -((raw & 1).cast_signed()))
}

/// Reads a 64-bit one from the front of `bytes`. `None` if it ends early or is longer than ten bytes.
#[inline]
pub(crate) fn read_i64(bytes: &mut &[u8]) -> Option<i64> {
    let raw = read_raw(bytes, 10)?;
    Some((raw >> 1).cast_signed() ^ -((raw & 1).cast_signed()))
}

#[inline]
fn read_raw(bytes: &mut &[u8], max_len: usize) -> Option<u64> {
    // Most are short.
    if let Some((first, rest)) = bytes.split_first()
        && first & 0x80 == 0
    {
        *bytes = rest;
        return Some(u64::from(*first));
    }
    read_long(bytes, max_len)
}

fn read_long(bytes: &mut &[u8], max_len: usize) -> Option<u64> {
    let mut value = 0u64;
    for (i, &byte) in bytes.iter().take(max_len).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            *bytes = &bytes[i + 1..];
            return Some(value);
        }
    }
    None
}

/// Appends a 32-bit one.
pub(crate) fn write_i32(out: &mut Vec<u8>, value: i32) {
    write_raw(out, u64::from(((value << 1) ^ (value >> 31)).cast_unsigned()));
}

/// Appends a 64-bit one.
pub(crate) fn write_i64(out: &mut Vec<u8>, value: i64) {
    write_raw(out, ((value << 1) ^ (value >> 63)).cast_unsigned());
}

fn write_raw(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Bytes that [`write_i32`] takes.
pub(crate) const fn len_i32(value: i32) -> usize {
    len_raw(((value << 1) ^ (value >> 31)).cast_unsigned() as u64)
}

/// Bytes that [`write_i64`] takes.
pub(crate) const fn len_i64(value: i64) -> usize {
    len_raw(((value << 1) ^ (value >> 63)).cast_unsigned())
}

const fn len_raw(value: u64) -> usize {
    let bits = 64 - value.leading_zeros() as usize;
    if bits == 0 { 1 } else { bits.div_ceil(7) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_number_reads_back_and_has_the_length_told(a: i32, b: i64) {
            let mut out = Vec::new();
            write_i32(&mut out, a);
            prop_assert_eq!(out.len(), len_i32(a));
            write_i64(&mut out, b);
            prop_assert_eq!(out.len(), len_i32(a) + len_i64(b));
            let mut rest = out.as_slice();
            prop_assert_eq!(read_i32(&mut rest), Some(a));
            prop_assert_eq!(read_i64(&mut rest), Some(b));
            prop_assert!(rest.is_empty());
        }
    }

    #[test]
    fn numbers_that_do_not_end_are_refused() {
        assert_eq!(read_i32(&mut &[0x80u8; 9][..]), None);
        assert_eq!(read_i64(&mut &[0x80u8; 20][..]), None);
        assert_eq!(read_i64(&mut &[][..]), None);
    }
}
