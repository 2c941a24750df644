//! The cluster as its active controller sees it, and this broker's disks.

use super::exposition::Exposition;
use std::path::PathBuf;

/// What a scrape finds out about the cluster.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct ClusterSample {
    /// What only the active controller tells, so that each cluster has it once; else `None`.
    pub controller: Option<ControllerSample>,
    /// Data directories of this broker.
    pub dirs: Vec<DirSample>,
}

/// Counts over the whole cluster.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct ControllerSample {
    /// Registered, and neither fenced nor on their way out.
    pub active_brokers: usize,
    /// Registered, and out of touch.
    pub fenced_brokers: usize,
    /// Voters of the metadata quorum.
    pub voters: usize,
    /// All topics.
    pub topics: usize,
    /// Partitions of all topics.
    pub partitions: usize,
    /// Those of them without a leader.
    pub offline_partitions: usize,
}

/// A data directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirSample {
    /// Where it is.
    pub path: PathBuf,
    /// Its disk failed: what is there is not served.
    pub is_offline: bool,
    /// Room left on its disk; -1 if not known.
    pub free_bytes: i64,
    /// Size of its disk; -1 if not known.
    pub total_bytes: i64,
}

pub(crate) fn write(sample: &ClusterSample, out: &mut Exposition) {
    let is_controller = u64::from(sample.controller.is_some());
    let controller = sample.controller.unwrap_or_default();
    for (name, help, value) in [
        ("ottla_active_controller", "1 on the broker that is the active controller.", is_controller),
        (
            "ottla_active_brokers",
            "Brokers that work; counted by the controller.",
            controller.active_brokers as u64,
        ),
        (
            "ottla_fenced_brokers",
            "Brokers out of touch; counted by the controller.",
            controller.fenced_brokers as u64,
        ),
        (
            "ottla_metadata_voters",
            "Voters of the metadata quorum; counted by the controller.",
            controller.voters as u64,
        ),
        ("ottla_topics", "Topics of the cluster; counted by the controller.", controller.topics as u64),
        (
            "ottla_partitions",
            "Partitions of the cluster; counted by the controller.",
            controller.partitions as u64,
        ),
        (
            "ottla_offline_partitions",
            "Partitions without a leader; counted by the controller.",
            controller.offline_partitions as u64,
        ),
    ] {
        out.family(name, "gauge", help);
        out.sample(name, &[], value);
    }
    type Row = (&'static str, &'static str, fn(&DirSample) -> i64);
    let rows: [Row; 3] = [
        ("ottla_data_dir_offline", "1 if the directory's disk failed.", |dir| i64::from(dir.is_offline)),
        ("ottla_data_dir_free_bytes", "Room left on the directory's disk.", |dir| dir.free_bytes),
        ("ottla_data_dir_total_bytes", "Size of the directory's disk.", |dir| dir.total_bytes),
    ];
    for (name, help, value) in rows {
        out.family(name, "gauge", help);
        for dir in sample.dirs.iter().filter(|dir| value(dir) >= 0) {
            out.sample(name, &[("dir", &*dir.path.to_string_lossy())], value(dir));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(sample: &ClusterSample) -> String {
        let mut out = Exposition::default();
        write(sample, &mut out);
        out.into_text()
    }

    #[test]
    fn only_the_controller_counts_the_cluster() {
        let controller = ControllerSample { active_brokers: 3, offline_partitions: 2, ..Default::default() };
        let counted = text(&ClusterSample { controller: Some(controller), dirs: Vec::new() });
        assert!(counted.contains("\nottla_active_controller 1\n"));
        assert!(counted.contains("\nottla_offline_partitions 2\n"));
        assert!(text(&ClusterSample::default()).contains("\nottla_active_brokers 0\n"));
    }

    #[test]
    fn a_disk_whose_room_is_not_known_has_no_room_series() {
        let dir = |path: &str, free_bytes| DirSample {
            path: path.into(),
            is_offline: false,
            free_bytes,
            total_bytes: 10,
        };
        let text = text(&ClusterSample { controller: None, dirs: vec![dir("/a", 7), dir("/b", -1)] });
        assert!(text.contains("\nottla_data_dir_free_bytes{dir=\"/a\"} 7\n"));
        assert!(!text.contains("ottla_data_dir_free_bytes{dir=\"/b\"}"));
        assert!(text.contains("\nottla_data_dir_offline{dir=\"/b\"} 0\n"));
    }
}
