//! Frames: a 4-byte big-endian length, then that many bytes.
//!
//! The length is checked before anything is reserved for the frame: below zero or beyond
//! `socket.request.max.bytes` the connection is closed, as Kafka does.

use bytes::{Buf, Bytes, BytesMut};

/// Bytes of the length in front of each frame.
pub const LENGTH_BYTES: usize = 4;

/// A length no frame can have: what follows cannot be understood, so the connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The length is below zero.
    #[error("a frame claims a negative length ({0})")]
    Negative(i32),
    /// The length is above the limit.
    #[error("a frame of {claimed_bytes} bytes is above the limit of {max_bytes} (socket.request.max.bytes)")]
    TooLarge {
        /// Length claimed by the frame.
        claimed_bytes: usize,
        /// The limit.
        max_bytes: usize,
    },
}

/// Reads a frame's length.
///
/// # Errors
/// If it is negative or above `max_bytes`.
pub fn length(prefix: [u8; LENGTH_BYTES], max_bytes: usize) -> Result<usize, FrameError> {
    let claimed = i32::from_be_bytes(prefix);
    let claimed_bytes = usize::try_from(claimed).map_err(|_| FrameError::Negative(claimed))?;
    if claimed_bytes > max_bytes {
        return Err(FrameError::TooLarge { claimed_bytes, max_bytes });
    }
    Ok(claimed_bytes)
}

/// Takes the first whole frame off `buffer`, without its length. `None` if more bytes are needed.
///
/// # Errors
/// If the length is impossible.
pub fn take(buffer: &mut BytesMut, max_bytes: usize) -> Result<Option<Bytes>, FrameError> {
    let Some(prefix) = buffer.first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
    let frame_bytes = length(*prefix, max_bytes)?;
    let whole = LENGTH_BYTES + frame_bytes;
    if buffer.len() < whole {
        return Ok(None);
    }
    buffer.advance(LENGTH_BYTES);
    Ok(Some(buffer.split_to(frame_bytes).freeze()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_frames_or_an_error(mut bytes: Vec<u8>) {
            bytes.splice(0..bytes.len().min(3), [0, 0, 0]);
            let mut buffer = BytesMut::from(&bytes[..]);
            while let Ok(Some(frame)) = take(&mut buffer, 100) {
                prop_assert!(frame.len() <= 100);
            }
        }
    }

    #[test]
    fn a_frame_is_taken_once_it_is_whole() {
        let mut buffer = BytesMut::from(&[0, 0, 0, 3, b'a', b'b'][..]);
        assert_eq!(take(&mut buffer, 10), Ok(None));
        buffer.extend_from_slice(b"cX");
        assert_eq!(take(&mut buffer, 10), Ok(Some(Bytes::from_static(b"abc"))));
        assert_eq!(&buffer[..], b"X");
    }

    #[test]
    fn impossible_lengths_are_refused_before_the_bytes_arrive() {
        assert_eq!(length([0xff; 4], 10), Err(FrameError::Negative(-1)));
        let too_large = FrameError::TooLarge { claimed_bytes: 11, max_bytes: 10 };
        assert_eq!(length([0, 0, 0, 11], 10), Err(too_large));
        assert_eq!(length([0, 0, 0, 10], 10), Ok(10));
    }
}
