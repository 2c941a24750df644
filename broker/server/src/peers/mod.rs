//! The other brokers: where they are, connections to them, and questions to the active controller.
//!
//! There are two connections to each peer: messages of the quorum must never stand behind a question whose answer
//! waits for the quorum.

pub mod book;
pub mod greet;
pub mod link;
pub mod progress;
pub mod reach;
pub mod wire;

use book::AddressBook;
use bytes::Bytes;
use link::{Link, LinkOptions, LinkState, Lost};
use ottla_core::metadata::{Image, NodeId};
use ottla_protocol::ApiKey;
use ottla_types::BrokerId;
use parking_lot::Mutex;
use reach::Reached;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};
use wire::{Answer, Ask, Hello, Question};

/// Questions under way, so that a peer never stops reading because too many wait there.
const QUESTIONS: usize = 16;

/// The other brokers.
#[derive(Debug)]
pub struct Peers {
    me: BrokerId,
    listener: String,
    cluster_id: OnceLock<String>,
    book: Arc<AddressBook>,
    reached: Arc<Reached>,
    quorum: Mutex<BTreeMap<BrokerId, Link>>,
    questions: Mutex<BTreeMap<BrokerId, Link>>,
    in_flight: Semaphore,
    broken: mpsc::UnboundedSender<BrokerId>,
    runtime: tokio::runtime::Handle,
}

impl Peers {
    /// Nobody is known yet. Must be called on a tokio runtime. The receiver is told of broken connections.
    pub fn new(me: BrokerId, listener: &str) -> (Arc<Self>, mpsc::UnboundedReceiver<BrokerId>) {
        let (broken, receiver) = mpsc::unbounded_channel();
        let peers = Self {
            me,
            listener: listener.to_owned(),
            cluster_id: OnceLock::new(),
            book: Arc::default(),
            reached: Arc::default(),
            quorum: Mutex::default(),
            questions: Mutex::default(),
            in_flight: Semaphore::new(QUESTIONS),
            broken,
            runtime: tokio::runtime::Handle::current(),
        };
        (Arc::new(peers), receiver)
    }

    /// Where they are.
    pub fn book(&self) -> &AddressBook {
        &self.book
    }

    /// This broker belongs to that cluster from now on.
    pub fn belong_to(&self, cluster_id: &str) {
        let known = self.cluster_id.get_or_init(|| cluster_id.to_owned());
        assert_eq!(known, cluster_id, "a broker belongs to one cluster");
    }

    /// The cluster, once it is known.
    pub fn cluster_id(&self) -> Option<&str> {
        self.cluster_id.get().map(String::as_str)
    }

    /// Takes the registrations.
    pub fn learn(&self, image: &Image) {
        self.book.learn(image, &self.listener);
        let known = self.book.all();
        for links in [&self.quorum, &self.questions] {
            links.lock().retain(|peer, _| known.contains_key(peer));
        }
        self.reached.retain(|address| known.values().any(|known| known == address));
    }

    /// Sends a message of the quorum, or loses it.
    pub fn send_quorum(&self, to: NodeId, message: &[u8]) {
        let Some(cluster_id) = self.cluster_id.get() else { return };
        let body = wire::put_quorum_message(cluster_id, message);
        self.link(&self.quorum, to.broker()).send(ApiKey::PeerQuorum, body);
    }

    /// Connects for the quorum's messages, if that was not begun yet.
    pub fn approach(&self, peer: BrokerId) {
        self.link(&self.quorum, peer);
    }

    /// True if the connection for the quorum's messages broke and is not back.
    pub fn is_down(&self, peer: BrokerId) -> bool {
        self.quorum.lock().get(&peer).is_some_and(|link| link.state() == LinkState::Down)
    }

    /// Asks a broker that its fetches wait no longer: there is something new to ask it.
    pub fn nudge(&self, peer: BrokerId) {
        let body = Bytes::copy_from_slice(&self.me.0.to_be_bytes());
        self.link(&self.questions, peer).send(ApiKey::PeerNudge, body);
    }

    /// Puts a question to a broker.
    ///
    /// # Errors
    /// If there is no answer in time.
    pub async fn ask(&self, peer: BrokerId, question: Question, within: Duration) -> Result<Answer, Lost> {
        let cluster_id = self.cluster_id.get().ok_or(Lost)?.clone();
        self.exchange(peer, ApiKey::PeerAsk, &Ask { cluster_id, question }, within).await
    }

    async fn exchange<A: serde::de::DeserializeOwned>(
        &self,
        peer: BrokerId,
        key: ApiKey,
        question: &impl serde::Serialize,
        within: Duration,
    ) -> Result<A, Lost> {
        let body = wire::to_json(question);
        let exchange = async {
            let _permit = self.in_flight.acquire().await.map_err(|_| Lost)?;
            let link = self.link(&self.questions, peer);
            link.ask(key, body).await
        };
        let answer = tokio::time::timeout(within, exchange).await.map_err(|_| Lost)??;
        wire::from_json(&answer).map_err(|error| {
            tracing::warn!(%peer, %error, "an answer cannot be read");
            Lost
        })
    }

    /// Somebody to ask who leads, another one each time.
    pub fn anybody(&self, turn: usize) -> Option<BrokerId> {
        let others: Vec<_> = self.book.all().into_keys().filter(|id| *id != self.me).collect();
        others.get(turn.checked_rem(others.len())?).copied()
    }

    fn link(&self, links: &Mutex<BTreeMap<BrokerId, Link>>, peer: BrokerId) -> Link {
        let mut links = links.lock();
        let start = || {
            let cluster_id = self.cluster_id().map(str::to_owned);
            let options = LinkOptions {
                peer,
                book: self.book.clone(),
                reached: self.reached.clone(),
                hello: Hello { from: self.me, cluster_id, candidate: None, wants_grant: false },
                broken: self.broken.clone(),
            };
            Link::start(options, &self.runtime)
        };
        links.entry(peer).or_insert_with(start).clone()
    }
}
