//! `listeners` and `advertised.listeners`: `NAME://host:port`, separated by commas.

use std::fmt;

/// A named address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Listener name, upper case.
    pub name: String,
    /// Host name or address; empty for all interfaces. IPv6 without brackets.
    pub host: String,
    /// Port; 0 for any free one.
    pub port: u16,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "{}://[{}]:{}", self.name, self.host, self.port),
            false => write!(f, "{}://{}:{}", self.name, self.host, self.port),
        }
    }
}

/// Reads one `NAME://host:port`.
///
/// # Errors
/// A sentence about what is malformed.
pub fn parse_endpoint(text: &str) -> Result<Endpoint, String> {
    let malformed = || format!("{text:?} is not of the form NAME://host:port");
    let (name, address) = text.trim().split_once("://").ok_or_else(malformed)?;
    let (host, port) = address.rsplit_once(':').ok_or_else(malformed)?;
    let named =
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
    if !named {
        return Err(format!("{name:?} is not a listener name"));
    }
    let port = port.parse().map_err(|_| format!("{port:?} is not a port number (0 to 65535)"))?;
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').ok_or_else(malformed)?,
        None if host.contains(':') => return Err(format!("write the IPv6 address in {text:?} as [address]")),
        None => host,
    };
    Ok(Endpoint { name: name.to_ascii_uppercase(), host: host.to_owned(), port })
}

/// The endpoints of `listeners`: no name and no port twice.
pub(crate) fn parse_listeners(value: &str) -> Result<Vec<Endpoint>, String> {
    let endpoints = parse_list(value)?;
    if endpoints.is_empty() {
        return Err("at least one listener is needed".to_owned());
    }
    for (index, endpoint) in endpoints.iter().enumerate() {
        let same_port = |other: &&Endpoint| {
            other.port == endpoint.port
                && other.port != 0
                && (other.host == endpoint.host || other.host.is_empty())
        };
        if let Some(other) = endpoints[..index].iter().find(same_port) {
            return Err(format!("listeners {} and {} have the same port", other.name, endpoint.name));
        }
    }
    Ok(endpoints)
}

/// The endpoints of `advertised.listeners`: each of a listener, each with a host clients can use.
pub(crate) fn parse_advertised(value: &str, listeners: &[Endpoint]) -> Result<Vec<Endpoint>, String> {
    let endpoints = parse_list(value)?;
    for endpoint in &endpoints {
        if !listeners.iter().any(|listener| listener.name == endpoint.name) {
            return Err(format!("{} is not the name of a listener", endpoint.name));
        }
        if endpoint.host.is_empty() || is_wildcard(&endpoint.host) {
            return Err(format!("{endpoint} is no address that a client can connect to"));
        }
    }
    Ok(endpoints)
}

fn parse_list(value: &str) -> Result<Vec<Endpoint>, String> {
    let mut endpoints: Vec<Endpoint> = Vec::new();
    for text in value.split(',').map(str::trim).filter(|text| !text.is_empty()) {
        let endpoint = parse_endpoint(text)?;
        if endpoints.iter().any(|other| other.name == endpoint.name) {
            return Err(format!("the listener name {} occurs twice", endpoint.name));
        }
        endpoints.push(endpoint);
    }
    Ok(endpoints)
}

/// What is advertised for listeners that `advertised.listeners` leaves out: the listener itself, with
/// this machine's name for a wildcard.
pub(crate) fn advertise_by_default(listener: &Endpoint) -> Endpoint {
    let host = if listener.host.is_empty() || is_wildcard(&listener.host) {
        machine_name()
    } else {
        listener.host.clone()
    };
    Endpoint { host, ..listener.clone() }
}

fn machine_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() || name == "(none)" { "localhost".to_owned() } else { name.to_owned() }
}

fn is_wildcard(host: &str) -> bool {
    host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_unspecified())
}

/// The security protocol of a listener by `listener.security.protocol.map`; names that are protocols
/// stand for themselves.
pub(crate) fn protocol_of<'a>(name: &'a str, map: &'a str) -> Option<&'a str> {
    map.split(',')
        .filter_map(|entry| entry.trim().split_once(':'))
        .find(|(listener, _)| listener.eq_ignore_ascii_case(name))
        .map(|(_, protocol)| protocol)
        .or_else(|| ["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"].contains(&name).then_some(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read_with_names_hosts_and_ports() {
        let text = |value: &str| parse_endpoint(value).map(|endpoint| endpoint.to_string());
        assert_eq!(text("plaintext://localhost:9092").unwrap(), "PLAINTEXT://localhost:9092");
        assert_eq!(text(" A_b://:0 ").unwrap(), "A_B://:0");
        assert_eq!(text("X://[::1]:80").unwrap(), "X://[::1]:80");
        assert_eq!(parse_endpoint("X://[::1]:80").unwrap().host, "::1");
    }

    #[test]
    fn malformed_endpoints_are_explained() {
        for (text, reason) in [
            ("localhost:9092", "is not of the form"),
            ("X://localhost", "is not of the form"),
            ("X://localhost:99999", "is not a port number"),
            ("://localhost:1", "is not a listener name"),
            ("X://::1:80", "IPv6"),
        ] {
            let error = parse_endpoint(text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn listeners_need_different_names_and_ports() {
        assert_eq!(parse_listeners("A://:1,B://:2").unwrap().len(), 2);
        assert_eq!(parse_listeners("A://:0,B://:0").unwrap().len(), 2);
        assert!(parse_listeners("A://:1,A://:2").unwrap_err().contains("twice"));
        assert!(parse_listeners("A://:1,B://:1").unwrap_err().contains("same port"));
        assert!(parse_listeners(" , ").is_err());
    }

    #[test]
    fn advertised_listeners_must_exist_and_be_reachable() {
        let listeners = parse_listeners("A://:1,B://h:2").unwrap();
        assert!(parse_advertised("C://h:1", &listeners).unwrap_err().contains("not the name"));
        assert!(parse_advertised("A://0.0.0.0:1", &listeners).unwrap_err().contains("no address"));
        assert_eq!(parse_advertised("A://h:9", &listeners).unwrap()[0].port, 9);
        assert_eq!(advertise_by_default(&listeners[1]).host, "h");
        assert!(!advertise_by_default(&listeners[0]).host.is_empty());
    }

    #[test]
    fn the_protocol_map_names_a_listeners_protocol() {
        let map = "CONTROLLER:PLAINTEXT, External:SSL";
        assert_eq!(protocol_of("CONTROLLER", map), Some("PLAINTEXT"));
        assert_eq!(protocol_of("EXTERNAL", map), Some("SSL"));
        assert_eq!(protocol_of("SASL_SSL", map), Some("SASL_SSL"));
        assert_eq!(protocol_of("OTHER", map), None);
    }
}
