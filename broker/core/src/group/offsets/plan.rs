//! From requests to records and answers; the group has agreed already.

use super::request::{CommitReply, CommitRequest, DeleteRequest, FetchGroup, FetchedPartition, FetchedTopic};
use super::store::{Committed, Store};
use crate::group::records::{OffsetKey, OffsetValue, Record};
use crate::group::turn::Turn;
use ottla_types::ErrorCode;
use std::sync::Arc;

/// One record per partition whose metadata is not too large.
pub fn commit(
    turn: &mut Turn<'_>,
    store: &Store,
    group: &Arc<str>,
    request: &CommitRequest<'_>,
) -> CommitReply {
    let max_metadata = turn.settings.broker.offset_metadata_max_bytes;
    let commit_timestamp_ms = turn.at.wall_ms;
    let expire_timestamp_ms =
        request.retention_ms.map(|retention| commit_timestamp_ms.saturating_add(retention));
    let mut reply = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let name = store.topic_name(group, topic.name);
        let mut errors = Vec::with_capacity(topic.partitions.len());
        for partition in &topic.partitions {
            if is_longer(partition.metadata, max_metadata) {
                errors.push(ErrorCode::OffsetMetadataTooLarge);
                continue;
            }
            let key = OffsetKey {
                group: Arc::clone(group),
                topic: Arc::clone(&name),
                partition: partition.partition,
            };
            let value = OffsetValue {
                offset: partition.offset,
                leader_epoch: partition.leader_epoch,
                metadata: Some(partition.metadata).filter(|text| !text.is_empty()).map(Arc::from),
                commit_timestamp_ms,
                expire_timestamp_ms,
                topic_id: topic.topic_id,
            };
            turn.records.push(Record::Offset(key, Some(value)));
            errors.push(ErrorCode::None);
        }
        reply.push(errors);
    }
    turn.counters.offset_commits += turn.records.len() as u64;
    reply
}

/// Kafka's limit counts the units of Java's strings, whatever its name says.
fn is_longer(metadata: &str, most: usize) -> bool {
    metadata.len() > most && metadata.encode_utf16().nth(most).is_some()
}

/// What is committed; nothing committed is offset -1 without an error.
pub fn fetch(store: &Store, request: &FetchGroup<'_>) -> Vec<FetchedTopic> {
    let one = |topic: &str, partition: i32, known: Option<&Committed>| {
        if request.require_stable && store.is_pending(request.group_id, topic, partition) {
            return nothing(partition, ErrorCode::UnstableOffsetCommit);
        }
        known.map_or_else(|| nothing(partition, ErrorCode::None), |known| found(partition, known))
    };
    let Some(topics) = &request.topics else {
        let all = store.group(request.group_id).into_iter().flatten();
        let all = all.map(|(name, known)| FetchedTopic {
            name: Arc::clone(name),
            partitions: known.iter().map(|(partition, known)| one(name, *partition, Some(known))).collect(),
        });
        return all.collect();
    };
    let group = store.group(request.group_id);
    let asked = topics.iter().map(|topic| {
        let known = group.and_then(|topics| topics.get(topic.name));
        let partitions = topic.partitions.iter().map(|partition| {
            one(topic.name, *partition, known.and_then(|partitions| partitions.get(partition)))
        });
        FetchedTopic { name: Arc::from(topic.name), partitions: partitions.collect() }
    });
    asked.collect()
}

const fn nothing(partition: i32, error: ErrorCode) -> FetchedPartition {
    FetchedPartition {
        partition,
        offset: -1,
        leader_epoch: -1,
        metadata: None,
        commit_timestamp_ms: -1,
        error,
    }
}

fn found(partition: i32, known: &Committed) -> FetchedPartition {
    FetchedPartition {
        partition,
        offset: known.value.offset,
        leader_epoch: known.value.leader_epoch,
        metadata: known.value.metadata.clone(),
        commit_timestamp_ms: known.value.commit_timestamp_ms,
        error: ErrorCode::None,
    }
}

/// Tombstones for what is there, except for topics that the group consumes.
pub fn delete(
    turn: &mut Turn<'_>,
    store: &Store,
    request: &DeleteRequest<'_>,
    is_subscribed_to: impl Fn(&str) -> bool,
) -> CommitReply {
    let mut reply = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        if is_subscribed_to(topic.name) {
            reply.push(vec![ErrorCode::GroupSubscribedToTopic; topic.partitions.len()]);
            continue;
        }
        let name = store.topic_name(request.group_id, topic.name);
        for partition in &topic.partitions {
            let there = store.get(request.group_id, topic.name, *partition).is_some();
            if there || store.is_pending(request.group_id, topic.name, *partition) {
                let group = Arc::from(request.group_id);
                let key = OffsetKey { group, topic: Arc::clone(&name), partition: *partition };
                turn.records.push(Record::Offset(key, None));
            }
        }
        reply.push(vec![ErrorCode::None; topic.partitions.len()]);
    }
    turn.counters.offset_deletions += turn.records.len() as u64;
    reply
}
