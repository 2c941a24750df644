//! Reading what is owned, from where the group has committed, and committing.

use super::super::consumer::read;
use super::{COMMIT_US, ClientContext, Member, Protocol, Purpose, TIMEOUT_US, topic_partition};
use crate::client::want;
use crate::group_message::GroupQuestion;
use crate::message::{FetchedPartition, Request};
use crate::trace::Address;
use ottla_core::fetch_session::{PartitionKey, SessionHeader};
use ottla_types::{BrokerId, ErrorCode, Offset};
use std::collections::BTreeMap;

/// How often a member commits in the generation before its own, too, parts per million.
const LATE_PPM: u64 = 50_000;

impl Member {
    pub(super) fn work(&mut self, cx: &mut ClientContext<'_>, coordinator: Address) {
        let unknown: Vec<i32> =
            self.owned.iter().filter(|(_, owned)| owned.position.is_none()).map(|(id, _)| *id).collect();
        if !unknown.is_empty() && !self.questions.any(|asked| matches!(asked, Purpose::FetchOffsets)) {
            cx.oracle.groups.offsets_asked(&self.group, self.id, &unknown, cx.now_us);
            self.ask_coordinator(
                cx,
                coordinator,
                GroupQuestion::FetchOffsets(unknown),
                Purpose::FetchOffsets,
            );
        }
        if !self.questions.any(|asked| matches!(asked, Purpose::Fetch(_))) {
            self.fetch(cx);
        }
        let commits = self.questions.any(|asked| matches!(asked, Purpose::Commit(_)));
        if !commits && cx.now_us >= self.next_commit_us {
            self.commit(cx, coordinator);
        }
    }

    fn fetch(&mut self, cx: &mut ClientContext<'_>) {
        let mut wanted = Vec::new();
        for (&partition, owned) in &self.owned {
            let Some(offset) = owned.position else { continue };
            let Some(id) = topic_partition(&self.routes, partition) else { continue };
            if let Some(Address::Broker(leader)) = self.routes.leader(id) {
                let key = PartitionKey::by_id(id.topic_id, partition);
                wanted.push((BrokerId(leader), key, want(offset, self.routes.epoch(id))));
            }
        }
        let can_read = self.owned.values().filter(|owned| owned.position.is_some()).count();
        if wanted.len() < can_read {
            self.ask_metadata(cx);
        }
        let Some(&(leader, ..)) = cx.random.pick(&wanted) else { return };
        wanted.retain(|(of, ..)| *of == leader);
        let asked = wanted.iter().map(|(_, key, want)| (key.partition, want.fetch_offset)).collect();
        let request = Request::Fetch {
            header: SessionHeader::LEGACY,
            partitions: wanted.into_iter().map(|(_, key, want)| (key, want)).collect(),
            forgotten: Vec::new(),
            follower: None,
            max_wait_us: 50_000,
        };
        self.questions.ask(cx, Address::Broker(leader.0), request, TIMEOUT_US, Purpose::Fetch(asked));
    }

    pub(super) fn fetched(
        &mut self,
        cx: &mut ClientContext<'_>,
        from: Address,
        asked: &BTreeMap<i32, Offset>,
        partitions: Vec<(PartitionKey, FetchedPartition)>,
    ) {
        for (key, fetched) in partitions {
            let Some(id) = topic_partition(&self.routes, key.partition) else { continue };
            let owned = self.owned.get_mut(&key.partition);
            let Some(position) = owned.and_then(|owned| owned.position.as_mut()) else { continue };
            // It may have been given up meanwhile, and come back.
            if asked.get(&key.partition) != Some(position) {
                continue;
            }
            if read(cx, from, (id, position), &fetched).is_err() {
                self.routes.forget(id);
            }
        }
    }

    fn commit(&mut self, cx: &mut ClientContext<'_>, coordinator: Address) {
        let offsets: Vec<(i32, Offset)> = self
            .owned
            .iter()
            .filter_map(|(&partition, owned)| Some((partition, owned.position?, owned.committed)))
            .filter(|(_, position, committed)| position > committed)
            .map(|(partition, position, _)| (partition, position))
            .collect();
        if offsets.is_empty() {
            return;
        }
        // A thread that was held up commits what it did before the group rebalanced. (In a KIP-848 group that may be right.)
        if self.protocol == Protocol::Classic && self.claim.epoch > 1 && cx.random.chance_ppm(LATE_PPM) {
            let late = GroupQuestion::Commit(offsets.clone());
            self.ask_coordinator(cx, coordinator, late, Purpose::LateCommit);
        }
        let number = cx.oracle.groups.commit_begins(&self.group, self.claim.epoch, &offsets, cx.now_us);
        self.ask_coordinator(cx, coordinator, GroupQuestion::Commit(offsets), Purpose::Commit(number));
    }

    pub(super) fn committed(&mut self, cx: &mut ClientContext<'_>, number: u64, results: &[ErrorCode]) {
        let is_good = results.iter().all(|code| *code == ErrorCode::None);
        let offsets = cx.oracle.groups.commit_ended(number, cx.now_us, is_good, !is_good, &mut cx.broken);
        self.next_commit_us = cx.now_us + COMMIT_US;
        if !is_good {
            return;
        }
        for (partition, offset) in offsets {
            if let Some(owned) = self.owned.get_mut(&partition) {
                owned.committed = owned.committed.max(offset);
            }
        }
        cx.trace("has committed", &[]);
    }

    pub(super) fn offsets_known(&mut self, cx: &mut ClientContext<'_>, offsets: &[(i32, Offset)]) {
        cx.oracle.groups.offsets_told(&self.group, self.id, offsets, &mut cx.broken);
        for &(partition, offset) in offsets {
            if let Some(owned) = self.owned.get_mut(&partition)
                && owned.position.is_none()
            {
                let offset = offset.max(0);
                (owned.position, owned.committed) = (Some(offset), offset);
            }
        }
    }
}
