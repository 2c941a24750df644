//! AssignReplicasToDirs: where replicas are (KIP-858).

use super::draft::Draft;
use super::{Controller, Outcome, Reply, sweep};
use crate::metadata::BrokerImage;
use ottla_types::{BrokerEpoch, BrokerId, DirectoryId, ErrorCode, TopicIdPartition};

/// A broker tells in which of its directories replicas are.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct AssignReplicas {
    /// The broker.
    pub broker: BrokerId,
    /// Its registration.
    pub epoch: BrokerEpoch,
    /// The directory of each replica.
    pub replicas: Vec<(TopicIdPartition, DirectoryId)>,
}

/// What became of each replica.
pub type AssignedReplicas = Vec<(TopicIdPartition, Result<(), ErrorCode>)>;

impl Controller {
    pub(super) fn assign_replicas(&mut self, request: &AssignReplicas) -> Outcome {
        let known = match self.check_broker(request.broker, request.epoch) {
            Ok(known) => known.clone(),
            Err(error) => return Outcome::reply(Reply::AssignReplicas(Err(error))),
        };
        let mut draft = self.draft();
        let assigned = request.replicas.iter();
        let results = assigned.map(|(key, directory)| {
            let result = self.assign_replica(&mut draft, &known, *key, *directory);
            (*key, result)
        });
        let results = results.collect();
        self.finish(draft, Reply::AssignReplicas(Ok(results)))
    }

    fn assign_replica(
        &self,
        draft: &mut Draft,
        broker: &BrokerImage,
        key: TopicIdPartition,
        directory: DirectoryId,
    ) -> Result<(), ErrorCode> {
        let topic = draft.image.topic(key.topic_id).ok_or(ErrorCode::UnknownTopicId)?;
        let partition = topic.partition(key.partition).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        if !partition.replicas.contains(&broker.id) {
            return Err(ErrorCode::NotLeaderOrFollower);
        }
        if directory.is_zero() || !broker.is_online(directory) {
            return Err(ErrorCode::LogDirNotFound);
        }
        let is_replaced = !broker.is_online(partition.directory(broker.id));
        if is_replaced && partition.leader.is_none() {
            // The disk that is not there may be the last with the data: it has to be known where that was.
            return Err(ErrorCode::KafkaStorageError);
        }
        let of_topic = self.rules.topic_rules(&draft.image, &topic.name);
        let mut update = sweep::update(&draft.image, partition, key, of_topic);
        update.assigned = vec![(broker.id, directory)];
        update.lost = is_replaced.then_some(broker.id);
        let change = update.build();
        sweep::apply(draft, key, change);
        Ok(())
    }
}
