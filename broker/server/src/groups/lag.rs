//! How far groups are behind, in records and in time.
//!
//! A group's coordinator knows what was committed, the leader of each partition how far it goes and how old its records
//! are. So the coordinator asks: the replicas here, and the leaders elsewhere with one question for each
//! [`PROBES`] partitions. The age of a lag is the time since the batch that holds the first unread record was begun.

use crate::broker::Broker;
use crate::peers::progress::{PROBES, Probe, Progress};
use ottla_core::metadata::Image;
use ottla_types::{BrokerId, Offset, TimestampMs, TopicIdPartition};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How long another broker is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// What one partition's leader says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lag {
    /// Records not read yet, or removed before they were.
    pub records: i64,
    /// Age of the first of them; 0 if there are none.
    pub age_ms: i64,
}

/// The lag behind `committed`, seen at `now`.
fn lag(committed: Offset, progress: &Progress, now: TimestampMs) -> Lag {
    let records = (progress.high_watermark - committed).max(0);
    let since = progress.time_ms.filter(|_| records > 0);
    Lag { records, age_ms: since.map_or(0, |since| (now - since).max(0)) }
}

/// Asks for the lag of every partition named; those whose leader did not answer are left out.
pub async fn measure(
    broker: &Arc<Broker>,
    wanted: Vec<(TopicIdPartition, Offset)>,
) -> BTreeMap<(TopicIdPartition, Offset), Lag> {
    let image = broker.metadata.image();
    let mut by_leader: BTreeMap<BrokerId, Vec<Probe>> = BTreeMap::new();
    for (at, committed) in wanted {
        if let Some(leader) = leader_of(&image, at) {
            let probe = Probe { topic_id: at.topic_id, partition: at.partition, offset: committed };
            by_leader.entry(leader).or_default().push(probe);
        }
    }
    let here = by_leader.remove(&broker.id()).unwrap_or_default();
    let questions = by_leader.into_iter().flat_map(|(leader, probes)| {
        let parts: Vec<Vec<Probe>> = probes.chunks(PROBES).map(<[Probe]>::to_vec).collect();
        parts.into_iter().map(move |part| (leader, part))
    });
    let mut asked = tokio::task::JoinSet::new();
    for (leader, probes) in questions {
        let peers = broker.cluster.peers.clone();
        asked.spawn(async move {
            let answer = peers.progress(leader, &probes, PATIENCE).await.unwrap_or_default();
            probes.into_iter().zip(answer).collect::<Vec<_>>()
        });
    }
    let mut found: Vec<(Probe, Option<Progress>)> = look(broker, here).await;
    while let Some(answers) = asked.join_next().await {
        found.extend(answers.unwrap_or_default());
    }
    let now = broker.clock.wall_ms();
    let of_probe = |(probe, progress): (Probe, Option<Progress>)| {
        let at = TopicIdPartition { topic_id: probe.topic_id, partition: probe.partition };
        Some(((at, probe.offset), lag(probe.offset, &progress?, now)))
    };
    found.into_iter().filter_map(of_probe).collect()
}

fn leader_of(image: &Image, at: TopicIdPartition) -> Option<BrokerId> {
    image.partition(at).map(|partition| partition.leader).filter(|leader| !leader.is_none())
}

/// Looks at the replicas here; reads a header from the disk for each partition that has a lag.
pub async fn look(broker: &Arc<Broker>, probes: Vec<Probe>) -> Vec<(Probe, Option<Progress>)> {
    if probes.is_empty() {
        return Vec::new();
    }
    let broker = broker.clone();
    let looked = tokio::task::spawn_blocking(move || {
        let of_probe = |probe: Probe| (probe, progress(&broker, &probe));
        probes.into_iter().map(of_probe).collect()
    });
    looked.await.unwrap_or_default()
}

fn progress(broker: &Broker, probe: &Probe) -> Option<Progress> {
    let replica = broker.replicas.topic_by_id(probe.topic_id)?.partition(probe.partition)?;
    let state = replica.lock();
    state.leader().ok()?;
    let high_watermark = state.high_watermark();
    let mut time_ms = None;
    if probe.offset < high_watermark {
        // A partition that cannot be read says so elsewhere.
        time_ms = state.log().ok()?.batch_time_at(probe.offset).ok()?;
    }
    Some(Progress { high_watermark, time_ms })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_that_read_everything_has_no_lag_and_one_that_did_not_has_an_age() {
        let progress = Progress { high_watermark: 10, time_ms: Some(1_000) };
        assert_eq!(lag(10, &progress, 5_000), Lag { records: 0, age_ms: 0 });
        assert_eq!(lag(12, &progress, 5_000), Lag { records: 0, age_ms: 0 });
        assert_eq!(lag(7, &progress, 5_000), Lag { records: 3, age_ms: 4_000 });
        // Clocks of producers may be ahead, and a record may be without a time.
        assert_eq!(lag(7, &progress, 500), Lag { records: 3, age_ms: 0 });
        assert_eq!(lag(7, &Progress { time_ms: None, ..progress }, 500), Lag { records: 3, age_ms: 0 });
    }
}
