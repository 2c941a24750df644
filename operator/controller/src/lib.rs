//! The operator: watches Clusters and Topics, asks Kubernetes and the brokers how things are, and carries out what
//! `ottla-operator-core` decides.
//!
//! A look at a resource is: observe -> validate -> plan -> apply -> status. Everything that a decision rests on is read
//! anew, past every cache. Nothing is remembered between looks but what saves work.

pub mod args;
pub mod brokers;
pub mod cluster;
pub mod context;
pub mod events;
pub mod fault;
pub mod http;
pub mod lease;
pub mod metrics;
mod outcome;
pub mod removal;
pub mod run;
pub mod topics;
pub mod values;
