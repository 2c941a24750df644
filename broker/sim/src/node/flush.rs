//! Syncing logs, many appends at a time.

use super::{Context, Process, Role, Timer};
use ottla_storage::FlushPlan;
use ottla_types::TopicIdPartition;

/// A sync under way.
#[derive(Debug)]
pub struct Syncing {
    number: u64,
    plan: FlushPlan,
}

impl Process {
    /// Begins to sync a log, if somebody waits for it and no sync is under way.
    pub(super) fn begin_sync(&mut self, cx: &mut Context<'_>, partition: TopicIdPartition) {
        let number = self.number();
        let Some(replica) = self.replicas.get_mut(&partition) else { return };
        if !replica.wants_sync || replica.syncing.is_some() {
            return;
        }
        replica.wants_sync = false;
        if replica.log.flushed_offset() >= replica.log.log_end_offset() {
            let flushed = replica.log.flushed_offset();
            return self.synced_to(cx, partition, flushed);
        }
        match replica.log.flush_plan(cx.wall_ms()) {
            Ok(Some(plan)) => {
                replica.syncing = Some(Syncing { number, plan });
                let delay = cx.sync_us();
                cx.after(delay, Timer::Flushed(partition, number));
            }
            Ok(None) => {}
            // No room for the indexes: again with the next tick.
            Err(error) if error.is_full() => replica.wants_sync = true,
            Err(_) => cx.disk_failed(partition),
        }
    }

    /// The disk is done.
    pub(super) fn handle_synced(&mut self, cx: &mut Context<'_>, partition: TopicIdPartition, number: u64) {
        let Some(replica) = self.replicas.get_mut(&partition) else { return };
        let Some(done) = replica.syncing.take_if(|syncing| syncing.number == number) else { return };
        if let Err(error) = done.plan.sync() {
            replica.log.flush_failed(&done.plan, &error);
            return cx.disk_failed(partition);
        }
        replica.log.flushed(&done.plan);
        let flushed = replica.log.flushed_offset();
        self.synced_to(cx, partition, flushed);
        self.begin_sync(cx, partition);
    }

    fn synced_to(&mut self, cx: &mut Context<'_>, partition: TopicIdPartition, flushed: i64) {
        let Some(replica) = self.replicas.get_mut(&partition) else { return };
        match &mut replica.role {
            Role::Leader(leader) => {
                leader.handle_flushed(cx.now_ms, flushed);
                self.run_leader_effects(cx, partition);
                self.answer_produced(cx, partition);
            }
            Role::Follower { leader, .. } => {
                let leader = *leader;
                if let Some(run) = self.fetchers.get_mut(&leader) {
                    run.fetcher.handle_flushed(&partition, flushed);
                }
                self.fetch_more(cx, leader);
            }
        }
    }
}
