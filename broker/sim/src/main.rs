//! `ottla-sim`: runs seeds, prints what broke and how to see it again.

use ottla_sim::PLANTED;
use ottla_sim::nemesis::Fault;
use ottla_sim::scenario::{CORNERS, Scenario};
use ottla_sim::world::{Report, View};
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Instant;

const USAGE: &str = "\
ottla-sim --seed N [--quiet]        run one seed and print what happens
ottla-sim --seeds N [--from N]      run N seeds, stop at the first that breaks something
          [--seconds N]             ... or after so many seconds
          [--calm]                  without faults
          [--brokers N]             only those with so many brokers
          [--corner N]              only those of this corner
ottla-sim --bug NAME [--tries N]    one mistake made on purpose: how many seeds it takes to find it
ottla-sim --bugs [--tries N]        for each mistake made on purpose: how many seeds it takes to find it, of the number
                                    within which it must be found; with N, of N";

#[derive(Debug, Default)]
struct Arguments {
    from: u64,
    count: u64,
    seconds: Option<u64>,
    shows: bool,
    calm: bool,
    brokers: Option<u64>,
    corner: Option<u64>,
    bug: Option<String>,
    bugs: bool,
    tries: Option<u64>,
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
            "--seed" => {
                arguments.from = number()?;
                arguments.shows = true;
            }
            "--from" => arguments.from = number()?,
            "--seeds" => arguments.count = number()?,
            "--seconds" => {
                arguments.seconds = Some(number()?);
                arguments.count = u64::MAX;
            }
            "--corner" => arguments.corner = Some(number()?),
            "--bug" => arguments.bug = Some(words.next().ok_or("--bug needs a name")?),
            "--bugs" => arguments.bugs = true,
            "--tries" => arguments.tries = Some(number()?),
            "--quiet" => arguments.shows = false,
            "--calm" => arguments.calm = true,
            "--brokers" => arguments.brokers = Some(number()?),
            _ => return Err(format!("what is {word}?\n{USAGE}")),
        }
    }
    Ok(arguments)
}

fn print_broken(report: &Report, shown: bool) {
    if !shown {
        report.last_lines.iter().for_each(|line| println!("{line}"));
    }
    for broken in &report.broken {
        println!("BROKEN: {broken}");
    }
    println!(
        "seed {} broke something; see it again with: cargo run -p ottla-sim -- --seed {}",
        report.seed, report.seed
    );
}

/// Each mistake in a process of its own, as some end it.
fn find_bugs(tries: Option<u64>) -> ExitCode {
    let mut missed: u64 = 0;
    for (bug, corner, within) in PLANTED {
        let seeds = tries.unwrap_or(within);
        let name = format!("{bug:?}");
        let tried = std::env::current_exe().and_then(|program| {
            std::process::Command::new(program).args(["--bug", &name, "--tries", &seeds.to_string()]).status()
        });
        match tried.map(|status| status.code()) {
            Ok(Some(0)) => {}
            Ok(None) => println!("{name}: found by {seeds} seeds of corner {corner}: a machine panics"),
            _ => missed += 1,
        }
    }
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn find_bug(name: &str, tries: Option<u64>) -> ExitCode {
    let Some((bug, corner, within)) = PLANTED.into_iter().find(|(bug, ..)| format!("{bug:?}") == name) else {
        eprintln!("no mistake is called {name}");
        return ExitCode::from(2);
    };
    let seeds = tries.unwrap_or(within);
    let Some(found) = ottla_sim::seeds_to_find(bug, corner, seeds) else {
        println!("{name}: NOT FOUND by {seeds} seeds of corner {corner}");
        return ExitCode::FAILURE;
    };
    println!(
        "{name}: found by the {}. of {seeds} seeds of corner {corner}, seed {}: {}",
        found.count, found.seed, found.what
    );
    ExitCode::SUCCESS
}

/// What this thread has had of a processor: how busy the machine is otherwise does not matter.
fn cpu_seconds() -> f64 {
    let spent = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = spent.split_whitespace().next().and_then(|first| first.parse::<f64>().ok());
    nanoseconds.map_or(0.0, |spent| spent / 1e9)
}

fn main() -> ExitCode {
    let arguments = match parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    if let Some(name) = &arguments.bug {
        return find_bug(name, arguments.tries);
    }
    if arguments.bugs {
        return find_bugs(arguments.tries);
    }
    let (began, cpu_before) = (Instant::now(), cpu_seconds());
    let (mut runs, mut simulated_us, mut events) = (0, 0, 0);
    let mut faults: BTreeMap<Fault, u64> = BTreeMap::new();
    for seed in arguments.from..arguments.from.saturating_add(arguments.count) {
        if arguments.seconds.is_some_and(|seconds| began.elapsed().as_secs() >= seconds) {
            break;
        }
        if arguments.corner.is_some_and(|corner| seed % CORNERS != corner) {
            continue;
        }
        let mut scenario = Scenario::of_seed(seed);
        if arguments.calm {
            scenario = scenario.without_faults();
        }
        if arguments.brokers.is_some_and(|brokers| i32::try_from(brokers) != Ok(scenario.brokers)) {
            continue;
        }
        let report = ottla_sim::run(scenario, View { show: arguments.shows, ..View::default() });
        runs += 1;
        simulated_us += report.simulated_us;
        events += report.events;
        for (fault, times) in &report.faults {
            *faults.entry(*fault).or_default() += times;
        }
        if arguments.count == 1 {
            println!(
                "seed {seed}: {} events, {} records acknowledged, {} consumed, {} commits, {} of acks=1 lost, \
                 {} faults, trace {:016x}",
                report.events,
                report.acknowledged,
                report.consumed,
                report.commits,
                report.lost_hopes,
                report.faults.values().sum::<u64>(),
                report.trace_hash
            );
        }
        if !report.broken.is_empty() {
            print_broken(&report, arguments.shows);
            return ExitCode::FAILURE;
        }
    }
    let real = began.elapsed().as_secs_f64();
    let (simulated, cpu) = (simulated_us as f64 / 1e6, cpu_seconds() - cpu_before);
    println!(
        "{runs} runs, {} faults, {events} events: {simulated:.0} simulated seconds in {real:.1} s, {:.0} per second of CPU",
        faults.values().sum::<u64>(),
        simulated / cpu.max(1e-9)
    );
    if arguments.count > 1 {
        println!("faults: {faults:?}");
    }
    ExitCode::SUCCESS
}
