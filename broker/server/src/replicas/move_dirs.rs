//! Moving replicas between the data directories of this broker, in the background and one step at a time.

use super::{Partition, Placed};
use crate::broker::Broker;
use ottla_storage::{Copied, MoveError};
use ottla_types::{ErrorCode, TopicPartition};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Copied between two looks at the rate.
const STEP_BYTES: u64 = 1 << 20;
/// A rate may be raised at any time.
const LONGEST_HOLD: Duration = Duration::from_millis(500);

/// Begins to move a replica into the data directory at `to`, or cancels its move if it is there.
///
/// # Errors
/// [`MoveError`]; it stays where it is.
pub fn begin(broker: &Arc<Broker>, name: &TopicPartition, to: &Path) -> Result<(), MoveError> {
    if !broker.dirs.begin_move(name, to, broker.clock.wall_ms())? {
        return Ok(());
    }
    let (broker, name) = (broker.clone(), name.clone());
    tokio::spawn(async move {
        if let Err(error) = run(&broker, &name).await {
            tracing::error!(%name, %error, "a replica could not be moved to another directory");
            broker.dirs.cancel_move(&name);
        }
    });
    Ok(())
}

/// Goes on with what was under way when the broker stopped.
pub fn resume(broker: &Arc<Broker>) {
    for (name, to) in broker.dirs.interrupted_moves() {
        if let Err(error) = begin(broker, &name, &to) {
            tracing::warn!(%name, to = %to.display(), %error, "a move to another directory is not resumed");
        }
    }
}

async fn run(broker: &Arc<Broker>, name: &TopicPartition) -> Result<(), MoveError> {
    loop {
        let now_ms = broker.clock.now_ms();
        if let Some(wait) = broker.replicas.quotas.between_dirs.wait(now_ms) {
            tokio::time::sleep(wait.min(LONGEST_HOLD)).await;
            continue;
        }
        let (here, partition) = (broker.clone(), name.clone());
        let step = tokio::task::spawn_blocking(move || {
            here.dirs.copy_some(&partition, STEP_BYTES, here.clock.wall_ms())
        });
        // A copy that panicked is an error of ours; the log in use is untouched.
        let Ok(copied) = step.await else {
            broker.dirs.cancel_move(name);
            return Ok(());
        };
        match copied? {
            Copied::Bytes(bytes) => broker.replicas.quotas.between_dirs.record(now_ms, bytes),
            Copied::Cancelled => return Ok(()),
            Copied::CaughtUp => {
                if change_places(broker, name).await? {
                    return Ok(());
                }
            }
        }
    }
}

async fn change_places(broker: &Arc<Broker>, name: &TopicPartition) -> Result<bool, MoveError> {
    let Some(replica) = broker.replicas.topic(&name.topic).and_then(|topic| topic.partition(name.partition))
    else {
        broker.dirs.cancel_move(name);
        return Ok(true);
    };
    let (here, partition) = (broker.clone(), name.clone());
    let changed = tokio::task::spawn_blocking(move || {
        here.dirs.sync_move(&partition)?;
        replica.change_log(&here, &partition)
    });
    changed.await.unwrap_or(Ok(false))
}

impl Partition {
    /// Lets the copy take the log's place; false if it lacks something.
    fn change_log(&self, broker: &Broker, name: &TopicPartition) -> Result<bool, MoveError> {
        let mut state = self.lock();
        let Some((log, directory)) = broker.dirs.finish_move(name, broker.clock.wall_ms())? else {
            return Ok(false);
        };
        state.log = Ok(log);
        // Whoever waits for the old one's disk asks again.
        state.flushed.fail_all(ErrorCode::KafkaStorageError);
        drop(state);
        tracing::info!(%name, "a replica moved to another directory");
        let _ = self.outbox.placed.send((self.id, Placed { directory, found: false }));
        Ok(true)
    }
}
