//! Groups of the consumer protocol (KIP-848): the coordinator assigns, members only heartbeat.
//!
//! Three epochs: the group's counts changes of members, subscriptions and topics; the target's says for which of
//! them it was computed; a member's says how far it has come. A member is given a partition only when nobody
//! holds it any more, and gives up before it is given, so that every partition has at most one owner at any time
//! and nobody waits who need not. All of it is in records; only timers are soft.
//!
//! Rules: Kafka's `GroupMetadataManager`, `CurrentAssignmentBuilder`, `TargetAssignmentBuilder`; KIP-848,
//! KIP-1101 (digest of topics), KIP-1263 (assignment interval).

pub mod assignor;
mod classic;
mod describe;
mod draft;
mod heartbeat;
mod leave;
mod member;
mod migrate;
mod offsets;
mod reconcile;
mod request;
mod state;
mod subscription;
mod target;
#[cfg(test)]
mod tests;

pub(in crate::group) use classic::{
    heartbeat as classic_heartbeat, join as classic_join, leave as classic_leave, sync as classic_sync,
};
pub(in crate::group) use draft::Draft;
pub(in crate::group) use heartbeat::{heartbeat, validate};
pub(in crate::group) use leave::{find_leaver, leave_static, remove_members, reply as leave_reply};
pub use member::{Member, MemberState, Owned};
pub(in crate::group) use migrate::{downgrade, may_downgrade, upgrade};
pub use request::{
    Described, DescribedMember, HeartbeatReply, HeartbeatRequest, JOIN_EPOCH, LEAVE_EPOCH,
    LEAVE_STATIC_EPOCH, Partitions,
};
pub use state::{Group, State};
pub(in crate::group) use target::compute_target;
