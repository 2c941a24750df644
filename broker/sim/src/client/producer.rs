//! A producer: several batches in flight for each partition, sent again until they are acknowledged.

use super::lane::{Batch, Lane};
use super::{ClientContext, ClientTimer, Questions, Routes};
use crate::message::{Answer, Request};
use crate::oracle::{Promise, Value};
use crate::records::batch;
use crate::trace::Address;
use ottla_types::{ErrorCode, TopicIdPartition};
use std::collections::BTreeMap;

/// Batches that wait in all before no new one is made.
const QUEUED: usize = 20;
/// A partition that is not in the metadata for so long is gone; a broker that is behind may not know it yet.
const GONE_AFTER_US: u64 = 3_000_000;
/// A sequence that is wrong for so long, whenever it is sent, will never be right.
const LOST_AFTER_US: u64 = 8_000_000;

/// What kind of producer it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerConfig {
    /// 0, 1 or -1.
    pub acks: i16,
    /// With a producer id and sequences.
    pub idempotent: bool,
    /// From one batch to the next, microseconds.
    pub pause_us: (u64, u64),
    /// `retry.backoff.ms` and `reconnect.backoff.ms`, in microseconds.
    pub backoff_us: u64,
    /// What it sends arrives in its order, as over a real connection: the network is not rough.
    pub in_order: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Metadata,
    Produce(TopicIdPartition),
}

/// A producer.
#[derive(Debug)]
pub struct Producer {
    id: u32,
    config: ProducerConfig,
    routes: Routes,
    sequence: u32,
    lanes: BTreeMap<TopicIdPartition, Lane>,
    questions: Questions<Purpose>,
    /// When it looks again at what waits, simulated microseconds; in the past if it has no reason to.
    wakes_us: u64,
}

impl Producer {
    /// Producer `id`.
    #[must_use]
    pub fn new(id: u32, config: ProducerConfig) -> Self {
        Self {
            id,
            config,
            routes: Routes::default(),
            sequence: 0,
            lanes: BTreeMap::new(),
            questions: Questions::of_client(id),
            wakes_us: 0,
        }
    }

    /// Is a batch on its way that was not acknowledged yet?
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.lanes.values().any(|lane| !lane.queue.is_empty())
    }

    /// What kind it is.
    #[must_use]
    pub fn config(&self) -> ProducerConfig {
        self.config
    }

    pub(super) fn handle_timer(&mut self, cx: &mut ClientContext<'_>, timer: ClientTimer) {
        match timer {
            ClientTimer::Next => {
                if !cx.winding_up {
                    self.make_batch(cx);
                    let (from, to) = self.config.pause_us;
                    let pause = cx.random.within(from..to);
                    cx.after(pause, ClientTimer::Next);
                }
                self.pump(cx);
            }
            ClientTimer::Again => self.pump(cx),
            ClientTimer::Deadline(number) => {
                if let Some(purpose) = self.questions.take(number) {
                    self.failed(cx, number, purpose);
                }
            }
        }
    }

    fn make_batch(&mut self, cx: &mut ClientContext<'_>) {
        let queued: usize = self.lanes.values().map(|lane| lane.queue.len()).sum();
        let partitions: Vec<_> =
            self.routes.topics().flat_map(|topic| topic.with_ids()).map(|(id, _)| id).collect();
        let Some(&partition) = cx.random.pick(&partitions) else { return };
        if queued >= QUEUED {
            return;
        }
        let count = cx.random.within(1..4);
        let values: Vec<Value> = (0..count)
            .map(|_| {
                self.sequence += 1;
                Value { producer: self.id, sequence: self.sequence }
            })
            .collect();
        let lane = self.lanes.entry(partition).or_default();
        let producer = self.config.idempotent.then_some((i64::from(self.id), 0, lane.next_sequence));
        lane.next_sequence += i32::try_from(count).unwrap_or(0);
        let bytes = batch(&values, producer, crate::node::wall_ms(cx.now_us / 1_000));
        lane.queue.push_back(Batch { values, bytes, sent: None, to: None, passed_by: 0 });
    }

    /// Sends what may be sent, and asks for leaders that are not known.
    fn pump(&mut self, cx: &mut ClientContext<'_>) {
        let mut wants_metadata = self.routes.metadata().topics.is_empty();
        let mut backs_off_us = u64::MAX;
        for (&partition, lane) in &mut self.lanes {
            let range = lane.sendable(cx.now_us);
            if range.is_empty() {
                backs_off_us = backs_off_us.min(lane.backs_off_us(cx.now_us).unwrap_or(u64::MAX));
                continue;
            }
            let Some(to) = self.routes.leader(partition) else {
                wants_metadata = true;
                continue;
            };
            for index in range {
                let batch = &mut lane.queue[index];
                let acks = self.config.acks;
                let request = Request::Produce { partition, acks, batch: batch.bytes.clone() };
                if acks == 0 {
                    self.questions.tell(cx, to, request);
                    continue;
                }
                let purpose = Purpose::Produce(partition);
                let numbers =
                    [i64::from(partition.partition), index as i64, i64::from(batch.values[0].sequence)];
                cx.trace("p{}: sends batch {} in its queue, which begins with value {}", &numbers);
                batch.sent = Some(self.questions.ask(cx, to, request, 2_000_000, purpose));
                batch.to = Some(to);
            }
            if self.config.acks == 0 {
                lane.queue.clear();
            }
        }
        if wants_metadata
            && !self.questions.any(|purpose| *purpose == Purpose::Metadata)
            && let Some(to) = Routes::anybody(cx)
        {
            self.questions.ask(cx, to, Request::Metadata, 1_000_000, Purpose::Metadata);
        }
        if backs_off_us < u64::MAX {
            self.go_on_after(cx, backs_off_us);
        }
    }

    pub(super) fn handle_answer(
        &mut self,
        cx: &mut ClientContext<'_>,
        from: Address,
        answer: Option<(u64, Answer)>,
    ) {
        let Some((number, answer)) = answer else { return self.connection_lost(cx, from) };
        match (self.questions.take(number), answer) {
            (Some(Purpose::Produce(partition)), Answer::Produced(base_offset)) => {
                self.acknowledged(cx, number, partition, base_offset);
                self.pump(cx);
            }
            (Some(Purpose::Produce(partition)), Answer::Failed(code)) => {
                self.refused(cx, number, partition, code);
                self.failed(cx, number, Purpose::Produce(partition));
            }
            (Some(Purpose::Metadata), Answer::Metadata(metadata)) => {
                self.routes.take(&metadata);
                self.drop_gone(cx.now_us);
                self.go_on_after(cx, if self.misses_leaders() { self.config.backoff_us } else { 1 });
            }
            (Some(purpose), _) => self.failed(cx, number, purpose),
            (None, _) => {}
        }
    }

    fn misses_leaders(&self) -> bool {
        let mut waiting = self.lanes.iter().filter(|(_, lane)| !lane.queue.is_empty());
        waiting.any(|(partition, _)| self.routes.leader(*partition).is_none())
    }

    /// A topic that is not in the metadata for long was deleted: nobody waits for its batches any more.
    fn drop_gone(&mut self, now_us: u64) {
        let known: Vec<_> =
            self.routes.topics().flat_map(|topic| topic.with_ids()).map(|(id, _)| id).collect();
        for (partition, lane) in &mut self.lanes {
            if known.contains(partition) {
                lane.missing_since_us = None;
                continue;
            }
            let since_us = *lane.missing_since_us.get_or_insert(now_us);
            if now_us - since_us > GONE_AFTER_US && lane.in_flight() == 0 {
                lane.queue.clear();
            }
        }
    }

    fn acknowledged(
        &mut self,
        cx: &mut ClientContext<'_>,
        number: u64,
        partition: TopicIdPartition,
        base_offset: i64,
    ) {
        let Some(sent) = self.lanes.get_mut(&partition).and_then(|lane| lane.acknowledged(number)) else {
            return;
        };
        let numbers = [i64::from(partition.partition), sent.values.len() as i64, base_offset];
        cx.trace("p{}: {} records acknowledged at {}", &numbers);
        cx.oracle.acknowledged += sent.values.len() as u64;
        let promise = Promise { partition, base_offset, values: sent.values };
        if self.config.acks == -1 {
            crate::invariants::acknowledged::check(cx.oracle, &promise, &mut cx.broken);
            cx.oracle.promises.push(promise);
        } else {
            cx.oracle.hopes.push(promise);
        }
    }

    fn refused(
        &mut self,
        cx: &mut ClientContext<'_>,
        number: u64,
        partition: TopicIdPartition,
        code: ErrorCode,
    ) {
        let numbers = [i64::from(partition.partition), i64::from(code.code())];
        cx.trace("p{}: a batch is refused with error {}", &numbers);
        if code != ErrorCode::OutOfOrderSequenceNumber && code != ErrorCode::UnknownProducerId {
            return;
        }
        // A batch may overtake one that was lost, and a broker that does not know yet that it leads anew may lack
        // the ones before. Neither lasts.
        let Some(lane) = self.lanes.get_mut(&partition) else { return };
        let is_first = lane.queue.front().is_some_and(|first| first.sent == Some(number));
        if is_first {
            lane.out_of_order_since_us.get_or_insert(cx.now_us);
        }
        if self.config.in_order && lane.follows_its_like(number) {
            // librdkafka begins anew with another epoch, in all partitions, and doubles what waits in the others.
            cx.broken.push(format!("producer {}: a batch behind another one is out of sequence", self.id));
        }
        if lane.out_of_order_since_us.is_some_and(|since| cx.now_us - since > LOST_AFTER_US) {
            let id = self.id;
            cx.broken.push(format!("producer {id} is answered {code} again and again: its records are gone"));
        }
    }

    fn failed(&mut self, cx: &mut ClientContext<'_>, number: u64, purpose: Purpose) {
        if let Purpose::Produce(partition) = purpose {
            if let Some(lane) = self.lanes.get_mut(&partition) {
                lane.failed(number, cx.now_us + self.config.backoff_us);
            }
            self.routes.forget(partition);
        }
        self.go_on_after(cx, self.config.backoff_us);
    }

    /// Looks at what waits in so long at the latest.
    fn go_on_after(&mut self, cx: &mut ClientContext<'_>, delay_us: u64) {
        let at_us = cx.now_us + delay_us;
        if self.wakes_us <= cx.now_us || at_us < self.wakes_us {
            self.wakes_us = at_us;
            cx.after(delay_us, ClientTimer::Again);
        }
    }

    fn connection_lost(&mut self, cx: &mut ClientContext<'_>, peer: Address) {
        for purpose in self.questions.lost(peer) {
            if let Purpose::Produce(partition) = purpose {
                self.routes.forget(partition);
            }
        }
        let open = &self.questions;
        for lane in self.lanes.values_mut() {
            let gone: Vec<u64> = lane
                .queue
                .iter()
                .filter_map(|batch| batch.sent)
                .filter(|sent| !open.is_open(*sent))
                .collect();
            for number in gone {
                lane.failed(number, cx.now_us + self.config.backoff_us);
            }
        }
        self.go_on_after(cx, self.config.backoff_us);
    }
}
