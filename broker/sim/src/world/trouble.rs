//! Faults and their end, and the checks when all is over.

use super::{Event, Relief, World};
use crate::client::Client;
use crate::invariants::{acks_survive, no_duplicates, order, recovers};
use crate::nemesis;
use crate::network::Weather;
use crate::node::address;
use crate::trace::Address;

impl World {
    pub(super) fn make_trouble(&mut self) {
        if self.now_us >= self.scenario.safety_us {
            return;
        }
        let faults = self.scenario.faults;
        if let Some(action) = nemesis::draw(&mut self.random, &faults, self.scenario.brokers) {
            self.act(action);
        }
        let (from, to) = faults.pause_us;
        let next = self.random.within(from..to);
        self.schedule(next, Event::Nemesis);
    }

    pub(super) fn cut(&mut self, one: i32, other: i32, both: bool, us: u64) {
        if one == other {
            return;
        }
        self.note(
            Address::Nemesis,
            "cuts the way from {} to {} (and back: {}) for {} us",
            &[i64::from(one), i64::from(other), i64::from(both), us as i64],
        );
        self.network.cut(Address::Broker(one), Address::Broker(other));
        if both {
            self.network.cut(Address::Broker(other), Address::Broker(one));
        }
        self.schedule(us, Event::Relief(Relief::Heal));
    }

    pub(super) fn isolate(&mut self, broker: i32, us: u64) {
        self.note(Address::Nemesis, "isolates {} for {} us", &[i64::from(broker), us as i64]);
        for other in self.broker_ids.clone() {
            self.network.cut(Address::Broker(broker), address(other));
            self.network.cut(address(other), Address::Broker(broker));
        }
        self.schedule(us, Event::Relief(Relief::Heal));
    }

    pub(super) fn storm(&mut self, us: u64) {
        self.note(Address::Nemesis, "makes the network rough for {} us", &[us as i64]);
        self.network.weather = Weather::ROUGH;
        self.schedule(us, Event::Relief(Relief::Calm));
    }

    pub(super) fn slow_disk(&mut self, broker: i32, us: u64) {
        self.note(Address::Nemesis, "slows the disk of {} for {} us", &[i64::from(broker), us as i64]);
        self.set_slow_disk(broker, true);
        self.schedule(us, Event::Relief(Relief::FastDisk(broker)));
    }

    pub(super) fn relieve(&mut self, relief: Relief) {
        match relief {
            Relief::Heal => self.network.heal(),
            Relief::Calm => self.network.weather = Weather::CALM,
            Relief::FastDisk(broker) => self.set_slow_disk(broker, false),
        }
    }

    pub(super) fn relieve_everything(&mut self) {
        self.note(Address::Nemesis, "gives up", &[]);
        self.network.heal();
        self.network.weather = Weather::CALM;
        self.resume_all();
    }

    pub(super) fn check_end(&mut self) {
        let mut broken = Vec::new();
        acks_survive::check(&self.oracle, &mut broken);
        let clients = &self.clients;
        let is_idempotent = |producer: u32| matches!(clients.get(&producer), Some(Client::Producer(producer)) if producer.config().idempotent);
        order::check(&self.oracle, is_idempotent, &mut broken);
        no_duplicates::check(&self.oracle, is_idempotent, &mut broken);
        for (id, slot) in &self.slots {
            match slot.process() {
                Some(process) => recovers::check_metadata(&process.image, &mut broken),
                None => broken.push(format!("broker {id} does not run after the faults")),
            }
        }
        let committed = self.oracle.committed.iter().map(|(id, records)| (*id, records.len())).collect();
        for (id, client) in clients {
            match client {
                Client::Producer(producer) if producer.is_busy() => {
                    broken.push(format!("producer {id} still waits for an acknowledgement after the faults"));
                }
                Client::Consumer(consumer) => {
                    recovers::check_consumed(consumer.positions(), &committed, &mut broken);
                }
                Client::Producer(_) => {}
            }
        }
        if self.oracle.acknowledged == 0 {
            broken.push("nothing was ever acknowledged".to_owned());
        }
        self.broken.extend(broken);
    }
}
