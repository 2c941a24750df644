//! ElectLeaders, and the leaders going back to their preferred replicas by themselves.

use super::draft::Draft;
use super::error::ApiError;
use super::partition::Election;
use super::sweep::{self, RulesOfTopic};
use super::{Controller, Outcome, Reply};
use ottla_types::{BrokerId, ErrorCode, TopicIdPartition, TopicPartition};

/// Elections that the automatic balance makes at once (`MAX_ELECTIONS_PER_IMBALANCE`).
const BALANCE_AT_ONCE: usize = 1_000;

/// Which leader is wanted (`ElectionType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum ElectionType {
    /// The preferred replica.
    Preferred,
    /// Any, even one that is not in sync.
    Unclean,
}

impl Controller {
    /// Elects leaders of the partitions, or of all; of all, those that need no election are not named in the reply.
    pub(super) fn elect_leaders(
        &mut self,
        kind: ElectionType,
        partitions: Option<Vec<TopicPartition>>,
    ) -> Outcome {
        let is_for_all = partitions.is_none();
        let partitions = partitions.unwrap_or_else(|| self.every_partition());
        let mut draft = self.draft();
        let mut results = Vec::new();
        for partition in partitions {
            let result = self.elect_leader(&mut draft, kind, &partition);
            let is_needless = matches!(&result, Err(error) if error.code == ErrorCode::ElectionNotNeeded);
            if !(is_for_all && is_needless) {
                results.push((partition, result));
            }
        }
        self.finish(draft, Reply::ElectLeaders(results))
    }

    fn every_partition(&self) -> Vec<TopicPartition> {
        let topics = self.image.topic_ids().values().filter_map(|id| self.image.topic(*id));
        let partitions = topics.flat_map(|topic| {
            (0..topic.partitions.len() as i32).map(|index| TopicPartition::new(&*topic.name, index))
        });
        partitions.collect()
    }

    fn elect_leader(
        &self,
        draft: &mut Draft,
        kind: ElectionType,
        of: &TopicPartition,
    ) -> Result<(), ApiError> {
        let unknown = |what| ApiError::new(ErrorCode::UnknownTopicOrPartition, what);
        let topic = draft.image.topic_by_name(&of.topic);
        let topic = topic.ok_or_else(|| unknown(format!("No such topic as {}", of.topic)))?;
        let key = TopicIdPartition { topic_id: topic.id, partition: of.partition };
        let partition = topic.partition(of.partition);
        let partition = partition.ok_or_else(|| unknown(format!("No such partition as {of}")))?;
        let is_needless = match kind {
            ElectionType::Preferred => partition.has_preferred_leader(),
            ElectionType::Unclean => !partition.leader.is_none(),
        };
        if is_needless {
            return Err(ErrorCode::ElectionNotNeeded.into());
        }
        let of_topic = self.rules.topic_rules(&draft.image, &topic.name);
        let mut update = sweep::update(&draft.image, partition, key, of_topic);
        (update.election, update.accept_total_loss) = match kind {
            ElectionType::Preferred => (Election::Preferred, false),
            ElectionType::Unclean => (Election::Unclean, true),
        };
        let change = update.build();
        let elected = change.as_ref().and_then(|change| change.leader).map(BrokerId);
        match (kind, elected) {
            (ElectionType::Preferred, Some(leader)) if leader == partition.preferred_leader() => {}
            (ElectionType::Preferred, _) => {
                return Err(ApiError::new(
                    ErrorCode::PreferredLeaderNotAvailable,
                    "The preferred leader was not available.",
                ));
            }
            (ElectionType::Unclean, Some(leader)) if !leader.is_none() => {}
            (ElectionType::Unclean, _) => {
                return Err(ApiError::new(
                    ErrorCode::EligibleLeadersNotAvailable,
                    "No eligible leaders are available.",
                ));
            }
        }
        sweep::apply(draft, key, change);
        Ok(())
    }

    /// Gives partitions back to their preferred leaders where those are in sync; true if more are left.
    pub(super) fn balance_leaders(&self, draft: &mut Draft) -> bool {
        let mut topic_rules = RulesOfTopic::default();
        let mut found: Vec<TopicIdPartition> = Vec::new();
        for topic in draft.image.topics().values() {
            for (index, partition) in topic.partitions.iter().enumerate() {
                let preferred = partition.preferred_leader();
                let can_lead = partition.isr.contains(&preferred)
                    && draft.image.is_active(preferred)
                    && !self.lacks_room(preferred, partition);
                if can_lead && !partition.has_preferred_leader() {
                    found.push(TopicIdPartition { topic_id: topic.id, partition: index as i32 });
                }
                if found.len() > BALANCE_AT_ONCE {
                    break;
                }
            }
        }
        let is_more = found.len() > BALANCE_AT_ONCE;
        found.truncate(BALANCE_AT_ONCE);
        for key in found {
            let Some(partition) = draft.image.partition(key) else { continue };
            let of_topic = topic_rules.get(&self.rules, &draft.image, key.topic_id);
            let mut update = sweep::update(&draft.image, partition, key, of_topic);
            update.election = Election::Preferred;
            let change = update.build();
            sweep::apply(draft, key, change);
        }
        is_more
    }
}
