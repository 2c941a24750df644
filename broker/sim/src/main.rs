//! `ottla-sim`: runs seeds, prints what broke and how to see it again.

use ottla_sim::Bug;
use ottla_sim::scenario::Scenario;
use ottla_sim::world::{Report, View};
use std::process::ExitCode;
use std::time::Instant;

const USAGE: &str = "\
ottla-sim --seed N [--trace]        run one seed; --trace prints every line
ottla-sim --seeds N [--from N]      run N seeds, stop at the first that breaks something
          [--seconds N]             ... or after so many seconds
          [--calm]                  without faults
ottla-sim --bugs N                  for each mistake made on purpose, how many of N seeds it takes to find it";

#[derive(Debug, Default)]
struct Arguments {
    from: u64,
    count: u64,
    seconds: Option<u64>,
    trace: bool,
    calm: bool,
    bugs: Option<u64>,
}

fn parse() -> Result<Arguments, String> {
    let mut arguments = Arguments { count: 1, ..Arguments::default() };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = || {
            let value = words.next().ok_or(format!("{word} needs a number"))?;
            value.parse::<u64>().map_err(|error| format!("{word} {value}: {error}"))
        };
        match word.as_str() {
            "--seed" | "--from" => arguments.from = number()?,
            "--seeds" => arguments.count = number()?,
            "--seconds" => {
                arguments.seconds = Some(number()?);
                arguments.count = u64::MAX;
            }
            "--bugs" => arguments.bugs = Some(number()?),
            "--trace" => arguments.trace = true,
            "--calm" => arguments.calm = true,
            _ => return Err(format!("what is {word}?\n{USAGE}")),
        }
    }
    Ok(arguments)
}

fn print_broken(report: &Report) {
    for line in &report.last_lines {
        println!("{line}");
    }
    for broken in &report.broken {
        println!("BROKEN: {broken}");
    }
    println!(
        "seed {} broke something; see it again with: cargo run -p ottla-sim -- --seed {} --trace",
        report.seed, report.seed
    );
}

fn find_bugs(seeds: u64) -> ExitCode {
    let mut missed = 0;
    for bug in Bug::FOUND.into_iter().chain(Bug::ELUSIVE) {
        match ottla_sim::seeds_to_find(bug, seeds) {
            Some((seed, report)) => {
                let broken = report.broken.first().map_or("", String::as_str);
                println!(
                    "{bug:?}: found by seed {seed} after {} s: {broken}",
                    report.simulated_us / 1_000_000
                );
            }
            None => {
                println!("{bug:?}: NOT FOUND by {seeds} seeds");
                missed += usize::from(Bug::FOUND.contains(&bug));
            }
        }
    }
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn main() -> ExitCode {
    let arguments = match parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    if let Some(seeds) = arguments.bugs {
        return find_bugs(seeds);
    }
    let began = Instant::now();
    let (mut runs, mut simulated_us, mut events, mut faults) = (0, 0, 0, 0);
    for seed in arguments.from..arguments.from.saturating_add(arguments.count) {
        if arguments.seconds.is_some_and(|seconds| began.elapsed().as_secs() >= seconds) {
            break;
        }
        let mut scenario = Scenario::of_seed(seed);
        if arguments.calm {
            scenario = scenario.without_faults();
        }
        let report = ottla_sim::run(scenario, View { show: arguments.trace });
        runs += 1;
        simulated_us += report.simulated_us;
        events += report.events;
        faults += report.faults;
        if arguments.count == 1 {
            println!(
                "seed {seed}: {} events, {} records acknowledged, {} consumed, {} faults, trace {:016x}",
                report.events, report.acknowledged, report.consumed, report.faults, report.trace_hash
            );
        }
        if !report.broken.is_empty() {
            print_broken(&report);
            return ExitCode::FAILURE;
        }
    }
    let real = began.elapsed().as_secs_f64();
    println!(
        "{runs} runs, {faults} faults, {events} events: {} simulated seconds in {real:.1} s ({:.0} per second)",
        simulated_us / 1_000_000,
        simulated_us as f64 / 1e6 / real.max(1e-9)
    );
    ExitCode::SUCCESS
}
