//! What a group's settings must be to each other and to the bounds that brokers set (Kafka's `GroupConfig`).

use super::configs::invalid;
use super::error::ApiError;
use crate::metadata::{Image, StaticSettings};
use ottla_types::BrokerId;
use ottla_types::settings::group;
use std::collections::BTreeMap;

/// Checks all the settings that a group is to have; each of them alone is valid already.
pub(super) fn check(
    image: &Image,
    file: &StaticSettings,
    group_id: &str,
    after: &BTreeMap<String, String>,
) -> Result<(), ApiError> {
    let number = |text: &str| text.trim().parse::<i64>().ok();
    let of_broker = |key: &str| number(&image.broker_value(key, BrokerId::NONE, file)?);
    for (key, value) in after {
        let Some(value) = number(value) else { continue };
        let [least, most] = group::bounds(key);
        if let Some(bound) = least.filter(|bound| of_broker(bound).is_some_and(|least| value < least)) {
            return Err(invalid(format!("{key} must be greater than or equal to {bound}")));
        }
        if let Some(bound) = most.filter(|bound| of_broker(bound).is_some_and(|most| value > most)) {
            return Err(invalid(format!("{key} must be less than or equal to {bound}")));
        }
    }
    let effective = |key: &str| match after.get(key) {
        Some(value) => number(value),
        None => of_broker(group::synonym(key)?),
    };
    for kind in ["consumer", "share", "streams"] {
        let (session, heartbeat) =
            (format!("{kind}.session.timeout.ms"), format!("{kind}.heartbeat.interval.ms"));
        let touched = after.contains_key(&session) || after.contains_key(&heartbeat);
        if touched && effective(&session) <= effective(&heartbeat) {
            return Err(invalid(format!("{session} must be greater than {heartbeat} (group {group_id})")));
        }
    }
    Ok(())
}
