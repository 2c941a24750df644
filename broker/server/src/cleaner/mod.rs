//! The log cleaner: finds compacted logs that are dirty enough and cleans them, the dirtiest first.
//!
//! Cleaning blocks, so it runs on threads that may; `log.cleaner.threads` of them at most, and none while there is
//! nothing to do. A log that cannot be read is set aside until the broker restarts, and is shown as uncleanable.
//!
//! Invariant: a log is cleaned by one thread at a time.

mod pick;
mod settings;
mod stats;
mod throttle;

pub use settings::CleanerSettings;

use crate::broker::Broker;
use crate::replicas::Partition;
use ottla_storage::LogHandle;
use ottla_storage::compaction::{CleanError, CleanOptions, CleanReport, Standing, clean};
use ottla_types::{Offset, TopicIdPartition};
use parking_lot::Mutex;
use stats::{Progress, Stats};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use throttle::Throttle;

/// Between two words in the log about a pass that takes long.
const REPORT_EVERY: Duration = Duration::from_secs(10);
/// Nobody who wants it to stop waits longer than this.
const NAP: Duration = Duration::from_millis(100);

/// The broker's cleaners.
#[derive(Debug)]
pub struct Cleaner {
    state: Mutex<State>,
    throttle: Throttle,
    stats: Stats,
    stopping: AtomicBool,
    /// For the hash of keys: nobody outside may know which keys collide.
    hash_key: (u64, u64),
}

#[derive(Debug, Default)]
struct State {
    workers: usize,
    busy: BTreeSet<TopicIdPartition>,
    /// Logs whose last pass ended early, and when they may be tried again.
    resting: BTreeMap<TopicIdPartition, u64>,
    /// Logs that cannot be cleaned, and their dirty bytes.
    uncleanable: BTreeMap<TopicIdPartition, u64>,
}

/// A log and how it stands.
struct Candidate {
    partition: Arc<Partition>,
    log: LogHandle,
    standing: Standing,
    high_watermark: Offset,
    replicated_offset: Offset,
}

/// A log that is to be cleaned now, and is nobody else's until this is dropped.
struct Job {
    cleaner: Arc<Cleaner>,
    candidate: Candidate,
}

impl Cleaner {
    /// Cleaners that have nothing to do yet.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            throttle: Throttle::new(Instant::now()),
            stats: Stats::default(),
            stopping: AtomicBool::new(false),
            hash_key: rand::random(),
        })
    }

    /// What passes have done and what there is to do, for a scrape.
    pub fn write_metrics(&self, out: &mut crate::metrics::Exposition) {
        self.stats.write(out);
    }

    /// Ends what is under way at its next step.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Waits as the throttle says. False if there is to be no more.
    fn pace(&self, bytes: u64) -> bool {
        let wait = self.throttle.note(bytes, Instant::now());
        let until = Instant::now() + wait;
        while !self.is_stopping() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            std::thread::sleep(left.min(NAP));
        }
        false
    }
}

/// Looks for work now and then, for as long as the broker runs.
pub async fn run(broker: Arc<Broker>) {
    loop {
        let settings = CleanerSettings::of(&broker);
        broker.cleaner.throttle.set(settings.bytes_per_second);
        while take_place(&broker.cleaner, settings.threads) {
            tokio::spawn(work(broker.clone(), settings));
        }
        tokio::time::sleep(settings.backoff).await;
    }
}

fn take_place(cleaner: &Cleaner, threads: usize) -> bool {
    let mut state = cleaner.state.lock();
    let is_free = state.workers < threads;
    state.workers += usize::from(is_free);
    is_free
}

/// Cleans one log after the other until none is dirty.
async fn work(broker: Arc<Broker>, settings: CleanerSettings) {
    let worker = broker.clone();
    let done = tokio::task::spawn_blocking(move || {
        while let Some(job) = pick::next(&worker) {
            job.run(&worker, &settings);
        }
    });
    if done.await.is_err() {
        tracing::error!("a cleaner panicked");
    }
    broker.cleaner.state.lock().workers -= 1;
}

impl Job {
    fn run(&self, broker: &Broker, settings: &CleanerSettings) {
        let Standing { first_dirty_offset, end_offset, dirty_bytes, clean_bytes, .. } =
            self.candidate.standing;
        let partition = &*self.candidate.partition;
        tracing::info!(
            %partition, first_dirty_offset, end_offset, clean_bytes, dirty_bytes,
            ratio = self.candidate.standing.dirty_ratio(), "cleaning a log"
        );
        let begun = Instant::now();
        let options = CleanOptions {
            high_watermark: self.candidate.high_watermark,
            replicated_offset: self.candidate.replicated_offset,
            now: broker.clock.wall_ms(),
            key_bytes: settings.key_bytes,
            load_factor: settings.load_factor,
            buffer_bytes: settings.buffer_bytes,
            hash_key: self.cleaner.hash_key,
        };
        let reporter = Reporter::new(self, begun);
        match clean(&self.candidate.log, &options, &|bytes| reporter.note(bytes) && self.cleaner.pace(bytes))
        {
            Ok(report) => self.cleaned(&report.unwrap_or_default(), begun.elapsed()),
            Err(error) => self.failed(broker, &error, settings),
        }
    }

    fn cleaned(&self, report: &CleanReport, took: Duration) {
        self.cleaner.stats.cleaned(report, took);
        tracing::info!(
            partition = %self.candidate.partition,
            first_dirty_offset = report.first_dirty_offset,
            end_offset = report.end_offset,
            read_bytes = report.key_bytes_read + report.read_bytes,
            bytes_before = report.read_bytes,
            bytes_after = report.written_bytes,
            records_before = report.records_seen,
            records_after = report.records_kept,
            segments_before = report.segments_before,
            segments_after = report.segments_after,
            buffer_utilization = report.buffer_utilization,
            complete = report.complete,
            ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            "log cleaned"
        );
    }

    fn failed(&self, broker: &Broker, error: &CleanError, settings: &CleanerSettings) {
        let partition = &*self.candidate.partition;
        if matches!(error, CleanError::Stopped) {
            return;
        }
        // A log that is offline or gone has been spoken of already.
        if error.is_passing() || self.candidate.log.lock().offline_reason().is_some() {
            tracing::warn!(%partition, %error, "cleaning ended early and is tried again");
            let again_ms = broker.clock.now_ms() + settings.backoff.as_millis() as u64;
            self.cleaner.state.lock().resting.insert(partition.id, again_ms);
            return;
        }
        self.cleaner.stats.failed();
        tracing::error!(
            %partition, %error,
            "the log cannot be cleaned: it keeps its old records until this is repaired and the broker restarts"
        );
        self.set_aside();
    }

    fn set_aside(&self) {
        self.cleaner
            .state
            .lock()
            .uncleanable
            .insert(self.candidate.partition.id, self.candidate.standing.dirty_bytes);
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.set_aside();
        }
        self.cleaner.state.lock().busy.remove(&self.candidate.partition.id);
        self.cleaner.stats.progress(
            &self.candidate.partition.topic,
            self.candidate.partition.id.partition,
            None,
        );
    }
}

/// Says now and then how far a pass is.
struct Reporter<'a> {
    job: &'a Job,
    state: Mutex<(Progress, Instant)>,
}

impl<'a> Reporter<'a> {
    fn new(job: &'a Job, begun: Instant) -> Self {
        let Standing { clean_bytes, dirty_bytes, .. } = job.candidate.standing;
        // Dirty bytes are read twice; what is written is not known yet.
        let expected_bytes = 2 * clean_bytes + 2 * dirty_bytes;
        let progress = Progress { done_bytes: 0, expected_bytes };
        Self { job, state: Mutex::new((progress, begun)) }
    }

    fn note(&self, bytes: u64) -> bool {
        let mut state = self.state.lock();
        let (progress, reported) = &mut *state;
        progress.done_bytes += bytes;
        let partition = &*self.job.candidate.partition;
        self.job.cleaner.stats.progress(&partition.topic, partition.id.partition, Some(*progress));
        if reported.elapsed() >= REPORT_EVERY {
            *reported = Instant::now();
            let percent = (progress.ratio() * 100.0) as u32;
            tracing::info!(%partition, percent, done_bytes = progress.done_bytes, "cleaning a log");
        }
        true
    }
}
