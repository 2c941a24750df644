//! A cluster in a few lines, for plans to be carried out on: pods come back, replicas catch up and move, and brokers
//! grant permits by the rule that the real ones have. Each change checks the invariants.

use super::{Disruption, Plan, Step};
use crate::cluster::{BrokerStatus, Cluster, ClusterSpec, ClusterStatus, Keep};
use crate::objects::SetShape;
use crate::observed::{BrokerView, BrokersView, ClaimView, Observed, PartitionView, PodView, SetView};
use std::collections::{BTreeMap, BTreeSet};

/// In-sync replicas that each partition of the model must keep if it can.
const MIN_INSYNC: usize = 2;

pub(super) struct Model {
    pub cluster: Cluster,
    set: Option<SetView>,
    pods: BTreeMap<i32, Pod>,
    claims: BTreeMap<i32, ClaimView>,
    registered: BTreeMap<i32, Broker>,
    pub partitions: Vec<PartitionView>,
    dynamic: crate::config::Settings,
    /// Image that no broker starts with.
    pub broken_image: Option<String>,
    /// Brokers that give no answer at all.
    pub is_silent: bool,
    uids: u64,
}

struct Pod {
    view: PodView,
    /// Turns until it runs, and until it is ready.
    starts_in: u8,
}

#[derive(Default)]
struct Broker {
    epoch: i64,
    is_cordoned: bool,
    permit: Option<i64>,
}

impl Model {
    pub fn new(spec: ClusterSpec) -> Self {
        let mut cluster = Cluster::new("prod", spec);
        cluster.metadata.uid = Some("u".to_owned());
        cluster.metadata.namespace = Some("shop".to_owned());
        Self {
            cluster,
            set: None,
            pods: BTreeMap::new(),
            claims: BTreeMap::new(),
            registered: BTreeMap::new(),
            partitions: Vec::new(),
            dynamic: BTreeMap::new(),
            broken_image: None,
            is_silent: false,
            uids: 0,
        }
    }

    pub fn status(&mut self) -> &mut ClusterStatus {
        self.cluster.status.get_or_insert_default()
    }

    /// Partitions over all brokers there are, one after the other.
    pub fn with_partitions(&mut self, count: i32, copies: i32) {
        let brokers = self.cluster.spec.replicas;
        for partition in 0..count {
            let replicas: Vec<i32> = (0..copies).map(|copy| (partition + copy) % brokers).collect();
            let isr = replicas.clone();
            let leader = replicas[0];
            let topic = format!("t{partition}");
            self.partitions.push(PartitionView {
                topic,
                partition: 0,
                leader,
                replicas,
                isr,
                ..Default::default()
            });
        }
    }

    fn is_up(&self, id: i32) -> bool {
        self.pods.get(&id).is_some_and(|pod| pod.view.is_running && !pod.view.is_deleting)
    }

    pub fn observe(&self) -> Observed<'_> {
        let has_quorum = !self.registered.is_empty()
            && self.registered.keys().filter(|id| self.is_up(**id)).count() * 2 > self.registered.len();
        let brokers =
            if has_quorum && !self.is_silent { Ok(self.view()) } else { Err("no answer".to_owned()) };
        Observed {
            cluster: &self.cluster,
            default_image: "ottla:1",
            set: self.set.clone(),
            pods: self.pods.iter().map(|(id, pod)| (*id, pod.view.clone())).collect(),
            claims: self.claims.clone(),
            brokers,
        }
    }

    fn view(&self) -> BrokersView {
        let brokers = self.registered.iter().map(|(&id, broker)| {
            let on = |at: &&PartitionView| at.is_on(id);
            let replicas = self.partitions.iter().filter(on).count() as i32;
            let in_sync = self
                .partitions
                .iter()
                .filter(|at| at.replicas.contains(&id))
                .all(|at| at.isr.contains(&id) || at.is_moving);
            let view = BrokerView {
                epoch: broker.epoch,
                is_active: self.is_up(id),
                is_caught_up: self.is_up(id) && in_sync,
                is_cordoned: broker.is_cordoned,
                is_voter: !broker.is_cordoned || replicas > 0,
                replicas,
                permit: broker.permit,
                ..BrokerView::default()
            };
            (id, view)
        });
        BrokersView {
            cluster_id: "c".to_owned(),
            controller: self.registered.keys().copied().find(|id| self.is_up(*id)).unwrap_or(-1),
            brokers: brokers.collect(),
            partitions: self.partitions.clone(),
            under_min_isr: 0,
            dynamic: self.dynamic.clone(),
        }
    }

    /// Carries a plan out, but for what comes after the first `writes` writes. False if that was not all.
    pub fn apply(&mut self, plan: &Plan, writes: usize) -> bool {
        let mut left = writes;
        let mut may = || {
            let may = left > 0;
            left = left.saturating_sub(1);
            may
        };
        if plan.steps.contains(&Step::OrphanSet) {
            if may() {
                self.set = None;
            }
            return true;
        }
        for step in &plan.steps {
            if !may() {
                return false;
            }
            self.step(step);
        }
        if let Some(shape) = &plan.shape {
            if !may() {
                return false;
            }
            self.shape(shape, plan);
        }
        if let Some(Disruption::Restart(choices)) = &plan.disruption {
            for choice in choices {
                if choice.broker_epoch.is_some() && !self.grant(choice.broker) {
                    continue;
                }
                if !may() {
                    return false;
                }
                self.stop(choice.broker, choice.broker_epoch.is_some());
                break;
            }
        }
        true
    }

    fn shape(&mut self, shape: &SetShape, plan: &Plan) {
        let before = self.set.as_ref().map_or(0, |set| set.replicas);
        if shape.replicas < before {
            assert!(
                matches!(plan.disruption, Some(Disruption::Remove { .. } | Disruption::Hibernate)),
                "a StatefulSet shrinks only in a step that says so"
            );
        }
        self.set = Some(SetView {
            replicas: shape.replicas,
            image: shape.image.clone(),
            hash: shape.hash.clone(),
            is_settled: true,
            claim_size: Some(
                self.set.as_ref().and_then(|set| set.claim_size.clone()).unwrap_or(shape.claim_size.clone()),
            ),
            ..SetView::default()
        });
        let gone: Vec<i32> = self.pods.range(shape.replicas..).map(|(id, _)| *id).collect();
        for id in gone {
            if !self.cluster.spec.hibernate {
                assert!(
                    !self.partitions.iter().any(|at| at.is_on(id)),
                    "broker {id} went with replicas on it"
                );
            }
            self.pods.remove(&id);
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::NoteLeaving(ids) => self.status().leaving.clone_from(ids),
            Step::NoteSpreading(ids) => self.status().spreading.clone_from(ids),
            Step::AlterSettings { set, delete, keys } => {
                self.dynamic.extend(set.clone());
                self.dynamic.retain(|key, _| !delete.contains(key));
                self.status().dynamic_config_keys.clone_from(keys);
            }
            Step::Cordon { broker, cordoned } => {
                self.registered.entry(*broker).or_default().is_cordoned = *cordoned;
            }
            Step::Move(moves) => {
                for to in moves {
                    assert_eq!(to.replicas.iter().collect::<BTreeSet<_>>().len(), to.replicas.len());
                    let Some(at) = self.partitions.iter_mut().find(|at| at.topic == to.topic) else {
                        continue;
                    };
                    at.removing =
                        at.replicas.iter().copied().filter(|id| !to.replicas.contains(id)).collect();
                    at.replicas.clone_from(&to.replicas);
                    at.is_moving = true;
                }
            }
            Step::ElectPreferred(partitions) => {
                for at in &mut self.partitions {
                    if partitions.contains(&(at.topic.clone(), at.partition))
                        && at.isr.contains(&at.replicas[0])
                    {
                        at.leader = at.replicas[0];
                    }
                }
            }
            Step::Unregister { broker } => {
                assert!(!self.partitions.iter().any(|at| at.is_on(*broker)), "unregistered with replicas");
                self.registered.remove(broker);
            }
            Step::DeleteClaim { name, .. } => {
                let id = crate::names::broker_of(name).unwrap();
                assert_eq!(self.cluster.spec.storage.retention.when_scaled, Keep::Delete);
                assert!(!self.partitions.iter().any(|at| at.is_on(id)), "a disk went with replicas on it");
                assert!(!self.pods.contains_key(&id), "a disk went under a running broker");
                self.claims.remove(&id);
            }
            Step::OwnClaim { name, owned } => {
                self.claims
                    .values_mut()
                    .filter(|claim| claim.name == *name)
                    .for_each(|claim| claim.is_owned = *owned);
            }
            Step::GrowClaim { name, size } => {
                let claim = self.claims.values_mut().find(|claim| claim.name == *name).unwrap();
                claim.size = Some(size.clone());
            }
            Step::PermitAll => {
                self.registered.values_mut().for_each(|broker| broker.permit = Some(1));
            }
            Step::OrphanSet | Step::LabelRack { .. } => {}
        }
    }

    /// The brokers' rule.
    fn grant(&mut self, id: i32) -> bool {
        if self.registered.iter().any(|(other, broker)| *other != id && broker.permit.is_some()) {
            return false;
        }
        let spared = self.partitions.iter().filter(|at| at.isr.contains(&id)).all(|at| {
            at.replicas.len() <= MIN_INSYNC
                || at.isr.iter().filter(|other| **other != id && self.is_up(**other)).count() >= MIN_INSYNC
        });
        if spared {
            self.registered.entry(id).or_default().permit = Some(1);
        }
        spared
    }

    fn stop(&mut self, id: i32, is_permitted: bool) {
        // Nobody misses a broker without replicas, for instance one that has left and is still registered.
        let holds = |other: &i32| self.partitions.iter().any(|at| at.is_on(*other));
        let others = self.registered.keys().filter(|other| **other != id && holds(other));
        let away = others.filter(|other| !self.is_up(**other)).count();
        let was_up = self.is_up(id);
        if was_up {
            assert!(is_permitted, "broker {id} ran and was stopped without a permit");
            assert_eq!(away, 0, "two brokers would be away");
        }
        self.pods.remove(&id);
        // Who did not run was of no use to anybody.
        if was_up {
            self.leave_isr(id);
        }
    }

    fn leave_isr(&mut self, id: i32) {
        for at in &mut self.partitions {
            if at.isr.len() > 1 {
                at.isr.retain(|member| *member != id);
            }
            if at.leader == id {
                at.leader = at.isr.iter().copied().find(|member| *member != id).unwrap_or(-1);
            }
            let can_keep = at.replicas.len() > MIN_INSYNC && !at.is_moving;
            assert!(!can_keep || at.isr.len() >= MIN_INSYNC, "{} fell below min.insync.replicas", at.topic);
        }
    }

    /// A broker dies while all others are there, and comes back by itself.
    pub fn crash(&mut self, id: i32) {
        let all = self.set.as_ref().map_or(0, |set| set.replicas) as usize;
        let is_whole = self.pods.len() == all && self.pods.values().all(|pod| pod.view.is_ready);
        if is_whole && self.pods.remove(&id).is_some() {
            self.leave_isr(id);
        }
    }

    /// Time passes: Kubernetes makes pods, brokers start, catch up, and finish moves.
    pub fn turn(&mut self) {
        let Some(set) = self.set.clone() else { return };
        for id in 0..set.replicas {
            if !self.pods.contains_key(&id) {
                self.uids += 1;
                let view = PodView {
                    name: crate::names::pod("prod", id),
                    uid: self.uids.to_string(),
                    hash: Some(set.hash.clone()),
                    image: set.image.clone(),
                    ..PodView::default()
                };
                self.pods.insert(id, Pod { view, starts_in: 2 });
                let claim = ClaimView {
                    name: crate::names::claim("prod", id),
                    size: set.claim_size.clone(),
                    ..Default::default()
                };
                self.claims.entry(id).or_insert(claim);
                continue;
            }
            self.start(id);
        }
        self.catch_up();
        self.note_brokers();
        if !self.registered.is_empty() {
            self.status().cluster_id = Some("c".to_owned());
        }
    }

    fn note_brokers(&mut self) {
        let mut seen: BTreeSet<i32> = self.pods.keys().copied().collect();
        if seen.is_empty() || self.cluster.spec.hibernate {
            seen.extend(self.status().brokers.iter().map(|broker| broker.id));
        }
        let noted = seen.into_iter().map(|id| BrokerStatus { id, ..Default::default() });
        self.status().brokers = noted.collect();
    }

    fn start(&mut self, id: i32) {
        let broken = self.broken_image.clone();
        let Some(pod) = self.pods.get_mut(&id) else { return };
        if broken.is_some_and(|image| image == pod.view.image) {
            pod.view.problem = Some("CrashLoopBackOff".to_owned());
            return;
        }
        match pod.starts_in {
            0 => pod.view.is_ready = true,
            1 => {
                pod.starts_in = 0;
                pod.view.is_running = true;
                self.registered.entry(id).or_default().epoch += 1;
            }
            _ => pod.starts_in -= 1,
        }
    }

    fn catch_up(&mut self) {
        let up: BTreeSet<i32> = self.pods.keys().copied().filter(|id| self.is_up(*id)).collect();
        for at in &mut self.partitions {
            for id in at.replicas.iter().filter(|id| up.contains(id)) {
                if !at.isr.contains(id) {
                    at.isr.push(*id);
                }
            }
            if at.is_moving && at.replicas.iter().all(|id| at.isr.contains(id)) {
                at.isr.retain(|id| at.replicas.contains(id));
                at.removing.clear();
                at.is_moving = false;
            }
            if at.leader < 0 || !up.contains(&at.leader) || !at.isr.contains(&at.leader) {
                at.leader = at.isr.iter().copied().find(|id| up.contains(id)).unwrap_or(-1);
            }
        }
        let ready: Vec<i32> =
            self.pods.iter().filter(|(_, pod)| pod.view.is_ready).map(|(id, _)| *id).collect();
        for id in ready {
            if let Some(broker) = self.registered.get_mut(&id) {
                broker.permit = None;
            }
        }
    }

    /// Looks and acts until nothing is left to do; how many turns that took.
    pub fn settle(&mut self) -> usize {
        for turn in 0..400 {
            let plan = super::next(&self.observe());
            let idle = plan.steps.is_empty() && plan.disruption.is_none() && plan.work.is_none();
            let is_still = self.partitions.iter().all(|at| !at.is_moving);
            let is_whole = self.set.as_ref().is_some_and(|set| set.replicas as usize == self.pods.len());
            if idle && is_still && is_whole && self.pods.values().all(|pod| pod.view.is_ready) {
                return turn;
            }
            self.apply(&plan, usize::MAX);
            self.turn();
        }
        panic!("the plan does not end: {:?}", super::next(&self.observe()));
    }

    pub fn pods(&self) -> Vec<i32> {
        self.pods.keys().copied().collect()
    }

    pub fn pod(&self, id: i32) -> &PodView {
        &self.pods[&id].view
    }

    pub fn claims(&self) -> Vec<i32> {
        self.claims.keys().copied().collect()
    }

    pub fn registered(&self) -> Vec<i32> {
        self.registered.keys().copied().collect()
    }
}
