//! The broker's configuration: Kafka's `server.properties`, the environment and flags, made one.
//!
//! Sources, strongest first: flags (`key=value`), `OTTLA_...` variables, `KAFKA_...` variables, the file,
//! the defaults. Every key and value is checked before anything starts; the first mistake is reported as
//! one line that names where it stands.
//!
//! Keys are Kafka's. The broker's own begin with `ottla.` (see [`own`]). Environment variables:
//! `OTTLA_LOG_SEGMENT_BYTES` is `log.segment.bytes`, `OTTLA_HTTP_LISTENER` is `ottla.http.listener`.
//! `KAFKA_...` follows Kafka's container images: `_` is a dot, `__` an underscore, `___` a dash;
//! of these, unknown ones are left alone, because those images and Kubernetes set many that are no
//! settings.

mod accessors;
mod broker;
mod environment;
mod error;
mod listener;
mod memory;
mod own;
mod properties;
mod settings;
mod suggest;
mod table;
#[cfg(test)]
mod tests;

pub use broker::{BrokerConfig, LogFormat};
pub use environment::{EnvironmentName, setting_of_variable};
pub use error::{ConfigError, Origin, Problem};
pub use listener::{Endpoint, parse_endpoint};
pub use memory::{MemoryBudget, memory_limit_bytes};
pub use own::{OwnSetting, own_settings};
pub use properties::{Property, PropertyError, parse_properties};
pub use settings::{NoEffect, Settings, Sources};
