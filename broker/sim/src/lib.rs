//! A whole cluster in one thread, from one seed.
//!
//! The brokers' real machines (quorum, controller, leaders, followers, fetch sessions, the restart permit) run on the
//! real log over a simulated disk, with a simulated network and clock, simulated clients, and an enemy who kills,
//! cuts and slows. The same seed gives the same run, event by event. [`invariants`] says what must hold; the
//! [`oracle`] keeps what clients were promised. First things go wrong, then nothing does any more and everything must
//! be well again.

pub mod client;
pub mod invariants;
pub mod message;
pub mod nemesis;
pub mod network;
pub mod node;
pub mod observation;
pub mod oracle;
pub mod random;
pub mod records;
pub mod scenario;
pub mod trace;
pub mod world;

pub use ottla_core::planted::Bug;

/// How many seeds from 1 on it takes to find a mistake made on purpose; `None` if `seeds` are not enough.
#[must_use]
pub fn seeds_to_find(bug: Bug, seeds: u64) -> Option<(u64, world::Report)> {
    ottla_core::planted::choose(Some(bug));
    let runs = (1..=seeds).map(|seed| (seed, run(scenario::Scenario::of_seed(seed), world::View::default())));
    let found = runs.into_iter().find(|(_, report)| !report.broken.is_empty());
    ottla_core::planted::choose(None);
    found
}

/// Runs a scenario.
#[must_use]
pub fn run(scenario: scenario::Scenario, view: world::View) -> world::Report {
    world::World::new(scenario, view).run()
}
