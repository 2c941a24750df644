//! Changes of the ISR: proposed to the controller, counted strictly until it has answered (KIP-497).
//!
//! While a replica is proposed to join, the high watermark already waits for it; while one is proposed to leave, it
//! still does. So whichever way the answer goes, nothing was called committed that a member of the ISR lacks.

use super::{Effect, FollowerProgress, Leader};
use crate::planted::{self, Bug};
use ottla_types::{BrokerEpoch, BrokerId, ErrorCode, LeaderEpoch, PartitionEpoch};

/// Waits before a proposal that failed or was refused is made again.
pub(super) const PROPOSE_AGAIN_MS: u64 = 50;

/// A member of a proposed ISR, with the incarnation that the leader has seen fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IsrMember {
    /// The replica.
    pub broker: BrokerId,
    /// Its registration; `BrokerEpoch::NONE` for a member that has not fetched from this leader yet.
    pub broker_epoch: BrokerEpoch,
}

/// One partition of an AlterPartition request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlterPartition {
    /// Which proposal of this leader it is: bring it back with the answer.
    pub proposal: u64,
    /// The leader's epoch.
    pub leader_epoch: LeaderEpoch,
    /// The partition epoch that the proposal changes.
    pub partition_epoch: PartitionEpoch,
    /// The whole new ISR.
    pub new_isr: Vec<IsrMember>,
}

/// The controller's successful answer for one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Altered {
    /// The partition's leader epoch at the controller.
    pub leader_epoch: LeaderEpoch,
    /// The partition epoch after the change.
    pub partition_epoch: PartitionEpoch,
    /// The ISR after the change.
    pub isr: Vec<BrokerId>,
}

/// The proposal that is open.
#[derive(Debug)]
pub(super) struct Pending {
    request: AlterPartition,
    /// Those it adds; empty for a shrink.
    joining: Vec<BrokerId>,
    stage: Stage,
}

#[derive(Debug, PartialEq, Eq)]
enum Stage {
    /// Sent, no answer yet.
    Asked,
    /// The answer was lost or asks to try again; send the same at this time.
    RetryAt(u64),
    /// The controller knows better than we: the metadata will tell.
    AwaitingMetadata,
}

impl Pending {
    pub(super) fn retry_at(&self) -> Option<u64> {
        match self.stage {
            Stage::RetryAt(at) => Some(at),
            Stage::Asked | Stage::AwaitingMetadata => None,
        }
    }
}

impl Leader {
    /// The controller answered proposal `proposal`, or nobody could be asked (then pass the reason, such as
    /// `NotController`, `RequestTimedOut`, `NetworkException`: it is asked again).
    pub fn handle_alter_partition_answer(
        &mut self,
        now_ms: u64,
        proposal: u64,
        answer: Result<Altered, ErrorCode>,
    ) {
        let Some(pending) = self.pending.as_mut() else { return };
        if pending.request.proposal != proposal {
            return;
        }
        match answer {
            Ok(altered)
                if altered.leader_epoch != self.leader_epoch
                    || altered.partition_epoch < self.partition_epoch =>
            {
                // Something newer happened, which the metadata will bring.
                pending.stage = Stage::AwaitingMetadata;
            }
            Ok(altered) => {
                self.pending = None;
                self.partition_epoch = altered.partition_epoch;
                self.isr = altered.isr;
                self.isr_changed(now_ms);
            }
            Err(code) => self.proposal_failed(now_ms, code),
        }
    }

    fn proposal_failed(&mut self, now_ms: u64, code: ErrorCode) {
        match code {
            // The controller says for certain that the request was not, and never will be, applied.
            ErrorCode::OperationNotAttempted | ErrorCode::IneligibleReplica => {
                self.pending = None;
                self.propose_not_before_ms = now_ms + PROPOSE_AGAIN_MS;
                self.advance_high_watermark(now_ms);
            }
            // It may have been applied, or this broker's view is old: keep counting strictly.
            ErrorCode::UnknownTopicOrPartition
            | ErrorCode::UnknownTopicId
            | ErrorCode::FencedLeaderEpoch
            | ErrorCode::InvalidUpdateVersion
            | ErrorCode::InvalidRequest
            | ErrorCode::NewLeaderElected => self.set_stage(Stage::AwaitingMetadata),
            _ => self.set_stage(Stage::RetryAt(now_ms + PROPOSE_AGAIN_MS)),
        }
    }

    fn set_stage(&mut self, stage: Stage) {
        if let Some(pending) = self.pending.as_mut() {
            pending.stage = stage;
        }
    }

    pub(super) fn consider_retry(&mut self, now_ms: u64) {
        if let Some(pending) = self.pending.as_mut()
            && pending.retry_at().is_some_and(|at| now_ms >= at)
        {
            pending.stage = Stage::Asked;
            self.effects.push(Effect::AlterPartition(pending.request.clone()));
        }
    }

    /// After the committed ISR, the replicas or the brokers changed: the high watermark may have waited for one that is
    /// gone, and others may join. In that order: one that was just dropped because it does not get on would be back at
    /// once, with the high watermark still where it stands.
    pub(super) fn isr_changed(&mut self, now_ms: u64) {
        self.advance_high_watermark(now_ms);
        self.consider_expansion(now_ms);
        self.advance_low_watermark();
        let too_few = self.is_under_min_isr();
        if too_few && !self.too_few_said {
            self.effects.push(Effect::TooFewInSync);
        }
        self.too_few_said = too_few;
    }

    /// Proposes everybody who may join.
    pub(super) fn consider_expansion(&mut self, now_ms: u64) {
        if !self.may_propose(now_ms) {
            return;
        }
        let joining: Vec<BrokerId> = self
            .followers
            .iter()
            .filter(|follower| self.may_join(now_ms, follower))
            .map(|follower| follower.broker)
            .collect();
        if !joining.is_empty() {
            let isr: Vec<BrokerId> = self.isr.iter().chain(&joining).copied().collect();
            self.propose(&isr, joining);
        }
    }

    /// Proposes to drop the members of the ISR that have not had everything for `replica.lag.time.max.ms`.
    pub(super) fn consider_shrink(&mut self, now_ms: u64) {
        if !self.may_propose(now_ms) {
            return;
        }
        let stays = |&broker: &BrokerId| broker == self.local || !self.is_out_of_sync(now_ms, broker);
        if self.isr.iter().all(&stays) {
            return;
        }
        let isr: Vec<BrokerId> = self.isr.iter().copied().filter(stays).collect();
        self.propose(&isr, Vec::new());
    }

    fn is_out_of_sync(&self, now_ms: u64, broker: BrokerId) -> bool {
        let lag = self.config.replica_lag_time_max_ms;
        let follower = self.followers.iter().find(|follower| follower.broker == broker);
        follower.is_none_or(|follower| !follower.is_caught_up(now_ms, self.log_end_offset, lag))
    }

    fn may_propose(&self, now_ms: u64) -> bool {
        !self.followers.is_empty() && self.pending.is_none() && now_ms >= self.propose_not_before_ms
    }

    /// It has everything that is committed, and everything that earlier leaders may have committed: otherwise it
    /// could be elected without it. And it is at it now: it has fetched within `replica.lag.time.max.ms`.
    pub(super) fn may_join(&self, now_ms: u64, follower: &FollowerProgress) -> bool {
        let has_all = follower
            .log_end_offset
            .is_some_and(|end| end >= self.high_watermark && end >= self.epoch_start_offset)
            || planted::is(Bug::JoinIsrTooEarly);
        has_all
            && !self.isr.contains(&follower.broker)
            && follower.is_eligible()
            && follower.is_fetching(now_ms, self.config.replica_lag_time_max_ms)
    }

    fn propose(&mut self, isr: &[BrokerId], joining: Vec<BrokerId>) {
        let new_isr =
            isr.iter().map(|&broker| IsrMember { broker, broker_epoch: self.seen_epoch(broker) }).collect();
        let request = AlterPartition {
            proposal: self.next_proposal,
            leader_epoch: self.leader_epoch,
            partition_epoch: self.partition_epoch,
            new_isr,
        };
        self.next_proposal += 1;
        self.effects.push(Effect::AlterPartition(request.clone()));
        self.pending = Some(Box::new(Pending { request, joining, stage: Stage::Asked }));
    }

    fn seen_epoch(&self, broker: BrokerId) -> BrokerEpoch {
        if broker == self.local {
            return self.local_epoch;
        }
        let follower = self.followers.iter().find(|follower| follower.broker == broker);
        follower.and_then(|follower| follower.fetch_epoch).unwrap_or(BrokerEpoch::NONE)
    }

    #[inline]
    pub(super) fn in_maximal_isr(&self, broker: BrokerId) -> bool {
        if planted::is(Bug::ExpandAfterTheAnswer) {
            return self.isr.contains(&broker);
        }
        if planted::is(Bug::ShrinkBeforeTheAnswer)
            && let Some(pending) = &self.pending
        {
            return pending.request.new_isr.iter().any(|member| member.broker == broker);
        }
        self.isr.contains(&broker)
            || self.pending.as_ref().is_some_and(|pending| pending.joining.contains(&broker))
    }

    #[inline]
    pub(super) fn maximal_isr_len(&self) -> usize {
        self.isr.len() + self.pending.as_ref().map_or(0, |pending| pending.joining.len())
    }

    /// The committed ISR and those proposed to join it.
    pub fn maximal_isr(&self) -> impl Iterator<Item = BrokerId> + '_ {
        let joining = self.pending.as_ref().map_or(&[][..], |pending| &pending.joining[..]);
        self.isr.iter().chain(joining).copied()
    }

    /// True while the controller has not answered a proposal.
    #[must_use]
    pub fn has_open_proposal(&self) -> bool {
        self.pending.is_some()
    }
}
