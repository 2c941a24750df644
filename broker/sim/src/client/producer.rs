//! A producer: one batch at a time, sent again until it is acknowledged.

use super::{ClientContext, ClientTimer, Routes};
use crate::message::{Answer, Body, Request};
use crate::oracle::{Promise, Value};
use crate::records::batch;
use crate::trace::Address;
use bytes::Bytes;
use ottla_types::{ErrorCode, TopicIdPartition};

/// What kind of producer it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerConfig {
    /// 0, 1 or -1.
    pub acks: i16,
    /// With a producer id and sequences.
    pub idempotent: bool,
    /// From one batch to the next, microseconds.
    pub pause_us: (u64, u64),
}

#[derive(Debug)]
struct Batch {
    partition: TopicIdPartition,
    values: Vec<Value>,
    bytes: Bytes,
}

#[derive(Debug)]
enum Asked {
    Nothing,
    Metadata(u64, Address),
    Produce(u64, Address),
}

/// A producer.
#[derive(Debug)]
pub struct Producer {
    id: u32,
    config: ProducerConfig,
    partitions: Vec<TopicIdPartition>,
    routes: Routes,
    sequence: u32,
    /// By partition: the next sequence there.
    sequences: std::collections::BTreeMap<TopicIdPartition, i32>,
    sending: Option<Batch>,
    asked: Asked,
    next_number: u64,
}

impl Producer {
    /// Producer `id` to these partitions.
    #[must_use]
    pub fn new(id: u32, config: ProducerConfig, partitions: Vec<TopicIdPartition>) -> Self {
        Self {
            id,
            config,
            partitions,
            routes: Routes::default(),
            sequence: 0,
            sequences: std::collections::BTreeMap::new(),
            sending: None,
            asked: Asked::Nothing,
            next_number: u64::from(id) << 40,
        }
    }

    /// Is a batch on its way that was not acknowledged yet?
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.sending.is_some()
    }

    /// What kind it is.
    #[must_use]
    pub fn config(&self) -> ProducerConfig {
        self.config
    }

    pub(super) fn handle_timer(&mut self, cx: &mut ClientContext<'_>, timer: ClientTimer) {
        match (timer, &self.asked) {
            (ClientTimer::Next, Asked::Nothing) => self.next(cx),
            (ClientTimer::Deadline(number), Asked::Metadata(asked, _) | Asked::Produce(asked, _))
                if *asked == number =>
            {
                self.lost(cx);
            }
            _ => {}
        }
    }

    fn next(&mut self, cx: &mut ClientContext<'_>) {
        if self.sending.is_none() {
            if cx.winding_up {
                return;
            }
            self.make_batch(cx);
        }
        let Some(sending) = &self.sending else { return };
        self.next_number += 1;
        let number = self.next_number;
        let Some(&leader) = self.routes.leaders.get(&sending.partition) else {
            if let Some(to) = Routes::refresh(cx, number) {
                self.asked = Asked::Metadata(number, to);
            }
            return;
        };
        let to = Address::Broker(leader.0);
        let request = Request::Produce {
            partition: sending.partition,
            acks: self.config.acks,
            batch: sending.bytes.clone(),
        };
        cx.messages.push((to, Body::Request(number, request)));
        if self.config.acks == 0 {
            self.sending = None;
            return self.pause(cx);
        }
        cx.timers.push((2_000_000, ClientTimer::Deadline(number)));
        self.asked = Asked::Produce(number, to);
    }

    fn make_batch(&mut self, cx: &mut ClientContext<'_>) {
        let Some(&partition) = cx.random.pick(&self.partitions) else { return };
        let count = cx.random.within(1..4);
        let values: Vec<Value> = (0..count)
            .map(|_| {
                self.sequence += 1;
                Value { producer: self.id, sequence: self.sequence }
            })
            .collect();
        let next = self.sequences.entry(partition).or_insert(0);
        let producer = self.config.idempotent.then_some((i64::from(self.id), 0, *next));
        *next += i32::try_from(count).unwrap_or(0);
        let bytes = batch(&values, producer, crate::node::wall_ms(cx.now_us / 1_000));
        self.sending = Some(Batch { partition, values, bytes });
    }

    pub(super) fn handle_answer(
        &mut self,
        cx: &mut ClientContext<'_>,
        from: Address,
        answer: Option<(u64, Answer)>,
    ) {
        let (asked, peer, is_produce) = match &self.asked {
            Asked::Nothing => return,
            Asked::Metadata(number, peer) => (*number, *peer, false),
            Asked::Produce(number, peer) => (*number, *peer, true),
        };
        match answer {
            None if peer == from => self.lost(cx),
            Some((number, answer)) if number == asked => {
                self.asked = Asked::Nothing;
                if is_produce { self.produced(cx, &answer) } else { self.routed(cx, answer) }
            }
            _ => {}
        }
    }

    fn routed(&mut self, cx: &mut ClientContext<'_>, answer: Answer) {
        if let Answer::Metadata(leaders) = answer {
            self.routes.take(leaders);
        }
        let knows =
            self.sending.as_ref().is_some_and(|sending| self.routes.leaders.contains_key(&sending.partition));
        cx.timers.push((if knows { 1 } else { 50_000 }, ClientTimer::Next));
    }

    fn produced(&mut self, cx: &mut ClientContext<'_>, answer: &Answer) {
        match answer {
            Answer::Produced(base_offset) => {
                let Some(sent) = self.sending.take() else { return };
                cx.trace(
                    "p{}: {} records acknowledged at {}",
                    &[i64::from(sent.partition.partition), sent.values.len() as i64, *base_offset],
                );
                cx.oracle.acknowledged += sent.values.len() as u64;
                if self.config.acks == -1 {
                    let promise =
                        Promise { partition: sent.partition, base_offset: *base_offset, values: sent.values };
                    crate::invariants::acknowledged::check(cx.oracle, &promise, &mut cx.broken);
                    cx.oracle.promises.push(promise);
                }
                self.pause(cx);
            }
            Answer::Failed(code) => self.refused(cx, *code),
            _ => self.again(cx, 20_000),
        }
    }

    fn refused(&mut self, cx: &mut ClientContext<'_>, code: ErrorCode) {
        cx.trace("a batch is refused with error {}", &[i64::from(code.code())]);
        if code == ErrorCode::OutOfOrderSequenceNumber || code == ErrorCode::UnknownProducerId {
            if self.config.acks == -1 {
                cx.broken.push(format!(
                    "producer {} with acks=all was answered {code}: its records are gone",
                    self.id
                ));
            }
            // Records that were acknowledged by one broker alone may be lost: begin anew.
            self.sending = None;
            self.config.idempotent = false;
            return self.pause(cx);
        }
        if let Some(sending) = &self.sending {
            self.routes.leaders.remove(&sending.partition);
        }
        self.again(cx, 50_000);
    }

    fn lost(&mut self, cx: &mut ClientContext<'_>) {
        self.asked = Asked::Nothing;
        if let Some(sending) = &self.sending {
            self.routes.leaders.remove(&sending.partition);
        }
        self.again(cx, 20_000);
    }

    fn again(&mut self, cx: &mut ClientContext<'_>, after_us: u64) {
        cx.timers.push((after_us, ClientTimer::Next));
    }

    fn pause(&mut self, cx: &mut ClientContext<'_>) {
        let (from, to) = self.config.pause_us;
        let pause = cx.random.within(from..to);
        cx.timers.push((pause, ClientTimer::Next));
    }
}
