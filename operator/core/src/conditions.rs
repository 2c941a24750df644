//! Conditions: what is true of a resource, since when, and why.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

/// Longest message, in characters; Kubernetes refuses 32768 bytes and more.
const MESSAGE_CHARS: usize = 1000;

/// Sets a condition. Its time changes only with its truth; a later [`stamp`] fills it in.
pub fn set(
    conditions: &mut Vec<Condition>,
    kind: &str,
    is_true: bool,
    reason: &str,
    message: &str,
    generation: Option<i64>,
) {
    let status = if is_true { "True" } else { "False" };
    let before = conditions.iter().position(|condition| condition.type_ == kind);
    let since = before.and_then(|at| conditions.get(at)).filter(|before| before.status == status);
    let condition = Condition {
        type_: kind.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message: message.chars().take(MESSAGE_CHARS).collect(),
        observed_generation: generation,
        last_transition_time: since.map_or_else(unset, |before| before.last_transition_time.clone()),
    };
    match before.and_then(|at| conditions.get_mut(at)) {
        Some(place) => *place = condition,
        None => conditions.push(condition),
    }
}

/// Gives the conditions that have changed their time.
pub fn stamp(conditions: &mut [Condition], now: Timestamp) {
    for condition in conditions.iter_mut().filter(|condition| condition.last_transition_time == unset()) {
        condition.last_transition_time = Time(now);
    }
}

/// True if the condition is there and true.
#[must_use]
pub fn is_true(conditions: &[Condition], kind: &str) -> bool {
    conditions.iter().any(|condition| condition.type_ == kind && condition.status == "True")
}

fn unset() -> Time {
    Time(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_changes_with_the_truth_only() {
        let mut conditions = Vec::new();
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        set(&mut conditions, "Ready", false, "Creating", "", Some(1));
        stamp(&mut conditions, at(10));
        set(&mut conditions, "Ready", false, "Moving", "soon", Some(2));
        stamp(&mut conditions, at(20));
        assert_eq!(conditions[0].last_transition_time.0, at(10));
        assert_eq!((conditions[0].reason.as_str(), conditions[0].observed_generation), ("Moving", Some(2)));
        set(&mut conditions, "Ready", true, "Ready", "", Some(2));
        stamp(&mut conditions, at(30));
        assert_eq!(conditions[0].last_transition_time.0, at(30));
        assert!(is_true(&conditions, "Ready") && !is_true(&conditions, "Healthy"));
    }
}
