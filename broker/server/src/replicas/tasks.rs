//! What happens to replicas in the background: syncs that somebody waits for, checkpoints, retention.
//!
//! All of it blocks, so it runs on threads that may. A sync is planned under a replica's lock and done without it.

use super::append::Now;
use super::partition::{Partition, Placed, Role, State, lock_log};
use ottla_storage::{FlushPlan, Log, LogError};
use ottla_types::ErrorCode;
use std::sync::Arc;

/// Bytes that a crash of the machine would have us read again, before they are synced in the background.
const CHECKPOINT_BYTES: u64 = 256 << 20;
/// Age of the oldest append that is not synced, before it is in the background.
const CHECKPOINT_AGE_MS: i64 = 60_000;

impl Partition {
    /// Syncs what `flush.messages` and `flush.ms` ask for and answers those who wait for it.
    pub fn flush(self: &Arc<Self>, now: Now) {
        self.sync(now, |log| log.flush_plan(now.wall_ms));
    }

    /// Syncs everything and moves the recovery point, so that little is read after a crash of the machine.
    pub fn checkpoint(self: &Arc<Self>, now: Now) {
        self.sync(now, Log::checkpoint_plan);
    }

    /// A checkpoint, if much or old data waits for one.
    pub fn checkpoint_if_due(self: &Arc<Self>, now: Now) {
        self.sync(now, |log| {
            let old = log.unflushed_since().is_some_and(|since| now.wall_ms - since >= CHECKPOINT_AGE_MS);
            if old || log.dirty_bytes() >= CHECKPOINT_BYTES { log.checkpoint_plan() } else { Ok(None) }
        });
    }

    fn sync(self: &Arc<Self>, now: Now, plan: impl FnOnce(&mut Log) -> Result<Option<FlushPlan>, LogError>) {
        let planned = match self.lock().log() {
            Ok(mut log) => plan(&mut log),
            Err(_) => return,
        };
        let plan = match planned {
            Ok(Some(plan)) => plan,
            Ok(None) => return,
            Err(error) => return self.sync_failed(&error.to_string()),
        };
        let synced = plan.sync();
        let mut guard = self.lock();
        let state = &mut *guard;
        let Ok(mut log) = lock_log(&state.log) else { return };
        if let Err(error) = synced {
            log.flush_failed(&plan, &error);
            drop(log);
            drop(guard);
            return self.sync_failed(&error.to_string());
        }
        log.flushed(&plan);
        let flushed = log.flushed_offset();
        drop(log);
        state.flushed.reached(flushed);
        if let Role::Leader(leader) = &mut state.role {
            leader.handle_flushed(now.ms, flushed);
        }
        self.run_effects(state);
    }

    fn sync_failed(&self, error: &str) {
        tracing::error!(error, replica = %self, "a sync failed");
        self.lock().flushed.fail_all(ErrorCode::KafkaStorageError);
    }

    /// Deletes what retention allows.
    pub fn clean(self: &Arc<Self>, now: Now) {
        let mut guard = self.lock();
        let state = &mut *guard;
        let high_watermark = state.high_watermark();
        let Ok(mut log) = lock_log(&state.log) else { return };
        let cleaned = log.apply_retention(high_watermark, now.wall_ms);
        match cleaned {
            Ok(false) => return,
            Ok(true) => {}
            Err(error) => {
                tracing::warn!(%error, replica = %self, "retention failed");
                return;
            }
        }
        let start = log.log_start_offset();
        drop(log);
        if let Role::Leader(leader) = &mut state.role {
            leader.handle_log_start_change(start);
        }
        self.run_effects(state);
    }

    /// Does what is due by time: a leader drops followers that lag from the ISR or proposes again, a log that was found to
    /// be damaged goes out of use, and what `flush.ms` asks for is synced. Looks at everything under one lock: there may
    /// be thousands of replicas, and mostly nothing is due.
    pub fn tick(self: &Arc<Self>, now: Now) {
        let mut guard = self.lock();
        let state = &mut *guard;
        if let Role::Leader(leader) = &mut state.role
            && leader.poll_timeout().is_some_and(|at| now.ms >= at)
        {
            leader.tick(now.ms);
            self.run_effects(state);
        }
        let Ok(log) = lock_log(&state.log) else { return };
        let (damage, flush_due) = (log.damage().map(str::to_owned), log.is_flush_due(now.wall_ms));
        drop(log);
        if let Some(reason) = damage {
            self.lose(state, reason);
        } else if flush_due {
            drop(guard);
            self.flush(now);
        }
    }

    /// Takes a damaged log out of use, alone; the controller has others lead.
    fn lose(&self, state: &mut State, reason: String) {
        tracing::error!(replica = %self, reason, "a replica's log is damaged, the replica is offline");
        state.log = Err(reason);
        state.fail_waiters(self.id, ErrorCode::KafkaStorageError);
        let _ = self.outbox.placed.send((self.id, Placed::LOST));
    }
}
