//! The broker process: sockets, request handlers and the loops that run core's machines.

pub mod config;
pub mod net;
