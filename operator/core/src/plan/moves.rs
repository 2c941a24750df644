//! Where replicas go: away from brokers that leave, over to brokers that are new. Placement is the brokers' own.

use super::size::Size;
use super::{Plan, Step, Wait, Work, WorkKind};
use crate::observed::{BrokersView, Observed};
use ottla_core::placement::{self, Availability, Broker};
use ottla_types::BrokerId;

/// A partition that gets other replicas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// Its topic.
    pub topic: String,
    /// Its index.
    pub partition: i32,
    /// Its replicas, preferred leader first.
    pub replicas: Vec<i32>,
}

pub(super) fn plan(observed: &Observed<'_>, size: &Size, plan: &mut Plan) {
    let Ok(view) = &observed.brokers else { return };
    if size.is_hibernating {
        return;
    }
    // Leaving brokers are emptied only when it is settled that they leave: the size's plan says if not.
    let is_refused = plan.work.as_ref().is_some_and(|work| work.wait == Some(Wait::ReplicationFactor));
    if !size.leaving.is_empty() && !is_refused {
        drain(observed, view, size, plan);
    } else if size.leaving.is_empty() {
        spread(observed, view, plan);
    }
}

fn drain(observed: &Observed<'_>, view: &BrokersView, size: &Size, plan: &mut Plan) {
    let left =
        view.partitions.iter().filter(|at| size.leaving.iter().any(|&broker| at.is_on(broker))).count();
    let mut message = format!("{left} partitions are left on brokers {:?}", size.leaving);
    let mut wait = Wait::Moving;
    if left > 0 {
        let leaving: Vec<BrokerId> = size.leaving.iter().copied().map(BrokerId).collect();
        let (fleet, sets) = (fleet(view, &size.leaving), sets(view));
        match placement::drain(&fleet, &sets, &leaving, seed(observed)) {
            Ok(moves) => push(observed, view, moves, plan),
            Err(error) => {
                message = format!("{message}; {error}");
                wait = Wait::ReplicationFactor;
            }
        }
    } else {
        message = format!("brokers {:?} are empty and leave", size.leaving);
        wait = Wait::PodStopping;
    }
    let remaining = i32::try_from(left).unwrap_or(i32::MAX);
    plan.work(Work { kind: WorkKind::ScaleDown, broker: None, wait: Some(wait), message, remaining });
}

fn spread(observed: &Observed<'_>, view: &BrokersView, plan: &mut Plan) {
    let noted =
        observed.cluster.status.as_ref().map(|status| status.spreading.as_slice()).unwrap_or_default();
    if !observed.cluster.spec.rollout.spread || view.partitions.is_empty() {
        if !noted.is_empty() {
            plan.steps.push(Step::NoteSpreading(Vec::new()));
        }
        return;
    }
    let is_new = |id: i32| {
        let Some(broker) = view.brokers.get(&id) else { return false };
        broker.is_active && !broker.is_cordoned && broker.replicas == 0
    };
    let new: Vec<i32> = view.brokers.keys().copied().filter(|&id| is_new(id)).collect();
    if noted.is_empty() && new.is_empty() {
        return;
    }
    let moves = placement::rebalance(&fleet(view, &[]), &sets(view), seed(observed));
    if noted.is_empty() {
        if !moves.is_empty() {
            // Noted first: when the first partitions have moved nobody is new any more.
            plan.steps.push(Step::NoteSpreading(new));
        }
        return;
    }
    if moves.is_empty() && view.moving() == 0 {
        plan.steps.push(Step::NoteSpreading(Vec::new()));
        return;
    }
    let remaining = i32::try_from(moves.len().max(view.moving())).unwrap_or(i32::MAX);
    let message = format!("{remaining} partitions are still to be spread over new brokers {noted:?}");
    let wait = Some(Wait::Moving);
    push(observed, view, moves, plan);
    plan.work(Work { kind: WorkKind::Spread, broker: None, wait, message, remaining });
}

/// As many moves as may run at a time.
fn push(observed: &Observed<'_>, view: &BrokersView, moves: Vec<placement::Move>, plan: &mut Plan) {
    let most = usize::try_from(observed.cluster.spec.rollout.max_moves).unwrap_or(1);
    let room = most.saturating_sub(view.moving());
    let moves: Vec<Move> = moves
        .into_iter()
        .filter_map(|planned| {
            let partition = view.partitions.get(planned.partition).filter(|at| !at.is_moving)?;
            let replicas = planned.replicas.iter().map(|id| id.0).collect();
            Some(Move { topic: partition.topic.clone(), partition: partition.partition, replicas })
        })
        .take(room)
        .collect();
    if !moves.is_empty() {
        plan.steps.push(Step::Move(moves));
    }
}

/// The brokers as placement sees them.
pub(crate) fn fleet(view: &BrokersView, leaving: &[i32]) -> Vec<Broker> {
    let each = view.brokers.iter().map(|(&id, broker)| {
        let availability = if broker.is_cordoned || leaving.contains(&id) {
            Availability::Closed
        } else if broker.is_active {
            Availability::Active
        } else {
            Availability::Away
        };
        let on = |at: &&crate::observed::PartitionView| at.replicas.contains(&id);
        let replicas = view.partitions.iter().filter(on).count();
        let leaders = view.partitions.iter().filter(|at| at.replicas.first() == Some(&id)).count();
        Broker {
            availability,
            replicas: u32::try_from(replicas).unwrap_or(u32::MAX),
            leaders: u32::try_from(leaders).unwrap_or(u32::MAX),
            ..Broker::new(BrokerId(id), broker.rack.clone())
        }
    });
    each.collect()
}

fn sets(view: &BrokersView) -> Vec<Vec<BrokerId>> {
    view.partitions.iter().map(|at| at.replicas.iter().copied().map(BrokerId).collect()).collect()
}

/// The same for every look at one cluster, so that half of a plan is not undone by the next.
fn seed(observed: &Observed<'_>) -> u64 {
    let uid = observed.cluster.metadata.uid.as_deref().unwrap_or_default();
    uid.bytes().fold(0, |seed, byte| placement::mix(seed ^ u64::from(byte)))
}
