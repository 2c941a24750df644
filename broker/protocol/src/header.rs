//! Request headers (versions 1 and 2) and response headers (0 and 1).

use crate::api::ApiKey;
use crate::wire::{Reader, WireError, put_unsigned_varint};
use bytes::{BufMut, Bytes};
use kafka_protocol::protocol::StrBytes;

/// A request's header. Its version follows from key and version, so it is not stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestHeader {
    /// Which API.
    pub api_key: ApiKey,
    /// Version of the request, not checked against the supported range yet.
    pub api_version: i16,
    /// Comes back in the response.
    pub correlation_id: i32,
    /// Name the client gave itself.
    pub client_id: Option<StrBytes>,
}

/// A header that cannot be read: nothing can be answered, the connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// A key that Kafka 4.3.1 does not have.
    #[error("unknown API key {code} (version {version}, correlation id {correlation_id})")]
    UnknownApi {
        /// The key.
        code: i16,
        /// The version asked for.
        version: i16,
        /// The request's correlation id.
        correlation_id: i32,
    },
    /// The bytes are no header.
    #[error("malformed request header: {0}")]
    Malformed(#[from] WireError),
}

impl RequestHeader {
    /// Splits a frame (without its length) into header and body.
    ///
    /// # Errors
    /// For an unknown key or malformed bytes.
    pub fn decode(frame: Bytes) -> Result<(Self, Bytes), HeaderError> {
        // The client id's length is never compact, not even in version 2.
        let mut reader = Reader::new(frame, false);
        let code = reader.i16()?;
        let api_version = reader.i16()?;
        let correlation_id = reader.i32()?;
        let Some(api_key) = ApiKey::from_code(code) else {
            return Err(HeaderError::UnknownApi { code, version: api_version, correlation_id });
        };
        let client_id = reader.nullable_string()?;
        let mut rest = reader.into_rest();
        if api_key.request_header_version(api_version) >= 2 {
            let mut tagged = Reader::new(rest, true);
            tagged.skip_tagged_fields()?;
            rest = tagged.into_rest();
        }
        Ok((Self { api_key, api_version, correlation_id, client_id }, rest))
    }

    /// Writes the header. A client id above 32,767 bytes is cut off there.
    pub fn encode(&self, out: &mut impl BufMut) {
        out.put_i16(self.api_key.code());
        out.put_i16(self.api_version);
        out.put_i32(self.correlation_id);
        match &self.client_id {
            None => out.put_i16(-1),
            Some(id) => {
                let length = i16::try_from(id.len()).unwrap_or(i16::MAX);
                out.put_i16(length);
                out.put_slice(&id.as_bytes()[..length.unsigned_abs().into()]);
            }
        }
        if self.api_key.request_header_version(self.api_version) >= 2 {
            put_unsigned_varint(out, 0);
        }
    }
}

/// Bytes of the response header of `version` of `key`.
#[must_use]
pub fn response_header_bytes(key: ApiKey, version: i16) -> usize {
    if key.response_header_version(version) >= 1 { 5 } else { 4 }
}

/// Writes a response header.
pub fn put_response_header(out: &mut impl BufMut, key: ApiKey, version: i16, correlation_id: i32) {
    out.put_i32(correlation_id);
    if key.response_header_version(version) >= 1 {
        put_unsigned_varint(out, 0);
    }
}

/// Splits a response frame (without its length) into correlation id and body.
///
/// # Errors
/// If the frame is too short.
pub fn decode_response_header(frame: Bytes, key: ApiKey, version: i16) -> Result<(i32, Bytes), WireError> {
    let mut reader = Reader::new(frame, key.response_header_version(version) >= 1);
    let correlation_id = reader.i32()?;
    reader.skip_tagged_fields()?;
    Ok((correlation_id, reader.into_rest()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::TABLE;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn headers_read_back(row in 0..TABLE.len(), version in 0..14i16, id: i32, name: Option<String>) {
            let header = RequestHeader {
                api_key: TABLE[row].key,
                api_version: version,
                correlation_id: id,
                client_id: name.map(StrBytes::from_string),
            };
            let mut out = Vec::new();
            header.encode(&mut out);
            out.extend_from_slice(b"body");
            let (read, body) = RequestHeader::decode(Bytes::from(out)).unwrap();
            prop_assert_eq!(read, header);
            prop_assert_eq!(&body[..], b"body");
        }

        #[test]
        fn any_bytes_are_a_header_or_an_error(bytes: Vec<u8>) {
            let _ = RequestHeader::decode(Bytes::from(bytes));
        }
    }

    #[test]
    fn an_unknown_key_is_named_in_the_error() {
        let frame = Bytes::from_static(&[0, 93, 0, 1, 0, 0, 0, 7]);
        let unknown = HeaderError::UnknownApi { code: 93, version: 1, correlation_id: 7 };
        assert_eq!(RequestHeader::decode(frame), Err(unknown));
    }
}
