//! OffsetCommit, TxnOffsetCommit, OffsetFetch and OffsetDelete: the group agrees, then offsets are planned.

use super::{Call, Group, Shard};
use crate::group::offsets::{self, CommitReply, CommitRequest, DeleteRequest, FetchGroup, FetchedTopic};
use crate::group::records::{OffsetKey, Record};
use crate::group::turn::Outcome;
use ottla_types::{ErrorCode, TopicId};
use std::collections::BTreeMap;
use std::sync::Arc;

impl Shard {
    /// OffsetCommit and TxnOffsetCommit. The records of the latter are appended with the producer's id and epoch
    /// in a transactional batch.
    ///
    /// # Errors
    /// For the whole request if the group does not accept the committer.
    pub fn commit_offsets(
        &mut self,
        call: Call<'_>,
        request: &CommitRequest<'_>,
    ) -> Result<Outcome<CommitReply>, ErrorCode> {
        self.check_active()?;
        let (parts, mut turn) = self.turn(call);
        let id = match parts.groups.get_key_value(request.group_id) {
            Some((id, Group::Classic(group))) => {
                group.validate_commit(&request.from)?;
                if !request.from.transactional {
                    group.committed(&mut turn, request.from.member_id);
                }
                Arc::clone(id)
            }
            Some((id, Group::Consumer(group))) => {
                group.validate_commit(&request.from, &request.topics, turn.topics)?;
                Arc::clone(id)
            }
            // The group comes to be when the record is replayed.
            None if request.from.generation_id_or_member_epoch < 0 => Arc::from(request.group_id),
            None if request.from.knows_member_epochs && !request.from.transactional => {
                return Err(ErrorCode::GroupIdNotFound);
            }
            None => return Err(ErrorCode::IllegalGeneration),
        };
        let reply = offsets::commit(&mut turn, parts.offsets, &id, request);
        Ok(turn.outcome(reply))
    }

    /// OffsetFetch for one group.
    ///
    /// # Errors
    /// `UNKNOWN_MEMBER_ID` or `STALE_MEMBER_EPOCH` for a member of a consumer group that is not what it says.
    pub fn fetch_offsets(&self, request: &FetchGroup<'_>) -> Result<Vec<FetchedTopic>, ErrorCode> {
        self.check_active()?;
        if let Some(Group::Consumer(group)) = self.groups.get(request.group_id) {
            group.validate_fetch(request)?;
        }
        Ok(offsets::fetch(&self.offsets, request))
    }

    /// OffsetDelete.
    ///
    /// # Errors
    /// `GROUP_ID_NOT_FOUND`, or `NON_EMPTY_GROUP` for a live group whose subscriptions cannot be read.
    pub fn delete_offsets(
        &mut self,
        call: Call<'_>,
        request: &DeleteRequest<'_>,
    ) -> Result<Outcome<CommitReply>, ErrorCode> {
        self.validate_named(request.group_id)?;
        let (parts, mut turn) = self.turn(call);
        let group = parts.groups.get(request.group_id).ok_or(ErrorCode::GroupIdNotFound)?;
        group.validate_offset_delete()?;
        let reply = offsets::delete(&mut turn, parts.offsets, request, |topic| group.is_subscribed_to(topic));
        Ok(turn.outcome(reply))
    }

    /// Topics are gone: so are the offsets of them. The reply is the number of offsets that go. While the shard is
    /// loading none go yet; the next round of looking for expired offsets finds them.
    pub fn topics_deleted(&mut self, call: Call<'_>, gone: &BTreeMap<&str, TopicId>) -> Outcome<usize> {
        if !self.active {
            return Outcome::without_records(0);
        }
        let (parts, mut turn) = self.turn(call);
        turn.atomic = false;
        for group in parts.offsets.groups_with_topics(gone) {
            for (topic, partition) in parts.offsets.all_keys(&group) {
                let Some(&id) = gone.get(&*topic) else { continue };
                // A topic of the same name that came after it keeps its own.
                let known = parts.offsets.get(&group, &topic, partition).map(|known| known.value.topic_id);
                if known.is_none_or(|known| known.is_zero() || known == id) {
                    let key = OffsetKey { group: Arc::clone(&group), topic, partition };
                    turn.records.push(Record::Offset(key, None));
                }
            }
        }
        let count = turn.records.len();
        turn.outcome(count)
    }
}

impl Group {
    pub(super) fn is_subscribed_to(&self, topic: &str) -> bool {
        match self {
            Self::Classic(group) => group.is_subscribed_to(topic),
            Self::Consumer(group) => group.is_subscribed_to(topic),
        }
    }

    fn validate_offset_delete(&self) -> Result<(), ErrorCode> {
        match self {
            Self::Classic(group) => group.validate_offset_delete(),
            Self::Consumer(_) => Ok(()),
        }
    }
}
