//! `ottla group reset-offsets`: the modes of Kafka's tool.

use super::target::{self, Selection};
use crate::args::{ConnectArgs, OutputArgs};
use crate::output::{self, Table};
use anyhow::{Context, bail};
use clap::Args;
use ottla_client::{Admin, ClientError, Isolation, OffsetSpec};
use ottla_types::TopicPartition;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

const EXAMPLES: &str = "\
Examples:
  ottla group reset-offsets app --all-topics --to-earliest             shows what would happen
  ottla group reset-offsets app --topic orders:0,1 --to-latest --execute
  ottla group reset-offsets app --topic orders --by-duration 12h --execute
  ottla group reset-offsets app --topic orders --shift-by -100 --execute
  ottla group reset-offsets app --all-topics --to-current --export > offsets.csv
  ottla group reset-offsets app --from-file offsets.csv --execute      lines of topic,partition,offset

The group must have no members while offsets are moved.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
#[group(id = "mode", required = true, multiple = false,
    args = ["to_earliest", "to_latest", "to_current", "to_offset", "to_datetime", "by_duration", "shift_by", "from_file"])]
pub(crate) struct ResetArgs {
    /// Name of the group.
    group: String,
    /// Topics, or single partitions as TOPIC:0,1. Can be given several times.
    #[arg(short, long = "topic", value_name = "TOPIC[:PARTITIONS]", value_parser = target::selection)]
    topics: Vec<Selection>,
    /// All partitions the group has offsets of.
    #[arg(long, conflicts_with = "topics")]
    all_topics: bool,
    /// To the first offset there is.
    #[arg(long, help_heading = "Where to")]
    to_earliest: bool,
    /// To the end.
    #[arg(long, help_heading = "Where to")]
    to_latest: bool,
    /// To where it is.
    #[arg(long, help_heading = "Where to")]
    to_current: bool,
    /// To this offset, or the nearest there is.
    #[arg(long, value_name = "OFFSET", help_heading = "Where to")]
    to_offset: Option<i64>,
    /// To the first record of that time or later.
    #[arg(long, value_name = "TIME", value_parser = target::datetime, help_heading = "Where to")]
    to_datetime: Option<i64>,
    /// To the first record that is not older than this: 12h, 7d, PT12H.
    #[arg(long, value_name = "DURATION", value_parser = target::duration, help_heading = "Where to")]
    by_duration: Option<i64>,
    /// So many records forward, or back if negative.
    #[arg(long, value_name = "N", allow_negative_numbers = true, help_heading = "Where to")]
    shift_by: Option<i64>,
    /// To the offsets in a file.
    #[arg(long, value_name = "FILE", help_heading = "Where to")]
    from_file: Option<PathBuf>,
    /// Do it, do not only show it.
    #[arg(long)]
    execute: bool,
    /// Only show it: what happens without --execute.
    #[arg(long, conflicts_with = "execute")]
    dry_run: bool,
    /// Print lines of topic,partition,offset for --from-file.
    #[arg(long)]
    export: bool,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    connect: ConnectArgs,
}

pub(super) async fn run(args: ResetArgs) -> anyhow::Result<()> {
    let admin = Admin::new(args.connect.connect().await?);
    let current: BTreeMap<TopicPartition, i64> = admin
        .group_offsets(&args.group)
        .await?
        .into_iter()
        .map(|(at, committed)| (at, committed.offset))
        .collect();
    let wanted = wanted(&admin, &args, &current).await?;
    let mut planned = BTreeMap::new();
    for (at, target) in wanted {
        let offset = resolve(&admin, &at, target, current.get(&at).copied()).await?;
        planned.insert(at, offset);
    }
    if args.execute {
        admin.commit_group_offsets(&args.group, &planned).await?;
    }
    print(&args, &current, &planned)?;
    if !args.execute && !args.export {
        eprintln!("nothing was changed; --execute does it");
    }
    Ok(())
}

/// Where a partition is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Earliest,
    Latest,
    Current,
    Offset(i64),
    Time(i64),
    Shift(i64),
}

impl ResetArgs {
    fn target(&self) -> Target {
        let now = || {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
        };
        if let Some(offset) = self.to_offset {
            Target::Offset(offset)
        } else if let Some(time) = self.to_datetime {
            Target::Time(time)
        } else if let Some(duration) = self.by_duration {
            Target::Time((now() - duration).max(0))
        } else if let Some(records) = self.shift_by {
            Target::Shift(records)
        } else if self.to_earliest {
            Target::Earliest
        } else if self.to_latest {
            Target::Latest
        } else {
            Target::Current
        }
    }
}

async fn wanted(
    admin: &Admin,
    args: &ResetArgs,
    current: &BTreeMap<TopicPartition, i64>,
) -> anyhow::Result<Vec<(TopicPartition, Target)>> {
    if let Some(path) = &args.from_file {
        let lines = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        return from_lines(&lines).with_context(|| path.display().to_string());
    }
    let target = args.target();
    if args.topics.is_empty() && !args.all_topics {
        bail!("say which partitions: --topic TOPIC, --topic TOPIC:0,1 or --all-topics");
    }
    if args.all_topics {
        if current.is_empty() {
            bail!("group {:?} has no offsets; name topics with --topic", args.group);
        }
        return Ok(current.keys().map(|at| (at.clone(), target)).collect());
    }
    let mut wanted = Vec::new();
    let names: Vec<String> = args.topics.iter().map(|selection| selection.topic.clone()).collect();
    for (selection, (name, described)) in args.topics.iter().zip(admin.describe_topics(&names).await?) {
        let topic = described.map_err(|error| anyhow::anyhow!("{name}: {error}"))?;
        let all = topic.partitions.iter().map(|partition| TopicPartition::new(&name, partition.index));
        let chosen: Vec<_> = all.filter(|at| selection.has(at)).collect();
        if chosen.len() < selection.partitions.len() {
            bail!("topic {name:?} has only {}", output::count(topic.partitions.len(), "partition"));
        }
        wanted.extend(chosen.into_iter().map(|at| (at, target)));
    }
    Ok(wanted)
}

/// Lines of `topic,partition,offset`.
fn from_lines(text: &str) -> anyhow::Result<Vec<(TopicPartition, Target)>> {
    let line = |(number, line): (usize, &str)| {
        let fields: Vec<&str> = line.split(',').map(|field| field.trim().trim_matches('"')).collect();
        let parsed = match fields[..] {
            [topic, partition, offset] => {
                partition.parse().ok().zip(offset.parse().ok()).map(|(partition, offset)| {
                    (TopicPartition::new(topic, partition), Target::Offset(offset))
                })
            }
            _ => None,
        };
        parsed.with_context(|| format!("line {} is not topic,partition,offset", number + 1))
    };
    text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).map(line).collect()
}

/// The offset a target means, within what there is.
async fn resolve(
    admin: &Admin,
    at: &TopicPartition,
    target: Target,
    current: Option<i64>,
) -> Result<i64, ClientError> {
    let ask = async |spec| {
        let found = admin.offset(&at.topic, at.partition, spec, Isolation::ReadUncommitted).await?;
        Ok::<i64, ClientError>(found.offset)
    };
    let (first, end) = (ask(OffsetSpec::Earliest).await?, ask(OffsetSpec::Latest).await?);
    let from_here = || {
        current.ok_or_else(|| ClientError::Misuse(format!("the group has no offset of {at} to begin with")))
    };
    let offset = match target {
        Target::Earliest => first,
        Target::Latest => end,
        Target::Offset(offset) => offset,
        // Kafka's tool does the same where nothing was committed yet.
        Target::Current => current.unwrap_or(end),
        Target::Shift(records) => from_here()?.saturating_add(records),
        Target::Time(time) => match ask(OffsetSpec::Timestamp(time)).await? {
            -1 => end,
            found => found,
        },
    };
    Ok(offset.clamp(first, end))
}

fn print(
    args: &ResetArgs,
    current: &BTreeMap<TopicPartition, i64>,
    planned: &BTreeMap<TopicPartition, i64>,
) -> anyhow::Result<()> {
    if args.export {
        return planned.iter().try_for_each(|(at, offset)| {
            Ok(output::line(&format!("{},{},{offset}", at.topic, at.partition))?)
        });
    }
    if args.output.is_json() {
        let rows = planned.iter().map(|(at, offset)| {
            json!({"topic": at.topic, "partition": at.partition, "offset_before": current.get(at),
                "offset": offset, "executed": args.execute})
        });
        return Ok(output::json(&rows.collect())?);
    }
    let mut table = Table::new(&["TOPIC", "PARTITION", "BEFORE", "AFTER"]);
    for (at, offset) in planned {
        let before = current.get(at).map_or("-".to_owned(), i64::to_string);
        table.row(vec![at.topic.clone(), at.partition.to_string(), before, offset.to_string()]);
    }
    Ok(table.print()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exported_lines_are_read_back() {
        let lines = "orders,0,12\n\n\"orders\",1,13\n";
        let read = from_lines(lines).unwrap();
        assert_eq!(read[0], (TopicPartition::new("orders", 0), Target::Offset(12)));
        assert_eq!(read[1], (TopicPartition::new("orders", 1), Target::Offset(13)));
        let wrong = from_lines("orders;0").unwrap_err().to_string();
        assert_eq!(wrong, "line 1 is not topic,partition,offset");
    }
}
