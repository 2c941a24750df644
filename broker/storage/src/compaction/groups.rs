//! Which segments become one (`Cleaner.groupSegmentsBySize`). Pure.

use ottla_types::Offset;
use std::ops::Range;

/// A segment, as far as grouping goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sizes {
    /// Its first offset.
    pub(crate) base_offset: Offset,
    /// The first offset of the next one.
    pub(crate) end_offset: Offset,
    /// Bytes of batches.
    pub(crate) log_bytes: u64,
    /// Bytes of its larger index.
    pub(crate) index_bytes: u64,
}

/// Neighbours that together stay below `segment_bytes` and `index_bytes`, and whose offsets an index can hold.
/// Ranges of `segments`, in order, without gaps.
pub(crate) fn group(segments: &[Sizes], segment_bytes: u64, index_bytes: u64) -> Vec<Range<usize>> {
    let mut groups = Vec::new();
    let mut start = 0;
    while start < segments.len() {
        let first = segments[start];
        let (mut log, mut index) = (first.log_bytes, first.index_bytes);
        let mut end = start + 1;
        while let Some(next) = segments.get(end) {
            log += next.log_bytes;
            index += next.index_bytes;
            let span = next.end_offset - 1 - first.base_offset;
            if log > segment_bytes || index > index_bytes || span > i64::from(i32::MAX) {
                break;
            }
            end += 1;
        }
        groups.push(start..end);
        start = end;
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segments(sizes: &[(Offset, u64)]) -> Vec<Sizes> {
        let mut base_offset = 0;
        let each = sizes.iter().map(|&(span, log_bytes)| {
            let segment =
                Sizes { base_offset, end_offset: base_offset + span, log_bytes, index_bytes: log_bytes / 10 };
            base_offset += span;
            segment
        });
        each.collect()
    }

    #[test]
    fn small_neighbours_become_one_up_to_the_size_of_a_segment() {
        let all = segments(&[(10, 400), (10, 400), (10, 300), (10, 900), (10, 100), (10, 100)]);
        assert_eq!(group(&all, 1_000, 1_000), [0..2, 2..3, 3..5, 5..6]);
    }

    #[test]
    fn one_that_is_too_large_already_stays_alone() {
        assert_eq!(group(&segments(&[(10, 5_000), (10, 10)]), 1_000, 1_000), [0..1, 1..2]);
    }

    #[test]
    fn the_indexes_bound_a_group_too() {
        assert_eq!(group(&segments(&[(10, 100), (10, 100), (10, 100)]), 1_000, 20), [0..2, 2..3]);
    }

    #[test]
    fn offsets_in_a_group_fit_into_31_bits() {
        let half = i64::from(i32::MAX) / 2;
        let all = segments(&[(half, 1), (half, 1), (half, 1)]);
        assert_eq!(group(&all, 1_000, 1_000), [0..2, 2..3]);
    }
}
