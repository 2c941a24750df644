//! What the broker does by itself: syncs somebody waits for, retention, checkpoints, leaders' time.

use crate::broker::Broker;
use crate::cleaner;
use crate::groups;
use crate::replicas::{IsrProposal, Now, Outbox, Partition, Placed};
use ottla_core::controller::{AlteredPartitions, AssignReplicas, IsrChange, Reply, Request};
use ottla_core::replication::Altered;
use ottla_types::{ErrorCode, TopicId, TopicIdPartition, TopicPartition};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Between two looks at time-driven work of replicas.
const TICK: Duration = Duration::from_millis(500);
/// ISR changes in one request to the controller.
const PROPOSALS: usize = 5_000;
/// How long a controller is looked for, for those.
const PROPOSAL_PATIENCE: Duration = Duration::from_secs(3);
/// Between two rounds of giving back idle files and looking for room on full disks.
const MAINTENANCE: Duration = Duration::from_secs(2);

/// What partitions hand over.
#[derive(Debug)]
pub struct Inbox {
    proposals: mpsc::UnboundedReceiver<IsrProposal>,
    placed: mpsc::UnboundedReceiver<(TopicIdPartition, Placed)>,
    flush: mpsc::UnboundedReceiver<Arc<Partition>>,
}

/// Both ends.
pub fn channels() -> (Outbox, Inbox) {
    let (proposals, proposal_receiver) = mpsc::unbounded_channel();
    let (placed, placed_receiver) = mpsc::unbounded_channel();
    let (flush, flush_receiver) = mpsc::unbounded_channel();
    let inbox = Inbox { proposals: proposal_receiver, placed: placed_receiver, flush: flush_receiver };
    (Outbox { proposals, placed, flush }, inbox)
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
        tokio::spawn(assign(broker.clone(), inbox.placed)),
        tokio::spawn(groups::follow(broker.clone())),
        tokio::spawn(groups::tick(broker.clone())),
        tokio::spawn(cleaner::run(broker.clone())),
        every(broker, TICK, |broker| {
            let now = now(broker);
            for replica in broker.replicas.partitions() {
                replica.tick(now);
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
        every(broker, high_watermarks, save_high_watermarks),
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

/// Brings leaders' ISR changes to the controller and the answers back: what comes while one request is under way goes
/// into the next.
async fn propose(broker: Arc<Broker>, mut proposals: mpsc::UnboundedReceiver<IsrProposal>) {
    while let Some(first) = proposals.recv().await {
        let mut round = vec![first];
        while round.len() < PROPOSALS
            && let Ok(next) = proposals.try_recv()
        {
            round.push(next);
        }
        let mut topics: BTreeMap<TopicId, Vec<IsrChange>> = BTreeMap::new();
        for IsrProposal { partition, request } in &round {
            topics.entry(partition.id.topic_id).or_default().push(IsrChange {
                partition: partition.id.partition,
                leader_epoch: request.leader_epoch,
                partition_epoch: request.partition_epoch,
                isr: request.new_isr.iter().map(|member| (member.broker, member.broker_epoch)).collect(),
                recovering: false,
            });
        }
        let request = Request::AlterPartition {
            broker: broker.id(),
            epoch: broker.cluster.epoch(),
            topics: topics.into_iter().collect(),
        };
        let answers = match broker.metadata.submit_within(request, PROPOSAL_PATIENCE).await {
            Ok(Reply::AlterPartition(Ok(answers))) => Ok(answers),
            Ok(Reply::AlterPartition(Err(error))) => Err(error.code),
            Ok(_) => Err(ErrorCode::UnknownServerError),
            // It may have been done all the same: the leader finds out from the metadata, or asks again.
            Err(_) => Err(ErrorCode::NetworkException),
        };
        answer_proposals(broker.clock.now_ms(), round, answers);
    }
}

/// Tells the controller in which directories replicas are that it did not place, and which are lost.
async fn assign(broker: Arc<Broker>, mut placed: mpsc::UnboundedReceiver<(TopicIdPartition, Placed)>) {
    while let Some(first) = placed.recv().await {
        let mut round = BTreeMap::from([first]);
        while round.len() < PROPOSALS
            && let Ok((id, place)) = placed.try_recv()
        {
            round.insert(id, place);
        }
        while broker.cluster.epoch().is_none() {
            tokio::time::sleep(TICK / 10).await;
        }
        loop {
            let request = Request::AssignReplicas(AssignReplicas {
                broker: broker.id(),
                epoch: broker.cluster.epoch(),
                replicas: round.iter().map(|(id, place)| (*id, place.directory)).collect(),
                found: round.iter().filter(|(_, place)| place.found).map(|(id, _)| *id).collect(),
            });
            match broker.metadata.submit(request).await {
                Ok(Reply::AssignReplicas(Ok(_))) => break,
                Ok(Reply::AssignReplicas(Err(error))) => {
                    tracing::warn!(%error, "the places of replicas were not taken");
                }
                Ok(_) | Err(_) => {}
            }
            tokio::time::sleep(TICK).await;
        }
    }
}

fn answer_proposals(now_ms: u64, round: Vec<IsrProposal>, answers: Result<AlteredPartitions, ErrorCode>) {
    let answers = answers.map(|topics| {
        let each = topics.into_iter().flat_map(|(topic_id, partitions)| {
            partitions
                .into_iter()
                .map(move |(partition, answer)| (TopicIdPartition { topic_id, partition }, answer))
        });
        each.collect::<BTreeMap<_, _>>()
    });
    for IsrProposal { partition, request } in round {
        let answer = match &answers {
            Err(code) => Err(*code),
            Ok(answers) => match answers.get(&partition.id) {
                Some(Ok(now)) => Ok(Altered {
                    leader_epoch: now.leader_epoch,
                    partition_epoch: now.partition_epoch,
                    isr: now.isr.clone(),
                }),
                Some(Err(code)) => Err(*code),
                None => Err(ErrorCode::UnknownServerError),
            },
        };
        partition.answer_proposal(now_ms, request.proposal, answer);
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
