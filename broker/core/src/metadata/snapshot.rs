//! An image as bytes: the records that lead to it.

use super::batch::{self, DecodeError};
use super::config::ConfigResource;
use super::image::{BrokerImage, Image, PartitionImage, TopicImage};
use super::membership::{Membership, NodeId};
use super::record::{
    Cluster, Config, FeatureLevel, GrantPermit, MetadataRecord, Partition, Partitions, Preference,
    ProducerIds, RegisterBroker, Topic, VotePreference, broker_list, directory_bytes, topic_id_bytes,
    uuid_bytes,
};
use bytes::Bytes;
use prost::Message;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What an image holds besides its records.
#[derive(Clone, PartialEq, prost::Message)]
struct Snapshot {
    #[prost(uint64, tag = "1")]
    offset: u64,
    #[prost(int64, tag = "2")]
    last_broker_epoch: i64,
    #[prost(int64, tag = "3")]
    last_permit_epoch: i64,
    #[prost(fixed64, repeated, tag = "4")]
    voters: Vec<u64>,
    #[prost(fixed64, repeated, tag = "5")]
    learners: Vec<u64>,
    #[prost(bytes = "bytes", tag = "6")]
    records: Bytes,
}

impl Image {
    /// The image as bytes.
    #[must_use]
    pub fn to_snapshot(&self) -> Bytes {
        let snapshot = Snapshot {
            offset: self.offset,
            last_broker_epoch: self.last_broker_epoch,
            last_permit_epoch: self.last_permit_epoch,
            voters: self.membership.voters.iter().map(|node| node.0).collect(),
            learners: self.membership.learners.iter().map(|node| node.0).collect(),
            records: batch::encode(&self.to_records()),
        };
        snapshot.encode_to_vec().into()
    }

    /// The image that the bytes were made of.
    ///
    /// # Errors
    /// When the bytes are not a snapshot that this version can read.
    pub fn from_snapshot(bytes: Bytes) -> Result<Self, DecodeError> {
        let snapshot = Snapshot::decode(bytes).map_err(|error| DecodeError::Corrupt(error.to_string()))?;
        let mut image = Image::default();
        for (index, record) in batch::decode(snapshot.records)?.iter().enumerate() {
            let invalid = |error| DecodeError::Invalid { index, reason: format!("{error}") };
            image.replay(record).map_err(invalid)?;
        }
        image.offset = snapshot.offset;
        image.last_broker_epoch = snapshot.last_broker_epoch;
        image.last_permit_epoch = snapshot.last_permit_epoch;
        image.set_membership(Membership {
            voters: snapshot.voters.into_iter().map(NodeId).collect(),
            learners: snapshot.learners.into_iter().map(NodeId).collect(),
        });
        Ok(image)
    }

    /// The fewest records that lead to this image, in an order in which they can be replayed.
    #[must_use]
    pub fn to_records(&self) -> Vec<MetadataRecord> {
        let mut records = Vec::with_capacity(4 + self.brokers.len() + 2 * self.topics.len());
        if !self.cluster_id.is_empty() {
            records.push(Cluster { cluster_id: self.cluster_id.as_ref().into() }.into());
        }
        for (name, &level) in &self.features {
            records.push(FeatureLevel { name: name.as_ref().into(), level }.into());
        }
        records.extend(self.brokers.values().map(broker_record));
        let preferences = self.brokers.values().filter(|broker| broker.preference != Preference::None);
        records.extend(preferences.map(|broker| {
            let preference = broker.preference as i32;
            MetadataRecord::from(VotePreference { broker_id: broker.id.0, preference })
        }));
        for topic in self.topics.values() {
            topic_records(topic, &mut records);
        }
        for (resource, settings) in &self.configs {
            config_records(resource, settings, &mut records);
        }
        if self.next_producer_id != 0 {
            let ids =
                ProducerIds { broker_id: -1, broker_epoch: -1, next_producer_id: self.next_producer_id };
            records.push(ids.into());
        }
        for permit in self.permits.values() {
            let grant = GrantPermit {
                broker_id: permit.broker_id.0,
                broker_epoch: permit.broker_epoch.0,
                permit_epoch: permit.epoch,
                duration_ms: permit.duration_ms,
                forced: permit.forced,
                reason: permit.reason.clone(),
            };
            records.push(grant.into());
        }
        records
    }
}

fn broker_record(broker: &Arc<BrokerImage>) -> MetadataRecord {
    RegisterBroker {
        broker_id: broker.id.0,
        broker_epoch: broker.epoch.0,
        incarnation_id: uuid_bytes(broker.incarnation_id),
        endpoints: broker.endpoints.clone(),
        features: broker.features.clone(),
        rack: broker.rack.clone(),
        fenced: broker.fenced,
        in_controlled_shutdown: broker.in_controlled_shutdown,
        directories: directory_bytes(&broker.directories),
        metadata_directory: uuid_bytes(broker.metadata_directory.0),
        cordoned: broker.cordoned,
    }
    .into()
}

fn topic_records(topic: &TopicImage, records: &mut Vec<MetadataRecord>) {
    let topic_id = topic_id_bytes(topic.id);
    records.push(Topic { name: topic.name.as_ref().into(), topic_id: topic_id.clone() }.into());
    let partitions = topic.partitions.iter().enumerate();
    let partitions = partitions.map(|(index, partition)| partition_record(index as i32, partition)).collect();
    records.push(Partitions { topic_id, partitions }.into());
}

/// A partition's whole state as a record.
#[must_use]
pub(crate) fn partition_record(index: i32, partition: &PartitionImage) -> Partition {
    Partition {
        partition: index,
        replicas: broker_list(&partition.replicas),
        isr: broker_list(&partition.isr),
        adding: broker_list(&partition.adding),
        removing: broker_list(&partition.removing),
        leader: partition.leader.0,
        leader_epoch: partition.leader_epoch.0,
        partition_epoch: partition.partition_epoch.0,
        elr: broker_list(&partition.elr),
        last_known_elr: broker_list(&partition.last_known_elr),
        directories: directory_bytes(&partition.directories),
        recovering: partition.recovering,
    }
}

fn config_records(
    resource: &ConfigResource,
    settings: &BTreeMap<String, String>,
    records: &mut Vec<MetadataRecord>,
) {
    records.extend(settings.iter().map(|(key, value)| {
        MetadataRecord::from(Config {
            resource_type: resource.kind.id(),
            resource_name: resource.name.clone(),
            key: key.clone(),
            value: Some(value.clone()),
        })
    }));
}
