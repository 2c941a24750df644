//! `ottla log`: what is in the files of a data directory, and whether it is whole.
//!
//! Files are only read; a broker may be running on them. Then the last batch of an active segment may be half
//! written, which looks like damage and is none.

mod indexes;
mod segment;

use crate::output;
use crate::progress::Progress;
use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use ottla_storage::names;
use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  ottla log dump ottla-data/orders-0                            every batch of a partition
  ottla log dump ottla-data/orders-0 --records                  and every record
  ottla log dump ottla-data/orders-0/00000000000000000000.log --from 100 --to 200 --records
  ottla log dump ottla-data/orders-0 --verify                   only say whether all is well
  ottla log dump ottla-data/orders-0 --output json --records | jq .";

#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    #[command(subcommand)]
    command: LogCommand,
}

#[derive(Debug, Subcommand)]
enum LogCommand {
    /// Print segments, indexes and producer snapshots, and check them.
    Dump(DumpArgs),
}

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
struct DumpArgs {
    /// Files (.log, .index, .timeindex, .txnindex, .snapshot) or directories of partitions.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Print records too.
    #[arg(short, long, alias = "deep-iteration")]
    records: bool,
    /// Only batches with offsets from here on.
    #[arg(long, value_name = "OFFSET")]
    from: Option<i64>,
    /// Only batches with offsets before this.
    #[arg(long, value_name = "OFFSET")]
    to: Option<i64>,
    /// Print nothing but what is wrong and a line for each file. Reads every record.
    #[arg(long, conflicts_with = "records")]
    verify: bool,
    /// Also the index files of directories.
    #[arg(long)]
    indexes: bool,
    #[command(flatten)]
    output: output_args::Flat,
}

/// One line of JSON for each batch or entry, instead of the usual single document: logs are long.
mod output_args {
    use crate::args::Output;
    use clap::Args;

    #[derive(Debug, Args)]
    pub(super) struct Flat {
        /// How to print: `json` is one object a line.
        #[arg(short, long, value_enum, default_value_t = Output::Text)]
        pub(super) output: Output,
    }
}

/// Where dumps go, and what was found wrong.
struct Sink {
    out: std::io::BufWriter<std::io::Stdout>,
    json: bool,
    records: bool,
    silent: bool,
    decode: bool,
    from: i64,
    to: i64,
    progress: Progress,
    problems: Vec<String>,
}

impl Sink {
    /// Prints `text`, or `json`'s object in its place.
    fn print(&mut self, text: impl FnOnce() -> String, json: impl FnOnce() -> Value) -> std::io::Result<()> {
        if self.silent {
            return Ok(());
        }
        if self.json { writeln!(self.out, "{}", json()) } else { writeln!(self.out, "{}", text()) }
    }

    fn problem(&mut self, problem: String) {
        self.problems.push(problem);
    }
}

pub(crate) fn run(args: LogArgs) -> anyhow::Result<()> {
    let LogCommand::Dump(args) = args.command;
    let mut sink = Sink {
        out: std::io::BufWriter::with_capacity(1 << 16, std::io::stdout()),
        json: args.output.output == crate::args::Output::Json,
        records: args.records,
        silent: args.verify,
        decode: args.records || args.verify,
        from: args.from.unwrap_or(i64::MIN),
        to: args.to.unwrap_or(i64::MAX),
        progress: Progress::new(false),
        problems: Vec::new(),
    };
    for path in &args.paths {
        for file in files(path, args.indexes || args.verify)? {
            dump(&file, &mut sink).with_context(|| file.display().to_string())?;
        }
    }
    sink.progress.clear();
    sink.out.flush()?;
    match sink.problems.as_slice() {
        [] => Ok(()),
        problems => {
            bail!("{} found\n  {}", output::count(problems.len(), "problem"), problems.join("\n  "))
        }
    }
}

/// The files to read at `path`, oldest segment first.
fn files(path: &Path, indexes: bool) -> anyhow::Result<Vec<PathBuf>> {
    if !std::fs::metadata(path).with_context(|| path.display().to_string())?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).with_context(|| path.display().to_string())? {
        let file = entry?.path();
        let kind = kind(&file);
        if kind == Some(names::LOG) || indexes && kind.is_some() {
            files.push(file);
        }
    }
    files.sort();
    if files.is_empty() {
        bail!(
            "{} has no segments; name the directory of a partition, such as ottla-data/orders-0",
            path.display()
        );
    }
    Ok(files)
}

fn kind(file: &Path) -> Option<&'static str> {
    let name = file.file_name()?.to_str()?;
    [names::LOG, names::INDEX, names::TIME_INDEX, names::TXN_INDEX, names::SNAPSHOT]
        .into_iter()
        .find(|suffix| names::segment_offset(name, suffix).is_some())
}

fn dump(file: &Path, sink: &mut Sink) -> anyhow::Result<()> {
    let base_offset = |suffix| {
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        names::segment_offset(name, suffix).unwrap_or(0)
    };
    match kind(file) {
        Some(names::LOG) => segment::dump(file, base_offset(names::LOG), sink),
        Some(names::INDEX) => indexes::offsets(file, base_offset(names::INDEX), sink),
        Some(names::TIME_INDEX) => indexes::times(file, base_offset(names::TIME_INDEX), sink),
        Some(names::TXN_INDEX) => indexes::transactions(file, sink),
        Some(names::SNAPSHOT) => indexes::producers(file, sink),
        _ => bail!("not a file of a log; the name must be an offset of 20 digits and .log, .index, ..."),
    }
}
