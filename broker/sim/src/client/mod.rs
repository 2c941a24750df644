//! Clients: small machines like the brokers', speaking in messages.

mod administrator;
mod consumer;
mod lane;
mod member;
mod producer;
mod routes;

pub use administrator::{Administrator, Duties};
pub use consumer::Consumer;
pub use member::{Member, Protocol};
pub use producer::{Producer, ProducerConfig};

use crate::message::{Answer, Body, Request};
use crate::oracle::Oracle;
use crate::random::Random;
use crate::trace::{Address, Line};
use ottla_core::fetch_session::FetchPartition;
use ottla_types::{BrokerId, LeaderEpoch, Offset};
use routes::Routes;
use std::collections::BTreeMap;

/// What a client wants to be woken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientTimer {
    /// Do the next thing.
    Next,
    /// Go on with what waits.
    Again,
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
    /// A broker that may be switched off for good.
    pub retired: Option<BrokerId>,
    /// Who this is.
    pub who: Address,
    /// Nothing goes wrong any more.
    pub faults_over: bool,
    /// No new work any more: finish what is begun.
    pub winding_up: bool,
}

impl ClientContext<'_> {
    fn trace(&mut self, what: &'static str, numbers: &[i64]) {
        let mut all = [0; 4];
        all[..numbers.len()].copy_from_slice(numbers);
        self.lines.push(Line { at_us: self.now_us, who: self.who, what, numbers: all });
    }

    fn after(&mut self, delay_us: u64, timer: ClientTimer) {
        self.timers.push((delay_us, timer));
    }
}

/// Any client.
#[derive(Debug)]
pub enum Client {
    /// It writes.
    Producer(Box<Producer>),
    /// It reads.
    Consumer(Box<Consumer>),
    /// It reads as one of a group.
    Member(Box<Member>),
    /// It changes topics, replicas and brokers.
    Administrator(Box<Administrator>),
}

impl Client {
    /// A timer fired.
    pub fn handle_timer(&mut self, cx: &mut ClientContext<'_>, timer: ClientTimer) {
        match self {
            Client::Producer(producer) => producer.handle_timer(cx, timer),
            Client::Consumer(consumer) => consumer.handle_timer(cx, timer),
            Client::Member(member) => member.handle_timer(cx, timer),
            Client::Administrator(administrator) => administrator.handle_timer(cx, timer),
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
            Client::Member(member) => member.handle_answer(cx, from, answer),
            Client::Administrator(administrator) => administrator.handle_answer(cx, from, answer),
        }
    }
}

/// Questions that wait for their answers, each with what it was asked for.
#[derive(Debug)]
struct Questions<P> {
    open: BTreeMap<u64, (Address, P)>,
    next_number: u64,
}

impl<P> Questions<P> {
    /// None yet; numbers are of this client alone.
    fn of_client(id: u32) -> Self {
        Self { open: BTreeMap::new(), next_number: u64::from(id) << 40 }
    }

    /// Asks `to`, and gives up after `timeout_us`.
    fn ask(
        &mut self,
        cx: &mut ClientContext<'_>,
        to: Address,
        request: Request,
        timeout_us: u64,
        purpose: P,
    ) -> u64 {
        self.next_number += 1;
        let number = self.next_number;
        self.open.insert(number, (to, purpose));
        cx.after(timeout_us, ClientTimer::Deadline(number));
        cx.messages.push((to, Body::Request(number, request)));
        number
    }

    /// Sends without waiting for an answer.
    fn tell(&mut self, cx: &mut ClientContext<'_>, to: Address, request: Request) {
        self.next_number += 1;
        cx.messages.push((to, Body::Request(self.next_number, request)));
    }

    /// The question is over, if it was open.
    fn take(&mut self, number: u64) -> Option<P> {
        self.open.remove(&number).map(|(_, purpose)| purpose)
    }

    /// Whatever was asked of `peer` will not be answered.
    fn lost(&mut self, peer: Address) -> Vec<P> {
        let numbers: Vec<u64> =
            self.open.iter().filter(|(_, (to, _))| *to == peer).map(|(&number, _)| number).collect();
        numbers.into_iter().filter_map(|number| self.take(number)).collect()
    }

    /// The answers to such questions do not matter any more.
    fn drop_where(&mut self, is: impl Fn(&P) -> bool) {
        self.open.retain(|_, (_, purpose)| !is(purpose));
    }

    fn is_open(&self, number: u64) -> bool {
        self.open.contains_key(&number)
    }

    fn any(&self, is: impl Fn(&P) -> bool) -> bool {
        self.open.values().any(|(_, purpose)| is(purpose))
    }
}

/// What a consumer asks of one partition.
fn want(fetch_offset: Offset, current_leader_epoch: LeaderEpoch) -> FetchPartition {
    FetchPartition {
        fetch_offset,
        log_start_offset: -1,
        max_bytes: 64 << 10,
        current_leader_epoch,
        last_fetched_epoch: LeaderEpoch::NONE,
    }
}
