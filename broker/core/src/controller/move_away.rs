//! Replicas that nobody else has leave a broker before it may stop, if that is the policy.

use super::permits::{AskPermit, PermitAnswer};
use super::topics;
use super::{Controller, Draft, Outcome, Reply};
use crate::permit::{Policy, Reasons, Unsparable};
use crate::placement::{self, Availability};
use ottla_types::{BrokerId, TopicPartition};

/// Partitions that begin to move at each request; whoever waits for the permit asks again.
const AT_ONCE: usize = 200;

impl Controller {
    /// A refusal. If it is one because of replicas that are to move away first, they begin to.
    pub(super) fn refuse_permit(
        &mut self,
        request: &AskPermit,
        policy: &Policy,
        reasons: Reasons,
    ) -> Outcome {
        let reply = Reply::Permit(PermitAnswer::Refused(reasons));
        let is_for_real = !request.dry_run && self.image.broker(request.broker).is_some();
        if !is_for_real || policy.single_replica != Unsparable::MoveAwayFirst {
            return Outcome::reply(reply);
        }
        let mut draft = self.draft();
        self.move_single_replicas(&mut draft, request.broker);
        self.finish(draft, reply)
    }

    fn move_single_replicas(&mut self, draft: &mut Draft, broker: BrokerId) {
        let image = &self.image;
        let on_it = image.partitions_of(broker).filter_map(|key| {
            let (topic, partition) = (image.topic(key.topic_id)?, image.partition(key)?);
            let is_single = partition.replicas == [broker] && partition.isr == [broker];
            is_single.then(|| TopicPartition::new(topic.name.to_string(), key.partition))
        });
        let moving: Vec<TopicPartition> = on_it.take(AT_ONCE).collect();
        let mut brokers = topics::brokers(image, None);
        brokers.retain(|other| other.availability == Availability::Active && other.id != broker);
        let seed = self.random.next_u64();
        // Without another broker nothing can move, and the refusal says what it waits for.
        let Ok(targets) = placement::place(&brokers, moving.len(), 1, seed) else { return };
        for (partition, target) in moving.iter().zip(targets) {
            if let Err(error) = self.reassign_one(draft, partition, Some(target), false) {
                debug_assert!(false, "{partition}: {error}");
            }
        }
    }
}
