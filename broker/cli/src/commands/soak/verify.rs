//! Reading a topic back, against the ledger.

use super::ledger::Ledger;
use anyhow::Context;
use ottla_client::{Admin, Client, Consumer, ConsumerOptions, Isolation, OffsetSpec, Start};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// How long the end may not come nearer.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is wrong with what was read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Acknowledged, and not there, or not at the offset that was told.
    pub(super) lost: u64,
    /// There more than once.
    pub(super) duplicated: u64,
    /// Behind a record that was sent later to the same partition.
    pub(super) out_of_order: u64,
}

impl Found {
    pub(super) fn faults(&self) -> u64 {
        self.lost + self.duplicated + self.out_of_order
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lost, duplicated, out_of_order } = self;
        write!(f, "{lost} acknowledged records lost, {duplicated} duplicated, {out_of_order} out of order")
    }
}

/// The value of a run's record.
pub(super) fn value(run: &str, number: u64, size: usize) -> String {
    let mut value = format!("{run} {number} ");
    let padding = size.saturating_sub(value.len());
    value.extend(std::iter::repeat_n('.', padding));
    value
}

fn number_of(run: &str, value: &[u8]) -> Option<u64> {
    let mut words = std::str::from_utf8(value).ok()?.split(' ');
    (words.next()? == run).then(|| words.next()?.parse().ok()).flatten()
}

/// Reads the topic up to its end and compares.
pub(super) async fn read_back(
    client: &Client,
    topic: &str,
    run: &str,
    ledger: &Ledger,
) -> anyhow::Result<Found> {
    let mut consumer = Consumer::new(client.clone(), ConsumerOptions::default());
    let admin = Admin::new(client.clone());
    let mut ends = BTreeMap::new();
    for partition in consumer.assign_topic(topic, Start::Beginning).await? {
        let end = admin.offset(topic, partition, OffsetSpec::Latest, Isolation::ReadUncommitted).await?;
        ends.insert(partition, end.offset);
    }
    let mut comparison = Comparison::default();
    loop {
        let reached = consumer.positions().filter(|(_, partition, at)| *at >= ends[partition]);
        let reached: Vec<i32> = reached.map(|(_, partition, _)| partition).collect();
        for partition in reached {
            consumer.finish(topic, partition);
        }
        if consumer.is_idle() {
            return Ok(comparison.finish(ledger));
        }
        let fetched = consumer.poll(PATIENCE).await?.context("the topic could not be read up to its end")?;
        for record in &fetched.records {
            if let Some(number) = record.value.as_deref().and_then(|value| number_of(run, value)) {
                comparison.saw(fetched.partition, record.offset, number);
            }
        }
    }
}

#[derive(Debug, Default)]
struct Comparison {
    /// The first place of each record.
    places: BTreeMap<u64, (i32, i64)>,
    last: BTreeMap<i32, u64>,
    found: Found,
}

impl Comparison {
    fn saw(&mut self, partition: i32, offset: i64, number: u64) {
        if self.places.contains_key(&number) {
            self.found.duplicated += 1;
            return;
        }
        self.places.insert(number, (partition, offset));
        let last = self.last.entry(partition).or_insert(number);
        if *last > number {
            self.found.out_of_order += 1;
        }
        *last = (*last).max(number);
    }

    fn finish(mut self, ledger: &Ledger) -> Found {
        let is_there = |entry: &super::ledger::Acknowledged| {
            self.places.get(&entry.number).is_some_and(|(partition, offset)| {
                *partition == entry.partition && (entry.offset < 0 || entry.offset == *offset)
            })
        };
        self.found.lost = ledger.entries().iter().filter(|entry| !is_there(entry)).count() as u64;
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_client::Delivered;
    use std::time::Instant;

    fn ledger(entries: &[(u64, i32, i64)]) -> Ledger {
        let mut ledger = Ledger::default();
        for &(number, partition, offset) in entries {
            ledger.acknowledged(number, Instant::now(), Delivered { partition, offset, timestamp: 0 });
        }
        ledger
    }

    fn compare(seen: &[(i32, i64, u64)], acknowledged: &[(u64, i32, i64)]) -> Found {
        let mut comparison = Comparison::default();
        for &(partition, offset, number) in seen {
            comparison.saw(partition, offset, number);
        }
        comparison.finish(&ledger(acknowledged))
    }

    #[test]
    fn a_record_is_known_by_run_and_number() {
        let text = value("abc", 17, 40);
        assert_eq!(text.len(), 40);
        assert_eq!(number_of("abc", text.as_bytes()), Some(17));
        assert_eq!(number_of("abd", text.as_bytes()), None);
        assert_eq!(number_of("abc", b"\xff"), None);
    }

    #[test]
    fn what_is_where_it_was_acknowledged_is_no_fault() {
        let found = compare(&[(0, 0, 0), (1, 5, 1), (0, 1, 2)], &[(0, 0, 0), (2, 0, 1), (1, 1, -1)]);
        assert_eq!(found, Found::default());
    }

    #[test]
    fn a_record_that_is_gone_or_elsewhere_is_lost() {
        assert_eq!(compare(&[(0, 7, 0)], &[(0, 0, 6), (1, 0, 7)]).lost, 2);
    }

    #[test]
    fn records_twice_or_behind_later_ones_are_faults() {
        let found = compare(&[(0, 0, 1), (0, 1, 0), (0, 2, 1)], &[]);
        assert_eq!(found, Found { lost: 0, duplicated: 1, out_of_order: 1 });
    }
}
