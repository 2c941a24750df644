//! A consumer of all partitions from their beginning: one fetch at a time, a broker after the other.

use super::{ClientContext, ClientTimer, Questions, Routes, want};
use crate::message::{Answer, FetchedPartition, Request};
use crate::records::parse;
use crate::trace::Address;
use ottla_core::fetch_session::{PartitionKey, SessionHeader, TopicRef};
use ottla_types::{ErrorCode, Offset, TopicIdPartition};
use std::collections::BTreeMap;

const TIMEOUT_US: u64 = 1_000_000;

/// A consumer.
#[derive(Debug)]
pub struct Consumer {
    positions: BTreeMap<TopicIdPartition, Offset>,
    routes: Routes,
    turn: usize,
    questions: Questions<()>,
}

impl Consumer {
    /// Consumer `id`.
    #[must_use]
    pub fn new(id: u32) -> Self {
        Self {
            positions: BTreeMap::new(),
            routes: Routes::default(),
            turn: 0,
            questions: Questions::of_client(id),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn positions(&self) -> &BTreeMap<TopicIdPartition, Offset> {
        &self.positions
    }

    pub(super) fn handle_timer(&mut self, cx: &mut ClientContext<'_>, timer: ClientTimer) {
        match timer {
            ClientTimer::Next | ClientTimer::Again if !self.questions.any(|()| true) => self.next(cx),
            ClientTimer::Deadline(number) if self.questions.take(number).is_some() => self.lost(cx),
            _ => {}
        }
    }

    fn next(&mut self, cx: &mut ClientContext<'_>) {
        self.turn += 1;
        let broker = cx.brokers[self.turn % cx.brokers.len()];
        let led =
            self.routes.leaders().filter(|(_, leader)| *leader == broker).map(|(partition, _)| partition);
        let wanted: Vec<_> = led
            .filter_map(|partition| {
                let offset = *self.positions.get(&partition)?;
                let key = PartitionKey::by_id(partition.topic_id, partition.partition);
                Some((key, want(offset, self.routes.epoch(partition))))
            })
            .collect();
        if wanted.is_empty() || self.turn.is_multiple_of(50) {
            if let Some(to) = Routes::anybody(cx) {
                self.questions.ask(cx, to, Request::Metadata, TIMEOUT_US, ());
            }
            return;
        }
        let request = Request::Fetch {
            header: SessionHeader::LEGACY,
            partitions: wanted,
            forgotten: Vec::new(),
            follower: None,
            max_wait_us: 50_000,
        };
        self.questions.ask(cx, Address::Broker(broker.0), request, TIMEOUT_US, ());
    }

    pub(super) fn handle_answer(
        &mut self,
        cx: &mut ClientContext<'_>,
        from: Address,
        answer: Option<(u64, Answer)>,
    ) {
        let Some((number, answer)) = answer else {
            if !self.questions.lost(from).is_empty() {
                self.lost(cx);
            }
            return;
        };
        if self.questions.take(number).is_none() {
            return;
        }
        let mut pause = 20_000;
        match answer {
            Answer::Metadata(metadata) => {
                self.routes.take(&metadata);
                let topics = self.routes.topics().flat_map(|topic| topic.with_ids());
                for (partition, _) in topics {
                    self.positions.entry(partition).or_insert(0);
                }
            }
            Answer::Fetched { partitions, .. } => {
                pause = 2_000;
                for (key, partition) in partitions {
                    self.read(cx, from, &key, &partition);
                }
            }
            _ => {}
        }
        cx.after(pause, ClientTimer::Next);
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
        let Some(position) = self.positions.get_mut(&id) else { return };
        let before = *position;
        match read(cx, from, (id, position), partition) {
            Ok(count) => cx.oracle.consumed += count,
            Err(_) => self.routes.forget(id),
        }
        if *position > before {
            let numbers = [i64::from(id.partition), before, *position];
            cx.trace("p{}: consumes {} to {}", &numbers);
        }
    }

    fn lost(&mut self, cx: &mut ClientContext<'_>) {
        self.routes.forget_all();
        cx.after(20_000, ClientTimer::Next);
    }
}

/// Takes what a fetch brought to a consumer at `position`, checks every record, and says how many there were.
pub(super) fn read(
    cx: &mut ClientContext<'_>,
    from: Address,
    (id, position): (TopicIdPartition, &mut Offset),
    fetched: &FetchedPartition,
) -> Result<u64, ErrorCode> {
    match fetched.error {
        ErrorCode::None => {}
        ErrorCode::OffsetOutOfRange => {
            let what = format!("{from} lacks offset {position} of {id:?}, below which all was consumed");
            cx.broken.push(what);
        }
        error => return Err(error),
    }
    let before = *position;
    let mut count = 0;
    match parse(&fetched.records) {
        Ok(records) => {
            for record in records.iter().filter(|record| record.offset >= before) {
                crate::invariants::consumed::check(cx.oracle, id, (*position, *record), &mut cx.broken);
                *position = record.offset + 1;
                count += 1;
            }
        }
        Err(error) => cx.broken.push(error),
    }
    Ok(count)
}
