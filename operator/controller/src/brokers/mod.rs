//! What the operator asks of brokers, and who answers.

mod kafka;

pub use kafka::Kafka;

use futures::future::BoxFuture;
use ottla_operator_core::cluster::SingleReplica;
use ottla_operator_core::config::Settings;
use ottla_operator_core::observed::BrokersView;
use ottla_operator_core::plan::{Move, Wait};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What brokers say of the cluster and its topics.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Brokers and partitions.
    pub view: BrokersView,
    /// Ids of topics, by name.
    pub ids: BTreeMap<String, String>,
}

/// The answer to the question whether a broker may stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Permit {
    /// It may.
    Granted {
        /// The permit.
        epoch: i64,
    },
    /// Nobody would miss it.
    NotNeeded,
    /// It may not.
    Refused {
        /// Why, in a word.
        wait: Wait,
        /// Why, in a sentence.
        message: String,
    },
}

/// Who asks for a permit, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskPermit {
    /// The broker that is to stop.
    pub broker: i32,
    /// The registration that was seen.
    pub broker_epoch: i64,
    /// What to do about partitions that have no other replica.
    pub single_replica: SingleReplica,
    /// Why, for people.
    pub reason: String,
}

/// A topic to be created.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// Partitions.
    pub partitions: i32,
    /// Replicas of each, if not the cluster's default.
    pub replication_factor: Option<i32>,
    /// Brokers of each partition, instead of the two numbers.
    pub assignments: Vec<Vec<i32>>,
    /// Settings.
    pub config: Settings,
}

/// A topic to be given more partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Growth {
    /// Its name.
    pub name: String,
    /// Partitions that it is to have.
    pub count: i32,
    /// Brokers of each new one.
    pub assignments: Option<Vec<Vec<i32>>>,
}

/// Settings to change.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Alteration {
    /// To set.
    pub set: Settings,
    /// To take back.
    pub delete: Vec<String>,
}

/// What became of each thing, by its name; what is missing came off.
pub type Refusals = BTreeMap<String, String>;

/// An answer, or why there is none. None is never a yes.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, String>>;

/// The brokers of a cluster.
pub trait Brokers: Send + Sync {
    /// How brokers and partitions are.
    fn look(&self) -> Answer<'_, Seen>;
    /// Bytes of a broker's replicas.
    fn bytes_on(&self, broker: i32) -> Answer<'_, i64>;
    /// Settings that were set for these topics, by topic. Topics that do not exist are left out.
    fn topic_configs(&self, names: Vec<String>) -> Answer<'_, BTreeMap<String, Settings>>;
    /// May a broker stop?
    fn ask_permit(&self, ask: AskPermit) -> Answer<'_, Permit>;
    /// The whole cluster is to stop: no broker waits for another.
    fn permit_all(&self, reason: String) -> Answer<'_, ()>;
    /// A permit is not needed after all.
    fn release_permit(&self, broker: i32, epoch: i64) -> Answer<'_, ()>;
    /// Keeps new replicas away from a broker, or not any more.
    fn cordon(&self, broker: i32, cordoned: bool) -> Answer<'_, ()>;
    /// Takes a broker out of the cluster on which nothing is.
    fn unregister(&self, broker: i32) -> Answer<'_, ()>;
    /// Begins to move replicas. Refusals are by `topic-partition`.
    fn reassign(&self, moves: Vec<Move>) -> Answer<'_, Refusals>;
    /// Makes preferred replicas leaders.
    fn elect_preferred(&self, partitions: Vec<(String, i32)>) -> Answer<'_, ()>;
    /// Changes the defaults of all brokers.
    fn alter_defaults(&self, change: Alteration) -> Answer<'_, ()>;
    /// Creates topics.
    fn create_topics(&self, topics: Vec<NewTopic>) -> Answer<'_, Refusals>;
    /// Gives topics more partitions.
    fn grow_topics(&self, topics: Vec<Growth>) -> Answer<'_, Refusals>;
    /// Changes settings of topics.
    fn alter_topics(&self, changes: BTreeMap<String, Alteration>) -> Answer<'_, Refusals>;
    /// Deletes topics.
    fn delete_topics(&self, names: Vec<String>) -> Answer<'_, Refusals>;
}

/// A way to the brokers of a cluster.
pub trait Connect: Send + Sync {
    /// Connects to whoever of `addresses` (`host:port`) answers first; `key` names the cluster.
    fn connect<'a>(&'a self, key: &'a str, addresses: Vec<String>) -> Answer<'a, Arc<dyn Brokers>>;
    /// What is known of a cluster's connections is wrong.
    fn forget(&self, key: &str);
}
