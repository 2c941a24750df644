//! How the broker is, for probes and metrics.

use crate::broker::Broker;
use crate::http::Health;
use crate::metrics::{LeaderSample, PartitionSample, PartitionSource};
use crate::replicas::Role;

impl Health for Broker {
    fn live(&self) -> Result<(), String> {
        Ok(())
    }

    fn ready(&self) -> Result<(), String> {
        if !self.metadata.image().is_active(self.id()) {
            return Err("not registered with the controller".to_owned());
        }
        Ok(())
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
