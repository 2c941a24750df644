//! What the broker does by itself: syncs somebody waits for, retention, checkpoints, leaders' time.

use crate::broker::Broker;
use crate::groups;
use crate::replicas::{IsrProposal, Now, Outbox, Partition};
use ottla_core::controller::Request;
use ottla_types::{ErrorCode, TopicPartition};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Between two looks at time-driven work of replicas.
const TICK: Duration = Duration::from_millis(500);
/// Between two rounds of giving back idle files and looking for room on full disks.
const MAINTENANCE: Duration = Duration::from_secs(2);

/// What partitions hand over.
#[derive(Debug)]
pub struct Inbox {
    proposals: mpsc::UnboundedReceiver<IsrProposal>,
    flush: mpsc::UnboundedReceiver<Arc<Partition>>,
}

/// Both ends.
pub fn channels() -> (Outbox, Inbox) {
    let (proposals, proposal_receiver) = mpsc::unbounded_channel();
    let (flush, flush_receiver) = mpsc::unbounded_channel();
    (Outbox { proposals, flush }, Inbox { proposals: proposal_receiver, flush: flush_receiver })
}

/// The running tasks; they end when dropped.
#[derive(Debug)]
pub struct Tasks(Vec<JoinHandle<()>>);

impl Tasks {
    /// Ends them, after what they have begun.
    pub async fn stop(self) {
        for task in &self.0 {
            task.abort();
        }
        for task in self.0 {
            let _ = task.await;
        }
    }
}

/// Starts them on the current runtime.
pub fn start(broker: &Arc<Broker>, inbox: Inbox) -> Tasks {
    let retention = setting_ms(broker, "log.retention.check.interval.ms");
    let checkpoint =
        setting_ms(broker, "log.flush.offset.checkpoint.interval.ms").min(Duration::from_secs(5));
    let high_watermarks = setting_ms(broker, "replica.high.watermark.checkpoint.interval.ms");
    Tasks(vec![
        tokio::spawn(flush_on_demand(broker.clone(), inbox.flush)),
        tokio::spawn(propose(broker.clone(), inbox.proposals)),
        tokio::spawn(groups::follow(broker.clone())),
        tokio::spawn(groups::tick(broker.clone())),
        every(broker, TICK, |broker| {
            let now = now(broker);
            for replica in broker.replicas.partitions() {
                replica.tick(now);
                replica.flush(now);
            }
        }),
        every(broker, retention, |broker| {
            let now = now(broker);
            for replica in broker.replicas.partitions() {
                replica.clean(now);
            }
        }),
        every(broker, checkpoint, |broker| {
            let now = now(broker);
            for replica in broker.replicas.partitions() {
                replica.checkpoint_if_due(now);
            }
            broker.dirs.checkpoint();
        }),
        every(broker, high_watermarks, |broker| save_high_watermarks(broker)),
        every(broker, MAINTENANCE, |broker| broker.dirs.maintain(broker.clock.wall_ms())),
    ])
}

fn setting_ms(broker: &Broker, key: &str) -> Duration {
    Duration::from_millis(broker.config.settings.count(key).max(1))
}

fn now(broker: &Broker) -> Now {
    Now { ms: broker.clock.now_ms(), wall_ms: broker.clock.wall_ms() }
}

/// Runs `work`, which may block, again and again.
fn every(broker: &Arc<Broker>, interval: Duration, work: fn(&Arc<Broker>)) -> JoinHandle<()> {
    let broker = broker.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(interval).await;
            let broker = broker.clone();
            if tokio::task::spawn_blocking(move || work(&broker)).await.is_err() {
                tracing::error!("a background task panicked");
            }
        }
    })
}

/// Group commit: what is asked for while one round of syncs runs is done in the next, once for each replica.
async fn flush_on_demand(broker: Arc<Broker>, mut wanted: mpsc::UnboundedReceiver<Arc<Partition>>) {
    while let Some(first) = wanted.recv().await {
        let mut round = BTreeMap::from([(first.id, first)]);
        while let Ok(next) = wanted.try_recv() {
            round.insert(next.id, next);
        }
        let now = now(&broker);
        let synced = tokio::task::spawn_blocking(move || {
            for replica in round.values() {
                replica.flush(now);
            }
        });
        if synced.await.is_err() {
            tracing::error!("a sync panicked");
        }
    }
}

/// Brings leaders' ISR changes to the controller and the answers back.
async fn propose(broker: Arc<Broker>, mut proposals: mpsc::UnboundedReceiver<IsrProposal>) {
    while let Some(proposal) = proposals.recv().await {
        let _ = Request::CreateTopics { topics: Vec::new(), validate_only: true };
        proposal.partition.answer_proposal(
            broker.clock.now_ms(),
            proposal.request.proposal,
            Err(ErrorCode::NotController),
        );
    }
}

/// Saves how far each replica is known to be committed.
pub fn save_high_watermarks(broker: &Arc<Broker>) {
    let of = |replica: Arc<Partition>| {
        let offset = replica.lock().high_watermark();
        (TopicPartition::new(&*replica.topic, replica.id.partition), offset)
    };
    broker.dirs.save_high_watermarks(&broker.replicas.partitions().into_iter().map(of).collect());
}
