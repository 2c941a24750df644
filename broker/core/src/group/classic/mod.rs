//! Groups of the classic protocol: members join, one of them leads and assigns, all sync.
//!
//! What lasts (the generation with its members and assignments) is one record, written when the leader's
//! assignment arrives, when the group becomes empty and when a static member is replaced; the group is rebuilt
//! from it. Everything else (who waits, who is pending, votes) is soft: handlers change it at once, and a reload
//! forgets it, after which members rejoin as they do when a coordinator moves.
//!
//! Invariants: those of [`Group`]; a generation has one leader and one assignment; a request waits in exactly
//! one place and is answered exactly once. Rules: Kafka's `GroupMetadataManager` and `ClassicGroup`, KIP-134
//! (initial delay), KIP-345 (static members), KIP-394 (known member ids), KIP-389 (`group.max.size`).

mod describe;
mod expiry;
mod heartbeat;
mod join;
mod leave;
mod load;
mod member;
mod offsets;
mod rebalance;
mod request;
mod state;
mod sync;
#[cfg(test)]
mod tests;

pub use describe::{Described, DescribedMember};
pub use join::StoredReplacement;
pub use member::Member;
pub use request::{
    Client, HeartbeatRequest, JoinReply, JoinRequest, JoinedMember, LeaveRequest, Leaver, Left, SyncReply,
    SyncRequest,
};
pub use state::{Group, State};
pub use sync::StoredAssignment;
