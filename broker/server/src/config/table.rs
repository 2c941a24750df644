//! Kafka's settings as far as this crate needs to know them.

/// Key, default (empty for none), whether it is a number.
const KEYS: &[(&str, Option<&str>, bool)] = &[
    ("advertised.listeners", None, false),
    ("auto.create.topics.enable", Some("true"), false),
    ("broker.id", Some("-1"), true),
    ("broker.rack", None, false),
    ("compression.type", Some("producer"), false),
    ("connections.max.idle.ms", Some("600000"), true),
    ("controller.listener.names", None, false),
    ("default.replication.factor", Some("1"), true),
    ("inter.broker.listener.name", None, false),
    ("listener.security.protocol.map", None, false),
    ("listeners", None, false),
    ("log.dir", None, false),
    ("log.dirs", None, false),
    ("log.segment.bytes", Some("1073741824"), true),
    ("max.connections", Some("2147483647"), true),
    ("max.connections.per.ip", Some("2147483647"), true),
    ("max.connections.per.ip.overrides", Some(""), false),
    ("message.max.bytes", Some("1048588"), true),
    ("min.insync.replicas", Some("1"), true),
    ("node.id", None, true),
    ("num.io.threads", Some("8"), true),
    ("num.partitions", Some("1"), true),
    ("process.roles", None, false),
    ("broker.heartbeat.interval.ms", Some("2000"), true),
    ("broker.session.timeout.ms", Some("9000"), true),
    ("fetch.max.bytes", Some("57671680"), true),
    ("log.retention.check.interval.ms", Some("300000"), true),
    ("max.incremental.fetch.session.cache.slots", Some("1000"), true),
    ("producer.id.expiration.ms", Some("86400000"), true),
    ("replica.lag.time.max.ms", Some("30000"), true),
    ("queued.max.request.bytes", Some("-1"), true),
    ("queued.max.requests", Some("500"), true),
    ("socket.listen.backlog.size", Some("50"), true),
    ("socket.receive.buffer.bytes", Some("102400"), true),
    ("socket.request.max.bytes", Some("104857600"), true),
    ("socket.send.buffer.bytes", Some("102400"), true),
];

fn row(key: &str) -> Option<&'static (&'static str, Option<&'static str>, bool)> {
    KEYS.iter().find(|(known, _, _)| *known == key)
}

pub(super) fn is_known(key: &str) -> bool {
    row(key).is_some()
}

pub(super) fn keys() -> impl Iterator<Item = &'static str> {
    KEYS.iter().map(|(key, _, _)| *key)
}

pub(super) fn default_of(key: &str) -> Option<&'static str> {
    row(key).and_then(|(_, default, _)| *default)
}

pub(super) fn validate(key: &str, value: &str) -> Result<(), String> {
    match row(key) {
        Some((_, _, true)) if value.parse::<i64>().is_err() => Err("is not a whole number".to_owned()),
        _ => Ok(()),
    }
}

/// `Some(planned)` if setting it does nothing.
pub(super) fn no_effect(key: &str) -> Option<bool> {
    matches!(key, "num.io.threads" | "queued.max.requests" | "process.roles").then_some(false)
}

/// The broker's name for a topic setting.
pub(super) fn broker_synonym(_key: &str) -> Option<&'static str> {
    None
}
