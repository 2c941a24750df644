//! A few seeds that must hold, and mistakes that must be found. Longer runs: `cargo run -p ottla-sim -- --seconds 600`,
//! `cargo run -p ottla-sim -- --bugs 200`.

use ottla_sim::scenario::Scenario;
use ottla_sim::world::View;
use ottla_sim::{Bug, run, seeds_to_find};

#[test]
fn nothing_breaks_in_a_few_seeds() {
    for seed in [1, 2, 3, 4, 5, 15] {
        let report = run(Scenario::of_seed(seed), View::default());
        assert!(
            report.broken.is_empty(),
            "cargo run -p ottla-sim -- --seed {seed} --trace\n{:?}",
            report.broken
        );
        assert!(report.acknowledged > 0 && report.consumed > 0 && report.faults > 0);
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let hash = |seed| {
        let scenario = Scenario { safety_us: 12_000_000, ..Scenario::of_seed(seed) };
        run(scenario, View::default()).trace_hash
    };
    assert_eq!(hash(3), hash(3));
    assert_ne!(hash(3), hash(4));
}

#[test]
fn without_faults_everything_is_acknowledged_and_read() {
    let report = run(Scenario::of_seed(8).without_faults(), View::default());
    assert!(report.broken.is_empty(), "{:?}", report.broken);
    assert!(report.acknowledged > 1_000);
    assert_eq!(report.faults, 0);
}

#[test]
fn mistakes_are_found() {
    for bug in [Bug::AckBeforeReplication, Bug::FetchBeforeFlush, Bug::ActOnOldMetadata, Bug::VoteBeforeFlush]
    {
        assert!(seeds_to_find(bug, 10).is_some(), "{bug:?} is not found by ten seeds");
    }
}
