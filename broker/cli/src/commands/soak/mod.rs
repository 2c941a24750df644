//! `ottla soak`: sends records at a steady rate, notes what was acknowledged, and reads all of it back at the end.
//!
//! What others break meanwhile (restarts, failovers, scaling) must not show: no send fails, no acknowledged record is
//! missing, twice there or out of order. How long the longest record waited is told.

mod ledger;
mod verify;

use crate::args::{ConnectArgs, OutputArgs};
use crate::output;
use anyhow::bail;
use bytes::Bytes;
use clap::Args;
use ledger::Ledger;
use ottla_client::{
    Acks, Admin, Client, ClientError, Delivered, NewTopic, OutgoingRecord, Producer, ProducerOptions,
};
use ottla_types::ErrorCode;
use serde_json::{Value, json};
use std::io::Write;
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

const EXAMPLES: &str = "\
Examples:
  ottla soak orders --rate 500 --seconds 60           a minute of records, then the verdict
  ottla soak check --partitions 6 --replication-factor 3 --delete     a topic made for this, and deleted
  ottla soak orders --output json                     until Ctrl-C or SIGTERM; a line of figures each second

Records go to the topic's partitions in turn with acks=all. The exit code is 1 if a send failed or an acknowledged
record could not be read back. Topics that lose records on purpose (retention, compaction) are no use for this.";

/// Between two rounds of sends.
const TICK: Duration = Duration::from_millis(10);
/// Failures told one by one.
const TOLD: u64 = 20;

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SoakArgs {
    /// Name of the topic.
    topic: String,
    /// Records a second.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    rate: u64,
    /// Seconds to send; until Ctrl-C or SIGTERM if not given.
    #[arg(long)]
    seconds: Option<u64>,
    /// Bytes of a record's value, at least.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    size: u32,
    /// Make the topic, if there is none, with so many partitions.
    #[arg(long)]
    partitions: Option<i32>,
    /// Make the topic, if there is none, with so many replicas.
    #[arg(long)]
    replication_factor: Option<i16>,
    /// Delete the topic at the end.
    #[arg(long)]
    delete: bool,
    /// Seconds after which an undelivered record counts as failed.
    #[arg(long, default_value_t = 120, value_name = "SECONDS")]
    delivery_timeout: u64,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    connect: ConnectArgs,
}

pub(crate) async fn run(args: SoakArgs) -> anyhow::Result<()> {
    let (client, partitions) = prepare(&args).await?;
    let options = ProducerOptions {
        acks: Acks::All,
        linger: Duration::from_millis(2),
        delivery_timeout: Duration::from_secs(args.delivery_timeout),
        request_timeout: Duration::from_secs(10),
        create_topics: false,
        ..ProducerOptions::default()
    };
    let producer = Producer::new(client.clone(), options).await?;
    let run = format!("{:016x}", uuid::Uuid::new_v4().as_u64_pair().0);
    let mut soak = Soak { args: &args, run, partitions, producer, ledger: Ledger::default() };
    soak.send_until_told().await?;
    let Soak { ledger, run, .. } = soak;
    let found = verify::read_back(&client, &args.topic, &run, &ledger).await?;
    if args.delete {
        Admin::new(client).delete_topics(std::slice::from_ref(&args.topic)).await?;
    }
    let mut figures = ledger.figures();
    let faults = ledger.failed() + found.faults();
    figures["lost"] = found.lost.into();
    figures["duplicated"] = found.duplicated.into();
    figures["out_of_order"] = found.out_of_order.into();
    figures["verdict"] = if faults == 0 { "ok" } else { "failed" }.into();
    report(&args, &figures)?;
    if faults > 0 {
        bail!("{} sends failed; {found}", ledger.failed());
    }
    Ok(())
}

/// A client, and the topic's partitions; the topic is there when this returns.
async fn prepare(args: &SoakArgs) -> anyhow::Result<(Client, Vec<i32>)> {
    let client = args.connect.connect().await?;
    let admin = Admin::new(client.clone());
    if args.partitions.is_some() || args.replication_factor.is_some() {
        let topic = NewTopic {
            name: args.topic.clone(),
            partitions: args.partitions,
            replication_factor: args.replication_factor,
            ..NewTopic::default()
        };
        for (name, outcome) in admin.create_topics(&[topic], false).await? {
            match outcome {
                Err(error) if error.code != ErrorCode::TopicAlreadyExists => bail!("{name}: {error}"),
                _ => {}
            }
        }
    }
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let described = admin.describe_topics(std::slice::from_ref(&args.topic)).await?;
        match described.into_iter().next() {
            Some((_, Ok(topic))) if topic.partitions.iter().all(|partition| partition.leader >= 0) => {
                return Ok((client, topic.partitions.iter().map(|partition| partition.index).collect()));
            }
            Some((name, Err(error))) if args.partitions.is_none() || Instant::now() >= deadline => {
                bail!("{name}: {error}");
            }
            None => bail!("nothing is known of topic {:?}", args.topic),
            _ if Instant::now() >= deadline => {
                bail!("topic {:?} has partitions without a leader", args.topic)
            }
            _ => tokio::time::sleep(TICK * 5).await,
        }
    }
}

fn report(args: &SoakArgs, figures: &Value) -> std::io::Result<()> {
    if args.output.is_json() {
        return output::line(&figures.to_string());
    }
    let text = |(name, value): (&String, &Value)| format!("{name} {}", value.to_string().trim_matches('"'));
    let figures = figures.as_object().into_iter().flatten().map(text).collect::<Vec<_>>();
    output::line(&figures.join(", "))
}

/// What became of a record: its number, when it was due, and the outcome.
type Outcome = (u64, Instant, Result<Delivered, ClientError>);

struct Soak<'a> {
    args: &'a SoakArgs,
    /// Tells this run's records from those of others.
    run: String,
    partitions: Vec<i32>,
    producer: Producer,
    ledger: Ledger,
}

impl Soak<'_> {
    async fn send_until_told(&mut self) -> anyhow::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let begun = Instant::now();
        let end = self.args.seconds.map(|seconds| begun + Duration::from_secs(seconds));
        let mut ticks = tokio::time::interval(TICK);
        let mut told = begun;
        let mut under_way: JoinSet<Outcome> = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                _ = terminate.recv() => break,
                _ = tokio::signal::ctrl_c() => break,
                Some(done) = under_way.join_next() => self.note(done?),
                _ = ticks.tick() => {
                    if end.is_some_and(|end| Instant::now() >= end) {
                        break;
                    }
                    let due = begun.elapsed().as_millis() as u64 * self.args.rate / 1000;
                    while self.ledger.sent() < due {
                        self.send(&mut under_way).await;
                    }
                }
            }
            if told.elapsed() >= Duration::from_secs(1) {
                told = Instant::now();
                report(self.args, &self.ledger.figures())?;
            }
        }
        self.producer.flush().await;
        while let Some(done) = under_way.join_next().await {
            self.note(done?);
        }
        Ok(())
    }

    /// Takes the next record under way. While no broker can be asked for the topic, nothing is sent.
    async fn send(&mut self, under_way: &mut JoinSet<Outcome>) {
        let (number, since) = (self.ledger.next(), Instant::now());
        let partition = self.partitions[(number % self.partitions.len() as u64) as usize];
        let value = verify::value(&self.run, number, self.args.size as usize);
        let record = OutgoingRecord {
            topic: self.args.topic.clone(),
            partition: Some(partition),
            value: Some(Bytes::from(value)),
            ..OutgoingRecord::default()
        };
        let patience = Duration::from_secs(self.args.delivery_timeout);
        loop {
            match self.producer.send(record.clone()).await {
                Ok(delivery) => {
                    under_way.spawn(async move { (number, since, delivery.wait().await) });
                    return;
                }
                Err(error) if error.is_retriable() && since.elapsed() < patience => {
                    tokio::time::sleep(TICK).await;
                }
                Err(error) => return self.note((number, since, Err(error))),
            }
        }
    }

    fn note(&mut self, (number, since, outcome): Outcome) {
        match outcome {
            Ok(delivered) => self.ledger.acknowledged(number, since, delivered),
            Err(error) => {
                if self.ledger.failed() < TOLD {
                    let line = json!({"failed_send": number, "after_ms": since.elapsed().as_millis() as u64,
                        "error": error.to_string()});
                    let _ = writeln!(std::io::stderr(), "{line}");
                }
                self.ledger.gave_up();
            }
        }
    }
}
