//! Whether a member of a consumer group may commit, fetch or delete offsets.

use super::member::Member;
use super::state::Group;
use crate::group::offsets::{CommitTopic, Committer, ExpiryBase, FetchGroup};
use crate::group::topics::Topics;
use crate::planted::{self, Bug};
use ottla_types::ErrorCode;

impl Group {
    /// May these offsets be committed? A member whose epoch was just raised may still commit partitions that it
    /// has had since its former epoch.
    pub(in crate::group) fn validate_commit(
        &self,
        from: &Committer<'_>,
        topics: &[CommitTopic<'_>],
        cluster: &dyn Topics,
    ) -> Result<(), ErrorCode> {
        let epoch = from.generation_id_or_member_epoch;
        if epoch < 0 && self.members.is_empty() {
            return Ok(());
        }
        let member = self.members.get(from.member_id).ok_or(ErrorCode::UnknownMemberId)?;
        if !from.transactional && !member.is_classic() && !from.knows_member_epochs {
            return Err(ErrorCode::UnsupportedVersion);
        }
        let stale = match (member.is_classic(), from.transactional) {
            (true, _) | (_, true) => ErrorCode::IllegalGeneration,
            (false, false) => ErrorCode::StaleMemberEpoch,
        };
        if epoch == member.epoch || planted::is(Bug::ForgetGeneration) {
            return Ok(());
        }
        if epoch < 0 || epoch > member.epoch || !has_all_since(member, epoch, topics, cluster) {
            return Err(stale);
        }
        Ok(())
    }

    /// May offsets be fetched? A client that does not say who it is may.
    pub(in crate::group) fn validate_fetch(&self, request: &FetchGroup<'_>) -> Result<(), ErrorCode> {
        let member_id = request.member_id.unwrap_or_default();
        if member_id.is_empty() && request.member_epoch < 0 {
            return Ok(());
        }
        let member = self.members.get(member_id).ok_or(ErrorCode::UnknownMemberId)?;
        match request.member_epoch == member.epoch {
            true => Ok(()),
            false if member.is_classic() => Err(ErrorCode::IllegalGeneration),
            false => Err(ErrorCode::StaleMemberEpoch),
        }
    }

    /// Since when its offsets age: a group with members keeps those of subscribed topics, others age since their
    /// commit.
    #[must_use]
    pub(in crate::group) const fn expiry_base(&self) -> ExpiryBase {
        ExpiryBase::Commit
    }
}

/// Has the member had all these partitions since that epoch or before?
fn has_all_since(member: &Member, epoch: i32, topics: &[CommitTopic<'_>], cluster: &dyn Topics) -> bool {
    topics.iter().all(|topic| {
        let named = || cluster.by_name(topic.name).map(|known| known.id);
        let id = if topic.topic_id.is_zero() { named() } else { Some(topic.topic_id) };
        let had =
            |partition| id.and_then(|id| member.epoch_of(id, partition)).is_some_and(|since| since <= epoch);
        topic.partitions.iter().all(|partition| had(partition.partition))
    })
}
