//! One file for each command.

pub(crate) mod broker;
pub(crate) mod cluster;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod consume;
pub(crate) mod group;
pub(crate) mod log_dump;
pub(crate) mod produce;
pub(crate) mod soak;
pub(crate) mod topic;
