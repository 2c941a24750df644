//! One simulated broker: the real machines and the real log, run by a small loop in place of the server.
//!
//! What is durable ([`Durable`]) outlives the [`Process`]; a crash drops the process with everything in its memory.
//! Nothing here waits: disk syncs, answers and deadlines are timers and messages.

mod client_requests;
mod control;
mod fetch;
mod flush;
mod follow;
mod groups;
mod process;
mod quorum;
mod recovery;
mod replicas;
mod settings;

pub use process::{Process, Purpose, Replica, Role};
pub use settings::TopicSettings;

use crate::message::Body;
use crate::observation::Observation;
use crate::random::Random;
use crate::trace::{Address, Line};
use ottla_storage::Disk;
use ottla_storage::sim_disk::SimDisk;
use ottla_types::{BrokerEpoch, BrokerId, DirectoryId, LeaderEpoch, TopicIdPartition};
use std::sync::Arc;

/// What a node wants to be woken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timer {
    /// The quorum's clock.
    QuorumTick,
    /// The metadata log has this on disk.
    Persisted(u64),
    /// Tell the controller that we live.
    Heartbeat,
    /// The controller's own clock.
    ControllerTick,
    /// Leaders and followers look at the time.
    ReplicaTick,
    /// A log's sync is through.
    Flushed(TopicIdPartition, u64),
    /// The log of a partition of groups is read, for the leadership of this epoch.
    LoadGroups(TopicIdPartition, LeaderEpoch),
    /// A parked fetch is answered with what there is.
    FetchDeadline(u64),
    /// A produce request has waited long enough.
    ProduceDeadline(TopicIdPartition, u64),
    /// A question has had no answer.
    AnswerDeadline(u64),
}

/// How fast this broker's disk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskSpeed {
    /// A sync takes so long, from and to (exclusive), microseconds.
    pub sync_us: (u64, u64),
}

/// What outlives a process.
#[derive(Debug)]
pub struct Durable {
    /// The files.
    pub disk: SimDisk,
    /// The data directory's identity.
    pub directory: DirectoryId,
    /// The registration of the last process, if all that it had acknowledged is still there.
    pub clean_epoch: BrokerEpoch,
    /// The operating system has not stopped since the logs were written.
    pub page_cache_survived: bool,
    /// With nothing on its disk it begins a new cluster: the first start of the first broker.
    pub founds: bool,
}

/// What one step of a node leads to.
#[derive(Debug, Default)]
pub struct Outbox {
    /// Messages to send.
    pub messages: Vec<(Address, Body)>,
    /// Timers, by delay in microseconds.
    pub timers: Vec<(u64, Timer)>,
    /// What checkers must know.
    pub observations: Vec<Observation>,
    /// Trace lines.
    pub lines: Vec<Line>,
    /// The process has stopped by itself.
    pub stopped: bool,
}

/// The surroundings of one step.
pub struct Context<'a> {
    /// Simulated microseconds.
    pub now_us: u64,
    /// This broker's own clock, milliseconds.
    pub now_ms: u64,
    /// What its wall clock was set forward, milliseconds.
    pub clock_step_ms: i64,
    /// Chance.
    pub random: &'a mut Random,
    /// Its disk now.
    pub disk_speed: DiskSpeed,
    /// Where to put what follows.
    pub out: &'a mut Outbox,
    /// Who this is.
    pub who: Address,
}

impl Context<'_> {
    /// Sends.
    pub fn send(&mut self, to: Address, body: Body) {
        self.out.messages.push((to, body));
    }

    /// Wakes this node later.
    pub fn after(&mut self, delay_us: u64, timer: Timer) {
        self.out.timers.push((delay_us, timer));
    }

    /// How long a sync takes now.
    pub fn sync_us(&mut self) -> u64 {
        let (from, to) = self.disk_speed.sync_us;
        self.random.within(from..to)
    }

    /// This broker's wall clock: some day in 2024, plus its milliseconds, plus what it was set forward.
    #[must_use]
    pub fn wall_ms(&self) -> i64 {
        wall_ms(self.now_ms) + self.clock_step_ms
    }

    /// The disk has failed: the process stops, as it cannot know any more what is on it.
    pub fn disk_failed(&mut self, partition: TopicIdPartition) {
        self.trace("p{}: the disk failed, the broker stops", &[i64::from(partition.partition)]);
        self.out.stopped = true;
    }

    /// Adds to the trace.
    pub fn trace(&mut self, what: &'static str, numbers: &[i64]) {
        let mut all = [0; 4];
        all[..numbers.len()].copy_from_slice(numbers);
        self.out.lines.push(Line { at_us: self.now_us, who: self.who, what, numbers: all });
    }

    /// Tells the checkers.
    pub fn observe(&mut self, observation: Observation) {
        self.out.observations.push(observation);
    }
}

/// The address of a broker.
#[must_use]
pub fn address(broker: BrokerId) -> Address {
    Address::Broker(broker.0)
}

/// The wall clock for timestamps and retention: some day in 2024, plus the broker's milliseconds.
#[must_use]
pub fn wall_ms(now_ms: u64) -> i64 {
    1_720_000_000_000 + i64::try_from(now_ms).unwrap_or(0)
}

impl Durable {
    /// The disk as storage sees it.
    #[must_use]
    pub fn data_disk(&self) -> Arc<dyn Disk> {
        Arc::new(self.disk.clone())
    }
}
