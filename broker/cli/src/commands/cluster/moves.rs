//! `ottla cluster rebalance`, `drain`, `moves` and `elect-leaders`.
//!
//! A plan is made here, by the same placement as the brokers' own, from what the cluster says of itself; it is shown
//! first and carried out only if asked to, so many partitions at a time. Stopping this command stops nothing that is
//! under way; `moves --cancel` does.

use super::throttle::{self, Throttle};
use crate::args::{ConnectArgs, OutputArgs};
use crate::output::{self, Table};
use crate::progress::Progress;
use anyhow::{Context, bail};
use clap::Args;
use ottla_client::Admin;
use ottla_core::placement::{self, Availability, Broker, Move};
use ottla_types::{BrokerId, ErrorCode, TopicPartition};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How often moves under way are looked at.
const LOOK: Duration = Duration::from_millis(500);
/// How long brokers may take to tell clients what has changed.
const SETTLE: Duration = Duration::from_secs(30);
/// Equal loads are told apart by this; any number does.
const SEED: u64 = 0;

#[derive(Debug, Args)]
pub(super) struct MoveArgs {
    /// Do it, do not only show it.
    #[arg(long)]
    execute: bool,
    /// Partitions that move at a time.
    #[arg(long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    parallel: u32,
    /// Bytes per second that each broker may send or receive for these moves; taken off when they are done. If this
    /// command is stopped before, the next one or `moves --cancel` takes it off.
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(1..))]
    throttle: Option<u64>,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// What the cluster says of itself.
struct Observed {
    brokers: Vec<Broker>,
    partitions: Vec<TopicPartition>,
    replicas: Vec<Vec<BrokerId>>,
}

impl Observed {
    async fn of(admin: &Admin, topics: &[String]) -> anyhow::Result<Self> {
        let status = admin.cluster_status().await?;
        let brokers = status.brokers.into_iter().map(|broker| Broker {
            availability: match (broker.cordoned, broker.fenced || broker.stopping) {
                (true, _) => Availability::Closed,
                (false, true) => Availability::Away,
                (false, false) => Availability::Active,
            },
            ..Broker::new(BrokerId(broker.id), broker.rack)
        });
        let mut observed = Self { brokers: brokers.collect(), partitions: Vec::new(), replicas: Vec::new() };
        let all = admin.list_topics().await?;
        if let Some(missing) = topics.iter().find(|name| all.iter().all(|topic| topic.name != **name)) {
            bail!("there is no topic {missing:?}; `ottla topic list` shows those there are");
        }
        for topic in all.iter().filter(|topic| topics.is_empty() || topics.contains(&topic.name)) {
            for partition in &topic.partitions {
                observed.partitions.push(TopicPartition::new(&topic.name, partition.index));
                observed.replicas.push(partition.replicas.iter().copied().map(BrokerId).collect());
            }
        }
        Ok(observed)
    }
}

/// `ottla cluster rebalance`
pub(super) async fn rebalance(topics: Vec<String>, args: MoveArgs) -> anyhow::Result<()> {
    let admin = Admin::new(args.connect.connect().await?);
    let observed = Observed::of(&admin, &topics).await?;
    let moves = placement::rebalance(&observed.brokers, &observed.replicas, SEED);
    carry_out(&admin, &observed, moves, &args).await
}

/// `ottla cluster drain`
pub(super) async fn drain(leaving: Vec<i32>, args: MoveArgs) -> anyhow::Result<()> {
    let admin = Admin::new(args.connect.connect().await?);
    let observed = Observed::of(&admin, &[]).await?;
    let ids: Vec<BrokerId> = leaving.iter().copied().map(BrokerId).collect();
    if let Some(unknown) = ids.iter().find(|id| {
        observed.brokers.iter().all(|broker| broker.id != **id)
            && observed.replicas.iter().all(|replicas| !replicas.contains(id))
    }) {
        bail!("there is no broker {unknown}; `ottla cluster info` shows those there are");
    }
    let moves = placement::drain(&observed.brokers, &observed.replicas, &ids, SEED)
        .context("the other brokers cannot take the replicas")?;
    if args.execute {
        for id in ids.iter().filter(|id| observed.brokers.iter().any(|broker| broker.id == **id)) {
            admin.cordon(id.0, true).await?;
        }
    }
    carry_out(&admin, &observed, moves, &args).await?;
    if args.execute { prove_empty(&admin, &leaving).await } else { Ok(()) }
}

/// Waits until nothing of the cluster is on these brokers: no replica, no vote.
async fn prove_empty(admin: &Admin, leaving: &[i32]) -> anyhow::Result<()> {
    let deadline = Instant::now() + SETTLE;
    loop {
        let status = admin.cluster_status().await?;
        if let Some(holder) = status.unregistered_holders.iter().find(|id| leaving.contains(id)) {
            bail!("broker {holder} is not registered and still has replicas; run it again");
        }
        let used = status.brokers.iter().find(|broker| leaving.contains(&broker.id) && !broker.is_empty());
        match used {
            None => {
                let offset = status.metadata_offset;
                eprintln!(
                    "{}: no replica, no vote (at metadata offset {offset}); stop it, then `ottla cluster unregister`",
                    output::ids(leaving)
                );
                return Ok(());
            }
            Some(broker) if broker.replicas > 0 => {
                let held = output::count(broker.replicas, "replica");
                bail!("broker {} still has {held}; run it again", broker.id);
            }
            Some(broker) if Instant::now() >= deadline => {
                bail!("broker {} still votes in the metadata quorum; run it again", broker.id);
            }
            Some(_) => tokio::time::sleep(LOOK).await,
        }
    }
}

/// `ottla topic alter --replication-factor`
pub(crate) async fn replicate(admin: &Admin, topic: &str, replication_factor: i16) -> anyhow::Result<usize> {
    let observed = Observed::of(admin, &[topic.to_owned()]).await?;
    let wanted = usize::try_from(replication_factor).unwrap_or(0);
    let moves = placement::change_replication_factor(&observed.brokers, &observed.replicas, wanted, SEED)?;
    let count = moves.len();
    execute(admin, &observed, moves, 50).await?;
    Ok(count)
}

async fn carry_out(
    admin: &Admin,
    observed: &Observed,
    moves: Vec<Move>,
    args: &MoveArgs,
) -> anyhow::Result<()> {
    show(observed, &moves, args)?;
    if moves.is_empty() {
        eprintln!("nothing needs to move");
        return Ok(());
    }
    if !args.execute {
        eprintln!("nothing was changed; --execute does it");
        return Ok(());
    }
    let topics: BTreeSet<String> =
        moves.iter().map(|to| observed.partitions[to.partition].topic.clone()).collect();
    if let Some(rate) = args.throttle {
        let throttle = Throttle::of(&moves, &observed.partitions, &observed.replicas);
        throttle.set(admin, rate).await?;
    }
    execute(admin, observed, moves, args.parallel as usize).await?;
    if args.throttle.is_some() { throttle::clear(admin, &topics).await } else { Ok(()) }
}

fn show(observed: &Observed, moves: &[Move], args: &MoveArgs) -> anyhow::Result<()> {
    let ids = |ids: &[BrokerId]| ids.iter().map(|id| id.0).collect::<Vec<i32>>();
    if args.output.is_json() {
        let list = moves.iter().map(|to| {
            let (at, from) = (&observed.partitions[to.partition], &observed.replicas[to.partition]);
            json!({"topic": at.topic, "partition": at.partition, "replicas_before": ids(from),
                "replicas": ids(&to.replicas), "executed": args.execute})
        });
        return Ok(output::json(&list.collect())?);
    }
    let mut copied = 0;
    let mut table = Table::new(&["TOPIC", "PARTITION", "FROM", "TO"]);
    for to in moves {
        let (at, from) = (&observed.partitions[to.partition], &observed.replicas[to.partition]);
        copied += to.replicas.iter().filter(|id| !from.contains(id)).count();
        let (from, to) = (output::ids(&ids(from)), output::ids(&ids(&to.replicas)));
        table.row(vec![at.topic.clone(), at.partition.to_string(), from, to]);
    }
    if !moves.is_empty() {
        table.print()?;
        eprintln!(
            "{} change, {} to copy",
            output::count(moves.len(), "partition"),
            output::count(copied, "replica")
        );
    }
    Ok(())
}

/// Moves so many partitions at a time, then makes preferred replicas leaders.
async fn execute(
    admin: &Admin,
    observed: &Observed,
    moves: Vec<Move>,
    parallel: usize,
) -> anyhow::Result<()> {
    let total = moves.len();
    let targets: BTreeMap<TopicPartition, Vec<BrokerId>> =
        moves.iter().map(|to| (observed.partitions[to.partition].clone(), to.replicas.clone())).collect();
    let mut waiting = moves.into_iter();
    let mut progress = Progress::new(false);
    loop {
        let under_way = admin.reassignments().await?;
        let ours = under_way.iter().filter(|moving| targets.contains_key(&moving.partition)).count();
        let next: Vec<_> = waiting
            .by_ref()
            .take(parallel.saturating_sub(ours))
            .map(|to| {
                let ids = to.replicas.iter().map(|id| id.0).collect();
                (observed.partitions[to.partition].clone(), Some(ids))
            })
            .collect();
        let started = next.len();
        if started + ours == 0 {
            break;
        }
        if started > 0 {
            for (at, outcome) in admin.reassign(&next).await? {
                outcome.map_err(|error| anyhow::anyhow!("{at}: {error}"))?;
            }
        }
        let done = total.saturating_sub(waiting.len() + ours + started);
        progress.show(|| format!("{done} of {total} partitions moved"));
        tokio::time::sleep(LOOK).await;
    }
    progress.clear();
    settle(admin, &targets).await?;
    let moved: Vec<TopicPartition> = targets.into_keys().collect();
    elect(admin, Some(&moved), false).await?;
    Ok(())
}

/// Waits until what the brokers tell clients has caught up with what was done.
async fn settle(admin: &Admin, targets: &BTreeMap<TopicPartition, Vec<BrokerId>>) -> anyhow::Result<()> {
    let deadline = Instant::now() + SETTLE;
    loop {
        let now = Observed::of(admin, &[]).await?;
        let there = now.partitions.iter().zip(&now.replicas);
        let late =
            there.filter(|(at, replicas)| targets.get(at).is_some_and(|target| target != *replicas)).count();
        if late == 0 {
            return Ok(());
        }
        if Instant::now() >= deadline {
            bail!(
                "{} did not move as planned; `ottla cluster moves` shows why",
                output::count(late, "partition")
            );
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Partitions that got another leader.
async fn elect(
    admin: &Admin,
    partitions: Option<&[TopicPartition]>,
    unclean: bool,
) -> anyhow::Result<Vec<TopicPartition>> {
    let (mut elected, mut failed) = (Vec::new(), Vec::new());
    for (at, outcome) in admin.elect_leaders(partitions, unclean).await? {
        match outcome {
            Ok(()) => elected.push(at),
            Err(error) if error.code == ErrorCode::ElectionNotNeeded => {}
            Err(error) => failed.push(format!("{at}: {error}")),
        }
    }
    if !failed.is_empty() {
        bail!("{}", failed.join("\n       "));
    }
    Ok(elected)
}

/// `ottla cluster elect-leaders`
pub(super) async fn elect_leaders(
    topics: Vec<String>,
    unclean: bool,
    connect: ConnectArgs,
) -> anyhow::Result<()> {
    let admin = Admin::new(connect.connect().await?);
    let partitions = match topics.is_empty() {
        true => None,
        false => Some(Observed::of(&admin, &topics).await?.partitions),
    };
    if unclean && partitions.is_none() {
        bail!("an unclean election can lose records: name the topics");
    }
    let elected = elect(&admin, partitions.as_deref(), unclean).await?;
    elected.iter().try_for_each(|at| output::line(&at.to_string()))?;
    eprintln!("{} got another leader", output::count(elected.len(), "partition"));
    Ok(())
}

/// `ottla cluster moves`
pub(super) async fn moves(cancel: bool, output: OutputArgs, connect: ConnectArgs) -> anyhow::Result<()> {
    let admin = Admin::new(connect.connect().await?);
    let moving = admin.reassignments().await?;
    if cancel {
        let cancelled: Vec<_> = moving.iter().map(|moving| (moving.partition.clone(), None)).collect();
        for (at, outcome) in admin.reassign(&cancelled).await? {
            outcome.map_err(|error| anyhow::anyhow!("{at}: {error}"))?;
        }
        throttle::clear(&admin, &moving.iter().map(|moving| moving.partition.topic.clone()).collect())
            .await?;
        return Ok(output::line(&format!("{} cancelled", output::count(moving.len(), "move")))?);
    }
    if output.is_json() {
        let list = moving.iter().map(|moving| {
            json!({"topic": moving.partition.topic, "partition": moving.partition.partition,
                "replicas": moving.replicas, "adding": moving.adding, "removing": moving.removing})
        });
        return Ok(output::json(&list.collect())?);
    }
    if moving.is_empty() {
        eprintln!("nothing is moving");
        return Ok(());
    }
    let mut table = Table::new(&["TOPIC", "PARTITION", "REPLICAS", "ADDING", "REMOVING"]);
    for moving in moving {
        let partition = moving.partition.partition.to_string();
        let (adding, removing) = (output::ids(&moving.adding), output::ids(&moving.removing));
        table.row(vec![moving.partition.topic, partition, output::ids(&moving.replicas), adding, removing]);
    }
    Ok(table.print()?)
}
