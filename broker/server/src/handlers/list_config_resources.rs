//! ListConfigResources (key 74, KIP-1142): which resources have settings. Version 0 knows client metrics only.

use super::Context;
use kafka_protocol::messages::list_config_resources_response::ConfigResource as WireResource;
use kafka_protocol::messages::{ListConfigResourcesRequest, ListConfigResourcesResponse};
use ottla_core::metadata::ConfigResourceKind;
use ottla_protocol::StrBytes;
use ottla_types::ErrorCode;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const BROKER_LOGGER: i8 = 8;
const CLIENT_METRICS: i8 = 16;
const GROUP: i8 = 32;
const ALL: [i8; 5] = [TOPIC, BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP];

/// Answers the request.
pub fn handle(context: &Context, request: &ListConfigResourcesRequest) -> ListConfigResourcesResponse {
    let wanted: Vec<i8> = match context.version {
        0 => vec![CLIENT_METRICS],
        _ if request.resource_types.is_empty() => ALL.to_vec(),
        _ => request.resource_types.clone(),
    };
    if wanted.iter().any(|kind| !ALL.contains(kind)) {
        return ListConfigResourcesResponse::default().with_error_code(ErrorCode::UnsupportedVersion.code());
    }
    let image = context.image();
    let mut resources = Vec::new();
    for kind in wanted {
        let names: Vec<String> = match kind {
            TOPIC => image.topic_ids().keys().map(ToString::to_string).collect(),
            BROKER | BROKER_LOGGER => image.brokers().keys().map(ToString::to_string).collect(),
            _ => {
                let of_kind = |known: ConfigResourceKind| known.id() == i32::from(kind);
                image
                    .configs()
                    .keys()
                    .filter(|resource| of_kind(resource.kind))
                    .map(|r| r.name.clone())
                    .collect()
            }
        };
        resources.extend(names.into_iter().map(|name| {
            let resource = WireResource::default().with_resource_name(StrBytes::from_string(name));
            if context.version >= 1 { resource.with_resource_type(kind) } else { resource }
        }));
    }
    ListConfigResourcesResponse::default().with_config_resources(resources)
}
