//! The LZ4 frame format as `Lz4BlockOutputStream` writes it: independent blocks of 64 KiB, no checksums but the header's.

use super::{Stop, read_bounded};
use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};
use std::io::{self, Write};

pub(super) fn compress(bytes: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    let info = FrameInfo::new().block_mode(BlockMode::Independent).block_size(BlockSize::Max64KB);
    let mut encoder = FrameEncoder::with_frame_info(info, out);
    encoder.write_all(bytes)?;
    encoder.finish().map(drop).map_err(io::Error::from)
}

pub(super) fn decompress(bytes: &[u8], max_bytes: usize) -> Result<Vec<u8>, Stop> {
    read_bounded(FrameDecoder::new(bytes), max_bytes)
}
