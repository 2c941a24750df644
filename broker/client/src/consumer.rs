//! Reading partitions: assigned by hand, each from a place of the caller's choice.
//!
//! At most one fetch is under way to each broker. A partition whose leader moved, or whose fetch failed in a way that
//! passes, is asked for again after a short wait; what does not pass is returned by [`Consumer::poll`]. Offsets of a
//! partition are returned in order and never twice, whatever happens between.

mod decode;
mod fetch;

use crate::admin::{Admin, OffsetSpec};
use crate::client::Client;
use crate::error::ClientError;
use bytes::Bytes;
use fetch::{Answer, PartitionAnswer};
use ottla_types::ErrorCode;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How long a partition that failed is left alone.
const PAUSE: Duration = Duration::from_millis(100);

/// Which records of transactions are seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// All.
    ReadUncommitted,
    /// Those that are committed.
    ReadCommitted,
}

/// How a consumer reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerOptions {
    /// How long the broker may wait for records.
    pub max_wait: Duration,
    /// Bytes the broker waits for.
    pub min_bytes: i32,
    /// Bytes of one answer.
    pub max_bytes: i32,
    /// Bytes of one answer for each partition.
    pub max_partition_bytes: i32,
    /// Which records of transactions are seen.
    pub isolation: Isolation,
    /// Bytes that one batch may decompress to.
    pub max_decompressed_bytes: usize,
    /// Rack of this reader: the broker may name a replica near it (KIP-392).
    pub rack: String,
}

impl Default for ConsumerOptions {
    fn default() -> Self {
        Self {
            max_wait: Duration::from_millis(500),
            min_bytes: 1,
            max_bytes: 16 << 20,
            max_partition_bytes: 1 << 20,
            isolation: Isolation::ReadUncommitted,
            max_decompressed_bytes: ottla_types::limits::DECODED_RECORD_BYTES,
            rack: String::new(),
        }
    }
}

/// Where reading begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At the first offset there is.
    Beginning,
    /// After the last record there is.
    End,
    /// At this offset.
    Offset(i64),
    /// At the first record of that time or later, in milliseconds since the epoch; at the end if there is none.
    Timestamp(i64),
}

/// A record that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedRecord {
    /// Its offset.
    pub offset: i64,
    /// Milliseconds since the epoch.
    pub timestamp: i64,
    /// Key.
    pub key: Option<Bytes>,
    /// Value.
    pub value: Option<Bytes>,
    /// Headers, in order.
    pub headers: Vec<(String, Option<Bytes>)>,
}

/// Records of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// End of what is replicated, exclusive.
    pub high_watermark: i64,
    /// In order of their offsets. Empty if only the position moved.
    pub records: Vec<FetchedRecord>,
}

type Partition = (String, i32);

#[derive(Debug, Clone)]
struct Position {
    offset: i64,
    end: Option<i64>,
    start: Start,
    not_before: Option<Instant>,
    under_way: bool,
}

/// Reads partitions.
#[derive(Debug)]
pub struct Consumer {
    client: Client,
    options: ConsumerOptions,
    positions: BTreeMap<Partition, Position>,
    busy: BTreeSet<i32>,
    fetches: JoinSet<Answer>,
    ready: VecDeque<Fetched>,
}

impl Consumer {
    /// A consumer of nothing yet.
    #[must_use]
    pub fn new(client: Client, options: ConsumerOptions) -> Self {
        Self {
            client,
            options,
            positions: BTreeMap::new(),
            busy: BTreeSet::new(),
            fetches: JoinSet::new(),
            ready: VecDeque::new(),
        }
    }

    /// Begins to read a partition, or goes on elsewhere.
    ///
    /// # Errors
    /// If the partition does not exist or its offsets cannot be asked for.
    pub async fn assign(&mut self, topic: &str, partition: i32, start: Start) -> Result<(), ClientError> {
        let offset = self.resolve(topic, partition, start).await?;
        let key = (topic.to_owned(), partition);
        self.ready.retain(|fetched| fetched.topic != topic || fetched.partition != partition);
        let under_way = self.positions.get(&key).is_some_and(|position| position.under_way);
        let position = Position { offset, end: None, start, not_before: None, under_way };
        self.positions.insert(key, position);
        Ok(())
    }

    /// Begins to read all partitions of a topic; returns which.
    ///
    /// # Errors
    /// As [`Consumer::assign`].
    pub async fn assign_topic(&mut self, topic: &str, start: Start) -> Result<Vec<i32>, ClientError> {
        let partitions = self.client.partitions(topic, false).await?;
        for &partition in &partitions {
            self.assign(topic, partition, start).await?;
        }
        Ok(partitions)
    }

    /// Stops reading a partition.
    pub fn unassign(&mut self, topic: &str, partition: i32) {
        self.positions.remove(&(topic.to_owned(), partition));
        self.ready.retain(|fetched| fetched.topic != topic || fetched.partition != partition);
    }

    /// Asks for no more of a partition; what came already is still returned.
    pub fn finish(&mut self, topic: &str, partition: i32) {
        self.positions.remove(&(topic.to_owned(), partition));
    }

    /// True if nothing is read and nothing waits to be returned.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.positions.is_empty() && self.ready.is_empty()
    }

    /// Offset of the next record of each partition.
    pub fn positions(&self) -> impl Iterator<Item = (&str, i32, i64)> {
        self.positions.iter().map(|((topic, partition), at)| (topic.as_str(), *partition, at.offset))
    }

    /// True if every partition was read up to the end the broker named last.
    #[must_use]
    pub fn is_at_end(&self) -> bool {
        self.ready.is_empty() && self.positions.values().all(|at| at.end.is_some_and(|end| at.offset >= end))
    }

    async fn resolve(&self, topic: &str, partition: i32, start: Start) -> Result<i64, ClientError> {
        let spec = match start {
            Start::Offset(offset) => return Ok(offset),
            Start::Beginning => OffsetSpec::Earliest,
            Start::End => OffsetSpec::Latest,
            Start::Timestamp(timestamp) => OffsetSpec::Timestamp(timestamp),
        };
        let admin = Admin::new(self.client.clone());
        match admin.offset(topic, partition, spec, self.options.isolation).await?.offset {
            -1 => {
                Ok(admin.offset(topic, partition, OffsetSpec::Latest, self.options.isolation).await?.offset)
            }
            offset => Ok(offset),
        }
    }

    /// Records of one partition, or `None` if none came within `timeout`.
    ///
    /// # Errors
    /// For what does not pass by itself: an unknown partition, an offset that is not in the log, a corrupt batch.
    /// Other partitions can still be read.
    pub async fn poll(&mut self, timeout: Duration) -> Result<Option<Fetched>, ClientError> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(fetched) = self.ready.pop_front() {
                return Ok(Some(fetched));
            }
            self.start_fetches().await?;
            let wake = self.wake_at().map_or(deadline, |wake| wake.min(deadline));
            if self.fetches.is_empty() {
                if Instant::now() >= deadline {
                    return Ok(None);
                }
                tokio::time::sleep_until(wake).await;
                continue;
            }
            match tokio::time::timeout_at(wake, self.fetches.join_next()).await {
                Ok(Some(Ok(answer))) => self.accept(answer).await?,
                Ok(_) => {}
                Err(_) if Instant::now() >= deadline => return Ok(None),
                Err(_) => {}
            }
        }
    }

    fn wake_at(&self) -> Option<Instant> {
        self.positions.values().filter_map(|position| position.not_before).min()
    }

    /// Sends a fetch to every leader that has none under way.
    async fn start_fetches(&mut self) -> Result<(), ClientError> {
        let now = Instant::now();
        let mut by_leader: BTreeMap<i32, Vec<(Partition, i64, i32)>> = BTreeMap::new();
        let idle = self.positions.iter_mut().filter(|(_, position)| !position.under_way);
        for (partition, position) in idle {
            if position.not_before.is_some_and(|when| when > now) {
                continue;
            }
            let again = position.not_before.take().is_some();
            match self.client.leader(&partition.0, partition.1, again).await {
                Ok(Some(leader)) if !self.busy.contains(&leader.broker) => {
                    let asked = (partition.clone(), position.offset, leader.epoch);
                    by_leader.entry(leader.broker).or_default().push(asked);
                }
                Ok(Some(_)) => {}
                Ok(None) => position.not_before = Some(now + PAUSE),
                Err(error)
                    if error.is_retriable() && error.code() != Some(ErrorCode::UnknownTopicOrPartition) =>
                {
                    position.not_before = Some(now + PAUSE);
                }
                Err(error) => return Err(error),
            }
        }
        for (broker, asked) in by_leader {
            for (partition, _, _) in &asked {
                if let Some(position) = self.positions.get_mut(partition) {
                    position.under_way = true;
                }
            }
            self.busy.insert(broker);
            let (client, options) = (self.client.clone(), self.options.clone());
            self.fetches.spawn(async move { fetch::fetch(&client, &options, broker, asked).await });
        }
        Ok(())
    }

    async fn accept(&mut self, answer: Answer) -> Result<(), ClientError> {
        self.busy.remove(&answer.broker);
        let mut first_error = None;
        for (partition, asked, outcome) in answer.partitions {
            let Some(position) = self.positions.get_mut(&partition) else { continue };
            position.under_way = false;
            if position.offset != asked {
                continue;
            }
            let failed = match outcome {
                Ok(PartitionAnswer { fetched, next_offset, end }) => {
                    position.offset = next_offset;
                    position.end = Some(end);
                    if !fetched.records.is_empty() {
                        self.ready.push_back(fetched);
                    }
                    continue;
                }
                Err(error) => error,
            };
            position.not_before = Some(Instant::now() + PAUSE);
            let restart = match (failed.code(), position.start) {
                (Some(ErrorCode::OffsetOutOfRange), Start::Offset(_)) => None,
                (Some(ErrorCode::OffsetOutOfRange), start) => Some(start),
                _ => None,
            };
            if let Some(start) = restart {
                // Retention overtook the reader: go on where it asked to begin.
                let begin = if start == Start::End { Start::End } else { Start::Beginning };
                let offset = self.resolve(&partition.0, partition.1, begin).await?;
                if let Some(position) = self.positions.get_mut(&partition) {
                    position.offset = offset;
                }
            } else if !failed.is_retriable() {
                first_error.get_or_insert(failed);
            }
        }
        first_error.map_or(Ok(()), Err)
    }
}
