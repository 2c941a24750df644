//! A data directory with one log on a simulated disk that crashes, for the tests that stop it at every operation, and what
//! other tests share with them.
#![allow(dead_code, reason = "not every test uses all of it")]

pub mod life;
pub mod values;

use ottla_records::RecordBatch;
use ottla_records::control::{Marker, MarkerOptions, marker_batch};
use ottla_storage::sim_disk::SimDisk;
use ottla_storage::{DirsOptions, Disk, LogConfig, LogDirs};
use ottla_types::{BrokerId, TimestampMs, TopicPartition};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The batch that ends a producer's transaction.
pub fn marker(producer_id: i64, marker: Marker, timestamp: TimestampMs) -> RecordBatch {
    let options = MarkerOptions {
        base_offset: 0,
        leader_epoch: 0,
        timestamp,
        producer_id,
        producer_epoch: 0,
        coordinator_epoch: 1,
    };
    RecordBatch::new(&marker_batch(marker, &options).unwrap()).unwrap()
}

pub fn partition() -> TopicPartition {
    TopicPartition::new("t", 0)
}

/// What is started again after each crash.
#[derive(Clone)]
pub struct Machine {
    pub disk: SimDisk,
    pub config: Arc<LogConfig>,
    pub now: TimestampMs,
    /// Whether a crash is one of the machine, or of the process only.
    pub loses_power: bool,
    pub seed: u64,
    pub dirs: Vec<PathBuf>,
    pub cluster_id: Option<String>,
    boots: u32,
}

impl Machine {
    /// An empty disk of `capacity` bytes: below what has a reserve set aside.
    pub fn new(
        seed: u64,
        capacity: u64,
        config: Arc<LogConfig>,
        now: TimestampMs,
        loses_power: bool,
    ) -> Self {
        let disk = SimDisk::new(seed);
        disk.set_capacity(capacity);
        disk.create_dir_all(Path::new("/data")).unwrap();
        disk.sync_dir(Path::new("/")).unwrap();
        Self {
            disk,
            config,
            now,
            loses_power,
            seed,
            dirs: vec!["/data".into()],
            cluster_id: Some("c".to_owned()),
            boots: 0,
        }
    }

    /// The same with a disk for each of the data directories.
    pub fn with_disks(mut self, roots: &[&str]) -> Self {
        roots.iter().for_each(|root| self.disk.mount(Path::new(root)));
        self.dirs = roots.iter().map(PathBuf::from).collect();
        self
    }

    fn options(&self) -> DirsOptions {
        DirsOptions {
            dirs: self.dirs.clone(),
            node_id: BrokerId(1),
            cluster_id: self.cluster_id.clone(),
            boot_id: self.boots.to_string(),
        }
    }

    /// Opens everything, and every log opens.
    pub fn start(&self) -> LogDirs {
        let dirs = LogDirs::open(Arc::new(self.disk.clone()), &self.options()).unwrap();
        let report = dirs.load(1, self.now, &|_, _| Arc::clone(&self.config));
        assert!(report.failed.is_empty(), "{report:?}");
        dirs
    }

    /// Opens everything until the disk stops; true if it did.
    pub fn open_until_crash(&self, operation: u64) -> bool {
        self.disk.crash_at(operation);
        if let Ok(dirs) = LogDirs::open(Arc::new(self.disk.clone()), &self.options()) {
            dirs.load(1, self.now, &|_, _| Arc::clone(&self.config));
        }
        self.disk.has_stopped()
    }

    /// The same machine with a disk of its own.
    pub fn copy(&self) -> Self {
        Self { disk: self.disk.copy(), ..self.clone() }
    }

    /// Every log has one directory, and nothing is left of those that are gone.
    pub fn check_directories(&self, dirs: &LogDirs, trace: &str) {
        dirs.maintain(self.now + 1_000);
        let names = |dir: &PathBuf| self.disk.list(dir).unwrap().into_iter().map(|entry| entry.name);
        let all: Vec<String> = self.dirs.iter().flat_map(names).collect();
        let logs = all.iter().filter(|name| **name == partition().to_string()).count();
        assert_eq!(logs, dirs.logs().len(), "{trace}: {all:?}");
        let left = all.iter().any(|name| name.ends_with("-delete") || name.ends_with("-future"));
        assert!(!left, "{trace}: {all:?}");
    }

    pub fn crash(&mut self) {
        if self.loses_power {
            self.disk.crash_machine();
            self.boots += 1;
        } else {
            self.disk.crash_process();
        }
    }
}

/// The first of the operations `from`, `from + step` and so on at which nothing is stopped any more.
pub fn first_that_runs_through(from: u64, step: usize, mut stops: impl FnMut(u64) -> bool) -> u64 {
    (from..).step_by(step).find(|at| !stops(*at)).unwrap()
}
