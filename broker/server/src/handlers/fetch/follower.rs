//! Fetches of other brokers' replicas: who may make them, and what they read.

use super::{Key, READ_COMMITTED, id_of, limits, read_request, send};
use crate::handlers::Context;
use crate::net::Response;
use crate::replicas::Partition;
use crate::replicas::fetch::{Stream, Target, Throttle};
use crate::replicas::read::{ReadAnswer, Reader};
use kafka_protocol::messages::FetchRequest;
use ottla_core::fetch_session::{Context as SessionContext, PartitionKey};
use ottla_protocol::fetch_response::{FetchResponse, PartitionData, TopicData};
use ottla_types::{BrokerEpoch, BrokerId, ErrorCode, TopicIdPartition};
use std::collections::BTreeSet;

const REPLICA_STATE_FROM: i16 = 15;

/// What a replica has fetched counts as safe there, so only that replica's broker may say so: it comes through the
/// listener of the brokers and knows its registration.
pub(super) fn reader_of(context: &Context, request: &FetchRequest) -> Result<Reader, ErrorCode> {
    let (broker, epoch) = if context.version >= REPLICA_STATE_FROM {
        (request.replica_state.replica_id.0, request.replica_state.replica_epoch)
    } else {
        (request.replica_id.0, -1)
    };
    if broker < 0 {
        let is_committed_only = request.isolation_level == READ_COMMITTED;
        return Ok(if is_committed_only { Reader::CommittedConsumer } else { Reader::Consumer });
    }
    let (broker, epoch) = (BrokerId(broker), BrokerEpoch(epoch));
    if *context.listener != *context.broker.config.inter_broker_listener {
        return Err(ErrorCode::TopicAuthorizationFailed);
    }
    match context.image().broker(broker) {
        Some(known) if known.epoch == epoch => Ok(Reader::Follower { broker, epoch }),
        // One of the two has not heard of the last registration yet: it is asked again.
        _ => Err(ErrorCode::NotLeaderOrFollower),
    }
}

/// The same error for each partition that the request names; its session is not touched.
pub(super) fn refuse(context: &Context, request: &FetchRequest, error: ErrorCode) -> Response {
    tracing::debug!(peer = %context.peer, client = context.client_id, ?error, "a fetch of a replica is refused");
    let topics = request.topics.iter().map(|topic| TopicData {
        name: topic.topic.0.clone(),
        topic_id: topic.topic_id,
        partitions: topic
            .partitions
            .iter()
            .map(|asked| PartitionData::empty(asked.partition, error))
            .collect(),
    });
    let response = FetchResponse { topics: topics.collect(), ..FetchResponse::default() };
    send(context, &response, Vec::new())
}

/// Reads what a follower names and what is new for it; everything if it says everything, or has not for a while.
pub(super) async fn read(
    context: &Context,
    request: &FetchRequest,
    session: &SessionContext,
    (reader, broker): (Reader, BrokerId),
    (is_all, mut named): (bool, BTreeSet<TopicIdPartition>),
) -> (Vec<Key>, Vec<ReadAnswer>) {
    let clock = context.broker.clock;
    let watch = context.broker.cluster.watch_of(broker);
    let number =
        if is_all { watch.begin(context.broker.config.selects_replicas_by_rack()) } else { watch.stream() };
    if watch.must_read_all(clock.now_ms()) {
        named.extend(session.partitions().filter_map(|(_, key, _)| id_of(key)));
    }
    let image = context.image();
    let target = |id: TopicIdPartition| {
        let key = PartitionKey::by_id(id.topic_id, id.partition);
        let (_, want) = session.get(&key)?;
        let replica = context.replica_of(&image, &key);
        let throttle = replica.as_ref().map_or(Throttle::Free, |replica| throttle(context, replica, broker));
        let request = read_request(reader, want, false);
        Some(Target { replica, request, preferred: BrokerId::NONE, throttle })
    };
    let quota = &context.broker.replicas.quotas.leader;
    let stream = Stream { watch: &watch, number, target, quota };
    let answers = stream.fetch(named, limits(context, request, session.is_empty()), clock).await;
    let (mut keys, mut found) = (Vec::with_capacity(answers.len()), Vec::with_capacity(answers.len()));
    for (id, answer) in answers {
        let key = PartitionKey::by_id(id.topic_id, id.partition);
        if let Some((index, _)) = session.get(&key) {
            keys.push((index, key));
            found.push(answer);
        }
    }
    (keys, found)
}

/// A follower that is in sync is never held back.
fn throttle(context: &Context, replica: &Partition, follower: BrokerId) -> Throttle {
    let Some(topic) = context.broker.replicas.topic_by_id(replica.id.topic_id) else { return Throttle::Free };
    if !topic.settings.load().throttled.0.contains(replica.id.partition, context.broker.id()) {
        return Throttle::Free;
    }
    let is_over = context.broker.replicas.quotas.leader.wait(context.broker.clock.now_ms()).is_some();
    let is_in_sync = || replica.lock().leader().is_ok_and(|leader| leader.isr().contains(&follower));
    if is_over && !is_in_sync() { Throttle::Held } else { Throttle::Counted }
}
