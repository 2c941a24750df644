//! How a broker comes to a cluster: it belongs to one, finds one, or founds one together with others.
//!
//! A broker whose disk is empty greets everybody. If anybody belongs to a cluster, it joins that. If a majority of
//! the configured brokers is there and all of those are empty, the lowest id asks the others for their grants and
//! founds the cluster once a majority of all has granted. Each empty broker has one grant, kept on disk; it takes it
//! back only from a candidate that says that this candidature is over. Invariant: at most one candidature ever has a
//! majority of grants.

use super::promise::{Grant, Promise};
use super::targets::Targets;
use crate::config::BrokerConfig;
use crate::peers::wire::{Hello, HelloAnswer};
use crate::peers::{Peers, greet};
use ottla_types::{BrokerId, Uuid, base64_uuid};
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

/// Between two rounds of greetings.
const ROUND: Duration = Duration::from_millis(25);
/// How long a greeting waits for its answer.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long a member waits for its peers' greetings at its start.
const MEMBER_PATIENCE: Duration = Duration::from_millis(300);

/// How a broker begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Beginning {
    /// It has no peers.
    Alone,
    /// It belongs to this cluster already.
    Member(String),
    /// It joins this cluster.
    Joins(String),
    /// It founds this cluster.
    Founds(String),
}

/// Why a broker comes to no cluster.
#[derive(Debug, thiserror::Error)]
pub enum DiscoverError {
    /// Its disk and its peers disagree.
    #[error(
        "this broker's data belongs to cluster {ours}, but broker {peer} at {address} is of cluster {theirs}: \
         give it the data directory of its cluster, or an empty one"
    )]
    OtherCluster {
        /// On the disk.
        ours: String,
        /// The peer's.
        theirs: String,
        /// The peer.
        peer: BrokerId,
        /// Where it is.
        address: String,
    },
    /// The promise file cannot be read or written.
    #[error("founding.json: {0}")]
    Disk(#[from] std::io::Error),
}

/// What a broker says of itself to whoever greets it.
#[derive(Debug, Default)]
pub struct Standing {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    promise: Option<Promise>,
    candidate: Option<Uuid>,
    member: bool,
}

impl Standing {
    /// Answers a greeting as far as founding goes: whether the asker has this broker's grant, and its own candidature.
    pub fn answer(&self, me: BrokerId, hello: &Hello) -> (bool, Option<Uuid>) {
        let mut state = self.state.lock();
        state.hear(hello.from, hello.cluster_id.is_some(), hello.candidate);
        let granted = hello.wants_grant
            && hello.from != me
            && hello.candidate.is_some_and(|token| state.grant(Grant { to: hello.from, token }));
        (granted, state.candidate)
    }

    /// The broker has come to a cluster and its first metadata is safe.
    pub fn settle(&self) {
        let mut state = self.state.lock();
        state.member = true;
        state.candidate = None;
        if let Some(promise) = &mut state.promise {
            promise.forget();
        }
    }
}

impl State {
    /// A broker spoke: if the grant is out to an earlier candidature of it, that is over.
    fn hear(&mut self, from: BrokerId, is_member: bool, candidate: Option<Uuid>) {
        let Some(promise) = &mut self.promise else { return };
        let is_over = promise
            .grant()
            .is_some_and(|grant| grant.to == from && candidate != Some(grant.token) && !is_member);
        if is_over && let Err(error) = promise.set_grant(None) {
            tracing::error!(%error, "a grant could not be taken back");
        }
    }

    fn grant(&mut self, grant: Grant) -> bool {
        let Some(promise) = self.promise.as_mut().filter(|_| !self.member) else { return false };
        match promise.grant() {
            Some(given) => given == grant,
            None => match promise.set_grant(Some(grant)) {
                Ok(()) => true,
                Err(error) => {
                    tracing::error!(%error, "a grant could not be given");
                    false
                }
            },
        }
    }
}

/// Finds out how this broker begins; returns when it is known.
///
/// # Errors
/// [`DiscoverError`].
pub async fn begin(
    config: &BrokerConfig,
    targets: &Targets,
    peers: &Peers,
    standing: &Standing,
) -> Result<Beginning, DiscoverError> {
    if targets.is_empty() {
        return Ok(Beginning::Alone);
    }
    for (id, address) in targets.voters() {
        peers.book().meet(*id, address);
    }
    let on_disk = config.log_dirs.iter().find_map(|dir| cluster_on_disk(dir));
    let Some(dir) = config.log_dirs.first() else { return Ok(Beginning::Alone) };
    let promise = Promise::open(dir)?;
    let founding = promise.founding().map(str::to_owned);
    {
        let mut state = standing.state.lock();
        state.promise = Some(promise);
        state.member = on_disk.is_some() || founding.is_some();
    }
    if let Some(cluster_id) = founding {
        // It had the grants of a majority, and nobody else can have got them since.
        return Ok(Beginning::Founds(cluster_id));
    }
    if let Some(ours) = on_disk {
        return member(config.node_id, ours, targets, peers).await;
    }
    tracing::info!("an empty data directory: looking for a cluster");
    let fresh_id = config.cluster_id.clone();
    let mut round = Round { me: config.node_id, targets, peers, standing, fresh_id };
    loop {
        if let Some(beginning) = round.greet().await? {
            return Ok(beginning);
        }
        tokio::time::sleep(ROUND).await;
    }
}

async fn member(
    me: BrokerId,
    ours: String,
    targets: &Targets,
    peers: &Peers,
) -> Result<Beginning, DiscoverError> {
    let hello = Hello { from: me, cluster_id: Some(ours.clone()), candidate: None, wants_grant: false };
    for (address, answer) in greet::all(&targets.addresses().await, &hello, MEMBER_PATIENCE).await {
        if let Some(theirs) = answer.cluster_id.as_ref().filter(|theirs| **theirs != ours) {
            let (peer, theirs) = (answer.node, theirs.clone());
            return Err(DiscoverError::OtherCluster { ours, theirs, peer, address });
        }
        meet(peers, me, &address, &answer);
    }
    Ok(Beginning::Member(ours))
}

struct Round<'a> {
    me: BrokerId,
    targets: &'a Targets,
    peers: &'a Peers,
    standing: &'a Standing,
    fresh_id: Option<String>,
}

impl Round<'_> {
    async fn greet(&mut self) -> Result<Option<Beginning>, DiscoverError> {
        let candidate = self.standing.state.lock().candidate;
        let hello = Hello { from: self.me, cluster_id: None, candidate, wants_grant: candidate.is_some() };
        let addresses = self.targets.addresses().await;
        let answers = greet::all(&addresses, &hello, PATIENCE).await;
        for (address, answer) in &answers {
            meet(self.peers, self.me, address, answer);
            if let Some(cluster_id) = &answer.cluster_id {
                tracing::info!(cluster_id, broker = %answer.node, "found a cluster to join");
                return Ok(Some(Beginning::Joins(cluster_id.clone())));
            }
        }
        let there: BTreeSet<BrokerId> =
            answers.iter().map(|(_, answer)| answer.node).chain([self.me]).collect();
        let doubled = answers.len().saturating_sub(there.len());
        let founders = self.targets.founders(addresses.len(), doubled);
        self.decide(&there, founders, candidate, &answers)
    }

    fn decide(
        &mut self,
        there: &BTreeSet<BrokerId>,
        founders: usize,
        candidate: Option<Uuid>,
        answers: &[(String, HelloAnswer)],
    ) -> Result<Option<Beginning>, DiscoverError> {
        let mut state = self.standing.state.lock();
        for (_, answer) in answers {
            state.hear(answer.node, false, answer.candidate);
        }
        if there.len() * 2 <= founders || there.first() != Some(&self.me) {
            state.candidate = None;
            state.hear(self.me, false, None);
            return Ok(None);
        }
        let Some(token) = candidate else {
            state.candidate = Some(Uuid::new_v4());
            return Ok(None);
        };
        // A candidature that ended earlier than this program began may still have the own grant.
        state.hear(self.me, false, Some(token));
        let mine = state.grant(Grant { to: self.me, token });
        let granting = answers.iter().filter(|(_, answer)| answer.granted && answer.node != self.me);
        let grants: BTreeSet<BrokerId> = granting.map(|(_, answer)| answer.node).collect();
        if (grants.len() + usize::from(mine)) * 2 <= founders {
            return Ok(None);
        }
        let cluster_id = self.fresh_id.clone().unwrap_or_else(|| base64_uuid(Uuid::new_v4()));
        if let Some(promise) = &mut state.promise {
            promise.set_founding(&cluster_id)?;
        }
        tracing::info!(cluster_id, grants = grants.len() + usize::from(mine), "founding a cluster");
        Ok(Some(Beginning::Founds(cluster_id)))
    }
}

/// Notes where a broker is, and whom it knows.
pub fn meet(peers: &Peers, me: BrokerId, address: &str, answer: &HelloAnswer) {
    if answer.node == me {
        return;
    }
    for (id, at) in &answer.addresses {
        if *id != me && peers.book().address(*id).is_none() {
            peers.book().meet(*id, at);
        }
    }
    peers.book().meet(answer.node, address);
}

/// The cluster that a data directory says it belongs to.
fn cluster_on_disk(dir: &Path) -> Option<String> {
    let text = std::fs::read_to_string(dir.join("meta.properties")).ok()?;
    text.lines().find_map(|line| line.strip_prefix("cluster.id=")).map(|id| id.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn empty(dir: &Path) -> Standing {
        let state = State { promise: Some(Promise::open(dir).unwrap()), ..State::default() };
        Standing { state: Mutex::new(state) }
    }

    fn asks(from: i32, token: u128, wants_grant: bool) -> Hello {
        let candidate = (token != 0).then_some(Uuid::from_u128(token));
        Hello { from: BrokerId(from), cluster_id: None, candidate, wants_grant }
    }

    #[test]
    fn a_broker_grants_once_until_that_candidature_is_over() {
        let dir = tempfile::tempdir().unwrap();
        let standing = empty(dir.path());
        let me = BrokerId(9);
        assert!(standing.answer(me, &asks(1, 5, true)).0);
        assert!(standing.answer(me, &asks(1, 5, true)).0, "the same candidature keeps it");
        assert!(!standing.answer(me, &asks(2, 6, true)).0);
        // Broker 1 came back with an empty disk, so it cannot count that grant any more.
        assert!(!standing.answer(me, &asks(1, 0, false)).0);
        assert!(standing.answer(me, &asks(2, 6, true)).0);
    }

    #[test]
    fn a_grant_survives_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        assert!(empty(dir.path()).answer(BrokerId(9), &asks(1, 5, true)).0);
        assert!(!empty(dir.path()).answer(BrokerId(9), &asks(2, 6, true)).0);
    }
}
