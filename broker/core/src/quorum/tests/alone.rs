use super::*;

/// Runs a node that is alone; returns what came out to be applied.
fn run(quorum: &mut Quorum, disk: &mut Disk) -> Vec<Committed> {
    let mut applied = Vec::new();
    loop {
        let effects = quorum.drain().unwrap();
        if effects.is_empty() {
            return applied;
        }
        for effect in effects {
            match effect {
                Effect::Persist(it) => {
                    disk.persist(&it);
                    quorum.persisted(it.number);
                }
                Effect::Apply(entries) => applied.extend(entries),
                Effect::SaveSnapshot { snapshot, compact_to } => disk.save(snapshot, compact_to),
                Effect::Leadership(_) => {}
                other => panic!("{other:?} from a node that is alone"),
            }
        }
    }
}

fn found() -> (Quorum, Disk) {
    let disk = Disk(Recovered::founding(node(0), Bytes::from_static(b"image")));
    (Quorum::start(Config::new(node(0), 1), disk.0.clone()).unwrap(), disk)
}

#[test]
fn the_only_voter_leads_at_once_without_a_tick() {
    let (mut quorum, mut disk) = found();
    let applied = run(&mut quorum, &mut disk);
    assert_eq!(applied, [Committed { index: 2, term: 2, payload: Payload::Empty }]);
    assert!(quorum.is_in_control() && quorum.can_propose() && !quorum.needs_ticks());
    assert_eq!(quorum.membership(), Membership { voters: [node(0)].into(), ..Membership::default() });
}

#[test]
fn a_proposal_comes_out_once_it_is_persisted_and_not_before() {
    let (mut quorum, mut disk) = found();
    run(&mut quorum, &mut disk);
    let index = quorum.propose(Bytes::from_static(b"a")).unwrap();
    let effects = quorum.drain().unwrap();
    let [Effect::Persist(persist)] = &effects[..] else { panic!("{effects:?}") };
    assert!(persist.must_sync && persist.entries.len() == 1);
    assert_eq!(quorum.drain().unwrap(), []);
    quorum.persisted(persist.number);
    let committed = Committed { index, term: 2, payload: Payload::Data(Bytes::from_static(b"a")) };
    assert_eq!(quorum.drain().unwrap(), [Effect::Apply(vec![committed])]);
}

#[test]
fn a_controller_begins_only_when_nothing_is_under_way() {
    let (mut quorum, mut disk) = found();
    run(&mut quorum, &mut disk);
    quorum.propose(Bytes::from_static(b"a")).unwrap();
    assert!(quorum.can_propose() && !quorum.is_in_control());
    run(&mut quorum, &mut disk);
    assert!(quorum.is_in_control());
}

#[test]
fn what_was_committed_comes_out_again_after_a_restart() {
    let (mut quorum, mut disk) = found();
    run(&mut quorum, &mut disk);
    quorum.propose(Bytes::from_static(b"a")).unwrap();
    quorum.propose(Bytes::from_static(b"b")).unwrap();
    let first = run(&mut quorum, &mut disk);
    let mut again = Quorum::start(Config::new(node(0), 1), disk.0.clone()).unwrap();
    let replayed = run(&mut again, &mut disk);
    assert_eq!(replayed[1..3], first);
    assert!(again.leadership().am_leader && again.leadership().term == 3);
}

#[test]
fn a_snapshot_bounds_the_log_in_memory_and_on_disk() {
    let (mut quorum, mut disk) = found();
    run(&mut quorum, &mut disk);
    let mut snapshots = 0;
    for number in 0..3000u32 {
        quorum.propose(vec![number as u8; 4096].into()).unwrap();
        let applied = run(&mut quorum, &mut disk).last().unwrap().index;
        if quorum.is_snapshot_due() {
            quorum.snapshot(applied, Bytes::from(number.to_be_bytes().to_vec()));
            run(&mut quorum, &mut disk);
            snapshots += 1;
        }
    }
    assert_eq!(snapshots, 2);
    assert!(disk.0.entries.len() < 1300, "{}", disk.0.entries.len());
    let mut again = Quorum::start(Config::new(node(0), 1), disk.0.clone()).unwrap();
    let (index, _, _) = disk.0.image().unwrap().unwrap();
    assert_eq!(run(&mut again, &mut disk)[0].index, index + 1);
}

#[test]
fn a_log_of_another_node_is_refused() {
    let recovered = Recovered::founding(node(1), Bytes::new());
    let error = Quorum::start(Config::new(node(0), 1), recovered).unwrap_err();
    assert_eq!(error, StartError::OtherNode { found: node(1), expected: node(0) });
}

#[test]
fn a_log_with_a_gap_is_refused() {
    let mut recovered = Recovered::founding(node(0), Bytes::new());
    recovered.entries.push(StoredEntry { index: 4, term: 2, bytes: Bytes::from_static(&[0]) });
    let error = Quorum::start(Config::new(node(0), 1), recovered).unwrap_err();
    assert_eq!(error, StartError::Gap { expected: 2, found: 4 });
}

#[test]
fn a_node_without_a_log_waits_and_wants_nothing() {
    let mut quorum = Quorum::start(Config::new(node(0), 1), Recovered::default()).unwrap();
    for _ in 0..100 {
        quorum.tick();
    }
    assert!(!quorum.leadership().am_leader && quorum.drain().unwrap().is_empty());
    assert!(matches!(quorum.propose(Bytes::new()), Err(ProposeError::NotLeader { leader: None })));
}
