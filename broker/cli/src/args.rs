//! What every command understands, and the list of commands.

use crate::commands;
use clap::{Args, Parser, Subcommand, ValueEnum};
use ottla_client::{Client, ClientError, ClientOptions};
use std::time::Duration;

const EXAMPLES: &str = "\
Try it:
  ottla broker                                    a broker on 127.0.0.1:9092, data in ./ottla-data
  ottla topic create orders --partitions 3        then, in another terminal
  echo 'hello' | ottla produce orders
  ottla consume orders --from-beginning

Any Kafka client works too: kcat -b 127.0.0.1:9092 -L";

/// Ottla, a replicated log that Kafka's clients take for Kafka.
#[derive(Debug, Parser)]
#[command(name = "ottla", version, after_help = EXAMPLES, propagate_version = true, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a broker.
    Broker(commands::broker::BrokerArgs),
    /// Create, list, describe, alter and delete topics.
    #[command(visible_alias = "topics")]
    Topic(commands::topic::TopicArgs),
    /// Send records to a topic.
    Produce(commands::produce::ProduceArgs),
    /// Read records of topics.
    Consume(Box<commands::consume::ConsumeArgs>),
    /// Look at consumer groups, and move or delete their offsets.
    #[command(visible_alias = "groups")]
    Group(commands::group::GroupArgs),
    /// Look at and change settings of topics and brokers.
    Config(commands::config::ConfigArgs),
    /// Look into the files of a data directory.
    Log(commands::log_dump::LogArgs),
    /// Look at the cluster.
    Cluster(commands::cluster::ClusterArgs),
    /// Send records steadily and prove that none is lost, whatever happens meanwhile.
    Soak(commands::soak::SoakArgs),
    /// Print a completion script for your shell.
    Completions(commands::completions::CompletionsArgs),
}

/// Which cluster.
#[derive(Debug, Args)]
pub(crate) struct ConnectArgs {
    /// Brokers to ask first, as host:port, separated by commas.
    #[arg(
        short,
        long,
        visible_alias = "bootstrap-server",
        env = "OTTLA_BOOTSTRAP",
        default_value = "127.0.0.1:9092",
        value_name = "HOST:PORT",
        help_heading = "Connection"
    )]
    bootstrap: String,
    /// Seconds to wait for a broker's answer.
    #[arg(long, default_value_t = 30, value_name = "SECONDS", help_heading = "Connection")]
    request_timeout: u64,
}

impl ConnectArgs {
    pub(crate) async fn connect(&self) -> Result<Client, ClientError> {
        let timeout = Duration::from_secs(self.request_timeout.max(1));
        let options = ClientOptions {
            client_id: "ottla-cli".to_owned(),
            connect_timeout: timeout.min(Duration::from_secs(10)),
            request_timeout: timeout,
            retry_timeout: timeout,
            ..ClientOptions::default()
        };
        Client::connect(&self.bootstrap, options).await
    }
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Text,
    /// For programs.
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct OutputArgs {
    /// How to print the result.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
}

impl OutputArgs {
    pub(crate) fn is_json(&self) -> bool {
        self.output == Output::Json
    }
}

/// Reads `key=value`.
pub(crate) fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.to_owned())),
        _ => Err("must be of the form key=value".to_owned()),
    }
}
