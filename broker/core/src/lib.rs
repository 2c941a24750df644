//! Every decision of a broker as pure state machines.
//!
//! Nothing here reads a clock, a file, a socket or a random number: time and seeds are arguments, effects are
//! returned as data. The same machines run in the server and in the simulation.

pub mod controller;
pub mod fetch_session;
pub mod group;
pub mod metadata;
pub mod permit;
pub mod placement;
pub mod planted;
pub mod quorum;
pub mod replication;
