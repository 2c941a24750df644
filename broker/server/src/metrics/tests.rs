use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::partitions::LeaderSample;
use super::*;

fn has(text: &str, line: &str) {
    assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
}

fn done(api_key: i16, api_version: i16) -> RequestDone {
    let one = Duration::from_millis(1);
    RequestDone {
        api_key,
        api_version,
        request_bytes: 100,
        response_bytes: 50,
        queue: one,
        local: one,
        remote: one * 8,
        response_queue: one,
        send: one,
        total: one * 12,
    }
}

#[test]
fn requests_count_by_api_version_stage_and_error() {
    let metrics = Metrics::new(MetricsOptions::default());
    metrics.request_done(&done(0, 9));
    metrics.request_done(&done(0, 9));
    metrics.request_done(&done(0, 99));
    metrics.request_done(&done(-5, 0));
    metrics.error(0, ErrorCode::NotLeaderOrFollower);
    let text = metrics.render();
    has(&text, "ottla_requests_total{api=\"Produce\",version=\"9\"} 2");
    has(&text, "ottla_requests_total{api=\"Produce\",version=\"23\"} 1");
    has(&text, "ottla_request_bytes_total{api=\"Produce\"} 300");
    has(&text, "ottla_response_bytes_total{api=\"Produce\"} 150");
    has(&text, "ottla_request_duration_seconds_bucket{api=\"Produce\",stage=\"remote\",le=\"0.01\"} 3");
    has(&text, "ottla_request_duration_seconds_count{api=\"Produce\",stage=\"total\"} 3");
    has(&text, "ottla_request_errors_total{api=\"Produce\",error=\"NOT_LEADER_OR_FOLLOWER\"} 1");
    assert!(!text.contains("api=\"Fetch\""));
}

#[test]
fn topics_beyond_the_bound_count_together() {
    let metrics = Metrics::new(MetricsOptions { topics_max: 1, ..MetricsOptions::default() });
    metrics.topic("a").bytes_in.fetch_add(5, Relaxed);
    metrics.topic("b").bytes_in.fetch_add(6, Relaxed);
    metrics.topic("c").bytes_in.fetch_add(7, Relaxed);
    let text = metrics.render();
    has(&text, "ottla_topic_bytes_in_total{topic=\"a\"} 5");
    has(&text, "ottla_topic_bytes_in_total{topic=\"(other)\"} 13");
    metrics.remove_topic("a");
    assert!(!metrics.render().contains("topic=\"a\""));
    metrics.topic("b").bytes_in.fetch_add(1, Relaxed);
    has(&metrics.render(), "ottla_topic_bytes_in_total{topic=\"b\"} 1");
}

#[test]
fn connections_count_by_listener_and_reason() {
    let metrics = Metrics::new(MetricsOptions::default());
    for _ in 0..3 {
        metrics.connection_opened("PLAINTEXT");
    }
    metrics.connection_closed("PLAINTEXT", CloseReason::Idle);
    let text = metrics.render();
    has(&text, "ottla_connections{listener=\"PLAINTEXT\"} 2");
    has(&text, "ottla_connections_opened_total{listener=\"PLAINTEXT\"} 3");
    has(&text, "ottla_connections_closed_total{listener=\"PLAINTEXT\",reason=\"idle\"} 1");
}

struct TwoPartitions;

impl PartitionSource for TwoPartitions {
    fn visit(&self, show: &mut dyn FnMut(&PartitionSample<'_>)) {
        let leader = LeaderSample { replicas: 3, in_sync_replicas: 1, min_insync_replicas: 2 };
        let mut sample = PartitionSample {
            topic: "t",
            partition: 0,
            log_start_offset: 1,
            log_end_offset: 9,
            high_watermark: 8,
            size_bytes: 1000,
            segments: 2,
            leader: Some(leader),
        };
        show(&sample);
        sample.partition = 1;
        sample.leader = None;
        show(&sample);
    }
}

#[test]
fn partitions_are_read_at_the_scrape_and_can_be_switched_off() {
    let metrics = Metrics::new(MetricsOptions::default());
    metrics.set_partition_source(Arc::new(TwoPartitions));
    let text = metrics.render();
    has(&text, "ottla_partition_log_end_offset{topic=\"t\",partition=\"0\"} 9");
    has(&text, "ottla_partition_log_end_offset{topic=\"t\",partition=\"1\"} 9");
    has(&text, "ottla_partition_under_replicated{topic=\"t\",partition=\"0\"} 1");
    has(&text, "ottla_partition_under_min_isr{topic=\"t\",partition=\"0\"} 1");
    assert!(!text.contains("ottla_partition_replicas{topic=\"t\",partition=\"1\"}"));
    let off = Metrics::new(MetricsOptions { partitions: false, ..MetricsOptions::default() });
    off.set_partition_source(Arc::new(TwoPartitions));
    let text = off.render();
    assert!(!text.contains("ottla_partition_"));
    has(&text, "ottla_replica_partitions 2");
    has(&text, "ottla_leader_partitions 1");
    has(&text, "ottla_under_min_isr_partitions 1");
}

#[test]
fn gauges_of_others_and_registered_metrics_are_rendered_too() {
    let metrics = Metrics::new(MetricsOptions::default());
    metrics.add_gauge("ottla_controller_active", "1 on the active controller.", || 1.0);
    let counter = prometheus::IntCounter::new("ottla_elections_total", "Elections.").unwrap();
    metrics.registry().register(Box::new(counter.clone())).unwrap();
    counter.inc();
    let text = metrics.render();
    has(&text, "ottla_controller_active 1");
    has(&text, "ottla_elections_total 1");
}

#[test]
fn every_family_has_one_head_and_every_sample_a_family() {
    let metrics = Metrics::new(MetricsOptions::default());
    metrics.set_partition_source(Arc::new(TwoPartitions));
    metrics.request_done(&done(1, 4));
    metrics.connection_opened("A");
    metrics.topic("t");
    let text = metrics.render();
    let mut families = std::collections::BTreeSet::new();
    let mut current = String::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            current = rest.split(' ').next().unwrap().to_owned();
            assert!(families.insert(current.clone()), "{current} occurs twice");
        } else if !line.starts_with('#') {
            let name = line.split(['{', ' ']).next().unwrap();
            assert!(name.starts_with(&current), "{name} stands under {current}");
            assert!(line.rsplit(' ').next().unwrap().parse::<f64>().is_ok(), "{line}");
        }
    }
}

#[test]
fn every_family_is_in_the_documentation() {
    let metrics = Metrics::new(MetricsOptions::default());
    metrics.set_partition_source(Arc::new(TwoPartitions));
    let documentation = include_str!("../../../../docs/metrics.md");
    for line in metrics.render().lines() {
        if let Some(family) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split(' ').next()) {
            assert!(documentation.contains(&format!("`{family}`")), "{family} is not in docs/metrics.md");
        }
    }
}
