//! The checks when all is over.

use super::World;
use crate::client::{Client, Member};
use crate::group_message::TOPIC;
use crate::invariants::{
    acks_survive, groups_recover, metadata_agrees, no_duplicates, order, recovers, replica_logs,
};
use ottla_core::metadata::Image;
use ottla_types::TopicIdPartition;
use std::collections::BTreeMap;

impl World {
    pub(super) fn check_end(&mut self) {
        let mut broken = Vec::new();
        acks_survive::check(&self.oracle, &mut broken);
        let clients = &self.clients;
        let is_idempotent = |producer: u32| matches!(clients.get(&producer), Some(Client::Producer(producer)) if producer.config().idempotent);
        order::check(&self.oracle, is_idempotent, &mut broken);
        no_duplicates::check(&self.oracle, is_idempotent, &mut broken);
        let running = self.slots.iter().filter(|(_, slot)| !slot.is_retired());
        for (id, slot) in running.clone() {
            match slot.process() {
                Some(process) => recovers::check_metadata(&process.image, &mut broken),
                None => broken.push(format!("broker {id} does not run after the faults")),
            }
        }
        let images =
            running.filter_map(|(_, slot)| slot.process()).map(|process| (process.id, &process.image));
        metadata_agrees::check(images, &mut broken);
        if let Some(image) = self.newest_image().cloned() {
            self.check_clients(&image, &mut broken);
            for process in self.slots.values_mut().filter_map(|slot| slot.process_mut()) {
                replica_logs::check(&self.oracle, &image, process, &mut broken);
            }
        }
        if self.oracle.acknowledged == 0 {
            broken.push("nothing was ever acknowledged".to_owned());
        }
        self.broken.extend(broken);
    }

    fn check_clients(&self, image: &Image, broken: &mut Vec<String>) {
        let is_there = |id: &TopicIdPartition| image.partition(*id).is_some();
        let committed = self.oracle.committed.iter().filter(|(id, _)| {
            is_there(id) && image.topic(id.topic_id).is_some_and(|topic| !topic.name.starts_with("__"))
        });
        let committed = committed.map(|(id, records)| (*id, records.len())).collect();
        let mut groups: BTreeMap<&str, Vec<&Member>> = BTreeMap::new();
        for (id, client) in &self.clients {
            match client {
                Client::Producer(producer) if producer.is_busy() => {
                    broken.push(format!("producer {id} still waits for an acknowledgement after the faults"));
                }
                Client::Consumer(consumer) => {
                    recovers::check_consumed(consumer.positions(), &committed, broken);
                }
                Client::Member(member) => groups.entry(member.group()).or_default().push(member),
                Client::Producer(_) | Client::Administrator(_) => {}
            }
        }
        let topic = image.topic_by_name(TOPIC);
        let partitions: Vec<TopicIdPartition> = topic.map_or_else(Vec::new, |topic| {
            let count = i32::try_from(topic.partitions.len()).unwrap_or(0);
            (0..count).map(|partition| TopicIdPartition { topic_id: topic.id, partition }).collect()
        });
        for (group, members) in groups {
            groups_recover::check(&self.oracle, group, &members, &partitions, broken);
        }
    }
}
