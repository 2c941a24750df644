//! OffsetCommit (key 8).

use super::Context;
use kafka_protocol::messages::offset_commit_request::OffsetCommitRequestTopic;
use kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use kafka_protocol::messages::{OffsetCommitRequest, OffsetCommitResponse};
use ottla_core::group::offsets::{CommitPartition, CommitRequest, CommitTopic, Committer};
use ottla_core::metadata::Image;
use ottla_types::{ErrorCode, TopicId};
use std::sync::Arc;

const MEMBER_EPOCHS_FROM: i16 = 9;
const TOPIC_IDS_FROM: i16 = 10;
const RETENTION: std::ops::RangeInclusive<i16> = 2..=4;

/// Answers the request once the offsets are safe.
pub async fn handle(context: &Context, request: OffsetCommitRequest) -> OffsetCommitResponse {
    let image = context.image();
    let known: Vec<Result<Known, ErrorCode>> =
        request.topics.iter().map(|topic| resolve(context, &image, topic)).collect();
    let committed = commit(context, &image, &request, &known).await;
    let mut verdicts = match &committed {
        Ok(verdicts) => Ok(verdicts.iter()),
        Err(error) => Err(*error),
    };
    let topics = request.topics.iter().zip(&known).map(|(topic, known)| {
        let asked = topic.partitions.iter().map(|partition| partition.partition_index);
        let verdict: Vec<ErrorCode> = match (known, &mut verdicts) {
            (Err(error), _) => vec![*error; topic.partitions.len()],
            (Ok(known), Err(error)) => asked.map(|index| known.verdict(index, || *error)).collect(),
            (Ok(known), Ok(verdicts)) => {
                let mut of_topic = verdicts.next().into_iter().flatten();
                let mut next = || of_topic.next().copied().unwrap_or(ErrorCode::UnknownServerError);
                asked.map(|index| known.verdict(index, &mut next)).collect()
            }
        };
        answer(context.version, topic, &verdict)
    });
    OffsetCommitResponse::default().with_topics(topics.collect())
}

/// A topic that is there.
struct Known {
    name: Arc<str>,
    id: TopicId,
    partitions: usize,
}

impl Known {
    fn has(&self, partition: i32) -> bool {
        usize::try_from(partition).is_ok_and(|index| index < self.partitions)
    }

    /// What is said about a partition: that it is not there, or what the group's coordinator said.
    fn verdict(&self, partition: i32, of_group: impl FnOnce() -> ErrorCode) -> ErrorCode {
        if self.has(partition) { of_group() } else { ErrorCode::UnknownTopicOrPartition }
    }
}

fn resolve(context: &Context, image: &Image, topic: &OffsetCommitRequestTopic) -> Result<Known, ErrorCode> {
    let found = if context.version >= TOPIC_IDS_FROM {
        image.topic(TopicId(topic.topic_id)).ok_or(ErrorCode::UnknownTopicId)
    } else {
        image.topic_by_name(&topic.name).ok_or(ErrorCode::UnknownTopicOrPartition)
    };
    found.map(|topic| Known { name: topic.name.clone(), id: topic.id, partitions: topic.partitions.len() })
}

async fn commit(
    context: &Context,
    image: &Image,
    request: &OffsetCommitRequest,
    known: &[Result<Known, ErrorCode>],
) -> Result<Vec<Vec<ErrorCode>>, ErrorCode> {
    let shard = context.broker.groups.shard_of(image, &request.group_id)?;
    let topics = request.topics.iter().zip(known).filter_map(|(topic, known)| {
        let known = known.as_ref().ok()?;
        let there = topic.partitions.iter().filter(|asked| known.has(asked.partition_index));
        let partitions = there.map(|asked| CommitPartition {
            partition: asked.partition_index,
            offset: asked.committed_offset,
            leader_epoch: asked.committed_leader_epoch,
            metadata: asked.committed_metadata.as_deref().unwrap_or_default(),
        });
        Some(CommitTopic { name: &known.name, topic_id: known.id, partitions: partitions.collect() })
    });
    let retention_ms = RETENTION.contains(&context.version).then_some(request.retention_time_ms);
    let asked = CommitRequest {
        group_id: &request.group_id,
        from: Committer {
            member_id: &request.member_id,
            group_instance_id: request.group_instance_id.as_deref(),
            generation_id_or_member_epoch: request.generation_id_or_member_epoch,
            transactional: false,
            knows_member_epochs: context.version >= MEMBER_EPOCHS_FROM,
        },
        retention_ms: retention_ms.filter(|ms| *ms >= 0),
        topics: topics.collect(),
    };
    shard.request(&context.broker, |machine, call| machine.commit_offsets(call, &asked)).await
}

fn answer(
    version: i16,
    topic: &OffsetCommitRequestTopic,
    verdict: &[ErrorCode],
) -> OffsetCommitResponseTopic {
    let partitions = topic.partitions.iter().zip(verdict).map(|(asked, error)| {
        OffsetCommitResponsePartition::default()
            .with_partition_index(asked.partition_index)
            .with_error_code(error.code())
    });
    let answer = OffsetCommitResponseTopic::default().with_partitions(partitions.collect());
    if version >= TOPIC_IDS_FROM {
        answer.with_topic_id(topic.topic_id)
    } else {
        answer.with_name(topic.name.clone())
    }
}
