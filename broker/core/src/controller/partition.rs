//! What follows for one partition when its replicas, its ISR or its brokers' states change.
//!
//! Kafka's `PartitionChangeBuilder`, with KIP-966 always on: a replica that leaves an ISR below
//! `min.insync.replicas` has all that was acknowledged and stays eligible (ELR). Invariants: a leader is in the ISR;
//! an election is clean unless it was asked to be otherwise or nobody but the last leader is left; a replica whose
//! disk is not there is in no ISR and is not elected, so that an emptied disk never takes the place of data.

use crate::metadata::record::{PartitionChange, broker_list, brokers, directory_bytes};
use crate::metadata::{Image, LOST_DIRECTORY, PartitionImage};
use crate::planted::{self, Bug};
use ottla_types::{BrokerId, DirectoryId};

/// How a leader may be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Election {
    /// Keep the leader if it can stay; else any that is in sync.
    Online,
    /// The preferred replica if it is in sync, else as `Online`.
    Preferred,
    /// As `Online`, and if none is in sync any replica that is there.
    Unclean,
}

/// A change of a partition in the making.
#[derive(Debug)]
pub(super) struct PartitionUpdate<'a> {
    partition: &'a PartitionImage,
    image: &'a Image,
    index: i32,
    min_insync_replicas: usize,
    pub election: Election,
    pub isr: Vec<BrokerId>,
    pub replicas: Vec<BrokerId>,
    pub adding: Vec<BrokerId>,
    pub removing: Vec<BrokerId>,
    /// A broker that may have lost what it had not flushed.
    pub unclean_shutdown: Option<BrokerId>,
    /// A broker that has lost this replica altogether, wherever it makes a new one.
    pub lost: Option<BrokerId>,
    /// Directories that are known better now.
    pub assigned: Vec<(BrokerId, DirectoryId)>,
    pub recovering: bool,
    /// An administrator insists: if no disk with a replica is there, an empty one may lead.
    pub accept_total_loss: bool,
    /// Brokers that lead only if nobody else in sync can.
    pub last_choice: Vec<BrokerId>,
    leader: BrokerId,
    elr: Vec<BrokerId>,
    last_known_elr: Vec<BrokerId>,
}

impl<'a> PartitionUpdate<'a> {
    pub fn new(
        image: &'a Image,
        partition: &'a PartitionImage,
        index: i32,
        min_insync_replicas: usize,
    ) -> Self {
        Self {
            partition,
            image,
            index,
            min_insync_replicas,
            election: Election::Online,
            isr: partition.isr.clone(),
            replicas: partition.replicas.clone(),
            adding: partition.adding.clone(),
            removing: partition.removing.clone(),
            unclean_shutdown: None,
            lost: None,
            assigned: Vec::new(),
            recovering: partition.recovering,
            accept_total_loss: false,
            last_choice: Vec::new(),
            leader: partition.leader,
            elr: partition.elr.clone(),
            last_known_elr: partition.last_known_elr.clone(),
        }
    }

    /// The change that all of this leads to; none if everything stays.
    pub fn build(mut self) -> Option<PartitionChange> {
        self.leave_if_gone();
        self.complete_reassignment();
        self.update_eligible();
        self.elect();
        self.note_last_leader();
        let change = self.difference();
        let nothing = PartitionChange { partition: self.index, ..PartitionChange::default() };
        (change != nothing).then_some(change)
    }

    /// Who lost data is not in sync, and who is not active cannot be.
    fn leave_if_gone(&mut self) {
        let isr = std::mem::take(&mut self.isr);
        let gone = [self.unclean_shutdown, self.lost];
        let stays = |broker: &BrokerId| !gone.contains(&Some(*broker)) && self.is_acceptable(*broker);
        self.isr = isr.into_iter().filter(stays).collect();
    }

    /// A reassignment is through when all that it adds are in sync.
    fn complete_reassignment(&mut self) {
        if self.adding.is_empty() && self.removing.is_empty() {
            return;
        }
        let stays = |broker: &BrokerId| !self.removing.contains(broker);
        let isr: Vec<BrokerId> = self.isr.iter().copied().filter(stays).collect();
        if isr.is_empty() || !self.adding.iter().all(|broker| isr.contains(broker)) {
            return;
        }
        self.replicas = self.replicas.iter().copied().filter(stays).collect();
        self.isr = isr;
        self.adding.clear();
        self.removing.clear();
    }

    fn update_eligible(&mut self) {
        if self.isr.len() >= self.min_insync_replicas.min(self.replicas.len()) {
            self.elr.clear();
            self.last_known_elr.clear();
            return;
        }
        let mut eligible: Vec<BrokerId> = self.partition.elr.clone();
        eligible.extend(self.partition.isr.iter().filter(|broker| !self.partition.elr.contains(broker)));
        eligible.retain(|broker| {
            self.replicas.contains(broker)
                && !self.isr.contains(broker)
                && self.unclean_shutdown != Some(*broker)
                && self.lost != Some(*broker)
        });
        eligible.sort_unstable();
        self.elr = eligible;
        self.last_known_elr.retain(|broker| self.lost != Some(*broker) && self.replicas.contains(broker));
    }

    /// It is there, and the disk with its replica too.
    fn is_acceptable(&self, broker: BrokerId) -> bool {
        let known = self.image.broker(broker);
        known.is_some_and(|known| known.is_active() && known.is_online(self.directory(broker)))
    }

    fn directory(&self, broker: BrokerId) -> DirectoryId {
        match self.assigned.iter().find(|(assigned, _)| *assigned == broker) {
            Some((_, directory)) => *directory,
            None if self.lost == Some(broker) => LOST_DIRECTORY,
            None => self.partition.directory(broker),
        }
    }

    fn can_lead(&self, broker: BrokerId) -> bool {
        let is_in_sync = self.isr.contains(&broker)
            || (self.isr.is_empty() && self.elr.contains(&broker))
            || planted::is(Bug::ElectOutsideIsr);
        is_in_sync && self.is_acceptable(broker)
    }

    fn elect(&mut self) {
        let preferred = self.replicas.first().copied().filter(|_| self.election == Election::Preferred);
        let current = (!self.leader.is_none() && self.replicas.contains(&self.leader)).then_some(self.leader);
        let in_order = preferred.into_iter().chain(current).chain(self.replicas.iter().copied());
        let is_first_choice = |broker: &BrokerId| !self.last_choice.contains(broker);
        let in_order = in_order.clone().filter(is_first_choice).chain(in_order);
        if let Some(leader) = in_order.into_iter().find(|&broker| self.can_lead(broker)) {
            self.leader = leader;
            if !self.isr.contains(&leader) {
                self.isr = vec![leader];
                self.elr.retain(|&broker| broker != leader);
            }
            return;
        }
        match self.unclean_leader() {
            Some(leader) => {
                if !self.is_acceptable(leader) {
                    // It may begin with an empty log.
                    self.assigned.push((leader, LOST_DIRECTORY));
                }
                self.leader = leader;
                self.isr = vec![leader];
                self.elr.retain(|&broker| broker != leader);
                self.recovering = true;
            }
            None => self.leader = BrokerId::NONE,
        }
    }

    fn unclean_leader(&self) -> Option<BrokerId> {
        if let ([last], true) = (&self.last_known_elr[..], self.isr.is_empty() && self.elr.is_empty())
            && self.is_acceptable(*last)
        {
            return Some(*last);
        }
        if self.election != Election::Unclean {
            return None;
        }
        let has_data = |broker: BrokerId| self.lost != Some(broker) && self.is_acceptable(broker);
        let found = self.replicas.iter().copied().find(|&broker| has_data(broker));
        if found.is_none() && self.accept_total_loss {
            return self.replicas.iter().copied().find(|&broker| self.image.is_active(broker));
        }
        found
    }

    /// When nobody is in sync any more, the last leader has the most.
    fn note_last_leader(&mut self) {
        let leader = self.partition.leader;
        if self.isr.is_empty()
            && !self.partition.isr.is_empty()
            && !leader.is_none()
            && self.lost != Some(leader)
            && self.replicas.contains(&leader)
        {
            self.last_known_elr = vec![leader];
        }
    }

    fn difference(&self) -> PartitionChange {
        let old = self.partition;
        let changed = |new: &[BrokerId], old: &[BrokerId]| (new != old).then(|| brokers(new));
        let is_same_set = {
            let (mut new, mut known) = (broker_list(&self.isr), broker_list(&old.isr));
            new.sort_unstable();
            known.sort_unstable();
            new == known
        };
        // A replica that is taken away must not go on as if it belonged here: the epoch says so.
        let drops_replica = old.replicas.iter().any(|replica| !self.replicas.contains(replica));
        let bumps_epoch = self.leader != old.leader || drops_replica;
        let directories = self.directories();
        PartitionChange {
            partition: self.index,
            leader: bumps_epoch.then_some(self.leader.0),
            isr: (!is_same_set).then(|| brokers(&self.isr)),
            replicas: changed(&self.replicas, &old.replicas),
            adding: changed(&self.adding, &old.adding),
            removing: changed(&self.removing, &old.removing),
            elr: changed(&self.elr, &old.elr),
            last_known_elr: changed(&self.last_known_elr, &old.last_known_elr),
            directories: (directories != old.directories).then(|| directory_bytes(&directories)),
            recovering: (self.recovering != old.recovering).then_some(self.recovering),
        }
    }

    fn directories(&self) -> Vec<DirectoryId> {
        self.replicas.iter().map(|&replica| self.directory(replica)).collect()
    }
}
