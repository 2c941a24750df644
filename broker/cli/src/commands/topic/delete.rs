//! `ottla topic delete` and `ottla topic trim`

use crate::args::ConnectArgs;
use crate::output;
use anyhow::bail;
use clap::Args;
use ottla_client::Admin;
use ottla_types::ErrorCode;
use std::io::{IsTerminal, Write};

#[derive(Debug, Args)]
pub(crate) struct DeleteArgs {
    /// Names of the topics.
    #[arg(required = true, value_name = "TOPIC")]
    names: Vec<String>,
    /// Do not ask.
    #[arg(short, long)]
    yes: bool,
    /// A topic that does not exist is no failure.
    #[arg(long)]
    if_exists: bool,
    #[command(flatten)]
    connect: ConnectArgs,
}

pub(super) async fn run(args: DeleteArgs) -> anyhow::Result<()> {
    let admin = Admin::new(args.connect.connect().await?);
    if !args.yes && !confirmed(&args.names)? {
        bail!("nothing was deleted");
    }
    let mut failed = Vec::new();
    for (name, outcome) in admin.delete_topics(&args.names).await? {
        match outcome {
            Ok(()) => output::line(&format!("{name}: deleted"))?,
            Err(error) if error.code == ErrorCode::UnknownTopicOrPartition && args.if_exists => {
                output::line(&format!("{name}: does not exist"))?;
            }
            Err(error) => failed.push(format!("{name}: {error}")),
        }
    }
    if !failed.is_empty() {
        bail!("{}", failed.join("\n       "));
    }
    Ok(())
}

fn confirmed(names: &[String]) -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        bail!("deleting a topic cannot be undone; say --yes where nobody can be asked");
    }
    eprint!("Delete {} with all records? [y/N] ", names.join(", "));
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

const EXAMPLES: &str = "\
Examples:
  ottla topic trim orders --partition 0 --before 1000     offsets 0 to 999 go
  ottla topic trim orders --before end                    all records of all partitions go";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TrimArgs {
    /// Name of the topic.
    #[arg(value_name = "TOPIC")]
    name: String,
    /// First offset to keep, or `end`.
    #[arg(long, value_name = "OFFSET", value_parser = before)]
    before: i64,
    /// Only these partitions.
    #[arg(short, long, value_delimiter = ',')]
    partition: Vec<i32>,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// Everything that is replicated, on the wire.
const END: i64 = -1;

fn before(text: &str) -> Result<i64, String> {
    match (text, text.parse()) {
        ("end", _) => Ok(END),
        (_, Ok(offset @ 0..)) => Ok(offset),
        _ => Err("must be an offset or `end`".to_owned()),
    }
}

pub(super) async fn trim(args: TrimArgs) -> anyhow::Result<()> {
    let admin = Admin::new(args.connect.connect().await?);
    let mut partitions = args.partition;
    if partitions.is_empty() {
        for (name, described) in admin.describe_topics(std::slice::from_ref(&args.name)).await? {
            match described {
                Ok(topic) => partitions.extend(topic.partitions.iter().map(|partition| partition.index)),
                Err(error) => bail!("{name}: {error}"),
            }
        }
    }
    for partition in partitions {
        let first = admin.delete_records(&args.name, partition, args.before).await?;
        output::line(&format!("{}-{partition}: begins at offset {first}", args.name))?;
    }
    Ok(())
}
