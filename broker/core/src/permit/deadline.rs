//! When permits end by themselves. A permit's duration runs from when this controller first saw it: a new controller
//! gives it its whole time again, which is late rather than early.

use std::collections::BTreeMap;

/// The deadlines of the permits that are out, by permit epoch.
#[derive(Debug, Clone, Default)]
pub struct Deadlines {
    ends_ms: BTreeMap<i64, u64>,
}

impl Deadlines {
    /// These permits (epoch, duration in ms) are out: begins to count for new ones, forgets the others.
    pub fn observe(&mut self, now_ms: u64, permits: impl IntoIterator<Item = (i64, u64)>) {
        let mut ends_ms = BTreeMap::new();
        for (epoch, duration_ms) in permits {
            let end = self.ends_ms.get(&epoch).copied().unwrap_or_else(|| now_ms.saturating_add(duration_ms));
            ends_ms.insert(epoch, end);
        }
        self.ends_ms = ends_ms;
    }

    /// The permit's whole time begins anew.
    pub fn renew(&mut self, now_ms: u64, epoch: i64, duration_ms: u64) {
        self.ends_ms.insert(epoch, now_ms.saturating_add(duration_ms));
    }

    /// How long the permit still holds; 0 if it is over or not known.
    #[must_use]
    pub fn remaining_ms(&self, now_ms: u64, epoch: i64) -> u64 {
        self.ends_ms.get(&epoch).map_or(0, |end| end.saturating_sub(now_ms))
    }

    /// Has the permit's time passed?
    #[must_use]
    pub fn has_passed(&self, now_ms: u64, epoch: i64) -> bool {
        self.ends_ms.get(&epoch).is_some_and(|&end| now_ms >= end)
    }

    /// When the next one passes.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<u64> {
        self.ends_ms.values().copied().min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permit_counts_from_when_it_was_first_seen() {
        let mut deadlines = Deadlines::default();
        deadlines.observe(10, [(1, 100)]);
        deadlines.observe(50, [(1, 100), (2, 100)]);
        assert!(!deadlines.has_passed(109, 1));
        assert!(deadlines.has_passed(110, 1));
        assert!(!deadlines.has_passed(110, 2));
        assert_eq!(deadlines.poll_timeout(), Some(110));
    }

    #[test]
    fn a_renewed_permit_has_its_whole_time_again() {
        let mut deadlines = Deadlines::default();
        deadlines.observe(10, [(1, 100)]);
        deadlines.renew(100, 1, 50);
        deadlines.observe(120, [(1, 50)]);
        assert_eq!((deadlines.remaining_ms(120, 1), deadlines.remaining_ms(120, 2)), (30, 0));
        assert!(!deadlines.has_passed(149, 1));
        assert!(deadlines.has_passed(150, 1));
    }

    #[test]
    fn a_permit_that_is_gone_is_forgotten() {
        let mut deadlines = Deadlines::default();
        deadlines.observe(10, [(1, 100)]);
        deadlines.observe(20, []);
        assert_eq!(deadlines.poll_timeout(), None);
        assert!(!deadlines.has_passed(1_000, 1));
    }
}
