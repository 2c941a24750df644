//! Where a replica's log is: found, made, or missing.
//!
//! A replica whose log is gone never comes back as an empty one while it could be the last that had the records: the
//! controller is told that it is lost, and only when somebody else leads is it made anew and filled again.

use super::ReplicaApplier;
use crate::replicas::Topic;
use crate::replicas::partition::{Partition, Placed};
use ottla_core::metadata::{Image, LOST_DIRECTORY, PartitionImage};
use ottla_storage::{CreateError, LogHandle};
use ottla_types::{DirectoryId, TopicIdPartition, TopicPartition};
use std::sync::Arc;

impl ReplicaApplier {
    pub(super) fn make_replica(
        &self,
        image: &Image,
        topic: &Topic,
        id: TopicIdPartition,
        partition: &PartitionImage,
    ) -> Arc<Partition> {
        let name = TopicPartition::new(&*topic.name, id.partition);
        let log = match self.may_begin_anew(image, partition) {
            true => self.begin_anew(topic, &name, id, partition),
            false => {
                let wanted = Some(partition.directory(self.me)).filter(|directory| !directory.is_zero());
                self.open_log(topic, &name, (id, partition), wanted)
            }
        };
        if let Err(reason) = &log {
            tracing::error!(%name, reason, "a replica has no log and stays offline");
        }
        Partition::new(id, topic.name.clone(), log, self.outbox.clone())
    }

    /// A replica that had no log may have one now: others hold what it held.
    pub(super) fn try_again(
        &self,
        image: &Image,
        topic: &Topic,
        replica: &Partition,
        partition: &PartitionImage,
    ) {
        if replica.lock().log.is_ok() || !self.may_begin_anew(image, partition) {
            return;
        }
        let name = TopicPartition::new(&*topic.name, replica.id.partition);
        let log = self.begin_anew(topic, &name, replica.id, partition);
        replica.lock().log = log;
    }

    /// This broker is registered now, or is so again: what it may do is decided by what the cluster is now.
    pub(super) fn retry_without_log(&mut self, image: &Image) {
        for replica in self.replicas.partitions() {
            if replica.lock().log.is_err()
                && let Some(topic) = image.topic(replica.id.topic_id)
                && let Some(partition) = topic.partition(replica.id.partition)
            {
                self.apply_partition(image, topic, replica.id, partition);
            }
        }
    }

    /// True if what this replica held is not here any more, and nothing is lost with it: somebody else leads, or an
    /// administrator wants an empty one to lead. Only the present counts, not what the metadata said in the past.
    fn may_begin_anew(&self, image: &Image, partition: &PartitionImage) -> bool {
        let directory = partition.directory(self.me);
        let is_gone = !directory.is_zero() && !self.dirs.directory_ids().contains(&directory);
        let is_present = image.broker(self.me).is_some_and(|me| me.incarnation_id == self.incarnation_id);
        let others_lead =
            !partition.leader.is_none() && partition.leader != self.me && !partition.isr.contains(&self.me);
        let is_wanted = partition.leader == self.me && partition.recovering && directory == LOST_DIRECTORY;
        // A disk that only failed may be back after the next start, with what is on it.
        let may_come_back = directory != LOST_DIRECTORY && !self.dirs.offline_dirs().is_empty();
        is_gone && is_present && (others_lead || is_wanted) && !may_come_back
    }

    fn begin_anew(
        &self,
        topic: &Topic,
        name: &TopicPartition,
        id: TopicIdPartition,
        partition: &PartitionImage,
    ) -> Result<LogHandle, String> {
        if self.dirs.is_whole(name) {
            // It was filled again before, and the controller does not know yet where it is.
            return self.open_log(topic, name, (id, partition), None);
        }
        tracing::warn!(%name, leader = %partition.leader, "a replica whose log is gone begins anew");
        self.dirs.give_up(name, id.topic_id).map_err(|error| error.to_string())?;
        self.open_log(topic, name, (id, partition), None)
    }

    fn open_log(
        &self,
        topic: &Topic,
        name: &TopicPartition,
        (id, partition): (TopicIdPartition, &PartitionImage),
        wanted: Option<DirectoryId>,
    ) -> Result<LogHandle, String> {
        let known = partition.directory(self.me);
        let was_here = self.dirs.is_whole(name);
        let settings = topic.settings.load();
        let now = self.clock.wall_ms();
        let mut created = self.dirs.create(name, id.topic_id, wanted, settings.log.clone(), now);
        if let Err(CreateError::OtherTopic { found, .. }) = &created {
            // What a topic of this name left behind that was deleted while this broker was away.
            tracing::info!(%name, %found, "removing the log of a deleted topic");
            self.dirs.delete(name, now).map_err(|error| error.to_string())?;
            created = self.dirs.create(name, id.topic_id, wanted, settings.log.clone(), now);
        }
        let log = created.map_err(|error| self.report_lost(id, known, &error))?;
        log.lock().set_config(settings.log.clone());
        if let Some(directory) = self.dirs.directory_of(name)
            && directory != known
        {
            // The receiving end lives as long as the broker.
            let _ = self.outbox.placed.send((id, Placed { directory, found: was_here }));
        }
        Ok(log)
    }

    /// Tells the controller, so that others lead, and returns why there is no log.
    fn report_lost(&self, id: TopicIdPartition, known: DirectoryId, error: &CreateError) -> String {
        if matches!(error, CreateError::Lost { .. } | CreateError::Offline { .. }) && known != LOST_DIRECTORY
        {
            let _ = self.outbox.placed.send((id, Placed::LOST));
        }
        error.to_string()
    }
}
