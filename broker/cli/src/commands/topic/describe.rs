//! `ottla topic describe`

use crate::args::{ConnectArgs, OutputArgs};
use crate::output::{self, Table};
use anyhow::bail;
use clap::Args;
use ottla_client::{
    Admin, ApiError, ClientError, ConfigEntry, ConfigResource, Isolation, OffsetSpec, PartitionDescription,
    TopicDescription,
};
use serde_json::{Value, json};

#[derive(Debug, Args)]
pub(crate) struct DescribeArgs {
    /// Names of the topics; all if none is given.
    #[arg(value_name = "TOPIC")]
    names: Vec<String>,
    /// Only partitions with fewer replicas in sync than there should be.
    #[arg(long)]
    under_replicated: bool,
    /// Only partitions without a leader.
    #[arg(long)]
    unavailable: bool,
    /// Also the first offset of each partition and that after its last record.
    #[arg(long)]
    offsets: bool,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    connect: ConnectArgs,
}

pub(super) async fn run(args: DescribeArgs) -> anyhow::Result<()> {
    let admin = Admin::new(args.connect.connect().await?);
    let (topics, failed) = found(&admin, &args.names).await?;
    let mut all = Vec::new();
    for mut topic in topics {
        topic.partitions.retain(|partition| {
            (!args.under_replicated || partition.isr.len() < partition.replicas.len())
                && (!args.unavailable || partition.leader < 0)
        });
        if (args.under_replicated || args.unavailable) && topic.partitions.is_empty() {
            continue;
        }
        let configs: Vec<_> = admin
            .describe_configs(&ConfigResource::topic(&topic.name), None, false)
            .await?
            .into_iter()
            .filter(ConfigEntry::is_set)
            .collect();
        let offsets = if args.offsets { Some(offsets(&admin, &topic).await?) } else { None };
        if args.output.is_json() {
            all.push(as_json(&topic, &configs, offsets.as_deref()));
        } else {
            print(&topic, &configs, offsets.as_deref())?;
        }
    }
    if args.output.is_json() {
        output::json(&all.into())?;
    }
    if !failed.is_empty() {
        bail!("{}", failed.join("\n       "));
    }
    Ok(())
}

async fn found(admin: &Admin, names: &[String]) -> Result<(Vec<TopicDescription>, Vec<String>), ClientError> {
    if names.is_empty() {
        return Ok((admin.list_topics().await?, Vec::new()));
    }
    let (mut topics, mut failed) = (Vec::new(), Vec::new());
    for (name, described) in admin.describe_topics(names).await? {
        match described {
            Ok(topic) => topics.push(topic),
            Err(ApiError { code: ottla_types::ErrorCode::UnknownTopicOrPartition, .. }) => {
                failed.push(format!("there is no topic {name:?}; `ottla topic list` shows those there are"));
            }
            Err(error) => failed.push(format!("{name}: {error}")),
        }
    }
    Ok((topics, failed))
}

async fn offsets(admin: &Admin, topic: &TopicDescription) -> Result<Vec<(i64, i64)>, ClientError> {
    let mut offsets = Vec::new();
    for partition in &topic.partitions {
        let ask = |spec| admin.offset(&topic.name, partition.index, spec, Isolation::ReadUncommitted);
        offsets.push((ask(OffsetSpec::Earliest).await?.offset, ask(OffsetSpec::Latest).await?.offset));
    }
    Ok(offsets)
}

fn print(
    topic: &TopicDescription,
    configs: &[ConfigEntry],
    offsets: Option<&[(i64, i64)]>,
) -> std::io::Result<()> {
    let internal = if topic.is_internal { ", internal" } else { "" };
    output::line(&format!("Topic {} (id {}{internal})", topic.name, topic.id))?;
    for config in configs {
        output::line(&format!("  {}={}", config.key, config.value.as_deref().unwrap_or_default()))?;
    }
    let mut headings = vec!["PARTITION", "LEADER", "EPOCH", "REPLICAS", "IN SYNC", "STATE"];
    if offsets.is_some() {
        headings.extend(["FIRST OFFSET", "END OFFSET"]);
    }
    let mut table = Table::new(&headings);
    for (row, partition) in topic.partitions.iter().enumerate() {
        let leader = if partition.leader < 0 { "none".to_owned() } else { partition.leader.to_string() };
        let mut cells = vec![
            partition.index.to_string(),
            leader,
            partition.leader_epoch.to_string(),
            output::ids(&partition.replicas),
            output::ids(&partition.isr),
            state(partition),
        ];
        if let Some((first, end)) = offsets.and_then(|offsets| offsets.get(row)) {
            cells.extend([first.to_string(), end.to_string()]);
        }
        table.row(cells);
    }
    table.print()?;
    output::line("")
}

fn state(partition: &PartitionDescription) -> String {
    if partition.leader < 0 {
        "offline".to_owned()
    } else if partition.isr.len() < partition.replicas.len() {
        "under-replicated".to_owned()
    } else {
        "ok".to_owned()
    }
}

fn as_json(topic: &TopicDescription, configs: &[ConfigEntry], offsets: Option<&[(i64, i64)]>) -> Value {
    let configs: serde_json::Map<String, Value> =
        configs.iter().map(|config| (config.key.clone(), config.value.clone().into())).collect();
    let partitions: Vec<_> = topic
        .partitions
        .iter()
        .enumerate()
        .map(|(row, partition)| {
            let mut value = json!({"partition": partition.index, "leader": partition.leader,
                "leader_epoch": partition.leader_epoch, "replicas": partition.replicas, "isr": partition.isr,
                "offline_replicas": partition.offline});
            if let Some((first, end)) = offsets.and_then(|offsets| offsets.get(row)) {
                value["first_offset"] = (*first).into();
                value["end_offset"] = (*end).into();
            }
            value
        })
        .collect();
    json!({"topic": topic.name, "id": topic.id.to_string(), "internal": topic.is_internal,
        "configs": configs, "partitions": partitions})
}
