//! How the cluster is: counted from the metadata, with what only the controller knows.

use crate::metadata::Controller;
use ottla_core::controller::BrokerSession;
use ottla_core::metadata::{BrokerImage, Image, PartitionImage, StaticSettings, TopicImage};
use ottla_protocol::cluster_admin::{BrokerStatus, ClusterStatus, HeldPermit, PartitionCounts};
use ottla_types::BrokerId;
use std::collections::BTreeMap;

/// The status of the cluster that `image` shows.
pub fn of(
    image: &Image,
    sessions: &[BrokerSession],
    controller: Controller,
    file: &StaticSettings,
) -> ClusterStatus {
    let mut brokers: BTreeMap<BrokerId, BrokerStatus> = image
        .brokers()
        .values()
        .map(|broker| {
            let session = sessions.iter().find(|session| session.broker == broker.id);
            (broker.id, registered(image, broker, session))
        })
        .collect();
    let mut unregistered = std::collections::BTreeSet::new();
    let mut partitions = PartitionCounts::default();
    for topic in image.topics().values() {
        let min_insync_replicas = min_insync_replicas(image, topic, file);
        for partition in &topic.partitions {
            count(&mut partitions, partition, min_insync_replicas);
            for replica in &partition.replicas {
                match brokers.get_mut(replica) {
                    Some(broker) => count_on(broker, partition, *replica),
                    None => drop(unregistered.insert(replica.0)),
                }
            }
        }
    }
    ClusterStatus {
        cluster_id: image.cluster_id().to_owned(),
        controller: controller.node.map_or(-1, |node| node.broker().0),
        controller_epoch: i64::try_from(controller.term).unwrap_or(i64::MAX),
        metadata_offset: image.offset(),
        brokers: brokers.into_values().collect(),
        unregistered_holders: unregistered.into_iter().collect(),
        partitions,
    }
}

fn registered(image: &Image, broker: &BrokerImage, session: Option<&BrokerSession>) -> BrokerStatus {
    let permit = image.permits().get(&broker.id).map(|permit| HeldPermit {
        epoch: permit.epoch,
        broker_epoch: permit.broker_epoch.0,
        expires_in_ms: session.map_or(0, |session| session.permit_remaining_ms),
        forced: permit.forced,
        reason: permit.reason.clone(),
    });
    BrokerStatus {
        id: broker.id.0,
        epoch: broker.epoch.0,
        directory_id: broker.metadata_directory.to_string(),
        directories: broker.directories.iter().map(ToString::to_string).collect(),
        version: session.map(|session| session.software_version.clone()).unwrap_or_default(),
        rack: broker.rack.clone(),
        fenced: broker.fenced,
        stopping: broker.in_controlled_shutdown,
        cordoned: broker.cordoned,
        voter: image.membership().voters.contains(&broker.node()),
        silent_ms: session.map_or(0, |session| session.silent_ms),
        replicas: 0,
        in_sync: 0,
        arriving: 0,
        leaders: 0,
        preferred_leaders: 0,
        permit,
    }
}

fn min_insync_replicas(image: &Image, topic: &TopicImage, file: &StaticSettings) -> usize {
    let value = image.topic_value(&topic.name, "min.insync.replicas", BrokerId::NONE, file);
    value.and_then(|value| value.trim().parse().ok()).unwrap_or(1).max(1)
}

fn count(counts: &mut PartitionCounts, partition: &PartitionImage, min_insync_replicas: usize) {
    let is_late =
        |replica: &BrokerId| !partition.isr.contains(replica) && !partition.adding.contains(replica);
    let replicas = (partition.replicas.len() - partition.adding.len()).max(1);
    counts.total += 1;
    counts.offline += usize::from(partition.leader.is_none());
    counts.under_replicated += usize::from(partition.replicas.iter().any(is_late));
    counts.under_min_isr += usize::from(partition.isr.len() < min_insync_replicas.min(replicas));
    counts.reassigning += usize::from(partition.is_reassigning());
    counts.not_preferred += usize::from(!partition.has_preferred_leader());
}

fn count_on(broker: &mut BrokerStatus, partition: &PartitionImage, id: BrokerId) {
    let is_in_sync = partition.isr.contains(&id);
    broker.replicas += 1;
    broker.in_sync += usize::from(is_in_sync);
    broker.arriving += usize::from(!is_in_sync && partition.adding.contains(&id));
    broker.leaders += usize::from(partition.leader == id);
    broker.preferred_leaders += usize::from(partition.preferred_leader() == id);
}
