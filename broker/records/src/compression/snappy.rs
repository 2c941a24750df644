//! Snappy in the framing of snappy-java: a header of 16 bytes, then blocks, each behind its length (big endian).
//! librdkafka writes one bare block instead, which is read too.

use super::Stop;
use std::io;

/// Magic, version 1, compatible with version 1.
const STREAM_HEADER: [u8; 16] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1];
const MAGIC_BYTES: usize = 8;
/// Bytes of records in one block.
const BLOCK_BYTES: usize = 32 * 1024;
/// The densest element of the format makes 64 bytes out of 3; a block that claims more than this factor lies.
const MAX_GROWTH: usize = 22;

pub(super) fn compress(bytes: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    out.extend_from_slice(&STREAM_HEADER);
    let mut encoder = snap::raw::Encoder::new();
    for block in bytes.chunks(BLOCK_BYTES) {
        let start = out.len();
        out.resize(start + 4 + snap::raw::max_compress_len(block.len()), 0);
        let length = encoder.compress(block, &mut out[start + 4..])?;
        out[start..start + 4].copy_from_slice(&(length as u32).to_be_bytes());
        out.truncate(start + 4 + length);
    }
    Ok(())
}

pub(super) fn decompress(bytes: &[u8], max_bytes: usize) -> Result<Vec<u8>, Stop> {
    let mut out = Vec::new();
    if bytes.get(..MAGIC_BYTES) != Some(&STREAM_HEADER[..MAGIC_BYTES]) {
        append_block(bytes, max_bytes, &mut out)?;
        return Ok(out);
    }
    let cut_off = || Stop::Corrupt("the stream is cut off".into());
    let mut rest = bytes.get(STREAM_HEADER.len()..).ok_or_else(cut_off)?;
    while !rest.is_empty() {
        if rest.starts_with(&STREAM_HEADER[..MAGIC_BYTES]) {
            // Streams may be concatenated; no block is as long as these bytes would say.
            rest = rest.get(STREAM_HEADER.len()..).ok_or_else(cut_off)?;
            continue;
        }
        let (&length, after) = rest.split_first_chunk::<4>().ok_or_else(cut_off)?;
        let (block, after) =
            after.split_at_checked(u32::from_be_bytes(length) as usize).ok_or_else(cut_off)?;
        append_block(block, max_bytes, &mut out)?;
        rest = after;
    }
    Ok(out)
}

fn append_block(block: &[u8], max_bytes: usize, out: &mut Vec<u8>) -> Result<(), Stop> {
    let corrupt = |error: snap::Error| Stop::Corrupt(error.to_string());
    let length = snap::raw::decompress_len(block).map_err(corrupt)?;
    if length > block.len().saturating_mul(MAX_GROWTH) {
        return Err(Stop::Corrupt("a block claims more than it can hold".into()));
    }
    let start = out.len();
    if length > max_bytes - start {
        return Err(Stop::TooLarge);
    }
    out.resize(start + length, 0);
    snap::raw::Decoder::new().decompress(block, &mut out[start..]).map_err(corrupt)?;
    Ok(())
}
