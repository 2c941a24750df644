//! A limit on the bytes that moves may copy, set as Kafka's reassignment tool sets it: a rate on each broker, and on
//! each topic the replicas that it counts for.

use ottla_client::{Admin, AlterOp, ConfigResource, ResourceKind};
use ottla_core::placement::Move;
use ottla_types::{BrokerId, TopicPartition};
use std::collections::{BTreeMap, BTreeSet};

const RATES: [&str; 2] = ["leader.replication.throttled.rate", "follower.replication.throttled.rate"];
const LEADERS: &str = "leader.replication.throttled.replicas";
const FOLLOWERS: &str = "follower.replication.throttled.replicas";

/// What is throttled.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Throttle {
    /// Who sends and who receives.
    brokers: BTreeSet<BrokerId>,
    /// By topic: who sends what, who receives what, each as partition:broker.
    replicas: BTreeMap<String, (Vec<String>, Vec<String>)>,
}

impl Throttle {
    /// For moves of partitions from the replicas they have.
    pub(super) fn of(moves: &[Move], partitions: &[TopicPartition], replicas: &[Vec<BrokerId>]) -> Self {
        let mut throttle = Self::default();
        for to in moves {
            let (at, from) = (&partitions[to.partition], &replicas[to.partition]);
            let new: Vec<&BrokerId> = to.replicas.iter().filter(|id| !from.contains(id)).collect();
            if new.is_empty() {
                continue;
            }
            throttle.brokers.extend(from.iter().chain(new.iter().copied()));
            let (leaders, followers) = throttle.replicas.entry(at.topic.clone()).or_default();
            leaders.extend(from.iter().map(|id| format!("{}:{id}", at.partition)));
            followers.extend(new.iter().map(|id| format!("{}:{id}", at.partition)));
        }
        throttle
    }

    /// Sets the limit, bytes per second of each broker in each direction.
    pub(super) async fn set(&self, admin: &Admin, bytes_per_second: u64) -> anyhow::Result<()> {
        for (topic, (leaders, followers)) in &self.replicas {
            let changes = [
                (LEADERS.to_owned(), AlterOp::Set(leaders.join(","))),
                (FOLLOWERS.to_owned(), AlterOp::Set(followers.join(","))),
            ];
            admin.alter_configs(&resource(ResourceKind::Topic, topic), &changes, false).await?;
        }
        for broker in &self.brokers {
            let rate = || AlterOp::Set(bytes_per_second.to_string());
            let changes = RATES.map(|key| (key.to_owned(), rate()));
            admin
                .alter_configs(&resource(ResourceKind::Broker, &broker.to_string()), &changes, false)
                .await?;
        }
        Ok(())
    }
}

/// Takes the limits off again.
pub(super) async fn clear(admin: &Admin, topics: &BTreeSet<String>) -> anyhow::Result<()> {
    let lists = [LEADERS, FOLLOWERS].map(|key| (key.to_owned(), AlterOp::Delete));
    for topic in topics {
        admin.alter_configs(&resource(ResourceKind::Topic, topic), &lists, false).await?;
    }
    let rates = RATES.map(|key| (key.to_owned(), AlterOp::Delete));
    for broker in admin.client().broker_ids().await? {
        admin.alter_configs(&resource(ResourceKind::Broker, &broker.to_string()), &rates, false).await?;
    }
    Ok(())
}

fn resource(kind: ResourceKind, name: &str) -> ConfigResource {
    ConfigResource { kind, name: name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_copied_is_throttled_at_both_ends_and_what_only_changes_order_is_not() {
        let ids = |ids: &[i32]| ids.iter().copied().map(BrokerId).collect::<Vec<_>>();
        let partitions = [TopicPartition::new("t", 0), TopicPartition::new("t", 1)];
        let replicas = [ids(&[1, 2]), ids(&[1, 2])];
        let moves =
            [Move { partition: 0, replicas: ids(&[2, 3]) }, Move { partition: 1, replicas: ids(&[2, 1]) }];
        let throttle = Throttle::of(&moves, &partitions, &replicas);
        assert_eq!(throttle.brokers, ids(&[1, 2, 3]).into_iter().collect());
        let expected = (vec!["0:1".to_owned(), "0:2".to_owned()], vec!["0:3".to_owned()]);
        assert_eq!(throttle.replicas, [("t".to_owned(), expected)].into());
    }
}
