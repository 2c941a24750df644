//! What follows for the partitions of a broker when it comes, goes or changes.

use super::draft::Draft;
use super::partition::{Election, PartitionUpdate};
use super::rules::Rules;
use crate::metadata::record::PartitionChange;
use crate::metadata::{Image, PartitionImage};
use ottla_types::{BrokerId, TopicId, TopicIdPartition};

/// The settings of a topic that elections depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TopicRules {
    /// `min.insync.replicas`, at least 1.
    pub min_insync_replicas: usize,
    /// `unclean.leader.election.enable`.
    pub unclean_election: bool,
}

impl Rules {
    /// A topic's setting as it counts in the whole cluster.
    pub(super) fn topic_value(&self, image: &Image, topic: &str, key: &str) -> Option<String> {
        image.topic_value(topic, key, BrokerId::NONE, &self.file)
    }

    /// The settings that elections depend on.
    pub(super) fn topic_rules(&self, image: &Image, topic: &str) -> TopicRules {
        let min_insync = self.topic_value(image, topic, "min.insync.replicas");
        let unclean = self.topic_value(image, topic, "unclean.leader.election.enable");
        TopicRules {
            min_insync_replicas: min_insync.and_then(|value| value.trim().parse().ok()).unwrap_or(1).max(1),
            unclean_election: unclean.is_some_and(|value| value.trim().eq_ignore_ascii_case("true")),
        }
    }
}

/// The rules of the topic at hand, kept while partitions come topic by topic.
#[derive(Debug, Default)]
pub(super) struct RulesOfTopic(Option<(TopicId, TopicRules)>);

impl RulesOfTopic {
    pub fn get(&mut self, rules: &Rules, image: &Image, id: TopicId) -> TopicRules {
        if let Some((known, found)) = self.0
            && known == id
        {
            return found;
        }
        let name = image.topic(id).map_or("", |topic| &*topic.name);
        let found = rules.topic_rules(image, name);
        self.0 = Some((id, found));
        found
    }
}

/// Why the partitions of a broker are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// It is not active any more, or a disk of it is not there.
    Gone,
    /// It came back after it stopped without warning: what it had not flushed may be lost.
    UncleanShutdown,
}

/// Takes a broker out of the ISRs and leaderships that it may not have any more.
pub(super) fn leave(draft: &mut Draft, rules: &Rules, broker: BrokerId, cause: Cause) {
    let partitions: Vec<TopicIdPartition> = draft.image.partitions_of(broker).collect();
    let mut topic_rules = RulesOfTopic::default();
    for key in partitions {
        let Some(partition) = draft.image.partition(key) else { continue };
        let is_concerned = partition.leader == broker
            || partition.isr.contains(&broker)
            || (cause == Cause::UncleanShutdown && partition.elr.contains(&broker));
        if !is_concerned {
            continue;
        }
        let of_topic = topic_rules.get(rules, &draft.image, key.topic_id);
        let mut update = update(&draft.image, partition, key, of_topic);
        if cause == Cause::UncleanShutdown {
            update.unclean_shutdown = Some(broker);
        }
        apply(draft, key, update.build());
    }
}

/// Elects leaders where there are none and this broker can be one.
pub(super) fn come(draft: &mut Draft, rules: &Rules, broker: BrokerId) {
    let leaderless: Vec<TopicIdPartition> = draft.image.leaderless().iter().copied().collect();
    let mut topic_rules = RulesOfTopic::default();
    for key in leaderless {
        let Some(partition) = draft.image.partition(key) else { continue };
        if partition.replicas.contains(&broker) {
            let of_topic = topic_rules.get(rules, &draft.image, key.topic_id);
            let change = update(&draft.image, partition, key, of_topic).build();
            apply(draft, key, change);
        }
    }
}

/// An update that elects as the topic's settings allow.
pub(super) fn update<'a>(
    image: &'a Image,
    partition: &'a PartitionImage,
    key: TopicIdPartition,
    of_topic: TopicRules,
) -> PartitionUpdate<'a> {
    let mut update = PartitionUpdate::new(image, partition, key.partition, of_topic.min_insync_replicas);
    if of_topic.unclean_election {
        update.election = Election::Unclean;
    }
    update
}

/// Adds a change if there is one.
pub(super) fn apply(draft: &mut Draft, key: TopicIdPartition, change: Option<PartitionChange>) {
    if let Some(change) = change {
        draft.change_partition(key, change);
    }
}
