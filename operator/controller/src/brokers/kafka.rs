//! Brokers behind Kafka's protocol.

use super::{Alteration, Answer, AskPermit, Brokers, Connect, Growth, NewTopic, Permit, Refusals, Seen};
use futures::FutureExt;
use ottla_client::{
    Admin, AlterOp, ApiError, BrokerStatus, Client, ClientError, ClientOptions, ConfigResource,
    PartitionGrowth, Permit as Answered, ReasonKind, Reasons, Reassignment, ResourceKind, TopicDescription,
};
use ottla_operator_core::cluster::SingleReplica;
use ottla_operator_core::config::Settings;
use ottla_operator_core::observed::{BrokerView, BrokersView, PartitionView};
use ottla_operator_core::plan::{Move, Wait};
use ottla_types::{ErrorCode, TopicPartition};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Time for a connection: a node that has died answers nobody.
const CONNECT: Duration = Duration::from_secs(3);
/// Time for an answer, and for trying again.
const PATIENCE: Duration = Duration::from_secs(10);
/// A permit holds so long if its broker does not come back.
const PERMIT_MS: i64 = 300_000;
/// Topics named in one request.
const BATCH: usize = 200;
/// Partitions that one request may create (the brokers' own limit).
const PARTITIONS: i32 = 10_000;

/// Connections to clusters, one each.
#[derive(Debug, Default)]
pub struct Kafka {
    known: Mutex<HashMap<String, (Vec<String>, Admin)>>,
}

impl Kafka {
    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<String, (Vec<String>, Admin)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connect for Kafka {
    fn connect<'a>(&'a self, key: &'a str, addresses: Vec<String>) -> Answer<'a, Arc<dyn Brokers>> {
        async move {
            let known =
                self.known().get(key).filter(|(at, _)| *at == addresses).map(|(_, admin)| admin.clone());
            if let Some(admin) = known {
                return Ok(Arc::new(Cluster { admin }) as Arc<dyn Brokers>);
            }
            let options = ClientOptions {
                client_id: "ottla-operator".to_owned(),
                connect_timeout: CONNECT,
                request_timeout: PATIENCE,
                retry_timeout: PATIENCE,
                ..ClientOptions::default()
            };
            let client = Client::connect(&addresses.join(","), options).await.map_err(text)?;
            let admin = Admin::new(client);
            self.known().insert(key.to_owned(), (addresses, admin.clone()));
            Ok(Arc::new(Cluster { admin }) as Arc<dyn Brokers>)
        }
        .boxed()
    }

    fn forget(&self, key: &str) {
        self.known().remove(key);
    }
}

fn text(error: ClientError) -> String {
    error.to_string()
}

struct Cluster {
    admin: Admin,
}

impl Cluster {
    async fn defaults(&self) -> Result<Settings, ClientError> {
        let resource = ConfigResource { kind: ResourceKind::Broker, name: String::new() };
        let entries = self.admin.describe_configs(&resource, None, false).await?;
        let set = entries.into_iter().filter(|entry| entry.source == "DYNAMIC_DEFAULT_BROKER_CONFIG");
        Ok(set.filter_map(|entry| Some((entry.key, entry.value?))).collect())
    }

    async fn see(&self) -> Result<Seen, ClientError> {
        let status = self.admin.cluster_status().await?;
        let topics = self.admin.list_topics().await?;
        let moving = self.admin.reassignments().await?;
        let dynamic = self.defaults().await?;
        let ids = topics.iter().map(|topic| (topic.name.clone(), topic.id.to_string())).collect();
        let view = BrokersView {
            cluster_id: status.cluster_id,
            controller: status.controller,
            brokers: status.brokers.iter().map(|broker| (broker.id, broker_view(broker))).collect(),
            partitions: partitions(&topics, &moving),
            under_min_isr: count(status.partitions.under_min_isr),
            dynamic,
        };
        Ok(Seen { view, ids })
    }
}

fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn broker_view(broker: &BrokerStatus) -> BrokerView {
    BrokerView {
        epoch: broker.epoch,
        directory_id: broker.directory_id.clone(),
        version: broker.version.clone(),
        rack: broker.rack.clone(),
        is_active: !broker.fenced && !broker.stopping,
        is_caught_up: broker.is_caught_up(),
        is_cordoned: broker.cordoned,
        is_voter: broker.voter,
        replicas: count(broker.replicas),
        leaders: count(broker.leaders),
        permit: broker.permit.as_ref().map(|permit| permit.epoch),
        bytes: None,
    }
}

fn partitions(topics: &[TopicDescription], moving: &[Reassignment]) -> Vec<PartitionView> {
    let moving: BTreeMap<(&str, i32), &Reassignment> =
        moving.iter().map(|one| ((one.partition.topic.as_str(), one.partition.partition), one)).collect();
    let each = topics.iter().flat_map(|topic| topic.partitions.iter().map(move |at| (topic, at)));
    each.map(|(topic, at)| {
        let one = moving.get(&(topic.name.as_str(), at.index));
        let removing = one.map(|one| one.removing.clone()).unwrap_or_default();
        PartitionView {
            topic: topic.name.clone(),
            partition: at.index,
            leader: at.leader,
            replicas: at.replicas.iter().copied().filter(|id| !removing.contains(id)).collect(),
            removing,
            isr: at.isr.clone(),
            is_moving: one.is_some(),
        }
    })
    .collect()
}

fn refused(reasons: &Reasons) -> Permit {
    let wait = match reasons.named.first().map(|reason| reason.kind) {
        Some(ReasonKind::OtherPermit) => Wait::OtherPermit,
        Some(ReasonKind::Quorum) => Wait::Quorum,
        Some(ReasonKind::NotEnoughInSync) => Wait::NotEnoughInSync,
        Some(ReasonKind::Unsparable | ReasonKind::MoveAwayFirst) => Wait::SingleReplica,
        _ => Wait::Refused,
    };
    let first = reasons.named.first().map(|reason| reason.message.clone()).unwrap_or_default();
    let message = match reasons.total {
        0 | 1 => first,
        total => format!("{first} (and {} more reasons)", total - 1),
    };
    Permit::Refused { wait, message }
}

/// The refusals among the answers.
fn refusals<K: ToString>(answers: impl IntoIterator<Item = (K, Result<(), ApiError>)>) -> Refusals {
    answers
        .into_iter()
        .filter_map(|(name, answer)| Some((name.to_string(), answer.err()?.to_string())))
        .collect()
}

fn ops(change: Alteration) -> Vec<(String, AlterOp)> {
    let set = change.set.into_iter().map(|(key, value)| (key, AlterOp::Set(value)));
    set.chain(change.delete.into_iter().map(|key| (key, AlterOp::Delete))).collect()
}

impl Brokers for Cluster {
    fn look(&self) -> Answer<'_, Seen> {
        async move { self.see().await.map_err(text) }.boxed()
    }

    fn bytes_on(&self, broker: i32) -> Answer<'_, i64> {
        async move {
            let dirs = self.admin.describe_log_dirs(broker, None).await.map_err(text)?;
            Ok(dirs.iter().flat_map(|dir| &dir.replicas).map(|replica| replica.bytes.max(0)).sum())
        }
        .boxed()
    }

    fn topic_configs(&self, names: Vec<String>) -> Answer<'_, BTreeMap<String, Settings>> {
        async move {
            let mut found = BTreeMap::new();
            for batch in names.chunks(BATCH) {
                let resources: Vec<_> = batch.iter().map(ConfigResource::topic).collect();
                let answers = self.admin.describe_configs_of(&resources).await.map_err(text)?;
                for (resource, answer) in answers {
                    let Ok(entries) = answer else { continue };
                    let set = entries.into_iter().filter(|entry| entry.source == "DYNAMIC_TOPIC_CONFIG");
                    let set = set.filter_map(|entry| Some((entry.key, entry.value?))).collect();
                    found.insert(resource.name, set);
                }
            }
            Ok(found)
        }
        .boxed()
    }

    fn ask_permit(&self, ask: AskPermit) -> Answer<'_, Permit> {
        async move {
            let single_replica = match ask.single_replica {
                SingleReplica::Allow => ottla_client::SingleReplica::Allow,
                SingleReplica::Refuse => ottla_client::SingleReplica::Refuse,
                SingleReplica::MoveAway => ottla_client::SingleReplica::MoveAway,
            };
            let ask = ottla_client::AskPermit {
                broker: ask.broker,
                broker_epoch: Some(ask.broker_epoch),
                duration_ms: PERMIT_MS,
                force: false,
                dry_run: false,
                reason: format!("operator: {}", ask.reason),
                single_replica: Some(single_replica),
            };
            Ok(match self.admin.ask_permit(ask).await.map_err(text)? {
                Answered::Granted { epoch, .. } | Answered::Held { epoch, .. } => Permit::Granted { epoch },
                Answered::NotNeeded {} => Permit::NotNeeded,
                Answered::Refused(reasons) => refused(&reasons),
            })
        }
        .boxed()
    }

    fn permit_all(&self, reason: String) -> Answer<'_, ()> {
        async move { self.admin.permit_all(PERMIT_MS, &format!("operator: {reason}")).await.map_err(text) }
            .boxed()
    }

    fn release_permit(&self, broker: i32, epoch: i64) -> Answer<'_, ()> {
        async move { self.admin.release_permit(broker, epoch).await.map_err(text) }.boxed()
    }

    fn cordon(&self, broker: i32, cordoned: bool) -> Answer<'_, ()> {
        async move { self.admin.cordon(broker, cordoned).await.map_err(text) }.boxed()
    }

    fn unregister(&self, broker: i32) -> Answer<'_, ()> {
        async move { self.admin.unregister(broker).await.map_err(text) }.boxed()
    }

    fn reassign(&self, moves: Vec<Move>) -> Answer<'_, Refusals> {
        async move {
            let moves: Vec<_> = moves
                .into_iter()
                .map(|to| (TopicPartition::new(to.topic.as_str(), to.partition), Some(to.replicas)))
                .collect();
            let answers = self.admin.reassign(&moves).await.map_err(text)?;
            Ok(refusals(
                answers.into_iter().map(|(at, answer)| (format!("{}-{}", at.topic, at.partition), answer)),
            ))
        }
        .boxed()
    }

    fn elect_preferred(&self, partitions: Vec<(String, i32)>) -> Answer<'_, ()> {
        async move {
            let partitions: Vec<_> =
                partitions.iter().map(|(topic, at)| TopicPartition::new(topic.as_str(), *at)).collect();
            self.admin.elect_leaders(Some(&partitions), false).await.map(|_| ()).map_err(text)
        }
        .boxed()
    }

    fn alter_defaults(&self, change: Alteration) -> Answer<'_, ()> {
        async move {
            let resource = ConfigResource { kind: ResourceKind::Broker, name: String::new() };
            self.admin.alter_configs(&resource, &ops(change), false).await.map_err(text)
        }
        .boxed()
    }

    fn create_topics(&self, topics: Vec<NewTopic>) -> Answer<'_, Refusals> {
        async move {
            let mut refused = Refusals::new();
            for batch in batches(topics) {
                let topics: Vec<_> = batch.into_iter().map(new_topic).collect();
                let answers = self.admin.create_topics(&topics, false).await.map_err(text)?;
                let unless_there = answers.into_iter().map(|(name, answer)| {
                    // Whoever created it: the next look finds it.
                    let is_there = |error: &ApiError| error.code == ErrorCode::TopicAlreadyExists;
                    (
                        name,
                        answer
                            .map(|_| ())
                            .or_else(|error| if is_there(&error) { Ok(()) } else { Err(error) }),
                    )
                });
                refused.extend(refusals(unless_there));
            }
            Ok(refused)
        }
        .boxed()
    }

    fn grow_topics(&self, topics: Vec<Growth>) -> Answer<'_, Refusals> {
        async move {
            let topics: Vec<_> = topics
                .into_iter()
                .map(|to| PartitionGrowth { topic: to.name, count: to.count, assignments: to.assignments })
                .collect();
            let mut refused = Refusals::new();
            for batch in topics.chunks(BATCH) {
                refused.extend(refusals(self.admin.create_partitions_of(batch).await.map_err(text)?));
            }
            Ok(refused)
        }
        .boxed()
    }

    fn alter_topics(&self, changes: BTreeMap<String, Alteration>) -> Answer<'_, Refusals> {
        async move {
            let changes: Vec<_> = changes
                .into_iter()
                .map(|(name, change)| (ConfigResource::topic(name), ops(change)))
                .collect();
            let mut refused = Refusals::new();
            for batch in changes.chunks(BATCH) {
                let answers = self.admin.alter_configs_of(batch).await.map_err(text)?;
                refused
                    .extend(refusals(answers.into_iter().map(|(resource, answer)| (resource.name, answer))));
            }
            Ok(refused)
        }
        .boxed()
    }

    fn delete_topics(&self, names: Vec<String>) -> Answer<'_, Refusals> {
        async move {
            let mut refused = Refusals::new();
            for batch in names.chunks(BATCH) {
                refused.extend(refusals(self.admin.delete_topics(batch).await.map_err(text)?));
            }
            Ok(refused)
        }
        .boxed()
    }
}

/// As many as one request may create.
fn batches(topics: Vec<NewTopic>) -> Vec<Vec<NewTopic>> {
    let mut batches: Vec<Vec<NewTopic>> = Vec::new();
    let mut room = 0;
    for topic in topics {
        let partitions = topic.partitions.max(1);
        match batches.last_mut().filter(|batch| batch.len() < BATCH && partitions <= room) {
            Some(batch) => batch.push(topic),
            None => {
                room = PARTITIONS;
                batches.push(vec![topic]);
            }
        }
        room -= partitions;
    }
    batches
}

fn new_topic(topic: NewTopic) -> ottla_client::NewTopic {
    let is_placed = !topic.assignments.is_empty();
    let factor = topic.replication_factor.and_then(|factor| i16::try_from(factor).ok());
    ottla_client::NewTopic {
        name: topic.name,
        partitions: Some(topic.partitions).filter(|_| !is_placed),
        replication_factor: factor.filter(|_| !is_placed),
        assignments: topic.assignments,
        configs: topic.config.into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_creates_no_more_partitions_than_brokers_take() {
        let topic = |partitions| NewTopic { partitions, ..NewTopic::default() };
        let sizes = |topics| batches(topics).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(sizes(vec![topic(6000), topic(4000), topic(1)]), [2, 1]);
        assert_eq!(sizes(vec![topic(10_000), topic(10_000)]), [1, 1]);
        assert_eq!(sizes(vec![topic(1); 450]), [200, 200, 50]);
        assert!(batches(Vec::new()).is_empty());
    }

    #[test]
    fn replicas_that_go_are_not_replicas_any_more() {
        let topic = TopicDescription {
            name: "t".into(),
            id: ottla_types::TopicId::ZERO,
            is_internal: false,
            partitions: vec![ottla_client::PartitionDescription {
                index: 0,
                leader: 1,
                leader_epoch: 0,
                replicas: vec![2, 3, 1],
                isr: vec![1, 2],
                offline: vec![],
            }],
        };
        let moving = Reassignment {
            partition: TopicPartition::new("t", 0),
            replicas: vec![2, 3, 1],
            adding: vec![3],
            removing: vec![1],
        };
        let seen = partitions(&[topic], &[moving]);
        assert_eq!((seen[0].replicas.clone(), seen[0].is_moving), (vec![2, 3], true));
        assert!(seen[0].is_on(1));
    }
}
