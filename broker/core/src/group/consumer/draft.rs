//! A group as it will be when the records planned so far are replayed.

use super::state::Group;
use crate::group::records::Record;
use std::borrow::Cow;

/// Plans records against a group. The group is copied when the first record changes it (members are shared),
/// so that a heartbeat that changes nothing copies nothing.
pub(in crate::group) struct Draft<'a> {
    group: Cow<'a, Group>,
    pub(in crate::group) records: Vec<Record>,
}

impl<'a> Draft<'a> {
    /// Plans for a group that exists.
    pub(in crate::group) const fn of(group: &'a Group) -> Self {
        Self { group: Cow::Borrowed(group), records: Vec::new() }
    }

    /// Plans for a group that will exist.
    pub(in crate::group) fn of_new(group: Group) -> Self {
        Self { group: Cow::Owned(group), records: Vec::new() }
    }

    /// The group as it will be.
    pub(in crate::group) fn group(&self) -> &Group {
        &self.group
    }

    /// Plans a record.
    pub(in crate::group) fn push(&mut self, record: Record) {
        self.group.to_mut().apply(&record);
        self.records.push(record);
    }
}
