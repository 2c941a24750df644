//! What a handler knows beside the request's body.

use super::errors::ErrorCodes;
use crate::broker::Broker;
use crate::net::{Request, Response};
use crate::replicas::Partition;
use kafka_protocol::protocol::Encodable;
use ottla_core::fetch_session::{PartitionKey, TopicRef};
use ottla_core::metadata::Image;
use ottla_protocol::{ApiKey, encode_response};
use ottla_types::{ErrorCode, TopicId};
use std::sync::Arc;

/// A request's surroundings.
#[derive(Debug, Clone)]
pub struct Context {
    /// The broker that answers.
    pub broker: Arc<Broker>,
    /// Which API.
    pub key: ApiKey,
    /// Which version of it.
    pub version: i16,
    /// Address of the client.
    pub peer: std::net::SocketAddr,
    /// To be echoed.
    pub correlation_id: i32,
    /// What the client calls itself.
    pub client_id: String,
    /// Name of the listener it came through.
    pub listener: Arc<str>,
}

impl Context {
    /// Takes what is needed of a request.
    pub fn new(broker: Arc<Broker>, key: ApiKey, request: &Request) -> Self {
        Self {
            broker,
            key,
            version: request.header.api_version,
            correlation_id: request.header.correlation_id,
            client_id: request.header.client_id.as_deref().unwrap_or_default().to_owned(),

            peer: request.peer(),
            listener: request.connection.listener.clone(),
        }
    }

    /// Counts a code in the response; success is none.
    pub fn count_error(&self, code: i16) {
        if code != 0 {
            self.broker.metrics.error(self.key.code(), ErrorCode::from_code(code));
        }
    }

    /// The client's address as Kafka shows it in groups.
    pub fn client_host(&self) -> String {
        format!("/{}", self.peer.ip())
    }

    /// The metadata as it stands.
    pub fn image(&self) -> Arc<Image> {
        self.broker.metadata.image()
    }

    /// The replica of a partition on this broker.
    ///
    /// # Errors
    /// `UnknownTopicOrPartition`, or `NotLeaderOrFollower` if only other brokers have one.
    pub fn replica(&self, topic: &str, partition: i32) -> Result<Arc<Partition>, ErrorCode> {
        if let Some(replica) = self.broker.replicas.topic(topic).and_then(|topic| topic.partition(partition))
        {
            return Ok(replica);
        }
        let image = self.image();
        match image.topic_by_name(topic).and_then(|topic| topic.partition(partition)) {
            Some(_) => Err(ErrorCode::NotLeaderOrFollower),
            None => Err(ErrorCode::UnknownTopicOrPartition),
        }
    }

    /// The replica of a partition named by topic id.
    ///
    /// # Errors
    /// As [`Context::replica`]; `UnknownTopicId` if nobody knows the topic.
    pub fn replica_by_id(
        &self,
        image: &Image,
        id: TopicId,
        partition: i32,
    ) -> Result<Arc<Partition>, ErrorCode> {
        if let Some(replica) =
            self.broker.replicas.topic_by_id(id).and_then(|topic| topic.partition(partition))
        {
            return Ok(replica);
        }
        match image.topic(id) {
            None => Err(ErrorCode::UnknownTopicId),
            Some(topic) if topic.partition(partition).is_some() => Err(ErrorCode::NotLeaderOrFollower),
            Some(_) => Err(ErrorCode::UnknownTopicOrPartition),
        }
    }

    /// The replica of a partition as a fetch session names it.
    ///
    /// # Errors
    /// As the two above.
    pub fn replica_of(&self, image: &Image, key: &PartitionKey) -> Result<Arc<Partition>, ErrorCode> {
        match &key.topic {
            TopicRef::Id(id) => self.replica_by_id(image, *id, key.partition),
            TopicRef::Name(name) => self.replica(name, key.partition),
        }
    }

    /// Writes the answer.
    pub fn reply(&self, body: &(impl Encodable + ErrorCodes)) -> Response {
        body.each_code(&mut |code| self.count_error(code));
        match encode_response(self.key, self.version, self.correlation_id, body) {
            Ok(frame) => Response::bytes(frame),
            Err(error) => {
                // Nothing sensible can follow on this connection: the client waits for an answer that cannot be.
                tracing::error!(%error, client = self.client_id, "closing: an answer could not be written");
                Response::Close
            }
        }
    }
}
