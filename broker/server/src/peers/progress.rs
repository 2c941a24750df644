//! Asking the leaders of partitions how far those go, for groups that are coordinated elsewhere.

use super::Peers;
use super::link::Lost;
use ottla_protocol::ApiKey;
use ottla_types::{BrokerId, Offset, TimestampMs, TopicId};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Partitions in one question.
pub const PROBES: usize = 2_000;

/// Which partition, and from where on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// The topic.
    pub topic_id: TopicId,
    /// The partition's index.
    pub partition: i32,
    /// The first offset that was not read.
    pub offset: Offset,
}

/// What the leader knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Everything below is committed.
    pub high_watermark: Offset,
    /// When the batch that holds the probe's offset was begun; none if there is no such batch.
    pub time_ms: Option<TimestampMs>,
}

/// A question and its cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgressAsk {
    /// The asker's.
    pub cluster_id: String,
    /// Up to [`PROBES`].
    pub probes: Vec<Probe>,
}

impl Peers {
    /// Asks a leader; one answer for each probe, none for a partition that it does not lead.
    ///
    /// # Errors
    /// If there is no answer in time.
    pub async fn progress(
        &self,
        leader: BrokerId,
        probes: &[Probe],
        within: Duration,
    ) -> Result<Vec<Option<Progress>>, Lost> {
        let cluster_id = self.cluster_id().ok_or(Lost)?.to_owned();
        let ask = ProgressAsk { cluster_id, probes: probes.to_vec() };
        self.exchange(leader, ApiKey::PeerProgress, &ask, within).await
    }
}
