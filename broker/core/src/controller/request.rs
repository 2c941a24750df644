//! What a controller can be asked, and what it answers.

use super::alter_configs::{AlterConfig, ReplaceConfigs};
use super::alter_partition::{AlteredPartitions, IsrChange};
use super::describe::BrokerSession;
use super::directories::{AssignReplicas, AssignedReplicas};
use super::elect::ElectionType;
use super::error::ApiError;
use super::features::FeatureUpdate;
use super::heartbeat::{BrokerHeartbeat, HeartbeatReply};
use super::permits::{AskPermit, PermitAnswer};
use super::reassign::Reassignment;
use super::registration::RegisterBroker;
use super::topics::{CreateTopic, CreatedTopic, Deleted, GrowTopic, TopicRef};
use crate::metadata::record::Preference;
use crate::metadata::{ConfigResource, MetadataRecord};
use ottla_types::{BrokerEpoch, BrokerId, DirectoryId, TopicId, TopicPartition};
use std::ops::Range;

/// What a controller can be asked.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum Request {
    /// A broker wants to be part of the cluster.
    RegisterBroker(RegisterBroker),
    /// A broker is to be taken out of the cluster.
    UnregisterBroker {
        /// Which.
        broker: BrokerId,
        /// Not if it runs, holds replicas or votes.
        #[serde(default)]
        only_if_unused: bool,
    },
    /// A broker says that it is there.
    BrokerHeartbeat(BrokerHeartbeat),
    /// The connection to a broker broke. It is fenced soon, unless a heartbeat comes.
    SuspectBroker {
        /// Which.
        broker: BrokerId,
        /// The registration that the connection was of.
        epoch: BrokerEpoch,
    },
    /// Topics are to be created.
    CreateTopics {
        /// Which.
        topics: Vec<CreateTopic>,
        /// Only say whether they could be.
        validate_only: bool,
    },
    /// Topics are to be deleted.
    DeleteTopics {
        /// Which.
        topics: Vec<TopicRef>,
    },
    /// Topics are to have more partitions.
    CreatePartitions {
        /// Which.
        topics: Vec<GrowTopic>,
        /// Only say whether they could.
        validate_only: bool,
    },
    /// Single settings are to change. A topic, broker or other resource may be named once.
    IncrementalAlterConfigs {
        /// What changes.
        resources: Vec<(ConfigResource, Vec<AlterConfig>)>,
        /// Only say whether it could.
        validate_only: bool,
    },
    /// All settings of resources are to be these.
    AlterConfigs {
        /// The settings.
        resources: Vec<ReplaceConfigs>,
        /// Only say whether they could be.
        validate_only: bool,
    },
    /// A leader says who is in sync.
    AlterPartition {
        /// The leader.
        broker: BrokerId,
        /// Its registration.
        epoch: BrokerEpoch,
        /// The partitions by topic.
        topics: Vec<(TopicId, Vec<IsrChange>)>,
    },
    /// A broker says in which directories replicas are.
    AssignReplicas(AssignReplicas),
    /// Leaders are to be elected.
    ElectLeaders {
        /// Which leaders are wanted.
        kind: ElectionType,
        /// Of which partitions; of all if absent.
        partitions: Option<Vec<TopicPartition>>,
    },
    /// Replicas are to move, or not to move any more.
    Reassign {
        /// What is to move where.
        moves: Vec<Reassignment>,
        /// Partitions may have more or fewer replicas after it.
        allow_replication_factor_change: bool,
    },
    /// Features are to have other levels.
    UpdateFeatures {
        /// Which.
        updates: Vec<FeatureUpdate>,
        /// Only say whether they could.
        validate_only: bool,
    },
    /// A broker is to get no new replicas, or to get them again.
    CordonBroker {
        /// Which.
        broker: BrokerId,
        /// No new replicas.
        cordoned: bool,
    },
    /// May a broker stop?
    AskPermit(AskPermit),
    /// The whole cluster stops: every broker that is there may go, and none waits for another.
    PermitAll {
        /// How long the permits are to hold, milliseconds.
        duration_ms: i64,
        /// Who asks and why, for people.
        reason: String,
    },
    /// A permit is not needed any more.
    ReleasePermit {
        /// Whose.
        broker: BrokerId,
        /// Which.
        epoch: i64,
    },
    /// A broker should vote in the metadata quorum, or should not.
    PreferVoter {
        /// Which.
        broker: BrokerId,
        /// The directory of its metadata log.
        directory: DirectoryId,
        /// Whether it should.
        preference: Preference,
    },
    /// What does the controller know of the brokers that is not in the metadata?
    DescribeSessions,
    /// A broker needs producer ids.
    AllocateProducerIds {
        /// Which.
        broker: BrokerId,
        /// Its registration.
        epoch: BrokerEpoch,
    },
}

/// What a controller answers; the variant follows the request's.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum Reply {
    /// There is nothing to say.
    Done,
    /// The registration's epoch.
    RegisterBroker(Result<BrokerEpoch, ApiError>),
    /// It is out.
    UnregisterBroker(Result<(), ApiError>),
    /// Where the broker stands.
    BrokerHeartbeat(Result<HeartbeatReply, ApiError>),
    /// For each topic of the request, in its order.
    CreateTopics(Vec<(String, Result<CreatedTopic, ApiError>)>),
    /// For each topic of the request, in its order.
    DeleteTopics(Vec<Deleted>),
    /// For each topic of the request, in its order.
    CreatePartitions(Vec<(String, Result<(), ApiError>)>),
    /// For each resource of the request (of either kind), in its order.
    AlterConfigs(Vec<(ConfigResource, Result<(), ApiError>)>),
    /// For each partition of the request, or why none of it was looked at.
    AlterPartition(Result<AlteredPartitions, ApiError>),
    /// For each replica of the request, or why none of it was looked at.
    AssignReplicas(Result<AssignedReplicas, ApiError>),
    /// For each partition, in the order of the request.
    ElectLeaders(Vec<(TopicPartition, Result<(), ApiError>)>),
    /// For each partition, in the order of the request.
    Reassign(Vec<(TopicPartition, Result<(), ApiError>)>),
    /// The features have their levels, or the first that cannot.
    UpdateFeatures(Result<(), (String, ApiError)>),
    /// It is cordoned, or not any more.
    CordonBroker(Result<(), ApiError>),
    /// Whether the broker may stop.
    Permit(PermitAnswer),
    /// All may stop.
    PermitAll,
    /// The permit is given back.
    ReleasePermit(Result<(), ApiError>),
    /// It is noted; the voters follow.
    PreferVoter(Result<(), ApiError>),
    /// For each registered broker, by id.
    Sessions(Vec<BrokerSession>),
    /// The ids that belong to the broker now.
    ProducerIds(Result<Range<i64>, ApiError>),
}

/// What follows from a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// One batch for the metadata log; if it is empty there is nothing to wait for.
    pub records: Vec<MetadataRecord>,
    /// What to answer once they are committed.
    pub reply: Reply,
}

impl Outcome {
    /// An answer that changes nothing.
    #[must_use]
    pub const fn reply(reply: Reply) -> Self {
        Self { records: Vec::new(), reply }
    }
}
