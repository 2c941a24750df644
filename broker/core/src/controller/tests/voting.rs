use super::*;
use crate::metadata::record::{Preference, VotePreference};

fn prefer(controller: &mut Controller, id: i32, preference: Preference) -> Result<usize, ErrorCode> {
    let request = Request::PreferVoter { broker: BrokerId(id), directory: directory(id), preference };
    let outcome = controller.handle(0, request);
    let Reply::PreferVoter(result) = outcome.reply else { panic!() };
    result.map(|()| outcome.records.len()).map_err(|error| error.code)
}

fn quorum_of(controller: &mut Controller, voters: &[i32]) {
    let node = |id: &i32| controller.image().broker(BrokerId(*id)).unwrap().node();
    let voters = voters.iter().map(node).collect();
    controller.membership_changed(Membership { voters, learners: Default::default() });
}

/// A cluster that runs at the latest level.
fn latest(brokers: i32) -> Controller {
    let mut controller = cluster(brokers);
    let level = FeatureUpdate {
        name: feature::METADATA_VERSION.into(),
        level: feature::METADATA_VERSION_MAX,
        upgrade_type: UpgradeType::Upgrade,
    };
    let updates = Request::UpdateFeatures { updates: vec![level], validate_only: false };
    assert_eq!(controller.handle(0, updates).reply, Reply::UpdateFeatures(Ok(())));
    controller
}

#[test]
fn who_votes_is_recorded_once_and_only_where_it_makes_sense() {
    let mut controller = latest(3);
    quorum_of(&mut controller, &[1, 2]);
    assert_eq!(prefer(&mut controller, 1, Preference::Wanted), Err(ErrorCode::DuplicateVoter));
    assert_eq!(prefer(&mut controller, 3, Preference::Barred), Err(ErrorCode::VoterNotFound));
    assert_eq!(prefer(&mut controller, 9, Preference::Wanted), Err(ErrorCode::VoterNotFound));
    assert_eq!(prefer(&mut controller, 3, Preference::Wanted), Ok(1));
    assert_eq!(prefer(&mut controller, 3, Preference::Wanted), Ok(0));
    assert_eq!(prefer(&mut controller, 2, Preference::Barred), Ok(1));
    quorum_of(&mut controller, &[1]);
    assert_eq!(prefer(&mut controller, 1, Preference::Barred), Err(ErrorCode::InvalidRequest));
}

#[test]
fn a_record_that_an_older_broker_does_not_know_is_not_written_before_its_level() {
    let mut controller = cluster(2);
    assert_eq!(controller.image().feature(feature::METADATA_VERSION), 1);
    assert_eq!(prefer(&mut controller, 2, Preference::Wanted), Err(ErrorCode::UnsupportedVersion));
}

#[test]
fn the_level_rises_only_when_every_broker_knows_it_and_then_keeps_the_older_out() {
    let older =
        || crate::metadata::record::FeatureRange { name: feature::METADATA_VERSION.into(), min: 1, max: 1 };
    let mut controller = cluster(1);
    let request = RegisterBroker { features: vec![older()], ..registration(2) };
    assert!(matches!(
        controller.handle(0, Request::RegisterBroker(request)).reply,
        Reply::RegisterBroker(Ok(_))
    ));
    let raise = || Request::UpdateFeatures {
        updates: vec![FeatureUpdate {
            name: feature::METADATA_VERSION.into(),
            level: 2,
            upgrade_type: UpgradeType::Upgrade,
        }],
        validate_only: false,
    };
    let Reply::UpdateFeatures(Err((_, error))) = controller.handle(0, raise()).reply else { panic!() };
    assert_eq!(error.code, ErrorCode::InvalidUpdateVersion);
    // The next version's broker takes its place, on the same disk.
    let next = RegisterBroker { incarnation_id: Uuid::from_u128(77), ..registration(2) };
    controller.handle(0, Request::RegisterBroker(next));
    assert_eq!(controller.handle(0, raise()).reply, Reply::UpdateFeatures(Ok(())));
    let late = RegisterBroker { features: vec![older()], ..registration(3) };
    let Reply::RegisterBroker(Err(error)) = controller.handle(0, Request::RegisterBroker(late)).reply else {
        panic!()
    };
    assert_eq!(error.code, ErrorCode::UnsupportedVersion);
    let record = VotePreference { broker_id: 1, preference: Preference::Wanted as i32 };
    assert_eq!(controller.image().feature(feature::METADATA_VERSION), 2);
    assert_eq!(prefer(&mut controller, 1, Preference::Wanted), Ok(1));
    let mut image = controller.image().clone();
    image.replay(&record.into()).unwrap();
}
