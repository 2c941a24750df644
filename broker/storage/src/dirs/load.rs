//! Opening all logs at start, several at a time.

use super::future::partition_of;
use super::made::Key;
use super::{Dir, HostedLog, LogDirs};
use crate::config::LogConfig;
use crate::error::{IoContext, OpenError};
use crate::log::{Log, Recovery, RecoveryReport};
use crate::names;
use ottla_types::{ErrorCode, TimestampMs, TopicId, TopicPartition};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A log that could not be opened. It stays out; the others serve.
#[derive(Debug, Clone)]
pub struct FailedLog {
    /// The topic's id, if the directory says it.
    pub topic_id: Option<TopicId>,
    /// Kafka's error code.
    pub code: ErrorCode,
    /// What is wrong.
    pub reason: String,
    /// Index of its data directory.
    pub(super) dir: usize,
}

/// What loading took.
#[derive(Debug, Clone, Default)]
pub struct LoadReport {
    /// Logs opened.
    pub logs: usize,
    /// Logs that stay out, and why.
    pub failed: Vec<(TopicPartition, String)>,
    /// Bytes whose checksums were verified.
    pub verified_bytes: u64,
    /// Bytes passed over from header to header.
    pub walked_bytes: u64,
    /// Bytes cut off torn ends.
    pub truncated_bytes: u64,
}

/// A partition directory to open.
struct Candidate {
    dir: usize,
    path: PathBuf,
    partition: TopicPartition,
}

impl LogDirs {
    /// Opens every log in every directory that works, with `threads` at a time. `config_of` says each one's settings.
    pub fn load(
        &self,
        threads: usize,
        now: TimestampMs,
        config_of: &(dyn Fn(&TopicPartition, Option<TopicId>) -> Arc<LogConfig> + Sync),
    ) -> LoadReport {
        let candidates = self.candidates(now);
        self.read_made();
        let next = AtomicUsize::new(0);
        let report = Mutex::new(LoadReport::default());
        let work = || {
            while let Some(candidate) = candidates.get(next.fetch_add(1, Ordering::Relaxed)) {
                self.load_one(candidate, now, config_of, &report);
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..threads.clamp(1, candidates.len().max(1)) {
                scope.spawn(work);
            }
            work();
        });
        for (index, dir) in self.dirs.iter().enumerate() {
            // A log that stays out was not found to be whole: the next start must look again.
            let whole = !self.failed.read().values().any(|failed| failed.dir == index);
            if dir.log_dir.offline_reason().is_none()
                && !self.boot_id.is_empty()
                && (whole || dir.trust_written)
                && let Err(error) = dir.save_boot_id(&self.boot_id)
            {
                dir.log_dir.note(&error);
            }
        }
        self.write_made();
        report.into_inner()
    }

    fn read_made(&self) {
        // What nothing was flushed of may be gone with the run of the machine that made it.
        let counts = |partition: &TopicPartition| {
            let mut dirs = self.online();
            dirs.any(|dir| dir.trust_written || dir.log_dir.recovery_point(partition).is_some())
        };
        if let Err(error) = self.made.lock().read(&*self.disk, counts) {
            tracing::error!(%error, "it is not known which replicas were made here");
        }
    }

    /// Notes what was found, and says what is missing.
    fn write_made(&self) {
        let mut here: BTreeMap<Key, &TopicPartition> = BTreeMap::new();
        let (hosted, failed) = (self.hosted.read(), self.failed.read());
        let found = hosted.iter().map(|(partition, log)| (partition, log.topic_id));
        for (partition, topic_id) in
            found.chain(failed.iter().map(|(partition, log)| (partition, log.topic_id)))
        {
            here.extend(topic_id.map(|topic_id| ((topic_id, partition.partition), partition)));
        }
        let mut made = self.made.lock();
        for ((_, partition), topic) in made.iter().filter(|(key, _)| !here.contains_key(key)) {
            tracing::error!(topic, partition, "the log of a replica is missing");
        }
        made.extend(here.into_iter().map(|(key, partition)| (key, partition.topic.to_string())));
        if let Err(error) = made.rewrite(&*self.disk) {
            tracing::error!(%error, "what was found could not be noted");
        }
    }

    fn candidates(&self, now: TimestampMs) -> Vec<Candidate> {
        let mut candidates: Vec<Candidate> = Vec::new();
        for (index, dir) in self.dirs.iter().enumerate() {
            if dir.log_dir.offline_reason().is_some() {
                continue;
            }
            let path = dir.log_dir.path();
            let entries = match self.disk.list(path).during("list", path) {
                Ok(entries) => entries,
                Err(error) => {
                    dir.log_dir.note(&error);
                    continue;
                }
            };
            for entry in entries.into_iter().filter(|entry| entry.is_dir) {
                let path = path.join(&entry.name);
                if entry.name.ends_with(names::DELETE_DIR) {
                    self.removals.lock().push((path, now));
                } else if let Some(partition) = partition_of(&entry.name) {
                    self.interrupted.lock().push((partition, dir.log_dir.path().to_owned()));
                    self.removals.lock().push((path, now));
                } else if entry.name != names::METADATA_DIR
                    && let Some(partition) = names::parse_partition_dir(&entry.name)
                {
                    candidates.push(Candidate { dir: index, path, partition });
                }
            }
        }
        candidates.sort_by(|a, b| (&a.partition, a.dir).cmp(&(&b.partition, b.dir)));
        candidates.dedup_by(|later, first| {
            let twice = later.partition == first.partition;
            if twice {
                tracing::error!(path = %later.path.display(), kept = %first.path.display(), "a partition has two logs");
                self.set_twin_aside(later);
            }
            twice
        });
        candidates
    }

    /// One that is out of use must not be taken for the log when the other one's directory is not there.
    fn set_twin_aside(&self, twin: &Candidate) {
        if let Err(error) = self.set_stray_aside(twin.dir, &twin.partition) {
            tracing::error!(%error, "it stays");
        }
    }

    fn load_one(
        &self,
        candidate: &Candidate,
        now: TimestampMs,
        config_of: &(dyn Fn(&TopicPartition, Option<TopicId>) -> Arc<LogConfig> + Sync),
        report: &Mutex<LoadReport>,
    ) {
        let Candidate { dir, path, partition } = candidate;
        let topic_id = Log::read_topic_id(&*self.disk, path).unwrap_or_default();
        let was_made = topic_id.is_some_and(|id| self.made.lock().contains((id, partition.partition)));
        let recovery = self.dirs[*dir].recovery_of(partition, was_made);
        let log_dir = Arc::clone(&self.dirs[*dir].log_dir);
        let config = config_of(partition, topic_id);
        match Log::open_in(log_dir, path.clone(), partition.clone(), config, recovery, now) {
            Ok((log, one)) => {
                let hosted = HostedLog { log: Arc::new(Mutex::new(log)), topic_id, dir: *dir };
                self.hosted.write().insert(partition.clone(), hosted);
                report.lock().add(&one);
            }
            Err(error) => {
                tracing::error!(%partition, %error, "the log stays out");
                if let OpenError::Disk(error) = &error {
                    self.dirs[*dir].log_dir.note(error);
                }
                let (code, reason) = (error.code(), error.to_string());
                report.lock().failed.push((partition.clone(), reason.clone()));
                self.failed
                    .write()
                    .insert(partition.clone(), FailedLog { topic_id, code, reason, dir: *dir });
            }
        }
    }
}

impl LoadReport {
    fn add(&mut self, one: &RecoveryReport) {
        self.logs += 1;
        self.verified_bytes += one.verified_bytes;
        self.walked_bytes += one.walked_bytes;
        self.truncated_bytes += one.truncated_bytes;
    }
}

impl Dir {
    fn recovery_of(&self, partition: &TopicPartition, was_made: bool) -> Recovery {
        Recovery {
            recovery_point: self.log_dir.recovery_point(partition).unwrap_or(0),
            log_start_offset: self.log_dir.log_start(partition).unwrap_or(0),
            trust_written: self.trust_written,
            clean: self.clean,
            has_segments: was_made && self.trust_written,
        }
    }
}
