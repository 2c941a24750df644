//! Metrics of the groups that this broker coordinates: states, members, lag and its age.
//!
//! Nothing is kept between scrapes but the last view. Bounds: `ottla.metrics.groups.max` groups have series of their own,
//! and `ottla.metrics.group.partitions.max` partitions over all of them; what is beyond is only counted.

use super::lag::{self, Lag};
use crate::broker::Broker;
use crate::metrics::Exposition;
use ottla_core::group::Counters;
use ottla_core::group::coordinator::{GroupType, Observed, Stats};
use ottla_core::metadata::Image;
use ottla_types::{Offset, TopicIdPartition};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// A view this young is shown again: several scrapers cost no more than one.
const FRESH: Duration = Duration::from_secs(1);

/// What was seen at a scrape.
#[derive(Debug, Default)]
pub struct View {
    totals: Stats,
    groups: Vec<GroupView>,
    /// Groups without series of their own, or without those of their lag.
    left_out: usize,
}

#[derive(Debug)]
struct GroupView {
    id: Arc<str>,
    group_type: GroupType,
    state: &'static str,
    members: usize,
    /// `None` if there was no room.
    partitions: Option<Vec<PartitionView>>,
}

#[derive(Debug)]
struct PartitionView {
    topic: Arc<str>,
    at: TopicIdPartition,
    committed: Offset,
    /// `None` if the partition's leader did not answer.
    lag: Option<Lag>,
}

type CounterRow = (&'static str, &'static str, fn(&Counters) -> u64);

const COUNTERS: [CounterRow; 6] = [
    ("ottla_group_offset_commits_total", "Offsets committed.", |all| all.offset_commits),
    ("ottla_group_offset_deletions_total", "Committed offsets deleted by request.", |all| {
        all.offset_deletions
    }),
    ("ottla_group_offset_expirations_total", "Committed offsets that became too old.", |all| {
        all.offset_expirations
    }),
    ("ottla_group_classic_rebalances_total", "Rebalances of classic groups completed.", |all| {
        all.classic_rebalances
    }),
    ("ottla_group_consumer_rebalances_total", "New epochs of consumer groups.", |all| {
        all.consumer_rebalances
    }),
    ("ottla_group_expired_members_total", "Members removed because they were silent or slow.", |all| {
        all.expired_members
    }),
];

type PartitionRow = (&'static str, &'static str, fn(&PartitionView) -> Option<f64>);

const PARTITION_ROWS: [PartitionRow; 3] = [
    ("ottla_group_partition_committed_offset", "The next offset the group wants to read.", |one| {
        Some(one.committed as f64)
    }),
    ("ottla_group_partition_lag", "Records the group has not read.", |one| Some(one.lag?.records as f64)),
    ("ottla_group_partition_lag_seconds", "Age of the first record the group has not read.", |one| {
        Some(seconds(one.lag?.age_ms))
    }),
];

/// The last view and when it was made.
#[derive(Debug, Default)]
pub struct LastView(tokio::sync::Mutex<Option<Instant>>, arc_swap::ArcSwap<View>);

/// Shows groups whenever somebody scrapes.
pub fn show(broker: &Arc<Broker>) {
    let (looks, shows) = (Arc::downgrade(broker), Arc::downgrade(broker));
    broker.metrics.set_preparation(move || {
        let broker = looks.upgrade();
        Box::pin(async move {
            if let Some(broker) = broker {
                refresh(&broker).await;
            }
        })
    });
    broker.metrics.add_source(move |out| {
        if let Some(broker) = shows.upgrade() {
            expose(&broker, out);
        }
    });
}

/// Looks at all groups, unless somebody has just done so.
async fn refresh(broker: &Arc<Broker>) {
    let LastView(made, last) = &broker.groups.last_view;
    let mut made = made.lock().await;
    if made.is_some_and(|made| made.elapsed() < FRESH) {
        return;
    }
    let mut view = collect(broker);
    let all = view.groups.iter().flat_map(|group| group.partitions.iter().flatten());
    let lags = lag::measure(broker, all.map(|one| (one.at, one.committed)).collect()).await;
    for one in view.groups.iter_mut().flat_map(|group| group.partitions.iter_mut().flatten()) {
        one.lag = lags.get(&(one.at, one.committed)).copied();
    }
    last.store(Arc::new(view));
    *made = Some(Instant::now());
}

fn collect(broker: &Broker) -> View {
    let settings = &broker.config.settings;
    let groups_max = settings.count("ottla.metrics.groups.max") as usize;
    let mut room = settings.count("ottla.metrics.group.partitions.max") as usize;
    let image = broker.metadata.image();
    let mut view = View::default();
    view.totals.counters = *broker.groups.retired.lock();
    for shard in broker.groups.shards() {
        // One that has just gone is another broker's to show.
        let _ = shard.look(|machine| {
            view.totals.add(&machine.stats());
            for group in machine.observe() {
                if view.groups.len() < groups_max {
                    let group = group_view(&image, &group, &mut room);
                    view.left_out += usize::from(group.partitions.is_none());
                    view.groups.push(group);
                } else {
                    view.left_out += 1;
                }
            }
        });
    }
    view
}

fn group_view(image: &Image, group: &Observed<'_>, room: &mut usize) -> GroupView {
    let topics = || group.offsets.into_iter().flatten();
    let count: usize = topics().map(|(_, partitions)| partitions.len()).sum();
    let partitions = (count <= *room).then(|| {
        *room -= count;
        let of_topic = |topic: &Arc<str>| image.topic_id(topic).map(|id| (topic.clone(), id));
        let known = topics().filter_map(|(topic, partitions)| Some((of_topic(topic)?, partitions)));
        let each = known.flat_map(|((topic, topic_id), partitions)| {
            partitions.iter().map(move |(&partition, committed)| PartitionView {
                topic: topic.clone(),
                at: TopicIdPartition { topic_id, partition },
                committed: committed.value.offset,
                lag: None,
            })
        });
        each.collect()
    });
    GroupView {
        id: group.group_id.clone(),
        group_type: group.group_type,
        state: group.state,
        members: group.members,
        partitions,
    }
}

/// Writes the last view.
fn expose(broker: &Broker, out: &mut Exposition) {
    let view = broker.groups.last_view.1.load();
    write_totals(&view, out);
    write_groups(&view, out);
    if broker.config.partition_metrics {
        write_partitions(&view, out);
    }
}

fn write_totals(view: &View, out: &mut Exposition) {
    out.family("ottla_groups", "gauge", "Groups coordinated here, by type and state.");
    for ((group_type, state), count) in &view.totals.groups {
        out.sample("ottla_groups", &[("type", group_type.name()), ("state", state)], count);
    }
    let gauges = [
        ("ottla_groups_members", "Members of the groups coordinated here.", view.totals.members),
        ("ottla_groups_offsets", "Offsets committed by the groups coordinated here.", view.totals.offsets),
        (
            "ottla_groups_left_out",
            "Groups that have no series of their own, or none of their lag.",
            view.left_out,
        ),
    ];
    for (name, help, value) in gauges {
        out.family(name, "gauge", help);
        out.sample(name, &[], value);
    }
    for (name, help, read) in COUNTERS {
        out.family(name, "counter", help);
        out.sample(name, &[], read(&view.totals.counters));
    }
}

fn write_groups(view: &View, out: &mut Exposition) {
    out.family("ottla_group_state", "gauge", "Always 1; the labels tell the group's type and state.");
    for group in &view.groups {
        let labels = [("group", &*group.id), ("type", group.group_type.name()), ("state", group.state)];
        out.sample("ottla_group_state", &labels, 1);
    }
    out.family("ottla_group_members", "gauge", "Members of the group.");
    for group in &view.groups {
        out.sample("ottla_group_members", &[("group", &group.id)], group.members);
    }
    let lags = |group: &GroupView| -> Vec<Lag> {
        group.partitions.iter().flatten().filter_map(|one| one.lag).collect()
    };
    out.family(
        "ottla_group_lag",
        "gauge",
        "Records the group has not read, over all partitions it commits to.",
    );
    for group in view.groups.iter().filter(|group| group.partitions.is_some()) {
        let records: i64 = lags(group).iter().map(|lag| lag.records).sum();
        out.sample("ottla_group_lag", &[("group", &group.id)], records);
    }
    out.family("ottla_group_lag_seconds", "gauge", "Age of the oldest record the group has not read.");
    for group in view.groups.iter().filter(|group| group.partitions.is_some()) {
        let age_ms = lags(group).iter().map(|lag| lag.age_ms).max().unwrap_or(0);
        out.sample("ottla_group_lag_seconds", &[("group", &group.id)], seconds(age_ms));
    }
}

fn write_partitions(view: &View, out: &mut Exposition) {
    for (name, help, read) in PARTITION_ROWS {
        out.family(name, "gauge", help);
        for group in &view.groups {
            for one in group.partitions.iter().flatten() {
                if let Some(value) = read(one) {
                    let partition = one.at.partition.to_string();
                    let labels = [("group", &*group.id), ("topic", &*one.topic), ("partition", &*partition)];
                    out.sample(name, &labels, value);
                }
            }
        }
    }
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}
