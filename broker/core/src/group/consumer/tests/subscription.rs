use super::{beat, group, harness, refused};
use crate::group::harness::{Beat, beats, joins, partitions};
use ottla_types::ErrorCode;

fn regex<'a>(member: &'a str, regex: &'a str) -> Beat<'a> {
    Beat { regex: Some(regex), topics: None, ..joins(member, &[]) }
}

#[test]
fn an_expression_must_match_whole_names() {
    let mut harness = harness();
    harness.topics.set("topic-2", 1);
    harness.topics.set("other", 1);
    let reply = beat(&mut harness, &regex("a", "topic|oth.*"));
    assert_eq!(reply.assignment, Some(partitions(&[("other", &[0]), ("topic", &[0, 1, 2, 3, 4, 5])])));
}

#[test]
fn a_bad_expression_is_refused_with_its_reason() {
    let mut harness = harness();
    assert_eq!(refused(&mut harness, &regex("a", "(")), ErrorCode::InvalidRegularExpression);
    let huge = "(a{1000}){1000}";
    assert_eq!(refused(&mut harness, &regex("a", huge)), ErrorCode::InvalidRegularExpression);
    assert!(harness.log.is_empty());
}

#[test]
fn a_new_topic_that_matches_is_assigned_after_a_while() {
    let mut harness = harness();
    beat(&mut harness, &regex("a", "top.*"));
    harness.pass(1_000);
    harness.topics.set("topper", 1);
    assert_eq!(beat(&mut harness, &beats("a", 1)).assignment, None, "not more than once in ten seconds");
    harness.pass(9_000);
    let reply = beat(&mut harness, &beats("a", 1));
    assert_eq!(reply.member_epoch, 2);
    assert_eq!(reply.assignment, Some(partitions(&[("topic", &[0, 1, 2, 3, 4, 5]), ("topper", &[0])])));
    harness.reload();
    assert!(group(&harness).is_subscribed_to("topper"));
}

#[test]
fn an_expression_nobody_uses_any_more_is_forgotten() {
    let mut harness = harness();
    beat(&mut harness, &regex("a", "top.*"));
    let changed = Beat { regex: Some(""), topics: Some(vec!["topic"]), ..beats("a", 1) };
    beat(&mut harness, &changed);
    assert!(group(&harness).regexes.is_empty());
    harness.reload();
    assert!(group(&harness).regexes.is_empty());
}

#[test]
fn a_topic_that_grows_or_goes_changes_the_assignment() {
    let mut harness = harness();
    beat(&mut harness, &joins("a", &["topic", "later"]));
    harness.topics.set("topic", 7);
    let reply = beat(&mut harness, &beats("a", 1));
    assert_eq!(reply.assignment, Some(partitions(&[("topic", &[0, 1, 2, 3, 4, 5, 6])])));
    harness.topics.set("later", 1);
    let reply = beat(&mut harness, &beats("a", 2));
    assert_eq!(reply.member_epoch, 3);
    harness.topics.topics.remove("topic");
    harness.topics.version += 1;
    let reply = beat(&mut harness, &beats("a", 3));
    assert_eq!(reply.assignment, Some(partitions(&[("later", &[0])])), "what does not exist is not assigned");
    let reply = beat(&mut harness, &beats("a", 3).owning(&[("later", &[0])]));
    assert_eq!(reply.member_epoch, 4);
}

#[test]
fn members_may_subscribe_differently() {
    let mut harness = harness();
    harness.topics.set("other", 2);
    beat(&mut harness, &joins("a", &["topic"]));
    let b = beat(&mut harness, &joins("b", &["other", "missing"]));
    assert_eq!(b.assignment, Some(partitions(&[("other", &[0, 1])])));
}

#[test]
fn the_assignor_that_most_members_ask_for_is_used() {
    let mut harness = harness();
    harness.topics.set("other", 6);
    let with = |member, assignor| Beat { assignor, ..joins(member, &["topic", "other"]) };
    beat(&mut harness, &with("a", Some("range")));
    beat(&mut harness, &with("b", Some("range")));
    beat(&mut harness, &with("c", Some("uniform")));
    assert_eq!(harness.shard.describe_consumer_group("g").unwrap().assignor, "range");
    let target = group(&harness).target("a");
    assert_eq!(*target, partitions(&[("other", &[0, 1]), ("topic", &[0, 1])]));
}
