//! Every codec: bytes that are no stream of it do no harm and make no more than allowed; its own streams read back.
//! The first byte chooses codec and limit.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ottla_records::{Compression, CompressionError};

fuzz_target!(|data: &[u8]| {
    let Some((&choice, bytes)) = data.split_first() else { return };
    let codec = Compression::ALL[usize::from(choice % 5)];
    let max_bytes = 1 << (choice / 5 % 20);
    match codec.decompress(bytes, max_bytes) {
        Ok(out) => assert!(out.len() <= max_bytes),
        Err(CompressionError::TooLarge { max_bytes: told }) => assert_eq!(told, max_bytes),
        Err(_) => {}
    }
    let level = i32::from(choice) - 100;
    let stream = codec.compress(bytes, Some(level), 0).unwrap();
    assert_eq!(codec.decompress(&stream, bytes.len()).unwrap(), bytes);
});
