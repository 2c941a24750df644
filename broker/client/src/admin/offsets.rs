//! Offsets of partitions.

use super::{Admin, missing, text};
use crate::client::Backoff;
use crate::consumer::Isolation;
use crate::error::{ApiError, ClientError};
use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::{BrokerId, DeleteRecordsRequest, ListOffsetsRequest, TopicName};
use ottla_types::ErrorCode;
use std::time::{Duration, Instant};

/// Which offset is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetSpec {
    /// The first there is.
    Earliest,
    /// That after the last.
    Latest,
    /// That of the record with the highest timestamp.
    MaxTimestamp,
    /// The first of that time or later, in milliseconds since the epoch.
    Timestamp(i64),
}

/// An offset that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResolvedOffset {
    /// The offset; -1 if there is none.
    pub offset: i64,
    /// Timestamp of its record; -1 if none was asked for.
    pub timestamp: i64,
    /// Leader epoch; -1 if unknown.
    pub leader_epoch: i32,
}

impl OffsetSpec {
    fn code(self) -> i64 {
        match self {
            OffsetSpec::Earliest => -2,
            OffsetSpec::Latest => -1,
            OffsetSpec::MaxTimestamp => -3,
            OffsetSpec::Timestamp(timestamp) => timestamp.max(0),
        }
    }
}

impl Admin {
    /// An offset of a partition.
    ///
    /// # Errors
    /// If the partition does not exist, or has no leader for longer than the client tries.
    pub async fn offset(
        &self,
        topic: &str,
        partition: i32,
        spec: OffsetSpec,
        isolation: Isolation,
    ) -> Result<ResolvedOffset, ClientError> {
        let what = || format!("offsets of {topic}-{partition}");
        let ask = async |again: bool| {
            let (connection, epoch) = self.leader_of(topic, partition, again).await?;
            let asked = ListOffsetsPartition::default()
                .with_partition_index(partition)
                .with_current_leader_epoch(epoch)
                .with_timestamp(spec.code());
            let topics = vec![
                ListOffsetsTopic::default().with_name(TopicName(text(topic))).with_partitions(vec![asked]),
            ];
            let request = ListOffsetsRequest::default()
                .with_replica_id(BrokerId(-1))
                .with_isolation_level(i8::from(isolation == Isolation::ReadCommitted))
                .with_topics(topics);
            let response = connection.send(request).await?;
            let answer = response.topics.into_iter().flat_map(|topic| topic.partitions).next();
            let answer = answer.ok_or_else(|| missing(&what()))?;
            ApiError::check_code(answer.error_code).map_err(|error| ClientError::refused(what(), error))?;
            Ok(ResolvedOffset {
                offset: answer.offset,
                timestamp: answer.timestamp,
                leader_epoch: answer.leader_epoch,
            })
        };
        self.while_leaders_move(ask).await
    }

    /// Deletes the records before `before` (-1: all that are replicated); returns the first offset that is left.
    ///
    /// # Errors
    /// If the partition does not exist, the offset is not in the log, or the broker refuses.
    pub async fn delete_records(&self, topic: &str, partition: i32, before: i64) -> Result<i64, ClientError> {
        let what = || format!("deleting records of {topic}-{partition}");
        let ask = async |again: bool| {
            let (connection, _) = self.leader_of(topic, partition, again).await?;
            let asked = DeleteRecordsPartition::default().with_partition_index(partition).with_offset(before);
            let topics = vec![
                DeleteRecordsTopic::default().with_name(TopicName(text(topic))).with_partitions(vec![asked]),
            ];
            let request = DeleteRecordsRequest::default().with_topics(topics).with_timeout_ms(30_000);
            let response = connection.send_with(request, i16::MAX, Duration::from_secs(30)).await?;
            let answer = response.topics.into_iter().flat_map(|topic| topic.partitions).next();
            let answer = answer.ok_or_else(|| missing(&what()))?;
            ApiError::check_code(answer.error_code).map_err(|error| ClientError::refused(what(), error))?;
            Ok(answer.low_watermark)
        };
        self.while_leaders_move(ask).await
    }

    async fn leader_of(
        &self,
        topic: &str,
        partition: i32,
        again: bool,
    ) -> Result<(crate::Connection, i32), ClientError> {
        let Some(leader) = self.client.leader(topic, partition, again).await? else {
            let error = ApiError { code: ErrorCode::LeaderNotAvailable, message: None };
            return Err(ClientError::refused(format!("partition {topic}-{partition}"), error));
        };
        Ok((self.client.broker(leader.broker).await?, leader.epoch))
    }

    /// Tries again while the answer is that a leader moved.
    async fn while_leaders_move<T>(
        &self,
        ask: impl AsyncFn(bool) -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        let deadline = Instant::now() + self.client.options().retry_timeout;
        let mut backoff = Backoff::default();
        let mut again = false;
        loop {
            let error = match ask(again).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let unknown = error.code() == Some(ErrorCode::UnknownTopicOrPartition);
            if !error.is_retriable() || unknown && again || Instant::now() >= deadline {
                return Err(error);
            }
            again = true;
            backoff.wait().await;
        }
    }
}
