//! The LZ4 frame format as `Lz4BlockOutputStream` writes it: independent blocks of 64 KiB, no checksums but the header's.

use super::{Stop, read_bounded};
use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};
use std::io::{self, Write};

/// Kafka's default, `compression.lz4.level`. It stands for the fast compressor, as in Kafka.
const DEFAULT_LEVEL: i32 = 9;
/// Levels of liblz4's high compressor; Kafka's reach from 1 to 17.
const HIGH_LEVELS: (i32, i32) = (3, 12);

pub(super) fn compress(bytes: &[u8], level: Option<i32>, out: &mut Vec<u8>) -> io::Result<()> {
    match level.filter(|level| *level != DEFAULT_LEVEL) {
        None => compress_fast(bytes, out),
        Some(level) => compress_high(bytes, level, out),
    }
}

fn compress_high(bytes: &[u8], level: i32, out: &mut Vec<u8>) -> io::Result<()> {
    let level = level.clamp(HIGH_LEVELS.0, HIGH_LEVELS.1).cast_unsigned();
    let mut encoder = ::lz4::EncoderBuilder::new()
        .block_size(::lz4::BlockSize::Max64KB)
        .block_mode(::lz4::BlockMode::Independent)
        .checksum(::lz4::ContentChecksum::NoChecksum)
        .level(level)
        .build(out)?;
    encoder.write_all(bytes)?;
    encoder.finish().1
}

fn compress_fast(bytes: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    let info = FrameInfo::new().block_mode(BlockMode::Independent).block_size(BlockSize::Max64KB);
    let mut encoder = FrameEncoder::with_frame_info(info, out);
    encoder.write_all(bytes)?;
    encoder.finish().map(drop).map_err(io::Error::from)
}

pub(super) fn decompress(bytes: &[u8], max_bytes: usize) -> Result<Vec<u8>, Stop> {
    read_bounded(FrameDecoder::new(bytes), max_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_other_than_the_default_compress_better_and_read_back() {
        let text: Vec<u8> =
            (0..40_000u32).flat_map(|n| format!("{} is {},", n % 977, n * n % 1009).into_bytes()).collect();
        let packed = |level| {
            let mut out = Vec::new();
            compress(&text, level, &mut out).unwrap();
            assert_eq!(decompress(&out, text.len()).ok().unwrap(), text, "level {level:?}");
            out.len()
        };
        assert_eq!(packed(None), packed(Some(DEFAULT_LEVEL)));
        assert!(packed(Some(12)) < packed(None));
        assert!([1, 3, 17].into_iter().all(|level| packed(Some(level)) < packed(None)));
    }
}
