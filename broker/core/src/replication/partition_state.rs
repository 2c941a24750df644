//! What the metadata says about a partition and its brokers, as replication sees it; checks on leader epochs.

use crate::planted::{self, Bug};
use ottla_types::{BrokerEpoch, BrokerId, ErrorCode, LeaderEpoch, Offset, PartitionEpoch};

/// A partition's registration in the metadata image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionState {
    /// The elected leader; `BrokerId::NONE` while there is none.
    pub leader: BrokerId,
    /// Counts leaders.
    pub leader_epoch: LeaderEpoch,
    /// Counts every change of the registration.
    pub partition_epoch: PartitionEpoch,
    /// All assigned replicas, those being added or removed included, in order of preference.
    pub replicas: Vec<BrokerId>,
    /// The replicas a reassignment adds; a subset of `replicas`.
    pub adding_replicas: Vec<BrokerId>,
    /// The replicas a reassignment removes; a subset of `replicas`.
    pub removing_replicas: Vec<BrokerId>,
    /// The committed in-sync replicas; a subset of `replicas`.
    pub isr: Vec<BrokerId>,
}

/// What became of a partition's new registration that metadata delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartitionChange {
    /// It is in force now.
    Applied,
    /// It is older than, or the same as, what is known.
    Stale,
    /// It names another leader: this machine is over, start the other role.
    NotLeader,
}

/// A broker's registration as far as the ISR cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BrokerStatus {
    /// Its registration epoch; a later one is a later incarnation.
    pub epoch: BrokerEpoch,
    /// The controller does not hear it.
    pub fenced: bool,
    /// It asked for a controlled shutdown and will leave.
    pub shutting_down: bool,
}

impl BrokerStatus {
    /// May a replica on this broker join an ISR (KIP-841)?
    #[must_use]
    pub fn may_join_isr(self) -> bool {
        !self.fenced && !self.shutting_down
    }
}

/// The brokers of the metadata image.
pub trait Brokers {
    /// The registration of `broker`, if there is one.
    fn status(&self, broker: BrokerId) -> Option<BrokerStatus>;
}

impl<F: Fn(BrokerId) -> Option<BrokerStatus>> Brokers for F {
    fn status(&self, broker: BrokerId) -> Option<BrokerStatus> {
        self(broker)
    }
}

/// A request named a leader epoch that is not the partition's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEpoch {
    /// The sender is behind: there was a later election.
    #[error("leader epoch {asked} is fenced, the partition is at {current}")]
    Fenced {
        /// The epoch of the request.
        asked: LeaderEpoch,
        /// The partition's epoch here.
        current: LeaderEpoch,
    },
    /// This broker is behind: it has not heard of that election yet.
    #[error("leader epoch {asked} is not known yet, the partition is at {current}")]
    Unknown {
        /// The epoch of the request.
        asked: LeaderEpoch,
        /// The partition's epoch here.
        current: LeaderEpoch,
    },
}

impl InvalidEpoch {
    /// Kafka's error code.
    #[must_use]
    pub fn code(self) -> ErrorCode {
        match self {
            InvalidEpoch::Fenced { .. } => ErrorCode::FencedLeaderEpoch,
            InvalidEpoch::Unknown { .. } => ErrorCode::UnknownLeaderEpoch,
        }
    }
}

/// Checks the leader epoch a request names (KIP-320); `LeaderEpoch::NONE` asks for no check.
///
/// # Errors
/// If the sender or this broker is behind.
pub fn check_leader_epoch(current: LeaderEpoch, asked: LeaderEpoch) -> Result<(), InvalidEpoch> {
    if asked.is_none() || asked == current || planted::is(Bug::ForgetLeaderEpoch) {
        Ok(())
    } else if asked < current {
        Err(InvalidEpoch::Fenced { asked, current })
    } else {
        Err(InvalidEpoch::Unknown { asked, current })
    }
}

/// Where an epoch ends in a log: the largest epoch not above the one asked for, and its end (exclusive).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochEnd {
    /// The epoch; `LeaderEpoch::NONE` if the log knows none that old.
    pub epoch: LeaderEpoch,
    /// The first offset after it; -1 if unknown.
    pub end_offset: Offset,
}

/// Compares a fetch with the leader's log (KIP-595's diverging epoch, used by fetch version 12 and up):
/// `leader_end` is the leader's answer for `last_fetched_epoch`. `Some` tells the fetcher to truncate.
///
/// # Errors
/// `OffsetOutOfRange` if the leader knows nothing of that epoch or the offset is below its log's start.
pub fn diverging(
    fetch_offset: Offset,
    last_fetched_epoch: LeaderEpoch,
    leader_end: EpochEnd,
    log_start_offset: Offset,
) -> Result<Option<EpochEnd>, ErrorCode> {
    if last_fetched_epoch.is_none() {
        return Ok(None);
    }
    if leader_end.epoch.is_none() || leader_end.end_offset < 0 || fetch_offset < log_start_offset {
        return Err(ErrorCode::OffsetOutOfRange);
    }
    let diverges = leader_end.epoch < last_fetched_epoch || leader_end.end_offset < fetch_offset;
    if diverges && !planted::is(Bug::SkipTruncation) {
        return Ok(Some(leader_end));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG_START: Offset = 5;

    fn end(epoch: i32, end_offset: Offset) -> EpochEnd {
        EpochEnd { epoch: LeaderEpoch(epoch), end_offset }
    }

    #[test]
    fn an_older_epoch_is_fenced_and_a_newer_one_unknown() {
        let current = LeaderEpoch(3);
        assert_eq!(check_leader_epoch(current, LeaderEpoch(3)), Ok(()));
        assert_eq!(check_leader_epoch(current, LeaderEpoch::NONE), Ok(()));
        assert_eq!(
            check_leader_epoch(current, LeaderEpoch(2)).map_err(InvalidEpoch::code),
            Err(ErrorCode::FencedLeaderEpoch)
        );
        assert_eq!(
            check_leader_epoch(current, LeaderEpoch(4)).map_err(InvalidEpoch::code),
            Err(ErrorCode::UnknownLeaderEpoch)
        );
    }

    #[test]
    fn a_fetch_within_its_epoch_does_not_diverge() {
        assert_eq!(diverging(10, LeaderEpoch(2), end(2, 10), LOG_START), Ok(None));
        assert_eq!(diverging(10, LeaderEpoch::NONE, end(-1, -1), LOG_START), Ok(None));
    }

    #[test]
    fn a_fetch_past_the_end_of_its_epoch_diverges() {
        assert_eq!(diverging(11, LeaderEpoch(2), end(2, 10), LOG_START), Ok(Some(end(2, 10))));
        assert_eq!(diverging(10, LeaderEpoch(3), end(2, 10), LOG_START), Ok(Some(end(2, 10))));
    }

    #[test]
    fn a_fetch_below_the_log_or_of_an_unknown_epoch_is_out_of_range() {
        assert_eq!(diverging(4, LeaderEpoch(2), end(2, 10), LOG_START), Err(ErrorCode::OffsetOutOfRange));
        assert_eq!(diverging(10, LeaderEpoch(2), end(-1, -1), LOG_START), Err(ErrorCode::OffsetOutOfRange));
    }
}
