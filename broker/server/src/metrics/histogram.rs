//! A histogram of durations made of relaxed atomics: two additions for each observation.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::exposition::Exposition;

/// Upper bounds in microseconds, and as Prometheus's `le` in seconds.
const BOUNDS: [(u64, &str); 18] = [
    (50, "0.00005"),
    (100, "0.0001"),
    (250, "0.00025"),
    (500, "0.0005"),
    (1_000, "0.001"),
    (2_500, "0.0025"),
    (5_000, "0.005"),
    (10_000, "0.01"),
    (25_000, "0.025"),
    (50_000, "0.05"),
    (100_000, "0.1"),
    (250_000, "0.25"),
    (500_000, "0.5"),
    (1_000_000, "1"),
    (2_500_000, "2.5"),
    (5_000_000, "5"),
    (10_000_000, "10"),
    (30_000_000, "30"),
];

/// Counts by bucket, and their sum in nanoseconds.
#[derive(Debug, Default)]
pub struct DurationHistogram {
    buckets: [AtomicU64; BOUNDS.len() + 1],
    sum_ns: AtomicU64,
}

impl DurationHistogram {
    /// Counts one duration.
    pub fn observe(&self, duration: Duration) {
        let micros = duration.as_micros() as u64;
        let bucket = BOUNDS.partition_point(|(bound, _)| micros > *bound);
        self.buckets[bucket].fetch_add(1, Relaxed);
        self.sum_ns.fetch_add(duration.as_nanos() as u64, Relaxed);
    }

    /// Writes the samples of a family `name`, with `labels` on each.
    pub fn write(&self, out: &mut Exposition, name: &str, labels: &[(&str, &str)]) {
        let bucket_name = format!("{name}_bucket");
        let mut all_labels = labels.to_vec();
        let mut count = 0;
        for (index, bucket) in self.buckets.iter().enumerate() {
            count += bucket.load(Relaxed);
            let bound = BOUNDS.get(index).map_or("+Inf", |(_, bound)| bound);
            all_labels.push(("le", bound));
            out.sample(&bucket_name, &all_labels, count);
            all_labels.pop();
        }
        out.sample(&format!("{name}_sum"), labels, self.sum_ns.load(Relaxed) as f64 / 1e9);
        out.sample(&format!("{name}_count"), labels, count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_counts_in_its_bucket_and_all_above() {
        let histogram = DurationHistogram::default();
        for micros in [50, 51, 2_000_000, 60_000_000] {
            histogram.observe(Duration::from_micros(micros));
        }
        let mut out = Exposition::default();
        histogram.write(&mut out, "x", &[("api", "Produce")]);
        let text = out.into_text();
        for line in [
            "x_bucket{api=\"Produce\",le=\"0.00005\"} 1",
            "x_bucket{api=\"Produce\",le=\"0.0001\"} 2",
            "x_bucket{api=\"Produce\",le=\"1\"} 2",
            "x_bucket{api=\"Produce\",le=\"30\"} 3",
            "x_bucket{api=\"Produce\",le=\"+Inf\"} 4",
            "x_sum{api=\"Produce\"} 62.000101",
            "x_count{api=\"Produce\"} 4",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn bounds_ascend_and_agree_with_their_text() {
        assert!(BOUNDS.is_sorted());
        for (micros, text) in BOUNDS {
            assert_eq!(text.parse::<f64>().unwrap(), micros as f64 / 1e6);
        }
    }
}
