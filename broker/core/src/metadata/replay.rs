//! Records into the image: the only way it changes.
//!
//! Replay decides nothing. What it is given was decided by a controller, so a record that does not fit is corruption
//! or a bug, and an error that a broker cannot go on after.

use super::config::ConfigResource;
use super::delta::ImageDelta;
use super::image::{BrokerImage, Image, PartitionImage, Permit, TopicImage};
use super::membership::Membership;
use super::record::{
    BrokerChange, Config, Kind, MetadataRecord, Partition, PartitionChange, PartitionChanges, Partitions,
    Preference, RegisterBroker, RemoveTopic, VotePreference,
};
use bytes::Bytes;
use imbl::{OrdMap, OrdSet};
use ottla_types::{
    BrokerEpoch, BrokerId, DirectoryId, ErrorCode, LeaderEpoch, PartitionEpoch, TopicId, TopicIdPartition,
    Uuid,
};
use std::sync::Arc;

/// A record that does not fit the image it is replayed into.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// The kind is not known.
    #[error("a metadata record of a kind that this version does not know")]
    UnknownKind,
    /// Bytes that are not as many as an id has.
    #[error("an id of {0} bytes")]
    IdLength(usize),
    /// A broker that is not registered, or not with this epoch.
    #[error("broker {0} is not registered with epoch {1}")]
    NoBroker(BrokerId, BrokerEpoch),
    /// A topic that does not exist.
    #[error("no topic has the id {0}")]
    NoTopic(TopicId),
    /// A topic that exists already.
    #[error("a topic {0:?} exists already")]
    TopicExists(String),
    /// A partition that does not exist, or a new one that leaves a gap.
    #[error("topic {0} has no place for partition {1}")]
    NoPartition(TopicId, i32),
    /// Something else than whether a broker should vote.
    #[error("{0} does not say whether a broker should vote")]
    NoPreference(i32),
    /// A resource that cannot have settings.
    #[error("resource type {0} has no settings")]
    NoResource(i32),
}

impl ReplayError {
    /// Kafka's error code.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            ReplayError::UnknownKind | ReplayError::NoPreference(_) => ErrorCode::UnsupportedVersion,
            _ => ErrorCode::CorruptMessage,
        }
    }
}

pub(super) fn uuid(bytes: &Bytes) -> Result<Uuid, ReplayError> {
    Uuid::from_slice(bytes).map_err(|_| ReplayError::IdLength(bytes.len()))
}

pub(super) fn topic_id(bytes: &Bytes) -> Result<TopicId, ReplayError> {
    uuid(bytes).map(TopicId)
}

fn directories(bytes: &Bytes) -> Result<Vec<DirectoryId>, ReplayError> {
    let (ids, rest) = bytes.as_chunks::<16>();
    if rest.is_empty() {
        Ok(ids.iter().map(|id| DirectoryId(Uuid::from_bytes(*id))).collect())
    } else {
        Err(ReplayError::IdLength(bytes.len()))
    }
}

fn broker_ids(ids: &[i32]) -> Vec<BrokerId> {
    ids.iter().copied().map(BrokerId).collect()
}

impl Image {
    /// Applies the records of one entry of the log and notes in `delta` what they change.
    ///
    /// # Errors
    /// When a record does not fit; the image is then half changed and must not be used.
    pub fn apply(
        &mut self,
        records: &[MetadataRecord],
        offset: u64,
        delta: &mut ImageDelta,
    ) -> Result<(), ReplayError> {
        for record in records {
            delta.note(self, record)?;
            self.replay(record)?;
        }
        self.set_offset(offset);
        Ok(())
    }

    /// The log has reached this offset, with an entry that holds no records perhaps.
    pub fn set_offset(&mut self, offset: u64) {
        self.offset = self.offset.max(offset);
    }

    /// The quorum consists of these nodes from now on (an entry of the log that the consensus itself wrote).
    pub fn set_membership(&mut self, membership: Membership) {
        self.membership = Arc::new(membership);
    }

    /// Applies one record.
    ///
    /// # Errors
    /// When the record does not fit; the image is unchanged then, or half of a list of partitions is applied.
    pub fn replay(&mut self, record: &MetadataRecord) -> Result<(), ReplayError> {
        match record.kind.as_ref().ok_or(ReplayError::UnknownKind)? {
            Kind::Cluster(cluster) => self.cluster_id = cluster.cluster_id.as_str().into(),
            Kind::RegisterBroker(broker) => self.register_broker(broker)?,
            Kind::UnregisterBroker(broker) => {
                let id = BrokerId(broker.broker_id);
                self.registered(id, BrokerEpoch(broker.broker_epoch))?;
                self.brokers.remove(&id);
            }
            Kind::BrokerChange(change) => self.change_broker(change)?,
            Kind::Topic(topic) => self.create_topic(topic_id(&topic.topic_id)?, &topic.name)?,
            Kind::Partitions(partitions) => self.create_partitions(partitions)?,
            Kind::PartitionChanges(changes) => self.change_partitions(changes)?,
            Kind::RemoveTopic(topic) => self.remove_topic(topic)?,
            Kind::Config(config) => self.set_config(config)?,
            Kind::FeatureLevel(feature) if feature.level == 0 => {
                self.features.remove(feature.name.as_str());
            }
            Kind::FeatureLevel(feature) => {
                self.features.insert(feature.name.as_str().into(), feature.level);
            }
            Kind::ProducerIds(ids) => self.next_producer_id = ids.next_producer_id,
            Kind::GrantPermit(grant) => {
                let permit = Permit {
                    broker_id: BrokerId(grant.broker_id),
                    broker_epoch: BrokerEpoch(grant.broker_epoch),
                    epoch: grant.permit_epoch,
                    duration_ms: grant.duration_ms,
                    forced: grant.forced,
                    reason: grant.reason.clone(),
                };
                self.last_permit_epoch = self.last_permit_epoch.max(permit.epoch);
                self.permits.insert(permit.broker_id, permit);
            }
            Kind::VotePreference(said) => self.prefer_voter(said)?,
            Kind::EndPermit(end) => {
                let id = BrokerId(end.broker_id);
                if self.permits.get(&id).is_some_and(|permit| permit.epoch == end.permit_epoch) {
                    self.permits.remove(&id);
                }
            }
        }
        Ok(())
    }

    fn registered(&self, id: BrokerId, epoch: BrokerEpoch) -> Result<&Arc<BrokerImage>, ReplayError> {
        let known = self.brokers.get(&id).filter(|broker| broker.epoch == epoch);
        known.ok_or(ReplayError::NoBroker(id, epoch))
    }

    fn register_broker(&mut self, record: &RegisterBroker) -> Result<(), ReplayError> {
        let metadata_directory = match record.metadata_directory.len() {
            0 => DirectoryId::ZERO,
            _ => DirectoryId(uuid(&record.metadata_directory)?),
        };
        let mut online = directories(&record.directories)?;
        online.sort_unstable();
        let before = self.brokers.get(&BrokerId(record.broker_id));
        let broker = BrokerImage {
            preference: before.map_or(Preference::None, |before| before.preference),
            id: BrokerId(record.broker_id),
            epoch: BrokerEpoch(record.broker_epoch),
            incarnation_id: uuid(&record.incarnation_id)?,
            endpoints: record.endpoints.clone(),
            features: record.features.clone(),
            rack: record.rack.clone(),
            fenced: record.fenced,
            in_controlled_shutdown: record.in_controlled_shutdown,
            cordoned: record.cordoned,
            directories: online,
            metadata_directory,
        };
        self.last_broker_epoch = self.last_broker_epoch.max(record.broker_epoch);
        self.brokers.insert(broker.id, Arc::new(broker));
        Ok(())
    }

    fn change_broker(&mut self, change: &BrokerChange) -> Result<(), ReplayError> {
        let id = BrokerId(change.broker_id);
        let mut broker = (**self.registered(id, BrokerEpoch(change.broker_epoch))?).clone();
        if let Some(fenced) = change.fenced {
            broker.fenced = fenced;
        }
        if let Some(shutting_down) = change.in_controlled_shutdown {
            broker.in_controlled_shutdown = shutting_down;
        }
        if let Some(cordoned) = change.cordoned {
            broker.cordoned = cordoned;
        }
        if let Some(online) = &change.directories {
            broker.directories = directories(online)?;
            broker.directories.sort_unstable();
        }
        self.brokers.insert(id, Arc::new(broker));
        Ok(())
    }

    fn prefer_voter(&mut self, said: &VotePreference) -> Result<(), ReplayError> {
        let id = BrokerId(said.broker_id);
        let unknown = ReplayError::NoBroker(id, BrokerEpoch::NONE);
        let mut broker = (**self.brokers.get(&id).ok_or(unknown)?).clone();
        broker.preference =
            Preference::try_from(said.preference).map_err(|_| ReplayError::NoPreference(said.preference))?;
        self.brokers.insert(id, Arc::new(broker));
        Ok(())
    }

    fn create_topic(&mut self, id: TopicId, name: &str) -> Result<(), ReplayError> {
        if self.topic_ids.contains_key(name) || self.topics.contains_key(&id) {
            return Err(ReplayError::TopicExists(name.to_owned()));
        }
        let name: Arc<str> = name.into();
        self.topic_ids.insert(name.clone(), id);
        self.topics.insert(id, Arc::new(TopicImage { name, id, partitions: imbl::Vector::new() }));
        Ok(())
    }

    fn create_partitions(&mut self, record: &Partitions) -> Result<(), ReplayError> {
        let id = topic_id(&record.topic_id)?;
        let topic = Arc::make_mut(self.topics.get_mut(&id).ok_or(ReplayError::NoTopic(id))?);
        for new in &record.partitions {
            if usize::try_from(new.partition) != Ok(topic.partitions.len()) {
                return Err(ReplayError::NoPartition(id, new.partition));
            }
            let partition = partition_image(new)?;
            let key = TopicIdPartition { topic_id: id, partition: new.partition };
            for &replica in &partition.replicas {
                self.by_broker.entry(replica).or_default().insert(key);
            }
            mark(&mut self.leaderless, key, partition.leader.is_none());
            mark(&mut self.reassigning, key, partition.is_reassigning());
            topic.partitions.push_back(Arc::new(partition));
            self.partition_count += 1;
        }
        Ok(())
    }

    fn change_partitions(&mut self, record: &PartitionChanges) -> Result<(), ReplayError> {
        let id = topic_id(&record.topic_id)?;
        let topic = Arc::make_mut(self.topics.get_mut(&id).ok_or(ReplayError::NoTopic(id))?);
        for change in &record.changes {
            let missing = ReplayError::NoPartition(id, change.partition);
            let index = usize::try_from(change.partition).map_err(|_| missing.clone())?;
            let partition = Arc::make_mut(topic.partitions.get_mut(index).ok_or(missing)?);
            let key = TopicIdPartition { topic_id: id, partition: change.partition };
            if let Some(replicas) = &change.replicas {
                for old in partition.replicas.iter().filter(|old| !replicas.ids.contains(&old.0)) {
                    forget(&mut self.by_broker, *old, &key);
                }
                for &new in &replicas.ids {
                    self.by_broker.entry(BrokerId(new)).or_default().insert(key);
                }
            }
            change_partition(partition, change)?;
            mark(&mut self.leaderless, key, partition.leader.is_none());
            mark(&mut self.reassigning, key, partition.is_reassigning());
        }
        Ok(())
    }

    fn remove_topic(&mut self, record: &RemoveTopic) -> Result<(), ReplayError> {
        let id = topic_id(&record.topic_id)?;
        let topic = self.topics.remove(&id).ok_or(ReplayError::NoTopic(id))?;
        for (index, partition) in topic.partitions.iter().enumerate() {
            let key = TopicIdPartition { topic_id: id, partition: index as i32 };
            for replica in &partition.replicas {
                forget(&mut self.by_broker, *replica, &key);
            }
            mark(&mut self.leaderless, key, false);
            mark(&mut self.reassigning, key, false);
        }
        self.partition_count -= topic.partitions.len();
        self.topic_ids.remove(&topic.name);
        self.configs.remove(&ConfigResource::topic(&*topic.name));
        Ok(())
    }

    fn set_config(&mut self, record: &Config) -> Result<(), ReplayError> {
        let resource = ConfigResource::from_record(record)?;
        let mut settings = self.configs.get(&resource).map(|known| (**known).clone()).unwrap_or_default();
        match &record.value {
            Some(value) => settings.insert(record.key.clone(), value.clone()),
            None => settings.remove(&record.key),
        };
        if settings.is_empty() {
            self.configs.remove(&resource);
        } else {
            self.configs.insert(resource, Arc::new(settings));
        }
        Ok(())
    }
}

/// Takes a partition from a broker; a broker that has none is not in the index.
fn forget(
    by_broker: &mut OrdMap<BrokerId, OrdSet<TopicIdPartition>>,
    broker: BrokerId,
    key: &TopicIdPartition,
) {
    let Some(set) = by_broker.get_mut(&broker) else { return };
    set.remove(key);
    if set.is_empty() {
        by_broker.remove(&broker);
    }
}

fn mark(set: &mut OrdSet<TopicIdPartition>, key: TopicIdPartition, is_member: bool) {
    if is_member {
        set.insert(key);
    } else if !set.is_empty() {
        set.remove(&key);
    }
}

fn partition_image(record: &Partition) -> Result<PartitionImage, ReplayError> {
    Ok(PartitionImage {
        replicas: broker_ids(&record.replicas),
        isr: broker_ids(&record.isr),
        adding: broker_ids(&record.adding),
        removing: broker_ids(&record.removing),
        elr: broker_ids(&record.elr),
        last_known_elr: broker_ids(&record.last_known_elr),
        directories: directories(&record.directories)?,
        leader: BrokerId(record.leader),
        leader_epoch: LeaderEpoch(record.leader_epoch),
        partition_epoch: PartitionEpoch(record.partition_epoch),
        recovering: record.recovering,
    })
}

/// Applies a change to one partition.
pub(crate) fn change_partition(
    partition: &mut PartitionImage,
    change: &PartitionChange,
) -> Result<(), ReplayError> {
    for (field, new) in [
        (&mut partition.isr, &change.isr),
        (&mut partition.replicas, &change.replicas),
        (&mut partition.adding, &change.adding),
        (&mut partition.removing, &change.removing),
        (&mut partition.elr, &change.elr),
        (&mut partition.last_known_elr, &change.last_known_elr),
    ] {
        if let Some(new) = new {
            *field = broker_ids(&new.ids);
        }
    }
    if let Some(new) = &change.directories {
        partition.directories = directories(new)?;
    }
    if let Some(leader) = change.leader {
        partition.leader = BrokerId(leader);
        partition.leader_epoch = partition.leader_epoch.next();
    }
    if let Some(recovering) = change.recovering {
        partition.recovering = recovering;
    }
    partition.partition_epoch = partition.partition_epoch.next();
    Ok(())
}
