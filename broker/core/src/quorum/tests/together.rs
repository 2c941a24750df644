use super::network::Network;
use super::*;
use proptest::prelude::*;

fn three(seed: u64) -> Network {
    let mut network = Network::new(3, seed);
    network.ticks(2);
    network.grow();
    network
}

fn texts(network: &Network, id: i32) -> Vec<String> {
    network.peers[&node(id)].image.iter().map(|data| String::from_utf8(data.to_vec()).unwrap()).collect()
}

#[test]
fn voters_grow_from_one_to_five_and_all_have_the_log() {
    let mut network = Network::new(5, 1);
    network.ticks(2);
    network.propose("before anybody came").unwrap();
    network.grow();
    network.propose("after everybody came").unwrap();
    network.ticks(5);
    for id in 0..5 {
        assert_eq!(texts(&network, id), ["before anybody came", "after everybody came"], "{id}");
        let membership = network.peers[&node(id)].quorum.as_ref().unwrap().membership();
        assert_eq!((membership.voters.len(), membership.learners.len()), (5, 0));
    }
}

#[test]
fn the_same_seed_makes_the_same_trace() {
    let run = |seed| {
        let mut network = three(seed);
        network.loses_one_in = 5;
        for round in 0..400 {
            network.propose(&round.to_string());
            if round % 100 == 20 {
                let leader = network.leader();
                leader.into_iter().for_each(|leader| network.cut_off(leader));
            }
            if round % 100 == 90 {
                network.cut.clear();
            }
            network.tick();
        }
        (network.trace, network.history)
    };
    let (first, again, other) = (run(3), run(3), run(4));
    assert!(first.0.len() > 6 && first.1.len() > 20);
    assert_eq!(first, again);
    assert_ne!(first.0, other.0);
}

#[test]
fn another_leads_within_three_seconds_when_the_leader_falls_silent() {
    let mut network = three(5);
    let leader = network.leader().unwrap();
    network.crash(leader);
    // 30 to 60 ticks of silence and a vote.
    network.ticks(29);
    assert_eq!(network.leader(), None, "a leader that is only slow keeps its place");
    network.ticks(32);
    let next = network.leader().unwrap();
    assert_ne!(next, leader);
    network.propose("goes on").unwrap();
    network.ticks(3);
    network.start(leader);
    network.ticks(5);
    assert!(network.peers.values().all(|peer| peer.image.last().unwrap() == "goes on"));
}

#[test]
fn a_leader_without_a_majority_stops_leading_and_commits_nothing() {
    let mut network = three(6);
    let old = network.leader().unwrap();
    network.cut_off(old);
    let index = network.propose("to nobody").unwrap();
    network.ticks(70);
    let leadership = network.peers[&old].quorum.as_ref().unwrap().leadership();
    assert!(!leadership.am_leader);
    assert!(network.history.get(&index).is_none_or(|entry| entry.payload == Payload::Empty));
    network.propose("to the others").unwrap();
    network.ticks(5);
    network.cut.clear();
    network.ticks(30);
    assert!((0..3).all(|id| texts(&network, id) == ["to the others"]));
}

#[test]
fn a_node_that_was_cut_off_does_not_disturb_when_it_comes_back() {
    let mut network = three(7);
    let leader = network.leader().unwrap();
    let term = network.peers[&leader].quorum.as_ref().unwrap().leadership().term;
    let other = *network.peers.keys().find(|id| **id != leader).unwrap();
    network.cut_off(other);
    network.ticks(200);
    network.cut.clear();
    network.ticks(40);
    let now = network.peers[&leader].quorum.as_ref().unwrap().leadership();
    assert!(now.am_leader && now.term == term);
}

#[test]
fn leadership_is_handed_over_without_waiting() {
    let mut network = three(8);
    let leader = network.leader().unwrap();
    let quorum = network.peers.get_mut(&leader).unwrap().quorum.as_mut().unwrap();
    let successor = quorum.successor().unwrap();
    quorum.transfer_leader(successor);
    assert!(!quorum.can_propose());
    network.tick();
    assert_eq!(network.leader(), Some(successor));
}

#[test]
fn a_node_that_was_away_for_long_gets_a_snapshot() {
    let mut network = three(9);
    let away = *network.peers.keys().find(|id| Some(**id) != network.leader()).unwrap();
    network.crash(away);
    let large = "x".repeat(64 << 10);
    for _ in 0..100 {
        network.propose(&large).unwrap();
        network.tick();
    }
    let leader = network.leader().unwrap();
    let first_kept = network.peers[&leader].disk.0.entries[0].index;
    assert!(first_kept > 30);
    network.start(away);
    network.ticks(20);
    assert_eq!(network.peers[&away].image, network.peers[&leader].image);
    assert_eq!(network.peers[&away].image_index, network.peers[&leader].image_index);
}

/// The victim's broker comes back with a new directory, which takes the old one's place among the voters.
fn lose_disk(network: &mut Network, victim: NodeId) -> NodeId {
    network.crash(victim);
    network.peers.remove(&victim);
    let fresh = NodeId::new(victim.broker(), DirectoryId(Uuid::from_u128(999)));
    network.add(fresh);
    for change in [
        MembershipChange::AddLearner(fresh),
        MembershipChange::AddVoter(fresh),
        MembershipChange::Remove(victim),
    ] {
        assert!(network.change(change));
        network.ticks(8);
    }
    fresh
}

#[test]
fn an_emptied_disk_is_another_node_and_joins_as_a_newcomer() {
    let mut network = three(10);
    network.propose("kept").unwrap();
    network.ticks(3);
    let victim = *network.peers.keys().find(|id| Some(**id) != network.leader()).unwrap();
    let fresh = lose_disk(&mut network, victim);
    let quorum = network.peers[&fresh].quorum.as_ref().unwrap();
    assert!(quorum.membership().voters.contains(&fresh) && !quorum.membership().contains(victim));
    assert_eq!(network.peers[&fresh].image, ["kept"]);
}

#[test]
fn two_lost_disks_one_after_the_other_do_not_count_together_after_a_restart() {
    let mut network = three(12);
    let leader = network.leader().unwrap();
    let victim = *network.peers.keys().find(|id| **id != leader).unwrap();
    let fresh = lose_disk(&mut network, victim);
    network.crash(fresh);
    network.peers.remove(&fresh);
    // The other two are a majority of the three voters that there are, not of those with the first one.
    let left: Vec<NodeId> = network.peers.keys().copied().collect();
    left.iter().for_each(|id| network.crash(*id));
    left.iter().for_each(|id| network.start(*id));
    network.ticks(60);
    assert!(network.leader().is_some());
}

#[test]
fn all_nodes_crash_and_nothing_that_was_committed_is_lost() {
    let mut network = three(11);
    for round in 0..20 {
        network.propose(&round.to_string()).unwrap();
    }
    network.ticks(3);
    let before = network.history.clone();
    for id in 0..3 {
        network.crash(node(id));
    }
    for id in 0..3 {
        network.start(node(id));
    }
    network.ticks(25);
    assert!(before.iter().all(|(index, entry)| network.history.get(index) == Some(entry)));
    assert_eq!(texts(&network, 2).len(), 20);
}

/// Something that happens between two ticks.
#[derive(Debug, Clone)]
enum Event {
    Propose,
    Crash(i32),
    Start(i32),
    CutOff(i32),
    OneWay(i32, i32),
    Heal,
    Lose(u64),
    Ticks(usize),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => Just(Event::Propose),
        1 => (0..3).prop_map(Event::Crash),
        2 => (0..3).prop_map(Event::Start),
        1 => (0..3).prop_map(Event::CutOff),
        1 => (0..3, 0..3).prop_map(|(from, to)| Event::OneWay(from, to)),
        2 => Just(Event::Heal),
        1 => (0..4u64).prop_map(Event::Lose),
        6 => (1..30usize).prop_map(Event::Ticks),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// The network itself checks: one leader in a term, the same entries for all, no gaps, nothing twice.
    #[test]
    fn whatever_happens_all_agree_and_service_comes_back(
        seed: u64,
        events in proptest::collection::vec(event(), 1..60),
    ) {
        let mut network = three(seed);
        let mut promised = 0;
        for (number, event) in events.into_iter().enumerate() {
            match event {
                Event::Propose => {
                    network.propose(&number.to_string());
                }
                Event::Crash(id) => network.crash(node(id)),
                Event::Start(id) if network.peers[&node(id)].quorum.is_none() => network.start(node(id)),
                Event::Start(_) => {}
                Event::CutOff(id) => network.cut_off(node(id)),
                Event::OneWay(from, to) => {
                    network.cut.insert((node(from), node(to)));
                }
                Event::Heal => network.cut.clear(),
                Event::Lose(one_in) => network.loses_one_in = one_in,
                Event::Ticks(count) => network.ticks(count),
            }
            promised = promised.max(network.history.keys().last().copied().unwrap_or(0));
        }
        // Then everything works again, and so do they.
        network.cut.clear();
        network.loses_one_in = 0;
        for id in 0..3 {
            if network.peers[&node(id)].quorum.is_none() {
                network.start(node(id));
            }
        }
        network.ticks(120);
        prop_assert!(network.propose("at last").is_some());
        network.ticks(10);
        for id in 0..3 {
            let peer = &network.peers[&node(id)];
            prop_assert!(peer.image_index >= promised);
            prop_assert_eq!(peer.image.last().unwrap(), "at last");
            prop_assert_eq!(&peer.image, &network.peers[&node(0)].image);
        }
    }
}

#[test]
fn the_founder_does_not_forget_after_a_restart_that_others_vote_too() {
    for seed in 0..20 {
        let mut network = three(seed);
        let founder = node(0);
        network.crash(founder);
        network.cut_off(founder);
        network.ticks(60);
        network.start(founder);
        network.ticks(60);
        let quorum = network.peers[&founder].quorum.as_ref().unwrap();
        assert!(!quorum.leadership().am_leader, "seed {seed}");
        assert!(quorum.membership().voters.len() > 1, "seed {seed}");
    }
}
