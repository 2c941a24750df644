//! This broker's place among the others: how it comes to a cluster, and the answers it gives to other brokers.

pub mod discover;
pub mod gate;
pub mod isolation;
pub mod let_go;
pub mod promise;
pub mod targets;

use crate::broker::Broker;
use crate::groups::lag;
use crate::metadata::Metadata;
use crate::net::{Request, Response};
use crate::peers::Peers;
use crate::peers::progress::{PROBES, Progress, ProgressAsk};
use crate::peers::wire::{self, Answer, Ask, Hello, HelloAnswer, Question, Said};
use crate::replicas::watch::Watch;
use bytes::{BufMut, Bytes, BytesMut};
use discover::Standing;
use isolation::Isolation;
use let_go::LetGo;
use ottla_protocol::ApiKey;
use ottla_types::{BrokerEpoch, BrokerId, ErrorCode};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// How long the election of new leaders in place of a dead broker's may take.
const ELECTION: Duration = Duration::from_millis(700);

/// This broker's place among the others.
#[derive(Debug)]
pub struct Cluster {
    me: BrokerId,
    /// The listener that brokers use; what is for brokers is answered on no other.
    listener: String,
    /// The other brokers.
    pub peers: Arc<Peers>,
    /// What it says of itself while it looks for a cluster.
    pub standing: Standing,
    metadata: OnceLock<Arc<Metadata>>,
    epoch: AtomicI64,
    /// It is on its way out: from here on every heartbeat says so.
    pub leaving: AtomicBool,
    /// Whether it may stop without a permit.
    pub let_go: LetGo,
    /// The last heartbeat said that there is no room on a disk.
    pub is_full: AtomicBool,
    /// Wakes the task that sends heartbeats.
    pub heartbeat: Notify,
    /// Whether heartbeats are answered.
    pub isolation: Isolation,
    /// What is new for each follower's stream of fetches.
    watches: Mutex<BTreeMap<BrokerId, Arc<Watch>>>,
    /// Brokers whose connection broke, and when.
    suspects: Mutex<BTreeMap<BrokerId, Instant>>,
    /// Connections through which other brokers speak.
    spoken: Mutex<BTreeSet<u64>>,
}

impl Cluster {
    /// A broker that belongs to no cluster yet.
    pub fn new(me: BrokerId, listener: &str, peers: Arc<Peers>) -> Self {
        Self {
            me,
            listener: listener.to_owned(),
            peers,
            standing: Standing::default(),
            metadata: OnceLock::new(),
            epoch: AtomicI64::new(BrokerEpoch::NONE.0),
            leaving: AtomicBool::new(false),
            let_go: LetGo::default(),
            is_full: AtomicBool::new(false),
            heartbeat: Notify::new(),
            isolation: Isolation::default(),
            watches: Mutex::default(),
            suspects: Mutex::default(),
            spoken: Mutex::default(),
        }
    }

    /// The metadata node runs from now on.
    pub fn attach(&self, metadata: Arc<Metadata>) {
        // It is attached once, where the broker starts.
        let _ = self.metadata.set(metadata);
    }

    /// This broker's registration; `NONE` before there is one.
    pub fn epoch(&self) -> BrokerEpoch {
        BrokerEpoch(self.epoch.load(Ordering::Acquire))
    }

    /// It is registered so from now on.
    pub fn set_epoch(&self, epoch: BrokerEpoch) {
        self.epoch.store(epoch.0, Ordering::Release);
    }

    /// An append found no room: the controller hears of it at once.
    pub fn found_full(&self) {
        if !self.is_full.load(Ordering::Acquire) {
            self.heartbeat.notify_one();
        }
    }

    /// The connection to a broker broke.
    pub fn suspect(&self, peer: BrokerId) {
        self.suspects.lock().insert(peer, Instant::now());
    }

    /// A client that lost its connection to a leader asks at once who leads now. If this broker has just lost its own
    /// too, the answer waits a little for the election: else the client would be sent back to the dead one.
    pub async fn await_elections(&self, metadata: &Metadata) {
        let mut published = metadata.watch_published();
        loop {
            let until = {
                let image = metadata.image();
                let mut suspects = self.suspects.lock();
                suspects.retain(|id, since| since.elapsed() < ELECTION && image.is_active(*id));
                suspects.values().max().map(|since| *since + ELECTION)
            };
            let Some(until) = until else { return };
            let _ = tokio::time::timeout_at(until.into(), published.changed()).await;
        }
    }

    /// What is new for this follower.
    pub fn watch_of(&self, follower: BrokerId) -> Arc<Watch> {
        self.watches.lock().entry(follower).or_default().clone()
    }

    /// Answers a request of another broker.
    pub async fn answer(self: Arc<Self>, request: Request) -> Response {
        if request.listener() != self.listener {
            return Response::Close;
        }
        self.spoken.lock().insert(request.connection.id);
        let id = request.header.correlation_id;
        match request.header.api_key {
            ApiKey::PeerQuorum => self.quorum_message(request.body),
            ApiKey::PeerNudge => self.nudged(&request.body),
            ApiKey::PeerHello => match wire::from_json::<Hello>(&request.body) {
                Ok(hello) => reply(id, &self.hello(&hello)),
                Err(_) => Response::Close,
            },
            ApiKey::PeerAsk => match wire::from_json::<Ask>(&request.body) {
                Ok(ask) => reply(id, &self.asked(ask).await),
                Err(error) => {
                    // A newer broker asks for what this version does not know.
                    tracing::warn!(%error, peer = %request.peer(), "a broker's question cannot be read");
                    reply(id, &refused(ErrorCode::UnsupportedVersion))
                }
            },
            _ => Response::Close,
        }
    }

    /// A connection ended. If a broker spoke through it, that broker may take this one for dead: it is told otherwise.
    pub fn connection_closed(&self, connection: u64) {
        if self.spoken.lock().remove(&connection) {
            self.heartbeat.notify_one();
        }
    }

    /// Answers how far partitions go.
    pub async fn tell_progress(self: Arc<Self>, broker: Option<Arc<Broker>>, request: Request) -> Response {
        let ask = wire::from_json::<ProgressAsk>(&request.body).ok();
        let ask = ask.filter(|ask| {
            request.listener() == self.listener
                && self.peers.cluster_id() == Some(ask.cluster_id.as_str())
                && ask.probes.len() <= PROBES
        });
        match (broker, ask) {
            (Some(broker), Some(ask)) => {
                let found = lag::look(&broker, ask.probes).await;
                let found: Vec<Option<Progress>> = found.into_iter().map(|(_, progress)| progress).collect();
                reply(request.header.correlation_id, &found)
            }
            _ => Response::Close,
        }
    }

    fn quorum_message(&self, body: Bytes) -> Response {
        let (Some(metadata), Some(cluster_id)) = (self.metadata.get(), self.peers.cluster_id()) else {
            // It is sent again.
            return Response::None;
        };
        match wire::take_quorum_message(body, cluster_id) {
            Some(message) => {
                metadata.step(message);
                Response::None
            }
            None => Response::Close,
        }
    }

    fn nudged(&self, body: &[u8]) -> Response {
        if let Ok(id) = body.try_into() {
            let follower = BrokerId(i32::from_be_bytes(id));
            let is_known =
                self.metadata.get().is_some_and(|metadata| metadata.image().broker(follower).is_some());
            if is_known {
                self.watch_of(follower).nudge();
            }
        }
        Response::None
    }

    fn hello(&self, hello: &Hello) -> HelloAnswer {
        let (granted, candidate) = self.standing.answer(self.me, hello);
        let controller = self.metadata.get().and_then(|metadata| metadata.controller().node);
        HelloAnswer {
            node: self.me,
            cluster_id: self.peers.cluster_id().map(str::to_owned),
            candidate,
            granted,
            leader: controller.map(|node| node.broker()),
            addresses: self.peers.book().all(),
        }
    }

    async fn asked(&self, ask: Ask) -> Answer {
        let Some(metadata) = self.metadata.get() else { return refused(ErrorCode::NotController) };
        if self.peers.cluster_id() != Some(ask.cluster_id.as_str()) {
            return refused(ErrorCode::InconsistentClusterId);
        }
        let said = match ask.question {
            Question::Control(request) => match metadata.submit_here(*request).await {
                Ok(reply) => Said::Control(Box::new(reply)),
                Err(code) => Said::Failed(code),
            },
            Question::QuorumStatus if metadata.controller().is_local => match metadata.status_here().await {
                Some(status) => Said::Status(status),
                None => Said::Failed(ErrorCode::NotController),
            },
            Question::QuorumStatus => Said::Failed(ErrorCode::NotController),
            Question::ChangeMembership(change) => match metadata.change_membership_here(change).await {
                Ok(()) => Said::Done,
                Err(code) => Said::Failed(code),
            },
        };
        let leader = metadata.controller().node.map(|node| node.broker());
        Answer { said, offset: metadata.image().offset(), leader }
    }
}

fn refused(code: ErrorCode) -> Answer {
    Answer { said: Said::Failed(code), offset: 0, leader: None }
}

fn reply(correlation_id: i32, body: &impl serde::Serialize) -> Response {
    let body = wire::to_json(body);
    let mut frame = BytesMut::with_capacity(8 + body.len());
    frame.put_i32(i32::try_from(4 + body.len()).unwrap_or(i32::MAX));
    frame.put_i32(correlation_id);
    frame.put_slice(&body);
    Response::bytes(frame.freeze())
}

/// True for what brokers say to each other.
pub fn is_for_brokers(key: ApiKey) -> bool {
    matches!(
        key,
        ApiKey::PeerHello | ApiKey::PeerQuorum | ApiKey::PeerAsk | ApiKey::PeerNudge | ApiKey::PeerProgress
    )
}
