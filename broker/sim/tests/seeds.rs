//! Seeds that must hold: a fixed list, and on demand as many others as fit into a few seconds. Longer runs:
//! `cargo run --release -p ottla-sim -- --seconds 600`.

use ottla_sim::run;
use ottla_sim::scenario::Scenario;
use ottla_sim::world::{Report, View};
use std::time::{Duration, Instant, SystemTime};

/// Each has broken something once, or looks into a corner that the others leave out.
const SEEDS: [u64; 11] = [2, 3, 4, 5, 6, 7, 8, 9, 21, 29, 1_795_648_772];
/// For seeds that nobody has chosen.
const RANDOM: Duration = Duration::from_secs(8);

fn hold(seed: u64) -> Report {
    let report = run(Scenario::of_seed(seed), View::default());
    assert!(report.broken.is_empty(), "cargo run -p ottla-sim -- --seed {seed}\n{:?}", report.broken);
    report
}

#[test]
fn nothing_breaks_in_these_seeds() {
    let reports = SEEDS.map(hold);
    assert!(reports.iter().all(|report| report.acknowledged > 0 && report.consumed > 0));
    assert!(reports.iter().any(|report| report.commits > 0));
}

#[test]
#[ignore = "what it finds depends on the moment: `tests/run seeds`, or longer with the command above"]
fn nothing_breaks_in_seeds_of_the_moment() {
    let began = Instant::now();
    let first = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    for seed in first..first + 1_000 {
        if began.elapsed() > RANDOM {
            return;
        }
        hold(seed);
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let trace = |seed| {
        let scenario = Scenario { safety_us: 12_000_000, ..Scenario::of_seed(seed) };
        let report = run(scenario, View { keep_all: true, ..View::default() });
        let text: String = report.last_lines.iter().map(|line| format!("{line}\n")).collect();
        (text, report.trace_hash)
    };
    for seed in [3, 6] {
        let (first, second) = (trace(seed), trace(seed));
        assert!(first.0.len() > 10_000, "a trace of {} bytes", first.0.len());
        assert!(first == second, "seed {seed} gives two traces");
    }
    assert_ne!(trace(3).1, trace(4).1);
}

#[test]
fn without_faults_everything_is_acknowledged_read_and_kept() {
    for seed in [6, 8] {
        let report = run(Scenario::of_seed(seed).without_faults(), View::default());
        assert!(report.broken.is_empty(), "seed {seed}: {:?}", report.broken);
        assert!(report.acknowledged > 1_000 && report.faults.is_empty());
        assert_eq!(report.lost_hopes, 0, "seed {seed}: what a leader alone acknowledged is there, too");
    }
}
