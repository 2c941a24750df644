//! Compaction of a log: what stays, what goes, and what a crash may do to it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod basics;
#[path = "../common/mod.rs"]
mod common;
mod crashes;
mod harness;
mod model;
mod producers;
