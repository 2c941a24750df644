//! `ottla produce`: records from arguments, lines or a file.

mod input;

use crate::args::ConnectArgs;
use crate::progress::Progress;
use anyhow::{Context, bail};
use bytes::Bytes;
use clap::{Args, ValueEnum};
use input::{Format, LineReader};
use ottla_client::{Acks, Delivered, Delivery, OutgoingRecord, Producer, ProducerOptions};
use ottla_records::Compression;
use std::collections::{BTreeMap, VecDeque};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const EXAMPLES: &str = "\
Examples:
  ottla produce orders 'first' 'second'               each argument is a record
  ottla produce orders < lines.txt                    each line is a record
  ottla produce orders -k customer-7 'hello' -H trace=abc
  ottla produce orders --key-separator : <<< 'customer-7:hello'
  ottla produce orders --file picture.png -k picture  the whole file is one record
  ottla produce users -k 7 --tombstone                deletes key 7 of a compacted topic
  ottla consume a --format json --until-end | ottla produce b --format json

In JSON each line is an object with value or value_base64, and key or key_base64, headers, partition and
timestamp if wanted, as `ottla consume --format json` prints them.";

/// Records under way before the oldest is waited for.
const UNDER_WAY: usize = 100_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum AcksArg {
    /// All in-sync replicas have the record.
    All,
    /// The leader has it.
    #[value(name = "1", alias = "leader")]
    Leader,
    /// Nobody is asked.
    #[value(name = "0", alias = "none")]
    None,
}

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ProduceArgs {
    /// Name of the topic.
    topic: String,
    /// Values of records; lines of stdin if there are none.
    #[arg(value_name = "VALUE", conflicts_with_all = ["file", "tombstone"])]
    values: Vec<String>,
    /// Key of every record that does not bring one.
    #[arg(short, long)]
    key: Option<String>,
    /// A header of every record. Can be given several times.
    #[arg(short = 'H', long = "header", value_name = "NAME=VALUE", value_parser = crate::args::key_value)]
    headers: Vec<(String, String)>,
    /// Partition of every record; chosen by the key if not given.
    #[arg(short, long)]
    partition: Option<i32>,
    /// Timestamp of every record, in milliseconds since 1970 or as 2026-11-22T20:15:00Z; now if not given.
    #[arg(long, value_parser = timestamp)]
    timestamp: Option<i64>,
    /// What each line is.
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// What stands between key and value in a line.
    #[arg(long, value_name = "TEXT", conflicts_with = "key")]
    key_separator: Option<String>,
    /// A value that stands for none (a tombstone).
    #[arg(long, value_name = "TEXT")]
    null: Option<String>,
    /// One record of a whole file.
    #[arg(long)]
    file: Option<PathBuf>,
    /// One record without a value: deletes its key from a compacted topic.
    #[arg(long, requires = "key", conflicts_with = "file")]
    tombstone: bool,
    /// Who must have a record before it counts.
    #[arg(long, value_enum, default_value_t = AcksArg::All, help_heading = "Delivery")]
    acks: AcksArg,
    /// Codec: none, gzip, snappy, lz4 or zstd.
    #[arg(short = 'z', long, default_value = "none", value_parser = compression, help_heading = "Delivery")]
    compression: Compression,
    /// Level of the codec.
    #[arg(long, help_heading = "Delivery", allow_negative_numbers = true)]
    compression_level: Option<i32>,
    /// Milliseconds a batch waits for more records.
    #[arg(long, default_value_t = 5, value_name = "MS", help_heading = "Delivery")]
    linger: u64,
    /// Bytes of a batch before compression.
    #[arg(long, default_value_t = 262_144, help_heading = "Delivery")]
    batch_bytes: usize,
    /// A record sent twice after a lost answer may be stored twice.
    #[arg(long, help_heading = "Delivery")]
    no_idempotence: bool,
    /// Say nothing but errors.
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    connect: ConnectArgs,
}

fn compression(text: &str) -> Result<Compression, String> {
    Compression::from_name(text).ok_or_else(|| "must be none, gzip, snappy, lz4 or zstd".to_owned())
}

fn timestamp(text: &str) -> Result<i64, String> {
    let number = text.parse().ok().filter(|number| *number >= 0);
    number.or_else(|| crate::output::parse_time(text)).ok_or_else(|| "is no time".to_owned())
}

pub(crate) async fn run(args: ProduceArgs) -> anyhow::Result<()> {
    let client = args.connect.connect().await?;
    let options = ProducerOptions {
        acks: match args.acks {
            AcksArg::All => Acks::All,
            AcksArg::Leader => Acks::Leader,
            AcksArg::None => Acks::None,
        },
        compression: args.compression,
        level: args.compression_level,
        linger: Duration::from_millis(args.linger),
        batch_bytes: args.batch_bytes.max(1),
        idempotent: !args.no_idempotence,
        ..ProducerOptions::default()
    };
    let producer = Producer::new(client, options).await?;
    let mut sending = Sending::new(&producer, args.quiet);
    let sent = send_all(&args, &mut sending).await;
    let settled = sending.settle().await;
    sent.and(settled)?;
    sending.report(&args.topic);
    Ok(())
}

async fn send_all(args: &ProduceArgs, sending: &mut Sending<'_>) -> anyhow::Result<()> {
    let template = template(args);
    if args.tombstone {
        return sending.send(template).await;
    }
    if let Some(path) = &args.file {
        let contents = std::fs::read(path).with_context(|| path.display().to_string())?;
        return sending.send(OutgoingRecord { value: Some(contents.into()), ..template }).await;
    }
    let reader = LineReader {
        template,
        format: args.format,
        key_separator: args.key_separator.clone(),
        null: args.null.clone(),
    };
    if !args.values.is_empty() {
        for value in &args.values {
            sending.send(reader.record(Bytes::from(value.clone()))?).await?;
        }
        return Ok(());
    }
    if std::io::stdin().is_terminal() && !args.quiet {
        eprintln!("each line is a record; Ctrl-D ends");
    }
    let mut lines = input::lines();
    let mut number = 0u64;
    while let Some(line) = lines.recv().await {
        number += 1;
        let record = reader.record(line?).with_context(|| format!("line {number}"))?;
        sending.send(record).await?;
    }
    Ok(())
}

fn template(args: &ProduceArgs) -> OutgoingRecord {
    OutgoingRecord {
        topic: args.topic.clone(),
        partition: args.partition,
        key: args.key.clone().map(Bytes::from),
        value: None,
        headers: args
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), Some(value.clone().into())))
            .collect(),
        timestamp: args.timestamp,
    }
}

/// Records under way, oldest first, and where the others went.
struct Sending<'a> {
    producer: &'a Producer,
    under_way: VecDeque<Delivery>,
    delivered: u64,
    offsets: BTreeMap<i32, (i64, i64)>,
    progress: Progress,
    since: Instant,
    quiet: bool,
}

impl<'a> Sending<'a> {
    fn new(producer: &'a Producer, quiet: bool) -> Self {
        Self {
            producer,
            under_way: VecDeque::new(),
            delivered: 0,
            offsets: BTreeMap::new(),
            progress: Progress::new(quiet),
            since: Instant::now(),
            quiet,
        }
    }

    async fn send(&mut self, record: OutgoingRecord) -> anyhow::Result<()> {
        self.under_way.push_back(self.producer.send(record).await?);
        if self.under_way.len() > UNDER_WAY
            && let Some(oldest) = self.under_way.pop_front()
        {
            self.note(oldest.wait().await?);
        }
        Ok(())
    }

    /// Waits for everything that is under way; the first failure is returned, with how many there were.
    async fn settle(&mut self) -> anyhow::Result<()> {
        self.producer.flush().await;
        let (mut failed, mut first) = (0u64, None);
        while let Some(delivery) = self.under_way.pop_front() {
            match delivery.wait().await {
                Ok(delivered) => self.note(delivered),
                Err(error) => {
                    failed += 1;
                    first.get_or_insert(error);
                }
            }
        }
        match first {
            None => Ok(()),
            Some(error) if failed == 1 => Err(error.into()),
            Some(error) => bail!("{failed} records were not delivered ({} were): {error}", self.delivered),
        }
    }

    fn note(&mut self, delivered: Delivered) {
        self.delivered += 1;
        let offset = delivered.offset;
        let range = self.offsets.entry(delivered.partition).or_insert((offset, offset));
        *range = (range.0.min(offset), range.1.max(offset));
        let (count, since) = (self.delivered, self.since);
        self.progress.show(|| {
            let rate = count as f64 / since.elapsed().as_secs_f64();
            format!("{count} records, {rate:.0} a second")
        });
    }

    fn report(&mut self, topic: &str) {
        self.progress.clear();
        if self.quiet {
            return;
        }
        let places: Vec<String> = self
            .offsets
            .iter()
            .filter(|(_, (first, _))| *first >= 0)
            .map(|(partition, (first, last))| match first == last {
                true => format!("partition {partition} offset {first}"),
                false => format!("partition {partition} offsets {first} to {last}"),
            })
            .take(8)
            .collect();
        let more = if self.offsets.len() > 8 { ", ..." } else { "" };
        let count = crate::output::count(usize::try_from(self.delivered).unwrap_or(usize::MAX), "record");
        let places = if places.is_empty() { String::new() } else { format!(": {}{more}", places.join(", ")) };
        eprintln!("{count} to {topic}{places}");
    }
}
