//! AlterPartition: a leader says who is in sync (KIP-497, KIP-903).

use super::draft::Draft;
use super::{Controller, Outcome, Reply, sweep};
use crate::metadata::{Image, PartitionImage};
use ottla_types::{
    BrokerEpoch, BrokerId, DirectoryId, ErrorCode, LeaderEpoch, PartitionEpoch, TopicId, TopicIdPartition,
};

/// What a leader asks for one partition.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct IsrChange {
    /// The partition's index.
    pub partition: i32,
    /// The epoch in which it leads.
    pub leader_epoch: LeaderEpoch,
    /// The partition's state that it knows.
    pub partition_epoch: PartitionEpoch,
    /// Who is in sync, with the registration that the leader knows of each; none to not check it.
    pub isr: Vec<(BrokerId, BrokerEpoch)>,
    /// It has not recovered from an unclean election yet.
    pub recovering: bool,
}

/// A partition as it is after that.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PartitionState {
    /// The leader, or none.
    pub leader: BrokerId,
    /// Its epoch.
    pub leader_epoch: LeaderEpoch,
    /// Who is in sync.
    pub isr: Vec<BrokerId>,
    /// The leader has not recovered from an unclean election yet.
    pub recovering: bool,
    /// The state's epoch.
    pub partition_epoch: PartitionEpoch,
}

/// The answer for each partition of each topic, in the order of the request.
pub type AlteredPartitions = Vec<(TopicId, Vec<(i32, Result<PartitionState, ErrorCode>)>)>;

impl Controller {
    pub(super) fn alter_partition(
        &mut self,
        broker: BrokerId,
        epoch: BrokerEpoch,
        topics: &[(TopicId, Vec<IsrChange>)],
    ) -> Outcome {
        if let Err(error) = self.check_broker(broker, epoch) {
            return Outcome::reply(Reply::AlterPartition(Err(error)));
        }
        let mut draft = self.draft();
        let mut results = AlteredPartitions::with_capacity(topics.len());
        for (topic_id, changes) in topics {
            let altered = changes.iter().map(|change| {
                let result = self.alter_isr(&mut draft, broker, *topic_id, change);
                (change.partition, result)
            });
            results.push((*topic_id, altered.collect()));
        }
        self.finish(draft, Reply::AlterPartition(Ok(results)))
    }

    fn alter_isr(
        &self,
        draft: &mut Draft,
        broker: BrokerId,
        topic_id: TopicId,
        change: &IsrChange,
    ) -> Result<PartitionState, ErrorCode> {
        let topic = draft.image.topic(topic_id).ok_or(ErrorCode::UnknownTopicId)?;
        let key = TopicIdPartition { topic_id, partition: change.partition };
        let partition = topic.partition(change.partition).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        check(&draft.image, partition, broker, change)?;
        let of_topic = self.rules.topic_rules(&draft.image, &topic.name);
        let mut update = sweep::update(&draft.image, partition, key, of_topic);
        update.isr = change.isr.iter().map(|(member, _)| *member).collect();
        update.recovering = change.recovering;
        update.assigned = places_of_new_members(&draft.image, partition, &update.isr);
        let built = update.build();
        sweep::apply(draft, key, built);

        let after = draft.image.partition(key).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        if after.leader != broker {
            // A reassignment is through and has taken this replica away, or the leader is not active any more.
            return Err(ErrorCode::NewLeaderElected);
        }
        Ok(PartitionState {
            leader: after.leader,
            leader_epoch: after.leader_epoch,
            isr: after.isr.clone(),
            recovering: after.recovering,
            partition_epoch: after.partition_epoch,
        })
    }
}

fn check(
    image: &Image,
    partition: &PartitionImage,
    broker: BrokerId,
    change: &IsrChange,
) -> Result<(), ErrorCode> {
    if change.leader_epoch > partition.leader_epoch || change.partition_epoch > partition.partition_epoch {
        // The leader knows more than this controller, which is therefore not the controller any more.
        return Err(ErrorCode::NotController);
    }
    if change.leader_epoch < partition.leader_epoch {
        return Err(ErrorCode::FencedLeaderEpoch);
    }
    if broker != partition.leader {
        return Err(ErrorCode::InvalidRequest);
    }
    if change.partition_epoch < partition.partition_epoch {
        return Err(ErrorCode::InvalidUpdateVersion);
    }
    let members: Vec<BrokerId> = change.isr.iter().map(|(member, _)| *member).collect();
    let is_repeated = members.iter().enumerate().any(|(index, member)| members[..index].contains(member));
    let is_subset = members.iter().all(|member| partition.replicas.contains(member));
    if !is_subset || is_repeated || !members.contains(&broker) {
        return Err(ErrorCode::InvalidRequest);
    }
    let grows_while_recovering = change.recovering && members.len() > 1;
    if grows_while_recovering || (change.recovering && !partition.recovering) {
        return Err(ErrorCode::InvalidRequest);
    }
    let ineligible = change.isr.iter().any(|(member, epoch)| {
        let known = image.broker(*member).filter(|known| known.is_active());
        known.is_none_or(|known| !epoch.is_none() && *epoch != known.epoch)
    });
    if ineligible { Err(ErrorCode::IneligibleReplica) } else { Ok(()) }
}

/// A replica that is in sync again after its disk was replaced is on one of the disks that are there now.
fn places_of_new_members(
    image: &Image,
    partition: &PartitionImage,
    isr: &[BrokerId],
) -> Vec<(BrokerId, DirectoryId)> {
    let new = isr.iter().filter(|member| !partition.isr.contains(member));
    new.filter_map(|&member| {
        let known = image.broker(member)?;
        if known.is_online(partition.directory(member)) {
            return None;
        }
        match &known.directories[..] {
            [only] => Some((member, *only)),
            _ => Some((member, DirectoryId::ZERO)),
        }
    })
    .collect()
}
