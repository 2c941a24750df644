//! What a seed means: how large the cluster is, what runs on it, what may go wrong.

use crate::client::ProducerConfig;
use crate::random::Random;

/// Which faults may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Faults {
    /// Processes are killed; the operating system lives on.
    pub kill: bool,
    /// The power goes: what was not synced is lost.
    pub power_loss: bool,
    /// Processes stand still for a while.
    pub pause: bool,
    /// The network is cut, one way or both.
    pub cut: bool,
    /// The network is slow, loses and repeats.
    pub rough_network: bool,
    /// Syncs take long.
    pub slow_disk: bool,
    /// Brokers are stopped and started in an orderly way.
    pub restart: bool,
    /// From one fault to the next, microseconds.
    pub pause_us: (u64, u64),
}

impl Faults {
    /// None at all.
    pub const NONE: Self = Self {
        kill: false,
        power_loss: false,
        pause: false,
        cut: false,
        rough_network: false,
        slow_disk: false,
        restart: false,
        pause_us: (1_000_000, 2_000_000),
    };
}

/// A run.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The seed of everything else in the run.
    pub seed: u64,
    /// How many brokers.
    pub brokers: i32,
    /// How many partitions the topic has.
    pub partitions: i32,
    /// How many replicas each has.
    pub replication_factor: i16,
    /// `min.insync.replicas`.
    pub min_insync_replicas: usize,
    /// `flush.messages=1`.
    pub flush: bool,
    /// Who writes.
    pub producers: Vec<ProducerConfig>,
    /// How many read.
    pub consumers: u32,
    /// What goes wrong.
    pub faults: Faults,
    /// How long things go wrong, simulated microseconds.
    pub safety_us: u64,
    /// How long things may take to be well again.
    pub liveness_us: u64,
}

impl Scenario {
    /// The scenario of a seed.
    #[must_use]
    pub fn of_seed(seed: u64) -> Self {
        let mut random = Random::new(seed ^ 0x5ce7_a210);
        let (flush, faults) = Self::faults_of(seed, &mut random);
        let brokers = if random.chance_ppm(250_000) { 5 } else { 3 };
        let mut producers = vec![
            ProducerConfig { acks: -1, idempotent: true, pause_us: (2_000, 60_000) },
            ProducerConfig { acks: -1, idempotent: true, pause_us: (10_000, 200_000) },
        ];
        for acks in [-1, 1, 0] {
            if random.chance_ppm(400_000) {
                producers.push(ProducerConfig { acks, idempotent: false, pause_us: (10_000, 300_000) });
            }
        }
        Self {
            seed,
            brokers,
            partitions: 1 + i32::try_from(random.below(4)).unwrap_or(0),
            replication_factor: 3,
            min_insync_replicas: 2,
            flush,
            producers,
            consumers: 1,
            faults,
            safety_us: 30_000_000,
            liveness_us: 40_000_000,
        }
    }

    /// A part of the seeds draws from all faults, the others look into one corner each: disks, network, restarts.
    fn faults_of(seed: u64, random: &mut Random) -> (bool, Faults) {
        let often = (150_000, 1_500_000);
        match seed % 5 {
            0 | 1 => {
                let flush = random.chance_ppm(400_000);
                let mut some = |ppm| random.chance_ppm(ppm);
                let faults = Faults {
                    kill: some(800_000),
                    power_loss: flush && some(700_000),
                    pause: some(500_000),
                    cut: some(700_000),
                    rough_network: some(300_000),
                    slow_disk: some(300_000),
                    restart: some(500_000),
                    pause_us: (200_000, 3_000_000),
                };
                (flush, faults)
            }
            2 => (true, Faults { power_loss: true, slow_disk: true, pause_us: often, ..Faults::NONE }),
            3 => {
                let faults =
                    Faults { kill: true, cut: true, rough_network: true, pause: true, ..Faults::NONE };
                (false, Faults { pause_us: often, ..faults })
            }
            _ => (
                false,
                Faults { kill: true, restart: true, rough_network: true, pause_us: often, ..Faults::NONE },
            ),
        }
    }

    /// The same without faults.
    #[must_use]
    pub fn without_faults(self) -> Self {
        Self { faults: Faults::NONE, ..self }
    }
}
