//! The restart permit: may this broker stop now, and is it back?
//!
//! A broker may stop only if every partition keeps enough in-sync replicas without it, if the metadata quorum keeps
//! its majority, and if nobody else may stop at the same time (or only brokers of its own rack). [`decide`] answers
//! from a view of the metadata; the controller makes a grant atomic by writing it to the metadata log. [`end`] says
//! when a permit is over: its holder is back and in every ISR, or its time has passed.
//!
//! Invariants: two permits are never out together (unless of one rack, if that is wanted); a permit is granted to
//! one registration of a broker, and a later registration begins without one; without `force`, no partition that
//! could keep `min.insync.replicas` falls below it.

mod deadline;
mod image_view;
#[cfg(test)]
mod tests;

pub use deadline::Deadlines;
pub use image_view::ImageView;

use crate::planted::{self, Bug};
use ottla_types::{BrokerEpoch, BrokerId, TopicIdPartition};

/// What to do about a partition that no restart of its broker can spare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Unsparable {
    /// Let the broker stop: the partition cannot be written (or read) meanwhile.
    Allow,
    /// Never without force.
    Refuse,
    /// Not before its replica was moved to another broker.
    MoveAwayFirst,
}

/// What is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Partitions with one replica.
    pub single_replica: Unsparable,
    /// Partitions with as many replicas as `min.insync.replicas`, or fewer (and more than one).
    pub no_slack: Unsparable,
    /// Brokers of one rack may stop together.
    pub same_rack: bool,
    /// At most so many partitions are named in a refusal.
    pub max_reasons: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            single_replica: Unsparable::Allow,
            no_slack: Unsparable::Allow,
            same_rack: false,
            max_reasons: 100,
        }
    }
}

/// A broker, as the decision sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BrokerView<'a> {
    /// Its registration.
    pub epoch: BrokerEpoch,
    /// Neither fenced nor on its way out.
    pub is_active: bool,
    /// `broker.rack`.
    pub rack: Option<&'a str>,
}

/// A partition, as the decision sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionView<'a> {
    /// Which one.
    pub partition: TopicIdPartition,
    /// All replicas.
    pub replicas: &'a [BrokerId],
    /// Those of them that a reassignment adds.
    pub adding: &'a [BrokerId],
    /// The in-sync ones.
    pub isr: &'a [BrokerId],
    /// The topic's `min.insync.replicas`.
    pub min_insync_replicas: usize,
}

/// A permit that is out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PermitView {
    /// Who may stop.
    pub holder: BrokerId,
    /// The registration that it was granted to.
    pub broker_epoch: BrokerEpoch,
    /// Which permit.
    pub epoch: i64,
}

/// The cluster, as the decision sees it.
pub trait View {
    /// A registered broker.
    fn broker(&self, broker: BrokerId) -> Option<BrokerView<'_>>;
    /// Calls `each` for every partition that has a replica on `broker`, in order, until it returns false.
    fn partitions_of(&self, broker: BrokerId, each: &mut dyn FnMut(PartitionView<'_>) -> bool);
    /// The permits that are out, by holder.
    fn permits(&self) -> Vec<PermitView>;
    /// The brokers that vote in the metadata quorum.
    fn voters(&self) -> Vec<BrokerId>;
}

/// A broker (or the operator for it) asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    /// Who wants to stop.
    pub broker: BrokerId,
    /// The registration that asks; `BrokerEpoch::NONE` if an operator asks for whatever is registered.
    pub broker_epoch: BrokerEpoch,
    /// Stop even if partitions or the quorum suffer.
    pub force: bool,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Write the grant for this registration.
    Grant {
        /// The registration.
        broker_epoch: BrokerEpoch,
        /// What force has overridden; empty without force.
        overridden: Reasons,
    },
    /// It has one already.
    Held {
        /// Which permit.
        epoch: i64,
    },
    /// It holds nothing and does not vote: nobody misses it.
    NotNeeded,
    /// Not now.
    Refuse(Reasons),
}

/// Why not.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Reasons {
    /// The first of them.
    pub named: Vec<Reason>,
    /// How many there are in all.
    pub total: usize,
}

impl Reasons {
    fn add(&mut self, reason: Reason, at_most: usize) {
        self.total += 1;
        if self.named.len() < at_most {
            self.named.push(reason);
        }
    }

    /// True if there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }
}

/// One reason against it, in words for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, serde::Serialize, serde::Deserialize)]
pub enum Reason {
    /// Nobody of this id is registered.
    #[error("broker {0} is not registered")]
    UnknownBroker(BrokerId),
    /// The asker was replaced by a later registration.
    #[error("broker epoch {asked} is stale, {registered} is registered")]
    StaleBrokerEpoch {
        /// In the request.
        asked: BrokerEpoch,
        /// In the metadata.
        registered: BrokerEpoch,
    },
    /// Somebody else may stop now.
    #[error("broker {holder} holds restart permit {epoch} and is not back in sync yet")]
    OtherPermit {
        /// Who.
        holder: BrokerId,
        /// Which permit.
        epoch: i64,
    },
    /// The metadata quorum would lose its majority.
    #[error("the metadata quorum would have {remaining} of {voters} voters")]
    Quorum {
        /// Voters that would be left.
        remaining: usize,
        /// Voters in all.
        voters: usize,
    },
    /// A partition would have too few in-sync replicas.
    #[error("partition {partition:?} would have {remaining} in-sync replicas and needs {required}")]
    NotEnoughInSync {
        /// Which partition.
        partition: TopicIdPartition,
        /// In-sync replicas that would be left.
        remaining: usize,
        /// How many it must keep.
        required: usize,
    },
    /// A partition cannot spare a replica, ever, and the policy says so.
    #[error("partition {partition:?} cannot spare a replica: it has {replicas} and needs {required}")]
    Unsparable {
        /// Which partition.
        partition: TopicIdPartition,
        /// Its replicas.
        replicas: usize,
        /// `min.insync.replicas`.
        required: usize,
        /// Moving its replica to another broker helps.
        move_away: bool,
    },
}

/// May `ask.broker` stop now?
pub fn decide(view: &impl View, policy: &Policy, ask: Ask) -> Decision {
    let refuse = |reason| Decision::Refuse(Reasons { named: vec![reason], total: 1 });
    let Some(broker) = view.broker(ask.broker) else {
        return refuse(Reason::UnknownBroker(ask.broker));
    };
    if !ask.broker_epoch.is_none() && ask.broker_epoch != broker.epoch {
        return refuse(Reason::StaleBrokerEpoch { asked: ask.broker_epoch, registered: broker.epoch });
    }
    let permits = view.permits();
    if let Some(own) =
        permits.iter().find(|permit| permit.holder == ask.broker && permit.broker_epoch == broker.epoch)
    {
        return Decision::Held { epoch: own.epoch };
    }
    if !view.voters().contains(&ask.broker) && !holds_any(view, ask.broker) {
        return Decision::NotNeeded;
    }
    // A permit of an earlier registration of the same broker is its own business: it is back, but not caught up.
    let other = permits.iter().find(|permit| {
        permit.holder != ask.broker && !(policy.same_rack && in_one_rack(view, permit.holder, broker))
    });
    if let Some(other) = other.filter(|_| !planted::is(Bug::PermitTwice)) {
        return refuse(Reason::OtherPermit { holder: other.holder, epoch: other.epoch });
    }
    let mut out: Vec<BrokerId> = permits.iter().map(|permit| permit.holder).collect();
    out.push(ask.broker);
    let reasons = against(view, policy, ask.broker, &out);
    if reasons.is_empty() || ask.force {
        Decision::Grant { broker_epoch: broker.epoch, overridden: reasons }
    } else {
        Decision::Refuse(reasons)
    }
}

fn holds_any(view: &impl View, broker: BrokerId) -> bool {
    let mut holds = false;
    view.partitions_of(broker, &mut |_| {
        holds = true;
        false
    });
    holds
}

fn in_one_rack(view: &impl View, holder: BrokerId, broker: BrokerView<'_>) -> bool {
    broker.rack.is_some() && view.broker(holder).is_some_and(|holder| holder.rack == broker.rack)
}

/// What speaks against `broker` stopping when all of `out` are away.
fn against(view: &impl View, policy: &Policy, broker: BrokerId, out: &[BrokerId]) -> Reasons {
    let mut reasons = Reasons::default();
    let stays = |member: BrokerId| {
        !out.contains(&member) && view.broker(member).is_some_and(|broker| broker.is_active)
    };
    let voters = view.voters();
    // One or two voters cannot spare any: that is for whoever set it up so to know.
    if voters.len() > 2 && voters.contains(&broker) {
        let remaining = voters.iter().filter(|&&voter| stays(voter)).count();
        if remaining <= voters.len() / 2 {
            reasons.add(Reason::Quorum { remaining, voters: voters.len() }, policy.max_reasons);
        }
    }
    view.partitions_of(broker, &mut |partition| {
        if let Some(reason) = against_partition(policy, broker, &partition, &stays) {
            reasons.add(reason, policy.max_reasons);
        }
        true
    });
    reasons
}

fn against_partition(
    policy: &Policy,
    broker: BrokerId,
    partition: &PartitionView<'_>,
    stays: &dyn Fn(BrokerId) -> bool,
) -> Option<Reason> {
    if !partition.isr.contains(&broker) || planted::is(Bug::ForgetMinInsync) {
        // It does not count there now, so nothing is lost with it.
        return None;
    }
    let remaining = partition.isr.iter().filter(|&&member| stays(member)).count();
    let replicas = (partition.replicas.len() - partition.adding.len()).max(1);
    let rule = match replicas {
        1 => policy.single_replica,
        _ if replicas <= partition.min_insync_replicas => policy.no_slack,
        _ => {
            let required = partition.min_insync_replicas.max(1);
            let missing = remaining < required;
            return missing.then_some(Reason::NotEnoughInSync {
                partition: partition.partition,
                remaining,
                required,
            });
        }
    };
    // What a reassignment has brought in sync already may carry it.
    let spared = remaining >= partition.min_insync_replicas.max(1);
    if spared {
        return None;
    }
    match rule {
        // Writes stop in any case, but no other copy may be missing as well.
        Unsparable::Allow if remaining + 1 >= replicas => None,
        Unsparable::Allow => Some(Reason::NotEnoughInSync {
            partition: partition.partition,
            remaining,
            required: replicas - 1,
        }),
        rule => Some(Reason::Unsparable {
            partition: partition.partition,
            replicas,
            required: partition.min_insync_replicas,
            move_away: rule == Unsparable::MoveAwayFirst,
        }),
    }
}

/// Why a permit is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Its holder has registered again, is active and in every ISR.
    Completed,
    /// Its time has passed. A holder that has not stopped yet may not stop any more.
    Expired,
    /// Its holder is not registered any more.
    Unregistered,
}

/// Is `permit` over? `expired` says whether its deadline has passed (see [`Deadlines`]).
pub fn end(view: &impl View, permit: &PermitView, expired: bool) -> Option<End> {
    let Some(holder) = view.broker(permit.holder) else { return Some(End::Unregistered) };
    let came_back = holder.epoch > permit.broker_epoch && holder.is_active;
    if came_back && is_caught_up(view, permit.holder) {
        return Some(End::Completed);
    }
    expired.then_some(End::Expired)
}

/// Is `broker` in the ISR of every partition it holds, but for replicas that a reassignment adds? Readiness, too.
pub fn is_caught_up(view: &impl View, broker: BrokerId) -> bool {
    let mut caught_up = true;
    view.partitions_of(broker, &mut |partition| {
        caught_up = partition.isr.contains(&broker) || partition.adding.contains(&broker);
        caught_up
    });
    caught_up
}
