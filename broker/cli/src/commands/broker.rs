//! `ottla broker`: runs a broker until it is told to stop.

use clap::Args;
use ottla_server::config::{BrokerConfig, Sources};
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  ottla broker                                        127.0.0.1:9092, data in ./ottla-data
  ottla broker --listen 0.0.0.0:9092 --data-dir /var/lib/ottla
  ottla broker --config server.properties             Kafka's own keys
  ottla broker --set num.partitions=6 --set log.retention.hours=24

Every setting can come from a flag (--set), the environment (OTTLA_LOG_RETENTION_HOURS=24) or the file;
flags go before the environment, the environment before the file. `ottla config keys` lists them all.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct BrokerArgs {
    /// File of settings, in the form of Kafka's server.properties.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A setting, by Kafka's key. Can be given several times.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// Where data is kept (log.dirs); several separated by commas.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// Where clients connect (listeners), as host:port or NAME://host:port.
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
    /// Where metrics and health are served; `none` for nowhere.
    #[arg(long, value_name = "HOST:PORT")]
    http: Option<String>,
    /// Id of this broker (node.id).
    #[arg(long, value_name = "ID")]
    node_id: Option<u32>,
    /// Form of the log on stderr.
    #[arg(long, value_parser = ["text", "json"])]
    log_format: Option<String>,
    /// What is logged: error, warn, info, debug, trace, or directives such as info,ottla_server::net=debug.
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
}

pub(crate) fn run(args: BrokerArgs) -> anyhow::Result<()> {
    let mut sources = Sources::of_process(args.config.clone(), flags(args));
    // That one is for the tools.
    sources.variables.retain(|(name, _)| name != "OTTLA_BOOTSTRAP");
    ottla_server::run(BrokerConfig::load(&sources)?)?;
    Ok(())
}

/// All flags as settings; of two for one key the later counts, so that `--set` goes before the short forms.
fn flags(args: BrokerArgs) -> Vec<String> {
    let listeners = args.listen.map(|listen| {
        let named =
            |one: &str| if one.contains("://") { one.to_owned() } else { format!("PLAINTEXT://{one}") };
        listen.split(',').map(|one| named(one.trim())).collect::<Vec<_>>().join(",")
    });
    let http = args.http.map(|http| if http == "none" { String::new() } else { http });
    let short = [
        ("log.dirs", args.data_dir),
        ("listeners", listeners),
        ("ottla.http.listener", http),
        ("node.id", args.node_id.map(|id| id.to_string())),
        ("ottla.log.format", args.log_format),
        ("ottla.log.level", args.log_level),
    ];
    let short = short.into_iter().filter_map(|(key, value)| Some(format!("{key}={}", value?)));
    short.chain(args.settings).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Wrapper {
        #[command(flatten)]
        args: BrokerArgs,
    }

    #[test]
    fn short_forms_become_settings_and_set_goes_last() {
        let line = ["broker", "--listen", "0.0.0.0:1,INNER://a:2", "--http", "none", "--set", "log.dirs=/b"];
        let args = Wrapper::parse_from(line.into_iter().chain(["--data-dir", "/a"])).args;
        let expected = [
            "log.dirs=/a",
            "listeners=PLAINTEXT://0.0.0.0:1,INNER://a:2",
            "ottla.http.listener=",
            "log.dirs=/b",
        ];
        assert_eq!(flags(args), expected);
    }
}
