//! What is to happen to the topics of a cluster: a pure function of the resources and what the brokers say.
//!
//! All Topics of a cluster are looked at together, so that a thousand of them are a few requests. A resource's status is
//! its only memory: the id of its topic, and the settings that it has set.

mod one;
mod status;
#[cfg(test)]
mod tests;

pub use status::{Reason, failed, is_up_to_date};

use crate::config::Settings;
use crate::observed::{BrokersView, PartitionView};
use crate::plan::{Move, fleet};
use crate::topic::{Topic, TopicStatus};
use kube::ResourceExt;
use std::collections::BTreeMap;

/// What was seen of the topics of a cluster.
#[derive(Debug)]
pub struct Observed<'a> {
    /// The resources, in any order.
    pub resources: &'a [&'a Topic],
    /// The cluster that they name.
    pub cluster: ClusterState<'a>,
}

/// The cluster that topics name.
#[derive(Debug, Clone, Copy)]
pub enum ClusterState<'a> {
    /// There is no such Cluster.
    Missing,
    /// It is on its way out, and takes its topics along.
    Going,
    /// Its brokers give no answer; why.
    Unreachable(&'a str),
    /// It must not be changed now; why.
    Paused(&'a str),
    /// Its brokers answer.
    Up {
        /// What they say.
        brokers: &'a BrokersView,
        /// Ids of all topics, by name.
        ids: &'a BTreeMap<String, String>,
        /// Settings that were set for topics; for those that were asked for.
        configs: &'a BTreeMap<String, Settings>,
    },
}

/// What is to happen to one topic.
#[derive(Debug, Clone, PartialEq)]
pub struct TopicPlan {
    /// Its place among the resources.
    pub resource: usize,
    /// In this order.
    pub actions: Vec<Action>,
    /// What its status is to be if the actions come off.
    pub status: TopicStatus,
}

/// Something that happens to a topic.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// The resource is to be held until its topic is gone.
    AddFinalizer,
    /// The resource may go.
    RemoveFinalizer,
    /// Notes in the status that the topic is about to be created.
    NoteCreating,
    /// Creates the topic.
    Create {
        /// Partitions.
        partitions: i32,
        /// Replicas of each, if the cluster's default does not count.
        replication_factor: Option<i32>,
        /// Brokers of each partition, if the resource says where they may be.
        assignments: Vec<Vec<i32>>,
        /// Settings.
        config: Settings,
    },
    /// Gives the topic more partitions.
    Grow {
        /// How many it is to have.
        count: i32,
        /// Brokers of each new one, if the resource says where they may be.
        assignments: Option<Vec<Vec<i32>>>,
    },
    /// Changes settings.
    Alter {
        /// To set.
        set: Settings,
        /// To take back.
        delete: Vec<String>,
    },
    /// Gives partitions other replicas.
    Move(Vec<Move>),
    /// Deletes the topic.
    Delete,
}

/// What is to happen to each topic, in the order of the resources.
#[must_use]
pub fn plan(observed: &Observed<'_>) -> Vec<TopicPlan> {
    let owners = owners(observed.resources);
    let partitions = by_topic(observed);
    let each = observed.resources.iter().enumerate().map(|(resource, topic)| {
        let name = topic.topic_name();
        let owner = owners.get(name).copied().filter(|owner| *owner != resource);
        let view = one::View {
            topic,
            older: owner.and_then(|owner| observed.resources.get(owner)).map(|owner| owner.name_any()),
            partitions: partitions.get(name).map(Vec::as_slice).unwrap_or_default(),
        };
        let (actions, status) = one::plan(&view, observed.cluster);
        TopicPlan { resource, actions, status }
    });
    each.collect()
}

/// Names of topics whose settings have to be known.
#[must_use]
pub fn configs_needed<'a>(resources: &[&'a Topic], every: bool) -> Vec<&'a str> {
    let needs = |topic: &&&Topic| {
        let names_settings = topic.spec.config_policy == crate::topic::ConfigPolicy::Exact
            || !topic.spec.config.is_empty()
            || topic.status.as_ref().is_some_and(|status| !status.config_keys.is_empty());
        names_settings && (every || !is_up_to_date(topic))
    };
    let mut names: Vec<&str> = resources.iter().filter(needs).map(|topic| topic.topic_name()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Of all resources that name one topic the oldest has it.
fn owners<'a>(resources: &[&'a Topic]) -> BTreeMap<&'a str, usize> {
    let age = |topic: &Topic| {
        let created = topic.metadata.creation_timestamp.as_ref().map(|time| time.0);
        (created, topic.name_any(), topic.uid())
    };
    let mut owners: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, topic) in resources.iter().enumerate() {
        let owner = owners.entry(topic.topic_name()).or_insert(index);
        if resources.get(*owner).is_some_and(|before| age(topic) < age(before)) {
            *owner = index;
        }
    }
    owners
}

fn by_topic<'a>(observed: &Observed<'a>) -> BTreeMap<&'a str, Vec<&'a PartitionView>> {
    let mut topics: BTreeMap<&str, Vec<&PartitionView>> = BTreeMap::new();
    if let ClusterState::Up { brokers, .. } = observed.cluster {
        for partition in &brokers.partitions {
            topics.entry(&partition.topic).or_default().push(partition);
        }
    }
    topics
}

/// The brokers on which a topic's replicas may be.
fn allowed(brokers: &BrokersView, topic: &Topic) -> Vec<ottla_core::placement::Broker> {
    let mut fleet = fleet(brokers, &[]);
    if let Some(placement) = &topic.spec.placement {
        fleet.retain(|broker| broker.rack.as_ref().is_some_and(|rack| placement.racks.contains(rack)));
    }
    fleet
}
