//! `ottla topic`: making, looking at, changing and deleting topics.

mod alter;
mod create;
mod delete;
mod describe;
mod list;

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct TopicArgs {
    #[command(subcommand)]
    command: TopicCommand,
}

#[derive(Debug, Subcommand)]
enum TopicCommand {
    /// Make topics.
    Create(create::CreateArgs),
    /// Names and sizes of all topics.
    #[command(visible_alias = "ls")]
    List(list::ListArgs),
    /// Partitions, leaders, replicas and settings of topics.
    Describe(describe::DescribeArgs),
    /// Add partitions, or change settings.
    Alter(alter::AlterArgs),
    /// Delete topics with all their records.
    #[command(visible_alias = "rm")]
    Delete(delete::DeleteArgs),
    /// Delete the oldest records of partitions.
    Trim(delete::TrimArgs),
}

pub(crate) async fn run(args: TopicArgs) -> anyhow::Result<()> {
    match args.command {
        TopicCommand::Create(args) => create::run(args).await,
        TopicCommand::List(args) => list::run(args).await,
        TopicCommand::Describe(args) => describe::run(args).await,
        TopicCommand::Alter(args) => alter::run(args).await,
        TopicCommand::Delete(args) => delete::run(args).await,
        TopicCommand::Trim(args) => delete::trim(args).await,
    }
}

/// Reads `1,2;2,3`: brokers of each partition, partitions separated by semicolons.
fn assignments(text: &str) -> Result<Vec<Vec<i32>>, String> {
    let broker = |id: &str| id.trim().parse::<i32>().map_err(|_| format!("{id:?} is not a broker id"));
    let partition = |brokers: &str| brokers.split(',').map(broker).collect::<Result<Vec<_>, _>>();
    text.split(';').map(partition).collect()
}

#[cfg(test)]
mod tests {
    use super::assignments;

    #[test]
    fn assignments_name_the_brokers_of_each_partition() {
        assert_eq!(assignments("1,2; 2,3"), Ok(vec![vec![1, 2], vec![2, 3]]));
        assert_eq!(assignments("1,a"), Err("\"a\" is not a broker id".to_owned()));
    }
}
