use super::*;
use crate::metadata::record::{BrokerChange, RegisterBroker, directory_bytes, uuid_bytes};
use ottla_types::{BrokerId, DirectoryId, Uuid};

/// A cluster, and the quorum that follows it.
struct Model {
    image: Image,
    membership: Membership,
    epoch: i64,
    /// Who has not caught up.
    behind: BTreeSet<NodeId>,
}

impl Model {
    fn new() -> Self {
        let mut model = Self {
            image: Image::default(),
            membership: Membership::default(),
            epoch: 0,
            behind: BTreeSet::new(),
        };
        let founder = model.register(0, 0);
        model.membership.voters.insert(founder);
        model
    }

    fn register(&mut self, id: i32, disk: u128) -> NodeId {
        self.epoch += 1;
        let directory = DirectoryId(Uuid::from_u128(id as u128 * 100 + disk + 1));
        let record = RegisterBroker {
            broker_id: id,
            broker_epoch: self.epoch,
            incarnation_id: uuid_bytes(Uuid::nil()),
            directories: directory_bytes(&[directory]),
            metadata_directory: uuid_bytes(directory.0),
            ..RegisterBroker::default()
        };
        self.image.replay(&record.into()).unwrap();
        NodeId::new(BrokerId(id), directory)
    }

    fn fence(&mut self, id: i32) {
        let epoch = self.image.broker(BrokerId(id)).unwrap().epoch.0;
        let change = BrokerChange {
            broker_id: id,
            broker_epoch: epoch,
            fenced: Some(true),
            ..BrokerChange::default()
        };
        self.image.replay(&change.into()).unwrap();
    }

    fn unregister(&mut self, id: i32) {
        let epoch = self.image.broker(BrokerId(id)).unwrap().epoch.0;
        let record = crate::metadata::record::UnregisterBroker { broker_id: id, broker_epoch: epoch };
        self.image.replay(&record.into()).unwrap();
    }

    fn plan(&self) -> Option<MembershipChange> {
        let leader = *self.membership.voters.first().unwrap();
        let leader =
            self.membership.voters.iter().copied().find(|node| node.broker().0 == 0).unwrap_or(leader);
        let fenced = |node: NodeId| self.image.broker(node.broker()).is_none_or(|broker| broker.fenced);
        let members = self.membership.nodes().map(|node| Member {
            node,
            is_voter: self.membership.voters.contains(&node),
            matched: if self.behind.contains(&node) { 0 } else { 1000 },
            is_recently_active: !fenced(node),
        });
        let status = Status {
            leader: Some(leader),
            term: 1,
            committed: 1000,
            last_index: 1000,
            members: members.collect(),
        };
        plan(&self.image, &self.membership, &status)
    }

    /// Does what is planned until nothing is; returns the broker ids of voters and learners.
    fn settle(&mut self) -> (Vec<i32>, Vec<i32>) {
        for _ in 0..50 {
            let Some(change) = self.plan() else {
                let ids = |nodes: &BTreeSet<NodeId>| {
                    let mut ids: Vec<i32> = nodes.iter().map(|node| node.broker().0).collect();
                    ids.sort_unstable();
                    ids
                };
                return (ids(&self.membership.voters), ids(&self.membership.learners));
            };
            let (voters, learners) = (&mut self.membership.voters, &mut self.membership.learners);
            match change {
                MembershipChange::AddVoter(node) => {
                    learners.remove(&node);
                    assert!(voters.insert(node));
                }
                MembershipChange::AddLearner(node) => {
                    voters.remove(&node);
                    assert!(learners.insert(node));
                }
                MembershipChange::Remove(node) => assert!(voters.remove(&node) | learners.remove(&node)),
            }
            assert!(!voters.is_empty());
        }
        panic!("the plan never ends");
    }
}

#[test]
fn voters_follow_the_registered_brokers_up_and_down() {
    let mut model = Model::new();
    assert_eq!(model.settle(), (vec![0], vec![]));
    model.register(1, 0);
    assert_eq!(model.settle(), (vec![0], vec![1]));
    model.register(2, 0);
    assert_eq!(model.settle(), (vec![0, 1, 2], vec![]));
    model.register(3, 0);
    assert_eq!(model.settle(), (vec![0, 1, 2], vec![3]));
    for id in 4..7 {
        model.register(id, 0);
    }
    let (voters, learners) = model.settle();
    assert_eq!((voters.len(), learners.len()), (5, 2));
    for id in (3..7).rev() {
        model.unregister(id);
        model.settle();
    }
    assert_eq!(model.settle(), (vec![0, 1, 2], vec![]));
    model.unregister(2);
    assert_eq!(model.settle(), (vec![0], vec![1]));
}

#[test]
fn a_node_that_is_behind_does_not_vote_yet() {
    let mut model = Model::new();
    model.register(1, 0);
    let behind = model.register(2, 0);
    model.behind.insert(behind);
    assert_eq!(model.settle(), (vec![0, 1], vec![2]));
    model.behind.clear();
    assert_eq!(model.settle(), (vec![0, 1, 2], vec![]));
}

#[test]
fn a_new_disk_takes_the_place_of_the_old() {
    let mut model = Model::new();
    for id in 1..3 {
        model.register(id, 0);
    }
    model.settle();
    let fresh = model.register(1, 7);
    assert_eq!(model.settle(), (vec![0, 1, 2], vec![]));
    assert!(model.membership.voters.contains(&fresh));
}

#[test]
fn another_votes_in_place_of_one_that_is_away() {
    let mut model = Model::new();
    for id in 1..4 {
        model.register(id, 0);
    }
    let (voters, learners) = model.settle();
    let away = voters[2];
    model.fence(away);
    let expected = (vec![voters[0], voters[1], learners[0]], vec![away]);
    let mut settled = model.settle();
    settled.0.sort_unstable();
    let mut wanted = expected;
    wanted.0.sort_unstable();
    assert_eq!(settled, wanted);
}
