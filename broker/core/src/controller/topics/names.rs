//! Which names a topic can have (`org.apache.kafka.common.internals.Topic`).

use super::ApiError;
use crate::metadata::Image;
use ottla_types::{ErrorCode, limits};
use std::collections::BTreeSet;

/// The topic of the metadata log, which is not a topic.
const CLUSTER_METADATA: &str = "__cluster_metadata";

/// True if a topic can have this name.
#[must_use]
pub fn is_valid(name: &str) -> bool {
    check(name).is_ok()
}

/// Each name once, and those that were there more than once: such a topic is refused, in one row.
pub fn once_each<T>(topics: Vec<T>, name: impl Fn(&T) -> &String) -> (Vec<T>, BTreeSet<String>) {
    let mut seen = BTreeSet::new();
    let mut repeated = BTreeSet::new();
    let mut once = Vec::with_capacity(topics.len());
    for topic in topics {
        if seen.insert(name(&topic).clone()) {
            once.push(topic);
        } else {
            repeated.insert(name(&topic).clone());
        }
    }
    (once, repeated)
}

/// Checks the name itself.
pub fn check(name: &str) -> Result<(), ApiError> {
    let invalid = |why: String| Err(ApiError::new(ErrorCode::InvalidTopicException, why));
    if name == CLUSTER_METADATA {
        return Err(ErrorCode::TopicAuthorizationFailed.into());
    }
    if name.is_empty() {
        return invalid("Topic name is invalid: the empty string is not allowed".to_owned());
    }
    if name == "." || name == ".." {
        return invalid(format!("Topic name is invalid: '{name}' is not allowed"));
    }
    if name.len() > limits::TOPIC_NAME_CHARS {
        let longest = limits::TOPIC_NAME_CHARS;
        return invalid(format!(
            "Topic name is invalid: the length of '{name}' is longer than the max allowed length {longest}"
        ));
    }
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')) {
        return invalid(format!(
            "Topic name is invalid: '{name}' contains one or more characters other than ASCII alphanumerics, '.', \
             '_' and '-'"
        ));
    }
    Ok(())
}

/// Refuses a name that differs from an existing one in '.' and '_' only: their metrics would have one name.
pub fn check_collision(image: &Image, name: &str) -> Result<(), ApiError> {
    if !name.contains(['.', '_']) {
        return Ok(());
    }
    let same = |other: &str| {
        other.len() == name.len()
            && other.bytes().zip(name.bytes()).all(|(a, b)| fold(a) == fold(b))
            && other != name
    };
    // Names with the same beginning up to the first '.' or '_' are next to each other.
    let prefix = name.split(['.', '_']).next().unwrap_or_default();
    let from: std::sync::Arc<str> = prefix.into();
    let mut near = image.topic_ids().range(from..).map(|(other, _)| other);
    let near = near.by_ref().take_while(|other| other.starts_with(prefix));
    match near.into_iter().find(|other| same(other)) {
        Some(other) => Err(ApiError::new(
            ErrorCode::InvalidTopicException,
            format!("Topic '{name}' collides with existing topic: {other}"),
        )),
        None => Ok(()),
    }
}

fn fold(byte: u8) -> u8 {
    if byte == b'.' { b'_' } else { byte }
}
