//! Batches that were refused for a moment, so that those behind them are not told that a batch is missing.
//!
//! A producer has several batches on their way. If the first is refused because there is no room, too few replicas are
//! in sync or somebody else leads, and that is over when the second comes, then the second does not follow. Told so
//! (`OUT_OF_ORDER_SEQUENCE_NUMBER`), librdkafka begins anew with another epoch in all partitions, and sends what is
//! unanswered in the others once more under it: stored twice, if it was stored there. So the second gets the answer of
//! the first, and both come again in their order. The same where the producer is not known yet and any sequence would
//! be taken.
//!
//! Pure, and forgotten with the process: it changes no more than which error a refused batch is answered with.

use ottla_records::BatchSummary;
use ottla_types::{ErrorCode, ProducerEpoch, ProducerId, TimestampMs};
use std::collections::BTreeMap;

/// Producers remembered for each partition; beyond that the oldest is forgotten.
const PRODUCERS_KEPT: usize = 1_000;
/// How long: `delivery.timeout.ms` of a client that does not change it. It has given up its batch by then.
const KEPT_MS: i64 = 120_000;

/// The first of a producer's batches that was refused and not taken since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Refused {
    epoch: ProducerEpoch,
    sequence: i32,
    code: ErrorCode,
    at: TimestampMs,
}

/// What was refused in one partition.
#[derive(Debug, Default)]
pub(crate) struct RefusedBatches {
    producers: BTreeMap<ProducerId, Refused>,
}

impl RefusedBatches {
    /// True if nothing is remembered: the usual case.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.producers.is_empty()
    }

    /// This batch was refused with `code`, which tells its producer to send it again.
    pub(crate) fn note(&mut self, batch: &BatchSummary, code: ErrorCode, now: TimestampMs) {
        let id = batch.producer_id;
        let refused = Refused { epoch: batch.producer_epoch, sequence: batch.base_sequence, code, at: now };
        match self.producers.get_mut(&id) {
            Some(known) if known.epoch > refused.epoch => {}
            Some(known) if known.epoch == refused.epoch && precedes(known.sequence, refused.sequence) => {
                *known = Refused { sequence: known.sequence, ..refused };
            }
            Some(known) => *known = refused,
            None => {
                self.make_room(now);
                self.producers.insert(id, refused);
            }
        }
    }

    fn make_room(&mut self, now: TimestampMs) {
        if self.producers.len() < PRODUCERS_KEPT {
            return;
        }
        self.producers.retain(|_, refused| is_fresh(refused, now));
        if self.producers.len() >= PRODUCERS_KEPT
            && let Some(oldest) =
                self.producers.iter().min_by_key(|(_, refused)| refused.at).map(|(&id, _)| id)
        {
            self.producers.remove(&oldest);
        }
    }

    /// The answer of the refused batch that comes before this one, if there is such.
    pub(crate) fn before(&self, batch: &BatchSummary, now: TimestampMs) -> Option<ErrorCode> {
        let refused = self.producers.get(&batch.producer_id).filter(|refused| is_fresh(refused, now))?;
        let is_before =
            refused.epoch == batch.producer_epoch && precedes(refused.sequence, batch.base_sequence);
        is_before.then_some(refused.code)
    }

    /// This batch is in the log: it does not wait for an earlier one any more.
    pub(crate) fn taken(&mut self, batch: &BatchSummary) {
        if let Some(refused) = self.producers.get(&batch.producer_id)
            && (refused.epoch != batch.producer_epoch || !precedes(batch.base_sequence, refused.sequence))
        {
            self.producers.remove(&batch.producer_id);
        }
    }
}

fn is_fresh(refused: &Refused, now: TimestampMs) -> bool {
    now.saturating_sub(refused.at).abs() < KEPT_MS
}

/// Sequences wrap from `i32::MAX` to 0; of two of them the one is before the other that is less than half a turn away.
fn precedes(one: i32, other: i32) -> bool {
    let distance = other.wrapping_sub(one) & i32::MAX;
    (1..=i32::MAX / 2).contains(&distance)
}

#[cfg(test)]
mod tests {
    use super::super::tests::batch;
    use super::*;

    const CODE: ErrorCode = ErrorCode::NotEnoughReplicas;

    fn refused(sequence: i32) -> RefusedBatches {
        let mut refused = RefusedBatches::default();
        refused.note(&batch(0, sequence, 2, 0), CODE, 1_000);
        refused
    }

    #[test]
    fn batches_behind_a_refused_one_get_its_answer_and_it_itself_does_not() {
        let refused = refused(4);
        assert_eq!(refused.before(&batch(0, 6, 2, 0), 1_001), Some(CODE));
        assert_eq!(refused.before(&batch(0, 4, 2, 0), 1_001), None);
        assert_eq!(refused.before(&batch(0, 2, 2, 0), 1_001), None);
        assert_eq!(refused.before(&batch(1, 6, 2, 0), 1_001), None);
    }

    #[test]
    fn the_first_refused_batch_counts_until_it_is_taken() {
        let mut refused = refused(4);
        refused.note(&batch(0, 6, 2, 0), ErrorCode::NotLeaderOrFollower, 1_001);
        refused.taken(&batch(0, 2, 2, 0));
        assert_eq!(refused.before(&batch(0, 6, 2, 0), 1_002), Some(ErrorCode::NotLeaderOrFollower));
        refused.taken(&batch(0, 4, 2, 0));
        assert!(refused.is_empty());
    }

    #[test]
    fn a_new_epoch_begins_anew() {
        let mut refused = refused(4);
        refused.note(&batch(1, 0, 2, 0), CODE, 1_001);
        refused.note(&batch(0, 6, 2, 0), CODE, 1_002);
        assert_eq!(refused.before(&batch(0, 8, 2, 0), 1_003), None);
        assert_eq!(refused.before(&batch(1, 2, 2, 0), 1_003), Some(CODE));
        refused.taken(&batch(2, 0, 1, 0));
        assert!(refused.is_empty());
    }

    #[test]
    fn sequences_wrap() {
        let refused = refused(i32::MAX - 1);
        assert_eq!(refused.before(&batch(0, 0, 2, 0), 1_001), Some(CODE));
    }

    #[test]
    fn nothing_is_remembered_for_ever_and_not_more_than_a_thousand_producers() {
        let mut refused = refused(4);
        assert_eq!(refused.before(&batch(0, 6, 2, 0), 1_000 + KEPT_MS), None);
        for id in 0..2_000 {
            let producer_id = ProducerId(100 + id);
            refused.note(&BatchSummary { producer_id, ..batch(0, 4, 2, 0) }, CODE, 2_000 + id);
        }
        assert_eq!(refused.producers.len(), PRODUCERS_KEPT);
        let last = BatchSummary { producer_id: ProducerId(2_099), ..batch(0, 6, 2, 0) };
        assert_eq!(refused.before(&last, 4_000), Some(CODE));
    }
}
