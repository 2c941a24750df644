//! The next steps of a cluster: a pure function of everything that was observed, without memory.
//!
//! Steps that take nobody away come first and may be many; at most one takes a broker away, and only if none is away
//! already. Killing whoever carries the steps out between any two of them is safe, because the next look begins anew.

mod claims;
#[cfg(test)]
mod model;
mod moves;
mod roll;
mod settings;
mod size;
#[cfg(test)]
mod tests;

pub use moves::Move;
pub(crate) use moves::fleet;

use crate::config::{self, Config, Place, Settings};
use crate::objects::{self, SetShape};
use crate::observed::Observed;
use crate::validate::{self, Invalid};
use kube::ResourceExt;

/// What to do now.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// What speaks against the resource; then nothing is done.
    pub invalid: Vec<Invalid>,
    /// The objects to apply; none while nothing may be changed.
    pub shape: Option<SetShape>,
    /// The brokers' settings.
    pub config: Config,
    /// Steps that take nobody away, in this order.
    pub steps: Vec<Step>,
    /// The one step that takes a broker away.
    pub disruption: Option<Disruption>,
    /// What is going on.
    pub work: Option<Work>,
    /// Why brokers have to restart, by broker.
    pub restarts: Vec<(i32, String)>,
    /// The number of brokers that the cluster is on its way to.
    pub replicas: i32,
}

/// A step that takes nobody away.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Deletes the StatefulSet without its pods; it is made anew with other volumes.
    OrphanSet,
    /// Lets a claim go with the cluster, or not.
    OwnClaim {
        /// The claim's name.
        name: String,
        /// Whether it is to go with the cluster.
        owned: bool,
    },
    /// Asks for a larger volume.
    GrowClaim {
        /// The claim's name.
        name: String,
        /// How large.
        size: String,
    },
    /// Deletes a claim whose broker has left with nothing on it.
    DeleteClaim {
        /// The claim's name.
        name: String,
        /// Which claim of that name.
        uid: String,
    },
    /// Sets and takes back defaults of all brokers.
    AlterSettings {
        /// To set.
        set: Settings,
        /// To take back.
        delete: Vec<String>,
        /// The keys that are the operator's from now on.
        keys: Vec<String>,
    },
    /// Keeps new replicas away from a broker, or not any more.
    Cordon {
        /// The broker.
        broker: i32,
        /// Whether it gets none.
        cordoned: bool,
    },
    /// Lets all brokers stop at once.
    PermitAll,
    /// Notes which brokers are leaving.
    NoteLeaving(Vec<i32>),
    /// Notes over which new brokers partitions are spread.
    NoteSpreading(Vec<i32>),
    /// Moves replicas.
    Move(Vec<Move>),
    /// Makes preferred replicas leaders again.
    ElectPreferred(Vec<(String, i32)>),
    /// Takes a broker out of the cluster whose pod is gone and that holds nothing.
    Unregister {
        /// The broker.
        broker: i32,
    },
    /// Tells a pod which rack its node is in.
    LabelRack {
        /// The pod.
        pod: String,
        /// Its node.
        node: String,
    },
}

/// The step that takes a broker away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disruption {
    /// Restarts one of these: the first that is permitted.
    Restart(Vec<Restart>),
    /// Takes the last broker out of the StatefulSet; nothing is on it. The plan's shape says so.
    Remove {
        /// The broker.
        broker: i32,
    },
    /// Stops all brokers. The plan's shape says so.
    Hibernate,
}

/// Deletes a pod, which comes back as the StatefulSet is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restart {
    /// The broker.
    pub broker: i32,
    /// Its pod.
    pub pod: String,
    /// Which pod of that name.
    pub uid: String,
    /// The state of it that was seen.
    pub resource_version: String,
    /// The registration that must get a permit; none if nothing runs in the pod or no broker is registered for it.
    pub broker_epoch: Option<i64>,
    /// Why.
    pub reason: String,
}

/// What is going on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// What kind of work.
    pub kind: WorkKind,
    /// The broker that it is about.
    pub broker: Option<i32>,
    /// What it waits for.
    pub wait: Option<Wait>,
    /// In a sentence.
    pub message: String,
    /// Brokers or partitions left.
    pub remaining: i32,
}

/// Kinds of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the words are the meaning")]
pub enum WorkKind {
    Create,
    Roll,
    ScaleUp,
    ScaleDown,
    Spread,
    Hibernate,
    Wake,
    StorageResize,
}

/// What work waits for; a label of metrics and a word in status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wait {
    /// Somebody paused it.
    Paused,
    /// The brokers give no answer.
    BrokersUnreachable,
    /// A pod is being stopped.
    PodStopping,
    /// A pod is not there yet.
    PodMissing,
    /// A broker is not ready again, or not in sync.
    BrokerNotBack,
    /// A broker does not lead again what it should.
    LeadersNotBack,
    /// Another broker has the permit to be away.
    OtherPermit,
    /// The metadata quorum cannot spare the broker.
    Quorum,
    /// A partition cannot spare the broker.
    NotEnoughInSync,
    /// A partition has no other replica, and the policy says to wait.
    SingleReplica,
    /// A topic has more replicas than there would be brokers.
    ReplicationFactor,
    /// Replicas are moving.
    Moving,
    /// The permit or the pod could not be had; it is tried again.
    Refused,
}

impl Wait {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Paused,
        Self::BrokersUnreachable,
        Self::PodStopping,
        Self::PodMissing,
        Self::BrokerNotBack,
        Self::LeadersNotBack,
        Self::OtherPermit,
        Self::Quorum,
        Self::NotEnoughInSync,
        Self::SingleReplica,
        Self::ReplicationFactor,
        Self::Moving,
        Self::Refused,
    ];

    /// The word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Paused => "Paused",
            Self::BrokersUnreachable => "BrokersUnreachable",
            Self::PodStopping => "PodStopping",
            Self::PodMissing => "PodMissing",
            Self::BrokerNotBack => "BrokerNotBack",
            Self::LeadersNotBack => "LeadersNotBack",
            Self::OtherPermit => "OtherPermit",
            Self::Quorum => "Quorum",
            Self::NotEnoughInSync => "NotEnoughInSync",
            Self::SingleReplica => "SingleReplica",
            Self::ReplicationFactor => "ReplicationFactor",
            Self::Moving => "Moving",
            Self::Refused => "Refused",
        }
    }
}

impl WorkKind {
    /// The word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Create => "Create",
            Self::Roll => "Roll",
            Self::ScaleUp => "ScaleUp",
            Self::ScaleDown => "ScaleDown",
            Self::Spread => "Spread",
            Self::Hibernate => "Hibernate",
            Self::Wake => "Wake",
            Self::StorageResize => "StorageResize",
        }
    }
}

/// The next steps.
#[must_use]
pub fn next(observed: &Observed<'_>) -> Plan {
    let cluster = observed.cluster;
    let status = cluster.status.as_ref();
    let mut plan =
        Plan { invalid: validate::cluster(cluster), replicas: cluster.spec.replicas, ..Plan::default() };
    let is_founded = status.is_some_and(|status| status.cluster_id.is_some()) || observed.brokers.is_ok();
    let namespace = cluster.namespace().unwrap_or_default();
    let size = size::decide(observed);
    let name = cluster.name_any();
    let place = Place { cluster: &name, namespace: &namespace, is_founded, brokers: size.current };
    plan.config = config::of(&cluster.spec, place);
    let image = image(observed);
    let hash = objects::restart_hash(&cluster.spec, &image, &plan.config);
    plan.restarts = roll::restarts(observed, &hash);
    let is_going = cluster.metadata.deletion_timestamp.is_some();
    if cluster.spec.paused || is_going || !plan.invalid.is_empty() {
        return plan;
    }
    let claim_size = claims::plan(observed, &mut plan);
    plan.shape = Some(SetShape { replicas: size.replicas, image, hash, claim_size });
    settings::plan(observed, &mut plan);
    size::plan(observed, &size, &mut plan);
    moves::plan(observed, &size, &mut plan);
    roll::plan(observed, &size, &mut plan);
    plan
}

/// The image: the one that is named, or the operator's idea when the cluster was new, or the one that the cluster has.
fn image(observed: &Observed<'_>) -> String {
    let named = observed.cluster.spec.image.clone();
    let noted = observed.cluster.status.as_ref().and_then(|status| status.default_image.clone());
    let current = observed.set.as_ref().map(|set| set.image.clone()).filter(|image| !image.is_empty());
    named.or(noted).or(current).unwrap_or_else(|| observed.default_image.to_owned())
}

impl Plan {
    /// Notes work, unless more important work was noted before.
    fn work(&mut self, work: Work) {
        self.work.get_or_insert(work);
    }
}
