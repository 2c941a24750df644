//! `ottla consume`: records of topics to stdout.

mod render;

use crate::args::ConnectArgs;
use crate::output;
use crate::progress::Progress;
use anyhow::{Context, bail};
use clap::Args;
use ottla_client::{Admin, Client, Consumer, ConsumerOptions, Isolation, OffsetSpec, Start};
use render::Renderer;
use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  ottla consume orders                               what comes from now on
  ottla consume orders --from-beginning -n 10        the first ten records
  ottla consume orders --from -5 --until-end         the last five of each partition
  ottla consume orders -p 0 --from 1000
  ottla consume orders --from @2026-11-22T20:00:00Z  what came since then
  ottla consume orders --keys --headers --offsets
  ottla consume orders --format json | jq .value
  ottla consume orders --format '%p:%o %k=%v\\n'

In a template: %t topic, %p partition, %o offset, %k key, %v value, %h headers, %T timestamp in milliseconds,
%d date and time, %K and %V bytes of key and value (-1 for none), %% a percent sign, and \\n, \\t, \\0.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ConsumeArgs {
    /// Names of the topics.
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,
    /// Only these partitions.
    #[arg(short, long, value_delimiter = ',')]
    partition: Vec<i32>,
    /// Where to begin: `beginning`, `end`, an offset, -N (that many before the end), or @TIME (milliseconds since 1970
    /// or 2026-11-22T20:15:00Z).
    #[arg(long, value_name = "WHERE", default_value = "end", value_parser = from, allow_hyphen_values = true)]
    from: From,
    /// Begin with the first record there is.
    #[arg(long, conflicts_with = "from")]
    from_beginning: bool,
    /// End after so many records.
    #[arg(short = 'n', long, value_name = "N")]
    max_messages: Option<u64>,
    /// End at what was the end when this began.
    #[arg(short = 'e', long)]
    until_end: bool,
    /// End if no record comes for so many seconds.
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<f64>,
    /// `text`, `json`, or a template.
    #[arg(short, long, default_value = "text", value_parser = render::format)]
    format: render::Format,
    /// Print keys, before values (text).
    #[arg(long, help_heading = "Text")]
    keys: bool,
    /// Print headers (text).
    #[arg(long, help_heading = "Text")]
    headers: bool,
    /// Print partitions and offsets (text).
    #[arg(long, help_heading = "Text")]
    offsets: bool,
    /// Print timestamps (text).
    #[arg(long, help_heading = "Text")]
    timestamps: bool,
    /// What is printed for no key or no value (text, templates).
    #[arg(long, default_value = "null", help_heading = "Text")]
    null: String,
    /// Only records of committed transactions.
    #[arg(long)]
    committed: bool,
    /// Say nothing but errors.
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// Where reading begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    At(Start),
    BeforeEnd(i64),
}

fn from(text: &str) -> Result<From, String> {
    let wrong = || "must be beginning, end, an offset, -N or @TIME".to_owned();
    if let Some(time) = text.strip_prefix('@') {
        let ms = time.parse().ok().or_else(|| output::parse_time(time)).ok_or_else(wrong)?;
        return Ok(From::At(Start::Timestamp(ms)));
    }
    match (text, text.parse::<i64>()) {
        ("beginning" | "start" | "earliest", _) => Ok(From::At(Start::Beginning)),
        ("end" | "latest", _) => Ok(From::At(Start::End)),
        (_, Ok(offset @ 0..)) => Ok(From::At(Start::Offset(offset))),
        (_, Ok(negative)) => Ok(From::BeforeEnd(negative.saturating_neg())),
        _ => Err(wrong()),
    }
}

pub(crate) async fn run(args: Box<ConsumeArgs>) -> anyhow::Result<()> {
    let client = args.connect.connect().await?;
    let isolation = if args.committed { Isolation::ReadCommitted } else { Isolation::ReadUncommitted };
    let options = ConsumerOptions { isolation, ..ConsumerOptions::default() };
    let mut reading = Reading {
        consumer: Consumer::new(client.clone(), options),
        ends: BTreeMap::new(),
        seen: 0,
        progress: Progress::new(args.quiet),
    };
    reading.assign(&client, &args, isolation).await?;
    let renderer = Renderer {
        format: args.format.clone(),
        keys: args.keys,
        headers: args.headers,
        offsets: args.offsets,
        timestamps: args.timestamps,
        null: args.null.clone(),
    };
    let read = tokio::select! {
        read = reading.read(&args, &renderer) => read,
        _ = tokio::signal::ctrl_c() => Ok(()),
    };
    reading.progress.clear();
    read?;
    if !args.quiet {
        eprintln!("{}", output::count(usize::try_from(reading.seen).unwrap_or(usize::MAX), "record"));
    }
    Ok(())
}

struct Reading {
    consumer: Consumer,
    /// Where each partition's end was at the beginning, if that is where to stop.
    ends: BTreeMap<(String, i32), i64>,
    seen: u64,
    progress: Progress,
}

impl Reading {
    async fn assign(
        &mut self,
        client: &Client,
        args: &ConsumeArgs,
        isolation: Isolation,
    ) -> anyhow::Result<()> {
        let admin = Admin::new(client.clone());
        let from = if args.from_beginning { From::At(Start::Beginning) } else { args.from };
        for (topic, described) in admin.describe_topics(&args.topics).await? {
            let described = described.with_context(|| {
                format!("cannot read {topic:?} (`ottla topic list` shows the topics there are)")
            })?;
            let all: Vec<i32> = described.partitions.iter().map(|partition| partition.index).collect();
            if let Some(missing) = args.partition.iter().find(|asked| !all.contains(asked)) {
                bail!("topic {topic:?} has {}, none is {missing}", output::count(all.len(), "partition"));
            }
            let partitions = if args.partition.is_empty() { all } else { args.partition.clone() };
            for partition in partitions {
                let end = match (args.until_end, from) {
                    (false, From::At(_)) => None,
                    _ => Some(admin.offset(&topic, partition, OffsetSpec::Latest, isolation).await?.offset),
                };
                let start = match (from, end) {
                    (From::BeforeEnd(records), Some(end)) => {
                        let first = admin.offset(&topic, partition, OffsetSpec::Earliest, isolation).await?;
                        Start::Offset((end - records).max(first.offset))
                    }
                    (From::At(start), _) => start,
                    (From::BeforeEnd(_), None) => Start::End,
                };
                self.consumer.assign(&topic, partition, start).await?;
                if let Some(end) = end.filter(|_| args.until_end) {
                    self.ends.insert((topic.clone(), partition), end);
                }
            }
        }
        self.drop_finished();
        Ok(())
    }

    /// Stops reading partitions whose end is reached.
    fn drop_finished(&mut self) {
        let done: Vec<(String, i32)> = self
            .consumer
            .positions()
            .filter(|(topic, partition, offset)| {
                self.ends.get(&((*topic).to_owned(), *partition)).is_some_and(|end| *offset >= *end)
            })
            .map(|(topic, partition, _)| (topic.to_owned(), partition))
            .collect();
        for (topic, partition) in done {
            self.consumer.finish(&topic, partition);
        }
    }

    async fn read(&mut self, args: &ConsumeArgs, renderer: &Renderer) -> anyhow::Result<()> {
        let idle = args.timeout.map(|seconds| Duration::from_secs_f64(seconds.clamp(0.0, 1e9)));
        let mut out = std::io::BufWriter::with_capacity(1 << 16, std::io::stdout());
        while !(args.until_end && self.consumer.is_idle()) {
            if args.max_messages.is_some_and(|most| self.seen >= most) {
                break;
            }
            let wait = idle.unwrap_or(Duration::from_secs(3600));
            let Some(fetched) = self.consumer.poll(wait).await? else {
                if idle.is_some() {
                    break;
                }
                continue;
            };
            let end = self.ends.get(&(fetched.topic.clone(), fetched.partition)).copied();
            for record in &fetched.records {
                if args.max_messages.is_some_and(|most| self.seen >= most)
                    || end.is_some_and(|end| record.offset >= end)
                {
                    break;
                }
                renderer.write(&mut out, &fetched.topic, fetched.partition, record)?;
                self.seen += 1;
            }
            out.flush()?;
            let seen = self.seen;
            self.progress.show(|| format!("{seen} records"));
            self.drop_finished();
        }
        Ok(out.flush()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_to_begin_are_read() {
        assert_eq!(from("beginning"), Ok(From::At(Start::Beginning)));
        assert_eq!(from("12"), Ok(From::At(Start::Offset(12))));
        assert_eq!(from("-5"), Ok(From::BeforeEnd(5)));
        assert_eq!(from("@1000"), Ok(From::At(Start::Timestamp(1000))));
        assert_eq!(from("@1970-01-02"), Ok(From::At(Start::Timestamp(86_400_000))));
        assert!(from("soon").is_err());
    }
}
