//! Whether a text can be a setting's value.

use super::{Kind, Setting, Valid};

pub(super) fn reason_against(setting: &Setting, value: &str) -> Option<String> {
    match setting.kind {
        Kind::Boolean => boolean(value),
        Kind::Short => number(setting.valid, value, i16::MIN.into(), i16::MAX.into()),
        Kind::Int => number(setting.valid, value, i32::MIN.into(), i32::MAX.into()),
        Kind::Long => number(setting.valid, value, i64::MIN, i64::MAX),
        Kind::Double => fraction(setting.valid, value),
        Kind::List => list(setting.valid, value),
        Kind::String | Kind::Class | Kind::Password => text(setting.valid, value),
    }
}

fn boolean(value: &str) -> Option<String> {
    let known = value.trim().eq_ignore_ascii_case("true") || value.trim().eq_ignore_ascii_case("false");
    (!known).then(|| "must be true or false".to_owned())
}

fn number(valid: Valid, value: &str, kind_least: i64, kind_most: i64) -> Option<String> {
    let Ok(number) = value.trim().parse::<i64>() else {
        return Some("is not a whole number".to_owned());
    };
    let (least, most) = match valid {
        Valid::Between(least, most) => (least.max(kind_least), most.min(kind_most)),
        Valid::GzipLevel if number == -1 => return None,
        Valid::GzipLevel => (1, 9),
        _ => (kind_least, kind_most),
    };
    if (least..=most).contains(&number) {
        None
    } else if valid == Valid::GzipLevel {
        Some("must be between 1 and 9, or -1".to_owned())
    } else if most == kind_most && number < least {
        Some(format!("must be at least {least}"))
    } else {
        Some(format!("must be between {least} and {most}"))
    }
}

fn fraction(valid: Valid, value: &str) -> Option<String> {
    match value.trim().parse::<f64>() {
        Err(_) => Some("is not a number".to_owned()),
        Ok(number) if valid == Valid::Fraction && !(0.0..=1.0).contains(&number) => {
            Some("must be between 0 and 1".to_owned())
        }
        Ok(_) => None,
    }
}

/// The elements of a list: between commas, without white space around them.
pub(super) fn elements(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|element| !element.is_empty())
}

fn list(valid: Valid, value: &str) -> Option<String> {
    match valid {
        Valid::ThrottledReplicas if value.trim() == "*" => None,
        Valid::ThrottledReplicas => elements(value)
            .find(|element| !is_replica(element))
            .map(|element| format!("must be * or a list of partition:broker, and {element:?} is not that")),
        _ if value.trim().is_empty() && matches!(valid, Valid::NonEmpty) => {
            Some("must not be empty".to_owned())
        }
        _ => elements(value).find_map(|element| text(valid, element)),
    }
}

fn is_replica(element: &str) -> bool {
    let is_id = |id: &str| id.parse::<u32>().is_ok();
    element.split_once(':').is_some_and(|(partition, broker)| is_id(partition) && is_id(broker))
}

fn text(valid: Valid, value: &str) -> Option<String> {
    let known = match valid {
        Valid::OneOf(allowed) => allowed.contains(&value),
        Valid::OneOfAnyCase(allowed) => allowed.iter().any(|word| word.eq_ignore_ascii_case(value)),
        Valid::NonEmpty if value.is_empty() => return Some("must not be empty".to_owned()),
        _ => true,
    };
    match valid {
        Valid::OneOf(allowed) | Valid::OneOfAnyCase(allowed) if !known => {
            Some(format!("must be one of {}", allowed.join(", ")))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::settings::{Effect, InvalidSetting, broker, topic};

    #[test]
    fn every_default_is_valid_and_every_setting_has_a_sentence() {
        for setting in broker::all().chain(topic::all()) {
            if let Some(default) = setting.default {
                assert_eq!(setting.reason_against(default), None, "{}", setting.key);
            }
            assert!(setting.doc.ends_with('.'), "{}", setting.key);
        }
    }

    #[test]
    fn every_key_is_found_and_there_are_as_many_as_kafka_has() {
        for setting in broker::all() {
            assert_eq!(broker::lookup(setting.key), Some(setting));
        }
        for setting in topic::all() {
            assert_eq!(topic::lookup(setting.key), Some(setting));
        }
        assert_eq!((broker::all().count(), topic::all().count()), (343, 33));
        assert_eq!(broker::lookup("log.retention"), None);
    }

    #[test]
    fn bad_values_are_explained() {
        let reason = |key: &str, value: &str| match topic::validate(key, value) {
            Err(InvalidSetting::InvalidValue { reason, .. }) => reason,
            other => panic!("{other:?}"),
        };
        assert_eq!(reason("retention.ms", "a week"), "is not a whole number");
        assert_eq!(reason("retention.ms", "-2"), "must be at least -1");
        assert_eq!(reason("cleanup.policy", "delete, shred"), "must be one of compact, delete");
        assert_eq!(reason("compression.gzip.level", "0"), "must be between 1 and 9, or -1");
        assert_eq!(reason("min.insync.replicas", "3000000000"), "must be between 1 and 2147483647");
        assert_eq!(reason("min.cleanable.dirty.ratio", "1.5"), "must be between 0 and 1");
        assert_eq!(reason("preallocate", "yes"), "must be true or false");
        assert!(reason("leader.replication.throttled.replicas", "0:1,2").contains("\"2\""));
        assert_eq!(topic::validate("leader.replication.throttled.replicas", "*"), Ok(()));
        assert_eq!(topic::validate("cleanup.policy", "compact,delete"), Ok(()));
        assert_eq!(topic::validate("no.such", "1").unwrap_err().to_string(), "unknown setting \"no.such\"");
    }

    #[test]
    fn a_password_is_not_repeated_in_an_error() {
        let setting = broker::all().find(|setting| setting.is_sensitive()).unwrap();
        assert_eq!(setting.reason_against("secret"), None);
        assert!(broker::all().filter(|setting| setting.key.ends_with("password")).all(|s| s.is_sensitive()));
        assert!(broker::all().any(|setting| setting.effect == Effect::Later));
    }
}
