//! `ottla topic create`

use super::assignments;
use crate::args::{ConnectArgs, OutputArgs, key_value};
use crate::output;
use anyhow::{Context, bail};
use clap::Args;
use ottla_client::{Admin, ApiError, NewTopic};
use ottla_types::{ErrorCode, settings};
use serde_json::json;

const EXAMPLES: &str = "\
Examples:
  ottla topic create orders
  ottla topic create orders payments --partitions 6 --replication-factor 3
  ottla topic create users -c cleanup.policy=compact -c min.insync.replicas=2
  ottla topic create placed --assign '1,2;2,3;3,1'     partition 0 on brokers 1 and 2, and so on";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CreateArgs {
    /// Names of the topics.
    #[arg(required = true, value_name = "TOPIC")]
    names: Vec<String>,
    /// Number of partitions; the broker's num.partitions if not given.
    #[arg(short, long, value_parser = clap::value_parser!(i32).range(1..))]
    partitions: Option<i32>,
    /// Replicas of each partition; the broker's default.replication.factor if not given.
    #[arg(short, long, value_parser = clap::value_parser!(i16).range(1..))]
    replication_factor: Option<i16>,
    /// A setting. Can be given several times; `ottla config keys --topic` lists them.
    #[arg(short, long = "config", value_name = "KEY=VALUE", value_parser = key_value)]
    configs: Vec<(String, String)>,
    /// Brokers of each partition, the preferred leader first; partitions separated by semicolons.
    #[arg(long, value_name = "1,2;2,3", conflicts_with_all = ["partitions", "replication_factor"])]
    assign: Option<String>,
    /// A topic that exists already is no failure.
    #[arg(long)]
    if_not_exists: bool,
    /// Only say whether it could be done.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    connect: ConnectArgs,
}

pub(super) async fn run(args: CreateArgs) -> anyhow::Result<()> {
    let placed = args.assign.as_deref().map(assignments).transpose().map_err(anyhow::Error::msg);
    let placed = placed.context("--assign")?.unwrap_or_default();
    let topics: Vec<NewTopic> = args
        .names
        .iter()
        .map(|name| NewTopic {
            name: name.clone(),
            partitions: args.partitions,
            replication_factor: args.replication_factor,
            assignments: placed.clone(),
            configs: args.configs.clone(),
        })
        .collect();
    let admin = Admin::new(args.connect.connect().await?);
    let created = admin.create_topics(&topics, args.dry_run).await?;
    let mut failed = Vec::new();
    let mut made = Vec::new();
    for (name, outcome) in created {
        match outcome {
            Ok(topic) => {
                let partitions = output::count(usize::try_from(topic.partitions).unwrap_or(0), "partition");
                if !args.output.is_json() {
                    let verb = if args.dry_run { "could be created" } else { "created" };
                    output::line(&format!("{name}: {verb}, {partitions}, id {}", topic.id))?;
                }
                made.push(json!({"topic": name, "id": topic.id.to_string(), "partitions": topic.partitions,
                    "replication_factor": topic.replication_factor}));
            }
            Err(error) if error.code == ErrorCode::TopicAlreadyExists && args.if_not_exists => {
                if !args.output.is_json() {
                    output::line(&format!("{name}: exists already"))?;
                }
            }
            Err(error) => failed.push(format!("{name}: {}", explain(&error, &args.configs))),
        }
    }
    if args.output.is_json() {
        output::json(&made.into())?;
    }
    if !failed.is_empty() {
        bail!("{}", failed.join("\n       "));
    }
    Ok(())
}

/// The refusal, and what to do about it where that is known.
pub(super) fn explain(error: &ApiError, configs: &[(String, String)]) -> String {
    let hint = match error.code {
        ErrorCode::TopicAlreadyExists => Some("--if-not-exists makes that no failure".to_owned()),
        ErrorCode::InvalidReplicationFactor => Some("`ottla cluster info` shows the brokers".to_owned()),
        ErrorCode::InvalidTopicException => {
            Some("names have 1 to 249 letters, digits, '.', '_' and '-'".to_owned())
        }
        ErrorCode::InvalidConfig => config_hint(configs),
        _ => None,
    };
    match hint {
        Some(hint) => format!("{error}; {hint}"),
        None => error.to_string(),
    }
}

/// Which of the settings the broker cannot have liked.
fn config_hint(configs: &[(String, String)]) -> Option<String> {
    configs.iter().find_map(|(key, value)| match settings::topic::validate(key, value) {
        Err(settings::InvalidSetting::UnknownKey { .. }) => Some(match settings::broker::lookup(key) {
            Some(_) => {
                format!("{key} is a broker's setting; `ottla config keys --topic` lists those of topics")
            }
            None => format!("{key} is no setting; `ottla config keys --topic` lists them"),
        }),
        Err(invalid) => Some(invalid.to_string()),
        Ok(()) => None,
    })
}
