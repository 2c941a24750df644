//! What happened inside the cluster that a checker must know.

use bytes::Bytes;
use ottla_core::metadata::Image;
use ottla_types::{BrokerId, LeaderEpoch, Offset, TopicIdPartition};

/// An event for the checkers. None of the machines sees them.
#[derive(Debug, Clone)]
pub enum Observation {
    /// A broker began to lead a partition.
    Leads {
        /// Which one.
        partition: TopicIdPartition,
        /// Who.
        broker: BrokerId,
        /// In which epoch.
        epoch: LeaderEpoch,
        /// The end of its log.
        log_end_offset: Offset,
    },
    /// A leader called these records committed.
    Committed {
        /// Which one.
        partition: TopicIdPartition,
        /// Who.
        broker: BrokerId,
        /// The leader's epoch.
        epoch: LeaderEpoch,
        /// The first offset.
        from: Offset,
        /// The end (exclusive).
        to: Offset,
        /// The batches that hold them.
        records: Bytes,
    },
    /// A broker was elected to lead the metadata quorum.
    Controls {
        /// Who.
        broker: BrokerId,
        /// In which term.
        term: u64,
    },
    /// A broker has applied a batch of metadata that gives a restart permit.
    Permits {
        /// Who.
        broker: BrokerId,
        /// The metadata then.
        image: Box<Image>,
    },
    /// A partition as a broker sees it after it applied metadata.
    Partition {
        /// Which one.
        partition: TopicIdPartition,
        /// At which partition epoch.
        partition_epoch: i32,
        /// Its leader epoch.
        leader_epoch: LeaderEpoch,
        /// Its leader.
        leader: BrokerId,
        /// Its replicas.
        replicas: Vec<BrokerId>,
        /// Its ISR.
        isr: Vec<BrokerId>,
    },
    /// Something that must never happen happened where it can be seen at once.
    Broken(String),
}

impl Observation {
    /// The partition whose committed records or metadata changed.
    #[must_use]
    pub fn partition(&self) -> Option<TopicIdPartition> {
        match self {
            Self::Committed { partition, .. } | Self::Partition { partition, .. } => Some(*partition),
            _ => None,
        }
    }
}
