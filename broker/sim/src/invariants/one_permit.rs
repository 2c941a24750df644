//! Two brokers never hold a restart permit at once, and no partition that could keep `min.insync.replicas` in-sync
//! replicas loses them with a permit that was not forced.

use crate::observation::Observation;
use ottla_core::metadata::{ConfigResource, Image, Permit, TopicImage};
use ottla_types::BrokerId;

/// Looks at one event.
pub fn check(observation: &Observation, broken: &mut Vec<String>) {
    let Observation::Permits { image, .. } = observation else { return };
    let permits = image.permits();
    let offset = image.offset();
    if permits.len() > 1 {
        let holders: Vec<BrokerId> = permits.keys().copied().collect();
        broken.push(format!("brokers {holders:?} hold restart permits at metadata offset {offset}"));
    }
    let Some(newest) = permits.values().max_by_key(|permit| permit.epoch).filter(|permit| !permit.forced)
    else {
        return;
    };
    for topic in image.topics().values() {
        check_topic(image, newest, topic, broken);
    }
}

fn check_topic(image: &Image, permit: &Permit, topic: &TopicImage, broken: &mut Vec<String>) {
    let own = image.config(&ConfigResource::topic(&*topic.name));
    let min: usize =
        own.and_then(|own| own.get("min.insync.replicas")).and_then(|value| value.parse().ok()).unwrap_or(1);
    for (index, partition) in topic.partitions.iter().enumerate() {
        let left = partition.isr.iter().filter(|member| **member != permit.broker_id).count();
        let counts = partition.isr.contains(&permit.broker_id) && partition.replicas.len() > min;
        if counts && left < min {
            broken.push(format!(
                "permit {} for broker {} leaves {}-{index} with {left} in-sync replicas",
                permit.epoch, permit.broker_id, topic.name
            ));
        }
    }
}
