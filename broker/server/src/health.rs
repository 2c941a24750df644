//! How the broker is, for probes and metrics.

use crate::broker::Broker;
use crate::http::Health;
use crate::metrics::{
    ClusterSample, ControllerSample, DirSample, LeaderSample, PartitionSample, PartitionSource,
};
use crate::replicas::Role;
use ottla_types::TopicIdPartition;

impl Health for Broker {
    fn live(&self) -> Result<(), String> {
        Ok(())
    }

    fn ready(&self) -> Result<(), String> {
        let (image, me) = (self.metadata.image(), self.id());
        if !self.is_active_in(&image) {
            return Err("not registered with the controller".to_owned());
        }
        if image.permits().contains_key(&me) {
            return Err("holds a permit to restart".to_owned());
        }
        let is_behind = |id: &TopicIdPartition| {
            image.partition(*id).is_some_and(|partition| !partition.isr.contains(&me))
        };
        match image.partitions_of(me).find(is_behind) {
            None => Ok(()),
            Some(first) => {
                let behind = image.partitions_of(me).filter(is_behind).count();
                let name =
                    image.topic(first.topic_id).map_or_else(String::new, |topic| topic.name.to_string());
                Err(format!("{behind} replicas are not in sync, among them {name}-{}", first.partition))
            }
        }
    }
}

impl PartitionSource for Broker {
    fn visit(&self, show: &mut dyn FnMut(&PartitionSample<'_>)) {
        for replica in self.replicas.partitions() {
            let state = replica.lock();
            let leader = match &state.role {
                Role::Leader(leader) => Some(LeaderSample {
                    replicas: u32::try_from(leader.replicas().len()).unwrap_or(0),
                    in_sync_replicas: u32::try_from(leader.isr().len()).unwrap_or(0),
                    min_insync_replicas: u32::try_from(leader.required_in_sync()).unwrap_or(0),
                }),
                Role::Follower { .. } => None,
            };
            let high_watermark = state.high_watermark();
            let Ok(log) = state.log() else { continue };
            show(&PartitionSample {
                topic: &replica.topic,
                partition: replica.id.partition,
                log_start_offset: log.log_start_offset(),
                log_end_offset: log.log_end_offset(),
                high_watermark,
                size_bytes: log.size_bytes(),
                segments: log.segment_count() as u64,
                leader,
            });
        }
    }
}

/// The cluster, if this broker is its active controller, and the disks.
pub fn cluster_sample(broker: &Broker) -> ClusterSample {
    let dirs = broker.dirs.describe().into_iter().map(|view| DirSample {
        path: view.path,
        is_offline: view.offline.is_some(),
        free_bytes: view.free_bytes,
        total_bytes: view.total_bytes,
    });
    let controller = broker.metadata.controller().is_local.then(|| controller_sample(broker));
    ClusterSample { controller, dirs: dirs.collect() }
}

fn controller_sample(broker: &Broker) -> ControllerSample {
    let image = broker.metadata.image();
    let partitions = || image.topics().values().flat_map(|topic| topic.partitions.iter());
    ControllerSample {
        active_brokers: image.brokers().keys().filter(|id| image.is_active(**id)).count(),
        fenced_brokers: image.brokers().values().filter(|other| other.fenced).count(),
        voters: image.membership().voters.len(),
        topics: image.topics().len(),
        partitions: partitions().count(),
        offline_partitions: partitions().filter(|partition| partition.leader.is_none()).count(),
    }
}
