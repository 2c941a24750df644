//! `ottla config`: settings of topics, brokers and groups.

use crate::args::{ConnectArgs, OutputArgs, key_value};
use crate::output::{self, Table};
use anyhow::bail;
use clap::{Args, Subcommand};
use ottla_client::{Admin, AlterOp, ConfigEntry, ConfigResource, ResourceKind};
use ottla_types::settings::{self, Effect, Setting, UpdateMode};
use serde_json::{Value, json};

const EXAMPLES: &str = "\
Examples:
  ottla config get topic/orders                  what was set for it
  ottla config get topic/orders --all            with everything it inherits
  ottla config get broker/1 log.retention.ms
  ottla config set topic/orders retention.ms=86400000
  ottla config set brokers log.retention.ms=86400000     the default of all brokers
  ottla config delete topic/orders retention.ms
  ottla config keys --topic retention            what settings there are";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Show settings.
    Get(GetArgs),
    /// Change settings.
    Set(SetArgs),
    /// Take settings back to what they would be if nobody had set them.
    Delete(DeleteArgs),
    /// List the settings there are and what they mean. Needs no broker.
    Keys(KeysArgs),
}

const RESOURCE: &str =
    "topic/NAME, broker/ID, brokers (the default of all), group/NAME, or client-metrics/NAME";

#[derive(Debug, Args)]
struct GetArgs {
    #[arg(help = RESOURCE, value_name = "RESOURCE", value_parser = resource)]
    resource: ConfigResource,
    /// Only these keys.
    #[arg(value_name = "KEY")]
    keys: Vec<String>,
    /// Also what is inherited or a default.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Args)]
struct SetArgs {
    #[arg(help = RESOURCE, value_name = "RESOURCE", value_parser = resource)]
    resource: ConfigResource,
    /// Settings.
    #[arg(required = true, value_name = "KEY=VALUE", value_parser = key_value)]
    settings: Vec<(String, String)>,
    /// Only say whether it could be done.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Args)]
struct DeleteArgs {
    #[arg(help = RESOURCE, value_name = "RESOURCE", value_parser = resource)]
    resource: ConfigResource,
    /// Keys.
    #[arg(required = true, value_name = "KEY")]
    keys: Vec<String>,
    /// Only say whether it could be done.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Args)]
struct KeysArgs {
    /// Only keys that contain this.
    #[arg(value_name = "TEXT")]
    filter: Option<String>,
    /// Settings of topics, not of brokers.
    #[arg(long)]
    topic: bool,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) async fn run(args: ConfigArgs) -> anyhow::Result<()> {
    match args.command {
        ConfigCommand::Get(args) => get(args).await,
        ConfigCommand::Set(args) => {
            let changes = args.settings.into_iter().map(|(key, value)| (key, AlterOp::Set(value))).collect();
            alter(&args.connect, &args.resource, changes, args.dry_run).await
        }
        ConfigCommand::Delete(args) => {
            let changes = args.keys.into_iter().map(|key| (key, AlterOp::Delete)).collect();
            alter(&args.connect, &args.resource, changes, args.dry_run).await
        }
        ConfigCommand::Keys(args) => keys(&args),
    }
}

/// Reads `topic/orders` and the like.
fn resource(text: &str) -> Result<ConfigResource, String> {
    let named = |kind, name: &str| ConfigResource { kind, name: name.to_owned() };
    match text.split_once('/') {
        None if text == "brokers" => Ok(named(ResourceKind::Broker, "")),
        Some(("topic", name)) if !name.is_empty() => Ok(named(ResourceKind::Topic, name)),
        Some(("broker", id)) if id.parse::<i32>().is_ok() => Ok(named(ResourceKind::Broker, id)),
        Some(("broker", _)) => Err("a broker goes by its id: broker/1".to_owned()),
        Some(("group", name)) if !name.is_empty() => Ok(named(ResourceKind::Group, name)),
        Some(("client-metrics", name)) if !name.is_empty() => Ok(named(ResourceKind::ClientMetrics, name)),
        _ => Err(format!("must be {RESOURCE}")),
    }
}

async fn get(args: GetArgs) -> anyhow::Result<()> {
    let admin = Admin::new(args.connect.connect().await?);
    let keys = (!args.keys.is_empty()).then_some(args.keys.as_slice());
    let mut entries = admin.describe_configs(&args.resource, keys, args.output.is_json()).await?;
    if let Some(unknown) = args.keys.iter().find(|key| entries.iter().all(|entry| &entry.key != *key)) {
        bail!("{unknown} is not a setting of that; `ottla config keys` lists them");
    }
    let all = args.all || !args.keys.is_empty();
    let of_brokers = args.resource.kind == ResourceKind::Broker;
    let set_for_all = |entry: &ConfigEntry| of_brokers && entry.source == "DYNAMIC_DEFAULT_BROKER_CONFIG";
    entries.retain(|entry| {
        all || entry.is_set() || set_for_all(entry) || entry.source == "STATIC_BROKER_CONFIG"
    });
    if args.output.is_json() {
        return Ok(output::json(&entries.iter().map(as_json).collect())?);
    }
    if entries.is_empty() {
        eprintln!("nothing was set; --all shows what is inherited");
        return Ok(());
    }
    let mut table = Table::new(&["KEY", "VALUE", "SOURCE"]);
    for entry in entries {
        let value = match entry.value {
            _ if entry.is_sensitive => "(hidden)".to_owned(),
            Some(value) => value,
            None => "-".to_owned(),
        };
        table.row(vec![entry.key, value, entry.source.to_owned()]);
    }
    Ok(table.print()?)
}

fn as_json(entry: &ConfigEntry) -> Value {
    let synonyms: Vec<_> = entry
        .synonyms
        .iter()
        .map(|synonym| json!({"key": synonym.key, "value": synonym.value, "source": synonym.source}))
        .collect();
    json!({"key": entry.key, "value": entry.value, "source": entry.source, "read_only": entry.is_read_only,
        "sensitive": entry.is_sensitive, "synonyms": synonyms, "documentation": entry.documentation})
}

async fn alter(
    connect: &ConnectArgs,
    resource: &ConfigResource,
    changes: Vec<(String, AlterOp)>,
    dry_run: bool,
) -> anyhow::Result<()> {
    let admin = Admin::new(connect.connect().await?);
    admin.alter_configs(resource, &changes, dry_run).await?;
    let verb = if dry_run { "could be changed" } else { "changed" };
    Ok(output::line(&format!("{} {verb}", output::count(changes.len(), "setting")))?)
}

fn keys(args: &KeysArgs) -> anyhow::Result<()> {
    let mut rows: Vec<&'static Setting> =
        if args.topic { settings::topic::all().collect() } else { settings::broker::all().collect() };
    rows.retain(|setting| args.filter.as_ref().is_none_or(|text| setting.key.contains(text.as_str())));
    rows.sort_by_key(|setting| setting.key);
    if args.output.is_json() {
        let list = rows.iter().map(|setting| {
            json!({"key": setting.key, "type": format!("{:?}", setting.kind).to_lowercase(),
                "default": setting.default, "dynamic": setting.update != UpdateMode::ReadOnly,
                "effect": format!("{:?}", setting.effect).to_lowercase(), "documentation": setting.doc})
        });
        return Ok(output::json(&list.collect())?);
    }
    for setting in &rows {
        let default = setting.default.map_or("no default".to_owned(), |value| format!("default {value:?}"));
        let effect = match setting.effect {
            Effect::Applied => "",
            Effect::Later => ", not heeded yet",
            Effect::Ignored => ", not heeded",
        };
        output::line(&format!("{} ({default}{effect})\n    {}", setting.key, setting.doc))?;
    }
    if rows.is_empty() {
        bail!("no setting's key contains that");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_are_named_by_kind_and_name() {
        assert_eq!(resource("topic/a.b"), Ok(ConfigResource::topic("a.b")));
        assert_eq!(resource("brokers").map(|resource| resource.name), Ok(String::new()));
        assert_eq!(resource("broker/x"), Err("a broker goes by its id: broker/1".to_owned()));
        assert!(resource("orders").is_err());
    }
}
