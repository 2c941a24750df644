//! Nodes with disks over a network that loses, delays and cuts; all of it from one seed.

use super::*;
use crate::placement::mix;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A node as the network sees it.
pub struct Peer {
    pub quorum: Option<Quorum>,
    pub disk: Disk,
    /// What was applied, from the snapshot that it began with on.
    pub applied: Vec<Committed>,
    /// The image: the data of all entries.
    pub image: Vec<Bytes>,
    pub image_index: u64,
    pub leaderships: Vec<Leadership>,
}

/// Nodes, and what is on its way between them.
pub struct Network {
    pub peers: BTreeMap<NodeId, Peer>,
    in_flight: VecDeque<(NodeId, NodeId, Bytes)>,
    /// Pairs that cannot talk, in this direction.
    pub cut: BTreeSet<(NodeId, NodeId)>,
    /// One message in this many is lost; 0 for none.
    pub loses_one_in: u64,
    seed: u64,
    drawn: u64,
    /// Everything that was applied by anybody, by index.
    pub history: BTreeMap<u64, Committed>,
    /// The leader of each term.
    pub leaders: BTreeMap<u64, NodeId>,
    pub trace: Vec<String>,
}

/// The image as a snapshot: each entry's data after its length.
fn pack(image: &[Bytes]) -> Bytes {
    let mut bytes = Vec::new();
    for entry in image {
        bytes.extend((entry.len() as u32).to_be_bytes());
        bytes.extend_from_slice(entry);
    }
    bytes.into()
}

fn unpack(mut bytes: Bytes) -> Vec<Bytes> {
    let mut image = Vec::new();
    while bytes.len() >= 4 {
        let length = u32::from_be_bytes(bytes.split_to(4)[..].try_into().unwrap());
        image.push(bytes.split_to(length as usize));
    }
    image
}

impl Network {
    /// Node 0 has founded a cluster; the others up to `nodes` know nothing.
    pub fn new(nodes: i32, seed: u64) -> Self {
        let mut network = Self {
            peers: BTreeMap::new(),
            in_flight: VecDeque::new(),
            cut: BTreeSet::new(),
            loses_one_in: 0,
            seed,
            drawn: 0,
            history: BTreeMap::new(),
            leaders: BTreeMap::new(),
            trace: Vec::new(),
        };
        for id in 0..nodes {
            let recovered =
                if id == 0 { Recovered::founding(node(0), Bytes::new()) } else { Recovered::default() };
            network.peers.insert(node(id), Peer::new(Disk(recovered)));
            network.start(node(id));
        }
        network
    }

    /// A node that has nothing.
    pub fn add(&mut self, id: NodeId) {
        self.peers.insert(id, Peer::new(Disk::default()));
        self.start(id);
    }

    pub fn random(&mut self) -> u64 {
        self.drawn += 1;
        mix(self.seed ^ mix(self.drawn))
    }

    /// Starts a node from its disk.
    pub fn start(&mut self, id: NodeId) {
        let seed = self.seed;
        let peer = self.peers.get_mut(&id).unwrap();
        let quorum = Quorum::start(Config::new(id, seed), peer.disk.0.clone()).unwrap();
        peer.quorum = Some(quorum);
        peer.applied.clear();
        let image = peer.disk.0.image().unwrap();
        peer.image = image.as_ref().map_or_else(Vec::new, |(_, _, data)| unpack(data.clone()));
        peer.image_index = image.map_or(0, |(index, _, _)| index);
        self.settle(id);
    }

    /// Stops a node as a crash does: what was on its way from it may still arrive.
    pub fn crash(&mut self, id: NodeId) {
        self.peers.get_mut(&id).unwrap().quorum = None;
    }

    pub fn cut_off(&mut self, id: NodeId) {
        let others: Vec<NodeId> = self.peers.keys().copied().filter(|other| *other != id).collect();
        for other in others {
            self.cut.insert((id, other));
            self.cut.insert((other, id));
        }
    }

    /// Does all that a node wants done.
    fn settle(&mut self, id: NodeId) {
        loop {
            let peer = self.peers.get_mut(&id).unwrap();
            let Some(quorum) = &mut peer.quorum else { return };
            let effects = quorum.drain().unwrap();
            if effects.is_empty() {
                if quorum.is_snapshot_due() {
                    quorum.snapshot(peer.image_index, pack(&peer.image));
                    continue;
                }
                return;
            }
            for effect in effects {
                self.run(id, effect);
            }
        }
    }

    fn run(&mut self, id: NodeId, effect: Effect) {
        let peer = self.peers.get_mut(&id).unwrap();
        match effect {
            Effect::Persist(it) => {
                peer.disk.persist(&it);
                peer.quorum.as_mut().unwrap().persisted(it.number);
            }
            Effect::SaveSnapshot { snapshot, compact_to } => peer.disk.save(snapshot, compact_to),
            Effect::Send { to, bytes } => self.in_flight.push_back((id, to, bytes)),
            Effect::Apply(entries) => {
                for entry in entries {
                    assert_eq!(entry.index, peer.image_index + 1, "{id} has a gap");
                    peer.image_index = entry.index;
                    if let Payload::Data(data) = &entry.payload {
                        peer.image.push(data.clone());
                    }
                    // What anybody applied at an index is what everybody applies there.
                    let known = self.history.entry(entry.index).or_insert_with(|| entry.clone());
                    assert_eq!(*known, entry, "{id} applied something else");
                    peer.applied.push(entry);
                }
            }
            Effect::ApplySnapshot(snapshot) => {
                assert!(snapshot.index > peer.image_index, "{id} went back");
                peer.image = unpack(snapshot.data);
                peer.image_index = snapshot.index;
            }
            Effect::Leadership(it) => {
                if it.am_leader {
                    let leader = *self.leaders.entry(it.term).or_insert(id);
                    assert_eq!(leader, id, "two leaders in term {}", it.term);
                }
                self.trace.push(format!("{id} {it:?}"));
                peer.leaderships.push(it);
            }
        }
    }

    /// One tick of every node, then all messages are delivered or lost.
    pub fn tick(&mut self) {
        let ids: Vec<NodeId> = self.peers.keys().copied().collect();
        for id in ids {
            if let Some(quorum) = &mut self.peers.get_mut(&id).unwrap().quorum {
                quorum.tick();
            }
            self.settle(id);
        }
        self.deliver();
    }

    /// Delivers for a while: answers to answers wait for the next tick at the latest.
    pub fn deliver(&mut self) {
        for _ in 0..10_000 {
            let Some((from, to, bytes)) = self.in_flight.pop_front() else { return };
            let lost = self.loses_one_in > 0 && self.random().is_multiple_of(self.loses_one_in);
            if lost || self.cut.contains(&(from, to)) {
                continue;
            }
            if let Some(quorum) = self.peers.get_mut(&to).and_then(|peer| peer.quorum.as_mut()) {
                // A message that makes no sense any more is ignored.
                let _ = quorum.step(&bytes);
                self.settle(to);
            }
        }
        panic!("the nodes never stop talking");
    }

    pub fn ticks(&mut self, count: usize) {
        for _ in 0..count {
            self.tick();
        }
    }

    /// The node that leads in the highest term, if one does.
    pub fn leader(&self) -> Option<NodeId> {
        let leading = self.peers.iter().filter_map(|(id, peer)| {
            let leadership = peer.quorum.as_ref()?.leadership();
            leadership.am_leader.then_some((leadership.term, *id))
        });
        leading.max().map(|(_, id)| id)
    }

    /// Proposes at the leader; the index it will have.
    pub fn propose(&mut self, data: &str) -> Option<u64> {
        let leader = self.leader()?;
        let quorum = self.peers.get_mut(&leader).unwrap().quorum.as_mut().unwrap();
        let index = quorum.propose(Bytes::copy_from_slice(data.as_bytes())).ok();
        self.settle(leader);
        index
    }

    pub fn change(&mut self, change: MembershipChange) -> bool {
        let Some(leader) = self.leader() else { return false };
        let quorum = self.peers.get_mut(&leader).unwrap().quorum.as_mut().unwrap();
        let taken = quorum.propose_membership(change).is_ok();
        self.settle(leader);
        taken
    }

    /// Makes all nodes voters, one after the other.
    pub fn grow(&mut self) {
        let ids: Vec<NodeId> = self.peers.keys().copied().collect();
        for id in ids {
            for change in [MembershipChange::AddLearner(id), MembershipChange::AddVoter(id)] {
                if id != node(0) {
                    assert!(self.change(change), "{change:?}");
                    self.ticks(8);
                }
            }
        }
    }
}

impl Peer {
    fn new(disk: Disk) -> Self {
        Self {
            quorum: None,
            disk,
            applied: Vec::new(),
            image: Vec::new(),
            image_index: 0,
            leaderships: Vec::new(),
        }
    }
}
