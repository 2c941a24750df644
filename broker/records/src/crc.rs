//! CRC-32C (Castagnoli), the checksum of a v2 batch: over everything from the attributes to the end.

use crc_fast::{CrcAlgorithm, Digest, checksum};

/// CRC-32C of `bytes`, with the processor's instructions where it has them.
#[must_use]
pub fn crc32c(bytes: &[u8]) -> u32 {
    // The algorithm is 32 bits wide; the crate returns every width as u64.
    checksum(CrcAlgorithm::Crc32Iscsi, bytes) as u32
}

/// CRC-32C of the concatenation of `parts`.
#[must_use]
pub fn crc32c_parts(parts: &[&[u8]]) -> u32 {
    let mut digest = Digest::new(CrcAlgorithm::Crc32Iscsi);
    for part in parts {
        digest.update(part);
    }
    digest.finalize() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_value_is_that_of_crc_32_iscsi() {
        assert_eq!(crc32c(b"123456789"), 0xE306_9283);
        assert_eq!(crc32c(b""), 0);
    }

    #[test]
    fn parts_give_the_crc_of_the_whole() {
        let bytes: Vec<u8> = (0..5_000u32).map(|i| (i * 7) as u8).collect();
        for cut in [0, 1, 7, 40, 4_096, 5_000] {
            let (a, b) = bytes.split_at(cut);
            assert_eq!(crc32c_parts(&[a, b]), crc32c(&bytes), "cut at {cut}");
        }
    }
}
