//! The controller: what the cluster's metadata is to be.
//!
//! A record machine: [`Controller::handle`] looks at the image and returns records and a reply. The records are to be
//! proposed to the quorum, the reply is to be sent once they are committed. The controller goes on with an image that
//! has them already, so that requests need not wait for one another; if they cannot be proposed, or leadership is
//! lost, the controller is thrown away with that image and the next begins with what was committed.
//!
//! What is not in the log (when a broker was last heard of) begins anew with each controller: every broker gets a
//! whole session again. Invariants: what `handle` returns is one atomic batch; all is decided by the image, the
//! arguments and the seed; a refused item leaves no record.

mod alter_configs;
mod alter_partition;
mod configs;
mod describe;
mod directories;
mod draft;
mod elect;
mod error;
mod features;
mod full_disks;
mod group_configs;
mod heartbeat;
pub mod membership;
mod move_away;
mod partition;
mod permits;
mod producer_ids;
mod random;
mod reassign;
mod registration;
mod request;
mod rules;
mod sessions;
mod sweep;
#[cfg(test)]
mod tests;
mod topics;
mod voting;

pub use alter_configs::{AlterConfig, AlterOp, ReplaceConfigs};
pub use alter_partition::{AlteredPartitions, IsrChange, PartitionState};
pub use describe::BrokerSession;
pub use directories::{AssignReplicas, AssignedReplicas};
pub use elect::ElectionType;
pub use error::ApiError;
pub use features::{FeatureUpdate, UpgradeType};
pub use heartbeat::{BrokerHeartbeat, HeartbeatReply};
pub use permits::{AskPermit, LONGEST_PERMIT_MS, PermitAnswer};
pub use reassign::{Reassignment, reassignments};
pub use registration::RegisterBroker;
pub use request::{Outcome, Reply, Request};
pub use rules::Rules;
pub use topics::{Assignment, CreateTopic, CreatedTopic, Deleted, GrowTopic, TopicRef, is_valid_topic_name};

use crate::metadata::{Image, Membership};
use crate::permit::Deadlines;
use draft::Draft;
use random::Random;
use sessions::{Sessions, Shutdown};

/// Between two parts of a balance that does not fit one batch.
const BALANCE_AGAIN_MS: u64 = 1_000;

/// The controller of a term.
#[derive(Debug)]
pub struct Controller {
    /// What was committed when it began, and all that it decided since.
    image: Image,
    rules: Rules,
    sessions: Sessions,
    random: Random,
    permit_deadlines: Deadlines,
    /// When leaders go back to their preferred replicas, monotonic milliseconds.
    balance_at_ms: Option<u64>,
}

impl Controller {
    /// A controller that begins with `image`: everything that was committed before its term.
    #[must_use]
    pub fn new(image: Image, now_ms: u64, rules: Rules) -> Self {
        let mut sessions = Sessions::default();
        for broker in image.brokers().values() {
            sessions.begin(broker.id, broker.epoch, now_ms);
        }
        let random = Random::new(rules.seed);
        let balance_at_ms = rules.balance_interval_ms.map(|interval| now_ms + interval);
        let permit_deadlines = Deadlines::default();
        let mut controller = Self { image, rules, sessions, random, permit_deadlines, balance_at_ms };
        controller.observe_permits(now_ms);
        controller
    }

    /// The image with all that was decided, committed or not.
    #[must_use]
    pub const fn image(&self) -> &Image {
        &self.image
    }

    /// The records of the last outcome are at this offset of the log, if they are committed.
    pub fn appended(&mut self, offset: u64) {
        self.image.set_offset(offset);
        for session in self.sessions.values_mut() {
            if session.shutdown == Shutdown::Begun {
                session.shutdown = Shutdown::At(offset);
            }
        }
    }

    /// This is what was committed and applied. If nothing that the controller decided is missing in it, the controller
    /// goes on with it, so that its own and the broker's image share their memory.
    pub fn committed(&mut self, image: &Image) {
        if image.offset() >= self.image.offset() {
            self.image = image.clone();
        }
    }

    /// The quorum consists of these nodes now.
    pub fn membership_changed(&mut self, membership: Membership) {
        self.image.set_membership(membership);
    }

    /// Decides a request.
    pub fn handle(&mut self, now_ms: u64, request: Request) -> Outcome {
        let outcome = self.dispatch(now_ms, request);
        self.then_end_permits(now_ms, outcome)
    }

    fn dispatch(&mut self, now_ms: u64, request: Request) -> Outcome {
        match request {
            Request::RegisterBroker(request) => self.register_broker(now_ms, request),
            Request::UnregisterBroker { broker, only_if_unused } => {
                self.unregister_broker(broker, only_if_unused)
            }
            Request::BrokerHeartbeat(request) => self.heartbeat(now_ms, &request),
            Request::SuspectBroker { broker, epoch } => {
                self.suspect(now_ms, broker, epoch);
                Outcome::reply(Reply::Done)
            }
            Request::CreateTopics { topics, validate_only } => self.create_topics(topics, validate_only),
            Request::DeleteTopics { topics } => self.delete_topics(topics),
            Request::CreatePartitions { topics, validate_only } => {
                self.create_partitions(topics, validate_only)
            }
            Request::IncrementalAlterConfigs { resources, validate_only } => {
                self.incremental_alter_configs(resources, validate_only)
            }
            Request::AlterConfigs { resources, validate_only } => {
                self.replace_configs(resources, validate_only)
            }
            Request::AlterPartition { broker, epoch, topics } => self.alter_partition(broker, epoch, &topics),
            Request::AssignReplicas(request) => self.assign_replicas(&request),
            Request::ElectLeaders { kind, partitions } => self.elect_leaders(kind, partitions),
            Request::Reassign { moves, allow_replication_factor_change } => {
                self.reassign(moves, allow_replication_factor_change)
            }
            Request::UpdateFeatures { updates, validate_only } => {
                self.update_features(&updates, validate_only)
            }
            Request::CordonBroker { broker, cordoned } => self.cordon(broker, cordoned),
            Request::AskPermit(request) => self.ask_permit(now_ms, &request),
            Request::PermitAll { duration_ms, reason } => self.permit_all(now_ms, duration_ms, &reason),
            Request::ReleasePermit { broker, epoch } => self.release_permit(now_ms, broker, epoch),
            Request::PreferVoter { broker, directory, preference } => {
                self.prefer_voter(broker, directory, preference)
            }
            Request::DescribeSessions => self.describe_sessions(now_ms),
            Request::AllocateProducerIds { broker, epoch } => self.allocate_producer_ids(broker, epoch),
        }
    }

    /// A holder of a permit may be back in every ISR now.
    fn then_end_permits(&mut self, now_ms: u64, mut outcome: Outcome) -> Outcome {
        if !self.image.permits().is_empty() && !outcome.records.is_empty() {
            let mut draft = self.draft();
            self.end_permits(now_ms, &mut draft);
            self.image = draft.image;
            outcome.records.append(&mut draft.records);
            self.observe_permits(now_ms);
        }
        outcome
    }

    /// When [`tick`](Self::tick) should be called next, monotonic milliseconds.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<u64> {
        let unfenced = |id| self.image.broker(id).is_some_and(|broker| !broker.fenced);
        let sessions = self.sessions.iter().filter(|(id, _)| unfenced(*id));
        let sessions = sessions.map(|(_, session)| session.deadline_ms(&self.rules));
        sessions.chain(self.permit_deadlines.poll_timeout()).chain(self.balance_at_ms).min()
    }

    /// Does what is due.
    pub fn tick(&mut self, now_ms: u64) -> Outcome {
        let mut draft = self.draft();
        self.fence_silent(now_ms, &mut draft);
        if let (Some(at), Some(interval)) = (self.balance_at_ms, self.rules.balance_interval_ms)
            && now_ms >= at
        {
            let is_more = self.balance_leaders(&mut draft);
            self.balance_at_ms = Some(now_ms + if is_more { BALANCE_AGAIN_MS } else { interval });
        }
        self.end_permits(now_ms, &mut draft);
        let outcome = self.finish(draft, Reply::Done);
        self.observe_permits(now_ms);
        outcome
    }

    fn draft(&self) -> Draft {
        Draft::new(self.image.clone())
    }

    /// Takes over what was drafted.
    fn finish(&mut self, draft: Draft, reply: Reply) -> Outcome {
        self.image = draft.image;
        Outcome { records: draft.records, reply }
    }
}
