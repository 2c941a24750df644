//! What is new for one follower, over all partitions that it follows from here.
//!
//! A stream of thousands of partitions of which a few are written to costs what those few cost: a replica tells the
//! watches of its followers when it has records or marks for them, and a fetch reads what was told and what it names
//! itself. Everything is read now and then all the same, so that the leader knows that the follower is there.
//!
//! Invariants: a partition that was told stays told until it was read; a watch belongs to one stream of fetches, and
//! what a stream that was given up would take is left to the next.

use ottla_types::TopicIdPartition;
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use tokio::sync::Notify;

/// Between two reads of everything.
const READ_ALL_MS: u64 = 5_000;

/// News for one follower.
#[derive(Debug, Default)]
pub struct Watch {
    news: Mutex<News>,
    nudged: AtomicBool,
    wake: Notify,
}

#[derive(Debug, Default)]
struct News {
    stream: u64,
    records: BTreeSet<TopicIdPartition>,
    marks: BTreeSet<TopicIdPartition>,
    /// Read last; the next one has its turn first.
    last: Option<TopicIdPartition>,
    read_all_at_ms: u64,
    /// Marks are news even without records: consumers read from the follower.
    tells_marks: bool,
}

impl Watch {
    /// A new stream of fetches begins; returns its number. With `tells_marks` an answer does not wait for records for
    /// long when marks moved.
    pub fn begin(&self, tells_marks: bool) -> u64 {
        let mut news = self.news.lock();
        *news = News { stream: news.stream + 1, tells_marks, ..News::default() };
        // Whoever still waits for the one before has nothing to wait for.
        self.wake.notify_waiters();
        news.stream
    }

    /// The stream that goes on.
    pub fn stream(&self) -> u64 {
        self.news.lock().stream
    }

    /// The follower has something else to ask: what waits for it waits no longer.
    pub fn nudge(&self) {
        self.nudged.store(true, Ordering::Release);
        self.wake.notify_one();
    }

    /// Waits until there may be something.
    pub async fn wait(&self) {
        self.wake.notified().await;
    }

    /// Whether the follower had something else to ask since the last call.
    pub fn was_nudged(&self) -> bool {
        self.nudged.swap(false, Ordering::AcqRel)
    }

    /// There are records to read.
    fn tell_records(&self, partition: TopicIdPartition) {
        self.news.lock().records.insert(partition);
        self.wake.notify_one();
    }

    /// The marks moved: worth saying with the next answer.
    fn tell_marks(&self, partition: TopicIdPartition) {
        let mut news = self.news.lock();
        let is_first = news.marks.is_empty();
        news.marks.insert(partition);
        if is_first && news.tells_marks {
            self.wake.notify_one();
        }
    }

    /// True if there are marks that are to be told soon.
    pub fn has_urgent_marks(&self) -> bool {
        let news = self.news.lock();
        news.tells_marks && !news.marks.is_empty()
    }

    /// Is it time to read everything?
    pub fn must_read_all(&self, now_ms: u64) -> bool {
        let mut news = self.news.lock();
        let due = now_ms >= news.read_all_at_ms;
        if due {
            news.read_all_at_ms = now_ms + READ_ALL_MS;
        }
        due
    }

    /// Takes the partitions with records and adds them to `also`; all in the order of their turns.
    pub fn take_records(&self, stream: u64, mut also: BTreeSet<TopicIdPartition>) -> Vec<TopicIdPartition> {
        let mut news = self.news.lock();
        if news.stream == stream {
            also.append(&mut news.records);
        }
        let Some(last) = news.last else { return also.into_iter().collect() };
        let behind = also.split_off(&last);
        let is_last = |partition: &TopicIdPartition| *partition == last;
        let (last, behind): (Vec<_>, Vec<_>) = behind.into_iter().partition(is_last);
        behind.into_iter().chain(also).chain(last).collect()
    }

    /// Takes the partitions of which only the marks moved.
    pub fn take_marks(&self, stream: u64) -> BTreeSet<TopicIdPartition> {
        let mut news = self.news.lock();
        if news.stream == stream { std::mem::take(&mut news.marks) } else { BTreeSet::new() }
    }

    /// The answer was full: these are read next time. `last` is the last one that had its turn.
    pub fn put_back(&self, rest: &[TopicIdPartition], last: Option<TopicIdPartition>) {
        let mut news = self.news.lock();
        news.records.extend(rest);
        news.last = last.or(news.last);
    }
}

/// The watches of a replica's followers.
#[derive(Debug, Default)]
pub struct Watches(Vec<Weak<Watch>>);

impl Watches {
    /// Tells this one too from now on.
    pub fn add(&mut self, watch: &Arc<Watch>) {
        let is_this = |known: &Weak<Watch>| std::ptr::eq(known.as_ptr(), Arc::as_ptr(watch));
        if !self.0.iter().any(is_this) {
            self.0.retain(|known| known.strong_count() > 0);
            self.0.push(Arc::downgrade(watch));
        }
    }

    /// There are records to read, or an error to hear of.
    pub fn tell_records(&self, partition: TopicIdPartition) {
        self.0.iter().filter_map(Weak::upgrade).for_each(|watch| watch.tell_records(partition));
    }

    /// The marks moved.
    pub fn tell_marks(&self, partition: TopicIdPartition) {
        self.0.iter().filter_map(Weak::upgrade).for_each(|watch| watch.tell_marks(partition));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_types::{TopicId, Uuid};

    fn id(partition: i32) -> TopicIdPartition {
        TopicIdPartition { topic_id: TopicId(Uuid::from_u128(1)), partition }
    }

    #[test]
    fn each_partition_has_its_turn() {
        let watch = Watch::default();
        let stream = watch.begin(false);
        watch.put_back(&[id(1), id(3)], Some(id(2)));
        watch.tell_records(id(2));
        let named = BTreeSet::from([id(0)]);
        assert_eq!(watch.take_records(stream, named), [id(3), id(0), id(1), id(2)]);
        assert_eq!(watch.take_records(stream, BTreeSet::new()), []);
    }

    #[test]
    fn a_stream_that_was_given_up_takes_nothing_from_the_next() {
        let watch = Watch::default();
        let before = watch.begin(false);
        let stream = watch.begin(false);
        watch.tell_records(id(1));
        watch.tell_marks(id(2));
        assert_eq!(watch.take_records(before, BTreeSet::new()), []);
        assert!(watch.take_marks(before).is_empty());
        assert_eq!(watch.take_records(stream, BTreeSet::new()), [id(1)]);
        assert_eq!(watch.take_marks(stream), BTreeSet::from([id(2)]));
    }

    #[test]
    fn everything_is_read_now_and_then() {
        let watch = Watch::default();
        watch.begin(false);
        assert!(watch.must_read_all(0));
        assert!(!watch.must_read_all(READ_ALL_MS - 1));
        assert!(watch.must_read_all(READ_ALL_MS));
    }
}
