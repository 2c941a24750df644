//! Kafka's settings, as the loader asks for them.

use ottla_types::settings::{Effect, Kind, broker, topic};

pub(super) fn is_known(key: &str) -> bool {
    broker::lookup(key).is_some()
}

pub(super) fn keys() -> impl Iterator<Item = &'static str> {
    broker::all().map(|setting| setting.key)
}

pub(super) fn default_of(key: &str) -> Option<&'static str> {
    broker::lookup(key)?.default
}

/// What is wrong with a value, as a clause without a subject.
pub(super) fn validate(key: &str, value: &str) -> Result<(), String> {
    broker::lookup(key).and_then(|setting| setting.reason_against(value)).map_or(Ok(()), Err)
}

/// `Some(planned)` if setting it does nothing.
pub(super) fn no_effect(key: &str) -> Option<bool> {
    match broker::lookup(key)?.effect {
        Effect::Applied => None,
        Effect::Later => Some(true),
        Effect::Ignored => Some(false),
    }
}

/// Whether the value must not be shown.
pub(super) fn is_secret(key: &str) -> bool {
    broker::lookup(key).is_some_and(|setting| setting.kind == Kind::Password)
}

/// The broker's name for a topic's setting.
pub(super) fn broker_synonym(key: &str) -> Option<&'static str> {
    topic::synonyms(key).first().map(|synonym| synonym.key)
}
