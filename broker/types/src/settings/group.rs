//! Settings of a single group, and the broker settings that are their defaults and bounds (KIP-848, KIP-932).

use super::{Setting, broker, group_rows};

/// All of them, by key.
pub fn all() -> impl Iterator<Item = &'static Setting> {
    group_rows::ROWS.iter()
}

/// The setting of that key.
#[must_use]
pub fn lookup(key: &str) -> Option<&'static Setting> {
    let found = group_rows::ROWS.binary_search_by(|row| row.key.cmp(key)).ok()?;
    group_rows::ROWS.get(found)
}

/// The broker setting that holds for groups without a value of their own: `group.` and the same key.
#[must_use]
pub fn synonym(key: &str) -> Option<&'static str> {
    broker::lookup(&format!("group.{key}")).map(|setting| setting.key)
}

/// The broker settings that bound a group's value, the least before the most.
#[must_use]
pub fn bounds(key: &str) -> [Option<&'static str>; 2] {
    let Some((kind, rest)) = key.split_once('.') else { return [None, None] };
    let bound = |word: &str| {
        let rest = rest.strip_prefix("num.").unwrap_or(rest);
        broker::lookup(&format!("group.{kind}.{word}.{rest}")).map(|setting| setting.key)
    };
    [bound("min"), bound("max")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_valid_and_is_the_brokers() {
        assert_eq!(all().count(), 17);
        for setting in all() {
            let default = setting.default.unwrap();
            assert_eq!(setting.reason_against(default), None, "{}", setting.key);
            assert_eq!(lookup(setting.key), Some(setting));
            if let Some(key) = synonym(setting.key) {
                assert_eq!(broker::lookup(key).unwrap().default, setting.default, "{}", setting.key);
            }
        }
    }

    #[test]
    fn times_of_consumer_groups_are_bounded_on_both_sides() {
        assert_eq!(synonym("consumer.session.timeout.ms"), Some("group.consumer.session.timeout.ms"));
        let bounds = bounds("consumer.session.timeout.ms");
        let expected = ["group.consumer.min.session.timeout.ms", "group.consumer.max.session.timeout.ms"];
        assert_eq!(bounds, expected.map(Some));
        assert_eq!(
            super::bounds("streams.num.standby.replicas"),
            [None, Some("group.streams.max.standby.replicas")]
        );
        assert_eq!((super::bounds("share.auto.offset.reset"), synonym("nonsense")), ([None, None], None));
    }
}
