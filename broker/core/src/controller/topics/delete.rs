//! DeleteTopics, by name or by id.

use super::super::{Controller, Outcome, Reply};
use super::{ApiError, TopicRef};
use crate::metadata::Image;
use crate::metadata::record::{RemoveTopic, topic_id_bytes};
use ottla_types::{ErrorCode, TopicId};
use std::collections::{BTreeMap, BTreeSet};

impl Controller {
    pub(in super::super) fn delete_topics(&mut self, topics: Vec<TopicRef>) -> Outcome {
        // A topic that is named twice, be it once by name and once by id, is not deleted at all.
        let mut times: BTreeMap<TopicId, usize> = BTreeMap::new();
        for id in topics.iter().filter_map(|topic| find(&self.image, topic).ok()) {
            *times.entry(id).or_default() += 1;
        }
        let mut draft = self.draft();
        let mut results = Vec::with_capacity(topics.len());
        let mut refused = BTreeSet::new();
        for topic in topics {
            let id = find(&draft.image, &topic).ok();
            if id.is_some_and(|id| times.get(&id).is_some_and(|&times| times > 1) && !refused.insert(id)) {
                continue;
            }
            let result = find(&draft.image, &topic).and_then(|id| {
                if times.get(&id).is_some_and(|&times| times > 1) {
                    let message = "Duplicate topic name.";
                    return Err(ApiError::new(ErrorCode::InvalidRequest, message));
                }
                let name = draft.image.topic(id).map_or_else(String::new, |topic| topic.name.to_string());
                draft.push(RemoveTopic { topic_id: topic_id_bytes(id) });
                Ok((id, name))
            });
            results.push((topic, result));
        }
        self.finish(draft, Reply::DeleteTopics(results))
    }
}

fn find(image: &Image, topic: &TopicRef) -> Result<TopicId, ApiError> {
    match topic {
        TopicRef::Name(name) => image.topic_id(name).ok_or_else(|| ErrorCode::UnknownTopicOrPartition.into()),
        TopicRef::Id(TopicId::ZERO) => {
            let message = "Neither topic name nor id were specified.";
            Err(ApiError::new(ErrorCode::InvalidRequest, message))
        }
        TopicRef::Id(id) if image.topic(*id).is_some() => Ok(*id),
        TopicRef::Id(_) => Err(ErrorCode::UnknownTopicId.into()),
    }
}
