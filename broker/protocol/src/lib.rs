//! Kafka wire framing, headers and the table of API versions.
