//! `ottla topic list`

use crate::args::{ConnectArgs, OutputArgs};
use crate::output::{self, Table};
use clap::Args;
use ottla_client::{Admin, TopicDescription};
use serde_json::json;

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only topics whose names contain this.
    #[arg(value_name = "TEXT")]
    filter: Option<String>,
    /// Also the brokers' own topics.
    #[arg(long)]
    internal: bool,
    /// Only names, one a line.
    #[arg(long)]
    names: bool,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    connect: ConnectArgs,
}

pub(super) async fn run(args: ListArgs) -> anyhow::Result<()> {
    let admin = Admin::new(args.connect.connect().await?);
    let wanted = |topic: &TopicDescription| {
        (args.internal || !topic.is_internal)
            && args.filter.as_ref().is_none_or(|text| topic.name.contains(text.as_str()))
    };
    let topics: Vec<_> = admin.list_topics().await?.into_iter().filter(wanted).collect();
    if args.output.is_json() {
        let list = topics.iter().map(|topic| {
            json!({"topic": topic.name, "id": topic.id.to_string(), "partitions": topic.partitions.len(),
                "replication_factor": replicas(topic), "internal": topic.is_internal,
                "under_replicated": under_replicated(topic)})
        });
        return Ok(output::json(&list.collect())?);
    }
    if args.names {
        return topics.iter().try_for_each(|topic| Ok(output::line(&topic.name)?));
    }
    if topics.is_empty() {
        eprintln!("no topics{}", if args.internal { "" } else { " (the brokers' own: --internal)" });
        return Ok(());
    }
    let mut table = Table::new(&["TOPIC", "PARTITIONS", "REPLICAS", "UNDER-REPLICATED"]);
    for topic in &topics {
        table.row(vec![
            topic.name.clone(),
            topic.partitions.len().to_string(),
            replicas(topic).to_string(),
            under_replicated(topic).to_string(),
        ]);
    }
    Ok(table.print()?)
}

fn replicas(topic: &TopicDescription) -> usize {
    topic.partitions.iter().map(|partition| partition.replicas.len()).max().unwrap_or(0)
}

fn under_replicated(topic: &TopicDescription) -> usize {
    topic.partitions.iter().filter(|partition| partition.isr.len() < partition.replicas.len()).count()
}
