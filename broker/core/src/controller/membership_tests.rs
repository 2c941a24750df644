use super::*;
use crate::metadata::record::{BrokerChange, RegisterBroker, VotePreference, directory_bytes, uuid_bytes};
use ottla_types::{BrokerId, DirectoryId, Uuid};

/// A cluster, and the quorum that follows it.
struct Model {
    image: Image,
    membership: Membership,
    epoch: i64,
    /// Who leads, if it votes; else whoever comes first.
    leader: Option<NodeId>,
    /// Who has not caught up.
    behind: BTreeSet<NodeId>,
}

impl Model {
    fn new() -> Self {
        let mut model = Self {
            image: Image::default(),
            membership: Membership::default(),
            epoch: 0,
            leader: None,
            behind: BTreeSet::new(),
        };
        let founder = model.register(0, 0);
        model.leader = Some(founder);
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

    fn cordon(&mut self, id: i32) {
        let epoch = self.image.broker(BrokerId(id)).unwrap().epoch.0;
        let change = BrokerChange {
            broker_id: id,
            broker_epoch: epoch,
            cordoned: Some(true),
            ..BrokerChange::default()
        };
        self.image.replay(&change.into()).unwrap();
    }

    fn prefer(&mut self, id: i32, preference: Preference) {
        let record = VotePreference { broker_id: id, preference: preference as i32 };
        self.image.replay(&record.into()).unwrap();
    }

    fn unregister(&mut self, id: i32) {
        let epoch = self.image.broker(BrokerId(id)).unwrap().epoch.0;
        let record = crate::metadata::record::UnregisterBroker { broker_id: id, broker_epoch: epoch };
        self.image.replay(&record.into()).unwrap();
    }

    fn status(&self) -> Status {
        let first = *self.membership.voters.first().unwrap();
        let fenced = |node: NodeId| self.image.broker(node.broker()).is_none_or(|broker| broker.fenced);
        let members = self.membership.nodes().map(|node| Member {
            node,
            is_voter: self.membership.voters.contains(&node),
            matched: if self.behind.contains(&node) { 0 } else { 1000 },
            is_recently_active: !fenced(node),
        });
        Status {
            leader: Some(
                self.leader.filter(|leader| self.membership.voters.contains(leader)).unwrap_or(first),
            ),
            term: 1,
            committed: 1000,
            last_index: 1000,
            members: members.collect(),
        }
    }

    fn plan(&self) -> Option<MembershipChange> {
        plan(&self.image, &self.membership, &self.status())
    }

    /// Does what is planned until nothing is; returns the broker ids of voters and learners.
    fn settle(&mut self) -> (Vec<i32>, Vec<i32>) {
        for _ in 0..50 {
            if let Some(successor) = successor(&self.image, &self.status()) {
                self.leader = Some(successor);
            }
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

#[test]
fn a_broker_on_its_way_out_does_not_vote_even_if_it_leads() {
    let mut model = Model::new();
    for id in 1..5 {
        model.register(id, 0);
    }
    assert_eq!(model.settle(), (vec![0, 1, 2, 3, 4], vec![]));
    model.cordon(0);
    let (voters, learners) = model.settle();
    assert!(voters.len() == 3 && !voters.contains(&0) && learners.contains(&0), "{voters:?}");
    let second = voters[0];
    model.cordon(second);
    let (voters, _) = model.settle();
    assert!(voters.len() == 3 && !voters.contains(&0) && !voters.contains(&second), "{voters:?}");
    model.unregister(0);
    model.unregister(second);
    let (voters, learners) = model.settle();
    assert_eq!((voters.len(), learners.len()), (3, 0));
}

#[test]
fn the_last_voter_goes_only_after_another_votes() {
    let mut model = Model::new();
    model.register(1, 0);
    assert_eq!(model.settle(), (vec![0], vec![1]));
    model.cordon(0);
    assert_eq!(model.settle(), (vec![1], vec![0]));
}

#[test]
fn brokers_that_are_all_cordoned_go_on_voting() {
    let mut model = Model::new();
    for id in 1..3 {
        model.register(id, 0);
    }
    (0..3).for_each(|id| model.cordon(id));
    assert_eq!(model.settle(), (vec![0, 1, 2], vec![]));
}

#[test]
fn who_is_barred_does_not_vote_and_who_is_wanted_votes_before_others() {
    let mut model = Model::new();
    for id in 1..4 {
        model.register(id, 0);
    }
    let (voters, learners) = model.settle();
    assert_eq!((voters.len(), learners.len()), (3, 1));
    model.prefer(learners[0], Preference::Wanted);
    let (voters, _) = model.settle();
    assert!(voters.len() == 3 && voters.contains(&learners[0]), "{voters:?}");
    // Barring the leader makes it hand over; another takes its place.
    model.prefer(0, Preference::Barred);
    let (voters, learners) = model.settle();
    assert_eq!((voters, learners), (vec![1, 2, 3], vec![0]));
    model.prefer(1, Preference::Barred);
    assert_eq!(model.settle(), (vec![2, 3], vec![0, 1]), "nobody else may");
    model.prefer(1, Preference::None);
    assert_eq!(model.settle(), (vec![1, 2, 3], vec![0]));
}

#[test]
fn an_unregistered_voter_goes_only_if_the_others_are_a_majority_without_it() {
    let mut model = Model::new();
    for id in 1..3 {
        model.register(id, 0);
    }
    assert_eq!(model.settle().0, [0, 1, 2]);
    model.fence(1);
    model.unregister(2);
    let heard_of = |ids: &[i32]| {
        let mut status = model.status();
        for member in &mut status.members {
            member.is_recently_active = ids.contains(&member.node.broker().0);
        }
        plan(&model.image, &model.membership, &status)
    };
    assert_eq!(heard_of(&[0, 2]), None);
    let gone = model.membership.voters.iter().find(|node| node.broker() == BrokerId(2)).copied();
    assert_eq!(heard_of(&[0, 1]), gone.map(MembershipChange::Remove));
}
