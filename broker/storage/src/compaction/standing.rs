//! How much of a log there is to clean, and whether it is time (`LogCleanerManager`). Pure.

use ottla_types::{Offset, TimestampMs};
use std::cmp::Ordering;

/// A segment below the active one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sealed {
    /// Its first offset.
    pub(crate) base_offset: Offset,
    /// The first offset of the next segment.
    pub(crate) end_offset: Offset,
    /// Bytes of batches.
    pub(crate) bytes: u64,
    /// Timestamp of its first batch; below 0 if there is none or nobody asked.
    pub(crate) first_timestamp: TimestampMs,
    /// Its newest record's timestamp; that of its last change where records have none, or nobody asked.
    pub(crate) newest_ms: TimestampMs,
}

/// What is known about a log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a> {
    /// All segments but the active one, in order.
    pub(crate) sealed: &'a [Sealed],
    /// First offset of the active segment.
    pub(crate) active_offset: Offset,
    /// One past the last offset.
    pub(crate) log_end_offset: Offset,
    /// First offset.
    pub(crate) log_start_offset: Offset,
    /// Where the last cleaning ended, if there was one.
    pub(crate) cleaned_to: Option<Offset>,
    /// Everything below is committed and no open transaction's.
    pub(crate) last_stable_offset: Offset,
    /// `min.compaction.lag.ms`.
    pub(crate) min_lag_ms: i64,
    /// `max.compaction.lag.ms`.
    pub(crate) max_lag_ms: i64,
    /// Wall clock.
    pub(crate) now: TimestampMs,
}

/// How a log stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Records from here on were never cleaned.
    pub first_dirty_offset: Offset,
    /// Records from here on must stay as they are for now; a segment begins here.
    pub end_offset: Offset,
    /// Bytes below the first dirty offset.
    pub clean_bytes: u64,
    /// Bytes between the two.
    pub dirty_bytes: u64,
    /// How long ago `max.compaction.lag.ms` ran out; 0 if it did not.
    pub overdue_ms: i64,
}

impl Standing {
    /// Judges a log.
    pub(crate) fn of(facts: &Facts<'_>) -> Self {
        let first_dirty_offset = first_dirty(facts);
        let end_offset = end(facts, first_dirty_offset);
        let below = |segment: &&Sealed| segment.end_offset <= end_offset;
        let bytes = |clean: bool| {
            let wanted =
                |segment: &&Sealed| (segment.end_offset <= first_dirty_offset.min(end_offset)) == clean;
            facts.sealed.iter().filter(below).filter(wanted).map(|segment| segment.bytes).sum()
        };
        Self {
            first_dirty_offset,
            end_offset,
            clean_bytes: bytes(true),
            dirty_bytes: bytes(false),
            overdue_ms: overdue(facts, first_dirty_offset),
        }
    }

    /// Share of what may be cleaned that never was.
    #[must_use]
    pub fn dirty_ratio(&self) -> f64 {
        let total = self.clean_bytes + self.dirty_bytes;
        if total == 0 { 0.0 } else { self.dirty_bytes as f64 / total as f64 }
    }

    /// True if it is time: enough is dirty, or something has been for too long.
    #[must_use]
    pub fn is_due(&self, min_cleanable_ratio: f64) -> bool {
        self.dirty_bytes > 0 && (self.overdue_ms > 0 || self.dirty_ratio() > min_cleanable_ratio)
    }

    /// Which of two logs is to be cleaned first (`Greater`): one that is overdue, then the dirtier one.
    #[must_use]
    pub fn urgency(&self, other: &Self) -> Ordering {
        let overdue = |standing: &Self| standing.overdue_ms > 0 && standing.dirty_bytes > 0;
        overdue(self)
            .cmp(&overdue(other))
            .then(self.dirty_ratio().total_cmp(&other.dirty_ratio()))
            .then(self.dirty_bytes.cmp(&other.dirty_bytes))
    }
}

/// A checkpoint that lies outside of the log says nothing about it.
fn first_dirty(facts: &Facts<'_>) -> Offset {
    let start = facts.log_start_offset;
    facts.cleaned_to.filter(|at| (start..=facts.log_end_offset).contains(at)).unwrap_or(start)
}

fn end(facts: &Facts<'_>, first_dirty: Offset) -> Offset {
    let mut end = facts.last_stable_offset.min(facts.active_offset);
    if facts.min_lag_ms > 0 {
        let dirty = facts.sealed.iter().filter(|segment| segment.end_offset > first_dirty);
        let young = |segment: &&Sealed| segment.newest_ms > facts.now.saturating_sub(facts.min_lag_ms);
        end = dirty.clone().find(young).map_or(end, |segment| end.min(segment.base_offset));
    }
    // Whole segments only.
    let whole = facts.sealed.iter().take_while(|segment| segment.end_offset <= end);
    whole.last().map_or(facts.log_start_offset.min(end), |segment| segment.end_offset)
}

fn overdue(facts: &Facts<'_>, first_dirty: Offset) -> i64 {
    let dirty = facts.sealed.iter().filter(|segment| segment.end_offset > first_dirty);
    let oldest = dirty.map(|segment| segment.first_timestamp).filter(|&timestamp| timestamp > 0).min();
    let limit = facts.now.saturating_sub(facts.max_lag_ms.max(0));
    oldest.map_or(0, |oldest| limit.saturating_sub(oldest).max(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEALED: [Sealed; 4] = [sealed(0, 400), sealed(100, 300), sealed(200, 200), sealed(300, 100)];

    const fn sealed(base_offset: Offset, bytes: u64) -> Sealed {
        Sealed {
            base_offset,
            end_offset: base_offset + 100,
            bytes,
            first_timestamp: base_offset * 10 + 1,
            newest_ms: base_offset * 10 + 1_000,
        }
    }

    fn facts() -> Facts<'static> {
        Facts {
            sealed: &SEALED,
            active_offset: 400,
            log_end_offset: 500,
            log_start_offset: 0,
            cleaned_to: None,
            last_stable_offset: 500,
            min_lag_ms: 0,
            max_lag_ms: i64::MAX,
            now: 5_000,
        }
    }

    #[test]
    fn a_log_that_was_never_cleaned_is_dirty_up_to_its_active_segment() {
        let standing = Standing::of(&facts());
        assert_eq!((standing.first_dirty_offset, standing.end_offset), (0, 400));
        assert_eq!((standing.clean_bytes, standing.dirty_bytes), (0, 1_000));
        assert!(standing.is_due(0.99));
    }

    #[test]
    fn what_was_cleaned_counts_against_what_was_not() {
        let standing = Standing::of(&Facts { cleaned_to: Some(200), ..facts() });
        assert_eq!((standing.clean_bytes, standing.dirty_bytes), (700, 300));
        assert!(standing.is_due(0.29) && !standing.is_due(0.3));
        let done = Standing::of(&Facts { cleaned_to: Some(400), ..facts() });
        assert!(!done.is_due(0.0));
    }

    #[test]
    fn only_whole_segments_of_committed_records_are_cleaned() {
        let standing = Standing::of(&Facts { last_stable_offset: 250, ..facts() });
        assert_eq!((standing.end_offset, standing.dirty_bytes), (200, 700));
        let nothing = Standing::of(&Facts { last_stable_offset: 50, ..facts() });
        assert_eq!(nothing.dirty_bytes, 0);
        assert!(!nothing.is_due(0.0));
    }

    #[test]
    fn young_records_stay_as_they_are() {
        let standing = Standing::of(&Facts { min_lag_ms: 2_500, ..facts() });
        assert_eq!(standing.end_offset, 200, "newer than 2500 at 5000: those of the segment at 200");
    }

    #[test]
    fn a_record_that_waits_for_too_long_makes_it_urgent() {
        let mostly_clean = Facts { cleaned_to: Some(300), max_lag_ms: 1_000, ..facts() };
        let standing = Standing::of(&mostly_clean);
        assert_eq!(standing.overdue_ms, 5_000 - 1_000 - 3_001);
        assert!(standing.is_due(0.9));
        assert!(!Standing::of(&Facts { max_lag_ms: 3_000, ..mostly_clean }).is_due(0.9));
    }

    #[test]
    fn a_checkpoint_from_outside_of_the_log_is_not_believed() {
        for cleaned_to in [5, 501] {
            let facts = Facts { log_start_offset: 10, cleaned_to: Some(cleaned_to), ..facts() };
            assert_eq!(Standing::of(&facts).first_dirty_offset, 10);
        }
    }
}
