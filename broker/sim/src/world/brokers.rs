//! The brokers' processes: started, stepped, killed.

use super::{Event, World};
use crate::invariants::in_sync_have_it;
use crate::message::Body;
use crate::node::{Context, DiskSpeed, Durable, Outbox, Process, Timer, address};
use crate::random::Random;
use crate::trace::Address;
use ottla_core::planted::{self, Bug};
use ottla_storage::Disk;
use ottla_storage::sim_disk::SimDisk;
use ottla_types::{BrokerEpoch, BrokerId, DirectoryId, TopicIdPartition, Uuid};
use std::collections::BTreeSet;

const FAST_DISK: DiskSpeed = DiskSpeed { sync_us: (200, 2_000) };
/// Plenty of room on a disk, and too little to start.
const ROOMY_BYTES: u64 = 1 << 40;
const LITTLE_BYTES: u64 = 8 << 10;
const SLOW_DISK: DiskSpeed = DiskSpeed { sync_us: (20_000, 600_000) };

/// A place for a broker.
#[derive(Debug)]
pub(super) struct Slot {
    /// `None` while a process has it.
    durable: Option<Durable>,
    process: Option<Box<Process>>,
    run: u64,
    paused_until_us: u64,
    disk_speed: DiskSpeed,
    /// What its clock is ahead, microseconds.
    skew_us: u64,
    /// How much faster its clock runs, parts per million.
    drift_ppm: u64,
    /// Start again so long after it stopped by itself.
    restart_us: Option<u64>,
    clock_step_ms: i64,
    /// Its syncs fail.
    disk_is_broken: bool,
    /// It was taken out of the cluster.
    is_retired: bool,
}

impl Slot {
    pub fn new(random: &mut Random, founds: bool) -> Self {
        Self {
            durable: Some(empty_disk(random, founds)),
            process: None,
            run: 0,
            paused_until_us: 0,
            disk_speed: FAST_DISK,
            skew_us: random.below(5_000_000),
            drift_ppm: random.below(500),
            restart_us: None,
            clock_step_ms: 0,
            disk_is_broken: false,
            is_retired: false,
        }
    }

    fn clock_ms(&self, now_us: u64) -> u64 {
        (now_us + self.skew_us + now_us / 1_000 * self.drift_ppm / 1_000) / 1_000
    }

    pub fn process(&self) -> Option<&Process> {
        self.process.as_deref()
    }

    pub fn process_mut(&mut self) -> Option<&mut Process> {
        self.process.as_deref_mut()
    }

    pub fn is_retired(&self) -> bool {
        self.is_retired
    }

    /// It runs, now.
    pub fn is_up(&self, now_us: u64) -> bool {
        self.process.is_some() && self.paused_until_us <= now_us && !self.disk_is_broken
    }

    pub fn step_clock(&mut self, ms: i64) {
        self.clock_step_ms += ms;
    }

    fn disk(&self) -> Option<SimDisk> {
        let durable = self.durable.as_ref().or_else(|| self.process().map(Process::durable))?;
        Some(durable.disk.clone())
    }
}

fn empty_disk(random: &mut Random, founds: bool) -> Durable {
    let directory = DirectoryId(Uuid::from_u64_pair(random.next_u64(), random.next_u64()));
    Durable {
        disk: SimDisk::new(random.next_u64()),
        directory,
        clean_epoch: BrokerEpoch::NONE,
        page_cache_survived: false,
        founds,
    }
}

impl World {
    pub(super) fn start(&mut self, broker: i32) {
        let Some(slot) = self.slots.get_mut(&broker) else { return };
        if slot.disk_is_broken {
            return self.schedule(300_000, Event::Start { broker });
        }
        if slot.is_retired {
            return;
        }
        let Some(durable) = slot.durable.take() else { return };
        let clock_step_ms = slot.clock_step_ms;
        slot.run += 1;
        slot.restart_us = None;
        let (run, now_ms, disk_speed) = (slot.run, slot.clock_ms(self.now_us), slot.disk_speed);
        self.note(Address::Broker(broker), "starts, run {}", &[run as i64]);
        let mut out = Outbox::default();
        let mut random = self.random.fork();
        let mut cx = Context {
            now_us: self.now_us,
            now_ms,
            clock_step_ms,
            random: &mut random,
            disk_speed,
            out: &mut out,
            who: Address::Broker(broker),
        };
        let brokers = self.broker_ids.clone();
        match Process::start(&mut cx, BrokerId(broker), durable, (run, brokers)) {
            Ok(process) => {
                if let Some(slot) = self.slots.get_mut(&broker) {
                    slot.process = Some(Box::new(process));
                }
                self.take_outbox(broker, out);
            }
            Err((durable, error)) => self.not_started(broker, durable, &error),
        }
    }

    /// Without room on its disk a broker may not even start; it is tried again.
    fn not_started(&mut self, broker: i32, durable: Durable, error: &str) {
        let is_full = durable.disk.space_bytes("/".as_ref()).is_ok_and(|(free, _)| free < LITTLE_BYTES);
        if let Some(slot) = self.slots.get_mut(&broker) {
            slot.durable = Some(durable);
        }
        if is_full {
            self.note(Address::Broker(broker), "does not start for want of room", &[]);
            return self.schedule(500_000, Event::Start { broker });
        }
        self.broken.push(format!("broker {broker} does not start: {error}"));
    }

    /// Lets a broker do a step.
    fn step(&mut self, broker: i32, step: impl FnOnce(&mut Process, &mut Context<'_>)) {
        let mut random = self.random.fork();
        let Some(slot) = self.slots.get_mut(&broker) else { return };
        let (now_ms, disk_speed) = (slot.clock_ms(self.now_us), slot.disk_speed);
        let clock_step_ms = slot.clock_step_ms;
        let Some(process) = slot.process.as_mut() else { return };
        let mut out = Outbox::default();
        let mut cx = Context {
            now_us: self.now_us,
            now_ms,
            clock_step_ms,
            random: &mut random,
            disk_speed,
            out: &mut out,
            who: Address::Broker(broker),
        };
        step(process, &mut cx);
        self.take_outbox(broker, out);
    }

    fn take_outbox(&mut self, broker: i32, out: Outbox) {
        let run = self.slots.get(&broker).map_or(0, |slot| slot.run);
        for line in out.lines {
            self.trace.add(line);
        }
        let mut changed = BTreeSet::new();
        for observation in out.observations {
            changed.extend(observation.partition());
            self.checkers.check(&mut self.oracle, &observation, &mut self.broken);
        }
        self.check_in_sync(&changed);
        for (to, body) in out.messages {
            self.send(Address::Broker(broker), to, body);
        }
        for (delay, timer) in out.timers {
            self.schedule(delay, Event::Node { broker, run, timer });
        }
        if out.stopped {
            self.end_process(broker);
            let restart = self.slots.get(&broker).and_then(|slot| slot.restart_us).unwrap_or(1_000_000);
            self.schedule(restart, Event::Start { broker });
        }
    }

    /// Looks at the logs of replicas in sync where something was committed or the ISR changed.
    fn check_in_sync(&mut self, changed: &BTreeSet<TopicIdPartition>) {
        let mut found = Vec::new();
        if let Some(image) = self.newest_image().filter(|_| !changed.is_empty()) {
            let process = |broker: BrokerId| self.slots.get(&broker.0).and_then(Slot::process);
            for id in changed {
                let topic = image.topics().get(&id.topic_id);
                let index = usize::try_from(id.partition).unwrap_or(usize::MAX);
                if let Some(partition) = topic.and_then(|topic| topic.partitions.get(index)) {
                    in_sync_have_it::check(*id, partition, process, &mut found);
                }
            }
        }
        self.broken.extend(found);
    }

    pub(super) fn node_timer(&mut self, broker: i32, run: u64, timer: Timer) {
        let Some(slot) = self.slots.get(&broker) else { return };
        if slot.run != run || slot.process.is_none() {
            return;
        }
        if slot.paused_until_us > self.now_us {
            let wait = slot.paused_until_us - self.now_us;
            return self.schedule(wait, Event::Node { broker, run, timer });
        }
        self.step(broker, |process, cx| process.handle_timer(cx, timer));
    }

    pub(super) fn deliver_to_broker(&mut self, from: Address, broker: i32, body: Body) {
        let to = Address::Broker(broker);
        let Some(slot) = self.slots.get(&broker) else { return };
        if slot.process.is_none() {
            if matches!(body, Body::Request(..)) {
                self.send(to, from, Body::ConnectionLost);
            }
            return;
        }
        if slot.paused_until_us > self.now_us {
            let wait = slot.paused_until_us - self.now_us;
            return self.schedule(wait, Event::Deliver { from, to, body });
        }
        self.step(broker, |process, cx| process.handle_message(cx, from, body));
    }

    /// The process is gone; its connections break.
    fn end_process(&mut self, broker: i32) -> bool {
        let Some(slot) = self.slots.get_mut(&broker) else { return false };
        let Some(process) = slot.process.take() else { return false };
        let looked_at_logs = process.has_looked_at_logs();
        let mut durable = process.into_durable();
        if slot.disk_is_broken {
            // After a sync that failed nobody knows what is still in memory.
            durable.disk.crash_machine();
            durable.page_cache_survived = false;
            durable.clean_epoch = BrokerEpoch::NONE;
        } else {
            durable.disk.crash_process();
            // As the server notes it: once everything was looked at in this run of the machine.
            durable.page_cache_survived = looked_at_logs;
        }
        slot.durable = Some(durable);
        slot.paused_until_us = 0;
        let dead = Address::Broker(broker);
        let brokers = self.broker_ids.iter().copied().map(address);
        let peers: Vec<Address> = brokers
            .chain(self.clients.keys().copied().map(Address::Client))
            .filter(|peer| *peer != dead)
            .collect();
        for peer in peers {
            self.send(dead, peer, Body::ConnectionLost);
        }
        true
    }

    pub(super) fn kill(&mut self, broker: i32, down_us: u64) {
        if self.end_process(broker) {
            self.note(Address::Broker(broker), "is killed, back after {} us", &[down_us as i64]);
            self.schedule(down_us, Event::Start { broker });
        }
    }

    pub(super) fn lose_power(&mut self, broker: i32, down_us: u64) {
        let Some(slot) = self.slots.get_mut(&broker) else { return };
        // Nobody tells the peers.
        let Some(process) = slot.process.take() else { return };
        let mut durable = process.into_durable();
        durable.disk.crash_machine();
        durable.page_cache_survived = planted::is(Bug::TrustAfterPowerLoss);
        durable.clean_epoch = BrokerEpoch::NONE;
        slot.durable = Some(durable);
        slot.paused_until_us = 0;
        self.note(Address::Broker(broker), "loses power, back after {} us", &[down_us as i64]);
        self.schedule(down_us, Event::Start { broker });
    }

    pub(super) fn pause(&mut self, broker: i32, us: u64) {
        let until = self.now_us + us;
        if let Some(slot) = self.slots.get_mut(&broker).filter(|slot| slot.process.is_some()) {
            // Never sooner than thought: what came meanwhile comes then, and nothing may pass it.
            slot.paused_until_us = slot.paused_until_us.max(until);
            self.note(Address::Broker(broker), "stands still for {} us", &[us as i64]);
        }
    }

    pub(super) fn restart(&mut self, broker: i32, down_us: u64) {
        if let Some(slot) = self.slots.get_mut(&broker) {
            slot.restart_us = Some(down_us);
        }
        self.note(Address::Broker(broker), "is asked to stop", &[]);
        self.step(broker, |process, _| process.ask_to_stop());
    }

    pub(super) fn set_slow_disk(&mut self, broker: i32, slow: bool) {
        if let Some(slot) = self.slots.get_mut(&broker) {
            slot.disk_speed = if slow { SLOW_DISK } else { FAST_DISK };
        }
    }

    pub(super) fn set_broken_disk(&mut self, broker: i32, is_broken: bool) {
        let Some(slot) = self.slots.get_mut(&broker) else { return };
        slot.disk_is_broken = is_broken;
        if let Some(disk) = slot.disk() {
            disk.fail_syncs(is_broken);
        }
    }

    /// So much room is left on a broker's disk, or plenty.
    pub(super) fn set_room(&mut self, broker: i32, left_bytes: Option<u64>) {
        if let Some(disk) = self.slots.get(&broker).and_then(Slot::disk) {
            disk.set_capacity(left_bytes.map_or(ROOMY_BYTES, |left| disk.used_bytes() + left));
        }
    }

    /// The process ends, and the next one finds an empty disk.
    pub(super) fn wipe(&mut self, broker: i32, down_us: u64) {
        self.note(Address::Broker(broker), "loses its disk, back after {} us", &[down_us as i64]);
        self.end_process(broker);
        let new = empty_disk(&mut self.random, false);
        let Some(slot) = self.slots.get_mut(&broker) else { return };
        slot.durable = Some(new);
        self.schedule(down_us, Event::Start { broker });
    }

    /// The process ends for good.
    pub(super) fn retire(&mut self, broker: BrokerId) {
        let holds = self.newest_image().is_none_or(|image| image.partitions_of(broker).next().is_some());
        if holds || !self.broker_ids.contains(&broker) {
            return;
        }
        self.note(address(broker), "is retired", &[]);
        self.end_process(broker.0);
        self.broker_ids.retain(|known| *known != broker);
        if let Some(slot) = self.slots.get_mut(&broker.0) {
            slot.is_retired = true;
        }
    }

    /// All disks are fast and whole again, and have room.
    pub(super) fn mend_disks(&mut self) {
        for slot in self.slots.values_mut() {
            slot.disk_speed = FAST_DISK;
            slot.disk_is_broken = false;
            if let Some(disk) = slot.disk() {
                disk.fail_syncs(false);
                disk.set_capacity(ROOMY_BYTES);
            }
        }
    }
}
