//! `ottla-operator`: looks after Clusters and Topics until it is told to stop.

use clap::Parser;
use ottla_operator::args::{Cli, Command, LogFormat};
use tracing_subscriber::EnvFilter;

fn main() -> anyhow::Result<()> {
    let Cli { command, args } = Cli::parse();
    let filter = EnvFilter::try_new(&args.log_level)?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match args.log_format {
        LogFormat::Text => log.with_ansi(false).init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
    // One thread: it waits most of the time, and memory is dearer.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match command {
        Some(Command::Apply(values)) => runtime.block_on(ottla_operator::values::apply(&values)),
        Some(Command::Remove(values)) => runtime.block_on(ottla_operator::removal::remove(&values)),
        None => runtime.block_on(ottla_operator::run::run(args)),
    }
}
