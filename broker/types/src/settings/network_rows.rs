//! Listeners, sockets, connections, quotas and metrics.

use super::Importance::{High, Low, Medium};
use super::UpdateMode::{ClusterWide, PerBroker, ReadOnly};
use super::row::{ANY, NONE, at_least, row};
use super::{Kind, Setting, Valid};

pub(super) const ROWS: &[Setting] = &[
    row("advertised.listeners", Kind::List, NONE, ANY, High, ReadOnly)
        .applied("Addresses that clients are told to use, where they differ from the listeners."),
    row("background.threads", Kind::Int, "10", at_least(1), High, ClusterWide)
        .ignored("Threads for background work; Ottla sizes its own."),
    row("client.quota.callback.class", Kind::Class, NONE, ANY, Low, ReadOnly)
        .ignored("Java class that computes quotas."),
    row("connection.failed.authentication.delay.ms", Kind::Int, "100", at_least(0), Low, ReadOnly)
        .later("Wait before a connection that failed to authenticate is closed."),
    row("connections.max.idle.ms", Kind::Long, "600000", ANY, Medium, ReadOnly)
        .applied("Time without a request after which a connection is closed."),
    row("connections.max.reauth.ms", Kind::Long, "0", ANY, Medium, ReadOnly)
        .later("Time after which a client must authenticate again; 0 means never."),
    row("early.start.listeners", Kind::List, NONE, ANY, High, ReadOnly)
        .ignored("Listeners that accept before the broker is ready."),
    row("fetch.max.bytes", Kind::Int, "57671680", at_least(1024), Medium, ReadOnly)
        .applied("Most bytes of one answer to a consumer, unless its first batch alone is larger."),
    row("fetch.purgatory.purge.interval.requests", Kind::Int, "1000", ANY, Medium, ReadOnly)
        .ignored("How often Kafka's list of waiting Fetch requests is cleaned; Ottla's needs none."),
    row("kafka.metrics.polling.interval.secs", Kind::Int, "10", at_least(1), Low, ReadOnly)
        .ignored("How often Kafka's own metrics reporters are asked."),
    row("kafka.metrics.reporters", Kind::List, "", ANY, Low, ReadOnly)
        .ignored("Java classes that report metrics; Ottla serves Prometheus."),
    row(
        "listener.security.protocol.map",
        Kind::String,
        "SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT",
        ANY,
        Low,
        PerBroker,
    )
    .applied("Security protocol of each listener."),
    row("listeners", Kind::List, "PLAINTEXT://:9092", ANY, High, PerBroker)
        .applied("Addresses to listen on, each as NAME://host:port."),
    row("max.connection.creation.rate", Kind::Int, "2147483647", at_least(0), Medium, ClusterWide)
        .ignored("Most new connections in a second."),
    row("max.connections", Kind::Int, "2147483647", at_least(0), Medium, ClusterWide)
        .applied("Most connections at a time."),
    row("max.connections.per.ip", Kind::Int, "2147483647", at_least(0), Medium, ClusterWide)
        .applied("Most connections from one address."),
    row("max.connections.per.ip.overrides", Kind::String, "", ANY, Medium, ClusterWide)
        .applied("Most connections from certain addresses, as address:number."),
    row("max.incremental.fetch.session.cache.slots", Kind::Int, "1000", at_least(0), Medium, ReadOnly)
        .applied("Incremental fetch sessions kept at a time."),
    row("max.request.partition.size.limit", Kind::Int, "2000", at_least(1), Medium, ReadOnly)
        .later("Most partitions in one answer to DescribeTopicPartitions."),
    row("metric.reporters", Kind::List, "org.apache.kafka.common.metrics.JmxReporter", ANY, Low, ClusterWide)
        .ignored("Java classes that report metrics; Ottla serves Prometheus."),
    row("metrics.num.samples", Kind::Int, "2", at_least(1), Low, ReadOnly)
        .ignored("Samples kept for Kafka's metrics."),
    row("metrics.recording.level", Kind::String, "INFO", ANY, Low, ReadOnly)
        .ignored("Which of Kafka's metrics are recorded."),
    row("metrics.sample.window.ms", Kind::Long, "30000", at_least(1), Low, ReadOnly)
        .ignored("Length of a sample of Kafka's metrics."),
    row("num.io.threads", Kind::Int, "8", at_least(1), High, ClusterWide)
        .ignored("Threads for requests; Ottla sizes its own, see ottla.worker.threads."),
    row("num.network.threads", Kind::Int, "3", at_least(1), High, ClusterWide)
        .ignored("Threads for sockets; Ottla sizes its own, see ottla.worker.threads."),
    row(
        "principal.builder.class",
        Kind::Class,
        "org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder",
        ANY,
        Medium,
        PerBroker,
    )
    .ignored("Java class that names who is connected."),
    row("producer.purgatory.purge.interval.requests", Kind::Int, "1000", ANY, Medium, ReadOnly)
        .ignored("How often Kafka's list of waiting Produce requests is cleaned; Ottla's needs none."),
    row("queued.max.request.bytes", Kind::Long, "-1", ANY, Medium, ReadOnly)
        .applied("Memory for requests that are being read or wait."),
    row("queued.max.requests", Kind::Int, "500", at_least(1), High, ReadOnly)
        .ignored("Requests waiting for Kafka's threads; Ottla bounds each connection and the memory of all."),
    row("quota.window.num", Kind::Int, "11", at_least(1), Low, ReadOnly)
        .ignored("Windows kept to measure clients against their quotas."),
    row("quota.window.size.seconds", Kind::Int, "1", at_least(1), Low, ReadOnly)
        .ignored("Length of a window in which clients are measured."),
    row("request.timeout.ms", Kind::Int, "30000", ANY, High, ReadOnly)
        .later("Time a request between brokers may take."),
    row(
        "security.inter.broker.protocol",
        Kind::String,
        "PLAINTEXT",
        Valid::OneOf(&["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]),
        Medium,
        ReadOnly,
    )
    .later("Security protocol of brokers among themselves."),
    row("security.providers", Kind::String, NONE, ANY, Low, ReadOnly)
        .ignored("Java classes that provide cryptography."),
    row("socket.connection.setup.timeout.max.ms", Kind::Long, "30000", ANY, Medium, ReadOnly)
        .later("Longest time to wait for a connection to another broker."),
    row("socket.connection.setup.timeout.ms", Kind::Long, "10000", ANY, Medium, ReadOnly)
        .later("First time to wait for a connection to another broker."),
    row("socket.listen.backlog.size", Kind::Int, "50", at_least(1), Medium, ReadOnly)
        .applied("Connections the system keeps waiting to be accepted."),
    row("socket.receive.buffer.bytes", Kind::Int, "102400", ANY, High, ReadOnly)
        .applied("Receive buffer of a socket; -1 leaves it to the system."),
    row("socket.request.max.bytes", Kind::Int, "104857600", at_least(1), High, ReadOnly)
        .applied("Most bytes of a request."),
    row("socket.send.buffer.bytes", Kind::Int, "102400", ANY, High, ReadOnly)
        .applied("Send buffer of a socket; -1 leaves it to the system."),
    row("ssl.allow.dn.changes", Kind::Boolean, "false", ANY, Low, ReadOnly).later("TLS of listeners."),
    row("ssl.allow.san.changes", Kind::Boolean, "false", ANY, Low, ReadOnly).later("TLS of listeners."),
    row("ssl.cipher.suites", Kind::List, "", ANY, Medium, PerBroker).later("TLS of listeners."),
    row(
        "ssl.client.auth",
        Kind::String,
        "none",
        Valid::OneOf(&["required", "requested", "none"]),
        Medium,
        PerBroker,
    )
    .later("TLS of listeners."),
    row("ssl.enabled.protocols", Kind::List, "TLSv1.2,TLSv1.3", ANY, Medium, PerBroker)
        .later("TLS of listeners."),
    row("ssl.endpoint.identification.algorithm", Kind::String, "https", ANY, Low, PerBroker)
        .later("TLS of listeners."),
    row("ssl.engine.factory.class", Kind::Class, NONE, ANY, Low, PerBroker).later("TLS of listeners."),
    row("ssl.key.password", Kind::Password, NONE, ANY, Medium, PerBroker).later("TLS of listeners."),
    row("ssl.keymanager.algorithm", Kind::String, "SunX509", ANY, Medium, PerBroker)
        .later("TLS of listeners."),
    row("ssl.keystore.certificate.chain", Kind::Password, NONE, ANY, Medium, PerBroker)
        .later("TLS of listeners."),
    row("ssl.keystore.key", Kind::Password, NONE, ANY, Medium, PerBroker).later("TLS of listeners."),
    row("ssl.keystore.location", Kind::String, NONE, ANY, Medium, PerBroker).later("TLS of listeners."),
    row("ssl.keystore.password", Kind::Password, NONE, ANY, Medium, PerBroker).later("TLS of listeners."),
    row("ssl.keystore.type", Kind::String, "JKS", ANY, Medium, PerBroker).later("TLS of listeners."),
    row("ssl.principal.mapping.rules", Kind::String, "DEFAULT", ANY, Low, ReadOnly)
        .later("TLS of listeners."),
    row("ssl.protocol", Kind::String, "TLSv1.3", ANY, Medium, PerBroker).later("TLS of listeners."),
    row("ssl.provider", Kind::String, NONE, ANY, Medium, PerBroker).later("TLS of listeners."),
    row("ssl.secure.random.implementation", Kind::String, NONE, ANY, Low, PerBroker)
        .later("TLS of listeners."),
    row("ssl.trustmanager.algorithm", Kind::String, "PKIX", ANY, Medium, PerBroker)
        .later("TLS of listeners."),
    row("ssl.truststore.certificates", Kind::Password, NONE, ANY, Medium, PerBroker)
        .later("TLS of listeners."),
    row("ssl.truststore.location", Kind::String, NONE, ANY, Medium, PerBroker).later("TLS of listeners."),
    row("ssl.truststore.password", Kind::Password, NONE, ANY, Medium, PerBroker).later("TLS of listeners."),
    row("ssl.truststore.type", Kind::String, "JKS", ANY, Medium, PerBroker).later("TLS of listeners."),
    row("telemetry.max.bytes", Kind::Int, "1048576", at_least(1), Low, ReadOnly)
        .ignored("Most bytes of metrics a client may push."),
];
