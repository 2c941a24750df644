//! The network between brokers and clients: delay, reordering, loss, duplication, cuts in one or both directions.
//!
//! Requests and answers travel over connections, which keep their order and repeat nothing; a loss is a connection
//! that broke, of which the sender hears late or never. Consensus messages may be lost, repeated, reordered.

use crate::random::Random;
use crate::trace::Address;
use std::collections::{BTreeMap, BTreeSet};

/// How the network behaves when nobody cuts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weather {
    /// Delay of most messages, from and to (exclusive), microseconds.
    pub delay_us: (u64, u64),
    /// So many of a million messages take up to `slow_us`.
    pub slow_ppm: u64,
    /// The longest delay.
    pub slow_us: u64,
    /// So many of a million messages are lost.
    pub loss_ppm: u64,
    /// So many of a million consensus messages arrive twice.
    pub repeat_ppm: u64,
}

impl Weather {
    /// A network as it should be.
    pub const CALM: Self =
        Self { delay_us: (100, 400), slow_ppm: 0, slow_us: 1_000, loss_ppm: 0, repeat_ppm: 0 };
    /// One that tests patience.
    pub const ROUGH: Self = Self {
        delay_us: (100, 3_000),
        slow_ppm: 20_000,
        slow_us: 400_000,
        loss_ppm: 5_000,
        repeat_ppm: 5_000,
    };
}

/// The network.
#[derive(Debug)]
pub struct Network {
    /// Its behaviour now.
    pub weather: Weather,
    cuts: BTreeSet<(Address, Address)>,
    /// When the last message of each connection arrives.
    last_arrival_us: BTreeMap<(Address, Address), u64>,
    random: Random,
}

impl Network {
    /// A calm one.
    #[must_use]
    pub fn new(random: Random) -> Self {
        Self { weather: Weather::CALM, cuts: BTreeSet::new(), last_arrival_us: BTreeMap::new(), random }
    }

    /// The delay after which what is sent over the connection from `from` to `to` arrives, if it does.
    pub fn send_in_order(&mut self, now_us: u64, from: Address, to: Address) -> Option<u64> {
        let delay = self.send(from, to, false).first().copied()?;
        let last = self.last_arrival_us.entry((from, to)).or_insert(0);
        *last = (now_us + delay).max(*last);
        Some(*last - now_us)
    }

    /// The delays after which copies of a message from `from` arrive at `to`: none, one or two.
    pub fn send(&mut self, from: Address, to: Address, may_repeat: bool) -> Vec<u64> {
        let lost = self.random.chance_ppm(self.weather.loss_ppm);
        let repeated = self.random.chance_ppm(self.weather.repeat_ppm) && may_repeat;
        if lost || self.is_cut(from, to) {
            return Vec::new();
        }
        let copies = if repeated { 2 } else { 1 };
        (0..copies).map(|_| self.delay()).collect()
    }

    /// A delay.
    pub fn delay(&mut self) -> u64 {
        let (from, to) = self.weather.delay_us;
        if self.random.chance_ppm(self.weather.slow_ppm) {
            return self.random.within(to..self.weather.slow_us.max(to + 1));
        }
        self.random.within(from..to)
    }

    /// Nothing goes from `from` to `to` any more.
    pub fn cut(&mut self, from: Address, to: Address) {
        self.cuts.insert((from, to));
    }

    /// All cuts are healed.
    pub fn heal(&mut self) {
        self.cuts.clear();
    }

    /// Is this direction cut?
    #[must_use]
    pub fn is_cut(&self, from: Address, to: Address) -> bool {
        self.cuts.contains(&(from, to))
    }

    /// Is anything cut?
    #[must_use]
    pub fn has_cuts(&self) -> bool {
        !self.cuts.is_empty()
    }
}
