//! The clients: the one who makes the topic, then those who use it.

use super::{Event, World};
use crate::client::{Client, ClientContext, ClientTimer, Consumer, Producer};
use crate::message::{Answer, Body, Request};
use crate::trace::Address;
use ottla_core::controller::{self, CreateTopic, Reply};
use ottla_types::TopicIdPartition;

/// The topic.
const TOPIC: &str = "t";

impl World {
    /// Asks every broker to make the topic until the one in control has; then the clients begin.
    pub(super) fn begin_clients(&mut self) {
        if !self.partitions.is_empty() {
            return;
        }
        let min = self.scenario.min_insync_replicas.to_string();
        let mut configs = vec![("min.insync.replicas".to_owned(), Some(min))];
        if self.scenario.flush {
            configs.push(("flush.messages".to_owned(), Some("1".to_owned())));
        }
        let topic = CreateTopic {
            partitions: self.scenario.partitions,
            replication_factor: self.scenario.replication_factor,
            configs,
            ..CreateTopic::with_defaults(TOPIC)
        };
        let request = controller::Request::CreateTopics { topics: vec![topic], validate_only: false };
        for broker in self.broker_ids.clone() {
            let body = Body::Request(1, Request::Control(Box::new(request.clone())));
            self.send(Address::Nemesis, Address::Broker(broker.0), body);
        }
        self.schedule(300_000, Event::Clients);
    }

    pub(super) fn admin_answer(&mut self, _from: Address, body: Body) {
        let Body::Answer(1, Answer::Control(reply)) = body else { return };
        let Reply::CreateTopics(results) = *reply else { return };
        for (_, result) in results {
            let Ok(created) = result else { continue };
            if self.partitions.is_empty() {
                self.partitions = (0..created.partitions)
                    .map(|partition| TopicIdPartition { topic_id: created.topic_id, partition })
                    .collect();
                self.note(Address::Nemesis, "the topic is made", &[]);
                self.make_clients();
            }
        }
    }

    fn make_clients(&mut self) {
        let mut next = 1;
        for config in self.scenario.producers.clone() {
            let producer = Producer::new(next, config, self.partitions.clone());
            self.clients.insert(next, Client::Producer(Box::new(producer)));
            next += 1;
        }
        for _ in 0..self.scenario.consumers {
            self.clients.insert(next, Client::Consumer(Box::new(Consumer::new(next, &self.partitions))));
            next += 1;
        }
        for client in 1..next {
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
            who: Address::Client(id),
            winding_up: self.winding_up,
        };
        step(client, &mut cx);
        let ClientContext { messages, timers, lines, broken, .. } = cx;
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
    }
}
