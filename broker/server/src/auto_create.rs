//! Topics that are created when somebody first asks for them (`auto.create.topics.enable`).

use crate::broker::Broker;
use ottla_core::controller::{CreateTopic, Reply, Request};
use ottla_types::ErrorCode;
use std::collections::BTreeMap;

/// Creates `names` with the broker's defaults; returns those that could not be, and why. A topic that somebody else
/// creates at the same time counts as created.
pub async fn topics(broker: &Broker, names: Vec<String>) -> BTreeMap<String, ErrorCode> {
    let failed = |error: ErrorCode| names.iter().map(|name| (name.clone(), error)).collect();
    let topics = names.iter().map(|name| CreateTopic::with_defaults(name.as_str())).collect();
    match broker.metadata.submit(Request::CreateTopics { topics, validate_only: false }).await {
        Ok(Reply::CreateTopics(results)) => results
            .into_iter()
            .filter_map(|(name, result)| Some((name, result.err()?.code)))
            .filter(|(_, code)| *code != ErrorCode::TopicAlreadyExists)
            .collect(),
        Ok(_) => failed(ErrorCode::UnknownServerError),
        Err(_) => failed(ErrorCode::LeaderNotAvailable),
    }
}
