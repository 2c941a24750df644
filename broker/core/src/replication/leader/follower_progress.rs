//! What a leader knows about one follower's log (Kafka's `Replica`).

use super::super::partition_state::BrokerStatus;
use ottla_types::{BrokerEpoch, BrokerId, Offset};

/// One follower as its leader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FollowerProgress {
    /// The follower.
    pub broker: BrokerId,
    /// The offset it fetches next: it has everything below. `None` until its first fetch in this incarnation.
    pub log_end_offset: Option<Offset>,
    /// Its log's first offset; `None` until its first fetch.
    pub log_start_offset: Option<Offset>,
    /// The registration its last fetch named. `None` until its first fetch; `BrokerEpoch::NONE` if it names none.
    pub fetch_epoch: Option<BrokerEpoch>,
    /// When it last had everything the leader had; `None` if never during this leadership.
    pub last_caught_up_ms: Option<u64>,
    last_fetch_ms: Option<u64>,
    leader_end_at_last_fetch: Offset,
    /// Its registration in the metadata; `None` if it has none.
    pub status: Option<BrokerStatus>,
}

impl FollowerProgress {
    pub(super) fn new(broker: BrokerId, status: Option<BrokerStatus>) -> Self {
        Self {
            broker,
            log_end_offset: None,
            log_start_offset: None,
            fetch_epoch: None,
            last_caught_up_ms: None,
            last_fetch_ms: None,
            leader_end_at_last_fetch: -1,
            status,
        }
    }

    /// A new leader epoch begins: a member of the ISR gets a full `replica.lag.time.max.ms`, others must prove
    /// themselves first. Where its log ends it has to say anew: somebody else may have led in between, by whom it cut off
    /// what it had.
    pub(super) fn begin_epoch(&mut self, now_ms: u64, leader_end: Offset, in_isr: bool) {
        (self.log_end_offset, self.log_start_offset) = (None, None);
        self.leader_end_at_last_fetch = leader_end;
        self.last_fetch_ms = in_isr.then_some(now_ms);
        self.last_caught_up_ms = in_isr.then_some(now_ms);
    }

    /// Notes a fetch. The follower was caught up now if it asks for the leader's end, and at its previous fetch if
    /// it asks for what the leader's end was then: so a steady stream of small appends does not make it lag.
    pub(super) fn fetched(
        &mut self,
        now_ms: u64,
        fetch_offset: Offset,
        log_start: Offset,
        leader_end: Offset,
    ) {
        let caught_up = if fetch_offset >= leader_end {
            Some(now_ms)
        } else if fetch_offset >= self.leader_end_at_last_fetch {
            self.last_fetch_ms
        } else {
            None
        };
        self.last_caught_up_ms = self.last_caught_up_ms.max(caught_up);
        self.leader_end_at_last_fetch = self.leader_end_at_last_fetch.max(leader_end);
        self.last_fetch_ms = Some(now_ms);
        self.log_end_offset = Some(fetch_offset);
        self.log_start_offset = Some(log_start);
    }

    /// The leader's log grows beyond `leader_end`: a follower that was there lags from now on, however long ago it last
    /// had a reason to ask.
    #[inline]
    pub(super) fn leader_appends(&mut self, now_ms: u64, leader_end: Offset) {
        if self.log_end_offset == Some(leader_end) {
            self.last_caught_up_ms = self.last_caught_up_ms.max(Some(now_ms));
        }
    }

    /// Takes over the broker's registration. A new incarnation may have lost what the old one had not flushed, so
    /// its position counts for nothing until it fetches.
    pub(super) fn set_status(&mut self, status: Option<BrokerStatus>) {
        let restarted = match (status, self.fetch_epoch) {
            (Some(status), Some(fetched)) => !fetched.is_none() && status.epoch > fetched,
            _ => false,
        };
        if restarted {
            self.log_end_offset = None;
            self.fetch_epoch = None;
        }
        self.status = status;
    }

    /// At the leader's end, or there within `max_lag_ms`.
    pub(super) fn is_caught_up(&self, now_ms: u64, leader_end: Offset, max_lag_ms: u64) -> bool {
        self.log_end_offset == Some(leader_end)
            || self.last_caught_up_ms.is_some_and(|then| now_ms.saturating_sub(then) <= max_lag_ms)
    }

    /// It fetched within `max_lag_ms`.
    pub(super) fn is_fetching(&self, now_ms: u64, max_lag_ms: u64) -> bool {
        self.last_fetch_ms.is_some_and(|then| now_ms.saturating_sub(then) <= max_lag_ms)
    }

    /// May it join the ISR as far as its broker goes (KIP-841, KIP-903)? Not fenced, not shutting down, and its
    /// fetches come from the incarnation that the metadata knows.
    pub(super) fn is_eligible(&self) -> bool {
        let (Some(status), Some(fetched)) = (self.status, self.fetch_epoch) else { return false };
        status.may_join_isr() && (fetched.is_none() || fetched == status.epoch)
    }
}
