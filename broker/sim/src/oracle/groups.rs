//! What groups were promised: committed offsets, and who owns which partition.

use ottla_types::Offset;
use std::collections::BTreeMap;
use std::sync::Arc;

/// So long after the last answered heartbeat was sent nobody else can own what its sender owns, by any clock
/// (sessions are 4 s).
const EXCLUSIVE_US: u64 = 3_200_000;

type At = (Arc<str>, i32);

/// A member that owns a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The client.
    pub client: u32,
    /// Its member id.
    pub member: Arc<str>,
    /// When the request was sent that the coordinator answered last, simulated microseconds.
    pub sent_us: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It may take effect at any time from its begin on.
    Open,
    /// Acknowledged at this time.
    Acknowledged(u64),
    /// It has no effect.
    Refused,
}

/// An attempt to commit.
#[derive(Debug)]
struct Commit {
    group: Arc<str>,
    epoch: i32,
    offsets: Vec<(i32, Offset)>,
    begun_us: u64,
    state: State,
}

/// Everything known of groups from outside.
#[derive(Debug, Default)]
pub struct Groups {
    commits: Vec<Commit>,
    by_partition: BTreeMap<At, Vec<usize>>,
    /// By group, partition and epoch: the member that was told to own it.
    owners: BTreeMap<(At, i32), Arc<str>>,
    holders: BTreeMap<At, Owner>,
    /// When a client asked for committed offsets.
    asked_us: BTreeMap<u32, u64>,
    /// Acknowledged commits.
    pub acknowledged: u64,
}

impl Groups {
    /// Somebody commits; the number comes back with the end.
    pub fn commit_begins(
        &mut self,
        group: &Arc<str>,
        epoch: i32,
        offsets: &[(i32, Offset)],
        now_us: u64,
    ) -> u64 {
        let index = self.commits.len();
        for (partition, _) in offsets {
            self.by_partition.entry((Arc::clone(group), *partition)).or_default().push(index);
        }
        self.commits.push(Commit {
            group: Arc::clone(group),
            epoch,
            offsets: offsets.to_vec(),
            begun_us: now_us,
            state: State::Open,
        });
        index as u64
    }

    /// A commit was answered, or given up on (then neither acknowledged nor refused). Gives what it was to commit.
    pub fn commit_ended(
        &mut self,
        number: u64,
        now_us: u64,
        acknowledged: bool,
        refused: bool,
        broken: &mut Vec<String>,
    ) -> Vec<(i32, Offset)> {
        let Some(index) = usize::try_from(number).ok().filter(|index| *index < self.commits.len()) else {
            return Vec::new();
        };
        if acknowledged {
            self.acknowledged += 1;
            self.commits[index].state = State::Acknowledged(now_us);
            broken.extend(self.overtaken(index));
        } else if refused {
            self.commits[index].state = State::Refused;
        }
        self.commits[index].offsets.clone()
    }

    /// A commit of an old epoch must not be taken after one of a newer epoch.
    fn overtaken(&self, index: usize) -> Option<String> {
        let commit = &self.commits[index];
        commit.offsets.iter().find_map(|(partition, offset)| {
            let others = self.by_partition.get(&(Arc::clone(&commit.group), *partition))?;
            let newer = others.iter().map(|other| &self.commits[*other]).find(|other| {
                other.epoch > commit.epoch
                    && matches!(other.state, State::Acknowledged(at) if at < commit.begun_us)
            })?;
            Some(format!(
                "group {}: offset {offset} of partition {partition} was taken in epoch {} after a commit in epoch {}",
                commit.group, commit.epoch, newer.epoch
            ))
        })
    }

    /// A client asks for committed offsets.
    pub fn offsets_asked(&mut self, _group: &Arc<str>, client: u32, _partitions: &[i32], now_us: u64) {
        self.asked_us.insert(client, now_us);
    }

    /// What a client was told is committed, -1 for nothing.
    pub fn offsets_told(
        &mut self,
        group: &Arc<str>,
        client: u32,
        offsets: &[(i32, Offset)],
        broken: &mut Vec<String>,
    ) {
        let asked_us = self.asked_us.get(&client).copied().unwrap_or(0);
        for &(partition, offset) in offsets {
            if !self.may_be_told(group, partition, offset, asked_us) {
                broken.push(format!(
                    "group {group} is told that {offset} is committed for partition {partition}, but its last \
                     acknowledged commit is another"
                ));
            }
        }
    }

    /// Right is what an acknowledged commit said that no later one has replaced for sure, or one that is open.
    fn may_be_told(&self, group: &Arc<str>, partition: i32, offset: Offset, asked_us: u64) -> bool {
        let Some(commits) = self.by_partition.get(&(Arc::clone(group), partition)) else { return offset < 0 };
        let commits = || commits.iter().map(|index| &self.commits[*index]);
        let last_begin = commits()
            .filter(|commit| matches!(commit.state, State::Acknowledged(at) if at < asked_us))
            .map(|commit| commit.begun_us)
            .max();
        let Some(last_begin) = last_begin else {
            return offset < 0 || commits().any(|commit| commit.says(partition, offset));
        };
        commits().filter(|commit| commit.says(partition, offset)).any(|commit| match commit.state {
            State::Open => true,
            State::Acknowledged(at) => at >= last_begin,
            State::Refused => false,
        })
    }

    /// The highest offset that was acknowledged for a partition; 0 without.
    #[must_use]
    pub fn highest(&self, group: &str, partition: i32) -> Offset {
        let good = self
            .commits
            .iter()
            .filter(|commit| &*commit.group == group && matches!(commit.state, State::Acknowledged(_)));
        let offsets = good.flat_map(|commit| &commit.offsets);
        offsets.filter(|(of, _)| *of == partition).map(|(_, offset)| *offset).max().unwrap_or(0)
    }

    /// A member was told to own a partition, at this time and in this epoch.
    pub fn owns(
        &mut self,
        group: &Arc<str>,
        partition: i32,
        owner: Owner,
        (now_us, epoch): (u64, i32),
        broken: &mut Vec<String>,
    ) {
        let at = (Arc::clone(group), partition);
        let first = self.owners.entry((at.clone(), epoch)).or_insert_with(|| Arc::clone(&owner.member));
        if *first != owner.member {
            broken.push(format!(
                "group {group}: {first} and {} own partition {partition} in epoch {epoch}",
                owner.member
            ));
        }
        if let Some(holder) = self.holders.get(&at)
            && holder.client != owner.client
            && now_us < holder.sent_us + EXCLUSIVE_US
        {
            broken.push(format!(
                "group {group}: {} gets partition {partition} while {} has it, whose heartbeat was answered {} ms ago",
                owner.member,
                holder.member,
                (now_us - holder.sent_us) / 1_000
            ));
        }
        self.holders.insert(at, owner);
    }

    /// A client has given a partition up.
    pub fn released(&mut self, group: &Arc<str>, partition: i32, client: u32) {
        let at = (Arc::clone(group), partition);
        if self.holders.get(&at).is_some_and(|holder| holder.client == client) {
            self.holders.remove(&at);
        }
    }

    /// A client's heartbeat of this time was answered while it owned these.
    pub fn heard(&mut self, group: &Arc<str>, client: u32, partitions: &[i32], sent_us: u64) {
        for &partition in partitions {
            if let Some(holder) = self.holders.get_mut(&(Arc::clone(group), partition))
                && holder.client == client
            {
                holder.sent_us = holder.sent_us.max(sent_us);
            }
        }
    }

    /// The client that owns a partition now, if one does.
    #[must_use]
    pub fn holder(&self, group: &Arc<str>, partition: i32) -> Option<u32> {
        self.holders.get(&(Arc::clone(group), partition)).map(|holder| holder.client)
    }
}

impl Commit {
    fn says(&self, partition: i32, offset: Offset) -> bool {
        self.state != State::Refused && self.offsets.contains(&(partition, offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group() -> Arc<str> {
        Arc::from("g")
    }

    fn commit(groups: &mut Groups, epoch: i32, offset: Offset, (from, to): (u64, u64)) -> Vec<String> {
        let number = groups.commit_begins(&group(), epoch, &[(0, offset)], from);
        let mut broken = Vec::new();
        groups.commit_ended(number, to, true, false, &mut broken);
        broken
    }

    fn told(groups: &mut Groups, offset: Offset, asked_us: u64) -> bool {
        let mut broken = Vec::new();
        groups.offsets_asked(&group(), 1, &[0], asked_us);
        groups.offsets_told(&group(), 1, &[(0, offset)], &mut broken);
        broken.is_empty()
    }

    #[test]
    fn the_last_acknowledged_offset_is_the_only_right_one() {
        let mut groups = Groups::default();
        assert!(told(&mut groups, -1, 0));
        assert!(commit(&mut groups, 1, 10, (1, 2)).is_empty());
        assert!(commit(&mut groups, 1, 20, (3, 4)).is_empty());
        assert!(told(&mut groups, 20, 5));
        assert!(!told(&mut groups, 10, 5));
        assert!(!told(&mut groups, -1, 5));
        assert!(!told(&mut groups, 15, 5));
    }

    #[test]
    fn a_commit_without_answer_may_count_or_not() {
        let mut groups = Groups::default();
        commit(&mut groups, 1, 10, (1, 2));
        groups.commit_begins(&group(), 1, &[(0, 20)], 3);
        assert!(told(&mut groups, 10, 5));
        assert!(told(&mut groups, 20, 5));
    }

    #[test]
    fn an_old_epochs_commit_is_not_taken_after_a_newer_ones() {
        let mut groups = Groups::default();
        assert!(commit(&mut groups, 2, 10, (1, 2)).is_empty());
        assert_eq!(commit(&mut groups, 1, 5, (3, 4)).len(), 1);
    }

    #[test]
    fn a_partition_has_one_owner() {
        let mut groups = Groups::default();
        let owner = |client: u32| Owner { client, member: Arc::from(client.to_string()), sent_us: 100 };
        let mut broken = Vec::new();
        groups.owns(&group(), 0, owner(1), (110, 1), &mut broken);
        groups.owns(&group(), 0, owner(1), (120, 2), &mut broken);
        assert!(broken.is_empty());
        groups.owns(&group(), 0, owner(2), (130, 3), &mut broken);
        assert_eq!(broken.len(), 1);
        groups.released(&group(), 0, 2);
        groups.owns(&group(), 0, owner(3), (140, 3), &mut broken);
        assert_eq!(broken.len(), 2, "two members in epoch 3");
    }
}
