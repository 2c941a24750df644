//! Fetch (key 1): what to read comes from the request or its session, the bytes go out with `sendfile`.

mod follower;

use super::Context;
use crate::net::{Part, Response};
use crate::replicas::fetch::{Limits, Target, Throttle, fetch};
use crate::replicas::read::{ReadAnswer, ReadRequest, Reader};
use kafka_protocol::messages::FetchRequest;
use kafka_protocol::messages::fetch_request::FetchTopic;
use ottla_core::fetch_session::{
    Context as SessionContext, FetchPartition, Opened, PartitionAnswer, PartitionKey, SessionHeader, TopicRef,
};
use ottla_core::metadata::Image;
use ottla_protocol::StrBytes;
use ottla_protocol::fetch_response;
use ottla_protocol::fetch_response::{
    EpochEnd, FetchResponse, LeaderAndEpoch, NodeEndpoint, PartitionData, Records, TopicData, encode,
};
use ottla_storage::LogSlice;
use ottla_types::{BrokerId, ErrorCode, LeaderEpoch, TopicId, TopicIdPartition};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

const SESSIONS_FROM: i16 = 7;
const ANY_REPLICA_FROM: i16 = 11;
const LEADER_HINTS_FROM: i16 = 12;
const TOPIC_IDS_FROM: i16 = 13;
const READ_COMMITTED: i8 = 1;

/// Answers the request.
pub async fn handle(context: &Context, request: FetchRequest) -> Response {
    let reader = match follower::reader_of(context, &request) {
        Ok(reader) => reader,
        Err(error) => return follower::refuse(context, &request, error),
    };
    let header = match context.version {
        SESSIONS_FROM.. => SessionHeader { id: request.session_id, epoch: request.session_epoch },
        _ => SessionHeader::LEGACY,
    };
    let mut named = BTreeSet::new();
    let opened = {
        let (wanted, forgotten) = wanted(&request, context.version);
        if matches!(reader, Reader::Follower { .. }) {
            named.extend(wanted.iter().filter_map(|(key, _)| id_of(key)));
        }
        let kind = (context.version >= TOPIC_IDS_FROM, matches!(reader, Reader::Follower { .. }));
        let now = context.broker.clock.now_ms();
        context.broker.fetch_sessions.lock().open(now, header, kind, wanted, &forgotten)
    };
    let session = match opened {
        Opened::Refused(error) => {
            let refusal = FetchResponse { error_code: error.code(), ..FetchResponse::default() };
            return send(context, &refusal, Vec::new());
        }
        Opened::Context(session) => OpenSession { context, session: Some(session) },
    };
    let (keys, answers) = match reader {
        Reader::Follower { broker, .. } => {
            let named = (header.is_full(), named);
            follower::read(context, &request, session.get(), (reader, broker), named).await
        }
        Reader::Consumer | Reader::CommittedConsumer => {
            let (keys, targets) = targets(context, session.get(), reader, &request.rack_id);
            let limits = limits(context, &request, targets.is_empty());
            (keys, fetch(&targets, limits, context.broker.clock).await)
        }
    };
    let (response, slices) = assemble(context, session, reader, &keys, answers);
    send(context, &response, slices)
}

/// A session that is worked on; given up if the request is not answered.
struct OpenSession<'a> {
    context: &'a Context,
    session: Option<SessionContext>,
}

impl OpenSession<'_> {
    fn get(&self) -> &SessionContext {
        match &self.session {
            Some(session) => session,
            None => unreachable!("the session is taken only at the end"),
        }
    }

    fn finish(mut self) -> i32 {
        let now = self.context.broker.clock.now_ms();
        self.session
            .take()
            .map_or(0, |session| self.context.broker.fetch_sessions.lock().finish(now, session))
    }
}

impl Drop for OpenSession<'_> {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            self.context.broker.fetch_sessions.lock().abandon(session);
        }
    }
}

type Wanted = Vec<(PartitionKey, FetchPartition)>;

fn wanted(request: &FetchRequest, version: i16) -> (Wanted, Vec<PartitionKey>) {
    let by_id = version >= TOPIC_IDS_FROM;
    let topic_ref = |name: &str, id| {
        if by_id { TopicRef::Id(TopicId(id)) } else { TopicRef::Name(Arc::from(name)) }
    };
    let mut wanted = Vec::new();
    for FetchTopic { topic, topic_id, partitions, .. } in &request.topics {
        let topic = topic_ref(topic, *topic_id);
        for asked in partitions {
            let want = FetchPartition {
                fetch_offset: asked.fetch_offset,
                log_start_offset: asked.log_start_offset,
                max_bytes: asked.partition_max_bytes,
                current_leader_epoch: LeaderEpoch(asked.current_leader_epoch),
                last_fetched_epoch: LeaderEpoch(asked.last_fetched_epoch),
            };
            wanted.push((PartitionKey { topic: topic.clone(), partition: asked.partition }, want));
        }
    }
    let forgotten = request.forgotten_topics_data.iter().flat_map(|forgotten| {
        let topic = topic_ref(&forgotten.topic, forgotten.topic_id);
        forgotten.partitions.iter().map(move |&partition| PartitionKey { topic: topic.clone(), partition })
    });
    (wanted, forgotten.collect())
}

/// A partition's key and its index in the session.
type Key = (usize, PartitionKey);

fn id_of(key: &PartitionKey) -> Option<TopicIdPartition> {
    match key.topic {
        TopicRef::Id(topic_id) => Some(TopicIdPartition { topic_id, partition: key.partition }),
        TopicRef::Name(_) => None,
    }
}

fn read_request(reader: Reader, want: &FetchPartition, any_replica: bool) -> ReadRequest {
    ReadRequest {
        reader,
        fetch_offset: want.fetch_offset,
        max_bytes: u64::try_from(want.max_bytes).unwrap_or(0),
        min_one_batch: false,
        current_leader_epoch: want.current_leader_epoch,
        last_fetched_epoch: want.last_fetched_epoch,
        log_start_offset: want.log_start_offset,
        any_replica,
    }
}

/// What is read, with each partition's key and its index in the session.
fn targets(
    context: &Context,
    session: &SessionContext,
    reader: Reader,
    rack: &str,
) -> (Vec<Key>, Vec<Target>) {
    let image = context.image();
    let any_replica = context.version >= ANY_REPLICA_FROM;
    let near = if any_replica { near(context, &image, rack) } else { Vec::new() };
    let mut keys = Vec::with_capacity(session.len());
    let mut targets = Vec::with_capacity(session.len());
    for (index, key, want) in session.partitions() {
        keys.push((index, key.clone()));
        let replica = context.replica_of(&image, key);
        let preferred = match &replica {
            Ok(replica) if !near.is_empty() => replica.preferred_reader(&near, want.fetch_offset),
            _ => None,
        };
        let request = read_request(reader, want, any_replica);
        let preferred = preferred.unwrap_or(BrokerId::NONE);
        targets.push(Target { replica, request, preferred, throttle: Throttle::Free });
    }
    (keys, targets)
}

/// The brokers of a consumer's rack, if it is to read from one of them rather than from here (KIP-392).
fn near(context: &Context, image: &Image, rack: &str) -> Vec<BrokerId> {
    let config = &context.broker.config;
    if rack.is_empty() || config.rack.as_deref() == Some(rack) || !config.selects_replicas_by_rack() {
        return Vec::new();
    }
    let in_rack =
        image.brokers().values().filter(|broker| broker.rack.as_deref() == Some(rack) && broker.is_active());
    in_rack.map(|broker| broker.id).collect()
}

fn limits(context: &Context, request: &FetchRequest, nothing_to_read: bool) -> Limits {
    let broker_max = context.broker.config.settings.count("fetch.max.bytes");
    let wait = u64::try_from(request.max_wait_ms).unwrap_or(0);
    // With nothing to wait for, an answer at once would make the client ask in a tight loop.
    let min_bytes = if nothing_to_read { 1 } else { u64::try_from(request.min_bytes).unwrap_or(0) };
    let max_bytes = u64::try_from(request.max_bytes).unwrap_or(0).min(broker_max);
    Limits {
        min_bytes: min_bytes.min(max_bytes),
        max_bytes,
        deadline: Instant::now() + Duration::from_millis(wait),
    }
}

fn assemble(
    context: &Context,
    mut session: OpenSession<'_>,
    reader: Reader,
    keys: &[Key],
    answers: Vec<ReadAnswer>,
) -> (FetchResponse, Vec<LogSlice>) {
    let image = context.image();
    let mut response = FetchResponse::default();
    let mut slices = Vec::new();
    let mut leaders = Vec::new();
    for ((index, key), answer) in keys.iter().zip(answers) {
        let leader = current_leader(context, &image, key, answer.error);
        let told = PartitionAnswer {
            has_records: answer.slice.is_some(),
            high_watermark: answer.high_watermark,
            log_start_offset: answer.log_start_offset,
            has_advice: answer.diverging.is_some() || leader.is_some() || !answer.preferred.is_none(),
            error: answer.error,
        };
        let must_answer = session.session.as_mut().is_none_or(|session| session.must_answer(*index, &told));
        if !must_answer {
            continue;
        }
        leaders.extend(leader.map(|leader| BrokerId(leader.leader_id)));
        let data = partition_data(key.partition, reader, leader, &answer);
        slices.extend(answer.slice);
        topic_of(&mut response.topics, &key.topic).partitions.push(data);
    }
    if context.version >= 16 {
        response.node_endpoints = endpoints(context, &image, leaders);
    }
    response.session_id = session.finish();
    (response, slices)
}

fn topic_of<'a>(topics: &'a mut Vec<TopicData>, topic: &TopicRef) -> &'a mut TopicData {
    let is_same = |data: &TopicData| match topic {
        TopicRef::Id(id) => data.topic_id == id.0,
        TopicRef::Name(name) => *data.name == **name,
    };
    if !topics.last().is_some_and(is_same) {
        topics.push(match topic {
            TopicRef::Id(id) => TopicData { topic_id: id.0, ..TopicData::default() },
            TopicRef::Name(name) => {
                TopicData { name: StrBytes::from_string(name.to_string()), ..TopicData::default() }
            }
        });
    }
    match topics.last_mut() {
        Some(last) => last,
        None => unreachable!("one was pushed"),
    }
}

fn partition_data(
    index: i32,
    reader: Reader,
    current_leader: Option<LeaderAndEpoch>,
    answer: &ReadAnswer,
) -> PartitionData {
    let bytes = answer.bytes();
    PartitionData {
        high_watermark: answer.high_watermark,
        last_stable_offset: answer.last_stable_offset,
        log_start_offset: answer.log_start_offset,
        aborted_transactions: (reader == Reader::CommittedConsumer).then(Vec::new),
        diverging_epoch: answer
            .diverging
            .map(|end| EpochEnd { epoch: end.epoch.0, end_offset: end.end_offset }),
        current_leader,
        replicated: answer.replicated.filter(|_| matches!(reader, Reader::Follower { .. })),
        preferred_read_replica: answer.preferred.0,
        records: match usize::try_from(bytes) {
            Ok(bytes) if bytes > 0 => Records::Hole { bytes },
            _ => Records::Empty,
        },
        ..PartitionData::empty(index, answer.error)
    }
}

/// KIP-951: with an error of leadership goes who leads.
fn current_leader(
    context: &Context,
    image: &Image,
    key: &PartitionKey,
    error: ErrorCode,
) -> Option<LeaderAndEpoch> {
    let is_about_leadership = matches!(error, ErrorCode::NotLeaderOrFollower | ErrorCode::FencedLeaderEpoch);
    if !is_about_leadership || context.version < LEADER_HINTS_FROM {
        return None;
    }
    let topic_id = match &key.topic {
        TopicRef::Id(id) => *id,
        TopicRef::Name(name) => image.topic_id(name)?,
    };
    let partition = image.partition(TopicIdPartition { topic_id, partition: key.partition })?;
    Some(LeaderAndEpoch { leader_id: partition.leader.0, leader_epoch: partition.leader_epoch.0 })
}

fn endpoints(context: &Context, image: &Image, mut leaders: Vec<BrokerId>) -> Vec<NodeEndpoint> {
    leaders.sort_unstable();
    leaders.dedup();
    let endpoint = |id: BrokerId| {
        let broker = image.broker(id)?;
        let endpoint = broker.endpoint(&context.listener)?;
        Some(NodeEndpoint {
            node_id: id.0,
            host: StrBytes::from_string(endpoint.host.clone()),
            port: i32::try_from(endpoint.port).ok()?,
            rack: broker.rack.clone().map(StrBytes::from_string),
        })
    };
    leaders.into_iter().filter_map(endpoint).collect()
}

/// Puts the files into the holes.
fn send(context: &Context, response: &FetchResponse, slices: Vec<LogSlice>) -> Response {
    context.count_error(response.error_code);
    let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
    partitions.for_each(|partition| context.count_error(partition.error_code));
    let parts = match encode(response, context.version, context.correlation_id) {
        Ok(parts) => parts,
        Err(error) => {
            tracing::error!(%error, client = context.client_id, "closing: a fetch could not be answered");
            return Response::Close;
        }
    };
    let mut slices = slices.into_iter();
    let parts = parts.into_iter().filter_map(|part| match part {
        fetch_response::Part::Bytes(bytes) => Some(Part::Bytes(bytes)),
        fetch_response::Part::Hole { .. } => slices.next().map(Part::File),
    });
    Response::Parts(parts.collect())
}
