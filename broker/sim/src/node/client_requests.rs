//! What clients ask: who leads what, and to append.

use super::process::WaitingProduce;
use super::{Context, Process, Role, Timer};
use crate::message::{Answer, Body, Metadata, PartitionMetadata, TopicMetadata};
use crate::trace::Address;
use bytes::Bytes;
use ottla_core::metadata::TopicImage;
use ottla_core::planted::{self, Bug};
use ottla_core::replication::{AckState, AppendRefused, Leader};
use ottla_records::RecordBatch;
use ottla_types::{ErrorCode, Offset, TopicIdPartition};
use std::sync::Arc;

/// `request.timeout.ms` of producers here.
const PRODUCE_TIMEOUT_US: u64 = 1_500_000;

impl Process {
    pub(super) fn handle_metadata(&mut self, cx: &mut Context<'_>, from: Address, number: u64) {
        if !self.online {
            return cx.send(from, Body::Answer(number, Answer::Failed(ErrorCode::BrokerNotAvailable)));
        }
        let partitions = |topic: &TopicImage| {
            let known = topic.partitions.iter().map(|partition| PartitionMetadata {
                leader: partition.leader,
                leader_epoch: partition.leader_epoch,
                replicas: partition.replicas.clone(),
                is_moving: partition.is_reassigning(),
            });
            known.collect()
        };
        let topics = self.image.topics().iter().map(|(&id, topic)| TopicMetadata {
            id,
            name: Arc::clone(&topic.name),
            partitions: partitions(topic),
        });
        let active = self.image.brokers().values().filter(|broker| broker.is_active() && !broker.cordoned);
        let active = active.map(|broker| broker.id).collect();
        let metadata = Metadata { topics: topics.collect(), active };
        cx.send(from, Body::Answer(number, Answer::Metadata(Arc::new(metadata))));
    }

    pub(super) fn handle_produce(
        &mut self,
        cx: &mut Context<'_>,
        from: Address,
        number: u64,
        id: TopicIdPartition,
        (acks, batch): (i16, Bytes),
    ) {
        match self.append(cx, id, acks, &batch) {
            Ok((base_offset, last_offset)) => {
                self.wait_for_ack(cx, (from, number), id, acks, (base_offset, last_offset));
            }
            Err(code) => {
                if acks != 0 {
                    cx.send(from, Body::Answer(number, Answer::Failed(code)));
                }
            }
        }
        self.run_leader_effects(cx, id);
        self.begin_sync(cx, id);
        self.wake_fetches(cx, id);
    }

    pub(super) fn append(
        &mut self,
        cx: &mut Context<'_>,
        id: TopicIdPartition,
        acks: i16,
        batch: &Bytes,
    ) -> Result<(Offset, Offset), ErrorCode> {
        let replica = self.replicas.get_mut(&id).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        let batch = RecordBatch::new(batch).map_err(|_| ErrorCode::CorruptMessage)?;
        let leader = match may_append(&mut replica.role, acks) {
            Ok(leader) => leader,
            Err(code) => {
                if !planted::is(Bug::ForgetRefusedBatches) {
                    replica.log.note_refused(&batch.header, code, cx.wall_ms());
                }
                return Err(code);
            }
        };
        let appended = replica
            .log
            .append_as_leader(std::slice::from_ref(&batch), leader.leader_epoch(), cx.wall_ms())
            .map_err(|error| error.code())?;
        if !appended.duplicate {
            leader.handle_append(cx.now_ms, replica.log.log_end_offset());
        }
        cx.trace(
            "p{}: appends {} to {} (again: {})",
            &[
                i64::from(id.partition),
                appended.base_offset,
                appended.last_offset,
                i64::from(appended.duplicate),
            ],
        );
        Ok((appended.base_offset, appended.last_offset))
    }

    fn wait_for_ack(
        &mut self,
        cx: &mut Context<'_>,
        (from, number): (Address, u64),
        id: TopicIdPartition,
        acks: i16,
        (base_offset, last_offset): (Offset, Offset),
    ) {
        let ticket = self.number();
        let Some(replica) = self.replicas.get_mut(&id) else { return };
        let Role::Leader(leader) = &replica.role else { return };
        let must_flush = replica.settings.flush;
        replica.wants_sync |= must_flush;
        if acks == 0 {
            return;
        }
        replica.waiting.push(WaitingProduce {
            ticket,
            from,
            number,
            ack: leader.ack(last_offset),
            base_offset,
            flushed_to: if must_flush && acks == 1 { last_offset + 1 } else { 0 },
            all: acks == -1,
        });
        cx.after(PRODUCE_TIMEOUT_US, Timer::ProduceDeadline(id, ticket));
        self.answer_produced(cx, id);
    }

    /// Answers the produce requests whose condition is met.
    pub(super) fn answer_produced(&mut self, cx: &mut Context<'_>, id: TopicIdPartition) {
        let Some(replica) = self.replicas.get_mut(&id) else { return };
        let Role::Leader(leader) = &replica.role else { return };
        let flushed = replica.log.flushed_offset();
        replica.waiting.retain(|waiting| {
            let committed = if waiting.all { leader.check_ack(waiting.ack) } else { AckState::Done };
            let answer = match committed {
                AckState::Waiting => return true,
                AckState::Done if flushed < waiting.flushed_to => return true,
                AckState::Done => Answer::Produced(waiting.base_offset),
                AckState::Failed(code) => Answer::Failed(code),
            };
            cx.send(waiting.from, Body::Answer(waiting.number, answer));
            false
        });
    }

    pub(super) fn produce_timed_out(&mut self, cx: &mut Context<'_>, id: TopicIdPartition, ticket: u64) {
        let Some(replica) = self.replicas.get_mut(&id) else { return };
        if let Some(index) = replica.waiting.iter().position(|waiting| waiting.ticket == ticket) {
            let waiting = replica.waiting.swap_remove(index);
            let answer = Answer::Failed(ErrorCode::RequestTimedOut);
            cx.send(waiting.from, Body::Answer(waiting.number, answer));
        }
    }

    /// This broker leads no more: nobody can be answered with success.
    pub(super) fn fail_waiting(&mut self, cx: &mut Context<'_>, id: TopicIdPartition, code: ErrorCode) {
        let Some(replica) = self.replicas.get_mut(&id) else { return };
        for waiting in replica.waiting.drain(..) {
            cx.send(waiting.from, Body::Answer(waiting.number, Answer::Failed(code)));
        }
        self.wake_fetches(cx, id);
    }
}

fn may_append(role: &mut Role, acks: i16) -> Result<&mut Leader, ErrorCode> {
    let Role::Leader(leader) = role else { return Err(ErrorCode::NotLeaderOrFollower) };
    leader.check_append(acks).map_err(AppendRefused::code)?;
    Ok(leader)
}
