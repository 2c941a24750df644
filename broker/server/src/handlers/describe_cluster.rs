//! DescribeCluster (key 60): the brokers and who the controller is.

use super::Context;
use super::authorized_operations::of_cluster;
use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::{BrokerId as WireBrokerId, DescribeClusterRequest, DescribeClusterResponse};
use ottla_protocol::StrBytes;
use ottla_types::ErrorCode;

const BROKERS: i8 = 1;

/// Answers the request. Controllers have no endpoints of their own here: they are the brokers.
pub fn handle(context: &Context, request: &DescribeClusterRequest) -> DescribeClusterResponse {
    let response = DescribeClusterResponse::default();
    if request.endpoint_type != BROKERS {
        let (code, text) = if request.endpoint_type == 2 {
            (ErrorCode::MismatchedEndpointType, "the brokers are the controllers: ask for broker endpoints")
        } else {
            (ErrorCode::UnsupportedEndpointType, "unknown endpoint type")
        };
        return response
            .with_error_code(code.code())
            .with_error_message(Some(StrBytes::from_static_str(text)));
    }
    let image = context.image();
    let brokers = image.brokers().values().filter(|broker| request.include_fenced_brokers || !broker.fenced);
    let brokers = brokers.filter_map(|broker| {
        let endpoint = broker.endpoint(&context.listener)?;
        let described = DescribeClusterBroker::default()
            .with_broker_id(WireBrokerId(broker.id.0))
            .with_host(StrBytes::from_string(endpoint.host.clone()))
            .with_port(i32::try_from(endpoint.port).unwrap_or_default())
            .with_rack(broker.rack.clone().map(StrBytes::from_string));
        Some(if context.version >= 2 { described.with_is_fenced(broker.fenced) } else { described })
    });
    let brokers = brokers.collect();
    let response = if context.version >= 1 { response.with_endpoint_type(BROKERS) } else { response };
    response
        .with_cluster_id(StrBytes::from_string(image.cluster_id().to_owned()))
        .with_controller_id(WireBrokerId(context.broker.metadata.controller_for_clients().0))
        .with_brokers(brokers)
        .with_cluster_authorized_operations(of_cluster(request.include_cluster_authorized_operations))
}
