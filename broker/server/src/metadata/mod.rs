//! The broker's part in the metadata quorum, as the rest of the broker sees it.
//!
//! One thread runs the quorum and, while this broker is the active controller, the controller ([`node`]). Another
//! brings what was committed to the replicas and then shows it to readers ([`publisher`]), so that whoever sees a
//! partition in the image finds its replica too. Whoever asked for a change is answered after that.

pub mod node;
pub mod publisher;
mod remote;

use crate::peers::Peers;
use arc_swap::ArcSwap;
use node::Event;
use ottla_core::controller::{Reply, Request};
use ottla_core::metadata::{Image, NodeId};
use ottla_core::quorum::{MembershipChange, Status};
use ottla_types::{BrokerId, ErrorCode};
use std::sync::Arc;
use std::sync::mpsc;
use tokio::sync::{oneshot, watch};

/// What is known of the quorum's leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Controller {
    /// The active controller, if one is known.
    pub node: Option<NodeId>,
    /// Its term, Kafka's controller epoch.
    pub term: u64,
    /// It runs here and has caught up with its own log: it answers requests.
    pub is_local: bool,
}

/// Handle to the metadata of the cluster.
#[derive(Debug)]
pub struct Metadata {
    image: ArcSwap<Image>,
    controller: watch::Receiver<Controller>,
    published: watch::Sender<u64>,
    events: mpsc::Sender<Event>,
    me: BrokerId,
    peers: Option<Arc<Peers>>,
}

impl Metadata {
    /// A handle whose parts the two threads were given the other ends of.
    pub fn new(
        me: BrokerId,
        controller: watch::Receiver<Controller>,
        events: mpsc::Sender<Event>,
        peers: Option<Arc<Peers>>,
    ) -> Arc<Self> {
        let (published, _) = watch::channel(0);
        Arc::new(Self { image: ArcSwap::default(), controller, published, events, me, peers })
    }

    /// The metadata as it stands. Keep it for the length of a request only.
    pub fn image(&self) -> Arc<Image> {
        self.image.load_full()
    }

    /// Shows a newer image.
    fn publish(&self, image: Image) {
        let offset = image.offset();
        self.image.store(Arc::new(image));
        self.published.send_replace(offset);
    }

    /// Waits until the published image contains `offset` and the check holds.
    pub async fn wait_until(&self, mut check: impl FnMut(&Image) -> bool) {
        let mut published = self.published.subscribe();
        while !check(&self.image()) {
            if published.changed().await.is_err() {
                return;
            }
        }
    }

    /// Who leads the quorum.
    pub fn controller(&self) -> Controller {
        *self.controller.borrow()
    }

    /// Tells when the quorum's leader changes.
    pub fn watch_controller(&self) -> watch::Receiver<Controller> {
        self.controller.clone()
    }

    /// The broker that clients are told is the controller: every broker takes administrative requests, so the active
    /// controller if it is known, and else this one.
    pub fn controller_for_clients(&self) -> BrokerId {
        self.controller().node.map_or(self.me, NodeId::broker)
    }

    /// Tells when a newer image is shown.
    pub fn watch_published(&self) -> watch::Receiver<u64> {
        self.published.subscribe()
    }

    /// Asks the controller, which must be here.
    ///
    /// # Errors
    /// `NotController` if it is not, or stopped being before the answer was safe; then the change may or may not
    /// take place.
    pub async fn submit_here(&self, request: Request) -> Result<Reply, ErrorCode> {
        let (reply, answer) = oneshot::channel();
        if self.events.send(Event::Submit { request, reply }).is_err() {
            return Err(ErrorCode::NotController);
        }
        answer.await.unwrap_or(Err(ErrorCode::NotController))
    }

    /// What this node knows of its quorum.
    pub async fn status_here(&self) -> Option<Status> {
        let (reply, answer) = oneshot::channel();
        self.events.send(Event::Status(reply)).ok()?;
        answer.await.ok()
    }

    /// Changes who takes part in the quorum, which must be led from here; done once it is committed.
    ///
    /// # Errors
    /// `NotController` if it is not, or stopped being.
    pub async fn change_membership_here(&self, change: MembershipChange) -> Result<(), ErrorCode> {
        let (reply, answer) = oneshot::channel();
        if self.events.send(Event::ChangeMembership { change, reply }).is_err() {
            return Err(ErrorCode::NotController);
        }
        answer.await.unwrap_or(Err(ErrorCode::NotController)).map(|_| ())
    }

    /// The connection to another broker broke.
    pub fn peer_lost(&self, peer: BrokerId) {
        let _ = self.events.send(Event::PeerLost(peer));
    }

    /// Hands the leadership of the quorum to another node, if this one has it and another can take it.
    pub fn resign(&self) {
        let _ = self.events.send(Event::Resign);
    }

    /// Hands over a message of another node of the quorum.
    pub fn step(&self, message: bytes::Bytes) {
        // After the node has stopped there is nobody to tell.
        let _ = self.events.send(Event::Message(message));
    }

    /// Stops both threads after what they have begun.
    pub fn stop(&self) {
        let _ = self.events.send(Event::Stop);
    }
}
