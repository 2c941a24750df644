//! Gzip, as `GZIPOutputStream` writes it; concatenated members are read as one stream.

use super::{Stop, read_bounded};
use flate2::Compression as Level;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use std::io::{self, Write};

/// Levels 1 to 9; -1 (Kafka's default) is 6.
pub(super) fn compress(bytes: &[u8], level: Option<i32>, out: &mut Vec<u8>) -> io::Result<()> {
    let level = match level {
        None | Some(..=0) => Level::new(6),
        Some(level) => Level::new(level.clamp(1, 9).cast_unsigned()),
    };
    let mut encoder = GzEncoder::new(out, level);
    encoder.write_all(bytes)?;
    encoder.finish().map(drop)
}

pub(super) fn decompress(bytes: &[u8], max_bytes: usize) -> Result<Vec<u8>, Stop> {
    read_bounded(MultiGzDecoder::new(bytes), max_bytes)
}
