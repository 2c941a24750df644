//! Which log is next.

use super::stats::Looked;
use super::{Candidate, Job, State};
use crate::broker::Broker;
use crate::replicas::{Partition, Topic};
use ottla_storage::compaction::Standing;
use ottla_types::TopicIdPartition;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The log that needs it most, if one is dirty enough; it counts as being cleaned until the job is dropped.
pub(super) fn next(broker: &Arc<Broker>) -> Option<Job> {
    let cleaner = &broker.cleaner;
    if cleaner.is_stopping() {
        return None;
    }
    let mut state = cleaner.state.lock();
    let now_ms = broker.clock.now_ms();
    state.resting.retain(|_, until| *until > now_ms);
    let mut here = BTreeSet::new();
    let mut looked = Looked::default();
    let mut best: Option<Candidate> = None;
    for topic in broker.replicas.topics() {
        if !topic.settings.load().log.compact {
            continue;
        }
        for partition in topic.partitions() {
            here.insert(partition.id);
            let Some(candidate) = examine(broker, partition, &state) else { continue };
            looked.max_dirty_ratio = looked.max_dirty_ratio.max(candidate.standing.dirty_ratio());
            looked.max_overdue_ms = looked.max_overdue_ms.max(candidate.standing.overdue_ms);
            let better = best.as_ref().is_none_or(|best| candidate.standing.urgency(&best.standing).is_gt());
            if better && is_due(&topic, &candidate.standing) {
                best = Some(candidate);
            }
        }
    }
    state.uncleanable.retain(|id, _| here.contains(id));
    looked.uncleanable = (state.uncleanable.len() as u64, state.uncleanable.values().sum());
    cleaner.stats.looked(looked);
    let best = best?;
    state.busy.insert(best.partition.id);
    Some(Job { cleaner: cleaner.clone(), candidate: best })
}

fn is_due(topic: &Topic, standing: &Standing) -> bool {
    standing.is_due(topic.settings.load().log.min_cleanable_ratio)
}

/// How a log stands; `None` if it is being cleaned, is set aside or cannot be used.
fn examine(broker: &Arc<Broker>, partition: Arc<Partition>, state: &State) -> Option<Candidate> {
    let is_out = |id: &TopicIdPartition| {
        state.busy.contains(id) || state.resting.contains_key(id) || state.uncleanable.contains_key(id)
    };
    if is_out(&partition.id) {
        return None;
    }
    let (log, high_watermark, replicated_offset) = {
        let guard = partition.lock();
        (guard.log.clone().ok()?, guard.high_watermark(), guard.replicated_offset())
    };
    let standing = log.lock().standing(high_watermark, broker.clock.wall_ms()).ok()?;
    Some(Candidate { partition, log, standing, high_watermark, replicated_offset })
}
