//! CreatePartitions.

use super::super::draft::Draft;
use super::super::{Controller, Outcome, Reply};
use super::{ApiError, Assignment, names, place};
use crate::metadata::TopicImage;
use crate::metadata::record::{Partition, topic_id_bytes};
use ottla_types::{BrokerId, ErrorCode, limits};

/// More partitions for a topic.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct GrowTopic {
    /// Its name.
    pub name: String,
    /// How many it is to have in all.
    pub count: i32,
    /// The replicas of each new one, or `None` to let the controller decide.
    pub assignments: Option<Vec<Vec<BrokerId>>>,
}

impl Controller {
    pub(in super::super) fn create_partitions(
        &mut self,
        topics: Vec<GrowTopic>,
        validate_only: bool,
    ) -> Outcome {
        let (topics, repeated) = names::once_each(topics, |topic| &topic.name);
        let mut left = limits::PARTITIONS_CREATED_PER_REQUEST;
        let mut draft = self.draft();
        let mut results = Vec::with_capacity(topics.len());
        for topic in topics {
            let result = if repeated.contains(&topic.name) {
                Err(ApiError::new(ErrorCode::InvalidRequest, "Duplicate topic name."))
            } else {
                self.grow_topic(&mut draft, &topic, &mut left)
            };
            results.push((topic.name, result));
        }
        if validate_only {
            return Outcome::reply(Reply::CreatePartitions(results));
        }
        self.finish(draft, Reply::CreatePartitions(results))
    }

    fn grow_topic(
        &mut self,
        draft: &mut Draft,
        wanted: &GrowTopic,
        left: &mut usize,
    ) -> Result<(), ApiError> {
        let topic = draft.image.topic_by_name(&wanted.name).cloned();
        let topic = topic.ok_or(ErrorCode::UnknownTopicOrPartition)?;
        let additional = additional(&topic, wanted)?;
        if additional > *left {
            let message = "Excessively large number of partitions per request.";
            return Err(ApiError::new(ErrorCode::PolicyViolation, message));
        }
        let replication_factor =
            topic.partitions.front().map_or(1, |first| first.replicas.len() - first.adding.len()).max(1);
        let sets = match &wanted.assignments {
            Some(sets) => {
                for (index, brokers) in sets.iter().enumerate() {
                    let partition = (topic.partitions.len() + index) as i32;
                    let assignment = Assignment { partition, brokers: brokers.clone() };
                    place::check_assignment(&draft.image, &assignment, Some(replication_factor))?;
                }
                sets.clone()
            }
            None => {
                let seed = self.random.next_u64();
                place::place(&draft.image, Some(&topic), additional, replication_factor, seed)?
            }
        };
        let from = topic.partitions.len() as i32;
        let made: Result<Vec<Partition>, ApiError> =
            (from..).zip(&sets).map(|(index, set)| place::new_partition(&draft.image, index, set)).collect();
        place::push(draft, topic_id_bytes(topic.id), made?);
        *left -= additional;
        Ok(())
    }
}

/// How many partitions are wanted on top.
fn additional(topic: &TopicImage, wanted: &GrowTopic) -> Result<usize, ApiError> {
    let current = topic.partitions.len();
    let invalid = |message| Err(ApiError::new(ErrorCode::InvalidPartitions, message));
    let count = usize::try_from(wanted.count).unwrap_or(0);
    if count == current {
        return invalid(format!("Topic already has {current} partition(s)."));
    }
    if count < current {
        return invalid(format!(
            "The topic {} currently has {current} partition(s); {} would not be an increase.",
            wanted.name, wanted.count
        ));
    }
    let additional = count - current;
    match &wanted.assignments {
        Some(sets) if sets.len() != additional => Err(ApiError::new(
            ErrorCode::InvalidReplicaAssignment,
            format!(
                "Attempted to add {additional} additional partition(s), but only {} assignment(s) were specified.",
                sets.len()
            ),
        )),
        _ => Ok(additional),
    }
}
