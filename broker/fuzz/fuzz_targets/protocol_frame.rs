//! A connection's bytes as they come in: frames, request headers, and each body as what its header says it is.
//! The first byte says in which pieces the rest arrives.

#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use ottla_protocol::{RequestHeader, decode_request, frame};

const MAX_BYTES: usize = 1 << 20;

fuzz_target!(|data: &[u8]| {
    let Some((&piece_bytes, stream)) = data.split_first() else { return };
    let mut buffer = BytesMut::new();
    for piece in stream.chunks(usize::from(piece_bytes) + 1) {
        buffer.extend_from_slice(piece);
        loop {
            match frame::take(&mut buffer, MAX_BYTES) {
                Ok(Some(bytes)) => {
                    let Ok((header, body)) = RequestHeader::decode(bytes) else { return };
                    let _ = decode_request(header.api_key, header.api_version, body);
                }
                Ok(None) => break,
                Err(_) => return,
            }
        }
    }
});
