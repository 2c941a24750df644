//! Helpers that look inside a shard.

use super::{Group, Shard};
use crate::group::classic;

pub(in crate::group) fn classic_group<'a>(shard: &'a Shard, id: &str) -> &'a classic::Group {
    match shard.groups.get(id) {
        Some(Group::Classic(group)) => group,
        None => panic!("no group {id}"),
    }
}

pub(in crate::group) fn find_classic_group<'a>(shard: &'a Shard, id: &str) -> Option<&'a classic::Group> {
    shard.groups.get(id).map(|_| classic_group(shard, id))
}
