//! A consumer of all partitions from their beginning: one fetch at a time, a broker after the other.

use super::{ClientContext, ClientTimer, Routes};
use crate::message::{Answer, Body, FetchedPartition, Request};
use crate::records::parse;
use crate::trace::Address;
use ottla_core::fetch_session::{FetchPartition, PartitionKey, SessionHeader, TopicRef};
use ottla_types::{ErrorCode, LeaderEpoch, Offset, TopicIdPartition};
use std::collections::BTreeMap;

/// A consumer.
#[derive(Debug)]
pub struct Consumer {
    positions: BTreeMap<TopicIdPartition, Offset>,
    routes: Routes,
    turn: usize,
    asked: Option<(u64, Address)>,
    next_number: u64,
}

impl Consumer {
    /// Consumer `id` of these partitions.
    #[must_use]
    pub fn new(id: u32, partitions: &[TopicIdPartition]) -> Self {
        Self {
            positions: partitions.iter().map(|&partition| (partition, 0)).collect(),
            routes: Routes::default(),
            turn: 0,
            asked: None,
            next_number: u64::from(id) << 40,
        }
    }

    /// Where it is.
    #[must_use]
    pub fn positions(&self) -> &BTreeMap<TopicIdPartition, Offset> {
        &self.positions
    }

    pub(super) fn handle_timer(&mut self, cx: &mut ClientContext<'_>, timer: ClientTimer) {
        match timer {
            ClientTimer::Next if self.asked.is_none() => self.next(cx),
            ClientTimer::Deadline(number) if self.asked.is_some_and(|(asked, _)| asked == number) => {
                self.lost(cx)
            }
            _ => {}
        }
    }

    fn next(&mut self, cx: &mut ClientContext<'_>) {
        self.next_number += 1;
        let number = self.next_number;
        self.turn += 1;
        let broker = cx.brokers[self.turn % cx.brokers.len()];
        let wanted: Vec<_> = self
            .positions
            .iter()
            .filter(|(partition, _)| self.routes.leaders.get(partition) == Some(&broker))
            .map(|(partition, &offset)| {
                (
                    PartitionKey::by_id(partition.topic_id, partition.partition),
                    want(offset, self.routes.epoch(*partition)),
                )
            })
            .collect();
        if wanted.is_empty() || self.turn.is_multiple_of(50) {
            self.asked = Routes::refresh(cx, number).map(|to| (number, to));
            return;
        }
        let to = Address::Broker(broker.0);
        let request = Request::Fetch {
            header: SessionHeader::LEGACY,
            partitions: wanted,
            forgotten: Vec::new(),
            follower: None,
            max_wait_us: 50_000,
        };
        cx.messages.push((to, Body::Request(number, request)));
        cx.timers.push((1_000_000, ClientTimer::Deadline(number)));
        self.asked = Some((number, to));
    }

    pub(super) fn handle_answer(
        &mut self,
        cx: &mut ClientContext<'_>,
        from: Address,
        answer: Option<(u64, Answer)>,
    ) {
        let Some((asked, peer)) = self.asked else { return };
        match answer {
            None if peer == from => self.lost(cx),
            Some((number, answer)) if number == asked => {
                self.asked = None;
                let mut pause = 20_000;
                match answer {
                    Answer::Metadata(leaders) => self.routes.take(leaders),
                    Answer::Fetched { partitions, .. } => {
                        pause = 2_000;
                        for (key, partition) in partitions {
                            self.read(cx, from, &key, &partition);
                        }
                    }
                    _ => {}
                }
                cx.timers.push((pause, ClientTimer::Next));
            }
            _ => {}
        }
    }

    fn read(
        &mut self,
        cx: &mut ClientContext<'_>,
        from: Address,
        key: &PartitionKey,
        partition: &FetchedPartition,
    ) {
        let TopicRef::Id(topic_id) = key.topic else { return };
        let id = TopicIdPartition { topic_id, partition: key.partition };
        match partition.error {
            ErrorCode::None => {}
            ErrorCode::OffsetOutOfRange => {
                let position = self.positions.get(&id).copied().unwrap_or(0);
                cx.broken
                    .push(format!("{from} lacks offset {position} of {id:?}, below which all was consumed"));
            }
            _ => {
                self.routes.leaders.remove(&id);
                return;
            }
        }
        let Some(position) = self.positions.get_mut(&id) else { return };
        match parse(&partition.records) {
            Ok(records) => {
                let before = *position;
                for record in records.iter().filter(|record| record.offset >= before) {
                    crate::invariants::consumed::check(cx.oracle, id, (*position, *record), &mut cx.broken);
                    *position = record.offset + 1;
                    cx.oracle.consumed += 1;
                }
                if *position > before {
                    let numbers = [i64::from(id.partition), before, *position];
                    cx.trace("p{}: consumes {} to {}", &numbers);
                }
            }
            Err(error) => cx.broken.push(error),
        }
    }

    fn lost(&mut self, cx: &mut ClientContext<'_>) {
        self.asked = None;
        self.routes.leaders.clear();
        cx.timers.push((20_000, ClientTimer::Next));
    }
}

fn want(fetch_offset: Offset, current_leader_epoch: LeaderEpoch) -> FetchPartition {
    FetchPartition {
        fetch_offset,
        log_start_offset: -1,
        max_bytes: 64 << 10,
        current_leader_epoch,
        last_fetched_epoch: LeaderEpoch::NONE,
    }
}
