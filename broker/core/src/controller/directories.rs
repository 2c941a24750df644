//! AssignReplicasToDirs: where replicas are (KIP-858).

use super::draft::Draft;
use super::{Controller, Outcome, Reply, sweep};
use crate::metadata::{BrokerImage, LOST_DIRECTORY};
use ottla_types::{BrokerEpoch, BrokerId, DirectoryId, ErrorCode, TopicIdPartition};
use std::collections::BTreeSet;

/// A broker tells in which of its directories replicas are; [`LOST_DIRECTORY`] for one whose log is gone or damaged.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct AssignReplicas {
    /// The broker.
    pub broker: BrokerId,
    /// Its registration.
    pub epoch: BrokerEpoch,
    /// The directory of each replica.
    pub replicas: Vec<(TopicIdPartition, DirectoryId)>,
    /// Those of them whose logs are as they were when they were last seen, though they counted as lost.
    #[serde(default)]
    pub found: BTreeSet<TopicIdPartition>,
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
            let result =
                self.assign_replica(&mut draft, (&known, request.found.contains(key)), *key, *directory);
            (*key, result)
        });
        let results = results.collect();
        self.finish(draft, Reply::AssignReplicas(Ok(results)))
    }

    fn assign_replica(
        &self,
        draft: &mut Draft,
        (broker, is_found): (&BrokerImage, bool),
        key: TopicIdPartition,
        directory: DirectoryId,
    ) -> Result<(), ErrorCode> {
        let topic = draft.image.topic(key.topic_id).ok_or(ErrorCode::UnknownTopicId)?;
        let partition = topic.partition(key.partition).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        if !partition.replicas.contains(&broker.id) {
            return Err(ErrorCode::NotLeaderOrFollower);
        }
        if directory == LOST_DIRECTORY {
            self.lose_replica(draft, broker.id, key);
            return Ok(());
        }
        if directory.is_zero() || !broker.is_online(directory) {
            return Err(ErrorCode::LogDirNotFound);
        }
        let place = partition.directory(broker.id);
        let is_restored = is_found && place == LOST_DIRECTORY;
        let is_replaced = !is_restored && !broker.is_online(place);
        if is_replaced && partition.leader.is_none() {
            // The disk that is not there may be the last with the data: it has to be known where that was.
            return Err(ErrorCode::KafkaStorageError);
        }
        let of_topic = self.rules.topic_rules(&draft.image, &topic.name);
        let mut update = sweep::update(&draft.image, partition, key, of_topic);
        update.assigned = vec![(broker.id, directory)];
        // A leader without its disk was elected by an administrator who knows: there is nothing else to keep.
        update.lost = (is_replaced && partition.leader != broker.id).then_some(broker.id);
        let change = update.build();
        sweep::apply(draft, key, change);
        Ok(())
    }

    /// A replica's log is not there. If somebody else can lead, the replica is filled again like a new one. If not, it
    /// was the last that had everything: the partition stays without a leader, and it stays known who had the records.
    fn lose_replica(&self, draft: &mut Draft, broker: BrokerId, key: TopicIdPartition) {
        let (Some(topic), Some(partition)) = (draft.image.topic(key.topic_id), draft.image.partition(key))
        else {
            return;
        };
        let of_topic = self.rules.topic_rules(&draft.image, &topic.name);
        let lose = |lost: Option<BrokerId>| {
            let mut update = sweep::update(&draft.image, partition, key, of_topic);
            update.assigned = vec![(broker, LOST_DIRECTORY)];
            update.lost = lost;
            update.build()
        };
        let forgotten = lose(Some(broker));
        let is_leaderless = match forgotten.as_ref().and_then(|change| change.leader) {
            Some(leader) => BrokerId(leader).is_none(),
            None => partition.leader.is_none(),
        };
        let change = if is_leaderless { lose(None) } else { forgotten };
        sweep::apply(draft, key, change);
    }
}
