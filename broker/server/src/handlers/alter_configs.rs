//! AlterConfigs (key 33): the old form, which replaces all settings of a resource.

use super::Context;
use super::configs::{self, Altered, BROKER_LOGGER, Named};
use kafka_protocol::messages::alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{AlterConfigsRequest, AlterConfigsResponse};
use ottla_core::controller::{ApiError, Request};
use ottla_protocol::StrBytes;
use ottla_types::ErrorCode;

/// Answers the request once the settings are in force here.
pub async fn handle(context: &Context, request: AlterConfigsRequest) -> AlterConfigsResponse {
    let mut results: Vec<Altered> = Vec::new();
    let mut asked = Vec::new();
    let mut named: Vec<Named> = Vec::new();
    for item in &request.resources {
        let name: Named = (item.resource_type, item.resource_name.clone());
        let resource = if item.resource_type == BROKER_LOGGER {
            Err(ApiError::new(ErrorCode::InvalidRequest, "Log levels are altered incrementally only."))
        } else {
            configs::resource(&name)
        };
        match resource {
            Err(error) => results.push((name, Err(error))),
            Ok(resource) => {
                let configs = item.configs.iter();
                let value = |value: &Option<StrBytes>| value.as_ref().map(ToString::to_string);
                asked.push((resource, configs.map(|c| (c.name.to_string(), value(&c.value))).collect()));
                named.push(name);
            }
        }
    }
    let request = Request::AlterConfigs { resources: asked, validate_only: request.validate_only };
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
    AlterConfigsResponse::default().with_responses(responses.collect())
}
