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

mod configs;
mod draft;
mod error;
mod heartbeat;
mod partition;
mod producer_ids;
mod random;
mod registration;
mod request;
mod rules;
mod sessions;
mod sweep;
#[cfg(test)]
mod tests;
mod topics;

pub use error::ApiError;
pub use heartbeat::{BrokerHeartbeat, HeartbeatReply};
pub use registration::RegisterBroker;
pub use request::{Outcome, Reply, Request};
pub use rules::Rules;
pub use topics::{Assignment, CreateTopic, CreatedTopic, TopicRef};

use crate::metadata::{Image, Membership};
use draft::Draft;
use random::Random;
use sessions::{Sessions, Shutdown};

/// The controller of a term.
#[derive(Debug)]
pub struct Controller {
    /// What was committed when it began, and all that it decided since.
    image: Image,
    rules: Rules,
    sessions: Sessions,
    random: Random,
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
        Self { image, rules, sessions, random }
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

    /// The quorum consists of these nodes now.
    pub fn membership_changed(&mut self, membership: Membership) {
        self.image.set_membership(membership);
    }

    /// Decides a request.
    pub fn handle(&mut self, now_ms: u64, request: Request) -> Outcome {
        match request {
            Request::RegisterBroker(request) => self.register_broker(now_ms, request),
            Request::UnregisterBroker { broker } => self.unregister_broker(broker),
            Request::BrokerHeartbeat(request) => self.heartbeat(now_ms, &request),
            Request::SuspectBroker { broker, epoch } => {
                self.suspect(now_ms, broker, epoch);
                Outcome::reply(Reply::Done)
            }
            Request::CreateTopics { topics, validate_only } => self.create_topics(topics, validate_only),
            Request::DeleteTopics { topics } => self.delete_topics(topics),
            Request::AllocateProducerIds { broker, epoch } => self.allocate_producer_ids(broker, epoch),
        }
    }

    /// When [`tick`](Self::tick) should be called next, monotonic milliseconds.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<u64> {
        let unfenced = |id| self.image.broker(id).is_some_and(|broker| !broker.fenced);
        let sessions = self.sessions.iter().filter(|(id, _)| unfenced(*id));
        sessions.map(|(_, session)| session.deadline_ms(&self.rules)).min()
    }

    /// Does what is due.
    pub fn tick(&mut self, now_ms: u64) -> Outcome {
        let mut draft = self.draft();
        self.fence_silent(now_ms, &mut draft);
        self.finish(draft, Reply::Done)
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
