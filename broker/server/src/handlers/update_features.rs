//! UpdateFeatures (key 57, KIP-584): the level that the cluster runs at.

use super::Context;
use kafka_protocol::messages::update_features_request::FeatureUpdateKey;
use kafka_protocol::messages::update_features_response::UpdatableFeatureResult;
use kafka_protocol::messages::{UpdateFeaturesRequest, UpdateFeaturesResponse};
use ottla_core::controller::{FeatureUpdate, Reply, Request, UpgradeType};
use ottla_protocol::StrBytes;
use ottla_types::ErrorCode;

const RESULTS_UNTIL: i16 = 1;

/// Answers the request once the levels are in force here.
pub async fn handle(context: &Context, request: UpdateFeaturesRequest) -> UpdateFeaturesResponse {
    let updates: Option<Vec<FeatureUpdate>> =
        request.feature_updates.iter().map(|update| read(update, context.version)).collect();
    let Some(updates) = updates else {
        let text = StrBytes::from_static_str("Unknown upgrade type.");
        return UpdateFeaturesResponse::default()
            .with_error_code(ErrorCode::InvalidRequest.code())
            .with_error_message(Some(text));
    };
    let asked = Request::UpdateFeatures { updates, validate_only: request.validate_only };
    let (error, message) = match context.broker.metadata.submit(asked).await {
        Ok(Reply::UpdateFeatures(Ok(()))) => (ErrorCode::None, None),
        Ok(Reply::UpdateFeatures(Err((feature, error)))) => {
            let text = error.message.unwrap_or_else(|| format!("Unable to update feature {feature}."));
            (error.code, Some(StrBytes::from_string(text)))
        }
        Ok(_) => (ErrorCode::UnknownServerError, None),
        Err(error) => (error, None),
    };
    let mut response =
        UpdateFeaturesResponse::default().with_error_code(error.code()).with_error_message(message);
    if context.version <= RESULTS_UNTIL && error == ErrorCode::None {
        let result = |update: &FeatureUpdateKey| {
            UpdatableFeatureResult::default().with_feature(update.feature.clone())
        };
        response.results = request.feature_updates.iter().map(result).collect();
    }
    response
}

fn read(update: &FeatureUpdateKey, version: i16) -> Option<FeatureUpdate> {
    let upgrade_type = match (version, update.allow_downgrade, update.upgrade_type) {
        (0, false, _) | (1.., _, 1) => UpgradeType::Upgrade,
        (0, true, _) | (1.., _, 2) => UpgradeType::SafeDowngrade,
        (1.., _, 3) => UpgradeType::UnsafeDowngrade,
        _ => return None,
    };
    Some(FeatureUpdate {
        name: update.feature.to_string(),
        level: i32::from(update.max_version_level),
        upgrade_type,
    })
}
