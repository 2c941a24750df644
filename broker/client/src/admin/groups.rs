//! Groups, their members and their committed offsets.
//!
//! Each group is asked of its coordinator, again while that moves or loads.

use super::{Admin, missing, outcome, text};
use crate::client::Backoff;
use crate::connection::Connection;
use crate::error::{ApiError, ClientError};
use bytes::Bytes;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use kafka_protocol::messages::{
    ConsumerGroupDescribeRequest, DeleteGroupsRequest, DescribeGroupsRequest, FindCoordinatorRequest,
    GroupId, ListGroupsRequest, OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchRequest, TopicName,
};
use ottla_protocol::ApiKey;
use ottla_protocol::wire::{Reader, WireError};
use ottla_types::{ErrorCode, TopicPartition};
use std::collections::BTreeMap;
use std::time::Instant;

/// A group in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupListing {
    /// Its id.
    pub id: String,
    /// `classic`, `consumer`, ...; empty if the broker did not say.
    pub kind: String,
    /// `Stable`, `Empty`, ...; empty if the broker did not say.
    pub state: String,
    /// `consumer`, `connect`, ...
    pub protocol_type: String,
    /// Broker that coordinates it.
    pub coordinator: i32,
}

/// A group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupDescription {
    /// Its id.
    pub id: String,
    /// `classic` or `consumer`.
    pub kind: &'static str,
    /// `Stable`, `Empty`, ...
    pub state: String,
    /// How partitions are assigned.
    pub assignor: String,
    /// Broker that coordinates it.
    pub coordinator: i32,
    /// Its members.
    pub members: Vec<GroupMember>,
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMember {
    /// Id, given by the coordinator or by itself.
    pub id: String,
    /// Static membership (KIP-345).
    pub instance_id: Option<String>,
    /// Name the client gave itself.
    pub client_id: String,
    /// Where it is.
    pub host: String,
    /// What it reads.
    pub assignment: Vec<TopicPartition>,
}

/// A committed offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedOffset {
    /// Offset of the next record to read.
    pub offset: i64,
    /// Leader epoch of the last record read; -1 if unknown.
    pub leader_epoch: i32,
    /// What the consumer noted with it.
    pub metadata: String,
}

impl Admin {
    /// Groups of all brokers, by id.
    ///
    /// # Errors
    /// If a broker cannot be reached or refuses.
    pub async fn list_groups(&self) -> Result<Vec<GroupListing>, ClientError> {
        let mut groups = BTreeMap::new();
        for broker in self.client.broker_ids().await? {
            let response = self.client.broker(broker).await?.send(ListGroupsRequest::default()).await?;
            ApiError::check_code(response.error_code)
                .map_err(|error| ClientError::refused(format!("groups of broker {broker}"), error))?;
            for group in response.groups {
                let listing = GroupListing {
                    id: group.group_id.as_str().to_owned(),
                    kind: group.group_type.as_str().to_owned(),
                    state: group.group_state.as_str().to_owned(),
                    protocol_type: group.protocol_type.as_str().to_owned(),
                    coordinator: broker,
                };
                groups.insert(listing.id.clone(), listing);
            }
        }
        Ok(groups.into_values().collect())
    }

    /// A group and its members.
    ///
    /// # Errors
    /// If there is no such group, or its coordinator cannot be reached.
    pub async fn describe_group(&self, group: &str) -> Result<GroupDescription, ClientError> {
        self.of_coordinator(group, async |connection, broker| {
            if connection.offered(ApiKey::ConsumerGroupDescribe).is_some() {
                match describe_consumer(&connection, broker, group).await {
                    Err(error) if error.code() == Some(ErrorCode::GroupIdNotFound) => {}
                    described => return described,
                }
            }
            describe_classic(&connection, broker, group).await
        })
        .await
    }

    /// Committed offsets of a group.
    ///
    /// # Errors
    /// If its coordinator cannot be reached or refuses.
    pub async fn group_offsets(
        &self,
        group: &str,
    ) -> Result<BTreeMap<TopicPartition, CommittedOffset>, ClientError> {
        let what = || format!("offsets of group {group:?}");
        self.of_coordinator(group, async |connection, _| {
            let asked =
                OffsetFetchRequestGroup::default().with_group_id(GroupId(text(group))).with_topics(None);
            let request = OffsetFetchRequest::default().with_groups(vec![asked]);
            let response = connection.send(request).await?;
            let answer = response.groups.into_iter().next().ok_or_else(|| missing(&what()))?;
            ApiError::check_code(answer.error_code).map_err(|error| ClientError::refused(what(), error))?;
            let mut offsets = BTreeMap::new();
            for topic in &answer.topics {
                for partition in &topic.partitions {
                    ApiError::check_code(partition.error_code)
                        .map_err(|error| ClientError::refused(what(), error))?;
                    if partition.committed_offset < 0 {
                        continue;
                    }
                    let metadata = partition.metadata.as_ref().map(|text| text.as_str().to_owned());
                    let committed = CommittedOffset {
                        offset: partition.committed_offset,
                        leader_epoch: partition.committed_leader_epoch,
                        metadata: metadata.unwrap_or_default(),
                    };
                    let at = TopicPartition::new(topic.name.as_str(), partition.partition_index);
                    offsets.insert(at, committed);
                }
            }
            Ok(offsets)
        })
        .await
    }

    /// Commits offsets for a group that has no members.
    ///
    /// # Errors
    /// If the group has members, or its coordinator cannot be reached or refuses.
    pub async fn commit_group_offsets(
        &self,
        group: &str,
        offsets: &BTreeMap<TopicPartition, i64>,
    ) -> Result<(), ClientError> {
        let what = || format!("committing offsets of group {group:?}");
        self.of_coordinator(group, async |connection, _| {
            let mut topics: BTreeMap<&str, Vec<OffsetCommitRequestPartition>> = BTreeMap::new();
            for (at, offset) in offsets {
                let partition = OffsetCommitRequestPartition::default()
                    .with_partition_index(at.partition)
                    .with_committed_offset(*offset)
                    .with_committed_metadata(Some(text("")));
                topics.entry(&at.topic).or_default().push(partition);
            }
            let topics = topics.into_iter().map(|(topic, partitions)| {
                OffsetCommitRequestTopic::default()
                    .with_name(TopicName(text(topic)))
                    .with_partitions(partitions)
            });
            let request = OffsetCommitRequest::default()
                .with_group_id(GroupId(text(group)))
                .with_topics(topics.collect());
            let response = connection.send(request).await?;
            let codes = response.topics.iter().flat_map(|topic| &topic.partitions);
            let failed = codes.map(|partition| partition.error_code).find(|code| *code != 0);
            ApiError::check_code(failed.unwrap_or(0)).map_err(|error| members_first(what(), error))
        })
        .await
    }

    /// Forgets committed offsets of partitions that the group does not read now.
    ///
    /// # Errors
    /// If the group reads one of them, or its coordinator cannot be reached or refuses.
    pub async fn delete_group_offsets(
        &self,
        group: &str,
        partitions: &[TopicPartition],
    ) -> Result<(), ClientError> {
        let what = || format!("deleting offsets of group {group:?}");
        self.of_coordinator(group, async |connection, _| {
            let mut topics: BTreeMap<&str, Vec<OffsetDeleteRequestPartition>> = BTreeMap::new();
            for at in partitions {
                let partition = OffsetDeleteRequestPartition::default().with_partition_index(at.partition);
                topics.entry(&at.topic).or_default().push(partition);
            }
            let topics = topics.into_iter().map(|(topic, partitions)| {
                OffsetDeleteRequestTopic::default()
                    .with_name(TopicName(text(topic)))
                    .with_partitions(partitions)
            });
            let request = OffsetDeleteRequest::default()
                .with_group_id(GroupId(text(group)))
                .with_topics(topics.collect());
            let response = connection.send(request).await?;
            let codes = response.topics.iter().flat_map(|topic| &topic.partitions);
            let all = std::iter::once(response.error_code).chain(codes.map(|partition| partition.error_code));
            let failed = all.into_iter().find(|code| *code != 0);
            ApiError::check_code(failed.unwrap_or(0)).map_err(|error| ClientError::refused(what(), error))
        })
        .await
    }

    /// Deletes a group that has no members, with its offsets.
    ///
    /// # Errors
    /// If the group has members or does not exist, or its coordinator cannot be reached or refuses.
    pub async fn delete_group(&self, group: &str) -> Result<(), ClientError> {
        let what = || format!("deleting group {group:?}");
        self.of_coordinator(group, async |connection, _| {
            let request = DeleteGroupsRequest::default().with_groups_names(vec![GroupId(text(group))]);
            let response = connection.send(request).await?;
            let result = response.results.first().ok_or_else(|| missing(&what()))?;
            ApiError::check_code(result.error_code).map_err(|error| ClientError::refused(what(), error))
        })
        .await
    }

    /// Asks a group's coordinator, again while it moves or loads.
    async fn of_coordinator<T>(
        &self,
        group: &str,
        ask: impl AsyncFn(Connection, i32) -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        let deadline = Instant::now() + self.client.options().retry_timeout;
        let mut backoff = Backoff::default();
        loop {
            let asked = match self.coordinator(group).await {
                Ok(broker) => match self.client.broker(broker).await {
                    Ok(connection) => ask(connection, broker).await,
                    Err(error) => Err(error),
                },
                Err(error) => Err(error),
            };
            match asked {
                Err(error) if error.is_retriable() && Instant::now() < deadline => backoff.wait().await,
                done => return done,
            }
        }
    }

    async fn coordinator(&self, group: &str) -> Result<i32, ClientError> {
        let request = FindCoordinatorRequest::default().with_coordinator_keys(vec![text(group)]);
        let response = self.client.any().await?.send(request).await?;
        let what = || format!("the coordinator of group {group:?}");
        let found = response.coordinators.first().ok_or_else(|| missing(&what()))?;
        outcome(found.error_code, found.error_message.as_ref())
            .map_err(|error| ClientError::refused(what(), error))?;
        Ok(*found.node_id)
    }
}

/// A commit from outside of a group with members is answered as from a member that is not known.
fn members_first(what: String, error: ApiError) -> ClientError {
    let message = match error.code {
        ErrorCode::UnknownMemberId | ErrorCode::RebalanceInProgress | ErrorCode::StaleMemberEpoch => {
            Some("the group has members; stop them first".to_owned())
        }
        _ => error.message,
    };
    ClientError::refused(what, ApiError { code: error.code, message })
}

async fn describe_consumer(
    connection: &Connection,
    broker: i32,
    group: &str,
) -> Result<GroupDescription, ClientError> {
    let request = ConsumerGroupDescribeRequest::default().with_group_ids(vec![GroupId(text(group))]);
    let response = connection.send(request).await?;
    let what = format!("group {group:?}");
    let found = response.groups.into_iter().next().ok_or_else(|| missing(&what))?;
    outcome(found.error_code, found.error_message.as_ref())
        .map_err(|error| ClientError::refused(what, error))?;
    let members = found.members.iter().map(|member| GroupMember {
        id: member.member_id.as_str().to_owned(),
        instance_id: member.instance_id.as_ref().map(|id| id.as_str().to_owned()),
        client_id: member.client_id.as_str().to_owned(),
        host: member.client_host.as_str().to_owned(),
        assignment: member
            .assignment
            .topic_partitions
            .iter()
            .flat_map(|topic| {
                topic
                    .partitions
                    .iter()
                    .map(|partition| TopicPartition::new(topic.topic_name.as_str(), *partition))
            })
            .collect(),
    });
    Ok(GroupDescription {
        id: group.to_owned(),
        kind: "consumer",
        state: found.group_state.as_str().to_owned(),
        assignor: found.assignor_name.as_str().to_owned(),
        coordinator: broker,
        members: members.collect(),
    })
}

async fn describe_classic(
    connection: &Connection,
    broker: i32,
    group: &str,
) -> Result<GroupDescription, ClientError> {
    let request = DescribeGroupsRequest::default().with_groups(vec![GroupId(text(group))]);
    let response = connection.send(request).await?;
    let what = format!("group {group:?}");
    let found = response.groups.into_iter().next().ok_or_else(|| missing(&what))?;
    outcome(found.error_code, found.error_message.as_ref())
        .map_err(|error| ClientError::refused(what.clone(), error))?;
    // Before version 6 an unknown group is one that is dead.
    if found.group_state.as_str() == "Dead" {
        let error = ApiError { code: ErrorCode::GroupIdNotFound, message: None };
        return Err(ClientError::refused(what, error));
    }
    let members = found.members.iter().map(|member| GroupMember {
        id: member.member_id.as_str().to_owned(),
        instance_id: member.group_instance_id.as_ref().map(|id| id.as_str().to_owned()),
        client_id: member.client_id.as_str().to_owned(),
        host: member.client_host.as_str().to_owned(),
        assignment: assignment(member.member_assignment.clone()).unwrap_or_default(),
    });
    Ok(GroupDescription {
        id: group.to_owned(),
        kind: "classic",
        state: found.group_state.as_str().to_owned(),
        assignor: found.protocol_data.as_str().to_owned(),
        coordinator: broker,
        members: members.collect(),
    })
}

/// Reads what a classic group's leader assigned to a member (`ConsumerProtocolAssignment`). Members of groups that are no
/// consumers put other things there.
fn assignment(bytes: Bytes) -> Result<Vec<TopicPartition>, WireError> {
    let mut reader = Reader::new(bytes, false);
    reader.i16()?;
    let mut partitions = Vec::new();
    for _ in 0..reader.count(6)? {
        let topic = reader.string()?;
        for _ in 0..reader.count(4)? {
            partitions.push(TopicPartition::new(topic.as_str(), reader.i32()?));
        }
    }
    Ok(partitions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_classic_assignment_is_read_and_garbage_is_not() {
        let bytes =
            [&[0, 1, 0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3][..], &[255; 4]].concat();
        let expected = vec![TopicPartition::new("t", 0), TopicPartition::new("t", 3)];
        assert_eq!(assignment(bytes.into()), Ok(expected));
        assert!(assignment(Bytes::from_static(&[0, 0, 127, 255, 255, 255])).is_err());
    }
}
