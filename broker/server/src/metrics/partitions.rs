//! Series of partitions, read off the replicas at each scrape.

use super::exposition::Exposition;

/// One replica on this broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionSample<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The partition's number.
    pub partition: i32,
    /// First offset.
    pub log_start_offset: i64,
    /// Offset after the last record.
    pub log_end_offset: i64,
    /// Offset up to which consumers may read.
    pub high_watermark: i64,
    /// Bytes of all segments.
    pub size_bytes: u64,
    /// Number of segments.
    pub segments: u64,
    /// What only the leader knows.
    pub leader: Option<LeaderSample>,
}

/// What the leader of a partition knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaderSample {
    /// Replicas of the partition.
    pub replicas: u32,
    /// Those of them that are in sync.
    pub in_sync_replicas: u32,
    /// `min.insync.replicas` of the topic.
    pub min_insync_replicas: u32,
}

/// Knows the replicas on this broker.
pub trait PartitionSource: Send + Sync {
    /// Shows every replica, in any order. Called once for a scrape.
    fn visit(&self, show: &mut dyn FnMut(&PartitionSample<'_>));
}

type Row = (&'static str, &'static str, fn(&Held) -> i64);

const ROWS: [Row; 5] = [
    ("ottla_partition_log_start_offset", "First offset of the replica.", |held| held.log_start_offset),
    ("ottla_partition_log_end_offset", "Offset after the replica's last record.", |held| held.log_end_offset),
    ("ottla_partition_high_watermark", "Offset up to which consumers may read.", |held| held.high_watermark),
    ("ottla_partition_size_bytes", "Bytes of the replica's segments.", |held| held.size_bytes as i64),
    ("ottla_partition_segments", "Segments of the replica.", |held| held.segments as i64),
];

type LeaderRow = (&'static str, &'static str, fn(&LeaderSample) -> u32);

const LEADER_ROWS: [LeaderRow; 4] = [
    ("ottla_partition_replicas", "Replicas of a partition led here.", |leader| leader.replicas),
    ("ottla_partition_in_sync_replicas", "In-sync replicas of a partition led here.", |leader| {
        leader.in_sync_replicas
    }),
    (
        "ottla_partition_under_replicated",
        "1 if a replica of a partition led here is not in sync.",
        |leader| u32::from(leader.in_sync_replicas < leader.replicas),
    ),
    (
        "ottla_partition_under_min_isr",
        "1 if a partition led here has too few in-sync replicas to write.",
        |leader| u32::from(leader.in_sync_replicas < leader.min_insync_replicas),
    ),
];

/// A sample that outlives the visit; the topic's name is shared by its partitions.
struct Held {
    topic: usize,
    partition: String,
    log_start_offset: i64,
    log_end_offset: i64,
    high_watermark: i64,
    size_bytes: u64,
    segments: u64,
    leader: Option<LeaderSample>,
}

/// Numbers of replicas on this broker, by state.
#[derive(Default)]
struct Totals {
    replicas: u64,
    leaders: u64,
    under_replicated: u64,
    at_min_isr: u64,
    under_min_isr: u64,
}

impl Totals {
    fn add(&mut self, sample: &PartitionSample<'_>) {
        self.replicas += 1;
        if let Some(leader) = &sample.leader {
            let (isr, min) = (leader.in_sync_replicas, leader.min_insync_replicas);
            self.leaders += 1;
            self.under_replicated += u64::from(isr < leader.replicas);
            self.at_min_isr += u64::from(isr == min);
            self.under_min_isr += u64::from(isr < min);
        }
    }

    fn write(&self, out: &mut Exposition) {
        for (name, help, value) in [
            ("ottla_replica", "Replicas on this broker.", self.replicas),
            ("ottla_leader", "Partitions led here.", self.leaders),
            (
                "ottla_under_replicated",
                "Partitions led here with replicas out of sync.",
                self.under_replicated,
            ),
            ("ottla_at_min_isr", "Partitions led here that one more lost replica stops.", self.at_min_isr),
            ("ottla_under_min_isr", "Partitions led here that refuse acks=all.", self.under_min_isr),
        ] {
            let name = format!("{name}_partitions");
            out.family(&name, "gauge", help);
            out.sample(&name, &[], value);
        }
    }
}

/// Writes the totals, and with `each` the series of every partition.
pub(super) fn write(source: &dyn PartitionSource, each: bool, out: &mut Exposition) {
    let mut totals = Totals::default();
    let mut topics: Vec<String> = Vec::new();
    let mut held = Vec::new();
    source.visit(&mut |sample| {
        totals.add(sample);
        if !each {
            return;
        }
        if topics.last().is_none_or(|topic| topic != sample.topic) {
            topics.push(sample.topic.to_owned());
        }
        held.push(Held {
            topic: topics.len() - 1,
            partition: sample.partition.to_string(),
            log_start_offset: sample.log_start_offset,
            log_end_offset: sample.log_end_offset,
            high_watermark: sample.high_watermark,
            size_bytes: sample.size_bytes,
            segments: sample.segments,
            leader: sample.leader,
        });
    });
    totals.write(out);
    if each {
        write_each(&topics, &held, out);
    }
}

fn write_each(topics: &[String], held: &[Held], out: &mut Exposition) {
    for (name, help, value) in ROWS {
        out.family(name, "gauge", help);
        for sample in held {
            let labels = [("topic", &*topics[sample.topic]), ("partition", &*sample.partition)];
            out.sample(name, &labels, value(sample));
        }
    }
    for (name, help, value) in LEADER_ROWS {
        out.family(name, "gauge", help);
        for sample in held {
            if let Some(leader) = &sample.leader {
                let labels = [("topic", &*topics[sample.topic]), ("partition", &*sample.partition)];
                out.sample(name, &labels, value(leader));
            }
        }
    }
}
