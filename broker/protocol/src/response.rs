//! Response frames: length, header and body in one piece, sized before it is written.

use crate::api::{ApiKey, served};
use crate::extra;
use crate::frame::LENGTH_BYTES;
use crate::header::{put_response_header, response_header_bytes};
use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::ApiVersionsResponse;
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::protocol::Encodable;
use ottla_types::ErrorCode;

/// A response that cannot be written: a programmer's mistake, such as a field set that the version
/// does not have and must not be dropped silently.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a {key} response cannot be written in version {version}: {reason}")]
pub struct EncodeError {
    /// The API.
    pub key: ApiKey,
    /// The version asked for.
    pub version: i16,
    /// What does not fit.
    pub reason: String,
}

/// Writes a whole response frame: 4-byte length, header and `body`.
///
/// # Errors
/// If `body` sets a field that `version` does not have, or is above 2 GB.
pub fn encode_response<T: Encodable>(
    key: ApiKey,
    version: i16,
    correlation_id: i32,
    body: &T,
) -> Result<Bytes, EncodeError> {
    let fail = |reason: String| EncodeError { key, version, reason };
    if key == ApiKey::DescribeLogDirs && version >= 5 {
        return Err(fail("extra::encode_describe_log_dirs writes it".to_owned()));
    }
    let generated = extra::generated_version(key, version);
    let body_bytes = body.compute_size(generated).map_err(|error| fail(error.to_string()))?;
    let mut out = frame_with_header(key, version, correlation_id, body_bytes).map_err(fail)?;
    body.encode(&mut out, generated).map_err(|error| fail(error.to_string()))?;
    Ok(out.freeze())
}

/// Starts a frame for a body of exactly `body_bytes`.
pub(crate) fn frame_with_header(
    key: ApiKey,
    version: i16,
    correlation_id: i32,
    body_bytes: usize,
) -> Result<BytesMut, String> {
    let frame_bytes = response_header_bytes(key, version) + body_bytes;
    let length = i32::try_from(frame_bytes).map_err(|_| format!("{frame_bytes} bytes are above 2 GB"))?;
    let mut out = BytesMut::with_capacity(LENGTH_BYTES + frame_bytes);
    out.put_i32(length);
    put_response_header(&mut out, key, version, correlation_id);
    Ok(out)
}

/// The APIs that are advertised, and `error`. Features, if any, are the caller's to add.
///
/// A request in a version above what is known is answered with `UNSUPPORTED_VERSION` written in
/// version 0 (KIP-511): see [`answer_version`].
#[must_use]
pub fn api_versions_response(error: ErrorCode) -> ApiVersionsResponse {
    let keys = served().map(|api| {
        ApiVersion::default().with_api_key(api.key.code()).with_min_version(api.min).with_max_version(api.max)
    });
    ApiVersionsResponse::default().with_error_code(error.code()).with_api_keys(keys.collect())
}

/// The version in which to answer an ApiVersions request of `version`, and with what error: 0 and
/// `UNSUPPORTED_VERSION` for one that is not known, whose body must not be read.
#[must_use]
pub fn answer_version(version: i16) -> (i16, ErrorCode) {
    let api = ApiKey::ApiVersions.api();
    if (api.min..=api.max).contains(&version) {
        (version, ErrorCode::None)
    } else {
        (0, ErrorCode::UnsupportedVersion)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::decode_response_header;
    use kafka_protocol::messages::MetadataResponse;
    use kafka_protocol::protocol::Decodable;

    #[test]
    fn a_frame_has_its_length_in_front() {
        let body = MetadataResponse::default().with_controller_id(7.into());
        for version in 0..=13 {
            let body = if version == 0 { MetadataResponse::default() } else { body.clone() };
            let frame = encode_response(ApiKey::Metadata, version, 42, &body).unwrap();
            let length = i32::from_be_bytes(frame[..4].try_into().unwrap());
            assert_eq!(length as usize, frame.len() - 4);
            let (id, mut rest) = decode_response_header(frame.slice(4..), ApiKey::Metadata, version).unwrap();
            assert_eq!(id, 42);
            assert_eq!(MetadataResponse::decode(&mut rest, version).unwrap().brokers, body.brokers);
            assert!(rest.is_empty());
        }
    }

    #[test]
    fn a_too_new_api_versions_request_is_answered_in_version_0() {
        assert_eq!(answer_version(5), (0, ErrorCode::UnsupportedVersion));
        assert_eq!(answer_version(4), (4, ErrorCode::None));
        let body = api_versions_response(ErrorCode::UnsupportedVersion);
        let frame = encode_response(ApiKey::ApiVersions, 0, 1, &body).unwrap();
        let (_, mut rest) = decode_response_header(frame.slice(4..), ApiKey::ApiVersions, 0).unwrap();
        let read = ApiVersionsResponse::decode(&mut rest, 0).unwrap();
        assert_eq!(read.error_code, 35);
        assert!(read.api_keys.iter().any(|api| api.api_key == 18 && api.max_version == 4));
    }
}
