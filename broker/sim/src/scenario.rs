//! What a seed means: how large the cluster is, what runs on it, what may go wrong.

use crate::client::{Duties, ProducerConfig};
use crate::nemesis::Fault;
use crate::random::Random;

/// Which faults may happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults {
    /// Of these kinds; one that is named twice happens twice as often.
    pub kinds: Vec<Fault>,
    /// From one fault to the next, microseconds.
    pub pause_us: (u64, u64),
}

impl Faults {
    /// None at all.
    pub const NONE: Self = Self { kinds: Vec::new(), pause_us: (1_000_000, 2_000_000) };
}

/// A run.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The seed of everything else in the run.
    pub seed: u64,
    /// How many brokers.
    pub brokers: i32,
    /// They start within this time, microseconds.
    pub start_us: u64,
    /// How many partitions the lasting topic has at first.
    pub partitions: i32,
    /// How many replicas each has.
    pub replication_factor: i16,
    /// `min.insync.replicas`.
    pub min_insync_replicas: usize,
    /// `flush.messages=1`.
    pub flush: bool,
    /// Who writes.
    pub producers: Vec<ProducerConfig>,
    /// How many read everything.
    pub consumers: u32,
    /// How many members the classic group and the KIP-848 group have.
    pub members: (u32, u32),
    /// What the administrator does.
    pub duties: Duties,
    /// What goes wrong.
    pub faults: Faults,
    /// How long things go wrong, simulated microseconds.
    pub safety_us: u64,
    /// How long things may take to be well again.
    pub liveness_us: u64,
}

/// The corners that seeds look into, in turn.
pub const CORNERS: u64 = 10;

impl Scenario {
    /// The scenario of a seed.
    #[must_use]
    pub fn of_seed(seed: u64) -> Self {
        let mut random = Random::new(seed ^ 0x5ce7_a210);
        let corner = seed % CORNERS;
        let flush = flush_of(corner, &mut random);
        let brokers = if corner == 7 || random.chance_ppm(250_000) { 5 } else { 3 };
        // Some are impatient: what is refused for a moment comes again within it.
        let backoff_us = if corner == 5 { 1_000 } else { 50_000 };
        let producer = |acks, idempotent, pause_us| ProducerConfig {
            acks,
            idempotent,
            pause_us,
            backoff_us,
            in_order: false,
        };
        let mut producers = vec![producer(-1, true, (2_000, 60_000)), producer(-1, true, (10_000, 200_000))];
        for acks in [-1, 1, 0] {
            if random.chance_ppm(400_000) {
                producers.push(producer(acks, false, (10_000, 300_000)));
            }
        }
        let has_groups = corner == 6 || random.chance_ppm(300_000);
        let scenario = Self {
            seed,
            brokers,
            start_us: if corner == 7 && random.chance_ppm(500_000) { 8_000_000 } else { 50_000 },
            partitions: 1 + i32::try_from(random.below(4)).unwrap_or(0),
            replication_factor: 3,
            min_insync_replicas: 2,
            flush,
            producers,
            consumers: 1,
            members: if has_groups { (2, 2) } else { (0, 0) },
            duties: duties_of(corner, &mut random),
            faults: faults_of(corner, flush, &mut random),
            safety_us: 30_000_000,
            liveness_us: 40_000_000,
        };
        scenario.with_order()
    }

    fn with_order(mut self) -> Self {
        let in_order = !self.faults.kinds.contains(&Fault::RoughNetwork);
        self.producers.iter_mut().for_each(|producer| producer.in_order = in_order);
        self
    }

    /// The same without faults.
    #[must_use]
    pub fn without_faults(self) -> Self {
        Self { faults: Faults::NONE, ..self }
    }
}

fn flush_of(corner: u64, random: &mut Random) -> bool {
    match corner {
        0 | 1 => random.chance_ppm(400_000),
        2 => true,
        8 => random.chance_ppm(500_000),
        _ => false,
    }
}

fn duties_of(corner: u64, random: &mut Random) -> Duties {
    let mut some = |ppm| random.chance_ppm(ppm);
    match corner {
        0 | 1 => Duties {
            topics: some(400_000),
            moves: some(400_000),
            drains: some(200_000),
            retires_to: None,
            misbehaves: some(200_000),
        },
        4 => Duties { misbehaves: true, ..Duties::default() },
        5 => Duties { moves: true, ..Duties::default() },
        7 => Duties {
            topics: some(500_000),
            moves: some(500_000),
            drains: true,
            retires_to: some(600_000).then_some(3),
            misbehaves: false,
        },
        9 => Duties { topics: true, moves: true, ..Duties::default() },
        _ => Duties::default(),
    }
}

/// A part of the seeds draws from all faults, the others look into one corner each.
fn faults_of(corner: u64, flush: bool, random: &mut Random) -> Faults {
    use Fault::*;
    let often = (150_000, 1_500_000);
    let (kinds, pause_us): (Vec<Fault>, _) = match corner {
        0 | 1 => {
            let mut some =
                |ppm, kinds: &[Fault]| if random.chance_ppm(ppm) { kinds.to_vec() } else { Vec::new() };
            let mut kinds = some(800_000, &[Kill, KillLeader, KillController]);
            kinds.extend(some(700_000, if flush { &[PowerLoss, PowerLossOfAll] } else { &[PowerLoss] }));
            kinds.extend(some(500_000, &[Pause]));
            kinds.extend(some(700_000, &[Cut, Isolate]));
            kinds.extend(some(300_000, &[CutFromController, CutFromLeader]));
            kinds.extend(some(300_000, &[Deafen]));
            kinds.extend(some(300_000, &[RoughNetwork]));
            kinds.extend(some(300_000, &[SlowDisk]));
            kinds.extend(some(300_000, &[BreakDisk]));
            kinds.extend(some(300_000, &[Wipe]));
            kinds.extend(some(500_000, &[Restart]));
            kinds.extend(some(300_000, &[StepClock]));
            kinds.extend(some(300_000, &[FullDisk]));
            (kinds, (200_000, 3_000_000))
        }
        2 => (vec![PowerLoss, PowerLossOfAll, SlowDisk, BreakDisk], often),
        3 => (vec![Kill, Cut, Isolate, RoughNetwork, Pause], often),
        4 => (vec![Kill, Restart, Restart, RoughNetwork], often),
        5 => (vec![Kill, KillLeader, CutFromController, CutFromLeader, Deafen, FullDisk, FullDisk], often),
        6 => (vec![Kill, KillLeader, Pause, Isolate, RoughNetwork], (300_000, 3_000_000)),
        7 => (vec![Kill, Restart, Cut], (500_000, 4_000_000)),
        8 => {
            let mut kinds = vec![Wipe, WipeAndKill, WipeAndKill, PowerLoss, PowerLossAndCut, BreakDisk, Kill];
            kinds.extend([PowerLossAndKill, PowerLossAndKill, StepClock]);
            (kinds, (1_000_000, 5_000_000))
        }
        _ => (vec![Kill, Deafen, KillController, RoughNetwork], (300_000, 2_000_000)),
    };
    Faults { kinds, pause_us }
}
