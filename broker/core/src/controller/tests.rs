//! Handlers: a state, one request, the exact outcome.

use super::*;
use crate::metadata::record::{self, Endpoint, Kind, broker_list};
use crate::metadata::{MetadataRecord, PartitionImage, feature};
use ottla_types::{BrokerEpoch, BrokerId, DirectoryId, ErrorCode, TopicIdPartition, Uuid};

mod brokers;
mod configs;
mod elections;
mod full_disks;
mod isr;
mod large;
mod permits;
mod reassign;
mod topics;
mod voting;

const CLUSTER: &str = "MkU3OEVBNTcwNTJENDM2Qk";

/// A controller with brokers 1 to `brokers`, all of them active.
fn cluster(brokers: i32) -> Controller {
    let mut image = Image::default();
    image.replay(&record::Cluster { cluster_id: CLUSTER.into() }.into()).unwrap();
    let level = record::FeatureLevel { name: feature::METADATA_VERSION.into(), level: 1 };
    image.replay(&level.into()).unwrap();
    image.set_offset(2);
    let mut controller = Controller::new(image, 0, Rules::new(7));
    for id in 1..=brokers {
        start(&mut controller, 0, id);
    }
    controller
}

fn directory(id: i32) -> DirectoryId {
    DirectoryId(Uuid::from_u128(1000 + id as u128))
}

fn registration(id: i32) -> RegisterBroker {
    RegisterBroker {
        broker_id: BrokerId(id),
        cluster_id: CLUSTER.into(),
        incarnation_id: Uuid::from_u128(id as u128),
        endpoints: vec![Endpoint {
            listener: "PLAINTEXT".into(),
            host: format!("b{id}"),
            port: 9092,
            security_protocol: 0,
        }],
        features: feature::supported(),
        rack: None,
        directories: vec![directory(id)],
        metadata_directory: directory(id),
        previous_epoch: BrokerEpoch::NONE,
        cordoned: false,
        software_version: String::new(),
    }
}

fn heartbeat(controller: &Controller, id: i32) -> BrokerHeartbeat {
    BrokerHeartbeat {
        broker_id: BrokerId(id),
        broker_epoch: controller.image().broker(BrokerId(id)).unwrap().epoch,
        metadata_offset: 1_000_000,
        want_fence: false,
        want_shutdown: false,
        offline_directories: Vec::new(),
        full_directories: Vec::new(),
        cordoned: None,
        software_version: "1.2.3".into(),
    }
}

/// Registers a broker and unfences it.
fn start(controller: &mut Controller, now_ms: u64, id: i32) {
    let outcome = controller.handle(now_ms, Request::RegisterBroker(registration(id)));
    assert!(matches!(outcome.reply, Reply::RegisterBroker(Ok(_))), "{outcome:?}");
    let request = heartbeat(controller, id);
    let outcome = controller.handle(now_ms, Request::BrokerHeartbeat(request));
    assert!(matches!(outcome.reply, Reply::BrokerHeartbeat(Ok(reply)) if !reply.is_fenced), "{outcome:?}");
}

/// Creates a topic with these replica sets; returns its partitions.
fn create(
    controller: &mut Controller,
    name: &str,
    sets: &[&[i32]],
    configs: &[(&str, &str)],
) -> Vec<TopicIdPartition> {
    let topic = CreateTopic {
        assignments: (0..).zip(sets).map(|(partition, set)| assignment(partition, set)).collect(),
        configs: configs.iter().map(|(key, value)| ((*key).to_owned(), Some((*value).to_owned()))).collect(),
        ..CreateTopic::with_defaults(name)
    };
    let outcome = controller.handle(0, Request::CreateTopics { topics: vec![topic], validate_only: false });
    let Reply::CreateTopics(results) = outcome.reply else { panic!() };
    let topic_id = results[0].1.as_ref().unwrap().topic_id;
    (0..sets.len() as i32).map(|partition| TopicIdPartition { topic_id, partition }).collect()
}

fn assignment(partition: i32, brokers: &[i32]) -> Assignment {
    Assignment { partition, brokers: ids(brokers) }
}

fn ids(ids: &[i32]) -> Vec<BrokerId> {
    ids.iter().copied().map(BrokerId).collect()
}

fn partition(controller: &Controller, key: TopicIdPartition) -> &PartitionImage {
    controller.image().partition(key).unwrap()
}

/// Leader, ISR and ELR of a partition.
fn state(controller: &Controller, key: TopicIdPartition) -> (i32, Vec<i32>, Vec<i32>) {
    let partition = partition(controller, key);
    (partition.leader.0, broker_list(&partition.isr), broker_list(&partition.elr))
}
