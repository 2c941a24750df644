//! IncrementalAlterConfigs (key 44, KIP-339): settings are set, deleted, appended to.

use super::Context;
use super::configs::{self, Altered, BROKER_LOGGER, Named};
use kafka_protocol::messages::incremental_alter_configs_request::AlterableConfig;
use kafka_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};
use ottla_core::controller::{AlterConfig, AlterOp, ApiError, Request};
use ottla_protocol::StrBytes;
use ottla_types::ErrorCode;

/// Answers the request once the settings are in force here.
pub async fn handle(
    context: &Context,
    request: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let mut results: Vec<Altered> = Vec::new();
    let mut asked = Vec::new();
    let mut named: Vec<Named> = Vec::new();
    for item in &request.resources {
        let name: Named = (item.resource_type, item.resource_name.clone());
        let changes: Result<Vec<AlterConfig>, ApiError> = item.configs.iter().map(change).collect();
        match changes {
            Err(error) => results.push((name, Err(error))),
            Ok(changes) if item.resource_type == BROKER_LOGGER => {
                let result = configs::alter_loggers(context, &name.1, &changes, request.validate_only);
                results.push((name, result));
            }
            Ok(changes) => match configs::resource(&name) {
                Err(error) => results.push((name, Err(error))),
                Ok(resource) => {
                    asked.push((resource, changes));
                    named.push(name);
                }
            },
        }
    }
    let request = Request::IncrementalAlterConfigs { resources: asked, validate_only: request.validate_only };
    results.extend(configs::submit(context, request, named).await);
    let responses = results.into_iter().map(|((kind, name), result)| {
        let answer =
            AlterConfigsResourceResponse::default().with_resource_type(kind).with_resource_name(name);
        match result {
            Ok(()) => answer,
            Err(error) => answer
                .with_error_code(error.code.code())
                .with_error_message(error.message.map(StrBytes::from_string)),
        }
    });
    IncrementalAlterConfigsResponse::default().with_responses(responses.collect())
}

fn change(config: &AlterableConfig) -> Result<AlterConfig, ApiError> {
    let op = match config.config_operation {
        0 => AlterOp::Set,
        1 => AlterOp::Delete,
        2 => AlterOp::Append,
        3 => AlterOp::Subtract,
        other => {
            let message = format!("Unknown operation type {other}.");
            return Err(ApiError::new(ErrorCode::InvalidRequest, message));
        }
    };
    let value = config.value.as_ref().map(ToString::to_string);
    Ok(AlterConfig { key: config.name.to_string(), op, value })
}
