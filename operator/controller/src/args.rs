//! What the operator is told.

use crate::fault::DIE_AT_WRITE;
use crate::values::Values;
use clap::{Parser, Subcommand, ValueEnum};

/// Looks after Clusters and Topics of Ottla.
#[derive(Debug, Clone, Parser)]
#[command(name = "ottla-operator", version, max_term_width = 110, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// Something else than looking after them.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// How to look after them.
    #[command(flatten)]
    pub args: Args,
}

/// What else there is.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Apply the resources that a ConfigMap holds.
    Apply(Values),
    /// Delete the resources that a ConfigMap owns, and wait until they are gone.
    Remove(Values),
}

/// How to look after Clusters and Topics.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Namespaces to look after, separated by commas; empty: all.
    #[arg(long, env = "OTTLA_OPERATOR_WATCH_NAMESPACES", value_delimiter = ',', default_value = "")]
    pub watch_namespaces: Vec<String>,
    /// Image of clusters that name none.
    #[arg(long, env = "OTTLA_OPERATOR_BROKER_IMAGE")]
    pub broker_image: Option<String>,
    /// Where metrics and health are served; `none` for nowhere.
    #[arg(long, env = "OTTLA_OPERATOR_HTTP", default_value = "0.0.0.0:8080")]
    pub http: String,
    /// Form of the log on stderr.
    #[arg(long, env = "OTTLA_OPERATOR_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// What is logged: error, warn, info, debug, trace, or directives.
    #[arg(long, env = "OTTLA_OPERATOR_LOG_LEVEL", default_value = "info")]
    pub log_level: String,
    /// Whether to work only while holding the Lease.
    #[arg(
        long,
        env = "OTTLA_OPERATOR_LEADER_ELECT",
        default_value_t = true,
        action = clap::ArgAction::Set,
        num_args = 0..=1,
        default_missing_value = "true"
    )]
    pub leader_elect: bool,
    /// The Lease.
    #[arg(long, env = "OTTLA_OPERATOR_LEASE_NAME", default_value = "ottla-operator")]
    pub lease_name: String,
    /// Where the Lease is.
    #[arg(long, env = "POD_NAMESPACE", default_value = "default")]
    pub lease_namespace: String,
    /// Who holds the Lease; the host's name if not given.
    #[arg(long, env = "POD_NAME")]
    pub identity: Option<String>,
    /// Whether nodes may be read, to tell pods their zone.
    #[arg(
        long,
        env = "OTTLA_OPERATOR_READ_NODES",
        default_value_t = false,
        action = clap::ArgAction::Set,
        num_args = 0..=1,
        default_missing_value = "true"
    )]
    pub read_nodes: bool,
    /// A quiet cluster is looked at again after so many seconds.
    #[arg(long, env = "OTTLA_OPERATOR_RESYNC_SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub resync_seconds: u64,
    /// For tests: the process begins anew right after its Nth write, and then after one more.
    #[arg(long, env = DIE_AT_WRITE, hide = true)]
    pub die_at_write: Option<u64>,
}

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}

impl Args {
    /// Namespaces to look after; none: all.
    #[must_use]
    pub fn namespaces(&self) -> Vec<String> {
        let named = self.watch_namespaces.iter().map(|name| name.trim()).filter(|name| !name.is_empty());
        named.map(str::to_owned).collect()
    }

    /// Where metrics and health are served.
    #[must_use]
    pub fn http(&self) -> Option<&str> {
        Some(self.http.as_str()).filter(|at| *at != "none" && !at.is_empty())
    }

    /// Who this is.
    #[must_use]
    pub fn identity(&self) -> String {
        let host = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
        let named = self.identity.clone().or_else(host).unwrap_or_default();
        format!("{}-{}", named.trim(), std::process::id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_namespace_is_all_of_them() {
        let args = Cli::parse_from(["x", "--broker-image", "i"]).args;
        assert!(args.namespaces().is_empty() && args.leader_elect && !args.read_nodes);
        let line =
            ["x", "--broker-image", "i", "--watch-namespaces", "a, b,", "--http", "none", "--read-nodes"];
        let args = Cli::parse_from(line).args;
        assert_eq!(args.namespaces(), ["a", "b"]);
        assert_eq!(args.http(), None);
        assert!(args.read_nodes);
    }

    #[test]
    fn resources_are_applied_without_any_other_argument() {
        let cli = Cli::parse_from(["x", "apply", "--namespace", "a", "--configmap", "b"]);
        assert!(matches!(cli.command, Some(Command::Apply(_))));
    }
}
