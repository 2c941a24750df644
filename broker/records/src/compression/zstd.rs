//! Zstandard; several frames are read as one stream.

use super::{Stop, read_bounded};
use std::io::{self, Write};

/// Kafka's default, `compression.zstd.level`.
const DEFAULT_LEVEL: i32 = 3;

pub(super) fn compress(bytes: &[u8], level: Option<i32>, out: &mut Vec<u8>) -> io::Result<()> {
    let range = ::zstd::compression_level_range();
    let level = level.unwrap_or(DEFAULT_LEVEL).clamp(*range.start(), *range.end());
    let mut encoder = ::zstd::stream::write::Encoder::new(out, level)?;
    encoder.set_pledged_src_size(Some(bytes.len() as u64))?;
    encoder.write_all(bytes)?;
    encoder.finish().map(drop)
}

/// A frame may ask for a window of 128 MiB, the library's default limit: reserved, and touched only as far as records come out.
pub(super) fn decompress(bytes: &[u8], max_bytes: usize) -> Result<Vec<u8>, Stop> {
    read_bounded(::zstd::stream::read::Decoder::with_buffer(bytes)?, max_bytes)
}
