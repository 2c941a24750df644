//! The request header: API key, version, correlation id and client id.
//!
//! Header version 1 ends after the client id, version 2 (flexible APIs) adds tagged fields, which are
//! skipped. Kafka: `RequestHeader.java`, KIP-482.

use bytes::{Buf, Bytes};
use kafka_protocol::messages::ApiKey;

/// The header in front of every request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestHeader {
    /// Which API.
    pub api_key: i16,
    /// Which version of it; not checked against what is advertised.
    pub api_version: i16,
    /// Echoed in the response.
    pub correlation_id: i32,
    /// What the client calls itself. UTF-8; a slice of the frame.
    client_id: Option<Bytes>,
}

/// Why a frame cannot be a request. The connection is closed: nothing after it can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// The frame ends inside the header.
    #[error("frame of {frame_bytes} bytes ends inside the request header")]
    TooShort {
        /// Length of the frame.
        frame_bytes: usize,
    },
    /// No such API.
    #[error("unknown API key {api_key}")]
    UnknownApi {
        /// The key found.
        api_key: i16,
    },
    /// The client id has a bad length or is not UTF-8.
    #[error("malformed client id")]
    BadClientId,
    /// The tagged fields do not fit the frame.
    #[error("malformed tagged fields in the request header")]
    BadTaggedFields,
}

impl RequestHeader {
    /// Splits a frame into header and body.
    ///
    /// # Errors
    /// If the bytes are not a request header.
    pub fn parse(mut frame: Bytes) -> Result<(Self, Bytes), HeaderError> {
        let frame_bytes = frame.len();
        if frame_bytes < 8 {
            return Err(HeaderError::TooShort { frame_bytes });
        }
        let api_key = frame.get_i16();
        let api_version = frame.get_i16();
        let correlation_id = frame.get_i32();
        let api = ApiKey::try_from(api_key).map_err(|()| HeaderError::UnknownApi { api_key })?;
        let header_version = api.request_header_version(api_version);
        let client_id = if header_version >= 1 { take_client_id(&mut frame, frame_bytes)? } else { None };
        if header_version >= 2 {
            skip_tagged_fields(&mut frame)?;
        }
        Ok((Self { api_key, api_version, correlation_id, client_id }, frame))
    }

    /// A header as a client would send it; for tests and for requests the broker makes to itself.
    pub fn new(api_key: i16, api_version: i16, correlation_id: i32, client_id: Option<&str>) -> Self {
        let client_id = client_id.map(|id| Bytes::copy_from_slice(id.as_bytes()));
        Self { api_key, api_version, correlation_id, client_id }
    }

    /// What the client calls itself; empty if it does not say.
    pub fn client_id(&self) -> &str {
        self.client_id.as_deref().and_then(|id| std::str::from_utf8(id).ok()).unwrap_or_default()
    }
}

fn take_client_id(frame: &mut Bytes, frame_bytes: usize) -> Result<Option<Bytes>, HeaderError> {
    if frame.len() < 2 {
        return Err(HeaderError::TooShort { frame_bytes });
    }
    match frame.get_i16() {
        -1 => Ok(None),
        length if length < 0 => Err(HeaderError::BadClientId),
        length if length as usize > frame.len() => Err(HeaderError::TooShort { frame_bytes }),
        length => {
            let id = frame.split_to(length as usize);
            std::str::from_utf8(&id).map_err(|_| HeaderError::BadClientId)?;
            Ok(Some(id))
        }
    }
}

fn skip_tagged_fields(frame: &mut Bytes) -> Result<(), HeaderError> {
    for _ in 0..take_varint(frame)? {
        take_varint(frame)?;
        let bytes = take_varint(frame)? as usize;
        if bytes > frame.len() {
            return Err(HeaderError::BadTaggedFields);
        }
        frame.advance(bytes);
    }
    Ok(())
}

/// An unsigned varint of at most five bytes.
fn take_varint(frame: &mut Bytes) -> Result<u32, HeaderError> {
    let mut value = 0u32;
    for shift in (0..35).step_by(7) {
        let byte = frame.try_get_u8().map_err(|_| HeaderError::BadTaggedFields)?;
        value |= u32::from(byte & 0x7f).wrapping_shl(shift);
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(HeaderError::BadTaggedFields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flexible_header_skips_tagged_fields() {
        let frame = Bytes::from_static(b"\0\x12\0\x03\0\0\0\x07\0\x02ab\x01\x05\x02xybody");
        let (header, body) = RequestHeader::parse(frame).unwrap();
        assert_eq!(header, RequestHeader::new(18, 3, 7, Some("ab")));
        assert_eq!(&body[..], b"body");
    }

    #[test]
    fn an_old_header_may_have_no_client_id() {
        let frame = Bytes::from_static(b"\0\x12\0\0\0\0\0\x07\xff\xff");
        let (header, body) = RequestHeader::parse(frame).unwrap();
        assert_eq!(header.client_id(), "");
        assert!(body.is_empty());
    }

    #[test]
    fn every_prefix_of_a_header_is_an_error_and_never_a_panic() {
        let frame = Bytes::from_static(b"\0\x12\0\x03\0\0\0\x07\0\x02ab\x01\x05\x02xy");
        for end in 0..frame.len() {
            assert!(RequestHeader::parse(frame.slice(..end)).is_err(), "prefix of {end} bytes");
        }
    }

    #[test]
    fn random_bytes_are_a_header_or_an_error() {
        use rand::{Rng, SeedableRng};
        let mut random = rand::rngs::StdRng::seed_from_u64(1);
        for _ in 0..20_000 {
            let length = random.random_range(0..40);
            let mut bytes: Vec<u8> = (0..length).map(|_| random.random()).collect();
            if length > 2 && random.random() {
                bytes[..2].copy_from_slice(&[0, random.random_range(0..93)]);
            }
            let _ = RequestHeader::parse(Bytes::from(bytes));
        }
    }

    #[test]
    fn a_tag_count_beyond_the_frame_is_an_error() {
        let frame = Bytes::from_static(b"\0\x12\0\x03\0\0\0\x07\xff\xff\xff\xff\xff\xff\x0f");
        assert_eq!(RequestHeader::parse(frame), Err(HeaderError::BadTaggedFields));
    }
}
