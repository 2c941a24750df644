//! The first screen: what runs, where it is reached, where the data is, how to try it.

use std::fmt::Write;
use std::net::SocketAddr;

use crate::config::BrokerConfig;

/// What the screen needs beside the configuration.
#[derive(Debug, Clone)]
pub struct Banner<'a> {
    /// The broker's configuration.
    pub config: &'a BrokerConfig,
    /// The cluster's id.
    pub cluster_id: &'a str,
    /// Where the HTTP server really listens, if it does.
    pub http: Option<SocketAddr>,
}

/// The text to print once the broker serves.
pub fn banner(banner: &Banner<'_>) -> String {
    let config = banner.config;
    let mut out = format!("Ottla {} is up.\n\n", env!("CARGO_PKG_VERSION"));
    let mut row = |name: &str, value: &str| {
        let _ = writeln!(out, "  {name:<12}{value}");
    };
    let addresses = config.advertised_listeners.iter().map(|endpoint| match endpoint.name.as_str() {
        "PLAINTEXT" => address(&endpoint.host, endpoint.port),
        name => format!("{} ({name})", address(&endpoint.host, endpoint.port)),
    });
    row("clients", &addresses.collect::<Vec<_>>().join(", "));
    if let Some(http) = banner.http {
        row("http", &format!("http://{http}  (/metrics, /livez, /readyz)"));
    }
    let dirs: Vec<_> = config.log_dirs.iter().map(|dir| dir.display().to_string()).collect();
    row("data", &dirs.join(", "));
    row("cluster id", banner.cluster_id);
    row("broker id", &config.node_id.to_string());
    if let Some(first) = config.advertised_listeners.first() {
        let server = address(&first.host, first.port);
        let _ = write!(
            out,
            "\nTry it, with kcat or any Kafka client:\n\n  echo hello | kcat -b {server} -P -t greetings\n  \
             kcat -b {server} -C -t greetings -e\n"
        );
    }
    out
}

fn address(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
