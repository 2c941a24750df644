//! Which brokers hold which replicas.
