//! Which records and batches survive (`Cleaner.shouldRetainRecord`, `checkBatchRetention`). Pure.

use super::key_map::{HashedKey, KeyMap};
use ottla_records::{BatchHeader, RecordRef};
use ottla_types::{Offset, ProducerEpoch, ProducerId, TimestampMs};
use std::collections::BTreeMap;

/// The last that is known of a producer: the batch that must stay so that its sequence or its epoch is not forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LastBatch {
    /// Last offset of its newest batch of records, if one is known.
    pub(crate) last_offset: Option<Offset>,
    /// Its epoch.
    pub(crate) epoch: ProducerEpoch,
}

/// What decides.
#[derive(Debug)]
pub(crate) struct Rules<'a> {
    /// The latest offset of each key.
    pub(crate) latest: &'a KeyMap,
    /// Producers that are known.
    pub(crate) producers: &'a BTreeMap<ProducerId, LastBatch>,
    /// Every replica has what is below: tombstones and markers from here on must stay.
    pub(crate) replicated_offset: Offset,
    /// Wall clock.
    pub(crate) now: TimestampMs,
}

impl Rules<'_> {
    /// True if the record, with its key's hash, stays. `tombstones_may_go` is what [`Self::tombstones_may_go`] says of its batch.
    pub(crate) fn keeps(
        &self,
        header: &BatchHeader,
        (record, key): (&RecordRef<'_>, Option<HashedKey>),
        tombstones_may_go: bool,
    ) -> bool {
        let offset = header.base_offset + i64::from(record.offset_delta);
        if offset >= self.latest.next_offset() {
            return true;
        }
        // Without a key it belongs to nothing that could be asked for.
        let Some(key) = key else { return false };
        self.latest.get(key).is_none_or(|latest| offset >= latest)
            && (record.value.is_some() || !tombstones_may_go)
    }

    /// True if the tombstones and markers in a batch have stayed for `delete.retention.ms` since they were first
    /// cleaned, and every replica has them.
    pub(crate) fn tombstones_may_go(&self, header: &BatchHeader) -> bool {
        header.delete_horizon_ms().is_some_and(|horizon| self.now >= horizon)
            && header.last_offset() < self.replicated_offset
    }

    /// True if the producer's state is read off this batch: it stays, even without records.
    pub(crate) fn is_last_of_producer(&self, header: &BatchHeader) -> bool {
        if !header.has_producer() {
            return false;
        }
        let Some(last) = self.producers.get(&ProducerId(header.producer_id)) else { return false };
        match last.last_offset {
            Some(last_offset) => header.last_offset() == last_offset,
            None => header.is_control() && header.producer_epoch == last.epoch.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::key_map::Room;
    use super::*;
    use ottla_records::{BuilderOptions, RecordBatch, RecordBatchBuilder};

    fn batch(base_offset: Offset, control: bool) -> RecordBatch {
        let options = BuilderOptions {
            base_offset,
            producer: Some((7, 2, 0)),
            control,
            transactional: control,
            ..BuilderOptions::default()
        };
        let mut builder = RecordBatchBuilder::new(options);
        builder.append(0, Some(b"a"), Some(b"v"), &[]).unwrap();
        builder.append(0, Some(b"b"), None, &[]).unwrap();
        builder.append(0, None, Some(b"v"), &[]).unwrap();
        RecordBatch::new(&builder.build()).unwrap()
    }

    fn kept(rules: &Rules<'_>, batch: &RecordBatch, tombstones_may_go: bool) -> Vec<bool> {
        let records = batch.records(1 << 20).unwrap();
        let keeps = |record: RecordRef<'_>| {
            let key = record.key.map(|key| rules.latest.hash(key));
            rules.keeps(&batch.header, (&record, key), tombstones_may_go)
        };
        records.refs().map(|record| keeps(record.unwrap())).collect()
    }

    fn map(puts: &[(&[u8], Offset)], covers: Offset) -> KeyMap {
        let mut map = KeyMap::new(0, Room { bytes: 1_024, load_factor: 0.9 }, (0, 0));
        puts.iter().for_each(|(key, offset)| assert!(map.put(map.hash(key), *offset)));
        map.covers(covers);
        map
    }

    #[test]
    fn the_latest_of_each_key_stays_and_a_tombstone_until_it_may_go() {
        let (latest, producers) = (map(&[(b"a", 0), (b"b", 1)], 3), BTreeMap::new());
        let rules = Rules { latest: &latest, producers: &producers, replicated_offset: 0, now: 0 };
        assert_eq!(kept(&rules, &batch(0, false), false), [true, true, false]);
        assert_eq!(kept(&rules, &batch(0, false), true), [true, false, false]);
    }

    #[test]
    fn what_a_later_record_replaced_goes() {
        let (latest, producers) = (map(&[(b"a", 8)], 9), BTreeMap::new());
        let rules = Rules { latest: &latest, producers: &producers, replicated_offset: 0, now: 0 };
        assert_eq!(kept(&rules, &batch(0, false), false), [false, true, false]);
    }

    #[test]
    fn what_the_pass_did_not_look_at_stays() {
        let (latest, producers) = (map(&[(b"a", 8)], 9), BTreeMap::new());
        let rules = Rules { latest: &latest, producers: &producers, replicated_offset: 0, now: 0 };
        assert_eq!(kept(&rules, &batch(9, false), true), [true, true, true]);
    }

    #[test]
    fn tombstones_wait_for_their_horizon_and_for_every_replica() {
        let (latest, producers) = (map(&[], 0), BTreeMap::new());
        let plain = batch(0, false);
        let records = plain.records(1 << 20).unwrap();
        let all: Vec<_> = records.refs().map(Result::unwrap).collect();
        let mut out = Vec::new();
        let header = ottla_records::rewrite::append_kept(&plain.header, &all, Some(1_000), &mut out).unwrap();
        let rules =
            |replicated_offset, now| Rules { latest: &latest, producers: &producers, replicated_offset, now };
        assert!(!rules(100, 5_000).tombstones_may_go(&plain.header), "was never cleaned");
        assert!(!rules(100, 999).tombstones_may_go(&header));
        assert!(rules(3, 1_000).tombstones_may_go(&header));
        assert!(!rules(2, 1_000).tombstones_may_go(&header), "a replica has only two of the three");
    }

    #[test]
    fn the_batch_that_knows_a_producer_stays() {
        let latest = map(&[], 0);
        let is_last = |last_offset, epoch, batch: &RecordBatch| {
            let last = LastBatch { last_offset, epoch: ProducerEpoch(epoch) };
            let producers = BTreeMap::from([(ProducerId(7), last)]);
            Rules { latest: &latest, producers: &producers, replicated_offset: 0, now: 0 }
                .is_last_of_producer(&batch.header)
        };
        assert!(is_last(Some(12), 2, &batch(10, false)));
        assert!(!is_last(Some(13), 2, &batch(10, false)));
        assert!(is_last(None, 2, &batch(10, true)), "a marker with the newest epoch");
        assert!(!is_last(None, 3, &batch(10, true)));
        assert!(!is_last(None, 2, &batch(10, false)));
    }
}
