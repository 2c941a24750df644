//! The `ottla` binary: the broker, and the tools to work with one.
//!
//! Each command has a file under `commands`. A command writes its result to stdout and everything else (progress,
//! hints, errors) to stderr, so that results can be piped. Exit codes: 0 done, 1 failed or refused, 2 wrong usage,
//! 3 no broker could be reached.

mod args;
mod commands;
mod exit;
mod output;
mod progress;

use args::{Cli, Command};
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Command::Broker(args) => commands::broker::run(args),
        Command::Completions(args) => commands::completions::run(&args),
        Command::Log(args) => commands::log_dump::run(args),
        Command::Config(args) => client(commands::config::run(args)),
        Command::Topic(args) => client(commands::topic::run(args)),
        Command::Produce(args) => client(commands::produce::run(args)),
        Command::Consume(args) => client(commands::consume::run(args)),
        Command::Group(args) => client(commands::group::run(args)),
        Command::Soak(args) => client(commands::soak::run(args)),
        Command::Cluster(args) => client(commands::cluster::run(args)),
    };
    exit::code_of(done)
}

/// Runs a command that talks to a cluster, until it is done or Ctrl-C.
fn client(command: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(command)
}
