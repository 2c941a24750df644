//! What the operator knows and decides, without a client: the resources, whether they are valid, the objects that a
//! cluster is made of, and the next steps.
//!
//! Everything is a function of its arguments. [`plan::next`] is given all that was observed and says what to do now;
//! at most one step of it takes a broker away. Nothing is remembered but what the resources' status says.

pub mod cluster;
pub mod conditions;
pub mod config;
pub mod fnv;
pub mod names;
pub mod objects;
pub mod observed;
pub mod plan;
pub mod quantity;
pub mod schema;
pub mod status;
pub mod topic;
pub mod topics;
pub mod validate;
