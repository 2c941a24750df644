//! The world: one queue of events in simulated time, on one thread, from one seed.

mod brokers;
mod clients;
mod end;
mod trouble;

use crate::client::{Client, ClientTimer};
use crate::invariants::Checkers;
use crate::message::Body;
use crate::nemesis::Fault;
use crate::network::Network;
use crate::node::Timer;
use crate::oracle::Oracle;
use crate::queue::Queue;
use crate::random::Random;
use crate::scenario::Scenario;
use crate::trace::{Address, Line, Trace};
use brokers::Slot;
use ottla_types::BrokerId;
use std::collections::{BTreeMap, BTreeSet};

/// What happens next.
#[derive(Debug)]
enum Event {
    /// A message arrives.
    Deliver { from: Address, to: Address, body: Body },
    /// A broker's timer; only for the run of the process that set it.
    Node { broker: i32, run: u64, timer: Timer },
    /// A client's timer.
    Client { client: u32, timer: ClientTimer },
    /// A broker starts.
    Start { broker: i32 },
    /// A broker's process is killed, for so long.
    Kill { broker: i32, us: u64 },
    /// Trouble.
    Nemesis,
    /// The end of some trouble.
    Relief(Relief),
    /// Clients begin.
    Clients,
}

#[derive(Debug, Clone, Copy)]
enum Relief {
    Heal,
    Calm,
    Hear(i32),
    FastDisk(i32),
    EmptyDisk(i32),
    MendDisk(i32),
}

/// How a run is to be shown.
#[derive(Debug, Clone, Copy, Default)]
pub struct View {
    /// Print every line.
    pub show: bool,
    /// Keep every line, not only the last ones.
    pub keep_all: bool,
}

/// What came out of a run.
#[derive(Debug, Clone)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// The same for every run of the seed.
    pub trace_hash: u64,
    /// Events handled.
    pub events: u64,
    /// Simulated time.
    pub simulated_us: u64,
    /// Records acknowledged to producers.
    pub acknowledged: u64,
    /// Records read by consumers.
    pub consumed: u64,
    /// Commits acknowledged to groups.
    pub commits: u64,
    /// Records that a leader alone acknowledged (`acks=1`) and that were lost.
    pub lost_hopes: u64,
    /// Faults done, by kind.
    pub faults: BTreeMap<Fault, u64>,
    /// What must never happen and did.
    pub broken: Vec<String>,
    /// The last lines of the trace.
    pub last_lines: Vec<Line>,
}

/// A cluster, its clients and its enemy.
pub struct World {
    scenario: Scenario,
    now_us: u64,
    queue: Queue<Event>,
    random: Random,
    network: Network,
    slots: BTreeMap<i32, Slot>,
    broker_ids: Vec<BrokerId>,
    clients: BTreeMap<u32, Client>,
    /// The topics that are to be made before the clients begin.
    missing_topics: BTreeSet<&'static str>,
    /// Brokers that the quorum's messages do not reach.
    deaf: BTreeSet<i32>,
    oracle: Oracle,
    checkers: Checkers,
    trace: Trace,
    broken: Vec<String>,
    /// A disk was lost, and what it held was not seen to be back.
    lost_disk: bool,
    faults_over: bool,
    winding_up: bool,
    events: u64,
    faults: BTreeMap<Fault, u64>,
}

impl World {
    /// The world of a scenario.
    #[must_use]
    pub fn new(scenario: Scenario, view: View) -> Self {
        let mut random = Random::new(scenario.seed);
        let network = Network::new(random.fork());
        let broker_ids: Vec<BrokerId> = (1..=scenario.brokers).map(BrokerId).collect();
        let slots =
            broker_ids.iter().map(|broker| (broker.0, Slot::new(&mut random, broker.0 == 1))).collect();
        let start_us = scenario.start_us;
        let keep = if view.keep_all { usize::MAX } else { 400 };
        let mut world = Self {
            scenario,
            now_us: 0,
            queue: Queue::default(),
            random,
            network,
            slots,
            broker_ids,
            clients: BTreeMap::new(),
            missing_topics: BTreeSet::new(),
            deaf: BTreeSet::new(),
            oracle: Oracle::default(),
            checkers: Checkers::default(),
            trace: Trace::new(keep, view.show),
            broken: Vec::new(),
            lost_disk: false,
            faults_over: false,
            winding_up: false,
            events: 0,
            faults: BTreeMap::new(),
        };
        world.missing_topics = world.topics_to_make();
        for broker in world.broker_ids.clone() {
            let delay = world.random.below(start_us);
            world.schedule(delay, Event::Start { broker: broker.0 });
        }
        world.schedule(100_000, Event::Clients);
        let first = world.random.within(3_000_000..5_000_000);
        world.schedule(first, Event::Nemesis);
        world
    }

    /// Runs to the end and reports. Stops at the first thing that is broken.
    #[must_use]
    pub fn run(mut self) -> Report {
        let safety_us = self.scenario.safety_us;
        self.run_until(safety_us);
        if self.broken.is_empty() {
            self.relieve_everything();
            self.run_until(safety_us + self.scenario.liveness_us * 3 / 4);
            self.winding_up = true;
            self.run_until(safety_us + self.scenario.liveness_us);
            if self.broken.is_empty() {
                self.check_end();
            }
        }
        Report {
            seed: self.scenario.seed,
            trace_hash: self.trace.hash(),
            events: self.events,
            simulated_us: self.now_us,
            acknowledged: self.oracle.acknowledged,
            consumed: self.oracle.consumed,
            commits: self.oracle.groups.acknowledged,
            lost_hopes: self.oracle.lost_hopes(),
            faults: self.faults,
            broken: self.broken,
            last_lines: self.trace.last().copied().collect(),
        }
    }

    fn run_until(&mut self, end_us: u64) {
        while self.broken.is_empty() {
            let Some((at_us, event)) = self.queue.pop_until(end_us) else { break };
            self.now_us = at_us;
            self.events += 1;
            self.handle(event);
        }
        if self.broken.is_empty() {
            self.now_us = self.now_us.max(end_us);
        }
    }

    fn schedule(&mut self, delay_us: u64, event: Event) {
        self.queue.push(self.now_us + delay_us, event);
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Deliver { from, to, body } => self.deliver(from, to, body),
            Event::Node { broker, run, timer } => self.node_timer(broker, run, timer),
            Event::Client { client, timer } => {
                self.with_client(client, |client, cx| client.handle_timer(cx, timer));
            }
            Event::Start { broker } => self.start(broker),
            Event::Kill { broker, us } if !self.faults_over => self.kill(broker, us),
            Event::Kill { .. } => {}
            Event::Nemesis => self.make_trouble(),
            Event::Relief(relief) => self.relieve(relief),
            Event::Clients => self.begin_clients(),
        }
    }

    fn deliver(&mut self, from: Address, to: Address, body: Body) {
        match to {
            Address::Broker(broker) => self.deliver_to_broker(from, broker, body),
            Address::Client(client) => self.with_client(client, |client, cx| match body {
                Body::Answer(number, answer) => client.handle_answer(cx, from, Some((number, answer))),
                Body::ConnectionLost => client.handle_answer(cx, from, None),
                Body::Consensus(_) | Body::Request(..) => {}
            }),
            Address::Nemesis => self.admin_answer(from, body),
        }
    }

    fn send(&mut self, from: Address, to: Address, body: Body) {
        if from == to {
            return self.schedule(1, Event::Deliver { from, to, body });
        }
        if !matches!(body, Body::Consensus(_)) {
            if let Some(delay) = self.network.send_in_order(self.now_us, from, to) {
                self.schedule(delay, Event::Deliver { from, to, body });
            }
            return;
        }
        if matches!(to, Address::Broker(broker) if self.deaf.contains(&broker)) {
            return;
        }
        for delay in self.network.send(from, to, true) {
            let body = body.clone();
            self.schedule(delay, Event::Deliver { from, to, body });
        }
    }

    fn note(&mut self, who: Address, what: &'static str, numbers: &[i64]) {
        let mut all = [0; 4];
        all[..numbers.len()].copy_from_slice(numbers);
        self.trace.add(Line { at_us: self.now_us, who, what, numbers: all });
    }
}
