//! Reading many partitions at once, and waiting until there is enough.

use super::append::Now;
use super::partition::Partition;
use super::quota::Quota;
use super::read::{ReadAnswer, ReadRequest};
use super::waiters::DataSignal;
use super::watch::Watch;
use crate::clock::Clock;
use ottla_types::{BrokerId, ErrorCode, TopicIdPartition};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How long marks wait for records that they could go with.
const MARKS_WAIT: Duration = Duration::from_millis(10);

/// One partition that is to be read.
#[derive(Debug)]
pub struct Target {
    /// The replica, or why there is none to read.
    pub replica: Result<Arc<Partition>, ErrorCode>,
    /// From where, and how much.
    pub request: ReadRequest,
    /// The replica that the consumer is to read from instead, or `BrokerId::NONE`.
    pub preferred: BrokerId,
    /// The follower is throttled here.
    pub throttle: Throttle,
}

/// What throttled replication says of a follower's fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Throttle {
    /// Nothing.
    #[default]
    Free,
    /// Its bytes are counted.
    Counted,
    /// There was too much lately: nothing now.
    Held,
}

/// What a fetch is willing to take and to wait.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Wait until so many bytes are there.
    pub min_bytes: u64,
    /// Take at most so many; the first batch is taken even if it alone is larger.
    pub max_bytes: u64,
    /// Wait until then at the longest.
    pub deadline: Instant,
}

/// Reads a consumer's `targets`, in order, until there is enough to answer or time is up.
pub async fn fetch(targets: &[Target], limits: Limits, clock: Clock) -> Vec<ReadAnswer> {
    let answers = read_all(targets, limits, clock);
    if is_enough(answers.iter(), limits) || targets.is_empty() && Instant::now() >= limits.deadline {
        return answers;
    }
    // Register first and look again after, so that nothing that arrives in between is missed.
    let signal = DataSignal::default();
    for target in targets {
        if let Ok(replica) = &target.replica {
            replica.register(&signal);
        }
    }
    loop {
        let answers = read_all(targets, limits, clock);
        if is_enough(answers.iter(), limits) {
            return answers;
        }
        drop(answers);
        tokio::select! {
            () = signal.notified() => {}
            () = tokio::time::sleep_until(limits.deadline) => return read_all(targets, limits, clock),
        }
    }
}

/// One stream of a follower's fetches.
pub struct Stream<'a, T> {
    /// What is new for the follower.
    pub watch: &'a Arc<Watch>,
    /// The stream's number.
    pub number: u64,
    /// What to read of a partition; none if the stream does not have it.
    pub target: T,
    /// Counts what is throttled.
    pub quota: &'a Quota,
}

impl<T: Fn(TopicIdPartition) -> Option<Target>> Stream<'_, T> {
    /// Reads what is `named` and what is new, until there is enough to answer, time is up or the follower has something
    /// else to ask.
    pub async fn fetch(
        &self,
        named: BTreeSet<TopicIdPartition>,
        limits: Limits,
        clock: Clock,
    ) -> BTreeMap<TopicIdPartition, ReadAnswer> {
        let mut deadline = limits.deadline;
        let mut answers = BTreeMap::new();
        let mut turn = self.watch.take_records(self.number, named);
        loop {
            let is_urgent = self.read(&turn, limits, clock, &mut answers);
            let is_given_up = self.watch.stream() != self.number;
            if is_urgent || is_given_up || is_enough(answers.values(), limits) {
                break;
            }
            let is_over = tokio::select! {
                () = self.watch.wait() => self.watch.was_nudged(),
                () = tokio::time::sleep_until(deadline) => true,
            };
            if self.watch.has_urgent_marks() {
                deadline = deadline.min(Instant::now() + MARKS_WAIT);
            }
            turn = self.watch.take_records(self.number, BTreeSet::new());
            if is_over {
                self.read(&turn, limits, clock, &mut answers);
                break;
            }
        }
        let marks: Vec<_> = self.watch.take_marks(self.number).into_iter().collect();
        let rest: Vec<_> = marks.into_iter().filter(|id| !answers.contains_key(id)).collect();
        self.read(&rest, Limits { max_bytes: 0, ..limits }, clock, &mut answers);
        answers
    }

    /// Reads partitions into `answers`; true if one of them must be told at once.
    fn read(
        &self,
        turn: &[TopicIdPartition],
        limits: Limits,
        clock: Clock,
        answers: &mut BTreeMap<TopicIdPartition, ReadAnswer>,
    ) -> bool {
        let now = Now { ms: clock.now_ms(), wall_ms: 0 };
        let taken: u64 = answers.values().map(ReadAnswer::bytes).sum();
        let mut left = limits.max_bytes.saturating_sub(taken);
        let mut is_urgent = false;
        let mut last = None;
        let mut held = Vec::new();
        for (index, &id) in turn.iter().enumerate() {
            if left == 0 && limits.max_bytes > 0 {
                held.extend(&turn[index..]);
                break;
            }
            let Some(target) = (self.target)(id) else { continue };
            if target.throttle == Throttle::Held {
                held.push(id);
                continue;
            }
            let answer = match &target.replica {
                Err(error) => ReadAnswer::failed(*error),
                Ok(replica) => {
                    let min_one_batch = left == limits.max_bytes && left > 0;
                    let max_bytes = target.request.max_bytes.min(left);
                    replica.watch(self.watch);
                    replica.read(&ReadRequest { max_bytes, min_one_batch, ..target.request }, now)
                }
            };
            if target.throttle == Throttle::Counted {
                self.quota.record(now.ms, answer.bytes());
            }
            is_urgent |= answer.is_urgent();
            left = left.saturating_sub(answer.bytes());
            last = Some(id).filter(|_| answer.bytes() > 0).or(last);
            answers.insert(id, answer);
        }
        if last.is_some() || !held.is_empty() {
            self.watch.put_back(&held, last);
        }
        is_urgent
    }
}

fn is_enough<'a>(answers: impl Iterator<Item = &'a ReadAnswer>, limits: Limits) -> bool {
    if Instant::now() >= limits.deadline {
        return true;
    }
    let (mut bytes, mut is_urgent) = (0, false);
    for answer in answers {
        bytes += answer.bytes();
        is_urgent |= answer.is_urgent();
    }
    bytes >= limits.min_bytes || is_urgent
}

fn read_all(targets: &[Target], limits: Limits, clock: Clock) -> Vec<ReadAnswer> {
    let now = Now { ms: clock.now_ms(), wall_ms: 0 };
    let mut left = limits.max_bytes;
    let mut found_any = false;
    let mut answers = Vec::with_capacity(targets.len());
    for target in targets {
        let answer = match &target.replica {
            Err(error) => ReadAnswer::failed(*error),
            Ok(replica) if !target.preferred.is_none() => {
                // Only the marks; the records are to be fetched there.
                let request = ReadRequest { max_bytes: 0, min_one_batch: false, ..target.request };
                ReadAnswer { preferred: target.preferred, ..replica.read(&request, now) }
            }
            Ok(replica) => {
                let request = ReadRequest {
                    max_bytes: target.request.max_bytes.min(left),
                    min_one_batch: !found_any,
                    ..target.request
                };
                replica.read(&request, now)
            }
        };
        found_any |= answer.bytes() > 0;
        left = left.saturating_sub(answer.bytes());
        answers.push(answer);
    }
    answers
}
