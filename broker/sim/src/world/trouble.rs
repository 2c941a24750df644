//! Faults and their end.

use super::brokers::Slot;
use super::{Event, Relief, World};
use crate::nemesis::{self, Action, Fault};
use crate::network::Weather;
use crate::node::address;
use crate::trace::Address;
use ottla_core::metadata::{Image, PartitionImage};
use ottla_types::BrokerId;
use std::sync::Arc;

impl World {
    pub(super) fn make_trouble(&mut self) {
        if self.now_us >= self.scenario.safety_us {
            return;
        }
        let faults = self.scenario.faults.clone();
        if let Some(action) = nemesis::draw(&mut self.random, &faults, &self.broker_ids)
            && self.act(action).is_some()
        {
            *self.faults.entry(action.fault).or_insert(0) += 1;
        }
        let (from, to) = faults.pause_us;
        let next = self.random.within(from..to);
        self.schedule(next, Event::Nemesis);
    }

    /// Does it; `None` if it cannot or must not be done now.
    fn act(&mut self, action: Action) -> Option<()> {
        let Action { fault, broker, other, both, us } = action;
        let id = broker.0;
        match fault {
            Fault::Kill => self.kill(id, us),
            Fault::KillLeader => {
                let leader = self.some_partition()?.leader;
                self.kill(leader.0, us);
            }
            Fault::KillController => self.kill(self.controller()?.0, us),
            Fault::PowerLoss => {
                self.may_lose(broker)?;
                self.lose_power(id, us);
            }
            Fault::PowerLossAndCut => {
                self.may_lose(broker)?;
                let leader = self.some_partition()?.leader;
                self.cut(broker, leader, true, us + 3_000_000)?;
                self.lose_power(id, us);
            }
            Fault::PowerLossAndKill => {
                self.may_lose(broker)?;
                self.kill_another_leader(broker, us)?;
                self.lose_power(id, us);
            }
            Fault::WipeAndKill => {
                self.is_healthy().then_some(())?;
                self.kill_another_leader(broker, us)?;
                self.lost_disk = true;
                self.wipe(id, us);
            }
            Fault::PowerLossOfAll => {
                (!self.misses_a_disk()).then_some(())?;
                self.lose_all_power(us);
            }
            Fault::Pause => self.pause(id, us),
            Fault::Cut => self.cut(broker, other, both, us)?,
            Fault::CutFromController => {
                let (from, to) = (self.controller()?, self.some_partition()?.leader);
                self.cut(from, to, false, us)?;
            }
            Fault::CutFromLeader => {
                let partition = self.some_partition()?;
                let to = *self.random.pick(&partition.replicas)?;
                self.cut(partition.leader, to, false, us)?;
            }
            Fault::Isolate => self.isolate(id, us),
            Fault::Deafen => self.deafen(id, us),
            Fault::RoughNetwork => self.storm(us),
            Fault::SlowDisk => self.slow_disk(id, us),
            Fault::FullDisk => self.fill_disk(id, us),
            Fault::BreakDisk => {
                self.may_lose(broker)?;
                self.break_disk(id, us);
            }
            Fault::Wipe => {
                self.is_healthy().then_some(())?;
                self.lost_disk = true;
                self.wipe(id, us);
            }
            Fault::Restart => self.restart(id, us),
            Fault::StepClock => self.step_clock(id, us, both),
        }
        Some(())
    }

    /// May a broker lose what it has not synced? Only while all others have it too; or, where the disk counts, while no
    /// disk is lost.
    fn may_lose(&mut self, broker: BrokerId) -> Option<()> {
        let is_up = self.slots.get(&broker.0).is_some_and(|slot| slot.is_up(self.now_us));
        let may = is_up && (self.is_healthy() || (self.scenario.flush && !self.misses_a_disk()));
        may.then_some(())
    }

    /// A disk was lost, and its broker does not have everything again. If all others stop uncleanly meanwhile, nobody can
    /// say who has it all: the partition stays offline, though the records are there.
    fn misses_a_disk(&mut self) -> bool {
        self.lost_disk = self.lost_disk && !self.is_healthy();
        self.lost_disk
    }

    /// The newest metadata that a running broker has.
    pub(super) fn newest_image(&self) -> Option<&Image> {
        let images = self.slots.values().filter_map(|slot| slot.process()).map(|process| &process.image);
        images.max_by_key(|image| image.offset())
    }

    /// Every broker is up, every replica in sync, every voter as it should be: one broker can be lost altogether.
    fn is_healthy(&self) -> bool {
        let up = |broker: &BrokerId| self.slots.get(&broker.0).is_some_and(|slot| slot.is_up(self.now_us));
        let Some(image) = self.newest_image() else { return false };
        let membership = image.membership();
        // In this run: what one that is back has lost is not known before it has registered anew.
        let is_active = |slot: &Slot| slot.process().is_some_and(|process| process.is_active_in(image));
        let is_current = |node| {
            self.slots.values().any(|slot| slot.process().is_some_and(|process| process.node() == node))
        };
        let mut partitions = image.topics().values().flat_map(|topic| topic.partitions.iter());
        self.broker_ids.iter().all(up)
            && self.slots.values().filter(|slot| slot.process().is_some()).all(is_active)
            && !self.network.has_cuts()
            && self.deaf.is_empty()
            && membership.voters.len() >= 3
            && membership.voters.iter().all(|node| is_current(*node))
            && partitions.all(|partition| partition.isr.len() == partition.replicas.len())
    }

    fn controller(&self) -> Option<BrokerId> {
        let mut running = self.slots.values().filter_map(|slot| slot.process());
        running.find(|process| process.controller.is_some()).map(|process| process.id)
    }

    /// A partition that has a leader.
    fn some_partition(&mut self) -> Option<Arc<PartitionImage>> {
        let image = self.newest_image()?;
        let partitions = image.topics().values().flat_map(|topic| topic.partitions.iter());
        let led: Vec<_> = partitions.filter(|partition| !partition.leader.is_none()).cloned().collect();
        self.random.pick(&led).cloned()
    }

    fn lose_all_power(&mut self, us: u64) {
        for broker in self.broker_ids.clone() {
            let more = self.random.below(500_000);
            self.lose_power(broker.0, us + more);
        }
    }

    /// Kills the leader of a partition that is not `broker`, soon after that one is back.
    fn kill_another_leader(&mut self, broker: BrokerId, back_us: u64) -> Option<()> {
        let leader = self.some_partition()?.leader;
        (leader != broker).then_some(())?;
        let wait = self.random.within(10_000..4_000_000);
        self.schedule(back_us + wait, Event::Kill { broker: leader.0, us: 3_000_000 });
        Some(())
    }

    fn cut(&mut self, from: BrokerId, to: BrokerId, both: bool, us: u64) -> Option<()> {
        (from != to).then_some(())?;
        self.note(
            Address::Nemesis,
            "cuts the way from {} to {} (and back: {}) for {} us",
            &[i64::from(from.0), i64::from(to.0), i64::from(both), us as i64],
        );
        self.network.cut(address(from), address(to));
        if both {
            self.network.cut(address(to), address(from));
        }
        self.schedule(us, Event::Relief(Relief::Heal));
        Some(())
    }

    fn isolate(&mut self, broker: i32, us: u64) {
        self.note(Address::Nemesis, "isolates {} for {} us", &[i64::from(broker), us as i64]);
        for other in self.broker_ids.clone() {
            self.network.cut(Address::Broker(broker), address(other));
            self.network.cut(address(other), Address::Broker(broker));
        }
        self.schedule(us, Event::Relief(Relief::Heal));
    }

    fn deafen(&mut self, broker: i32, us: u64) {
        self.note(Address::Nemesis, "keeps metadata from {} for {} us", &[i64::from(broker), us as i64]);
        self.deaf.insert(broker);
        self.schedule(us, Event::Relief(Relief::Hear(broker)));
    }

    fn storm(&mut self, us: u64) {
        self.note(Address::Nemesis, "makes the network rough for {} us", &[us as i64]);
        self.network.weather = Weather::ROUGH;
        self.schedule(us, Event::Relief(Relief::Calm));
    }

    fn slow_disk(&mut self, broker: i32, us: u64) {
        self.note(Address::Nemesis, "slows the disk of {} for {} us", &[i64::from(broker), us as i64]);
        self.set_slow_disk(broker, true);
        self.schedule(us, Event::Relief(Relief::FastDisk(broker)));
    }

    fn fill_disk(&mut self, broker: i32, us: u64) {
        self.note(Address::Nemesis, "fills the disk of {} for {} us", &[i64::from(broker), us as i64]);
        let left_bytes = self.random.below(2_000);
        self.set_room(broker, Some(left_bytes));
        self.schedule(us, Event::Relief(Relief::EmptyDisk(broker)));
    }

    fn break_disk(&mut self, broker: i32, us: u64) {
        self.note(Address::Nemesis, "breaks the disk of {} for {} us", &[i64::from(broker), us as i64]);
        self.set_broken_disk(broker, true);
        self.schedule(us, Event::Relief(Relief::MendDisk(broker)));
    }

    fn step_clock(&mut self, broker: i32, us: u64, back: bool) {
        let ms = i64::try_from(us / 1_000).unwrap_or(0) * if back { -1 } else { 1 };
        self.note(Address::Nemesis, "sets the clock of {} by {} ms", &[i64::from(broker), ms]);
        if let Some(slot) = self.slots.get_mut(&broker) {
            slot.step_clock(ms);
        }
    }

    pub(super) fn relieve(&mut self, relief: Relief) {
        match relief {
            Relief::Heal => self.network.heal(),
            Relief::Calm => self.network.weather = Weather::CALM,
            Relief::Hear(broker) => drop(self.deaf.remove(&broker)),
            Relief::FastDisk(broker) => self.set_slow_disk(broker, false),
            Relief::EmptyDisk(broker) => self.set_room(broker, None),
            Relief::MendDisk(broker) => self.set_broken_disk(broker, false),
        }
    }

    pub(super) fn relieve_everything(&mut self) {
        self.note(Address::Nemesis, "gives up", &[]);
        self.faults_over = true;
        self.network.heal();
        self.network.weather = Weather::CALM;
        self.deaf.clear();
        self.mend_disks();
    }
}
