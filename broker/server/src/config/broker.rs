//! The configuration as the broker uses it: settings that shape the process, checked against each other.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use ottla_types::BrokerId;

use super::error::ConfigError;
use super::listener::{self, Endpoint};
use super::memory::{MemoryBudget, memory_limit_bytes};
use super::settings::{Settings, Sources};
use crate::net::{BoundListener, NetConfig};

const DEFAULT_NODE_ID: i64 = 1;
const DEFAULT_LISTENERS: &str = "PLAINTEXT://127.0.0.1:9092";
const DEFAULT_DATA_DIRECTORY: &str = "./ottla-data";

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One object a line.
    Json,
}

/// Everything the process needs to know before it starts. What can change while it runs, and what topics
/// inherit, is in [`BrokerConfig::settings`].
#[derive(Debug, Clone)]
pub struct BrokerConfig {
    /// This broker (`node.id`, `broker.id`).
    pub node_id: BrokerId,
    /// Where it stands (`broker.rack`).
    pub rack: Option<String>,
    /// File that names the rack, where the settings do not (`ottla.rack.file`).
    pub rack_file: Option<PathBuf>,
    /// Where it listens; never empty.
    pub listeners: Vec<Endpoint>,
    /// What clients are told, one for each listener that clients may use, in the order of `listeners`.
    pub advertised_listeners: Vec<Endpoint>,
    /// The listener over which brokers talk to each other (`inter.broker.listener.name`).
    pub inter_broker_listener: String,
    /// Data directories; never empty, none twice.
    pub log_dirs: Vec<PathBuf>,
    /// Cluster id for directories that have none.
    pub cluster_id: Option<String>,
    /// Where metrics and health are served.
    pub http: Option<Endpoint>,
    /// Limits of the network layer.
    pub net: NetConfig,
    /// Shares of the memory limit.
    pub memory: MemoryBudget,
    /// Form of the log.
    pub log_format: LogFormat,
    /// Level or directives of the log.
    pub log_level: String,
    /// Threads that serve connections; `None`: one for each processor.
    pub worker_threads: Option<usize>,
    /// How long a stop waits for requests in flight.
    pub shutdown_timeout: Duration,
    /// Whether metrics have series for each partition.
    pub partition_metrics: bool,
    /// Topics with series of their own.
    pub metrics_topics_max: usize,
    /// Everything that was set, and the defaults.
    pub settings: Settings,
    /// What was set, as the metadata's settings want it.
    pub static_settings: BTreeMap<String, String>,
}

impl BrokerConfig {
    /// Reads all sources and checks them.
    ///
    /// # Errors
    /// One line about the first mistake found.
    pub fn load(sources: &Sources) -> Result<Self, ConfigError> {
        Self::from_settings(Settings::load(sources)?)
    }

    /// Checks settings against each other.
    ///
    /// # Errors
    /// One line about the first contradiction found.
    pub fn from_settings(settings: Settings) -> Result<Self, ConfigError> {
        let listeners = listeners(&settings)?;
        let advertised_listeners = advertised_listeners(&settings, &listeners)?;
        let memory = memory(&settings);
        classic_groups(&settings)?;
        let worker_threads = settings.count("ottla.worker.threads") as usize;
        Ok(Self {
            node_id: node_id(&settings)?,
            rack: non_empty(settings.get("broker.rack")),
            rack_file: non_empty(settings.get("ottla.rack.file")).map(PathBuf::from),
            inter_broker_listener: inter_broker_listener(&settings, &advertised_listeners)?,
            log_dirs: log_dirs(&settings)?,
            cluster_id: non_empty(settings.get("ottla.cluster.id")),
            http: http(&settings),
            net: net(&settings, memory)?,
            memory,
            log_format: if settings.text("ottla.log.format") == "json" {
                LogFormat::Json
            } else {
                LogFormat::Text
            },
            log_level: settings.text("ottla.log.level").to_owned(),
            worker_threads: (worker_threads > 0).then_some(worker_threads),
            shutdown_timeout: Duration::from_millis(settings.count("ottla.shutdown.timeout.ms")),
            partition_metrics: settings.boolean("ottla.metrics.partitions"),
            metrics_topics_max: settings.count("ottla.metrics.topics.max") as usize,
            listeners,
            advertised_listeners,
            static_settings: settings
                .explicit()
                .map(|(key, value, _)| (key.to_owned(), value.to_owned()))
                .collect(),
            settings,
        })
    }

    /// The same, with the ports really listened on in place of port 0.
    pub fn with_bound_ports(&self, bound: &[BoundListener]) -> Self {
        let mut config = self.clone();
        for endpoint in config.listeners.iter_mut().chain(&mut config.advertised_listeners) {
            if endpoint.port == 0
                && let Some(listener) = bound.iter().find(|listener| listener.name() == endpoint.name)
            {
                endpoint.port = listener.address().port();
            }
        }
        config
    }
}

fn non_empty(value: Option<&str>) -> Option<String> {
    value.filter(|value| !value.is_empty()).map(str::to_owned)
}

/// As Kafka, Ottla always serves the classic protocol.
fn classic_groups(settings: &Settings) -> Result<(), ConfigError> {
    const KEY: &str = "group.coordinator.rebalance.protocols";
    let has_classic = settings.list(KEY).contains(&"classic");
    if has_classic { Ok(()) } else { Err(settings.problem(KEY, "classic cannot be left out")) }
}

fn node_id(settings: &Settings) -> Result<BrokerId, ConfigError> {
    let id = |key| settings.explicit_value(key).and_then(|value| value.parse::<i64>().ok());
    let (node, broker) = (id("node.id"), id("broker.id"));
    if let (Some(node), Some(broker)) = (node, broker)
        && node != broker
    {
        return Err(settings.problem("broker.id", format!("must be the same as node.id, which is {node}")));
    }
    let key = if node.is_some() { "node.id" } else { "broker.id" };
    i32::try_from(node.or(broker).unwrap_or(DEFAULT_NODE_ID))
        .ok()
        .filter(|id| *id >= 0)
        .map(BrokerId)
        .ok_or_else(|| settings.problem(key, "must be between 0 and 2147483647"))
}

fn listeners(settings: &Settings) -> Result<Vec<Endpoint>, ConfigError> {
    let value = settings.explicit_value("listeners").unwrap_or(DEFAULT_LISTENERS);
    let listeners =
        listener::parse_listeners(value).map_err(|reason| settings.problem("listeners", reason))?;
    let map = settings.text("listener.security.protocol.map");
    for Endpoint { name, .. } in &listeners {
        let reason = match listener::protocol_of(name, map) {
            Some("PLAINTEXT") => continue,
            Some(protocol) => format!("listener {name} uses {protocol}; only PLAINTEXT is supported"),
            None => format!("listener {name} has no protocol in listener.security.protocol.map"),
        };
        return Err(settings.problem("listeners", reason));
    }
    Ok(listeners)
}

/// Controllers' listeners are for brokers only: they are not told to clients.
fn advertised_listeners(settings: &Settings, listeners: &[Endpoint]) -> Result<Vec<Endpoint>, ConfigError> {
    const KEY: &str = "advertised.listeners";
    let controllers: BTreeSet<String> =
        settings.list("controller.listener.names").into_iter().map(str::to_ascii_uppercase).collect();
    let explicit = listener::parse_advertised(settings.text(KEY), listeners)
        .map_err(|reason| settings.problem(KEY, reason))?;
    let for_clients = listeners.iter().filter(|listener| !controllers.contains(&listener.name));
    let advertised: Vec<_> = for_clients
        .map(|listener| match explicit.iter().find(|endpoint| endpoint.name == listener.name) {
            Some(endpoint) => endpoint.clone(),
            None => listener::advertise_by_default(listener),
        })
        .collect();
    match advertised.is_empty() {
        true => {
            Err(settings
                .problem("listeners", "every listener is in controller.listener.names; clients need one"))
        }
        false => Ok(advertised),
    }
}

fn inter_broker_listener(settings: &Settings, advertised: &[Endpoint]) -> Result<String, ConfigError> {
    const KEY: &str = "inter.broker.listener.name";
    match non_empty(settings.get(KEY)).map(|name| name.to_ascii_uppercase()) {
        None => Ok(advertised.first().map(|endpoint| endpoint.name.clone()).unwrap_or_default()),
        Some(name) if advertised.iter().any(|endpoint| endpoint.name == name) => Ok(name),
        Some(_) => Err(settings.problem(KEY, "is not the name of a listener that is advertised")),
    }
}

fn log_dirs(settings: &Settings) -> Result<Vec<PathBuf>, ConfigError> {
    let key = if settings.explicit_value("log.dirs").is_some() { "log.dirs" } else { "log.dir" };
    let value = settings.explicit_value(key).unwrap_or(DEFAULT_DATA_DIRECTORY);
    let mut dirs = Vec::new();
    for dir in value.split(',').map(str::trim).filter(|dir| !dir.is_empty()).map(PathBuf::from) {
        if dirs.contains(&dir) {
            return Err(settings.problem(key, format!("{} occurs twice", dir.display())));
        }
        dirs.push(dir);
    }
    match dirs.is_empty() {
        true => Err(settings.problem(key, "at least one data directory is needed")),
        false => Ok(dirs),
    }
}

fn http(settings: &Settings) -> Option<Endpoint> {
    let address = settings.text("ottla.http.listener");
    listener::parse_endpoint(&format!("HTTP://{address}")).ok()
}

fn memory(settings: &Settings) -> MemoryBudget {
    let limit = match settings.count("ottla.memory.bytes") {
        0 => memory_limit_bytes(),
        bytes => bytes,
    };
    let mut memory = MemoryBudget::of_limit(limit);
    if let Ok(bytes @ 1..) = u64::try_from(settings.number("queued.max.request.bytes")) {
        memory.request_bytes = bytes;
    }
    memory
}

fn net(settings: &Settings, memory: MemoryBudget) -> Result<NetConfig, ConfigError> {
    let size = |key: &str| usize::try_from(settings.number(key)).unwrap_or(0);
    // Unset means that the kernel tunes the buffer, which beats Kafka's fixed default.
    let buffer = |key: &str| {
        let bytes = settings.explicit_value(key)?.parse::<usize>().ok()?;
        (bytes > 0).then_some(bytes)
    };
    let idle_ms = settings.number("connections.max.idle.ms");
    Ok(NetConfig {
        max_request_bytes: size("socket.request.max.bytes"),
        request_memory_bytes: memory.request_bytes as usize,
        max_in_flight: size("ottla.network.in.flight.max"),
        idle_timeout: u64::try_from(idle_ms).ok().map(Duration::from_millis),
        slow_sender_timeout: Duration::from_millis(settings.count("ottla.network.slow.sender.ms")),
        max_connections: size("max.connections").max(1),
        max_connections_per_ip: size("max.connections.per.ip"),
        max_connections_per_ip_overrides: per_ip_overrides(settings)?,
        send_buffer_bytes: buffer("socket.send.buffer.bytes"),
        receive_buffer_bytes: buffer("socket.receive.buffer.bytes"),
        backlog: settings
            .explicit_value("socket.listen.backlog.size")
            .and_then(|value| value.parse().ok())
            .unwrap_or(NetConfig::default().backlog),
    })
}

/// `address:limit,...`; host names are looked up once, at start.
fn per_ip_overrides(settings: &Settings) -> Result<BTreeMap<IpAddr, usize>, ConfigError> {
    use std::net::ToSocketAddrs;
    const KEY: &str = "max.connections.per.ip.overrides";
    let mut overrides = BTreeMap::new();
    for entry in settings.list(KEY) {
        let parts =
            entry.rsplit_once(':').and_then(|(host, limit)| Some((host.trim(), limit.trim().parse().ok()?)));
        let Some((host, limit)) = parts else {
            return Err(settings.problem(KEY, format!("{entry:?} is not of the form address:limit")));
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let addresses = (host, 0)
            .to_socket_addrs()
            .map_err(|error| settings.problem(KEY, format!("{host:?} has no address: {error}")))?;
        overrides.extend(addresses.map(|address| (address.ip().to_canonical(), limit)));
    }
    Ok(overrides)
}
