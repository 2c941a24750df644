//! Connections, admin, produce and consume for tools, brokers and the operator.
