//! What happened, in order: a hash over everything, and the last lines in words.

use std::collections::VecDeque;
use std::fmt;

/// Who a line is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// A broker.
    Broker(i32),
    /// A client.
    Client(u32),
    /// The one who makes trouble.
    Nemesis,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Broker(id) => write!(f, "broker-{id}"),
            Address::Client(id) => write!(f, "client-{id}"),
            Address::Nemesis => f.write_str("nemesis"),
        }
    }
}

/// One line. Numbers only, so that a run costs little; the words are made when it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// Simulated microseconds.
    pub at_us: u64,
    /// About whom.
    pub who: Address,
    /// What, with `{}` for each number in turn.
    pub what: &'static str,
    /// The numbers.
    pub numbers: [i64; 4],
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>5}.{:06} {:<9} ",
            self.at_us / 1_000_000,
            self.at_us % 1_000_000,
            self.who.to_string()
        )?;
        let mut numbers = self.numbers.iter();
        let mut parts = self.what.split("{}");
        f.write_str(parts.next().unwrap_or_default())?;
        for part in parts {
            write!(f, "{}{part}", numbers.next().unwrap_or(&0))?;
        }
        Ok(())
    }
}

/// The trace of a run.
#[derive(Debug)]
pub struct Trace {
    hash: u64,
    lines: VecDeque<Line>,
    keep: usize,
    show: bool,
    count: u64,
}

impl Trace {
    /// Keeps the last `keep` lines; `show` prints each as it comes.
    #[must_use]
    pub fn new(keep: usize, show: bool) -> Self {
        Self { hash: 0xcbf2_9ce4_8422_2325, lines: VecDeque::new(), keep, show, count: 0 }
    }

    /// Adds a line.
    pub fn add(&mut self, line: Line) {
        self.count += 1;
        self.mix(line.at_us);
        self.mix(match line.who {
            Address::Broker(id) => u64::from(id.unsigned_abs()),
            Address::Client(id) => u64::from(id) << 32,
            Address::Nemesis => u64::MAX,
        });
        for byte in line.what.as_bytes() {
            self.mix(u64::from(*byte));
        }
        for number in line.numbers {
            self.mix(number as u64);
        }
        if self.show {
            println!("{line}");
        }
        if self.lines.len() == self.keep {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    fn mix(&mut self, value: u64) {
        self.hash = (self.hash ^ value).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
    }

    /// A hash over all lines so far: the same for the same seed.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// How many lines there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The last lines.
    pub fn last(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter()
    }
}
