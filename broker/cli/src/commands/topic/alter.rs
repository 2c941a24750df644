//! `ottla topic alter`

use super::assignments;
use crate::args::{ConnectArgs, key_value};
use crate::commands::cluster::moves::replicate;
use crate::output;
use anyhow::{Context, bail};
use clap::Args;
use ottla_client::{Admin, AlterOp, ConfigResource};

const EXAMPLES: &str = "\
Examples:
  ottla topic alter orders --partitions 12
  ottla topic alter orders --replication-factor 3
  ottla topic alter orders -c retention.ms=86400000 --delete-config cleanup.policy

A topic's partitions can become more, never fewer. Keys map to other partitions afterwards.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
#[group(required = true, multiple = true, id = "change", args = ["partitions", "replication_factor", "configs", "delete_configs"])]
pub(crate) struct AlterArgs {
    /// Name of the topic.
    #[arg(value_name = "TOPIC")]
    name: String,
    /// New number of partitions.
    #[arg(short, long, value_parser = clap::value_parser!(i32).range(1..))]
    partitions: Option<i32>,
    /// New number of replicas of each partition.
    #[arg(short, long, value_parser = clap::value_parser!(i16).range(1..))]
    replication_factor: Option<i16>,
    /// Brokers of each new partition; partitions separated by semicolons.
    #[arg(long, value_name = "1,2;2,3", requires = "partitions")]
    assign: Option<String>,
    /// A setting. Can be given several times.
    #[arg(short, long = "config", value_name = "KEY=VALUE", value_parser = key_value)]
    configs: Vec<(String, String)>,
    /// A setting to take back to its default. Can be given several times.
    #[arg(long = "delete-config", value_name = "KEY")]
    delete_configs: Vec<String>,
    #[command(flatten)]
    connect: ConnectArgs,
}

pub(super) async fn run(args: AlterArgs) -> anyhow::Result<()> {
    let placed = args.assign.as_deref().map(assignments).transpose().map_err(anyhow::Error::msg);
    let placed = placed.context("--assign")?;
    let admin = Admin::new(args.connect.connect().await?);
    if let Some((name, Err(error))) = admin.describe_topics(std::slice::from_ref(&args.name)).await?.pop() {
        bail!("{name}: {error}; `ottla topic list` shows the topics there are");
    }
    let changes: Vec<(String, AlterOp)> = args
        .configs
        .into_iter()
        .map(|(key, value)| (key, AlterOp::Set(value)))
        .chain(args.delete_configs.into_iter().map(|key| (key, AlterOp::Delete)))
        .collect();
    if !changes.is_empty() {
        admin.alter_configs(&ConfigResource::topic(&args.name), &changes, false).await?;
        output::line(&format!("{}: {} changed", args.name, output::count(changes.len(), "setting")))?;
    }
    if let Some(count) = args.partitions {
        admin.create_partitions(&args.name, count, placed.as_deref()).await?;
        output::line(&format!("{}: {count} partitions", args.name))?;
    }
    if let Some(wanted) = args.replication_factor {
        let changed = replicate(&admin, &args.name, wanted).await?;
        let changed = output::count(changed, "partition");
        output::line(&format!("{}: replication factor {wanted}, {changed} changed", args.name))?;
    }
    Ok(())
}
