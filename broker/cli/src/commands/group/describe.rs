//! `ottla group describe`

use crate::args::{ConnectArgs, OutputArgs};
use crate::output::{self, Table};
use clap::Args;
use ottla_client::{Admin, ClientError, CommittedOffset, GroupDescription, Isolation, OffsetSpec};
use ottla_types::TopicPartition;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Args)]
pub(crate) struct DescribeArgs {
    /// Name of the group.
    group: String,
    /// Members and what they read, instead of offsets.
    #[arg(long)]
    members: bool,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// A partition of a group.
struct Row {
    at: TopicPartition,
    committed: Option<i64>,
    end: Option<i64>,
    member: Option<String>,
}

impl Row {
    fn lag(&self) -> Option<i64> {
        Some((self.end? - self.committed?).max(0))
    }
}

pub(super) async fn run(args: DescribeArgs) -> anyhow::Result<()> {
    let admin = Admin::new(args.connect.connect().await?);
    let group = admin.describe_group(&args.group).await?;
    if args.members {
        return members(&group, &args.output);
    }
    let committed = admin.group_offsets(&args.group).await?;
    let rows = rows(&admin, &group, &committed).await?;
    let lag: i64 = rows.iter().filter_map(Row::lag).sum();
    if args.output.is_json() {
        let partitions = rows.iter().map(|row| {
            json!({"topic": row.at.topic, "partition": row.at.partition, "committed_offset": row.committed,
                "end_offset": row.end, "lag": row.lag(), "member": row.member})
        });
        let partitions: Vec<_> = partitions.collect();
        return Ok(output::json(&json!({"group": group.id, "type": group.kind, "state": group.state,
            "assignor": group.assignor, "coordinator": group.coordinator, "members": group.members.len(),
            "lag": lag, "partitions": partitions}))?);
    }
    heading(&group)?;
    output::line(&format!("Lag          {lag}"))?;
    output::line("")?;
    let number = |number: Option<i64>| number.map_or("-".to_owned(), |number| number.to_string());
    let mut table = Table::new(&["TOPIC", "PARTITION", "COMMITTED", "END", "LAG", "MEMBER"]);
    for row in rows {
        let (committed, end, lag) = (number(row.committed), number(row.end), number(row.lag()));
        let member = row.member.unwrap_or_else(|| "-".to_owned());
        table.row(vec![row.at.topic, row.at.partition.to_string(), committed, end, lag, member]);
    }
    Ok(table.print()?)
}

fn heading(group: &GroupDescription) -> std::io::Result<()> {
    output::line(&format!("Group        {} ({})", group.id, group.kind))?;
    output::line(&format!("State        {}", group.state))?;
    output::line(&format!("Coordinator  broker {}", group.coordinator))?;
    let assignor = if group.assignor.is_empty() { "-" } else { &group.assignor };
    output::line(&format!("Members      {}, assignor {assignor}", group.members.len()))
}

/// What is committed and what is read, with the ends of the partitions.
async fn rows(
    admin: &Admin,
    group: &GroupDescription,
    committed: &BTreeMap<TopicPartition, CommittedOffset>,
) -> Result<Vec<Row>, ClientError> {
    let mut readers: BTreeMap<&TopicPartition, &str> = BTreeMap::new();
    for member in &group.members {
        readers.extend(member.assignment.iter().map(|at| (at, member.client_id.as_str())));
    }
    let all: BTreeSet<&TopicPartition> = committed.keys().chain(readers.keys().copied()).collect();
    let mut rows = Vec::new();
    for at in all {
        let end = admin.offset(&at.topic, at.partition, OffsetSpec::Latest, Isolation::ReadUncommitted).await;
        let end = match end {
            Ok(end) => Some(end.offset),
            Err(error) if error.code() == Some(ottla_types::ErrorCode::UnknownTopicOrPartition) => None,
            Err(error) => return Err(error),
        };
        let committed = committed.get(at).map(|committed| committed.offset);
        let member = readers.get(at).map(|client_id| (*client_id).to_owned());
        rows.push(Row { at: at.clone(), committed, end, member });
    }
    Ok(rows)
}

fn members(group: &GroupDescription, args: &OutputArgs) -> anyhow::Result<()> {
    if args.is_json() {
        let list = group.members.iter().map(|member| {
            let assignment: Vec<_> = member
                .assignment
                .iter()
                .map(|at| json!({"topic": at.topic, "partition": at.partition}))
                .collect();
            json!({"member": member.id, "instance_id": member.instance_id, "client_id": member.client_id,
                "host": member.host, "assignment": assignment})
        });
        return Ok(output::json(&list.collect())?);
    }
    heading(group)?;
    output::line("")?;
    let mut table = Table::new(&["MEMBER", "CLIENT", "HOST", "PARTITIONS"]);
    for member in &group.members {
        let mut assignment: Vec<_> = member.assignment.iter().map(ToString::to_string).collect();
        assignment.sort();
        let assignment = if assignment.is_empty() { "-".to_owned() } else { assignment.join(",") };
        table.row(vec![member.id.clone(), member.client_id.clone(), member.host.clone(), assignment]);
    }
    Ok(table.print()?)
}
