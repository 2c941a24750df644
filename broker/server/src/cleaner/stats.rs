//! What the cleaners count and show.

use crate::metrics::Exposition;
use ottla_storage::compaction::CleanReport;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::time::Duration;

/// A log that is being cleaned.
#[derive(Debug, Clone, Copy, Default)]
pub struct Progress {
    /// Bytes read and written so far.
    pub done_bytes: u64,
    /// About how many it will be.
    pub expected_bytes: u64,
}

impl Progress {
    /// Share that is done.
    pub fn ratio(&self) -> f64 {
        (self.done_bytes as f64 / self.expected_bytes.max(1) as f64).min(1.0)
    }
}

/// What the last look at all logs found.
#[derive(Debug, Clone, Copy, Default)]
pub struct Looked {
    /// Dirty share of the dirtiest log.
    pub max_dirty_ratio: f64,
    /// How long the log that waits longest has been waiting beyond `max.compaction.lag.ms`.
    pub max_overdue_ms: i64,
    /// Logs whose cleaning failed for good, and the bytes of them that are not cleaned.
    pub uncleanable: (u64, u64),
}

#[derive(Debug, Default)]
struct Counters {
    runs: u64,
    failures: u64,
    key_bytes_read: u64,
    read_bytes: u64,
    written_bytes: u64,
    records_seen: u64,
    records_kept: u64,
    busy: Duration,
    longest: Duration,
    /// Of the last run.
    buffer_utilization: f64,
    looked: Looked,
    active: BTreeMap<(String, i32), Progress>,
}

/// Shared by the cleaners and the scrapes.
#[derive(Debug, Default)]
pub struct Stats(Mutex<Counters>);

impl Stats {
    /// A log is being cleaned; `None`: no longer.
    pub fn progress(&self, topic: &str, partition: i32, progress: Option<Progress>) {
        let mut counters = self.0.lock();
        let key = (topic.to_owned(), partition);
        match progress {
            Some(progress) => _ = counters.active.insert(key, progress),
            None => _ = counters.active.remove(&key),
        }
    }

    /// A pass is done.
    pub fn cleaned(&self, report: &CleanReport, took: Duration) {
        let mut counters = self.0.lock();
        counters.runs += 1;
        counters.key_bytes_read += report.key_bytes_read;
        counters.read_bytes += report.read_bytes;
        counters.written_bytes += report.written_bytes;
        counters.records_seen += report.records_seen;
        counters.records_kept += report.records_kept;
        counters.busy += took;
        counters.longest = counters.longest.max(took);
        counters.buffer_utilization = report.buffer_utilization;
    }

    /// A pass failed.
    pub fn failed(&self) {
        self.0.lock().failures += 1;
    }

    /// Somebody looked at all logs.
    pub fn looked(&self, looked: Looked) {
        self.0.lock().looked = looked;
    }

    /// Writes all families.
    pub fn write(&self, out: &mut Exposition) {
        let counters = self.0.lock();
        let Counters { looked, .. } = &*counters;
        for (name, kind, help, value) in [
            ("runs_total", "counter", "Passes over compacted logs.", counters.runs as f64),
            ("failures_total", "counter", "Passes that failed.", counters.failures as f64),
            ("key_read_bytes_total", "counter", "Bytes read for keys.", counters.key_bytes_read as f64),
            (
                "read_bytes_total",
                "counter",
                "Bytes of segments that were rewritten.",
                counters.read_bytes as f64,
            ),
            (
                "written_bytes_total",
                "counter",
                "Bytes of the segments that replaced them.",
                counters.written_bytes as f64,
            ),
            (
                "records_seen_total",
                "counter",
                "Records in segments that were rewritten.",
                counters.records_seen as f64,
            ),
            ("records_kept_total", "counter", "Records that are left of them.", counters.records_kept as f64),
            ("busy_seconds_total", "counter", "Time spent cleaning.", counters.busy.as_secs_f64()),
            (
                "longest_run_seconds",
                "gauge",
                "The longest pass since the start.",
                counters.longest.as_secs_f64(),
            ),
            (
                "buffer_utilization_ratio",
                "gauge",
                "Share of the memory for keys the last pass used.",
                counters.buffer_utilization,
            ),
            ("max_dirty_ratio", "gauge", "Dirty share of the dirtiest log.", looked.max_dirty_ratio),
            (
                "max_overdue_seconds",
                "gauge",
                "Longest time beyond max.compaction.lag.ms.",
                looked.max_overdue_ms as f64 / 1_000.0,
            ),
            ("uncleanable_partitions", "gauge", "Logs that cannot be cleaned.", looked.uncleanable.0 as f64),
            (
                "uncleanable_bytes",
                "gauge",
                "Dirty bytes of logs that cannot be cleaned.",
                looked.uncleanable.1 as f64,
            ),
            ("active", "gauge", "Logs being cleaned.", counters.active.len() as f64),
        ] {
            let name = format!("ottla_cleaner_{name}");
            out.family(&name, kind, help);
            out.sample(&name, &[], value);
        }
        const PROGRESS: &str = "ottla_cleaner_progress_ratio";
        out.family(PROGRESS, "gauge", "How much of a log that is being cleaned is done.");
        for ((topic, partition), progress) in &counters.active {
            let labels = [("topic", &**topic), ("partition", &*partition.to_string())];
            out.sample(PROGRESS, &labels, progress.ratio());
        }
    }
}
