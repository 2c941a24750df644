//! CreateTopics.

use super::super::configs;
use super::super::draft::Draft;
use super::super::{Controller, Outcome, Reply};
use super::{ApiError, CreateTopic, CreatedTopic, names, place};
use crate::metadata::record::{Config, Partition, Topic, topic_id_bytes};
use crate::metadata::{ConfigResourceKind, Image};
use ottla_types::{BrokerId, ErrorCode, TopicId, limits};
use std::collections::BTreeMap;

impl Controller {
    pub(in super::super) fn create_topics(
        &mut self,
        topics: Vec<CreateTopic>,
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
                self.create_topic(&mut draft, &topic, &mut left)
            };
            results.push((topic.name, result));
        }
        if validate_only {
            for created in results.iter_mut().filter_map(|(_, result)| result.as_mut().ok()) {
                created.topic_id = TopicId::ZERO;
            }
            return Outcome::reply(Reply::CreateTopics(results));
        }
        self.finish(draft, Reply::CreateTopics(results))
    }

    fn create_topic(
        &mut self,
        draft: &mut Draft,
        topic: &CreateTopic,
        left: &mut usize,
    ) -> Result<CreatedTopic, ApiError> {
        if draft.image.topic_id(&topic.name).is_some() {
            let message = format!("Topic '{}' already exists.", topic.name);
            return Err(ApiError::new(ErrorCode::TopicAlreadyExists, message));
        }
        names::check(&topic.name)?;
        names::check_collision(&draft.image, &topic.name)?;
        for (key, value) in &topic.configs {
            let value = value.as_ref().ok_or_else(|| null_value(key))?;
            configs::check(ConfigResourceKind::Topic, &topic.name, key, value)?;
        }
        let sets = self.replica_sets(&draft.image, topic, *left)?;
        let indexed = sets.iter().enumerate();
        let made: Result<Vec<Partition>, ApiError> =
            indexed.map(|(index, set)| place::new_partition(&draft.image, index as i32, set)).collect();
        let partitions = made?;
        *left -= sets.len();

        let topic_id = self.new_topic_id(&draft.image);
        draft.push(Topic { name: topic.name.clone(), topic_id: topic_id_bytes(topic_id) });
        let configs: BTreeMap<&String, &String> =
            topic.configs.iter().filter_map(|(key, value)| Some((key, value.as_ref()?))).collect();
        for (key, value) in configs {
            draft.push(Config {
                resource_type: ConfigResourceKind::Topic.id(),
                resource_name: topic.name.clone(),
                key: key.clone(),
                value: Some(value.clone()),
            });
        }
        place::push(draft, topic_id_bytes(topic_id), partitions);
        Ok(CreatedTopic {
            topic_id,
            partitions: sets.len() as i32,
            replication_factor: sets.first().map_or(0, Vec::len) as i16,
        })
    }

    /// The replicas of each partition, as they were asked for or as placement wants them.
    fn replica_sets(
        &mut self,
        image: &Image,
        topic: &CreateTopic,
        left: usize,
    ) -> Result<Vec<Vec<BrokerId>>, ApiError> {
        if !topic.assignments.is_empty() {
            return manual_sets(image, topic, left);
        }
        if topic.replication_factor < -1 || topic.replication_factor == 0 {
            let message = "Replication factor must be larger than 0, or -1 to use the default value.";
            return Err(ApiError::new(ErrorCode::InvalidReplicationFactor, message));
        }
        if topic.partitions < -1 || topic.partitions == 0 {
            let message = "Number of partitions was set to an invalid non-positive value.";
            return Err(ApiError::new(ErrorCode::InvalidPartitions, message));
        }
        let partitions =
            if topic.partitions == -1 { self.rules.default_partitions } else { topic.partitions };
        let replication_factor = match topic.replication_factor {
            -1 => self.rules.default_replication_factor,
            wanted => wanted,
        };
        let partitions = usize::try_from(partitions).unwrap_or(0);
        check_limit(partitions, left)?;
        let replication_factor = usize::try_from(replication_factor).unwrap_or(0);
        place::place(image, None, partitions, replication_factor, self.random.next_u64())
    }

    fn new_topic_id(&mut self, image: &Image) -> TopicId {
        loop {
            let id = TopicId(self.random.uuid());
            // Kafka's tools take a leading '-' for an option.
            if image.topic(id).is_none() && !id.to_string().starts_with('-') {
                return id;
            }
        }
    }
}

fn null_value(key: &str) -> ApiError {
    ApiError::new(ErrorCode::InvalidConfig, format!("Null value not supported for topic configs: {key}"))
}

fn check_limit(partitions: usize, left: usize) -> Result<(), ApiError> {
    if partitions > left {
        let message = "Excessively large number of partitions per request.";
        return Err(ApiError::new(ErrorCode::PolicyViolation, message));
    }
    Ok(())
}

fn manual_sets(image: &Image, topic: &CreateTopic, left: usize) -> Result<Vec<Vec<BrokerId>>, ApiError> {
    let wrong = |what: &str| {
        let message = format!("A manual partition assignment was specified, but {what} was not set to -1.");
        Err(ApiError::new(ErrorCode::InvalidRequest, message))
    };
    if topic.replication_factor != -1 {
        return wrong("replication factor");
    }
    if topic.partitions != -1 {
        return wrong("numPartitions");
    }
    check_limit(topic.assignments.len(), left)?;
    let mut sets: BTreeMap<i32, &Vec<BrokerId>> = BTreeMap::new();
    let mut replication_factor = None;
    for assignment in &topic.assignments {
        if sets.insert(assignment.partition, &assignment.brokers).is_some() {
            let message =
                format!("Found multiple manual partition assignments for partition {}", assignment.partition);
            return Err(ApiError::new(ErrorCode::InvalidReplicaAssignment, message));
        }
        place::check_assignment(image, assignment, replication_factor)?;
        replication_factor = Some(assignment.brokers.len());
    }
    if sets.keys().copied().ne(0..sets.len() as i32) {
        let message = "partitions should be a consecutive 0-based integer sequence";
        return Err(ApiError::new(ErrorCode::InvalidReplicaAssignment, message));
    }
    Ok(sets.into_values().cloned().collect())
}
