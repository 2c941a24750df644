//! Appending a producer's batches: checks, one write, and the condition for the answer.

use super::partition::{Partition, Role, State, Wait, lock_log};
use ottla_core::replication::{AckState, AppendRefused, Leader};
use ottla_records::BatchHeader;
use ottla_records::validate::{ProduceError, Validated};
use ottla_storage::AppendError;
use ottla_types::{ErrorCode, Offset, TimestampMs};
use std::sync::Arc;

/// When the clocks stood at the time of a request.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// Monotonic.
    pub ms: u64,
    /// Wall clock.
    pub wall_ms: TimestampMs,
}

/// An append that took place, or was found to have taken place before.
#[derive(Debug)]
pub struct Produced {
    /// Offset of the first record.
    pub base_offset: Offset,
    /// The broker's time stamped into the records, -1 with CreateTime.
    pub log_append_time: TimestampMs,
    /// First offset of the log.
    pub log_start_offset: Offset,
    /// What the answer must wait for.
    pub wait: Wait,
}

/// Why nothing was appended.
#[derive(Debug, thiserror::Error)]
pub enum ProduceFailed {
    /// The batch itself is refused.
    #[error(transparent)]
    Invalid(#[from] ProduceError),
    /// The log refused.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// This replica cannot take appends now.
    #[error("{0}")]
    Refused(ErrorCode),
}

impl ProduceFailed {
    /// Kafka's error code.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Invalid(error) => error.code(),
            Self::Append(error) => error.code(),
            Self::Refused(code) => *code,
        }
    }
}

impl Partition {
    /// Appends one batch as leader.
    ///
    /// # Errors
    /// If nothing was appended.
    pub fn produce(
        self: &Arc<Self>,
        batch: &Validated,
        acks: i16,
        now: Now,
    ) -> Result<Produced, ProduceFailed> {
        let mut guard = self.lock();
        let state = &mut *guard;
        let mut log = lock_log(&state.log).map_err(ProduceFailed::Refused)?;
        let leader = match may_append(&mut state.role, acks) {
            Ok(leader) => leader,
            Err(code) => {
                log.note_refused(&batch.batch().header, code, now.wall_ms);
                return Err(ProduceFailed::Refused(code));
            }
        };
        let batches = std::slice::from_ref(batch.batch());
        let appended = log.append_as_leader(batches, leader.leader_epoch(), now.wall_ms)?;
        if !appended.duplicate {
            leader.handle_append(now.ms, log.log_end_offset());
        }
        let log_start_offset = log.log_start_offset();
        let flush_due = log.is_flush_full() && log.flushed_offset() <= appended.last_offset;
        drop(log);
        self.run_effects(state);
        let wait = self.wait_for(state, appended.last_offset, acks, flush_due);
        Ok(Produced {
            base_offset: appended.base_offset,
            log_append_time: appended.log_append_time.unwrap_or(-1),
            log_start_offset,
            wait,
        })
    }

    /// Refuses a batch before it comes to the log; its producer sends it again.
    pub fn refuse(&self, batch: &BatchHeader, code: ErrorCode, now: Now) -> ProduceFailed {
        if let Ok(mut log) = self.lock().log() {
            log.note_refused(batch, code, now.wall_ms);
        }
        ProduceFailed::Refused(code)
    }

    fn wait_for(
        self: &Arc<Self>,
        state: &mut State,
        last_offset: Offset,
        acks: i16,
        flush_due: bool,
    ) -> Wait {
        if flush_due {
            self.request_flush();
        }
        let Role::Leader(leader) = &state.role else { return Wait::Nothing };
        state.followers.tell_records(self.id);
        match acks {
            -1 => match leader.check_ack(leader.ack(last_offset)) {
                AckState::Done => Wait::Nothing,
                AckState::Failed(error) => Wait::Failed(error),
                AckState::Waiting => {
                    Wait::Committed(state.committed.wait_for(last_offset + 1), leader.ack(last_offset))
                }
            },
            1 if flush_due => Wait::Flushed(state.flushed.wait_for(last_offset + 1)),
            _ => Wait::Nothing,
        }
    }
}

fn may_append(role: &mut Role, acks: i16) -> Result<&mut Leader, ErrorCode> {
    let Role::Leader(leader) = role else { return Err(ErrorCode::NotLeaderOrFollower) };
    leader.check_append(acks).map_err(AppendRefused::code)?;
    Ok(leader)
}
