//! Mistakes made on purpose are found, each within a stated number of seeds. All of them, with how many it took:
//! `cargo run --release -p ottla-sim -- --bugs`.

use ottla_sim::{Bug, PLANTED, seeds_to_find};

/// Those that are found quickly also without optimization; the others cost minutes there.
const QUICK: u64 = 3;

#[test]
fn mistakes_that_are_easy_to_find_are_found() {
    for (bug, corner, seeds) in PLANTED.into_iter().filter(|(_, _, seeds)| *seeds <= QUICK) {
        assert!(
            seeds_to_find(bug, corner, seeds).is_some(),
            "{bug:?} is not found by {seeds} seeds of corner {corner}"
        );
    }
}

#[test]
#[ignore = "takes minutes without optimization: cargo test --release -p ottla-sim -- --ignored"]
fn every_mistake_is_found() {
    for (bug, corner, seeds) in PLANTED {
        assert!(
            seeds_to_find(bug, corner, seeds).is_some(),
            "{bug:?} is not found by {seeds} seeds of corner {corner}"
        );
    }
}

#[test]
fn at_least_a_dozen_mistakes_are_planted() {
    let kinds: Vec<Bug> = PLANTED.iter().map(|(bug, ..)| *bug).collect();
    assert!(kinds.len() >= 12);
    assert!(kinds.iter().enumerate().all(|(at, bug)| !kinds[..at].contains(bug)));
}
