//! Restart permits: granted and ended here, decided by [`crate::permit`].

use super::draft::Draft;
use super::{Controller, Outcome, Reply};
use crate::metadata::record::{EndOfPermit, EndPermit, GrantPermit};
use crate::metadata::{Image, Permit, TopicImage};
use crate::permit::{self, Ask, Decision, End, ImageView, PermitView, Reasons, Unsparable};
use ottla_types::{BrokerEpoch, BrokerId, ErrorCode};

/// Somebody asks whether a broker may stop.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct AskPermit {
    /// Which broker.
    pub broker: BrokerId,
    /// The registration that asks, or none if an operator asks for whatever is registered.
    pub broker_epoch: BrokerEpoch,
    /// How long the permit is to hold, milliseconds.
    pub duration_ms: i64,
    /// Whatever suffers from it.
    pub force: bool,
    /// Only say what the answer would be.
    pub dry_run: bool,
    /// Who asks and why, for people.
    pub reason: String,
    /// What to do about partitions with one replica, if not what the policy says.
    #[serde(default)]
    pub single_replica: Option<Unsparable>,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum PermitAnswer {
    /// It may stop (or might, in a dry run).
    Granted {
        /// The permit; 0 in a dry run.
        epoch: i64,
        /// What `force` has overridden.
        overridden: Reasons,
    },
    /// It may stop already, and for the whole time from now on.
    Held {
        /// The permit.
        epoch: i64,
    },
    /// It holds no replica and no vote: nobody misses it.
    NotNeeded,
    /// It may not.
    Refused(Reasons),
}

/// The longest time a permit can hold, milliseconds.
pub const LONGEST_PERMIT_MS: i64 = 24 * 3_600_000;

impl Controller {
    pub(super) fn ask_permit(&mut self, now_ms: u64, request: &AskPermit) -> Outcome {
        let ask = Ask { broker: request.broker, broker_epoch: request.broker_epoch, force: request.force };
        let mut policy = self.rules.permit_policy;
        policy.single_replica = request.single_replica.unwrap_or(policy.single_replica);
        let decision = self.with_view(&self.image, |view| permit::decide(view, &policy, ask));
        let (broker_epoch, overridden) = match decision {
            Decision::NotNeeded => return Outcome::reply(Reply::Permit(PermitAnswer::NotNeeded)),
            Decision::Held { epoch } => return self.hold_permit(now_ms, request, epoch),
            Decision::Refuse(reasons) => return self.refuse_permit(request, &policy, reasons),
            Decision::Grant { broker_epoch, overridden } => (broker_epoch, overridden),
        };
        if request.dry_run {
            return Outcome::reply(Reply::Permit(PermitAnswer::Granted { epoch: 0, overridden }));
        }
        let mut draft = self.draft();
        if let Some(earlier) = self.image.permits().get(&request.broker) {
            draft.push(end_record(earlier, EndOfPermit::Released));
        }
        let epoch = self.image.last_permit_epoch() + 1;
        draft.push(GrantPermit {
            broker_id: request.broker.0,
            broker_epoch: broker_epoch.0,
            permit_epoch: epoch,
            duration_ms: request.duration_ms.clamp(1, LONGEST_PERMIT_MS),
            forced: request.force && !overridden.is_empty(),
            reason: request.reason.clone(),
        });
        let outcome = self.finish(draft, Reply::Permit(PermitAnswer::Granted { epoch, overridden }));
        self.observe_permits(now_ms);
        outcome
    }

    /// Who asks again holds on: the permit has the whole time from now on.
    fn hold_permit(&mut self, now_ms: u64, request: &AskPermit, epoch: i64) -> Outcome {
        let reply = Reply::Permit(PermitAnswer::Held { epoch });
        let held = self.image.permits().get(&request.broker).filter(|held| held.epoch == epoch).cloned();
        let Some(held) = held.filter(|_| !request.dry_run) else { return Outcome::reply(reply) };
        let duration_ms = request.duration_ms.clamp(1, LONGEST_PERMIT_MS);
        let mut draft = self.draft();
        draft.push(GrantPermit {
            broker_id: held.broker_id.0,
            broker_epoch: held.broker_epoch.0,
            permit_epoch: epoch,
            duration_ms,
            forced: held.forced,
            reason: held.reason,
        });
        let outcome = self.finish(draft, reply);
        self.permit_deadlines.renew(now_ms, epoch, duration_ms.unsigned_abs());
        outcome
    }

    /// A permit for every broker that is there, whatever suffers: the whole cluster is to stop. Those that are out
    /// begin anew.
    pub(super) fn permit_all(&mut self, now_ms: u64, duration_ms: i64, reason: &str) -> Outcome {
        let duration_ms = duration_ms.clamp(1, LONGEST_PERMIT_MS);
        let mut draft = self.draft();
        let mut last = self.image.last_permit_epoch();
        let mut held = Vec::new();
        for broker in self.image.brokers().values().filter(|broker| !broker.fenced) {
            let earlier = self.image.permits().get(&broker.id);
            let permit_epoch = match earlier.filter(|permit| permit.broker_epoch == broker.epoch) {
                Some(permit) => {
                    held.push(permit.epoch);
                    permit.epoch
                }
                None => {
                    if let Some(earlier) = earlier {
                        draft.push(end_record(earlier, EndOfPermit::Released));
                    }
                    last += 1;
                    last
                }
            };
            draft.push(GrantPermit {
                broker_id: broker.id.0,
                broker_epoch: broker.epoch.0,
                permit_epoch,
                duration_ms,
                forced: true,
                reason: reason.to_owned(),
            });
        }
        let outcome = self.finish(draft, Reply::PermitAll);
        for epoch in held {
            self.permit_deadlines.renew(now_ms, epoch, duration_ms.unsigned_abs());
        }
        self.observe_permits(now_ms);
        outcome
    }

    /// Gives a permit back.
    pub(super) fn release_permit(&mut self, now_ms: u64, broker: BrokerId, epoch: i64) -> Outcome {
        let Some(held) = self.image.permits().get(&broker).filter(|held| held.epoch == epoch).cloned() else {
            return Outcome::reply(Reply::ReleasePermit(Err(ErrorCode::ResourceNotFound.into())));
        };
        let mut draft = self.draft();
        draft.push(end_record(&held, EndOfPermit::Released));
        let outcome = self.finish(draft, Reply::ReleasePermit(Ok(())));
        self.observe_permits(now_ms);
        outcome
    }

    /// Ends the permits whose holders are back or whose time has passed. Called after everything that may have
    /// brought a holder back.
    pub(super) fn end_permits(&self, now_ms: u64, draft: &mut Draft) {
        let permits: Vec<Permit> = draft.image.permits().values().cloned().collect();
        for held in permits {
            let view =
                PermitView { holder: held.broker_id, broker_epoch: held.broker_epoch, epoch: held.epoch };
            let expired = self.permit_deadlines.has_passed(now_ms, held.epoch);
            let cause = match self.with_view(&draft.image, |image| permit::end(image, &view, expired)) {
                None => continue,
                Some(End::Completed) => EndOfPermit::Completed,
                Some(End::Expired) => EndOfPermit::Expired,
                Some(End::Unregistered) => EndOfPermit::Unregistered,
            };
            draft.push(end_record(&held, cause));
        }
    }

    /// Counts the time of the permits that are out.
    pub(super) fn observe_permits(&mut self, now_ms: u64) {
        let permits = self.image.permits().values();
        let durations = permits.map(|permit| (permit.epoch, permit.duration_ms.max(0) as u64));
        self.permit_deadlines.observe(now_ms, durations);
    }

    /// How long a permit that is out still holds.
    pub(super) fn permit_remaining_ms(&self, now_ms: u64, epoch: i64) -> u64 {
        self.permit_deadlines.remaining_ms(now_ms, epoch)
    }

    fn with_view<T>(&self, image: &Image, action: impl FnOnce(&ImageView<'_>) -> T) -> T {
        let min_insync = |topic: &TopicImage| self.rules.topic_rules(image, &topic.name).min_insync_replicas;
        action(&ImageView::new(image, &min_insync))
    }
}

fn end_record(permit: &Permit, cause: EndOfPermit) -> EndPermit {
    EndPermit { broker_id: permit.broker_id.0, permit_epoch: permit.epoch, cause: cause as i32 }
}
