//! What tools ask: list, describe, delete.

use super::{Call, Group, Shard};
use crate::group::classic::{self, Described};
use crate::group::consumer;
use crate::group::consumer_protocol::PROTOCOL_TYPE;
use crate::group::records::{OffsetKey, Record};
use crate::group::turn::{Outcome, Turn};
use ottla_types::ErrorCode;
use std::sync::Arc;

/// Which protocol a group follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GroupType {
    /// Classic.
    Classic,
    /// Consumer (KIP-848).
    Consumer,
}

impl GroupType {
    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Consumer => "consumer",
        }
    }
}

/// What ListGroups asks for; names in any case of letters, nothing means everything.
#[derive(Debug, Clone, Default)]
pub struct ListFilter<'a> {
    /// State names (from version 4).
    pub states: Vec<&'a str>,
    /// Type names (from version 5).
    pub types: Vec<&'a str>,
}

/// A line of ListGroups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The group.
    pub group_id: Arc<str>,
    /// `consumer`, `connect` ...; empty for a group that only commits offsets.
    pub protocol_type: Arc<str>,
    /// The state's name.
    pub state: &'static str,
    /// Which protocol.
    pub group_type: GroupType,
}

/// Why a group cannot be described as asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DescribeError {
    /// There is no such group, or it follows the other protocol.
    #[error("there is no such group of this protocol")]
    NotFound,
    /// The shard is not loaded yet.
    #[error("the group's coordinator is loading")]
    Loading,
}

impl DescribeError {
    /// Kafka's error code.
    #[must_use]
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::NotFound => ErrorCode::GroupIdNotFound,
            Self::Loading => ErrorCode::CoordinatorLoadInProgress,
        }
    }
}

impl Group {
    pub(super) const fn group_type(&self) -> GroupType {
        match self {
            Self::Classic(_) => GroupType::Classic,
            Self::Consumer(_) => GroupType::Consumer,
        }
    }

    pub(super) fn state_name(&self) -> &'static str {
        match self {
            Self::Classic(group) => group.state().name(),
            Self::Consumer(group) => group.state().name(),
        }
    }

    fn listed(&self, group_id: &Arc<str>) -> Listed {
        let protocol_type = match self {
            Self::Classic(group) => Arc::from(group.protocol_type().unwrap_or_default()),
            Self::Consumer(_) => Arc::from(PROTOCOL_TYPE),
        };
        Listed {
            group_id: Arc::clone(group_id),
            protocol_type,
            state: self.state_name(),
            group_type: self.group_type(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Classic(group) => group.state() == classic::State::Empty,
            Self::Consumer(group) => group.members().is_empty(),
        }
    }

    /// What deletes the group itself from the log.
    pub(super) fn push_tombstones(&self, turn: &mut Turn<'_>, group_id: &Arc<str>) {
        match self {
            Self::Classic(_) => turn.records.push(Record::ClassicGroup(Arc::clone(group_id), None)),
            Self::Consumer(group) => turn.records.extend(group.tombstones()),
        }
    }
}

impl ListFilter<'_> {
    fn admits(&self, group: &Listed) -> bool {
        let among = |names: &[&str], name: &str| {
            names.is_empty() || names.iter().any(|asked| asked.trim().eq_ignore_ascii_case(name))
        };
        among(&self.states, group.state) && among(&self.types, group.group_type.name())
    }
}

impl Shard {
    /// ListGroups.
    ///
    /// # Errors
    /// While loading: the list would be incomplete.
    pub fn list_groups(&self, filter: &ListFilter<'_>) -> Result<Vec<Listed>, ErrorCode> {
        self.check_active()?;
        let listed = self.groups.iter().map(|(id, group)| group.listed(id));
        Ok(listed.filter(|group| filter.admits(group)).collect())
    }

    /// DescribeGroups for one group. The caller shows a missing one as [`Described::dead`] (with
    /// `GROUP_ID_NOT_FOUND` from version 6 on).
    ///
    /// # Errors
    /// [`DescribeError`].
    pub fn describe_group(&self, group_id: &str) -> Result<Described, DescribeError> {
        self.check_active().map_err(|_| DescribeError::Loading)?;
        match self.groups.get(group_id) {
            Some(Group::Classic(group)) => Ok(group.describe()),
            Some(Group::Consumer(_)) | None => Err(DescribeError::NotFound),
        }
    }

    /// ConsumerGroupDescribe for one group.
    ///
    /// # Errors
    /// [`DescribeError`].
    pub fn describe_consumer_group(&self, group_id: &str) -> Result<consumer::Described, DescribeError> {
        self.check_active().map_err(|_| DescribeError::Loading)?;
        match self.groups.get(group_id) {
            Some(Group::Consumer(group)) => {
                Ok(group.describe(&self.settings.broker.group_consumer_assignors))
            }
            Some(Group::Classic(_)) | None => Err(DescribeError::NotFound),
        }
    }

    /// DeleteGroups: one verdict for each group, in order.
    pub fn delete_groups(&mut self, call: Call<'_>, group_ids: &[&str]) -> Outcome<Vec<ErrorCode>> {
        if let Err(error) = self.check_active() {
            return Outcome::without_records(vec![error; group_ids.len()]);
        }
        let (parts, mut turn) = self.turn(call);
        turn.atomic = false;
        let mut verdicts = Vec::with_capacity(group_ids.len());
        for group_id in group_ids {
            let Some((id, group)) = parts.groups.get_key_value(*group_id) else {
                verdicts.push(ErrorCode::GroupIdNotFound);
                continue;
            };
            if !group.is_empty() {
                verdicts.push(ErrorCode::NonEmptyGroup);
                continue;
            }
            for (topic, partition) in parts.offsets.all_keys(id) {
                let key = OffsetKey { group: Arc::clone(id), topic, partition };
                turn.records.push(Record::Offset(key, None));
            }
            group.push_tombstones(&mut turn, id);
            verdicts.push(ErrorCode::None);
        }
        turn.outcome(verdicts)
    }
}
