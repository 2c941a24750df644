//! Incremental fetch sessions (KIP-227): a client names its partitions once, then only what changes.
//!
//! [`Cache`] is the broker's side: a bounded number of sessions, which one to give up for a new one, and the checks
//! of session id and epoch. [`Context`] is one Fetch request in work: the partitions to read, and which of the
//! answers are worth sending. [`ClientSession`] is the fetching side, used by followers.
//!
//! Invariants: a session is worked on by one request at a time (it moves into the [`Context`] and back); a session
//! holds each partition once; sessions and their partitions together are bounded; a request is never answered from
//! a session whose epoch it does not name.

mod cache;
mod client;
mod context;
mod session;

pub use cache::{Cache, Limits, Opened};
pub use client::{ClientSession, SessionFailure, SessionRequest};
pub use context::{Context, Kind};
pub use session::{FetchPartition, PartitionAnswer, PartitionKey, TopicRef};

/// No session.
pub const NO_SESSION: i32 = 0;
/// The epoch of a request that names all its partitions and would like a session.
pub const FULL_EPOCH: i32 = 0;
/// The epoch of a request that names all its partitions and wants no session.
pub const FINAL_EPOCH: i32 = -1;

/// Session id and epoch as a Fetch request names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionHeader {
    /// The session, or [`NO_SESSION`].
    pub id: i32,
    /// [`FULL_EPOCH`], [`FINAL_EPOCH`], or the epoch of an incremental request.
    pub epoch: i32,
}

impl SessionHeader {
    /// Asks for a first session.
    pub const INITIAL: Self = Self { id: NO_SESSION, epoch: FULL_EPOCH };
    /// No session and none wanted: requests before version 7.
    pub const LEGACY: Self = Self { id: NO_SESSION, epoch: FINAL_EPOCH };

    /// The request names all its partitions.
    #[must_use]
    pub fn is_full(self) -> bool {
        self.epoch == FULL_EPOCH || self.epoch == FINAL_EPOCH
    }
}

/// The epoch after `epoch`: from 1 up, wrapping to 1.
#[must_use]
pub fn next_epoch(epoch: i32) -> i32 {
    match epoch {
        FINAL_EPOCH => FINAL_EPOCH,
        i32::MAX => 1,
        epoch => epoch + 1,
    }
}

#[cfg(test)]
mod tests {
    use super::next_epoch;

    #[test]
    fn epochs_count_from_one_and_wrap_past_the_full_one() {
        assert_eq!(next_epoch(0), 1);
        assert_eq!(next_epoch(i32::MAX), 1);
        assert_eq!(next_epoch(-1), -1);
    }
}
