//! An administrator (a person, or the operator): makes, grows and deletes topics, moves replicas, drains and retires
//! brokers, and does what it should not: asks for permits it does not need, forces them, gives back those of others,
//! takes living brokers out of the cluster.
//!
//! It has no memory of the cluster: it looks, does one thing, and looks again. Whoever is in control takes its requests;
//! the others refuse them.

use super::{ClientContext, ClientTimer, Questions, Routes};
use crate::message::{Answer, Metadata, Request};
use crate::trace::Address;
use ottla_core::controller::{self, AskPermit, CreateTopic, ElectionType, GrowTopic, TopicRef};
use ottla_core::placement::{self, Broker};
use ottla_types::{BrokerEpoch, BrokerId, TopicPartition};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The most partitions that the lasting topic gets.
const MOST_PARTITIONS: usize = 6;
/// The most topics that come and go at a time.
const MOST_TOPICS: usize = 2;
/// Replicas of every partition.
const REPLICAS: usize = 3;
/// A drain that takes longer is given up.
const DRAIN_US: u64 = 10_000_000;

/// What it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Duties {
    /// Topics come and go, and the lasting one grows.
    pub topics: bool,
    /// Replicas and leaders move.
    pub moves: bool,
    /// Brokers are emptied and filled again.
    pub drains: bool,
    /// Brokers are emptied and taken away for good, until so many are left.
    pub retires_to: Option<usize>,
    /// It does what it should not.
    pub misbehaves: bool,
}

impl Duties {
    /// Is there anything to do?
    #[must_use]
    pub fn any(self) -> bool {
        self != Self::default()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Drain {
    broker: BrokerId,
    since_us: u64,
    for_good: bool,
}

/// An administrator.
#[derive(Debug)]
pub struct Administrator {
    duties: Duties,
    /// Settings of the topics it makes.
    configs: Vec<(String, Option<String>)>,
    routes: Routes,
    questions: Questions<()>,
    made: u32,
    drain: Option<Drain>,
    cordoned: BTreeSet<BrokerId>,
    retired: BTreeSet<BrokerId>,
}

impl Administrator {
    /// Administrator `id` with these duties.
    #[must_use]
    pub fn new(id: u32, duties: Duties, configs: Vec<(String, Option<String>)>) -> Self {
        Self {
            duties,
            configs,
            routes: Routes::default(),
            questions: Questions::of_client(id),
            made: 0,
            drain: None,
            cordoned: BTreeSet::new(),
            retired: BTreeSet::new(),
        }
    }

    pub(super) fn handle_answer(
        &mut self,
        _cx: &mut ClientContext<'_>,
        from: Address,
        answer: Option<(u64, Answer)>,
    ) {
        match answer {
            None => drop(self.questions.lost(from)),
            Some((number, Answer::Metadata(metadata))) if self.questions.take(number).is_some() => {
                self.routes.take(&metadata);
            }
            Some(_) => {}
        }
    }

    pub(super) fn handle_timer(&mut self, cx: &mut ClientContext<'_>, timer: ClientTimer) {
        if let ClientTimer::Deadline(number) = timer {
            self.questions.take(number);
            return;
        }
        self.act(cx);
        if let Some(to) = Routes::anybody(cx) {
            self.questions.ask(cx, to, Request::Metadata, 1_000_000, ());
        }
        let pause = cx.random.within(200_000..1_200_000);
        cx.after(pause, ClientTimer::Next);
    }

    fn act(&mut self, cx: &mut ClientContext<'_>) {
        for &broker in &self.retired.clone() {
            self.ask(cx, controller::Request::UnregisterBroker { broker, only_if_unused: false });
        }
        if self.drain.is_some() {
            return self.go_on_draining(cx);
        }
        if cx.faults_over {
            return self.uncordon_all(cx);
        }
        let Duties { topics, moves, drains, retires_to, misbehaves } = self.duties;
        let retires = retires_to.is_some_and(|left| cx.brokers.len() > left);
        let allowed = [
            (topics, 0_u8),
            (topics, 1),
            (moves, 2),
            (moves, 2),
            (moves, 3),
            (drains, 4),
            (retires, 5),
            (misbehaves, 6),
        ];
        let possible: Vec<u8> =
            allowed.iter().filter(|(allowed, _)| *allowed).map(|(_, duty)| *duty).collect();
        match cx.random.pick(&possible) {
            Some(0) => self.make_or_delete_topic(cx),
            Some(1) => self.grow_topic(cx),
            Some(2) => self.move_replicas(cx),
            Some(3) => self.ask(
                cx,
                controller::Request::ElectLeaders { kind: ElectionType::Preferred, partitions: None },
            ),
            Some(4) => self.begin_drain(cx, false),
            Some(5) => self.begin_drain(cx, true),
            Some(_) => self.misbehave(cx),
            None => {}
        }
    }

    /// Asks every broker: the one in control takes it.
    fn ask(&mut self, cx: &mut ClientContext<'_>, request: controller::Request) {
        for &broker in cx.brokers {
            let request = Request::Control(Box::new(request.clone()));
            self.questions.tell(cx, Address::Broker(broker.0), request);
        }
    }

    fn make_or_delete_topic(&mut self, cx: &mut ClientContext<'_>) {
        let passing: Vec<_> =
            self.routes.topics().filter(|topic| topic.name.starts_with('c')).map(|topic| topic.id).collect();
        if passing.len() >= MOST_TOPICS {
            let Some(&id) = cx.random.pick(&passing) else { return };
            cx.trace("deletes a topic", &[]);
            return self.ask(cx, controller::Request::DeleteTopics { topics: vec![TopicRef::Id(id)] });
        }
        self.made += 1;
        cx.trace("makes topic c{}", &[i64::from(self.made)]);
        let topic = CreateTopic {
            partitions: 2,
            replication_factor: REPLICAS as i16,
            configs: self.configs.clone(),
            ..CreateTopic::with_defaults(format!("c{}", self.made))
        };
        self.ask(cx, controller::Request::CreateTopics { topics: vec![topic], validate_only: false });
    }

    fn grow_topic(&mut self, cx: &mut ClientContext<'_>) {
        let Some(topic) = self.routes.topic(crate::group_message::TOPIC) else { return };
        if topic.partitions.len() >= MOST_PARTITIONS {
            return;
        }
        let count = i32::try_from(topic.partitions.len() + 1).unwrap_or(1);
        cx.trace("grows topic t to {} partitions", &[i64::from(count)]);
        let topics = vec![GrowTopic { name: topic.name.to_string(), count, assignments: None }];
        self.ask(cx, controller::Request::CreatePartitions { topics, validate_only: false });
    }

    fn move_replicas(&mut self, cx: &mut ClientContext<'_>) {
        let metadata = Arc::clone(self.routes.metadata());
        let Some(topic) = cx.random.pick(&metadata.topics) else { return };
        let index = cx.random.below(topic.partitions.len().max(1) as u64);
        let Some(partition) = topic.partitions.get(usize::try_from(index).unwrap_or(0)) else { return };
        let cancels = partition.is_moving && cx.random.chance_ppm(400_000);
        let mut brokers = metadata.active.clone();
        let mut target = Vec::new();
        while target.len() < REPLICAS && !brokers.is_empty() {
            let at = cx.random.below(brokers.len() as u64);
            target.push(brokers.swap_remove(usize::try_from(at).unwrap_or(0)));
        }
        cx.trace("moves p{} (or not any more: {})", &[index as i64, i64::from(cancels)]);
        let partition = TopicPartition::new(&*topic.name, i32::try_from(index).unwrap_or(0));
        self.reassign(cx, vec![(partition, (!cancels).then_some(target))]);
    }

    fn reassign(&mut self, cx: &mut ClientContext<'_>, moves: Vec<controller::Reassignment>) {
        self.ask(cx, controller::Request::Reassign { moves, allow_replication_factor_change: false });
    }

    fn begin_drain(&mut self, cx: &mut ClientContext<'_>, for_good: bool) {
        let last = cx.brokers.iter().max().copied();
        let any = cx.random.pick(cx.brokers).copied();
        let Some(broker) = (if for_good { last } else { any }) else { return };
        cx.trace("drains {} (for good: {})", &[i64::from(broker.0), i64::from(for_good)]);
        self.drain = Some(Drain { broker, since_us: cx.now_us, for_good });
        self.cordoned.insert(broker);
        self.ask(cx, controller::Request::CordonBroker { broker, cordoned: true });
    }

    fn go_on_draining(&mut self, cx: &mut ClientContext<'_>) {
        let Some(Drain { broker, since_us, for_good }) = self.drain else { return };
        if for_good && !cx.brokers.contains(&broker) {
            cx.trace("has retired {}", &[i64::from(broker.0)]);
            self.drain = None;
            self.cordoned.remove(&broker);
            self.retired.insert(broker);
            return;
        }
        let metadata = Arc::clone(self.routes.metadata());
        // What was asked before the drain may still be under way.
        let is_empty = !holds(&metadata, broker) && cx.now_us > since_us + 2_000_000;
        if for_good && is_empty {
            cx.retired = Some(broker);
        } else if !for_good && (is_empty || cx.now_us > since_us + DRAIN_US) {
            cx.trace("has drained {}: {}", &[i64::from(broker.0), i64::from(is_empty)]);
            self.drain = None;
            return self.uncordon_all(cx);
        }
        self.ask(cx, controller::Request::CordonBroker { broker, cordoned: true });
        self.reassign(cx, moves_off(&metadata, broker));
    }

    fn uncordon_all(&mut self, cx: &mut ClientContext<'_>) {
        for &broker in &self.cordoned.clone() {
            self.ask(cx, controller::Request::CordonBroker { broker, cordoned: false });
        }
    }

    fn misbehave(&mut self, cx: &mut ClientContext<'_>) {
        let Some(&broker) = cx.random.pick(cx.brokers) else { return };
        let what = cx.random.below(10);
        cx.trace("misbehaves towards {} in way {}", &[i64::from(broker.0), what as i64]);
        let request = match what {
            0..6 => controller::Request::AskPermit(AskPermit {
                broker,
                broker_epoch: BrokerEpoch::NONE,
                duration_ms: cx.random.within(500..15_000) as i64,
                force: cx.random.chance_ppm(500_000),
                dry_run: cx.random.chance_ppm(200_000),
                reason: "nobody knows".to_owned(),
                single_replica: None,
            }),
            6..9 => controller::Request::ReleasePermit { broker, epoch: cx.random.below(20) as i64 },
            _ => controller::Request::UnregisterBroker { broker, only_if_unused: false },
        };
        self.ask(cx, request);
    }
}

fn holds(metadata: &Metadata, broker: BrokerId) -> bool {
    let mut partitions = metadata.topics.iter().flat_map(|topic| &topic.partitions);
    partitions.any(|partition| partition.replicas.contains(&broker))
}

/// The moves that empty `broker`; none for what moves already.
fn moves_off(metadata: &Metadata, broker: BrokerId) -> Vec<controller::Reassignment> {
    let still = metadata.topics.iter().flat_map(|topic| {
        topic.with_ids().filter(|(_, partition)| !partition.is_moving).map(|(id, partition)| {
            (TopicPartition::new(&*topic.name, id.partition), partition.replicas.clone())
        })
    });
    let (names, sets): (Vec<_>, Vec<_>) = still.unzip();
    let brokers: Vec<Broker> = metadata.active.iter().map(|&id| Broker::new(id, None)).collect();
    let plan = placement::drain(&brokers, &sets, &[broker], 7).unwrap_or_default();
    plan.into_iter().filter_map(|to| Some((names.get(to.partition)?.clone(), Some(to.replicas)))).collect()
}
