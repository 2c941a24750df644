//! Helpers that look inside a shard.

use super::{Group, Shard};
use crate::group::{classic, consumer};

pub(in crate::group) fn classic_group<'a>(shard: &'a Shard, id: &str) -> &'a classic::Group {
    match shard.groups.get(id) {
        Some(Group::Classic(group)) => group,
        other => panic!("{id} is {other:?}"),
    }
}

pub(in crate::group) fn find_classic_group<'a>(shard: &'a Shard, id: &str) -> Option<&'a classic::Group> {
    matches!(shard.groups.get(id), Some(Group::Classic(_))).then(|| classic_group(shard, id))
}

pub(in crate::group) fn consumer_group<'a>(shard: &'a Shard, id: &str) -> &'a consumer::Group {
    match shard.groups.get(id) {
        Some(Group::Consumer(group)) => group,
        other => panic!("{id} is {other:?}"),
    }
}

pub(in crate::group) fn is_consumer_group(shard: &Shard, id: &str) -> bool {
    matches!(shard.groups.get(id), Some(Group::Consumer(_)))
}
