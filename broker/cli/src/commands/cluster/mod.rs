//! `ottla cluster`: who is there and how the partitions are.

mod control;
pub(crate) mod moves;
mod throttle;

use crate::args::{ConnectArgs, OutputArgs};
use crate::output::{self, Table};
use clap::{Args, Subcommand};
use ottla_client::{Admin, ClusterDescription, TopicDescription};
use serde_json::json;

#[derive(Debug, Args)]
pub(crate) struct ClusterArgs {
    #[command(subcommand)]
    command: ClusterCommand,
}

#[derive(Debug, Subcommand)]
enum ClusterCommand {
    /// Brokers, controller, and the health of all partitions.
    Info {
        #[command(flatten)]
        connect: ConnectArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Every registered broker: state, version, replicas, vote, permit.
    Brokers {
        #[command(flatten)]
        connect: ConnectArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// May this broker restart now? Changes nothing; says per partition why not, and exits with 1 then.
    CanRestart(control::CanRestartArgs),
    /// Ask for a restart permit, hold on to it, or give it back.
    Permit {
        #[command(subcommand)]
        command: control::PermitCommand,
    },
    /// Give brokers no new replicas.
    Cordon {
        /// Ids of the brokers.
        #[arg(required = true, value_name = "BROKER")]
        brokers: Vec<i32>,
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// Give brokers new replicas again.
    Uncordon {
        /// Ids of the brokers.
        #[arg(required = true, value_name = "BROKER")]
        brokers: Vec<i32>,
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// Take a broker out of the cluster for good. Refused while it runs, holds replicas or votes.
    Unregister {
        /// Id of the broker.
        #[arg(value_name = "BROKER")]
        broker: i32,
        /// Whatever is on it.
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// The metadata quorum: who leads, who votes, who follows, and how far each is.
    Quorum {
        #[command(flatten)]
        connect: ConnectArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Spread replicas and leaders evenly, by the fewest moves. Shows the plan unless --execute is given.
    Rebalance {
        /// Only these topics.
        #[arg(short, long = "topic", value_name = "TOPIC")]
        topics: Vec<String>,
        #[command(flatten)]
        args: moves::MoveArgs,
    },
    /// Cordon brokers that are to go, move all replicas away, and prove that nothing is left. Shows the plan unless
    /// --execute is given.
    Drain {
        /// Ids of the brokers.
        #[arg(required = true, value_name = "BROKER")]
        brokers: Vec<i32>,
        #[command(flatten)]
        args: moves::MoveArgs,
    },
    /// Partitions whose replicas are moving.
    Moves {
        /// Cancel all moves, and take off the throttle they had.
        #[arg(long)]
        cancel: bool,
        #[command(flatten)]
        output: OutputArgs,
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// Make preferred replicas leaders again.
    ElectLeaders {
        /// Only of these topics.
        #[arg(short, long = "topic", value_name = "TOPIC")]
        topics: Vec<String>,
        /// Give partitions without a leader any replica that is alive. Records that only others had are lost.
        #[arg(long)]
        unclean: bool,
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// Data directories of the brokers and what is in them.
    Dirs {
        /// Only these brokers.
        #[arg(long, value_name = "ID", value_delimiter = ',')]
        broker: Vec<i32>,
        #[command(flatten)]
        connect: ConnectArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
}

pub(crate) async fn run(args: ClusterArgs) -> anyhow::Result<()> {
    match args.command {
        ClusterCommand::Info { connect, output } => {
            info(&Admin::new(connect.connect().await?), &output).await
        }
        ClusterCommand::Brokers { connect, output } => {
            control::brokers(&Admin::new(connect.connect().await?), &output).await
        }
        ClusterCommand::CanRestart(args) => control::can_restart(args).await,
        ClusterCommand::Permit { command } => control::permit(command).await,
        ClusterCommand::Cordon { brokers, connect } => control::cordon(&brokers, true, &connect).await,
        ClusterCommand::Uncordon { brokers, connect } => control::cordon(&brokers, false, &connect).await,
        ClusterCommand::Unregister { broker, force, connect } => {
            control::unregister(broker, force, &connect).await
        }
        ClusterCommand::Quorum { connect, output } => {
            quorum(&Admin::new(connect.connect().await?), &output).await
        }
        ClusterCommand::Rebalance { topics, args } => moves::rebalance(topics, args).await,
        ClusterCommand::Drain { brokers, args } => moves::drain(brokers, args).await,
        ClusterCommand::Moves { cancel, output, connect } => moves::moves(cancel, output, connect).await,
        ClusterCommand::ElectLeaders { topics, unclean, connect } => {
            moves::elect_leaders(topics, unclean, connect).await
        }
        ClusterCommand::Dirs { broker, connect, output } => {
            dirs(&Admin::new(connect.connect().await?), broker, &output).await
        }
    }
}

/// How many partitions are in which state.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Health {
    topics: usize,
    partitions: usize,
    replicas: usize,
    under_replicated: usize,
    without_leader: usize,
}

impl Health {
    fn of(topics: &[TopicDescription]) -> Self {
        let mut health = Self { topics: topics.len(), ..Self::default() };
        for partition in topics.iter().flat_map(|topic| &topic.partitions) {
            health.partitions += 1;
            health.replicas += partition.replicas.len();
            health.under_replicated += usize::from(partition.isr.len() < partition.replicas.len());
            health.without_leader += usize::from(partition.leader < 0);
        }
        health
    }
}

async fn info(admin: &Admin, output: &OutputArgs) -> anyhow::Result<()> {
    let cluster = admin.describe_cluster().await?;
    let topics = admin.list_topics().await?;
    let health = Health::of(&topics);
    let leads = |id: i32| {
        topics.iter().flat_map(|topic| &topic.partitions).filter(|partition| partition.leader == id).count()
    };
    let holds = |id: i32| {
        let partitions = topics.iter().flat_map(|topic| &topic.partitions);
        partitions.filter(|partition| partition.replicas.contains(&id)).count()
    };
    if output.is_json() {
        return Ok(output::json(&as_json(&cluster, &health))?);
    }
    output::line(&format!("Cluster     {}", cluster.cluster_id))?;
    output::line(&format!("Controller  broker {}", cluster.controller))?;
    output::line(&format!(
        "Partitions  {} in {} ({} under-replicated, {} without leader)",
        health.partitions,
        output::count(health.topics, "topic"),
        health.under_replicated,
        health.without_leader
    ))?;
    output::line("")?;
    let mut table = Table::new(&["BROKER", "ADDRESS", "RACK", "LEADERS", "REPLICAS"]);
    for broker in &cluster.brokers {
        table.row(vec![
            broker.id.to_string(),
            format!("{}:{}", broker.host, broker.port),
            broker.rack.clone().unwrap_or_else(|| "-".to_owned()),
            leads(broker.id).to_string(),
            holds(broker.id).to_string(),
        ]);
    }
    Ok(table.print()?)
}

fn as_json(cluster: &ClusterDescription, health: &Health) -> serde_json::Value {
    let brokers: Vec<_> = cluster
        .brokers
        .iter()
        .map(|broker| json!({"id": broker.id, "host": broker.host, "port": broker.port, "rack": broker.rack}))
        .collect();
    json!({
        "cluster_id": cluster.cluster_id,
        "controller": cluster.controller,
        "brokers": brokers,
        "topics": health.topics,
        "partitions": health.partitions,
        "under_replicated_partitions": health.under_replicated,
        "partitions_without_leader": health.without_leader,
    })
}

async fn quorum(admin: &Admin, output: &OutputArgs) -> anyhow::Result<()> {
    let quorum = admin.describe_quorum().await?;
    let replicas = quorum.voters.iter().map(|voter| (voter, "voter"));
    let replicas: Vec<_> = replicas.chain(quorum.observers.iter().map(|other| (other, "observer"))).collect();
    if output.is_json() {
        let list: Vec<_> = replicas
            .iter()
            .map(|(replica, role)| {
                json!({"broker": replica.broker, "role": role, "directory": replica.directory.to_string(),
                    "log_end_offset": replica.log_end_offset, "last_caught_up": replica.last_caught_up})
            })
            .collect();
        return Ok(output::json(&json!({"leader": quorum.leader, "leader_epoch": quorum.leader_epoch,
            "high_watermark": quorum.high_watermark, "replicas": list}))?);
    }
    output::line(&format!("Leader          broker {} (epoch {})", quorum.leader, quorum.leader_epoch))?;
    output::line(&format!("High watermark  {}", quorum.high_watermark))?;
    output::line("")?;
    let mut table = Table::new(&["BROKER", "ROLE", "LOG END", "LAG", "CAUGHT UP", "DIRECTORY"]);
    for (replica, role) in replicas {
        let known = replica.log_end_offset >= 0;
        let lag = (quorum.high_watermark - replica.log_end_offset).max(0);
        let caught_up =
            if replica.last_caught_up > 0 { output::time(replica.last_caught_up) } else { "-".to_owned() };
        table.row(vec![
            replica.broker.to_string(),
            role.to_owned(),
            if known { replica.log_end_offset.to_string() } else { "-".to_owned() },
            if known { lag.to_string() } else { "-".to_owned() },
            caught_up,
            if replica.directory.is_zero() { "-".to_owned() } else { replica.directory.to_string() },
        ]);
    }
    Ok(table.print()?)
}

async fn dirs(admin: &Admin, asked: Vec<i32>, output: &OutputArgs) -> anyhow::Result<()> {
    let brokers = if asked.is_empty() { admin.client().broker_ids().await? } else { asked };
    let mut table = Table::new(&["BROKER", "DIRECTORY", "STATE", "REPLICAS", "BYTES", "FREE"]);
    let mut found = Vec::new();
    for broker in brokers {
        for dir in admin.describe_log_dirs(broker, None).await? {
            let bytes: i64 = dir.replicas.iter().map(|replica| replica.bytes).sum();
            let size = |bytes: i64| u64::try_from(bytes).map_or("-".to_owned(), crate::progress::bytes);
            let state = if dir.error.is_none() { "ok".to_owned() } else { dir.error.to_string() };
            let replicas: Vec<_> = dir
                .replicas
                .iter()
                .map(|replica| {
                    json!({"topic": replica.topic, "partition": replica.partition, "bytes": replica.bytes,
                        "lag": replica.lag, "is_future": replica.is_future})
                })
                .collect();
            found.push(json!({"broker": broker, "directory": dir.path, "state": state, "bytes": bytes,
                "usable_bytes": dir.usable_bytes, "total_bytes": dir.total_bytes, "replicas": replicas}));
            let replicas = dir.replicas.len().to_string();
            table.row(vec![
                broker.to_string(),
                dir.path,
                state,
                replicas,
                size(bytes),
                size(dir.usable_bytes),
            ]);
        }
    }
    if output.is_json() {
        return Ok(output::json(&found.into())?);
    }
    Ok(table.print()?)
}
