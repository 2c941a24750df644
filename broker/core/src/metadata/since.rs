//! What differs between two images that readers hold, at a cost in proportion to what does.

use super::image::{Image, TopicImage};
use imbl::ordmap::DiffItem;
use std::sync::Arc;

impl Image {
    /// Topics of `old` that are not here any more, as they were.
    #[must_use]
    pub fn topics_gone_since(&self, old: &Self) -> Vec<Arc<TopicImage>> {
        let gone = old.topics.diff(&self.topics).filter_map(|item| match item {
            DiffItem::Remove(_, topic) => Some(topic.clone()),
            DiffItem::Add(..) | DiffItem::Update { .. } => None,
        });
        gone.collect()
    }

    /// True if no resource's settings changed.
    #[must_use]
    pub fn has_configs_of(&self, old: &Self) -> bool {
        self.configs.ptr_eq(&old.configs) || self.configs.diff(&old.configs).next().is_none()
    }
}
