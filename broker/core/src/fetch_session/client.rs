//! The fetching side of a session: what to name in the next request (Kafka's `FetchSessionHandler`).

use super::session::FetchPartition;
use super::{FULL_EPOCH, NO_SESSION, SessionHeader, next_epoch};
use ottla_types::ErrorCode;
use std::collections::{BTreeMap, BTreeSet};

/// The session part of a Fetch request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRequest<K> {
    /// Session id and epoch.
    pub header: SessionHeader,
    /// The partitions to name: all in a full request, the new and changed ones in an incremental one.
    pub partitions: Vec<(K, FetchPartition)>,
    /// The partitions to drop from the session.
    pub forgotten: Vec<K>,
}

/// A response cannot be used; the next request is a full one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SessionFailure {
    /// The broker refused it.
    #[error("the broker refused the fetch session: {0}")]
    Refused(ErrorCode),
    /// It is of another session.
    #[error("the response is of session {got} instead of {expected}")]
    OtherSession {
        /// The session asked with.
        expected: i32,
        /// The session in the response.
        got: i32,
    },
}

/// A session with one broker, over partitions named by `K`. At most one request is under way.
#[derive(Debug)]
pub struct ClientSession<K> {
    next: SessionHeader,
    wanted: BTreeMap<K, FetchPartition>,
    /// Wanted ones whose state the broker does not know yet.
    changed: BTreeSet<K>,
    /// In the broker's session, but not wanted any more.
    dropped: BTreeSet<K>,
    /// In the broker's session.
    known: BTreeSet<K>,
}

impl<K: Ord + Clone> Default for ClientSession<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Ord + Clone> ClientSession<K> {
    /// No session yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            next: SessionHeader::INITIAL,
            wanted: BTreeMap::new(),
            changed: BTreeSet::new(),
            dropped: BTreeSet::new(),
            known: BTreeSet::new(),
        }
    }

    /// Wants `key` from now on, or in another way than before.
    pub fn set(&mut self, key: K, want: FetchPartition) {
        if self.wanted.get(&key) == Some(&want) {
            return;
        }
        self.dropped.remove(&key);
        self.changed.insert(key.clone());
        self.wanted.insert(key, want);
    }

    /// Does not want `key` any more.
    pub fn remove(&mut self, key: &K) {
        if self.wanted.remove(key).is_some() {
            self.changed.remove(key);
            if self.known.contains(key) {
                self.dropped.insert(key.clone());
            }
        }
    }

    /// The partitions wanted now.
    pub fn wanted(&self) -> impl Iterator<Item = (&K, &FetchPartition)> {
        self.wanted.iter()
    }

    /// How many partitions are wanted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.wanted.len()
    }

    /// True if no partition is wanted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.wanted.is_empty()
    }

    /// The next request. Its outcome must be told by [`handle_response`](Self::handle_response) or
    /// [`handle_error`](Self::handle_error) before another one is built.
    pub fn request(&mut self) -> SessionRequest<K> {
        let header = self.next;
        let changed = std::mem::take(&mut self.changed);
        let dropped = std::mem::take(&mut self.dropped);
        if header.epoch == FULL_EPOCH {
            self.known = self.wanted.keys().cloned().collect();
            let partitions = self.wanted.iter().map(|(key, want)| (key.clone(), *want)).collect();
            return SessionRequest { header, partitions, forgotten: Vec::new() };
        }
        let mut partitions = Vec::with_capacity(changed.len());
        for key in changed {
            if let Some(want) = self.wanted.get(&key) {
                self.known.insert(key.clone());
                partitions.push((key, *want));
            }
        }
        for key in &dropped {
            self.known.remove(key);
        }
        SessionRequest { header, partitions, forgotten: dropped.into_iter().collect() }
    }

    /// The response to the last request, with its top-level error and session id. If it is `Ok`, its partitions
    /// may be used.
    ///
    /// # Errors
    /// If the response cannot be used.
    pub fn handle_response(&mut self, error: ErrorCode, session_id: i32) -> Result<(), SessionFailure> {
        if error != ErrorCode::None {
            self.next = match error {
                ErrorCode::FetchSessionIdNotFound => SessionHeader::INITIAL,
                _ => SessionHeader { epoch: FULL_EPOCH, ..self.next },
            };
            return Err(SessionFailure::Refused(error));
        }
        if session_id == NO_SESSION {
            self.next = SessionHeader::INITIAL;
            return Ok(());
        }
        if self.next.epoch != FULL_EPOCH && session_id != self.next.id {
            let expected = self.next.id;
            self.next.epoch = FULL_EPOCH;
            return Err(SessionFailure::OtherSession { expected, got: session_id });
        }
        self.next = SessionHeader { id: session_id, epoch: next_epoch(self.next.epoch) };
        Ok(())
    }

    /// No response came: whether the broker has seen the request is not known.
    pub fn handle_error(&mut self) {
        self.next.epoch = FULL_EPOCH;
    }
}

#[cfg(test)]
mod tests {
    use super::super::cache::{Cache, Limits, Opened};
    use super::super::session::PartitionKey;
    use super::*;
    use ottla_types::{LeaderEpoch, TopicId};
    use proptest::prelude::*;

    fn want(fetch_offset: i64) -> FetchPartition {
        FetchPartition {
            fetch_offset,
            log_start_offset: 0,
            max_bytes: 1,
            current_leader_epoch: LeaderEpoch(1),
            last_fetched_epoch: LeaderEpoch(1),
        }
    }

    fn established() -> ClientSession<i32> {
        let mut session = ClientSession::new();
        session.set(1, want(0));
        session.set(2, want(0));
        session.request();
        session.handle_response(ErrorCode::None, 77).unwrap();
        session
    }

    #[test]
    fn the_first_request_names_everything_and_the_next_only_changes() {
        let mut session = established();
        session.set(2, want(5));
        session.set(1, want(0));
        session.set(3, want(0));
        assert_eq!(
            session.request(),
            SessionRequest {
                header: SessionHeader { id: 77, epoch: 1 },
                partitions: vec![(2, want(5)), (3, want(0))],
                forgotten: vec![],
            }
        );
        session.handle_response(ErrorCode::None, 77).unwrap();
        session.remove(&1);
        let next = session.request();
        assert_eq!((next.header.epoch, next.partitions, next.forgotten), (2, vec![], vec![1]));
    }

    #[test]
    fn a_partition_added_and_removed_between_requests_is_not_named() {
        let mut session = established();
        session.set(9, want(0));
        session.remove(&9);
        session.remove(&1);
        session.set(1, want(3));
        let next = session.request();
        assert_eq!((next.partitions, next.forgotten), (vec![(1, want(3))], vec![]));
    }

    #[test]
    fn errors_start_over_with_a_full_request() {
        let mut session = established();
        session.request();
        let refused = session.handle_response(ErrorCode::InvalidFetchSessionEpoch, 0);
        assert_eq!(refused, Err(SessionFailure::Refused(ErrorCode::InvalidFetchSessionEpoch)));
        let next = session.request();
        assert_eq!(next.header, SessionHeader { id: 77, epoch: FULL_EPOCH });
        assert_eq!(next.partitions.len(), 2);
        session.handle_error();
        assert_eq!(session.request().header, SessionHeader { id: 77, epoch: FULL_EPOCH });
        let _ = session.handle_response(ErrorCode::FetchSessionIdNotFound, 0);
        assert_eq!(session.request().header, SessionHeader::INITIAL);
    }

    #[test]
    fn without_a_session_every_request_is_full() {
        let mut session = established();
        session.request();
        session.handle_response(ErrorCode::None, NO_SESSION).unwrap();
        assert_eq!(session.request().header, SessionHeader::INITIAL);
    }

    #[test]
    fn a_response_of_another_session_is_not_used() {
        let mut session = established();
        session.request();
        let failure = session.handle_response(ErrorCode::None, 78);
        assert_eq!(failure, Err(SessionFailure::OtherSession { expected: 77, got: 78 }));
    }

    proptest! {
        #[test]
        fn broker_and_client_agree_on_the_partitions(
            steps in prop::collection::vec((0..8i32, 0..3i64, any::<bool>(), 0..10u8), 1..80)
        ) {
            let limits = Limits { slots: 1, partitions: 100, eviction_ms: 1_000 };
            let mut cache = Cache::new(limits, 3);
            let mut session = ClientSession::new();
            for (partition, offset, remove, fate) in steps {
                let key = PartitionKey::by_id(TopicId::ZERO, partition);
                if remove { session.remove(&key) } else { session.set(key, want(offset)) }
                let request = session.request();
                let opened = cache.open(0, request.header, (true, true), request.partitions, &request.forgotten);
                let Opened::Context(context) = opened else {
                    prop_assert!(session.handle_response(ErrorCode::FetchSessionIdNotFound, 0).is_err());
                    continue;
                };
                let mut read: Vec<_> = context.partitions().map(|(_, key, want)| (key.clone(), *want)).collect();
                read.sort_by(|a, b| a.0.cmp(&b.0));
                let wanted: Vec<_> = session.wanted().map(|(key, want)| (key.clone(), *want)).collect();
                prop_assert_eq!(read, wanted);
                match fate {
                    0 => { cache.abandon(context); session.handle_error(); }
                    1 => { cache.finish(0, context); session.handle_error(); }
                    _ => {
                        let id = cache.finish(0, context);
                        prop_assert!(session.handle_response(ErrorCode::None, id).is_ok());
                    }
                }
            }
        }
    }
}
