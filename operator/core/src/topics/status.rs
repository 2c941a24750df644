//! What is said of a topic.

use super::one::View;
use crate::conditions;
use crate::observed::PartitionView;
use crate::topic::{Topic, TopicPartitions, TopicStatus};

/// Why a topic is or is not as it should be; the reason of its conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "each stands beside its message")]
pub enum Reason {
    Ready,
    Creating,
    Changing,
    Moving,
    ClusterMissing,
    ClusterUnreachable,
    Paused,
    Conflict,
    Exists,
    Missing,
    Replaced,
    PartitionsCannotShrink,
    InvalidConfig,
    NoPlacement,
    Deleting,
    Offline,
    Refused,
}

impl Reason {
    /// The word in the condition.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Creating => "Creating",
            Self::Changing => "Changing",
            Self::Moving => "Moving",
            Self::ClusterMissing => "ClusterMissing",
            Self::ClusterUnreachable => "ClusterUnreachable",
            Self::Paused => "Paused",
            Self::Conflict => "Conflict",
            Self::Exists => "Exists",
            Self::Missing => "Missing",
            Self::Replaced => "Replaced",
            Self::PartitionsCannotShrink => "PartitionsCannotShrink",
            Self::InvalidConfig => "InvalidConfig",
            Self::NoPlacement => "NoPlacement",
            Self::Deleting => "Deleting",
            Self::Offline => "Offline",
            Self::Refused => "Refused",
        }
    }

    /// True if it is being worked on, so that it changes by itself.
    const fn is_progress(self) -> bool {
        matches!(self, Self::Creating | Self::Changing | Self::Moving | Self::Deleting)
    }
}

/// A status with this outcome.
pub(super) fn with(view: &View<'_>, mut status: TopicStatus, reason: Reason, message: &str) -> TopicStatus {
    let generation = view.topic.metadata.generation;
    status.observed_generation = generation;
    if !view.partitions.is_empty() {
        status.partitions = Some(summary(view.partitions));
    }
    set(&mut status, generation, reason, message);
    status
}

fn set(status: &mut TopicStatus, generation: Option<i64>, reason: Reason, message: &str) {
    let is_ready = reason == Reason::Ready;
    conditions::set(&mut status.conditions, "Ready", is_ready, reason.word(), message, generation);
    let progress = if reason.is_progress() { reason.word() } else { "Done" };
    let told = if reason.is_progress() { message } else { "" };
    conditions::set(&mut status.conditions, "Progressing", reason.is_progress(), progress, told, generation);
}

/// The status of a topic for which something was tried and refused.
#[must_use]
pub fn failed(topic: &Topic, message: &str) -> TopicStatus {
    let mut status = topic.status.clone().unwrap_or_default();
    status.observed_generation = topic.metadata.generation;
    set(&mut status, topic.metadata.generation, Reason::Refused, message);
    status
}

/// True if the last look found the topic as the resource now says.
#[must_use]
pub fn is_up_to_date(topic: &Topic) -> bool {
    topic.status.as_ref().is_some_and(|status| {
        status.observed_generation == topic.metadata.generation
            && conditions::is_true(&status.conditions, "Ready")
    })
}

fn summary(partitions: &[&PartitionView]) -> TopicPartitions {
    let count = |is: &dyn Fn(&PartitionView) -> bool| {
        i32::try_from(partitions.iter().filter(|at| is(at)).count()).unwrap_or(i32::MAX)
    };
    let fewest = partitions.iter().map(|at| at.replicas.len()).min().unwrap_or(0);
    TopicPartitions {
        count: count(&|_| true),
        replication_factor: i32::try_from(fewest).unwrap_or(i32::MAX),
        under_replicated: count(&|at| !at.is_moving && at.isr.len() < at.replicas.len()),
        offline: count(&|at| at.leader < 0),
        moving: count(&|at| at.is_moving),
    }
}
