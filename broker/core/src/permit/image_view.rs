//! The metadata image as the permit sees it.

use super::{BrokerView, PartitionView, PermitView, View};
use crate::metadata::{Image, TopicImage};
use ottla_types::{BrokerId, TopicId};

/// An image together with the topics' `min.insync.replicas`, which depend on the broker's own defaults too.
pub struct ImageView<'a> {
    image: &'a Image,
    min_insync_replicas: &'a dyn Fn(&TopicImage) -> usize,
}

impl<'a> ImageView<'a> {
    /// A view of `image`.
    #[must_use]
    pub fn new(image: &'a Image, min_insync_replicas: &'a dyn Fn(&TopicImage) -> usize) -> Self {
        Self { image, min_insync_replicas }
    }
}

impl View for ImageView<'_> {
    fn broker(&self, broker: BrokerId) -> Option<BrokerView<'_>> {
        let broker = self.image.broker(broker)?;
        Some(BrokerView { epoch: broker.epoch, is_active: broker.is_active(), rack: broker.rack.as_deref() })
    }

    fn partitions_of(&self, broker: BrokerId, each: &mut dyn FnMut(PartitionView<'_>) -> bool) {
        // Partitions come in order of their topics: ask for each topic's setting once.
        let mut topic: Option<(TopicId, &TopicImage, usize)> = None;
        for id in self.image.partitions_of(broker) {
            if topic.is_none_or(|(known, ..)| known != id.topic_id) {
                topic = self
                    .image
                    .topic(id.topic_id)
                    .map(|image| (id.topic_id, &**image, (self.min_insync_replicas)(image)));
            }
            let Some((_, image, min_insync_replicas)) = topic else { continue };
            let Some(partition) = image.partition(id.partition) else { continue };
            let view = PartitionView {
                partition: id,
                replicas: &partition.replicas,
                adding: &partition.adding,
                isr: &partition.isr,
                min_insync_replicas,
            };
            if !each(view) {
                return;
            }
        }
    }

    fn permits(&self) -> Vec<PermitView> {
        let permits = self.image.permits().values();
        permits
            .map(|permit| PermitView {
                holder: permit.broker_id,
                broker_epoch: permit.broker_epoch,
                epoch: permit.epoch,
            })
            .collect()
    }

    fn voters(&self) -> Vec<BrokerId> {
        self.image.membership().voters.iter().map(|voter| voter.broker()).collect()
    }
}
