//! Clients: small machines like the brokers', speaking in messages.

mod consumer;
mod producer;

pub use consumer::Consumer;
pub use producer::{Producer, ProducerConfig};

use crate::message::{Answer, Body, Request};
use crate::oracle::Oracle;
use crate::random::Random;
use crate::trace::{Address, Line};
use ottla_types::{BrokerId, LeaderEpoch, TopicIdPartition};
use std::collections::BTreeMap;

/// What a client wants to be woken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientTimer {
    /// Do the next thing.
    Next,
    /// A question has had no answer.
    Deadline(u64),
}

/// The surroundings of one step of a client.
pub struct ClientContext<'a> {
    /// Simulated microseconds.
    pub now_us: u64,
    /// Chance.
    pub random: &'a mut Random,
    /// What is known from outside.
    pub oracle: &'a mut Oracle,
    /// The brokers there are.
    pub brokers: &'a [BrokerId],
    /// Messages to send.
    pub messages: Vec<(Address, Body)>,
    /// Timers, by delay in microseconds.
    pub timers: Vec<(u64, ClientTimer)>,
    /// Trace lines.
    pub lines: Vec<Line>,
    /// What must never happen and did.
    pub broken: Vec<String>,
    /// Who this is.
    pub who: Address,
    /// No new work any more: finish what is begun.
    pub winding_up: bool,
}

impl ClientContext<'_> {
    fn trace(&mut self, what: &'static str, numbers: &[i64]) {
        let mut all = [0; 4];
        all[..numbers.len()].copy_from_slice(numbers);
        self.lines.push(Line { at_us: self.now_us, who: self.who, what, numbers: all });
    }
}

/// Any client.
#[derive(Debug)]
pub enum Client {
    /// It writes.
    Producer(Box<Producer>),
    /// It reads.
    Consumer(Box<Consumer>),
}

impl Client {
    /// A timer fired.
    pub fn handle_timer(&mut self, cx: &mut ClientContext<'_>, timer: ClientTimer) {
        match self {
            Client::Producer(producer) => producer.handle_timer(cx, timer),
            Client::Consumer(consumer) => consumer.handle_timer(cx, timer),
        }
    }

    /// An answer came, or (`None`) the connection to `from` broke.
    pub fn handle_answer(
        &mut self,
        cx: &mut ClientContext<'_>,
        from: Address,
        answer: Option<(u64, Answer)>,
    ) {
        match self {
            Client::Producer(producer) => producer.handle_answer(cx, from, answer),
            Client::Consumer(consumer) => consumer.handle_answer(cx, from, answer),
        }
    }
}

/// Who leads what, as a client knows it.
#[derive(Debug, Default)]
struct Routes {
    leaders: BTreeMap<TopicIdPartition, BrokerId>,
    /// The newest epoch heard of: an older leader is not believed any more (KIP-320).
    epochs: BTreeMap<TopicIdPartition, LeaderEpoch>,
}

impl Routes {
    fn epoch(&self, partition: TopicIdPartition) -> LeaderEpoch {
        self.epochs.get(&partition).copied().unwrap_or(LeaderEpoch::NONE)
    }

    fn take(&mut self, leaders: Vec<(TopicIdPartition, BrokerId, LeaderEpoch)>) {
        for (partition, leader, epoch) in leaders {
            if epoch < self.epoch(partition) {
                continue;
            }
            self.epochs.insert(partition, epoch);
            if leader.is_none() {
                self.leaders.remove(&partition);
            } else {
                self.leaders.insert(partition, leader);
            }
        }
    }

    fn refresh(cx: &mut ClientContext<'_>, number: u64) -> Option<Address> {
        let broker = *cx.random.pick(cx.brokers)?;
        let to = Address::Broker(broker.0);
        cx.messages.push((to, Body::Request(number, Request::Metadata)));
        cx.timers.push((1_000_000, ClientTimer::Deadline(number)));
        Some(to)
    }
}
