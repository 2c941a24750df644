//! ApiVersions (key 18): what this broker speaks, and the cluster's features (KIP-35, KIP-511, KIP-584).

use super::Context;
use crate::net::{Request, Response};
use kafka_protocol::messages::ApiVersionsResponse;
use kafka_protocol::messages::api_versions_response::{FinalizedFeatureKey, SupportedFeatureKey};
use ottla_core::metadata::feature;
use ottla_protocol::response::answer_version;
use ottla_protocol::{ApiKey, RequestBody, StrBytes, api_versions_response, decode_request};
use ottla_types::ErrorCode;

const FEATURES_FROM: i16 = 3;

/// Answers the request, in version 0 if its own is not known.
pub fn handle(context: &Context, request: &Request) -> Response {
    let (version, mut error) = answer_version(context.version);
    if error == ErrorCode::None && version >= FEATURES_FROM {
        match decode_request(ApiKey::ApiVersions, version, request.body.clone()) {
            Ok(RequestBody::ApiVersions(body)) => {
                let (name, number) = (&body.client_software_name, &body.client_software_version);
                if is_software_name(name) && is_software_name(number) {
                    let _ = request.connection.software.set((name.to_string(), number.to_string()));
                } else {
                    error = ErrorCode::InvalidRequest;
                }
            }
            _ => return Response::Close,
        }
    }
    let mut response = api_versions_response(error);
    if version >= FEATURES_FROM {
        add_features(context, &mut response);
    }
    let answering = Context { version, ..context.clone() };
    answering.reply(&response)
}

/// KIP-511: letters, digits, dots and dashes; neither first nor last a dot or dash.
fn is_software_name(text: &str) -> bool {
    let is_edge = |c: char| c.is_ascii_alphanumeric();
    text.starts_with(is_edge)
        && text.ends_with(is_edge)
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-')
}

fn add_features(context: &Context, response: &mut ApiVersionsResponse) {
    let image = context.image();
    let level = |value: i32| i16::try_from(value).unwrap_or(i16::MAX);
    response.supported_features = feature::supported()
        .into_iter()
        .map(|range| {
            SupportedFeatureKey::default()
                .with_name(StrBytes::from_string(range.name))
                .with_min_version(level(range.min))
                .with_max_version(level(range.max))
        })
        .collect();
    response.finalized_features_epoch = i64::try_from(image.offset()).unwrap_or(i64::MAX);
    response.finalized_features = image
        .features()
        .iter()
        .map(|(name, &finalized)| {
            FinalizedFeatureKey::default()
                .with_name(StrBytes::from_string(name.to_string()))
                .with_max_version_level(level(finalized))
                .with_min_version_level(level(finalized))
        })
        .collect();
}
