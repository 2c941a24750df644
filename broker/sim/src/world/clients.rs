//! The clients: the one who makes the topics, then those who use them.

use super::{Event, World};
use crate::client::{
    Administrator, Client, ClientContext, ClientTimer, Consumer, Member, Producer, Protocol,
};
use crate::group_message::{OFFSETS_TOPIC, TOPIC};
use crate::message::{Answer, Body, Request};
use crate::trace::Address;
use ottla_core::controller::{self, CreateTopic, Reply};
use ottla_types::ErrorCode;
use std::collections::BTreeSet;

/// Partitions of `__consumer_offsets`.
const OFFSETS_PARTITIONS: i32 = 2;

impl World {
    pub(super) fn topics_to_make(&self) -> BTreeSet<&'static str> {
        let has_groups = self.scenario.members != (0, 0);
        [Some(TOPIC), has_groups.then_some(OFFSETS_TOPIC)].into_iter().flatten().collect()
    }

    fn topic_configs(&self) -> Vec<(String, Option<String>)> {
        let min = self.scenario.min_insync_replicas.to_string();
        let mut configs = vec![("min.insync.replicas".to_owned(), Some(min))];
        if self.scenario.flush {
            configs.push(("flush.messages".to_owned(), Some("1".to_owned())));
        }
        configs
    }

    /// Asks every broker to make the topics until the one in control has; then the clients begin.
    pub(super) fn begin_clients(&mut self) {
        if self.missing_topics.is_empty() {
            return;
        }
        let topics = self.missing_topics.iter().map(|&name| CreateTopic {
            partitions: if name == OFFSETS_TOPIC { OFFSETS_PARTITIONS } else { self.scenario.partitions },
            replication_factor: self.scenario.replication_factor,
            configs: self.topic_configs(),
            ..CreateTopic::with_defaults(name)
        });
        let request = controller::Request::CreateTopics { topics: topics.collect(), validate_only: false };
        for broker in self.broker_ids.clone() {
            let body = Body::Request(1, Request::Control(Box::new(request.clone())));
            self.send(Address::Nemesis, Address::Broker(broker.0), body);
        }
        self.schedule(300_000, Event::Clients);
    }

    pub(super) fn admin_answer(&mut self, _from: Address, body: Body) {
        let Body::Answer(1, Answer::Control(reply)) = body else { return };
        let Reply::CreateTopics(results) = *reply else { return };
        for (name, result) in results {
            let is_made = match &result {
                Ok(_) => true,
                Err(error) => error.code == ErrorCode::TopicAlreadyExists,
            };
            let was_missing = is_made && self.missing_topics.remove(&*name);
            if was_missing && self.missing_topics.is_empty() {
                self.note(Address::Nemesis, "the topics are made", &[]);
                self.make_clients();
            }
        }
    }

    fn make_clients(&mut self) {
        let mut clients = Vec::new();
        let id = |clients: &Vec<Client>| u32::try_from(clients.len() + 1).unwrap_or(u32::MAX);
        for config in self.scenario.producers.clone() {
            clients.push(Client::Producer(Box::new(Producer::new(id(&clients), config))));
        }
        for _ in 0..self.scenario.consumers {
            clients.push(Client::Consumer(Box::new(Consumer::new(id(&clients)))));
        }
        let (classic, consumer) = self.scenario.members;
        for _ in 0..classic {
            clients.push(Client::Member(Box::new(Member::new(id(&clients), "classic", Protocol::Classic))));
        }
        for _ in 0..consumer {
            clients.push(Client::Member(Box::new(Member::new(id(&clients), "modern", Protocol::Consumer))));
        }
        if self.scenario.duties.any() {
            let configs = self.topic_configs();
            let administrator = Administrator::new(id(&clients), self.scenario.duties, configs);
            clients.push(Client::Administrator(Box::new(administrator)));
        }
        for (client, made) in (1..).zip(clients) {
            self.clients.insert(client, made);
            let delay = self.random.below(20_000);
            self.schedule(delay, Event::Client { client, timer: ClientTimer::Next });
        }
    }

    /// Lets a client do a step.
    pub(super) fn with_client(&mut self, id: u32, step: impl FnOnce(&mut Client, &mut ClientContext<'_>)) {
        let mut random = self.random.fork();
        let Some(client) = self.clients.get_mut(&id) else { return };
        let mut cx = ClientContext {
            now_us: self.now_us,
            random: &mut random,
            oracle: &mut self.oracle,
            brokers: &self.broker_ids,
            messages: Vec::new(),
            timers: Vec::new(),
            lines: Vec::new(),
            broken: Vec::new(),
            retired: None,
            who: Address::Client(id),
            faults_over: self.faults_over,
            winding_up: self.winding_up,
        };
        step(client, &mut cx);
        let ClientContext { messages, timers, lines, broken, retired, .. } = cx;
        for line in lines {
            self.trace.add(line);
        }
        self.broken.extend(broken);
        for (to, body) in messages {
            self.send(Address::Client(id), to, body);
        }
        for (delay, timer) in timers {
            self.schedule(delay, Event::Client { client: id, timer });
        }
        if let Some(broker) = retired {
            self.retire(broker);
        }
    }
}
