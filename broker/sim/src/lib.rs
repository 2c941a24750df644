//! A whole cluster in one thread, from one seed.
//!
//! The brokers' real machines (quorum, controller, leaders, followers, fetch sessions, the restart permit) run on the
//! real log over a simulated disk, with a simulated network and clock, simulated clients, and an enemy who kills,
//! cuts and slows. The same seed gives the same run, event by event. [`invariants`] says what must hold; the
//! [`oracle`] keeps what clients were promised. First things go wrong, then nothing does any more and everything must
//! be well again.

pub mod client;
pub mod group_message;
pub mod invariants;
pub mod message;
pub mod nemesis;
pub mod network;
pub mod node;
pub mod observation;
pub mod oracle;
pub mod queue;
pub mod random;
pub mod records;
pub mod scenario;
pub mod trace;
pub mod world;

pub use ottla_core::planted::Bug;

/// The mistakes that can be made on purpose, with the corner to look into (see [`scenario::Scenario::of_seed`]) and the
/// number of its seeds within which each is found.
pub const PLANTED: [(Bug, u64, u64); 21] = [
    (Bug::AckBeforeReplication, 3, 3),
    (Bug::CountOnlyTheFastest, 3, 20),
    (Bug::SkipTruncation, 3, 3),
    (Bug::ShrinkBeforeTheAnswer, 3, 10),
    (Bug::AnswerBeforeFlush, 2, 40),
    (Bug::FetchBeforeFlush, 2, 3),
    (Bug::PermitTwice, 4, 3),
    (Bug::ForgetMinInsync, 4, 3),
    (Bug::ActOnOldMetadata, 3, 3),
    (Bug::VoteBeforeFlush, 2, 3),
    (Bug::ForgetMetadataSync, 2, 3),
    (Bug::ServeUncommitted, 3, 3),
    (Bug::ElectOutsideIsr, 3, 30),
    (Bug::ForgetLeaderEpoch, 5, 10),
    (Bug::ForgetGeneration, 6, 5),
    (Bug::JoinIsrTooEarly, 0, 10),
    (Bug::AnswerBeforeMetadataIsCommitted, 9, 80),
    (Bug::ForgetRefusedBatches, 5, 30),
    (Bug::AnswerGroupsBeforeReplication, 6, 20),
    (Bug::TrustAfterPowerLoss, 2, 30),
    (Bug::ExpandAfterTheAnswer, 5, 120),
];

/// A mistake made on purpose that came out.
#[derive(Debug, Clone)]
pub struct Found {
    /// How many seeds it took.
    pub count: u64,
    /// The last of them.
    pub seed: u64,
    /// What was broken.
    pub what: String,
}

/// The first of `seeds` seeds of a corner that finds a mistake made on purpose; `None` if they are not enough. A machine
/// that panics has found it, too.
#[must_use]
pub fn seeds_to_find(bug: Bug, corner: u64, seeds: u64) -> Option<Found> {
    ottla_core::planted::choose(Some(bug));
    let found = (1..=seeds).find_map(|count| {
        let scenario = scenario::Scenario::of_seed(corner + scenario::CORNERS * (count - 1));
        let seed = scenario.seed;
        let broken = std::panic::catch_unwind(|| run(scenario, world::View::default()).broken);
        let what = broken.map_or(Some("a machine panics".to_owned()), |broken| broken.into_iter().next())?;
        Some(Found { count, seed, what })
    });
    ottla_core::planted::choose(None);
    found
}

/// Runs a scenario.
#[must_use]
pub fn run(scenario: scenario::Scenario, view: world::View) -> world::Report {
    world::World::new(scenario, view).run()
}
