//! Brokers without room on a disk: they serve what they have and take no records, so others lead in their place.
//!
//! What is full is told with each heartbeat and not kept in the log. A broker stays in sync for as long as it is, and
//! leads on where nobody else in sync has room: reads go on there. Leaders come back as by any other election.

use super::sweep::{self, RulesOfTopic};
use super::{Controller, Draft};
use crate::metadata::PartitionImage;
use ottla_types::{BrokerId, TopicIdPartition};

impl Controller {
    /// Elects others where this broker leads without room.
    pub(super) fn hand_over_full(&self, draft: &mut Draft, broker: BrokerId) {
        if self.sessions.get(broker).is_none_or(|session| session.full_directories.is_empty()) {
            return;
        }
        let led = draft.image.partitions_of(broker).filter(|key| {
            let partition = draft.image.partition(*key);
            partition.is_some_and(|partition| {
                partition.leader == broker && partition.isr.len() > 1 && self.lacks_room(broker, partition)
            })
        });
        let led: Vec<TopicIdPartition> = led.collect();
        let mut topic_rules = RulesOfTopic::default();
        for key in led {
            let Some(partition) = draft.image.partition(key) else { continue };
            let of_topic = topic_rules.get(&self.rules, &draft.image, key.topic_id);
            let mut update = sweep::update(&draft.image, partition, key, of_topic);
            let full = partition.isr.iter().filter(|&&member| self.lacks_room(member, partition));
            update.last_choice = full.copied().collect();
            let change = update.build();
            sweep::apply(draft, key, change);
        }
    }

    /// The replica's disk has no room. Where that replica is may not be known yet: then if any disk has none.
    pub(super) fn lacks_room(&self, broker: BrokerId, partition: &PartitionImage) -> bool {
        let Some(session) = self.sessions.get(broker).filter(|session| !session.full_directories.is_empty())
        else {
            return false;
        };
        let directory = partition.directory(broker);
        directory.is_zero() || session.full_directories.contains(&directory)
    }
}
