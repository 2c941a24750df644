//! The broker process: sockets, request handlers and the loops that run core's machines.

mod auto_create;
mod background;
mod broker;
mod cleaner;
pub mod cli;
mod clock;
mod cluster;
pub mod config;
mod founding;
mod groups;
mod handlers;
mod health;
pub mod http;
mod lifecycle;
pub mod logging;
mod metadata;
pub mod metrics;
pub mod net;
mod peers;
mod process_memory;
mod producer_ids;
mod rack;
mod replicas;
mod replicator;
mod rules;
mod start;
mod topic_settings;

pub use broker::Broker;
pub use start::{Running, StartError, run, start};
