//! `ottla group`: consumer groups and how far they are.

mod describe;
mod reset;
mod target;

use crate::args::{ConnectArgs, OutputArgs};
use crate::output::{self, Table};
use anyhow::bail;
use clap::{Args, Subcommand};
use ottla_client::Admin;
use ottla_types::TopicPartition;
use serde_json::json;

#[derive(Debug, Args)]
pub(crate) struct GroupArgs {
    #[command(subcommand)]
    command: GroupCommand,
}

#[derive(Debug, Subcommand)]
enum GroupCommand {
    /// All groups.
    #[command(visible_alias = "ls")]
    List(ListArgs),
    /// Offsets and lag of a group, or its members.
    Describe(describe::DescribeArgs),
    /// Move a group's committed offsets. Shows what it would do unless --execute is given.
    ResetOffsets(Box<reset::ResetArgs>),
    /// Delete groups that have no members, with their offsets.
    #[command(visible_alias = "rm")]
    Delete(DeleteArgs),
    /// Forget a group's offsets of topics it does not read any more.
    DeleteOffsets(DeleteOffsetsArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Only groups whose names contain this.
    #[arg(value_name = "TEXT")]
    filter: Option<String>,
    /// Only groups in this state: Stable, Empty, ...
    #[arg(long)]
    state: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Args)]
struct DeleteArgs {
    /// Names of the groups.
    #[arg(required = true, value_name = "GROUP")]
    groups: Vec<String>,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Args)]
struct DeleteOffsetsArgs {
    /// Name of the group.
    group: String,
    /// Topics, or single partitions as TOPIC:0,1.
    #[arg(short, long = "topic", required = true, value_name = "TOPIC[:PARTITIONS]", value_parser = target::selection)]
    topics: Vec<target::Selection>,
    #[command(flatten)]
    connect: ConnectArgs,
}

pub(crate) async fn run(args: GroupArgs) -> anyhow::Result<()> {
    match args.command {
        GroupCommand::List(args) => list(args).await,
        GroupCommand::Describe(args) => describe::run(args).await,
        GroupCommand::ResetOffsets(args) => reset::run(*args).await,
        GroupCommand::Delete(args) => delete(args).await,
        GroupCommand::DeleteOffsets(args) => delete_offsets(args).await,
    }
}

async fn list(args: ListArgs) -> anyhow::Result<()> {
    let admin = Admin::new(args.connect.connect().await?);
    let mut groups = admin.list_groups().await?;
    groups.retain(|group| {
        args.filter.as_ref().is_none_or(|text| group.id.contains(text.as_str()))
            && args.state.as_ref().is_none_or(|state| group.state.eq_ignore_ascii_case(state))
    });
    if args.output.is_json() {
        let list = groups.iter().map(|group| {
            json!({"group": group.id, "type": group.kind, "state": group.state,
                "protocol_type": group.protocol_type, "coordinator": group.coordinator})
        });
        return Ok(output::json(&list.collect())?);
    }
    if groups.is_empty() {
        eprintln!("no groups");
        return Ok(());
    }
    let mut table = Table::new(&["GROUP", "TYPE", "STATE", "COORDINATOR"]);
    for group in groups {
        table.row(vec![group.id, group.kind, group.state, group.coordinator.to_string()]);
    }
    Ok(table.print()?)
}

async fn delete(args: DeleteArgs) -> anyhow::Result<()> {
    let admin = Admin::new(args.connect.connect().await?);
    let mut failed = Vec::new();
    for group in &args.groups {
        match admin.delete_group(group).await {
            Ok(()) => output::line(&format!("{group}: deleted"))?,
            Err(error) => failed.push(error.to_string()),
        }
    }
    if !failed.is_empty() {
        bail!("{}", failed.join("\n       "));
    }
    Ok(())
}

async fn delete_offsets(args: DeleteOffsetsArgs) -> anyhow::Result<()> {
    let admin = Admin::new(args.connect.connect().await?);
    let committed = admin.group_offsets(&args.group).await?;
    let chosen = |at: &&TopicPartition| args.topics.iter().any(|selection| selection.has(at));
    let partitions: Vec<TopicPartition> = committed.keys().filter(chosen).cloned().collect();
    if partitions.is_empty() {
        bail!(
            "group {:?} has no offsets there; `ottla group describe {}` shows them",
            args.group,
            args.group
        );
    }
    admin.delete_group_offsets(&args.group, &partitions).await?;
    Ok(output::line(&format!("{}: {} forgotten", args.group, output::count(partitions.len(), "offset")))?)
}
