//! `ClusterAdmin` (key 10005): what Ottla's tools and its operator ask that Kafka's protocol has no words for.
//!
//! Requests and answers are JSON behind Kafka's headers (request header 1, response header 0). Any broker answers,
//! on any listener that clients use; what has to be decided is decided by the active controller, and an answer is
//! given only after a majority of the voters has confirmed what it says. The key is not advertised. Versioning is by
//! addition: fields and variants are added and keep their meaning, a reader leaves out fields that it does not know,
//! and a broker that does not know a question says so. `docs/cluster-admin.md` is the contract.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The version of the request that this software speaks.
pub const VERSION: i16 = 0;

/// Bytes of the largest question.
pub const QUESTION_BYTES: usize = 1 << 16;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// How the brokers are.
    DescribeCluster {},
    /// May a broker stop? Grants a permit unless it is a dry run.
    AskPermit(AskPermit),
    /// The whole cluster is to stop: a permit for every broker that is there, whatever suffers, and none waits for
    /// another or hands its leaders over.
    PermitAll {
        /// How long the permits are to hold, milliseconds, at most a day.
        duration_ms: i64,
        /// Who asks and why, for people.
        #[serde(default)]
        reason: String,
    },
    /// A permit is not needed any more.
    ReleasePermit {
        /// Its holder.
        broker: i32,
        /// Which permit.
        epoch: i64,
    },
    /// A broker is to get no new replicas, or to get them again.
    Cordon {
        /// Which broker.
        broker: i32,
        /// No new replicas.
        cordoned: bool,
    },
    /// Takes a broker out of the cluster for good.
    Unregister {
        /// Which broker.
        broker: i32,
        /// Even if it runs, holds replicas or votes.
        #[serde(default)]
        force: bool,
    },
}

/// Whether a broker may stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskPermit {
    /// Which broker.
    pub broker: i32,
    /// The registration that is meant; `None`: whichever there is.
    #[serde(default)]
    pub broker_epoch: Option<i64>,
    /// How long the permit is to hold, milliseconds, at most a day. Asking again while it is held begins the time anew.
    pub duration_ms: i64,
    /// Grant it although partitions or the quorum suffer. Another broker's permit is never overridden.
    #[serde(default)]
    pub force: bool,
    /// Only say what the answer would be.
    #[serde(default)]
    pub dry_run: bool,
    /// Who asks and why, for people.
    #[serde(default)]
    pub reason: String,
    /// What to do about partitions with a single replica; `None`: what `ottla.permit.single.replica` says.
    #[serde(default)]
    pub single_replica: Option<SingleReplica>,
}

/// What to do about a partition whose only replica is on the broker that wants to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SingleReplica {
    /// The broker may stop; the partition is away as long as the broker is.
    Allow,
    /// The broker may not stop.
    Refuse,
    /// The broker may not stop before the replica is elsewhere. Who asks gets it moved, and has to ask again.
    MoveAway,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// How the brokers are.
    Cluster(ClusterStatus),
    /// Whether a broker may stop.
    Permit(Permit),
    /// It is done.
    Done {},
    /// It was not done, or it is not known whether it was.
    Failed {
        /// Kafka's error code.
        code: i16,
        /// In words.
        message: String,
    },
}

/// Whether a broker may stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permit {
    /// It may (or might, in a dry run).
    Granted {
        /// The permit; 0 in a dry run.
        epoch: i64,
        /// How long it holds unless the broker is back before, milliseconds.
        expires_in_ms: i64,
        /// What `force` has overridden.
        overridden: Reasons,
    },
    /// It had a permit already, and holds it for the whole time from now on.
    Held {
        /// The permit.
        epoch: i64,
        /// How long it holds unless the broker is back before, milliseconds.
        expires_in_ms: i64,
    },
    /// It holds no replica and does not vote: nobody misses it, so it needs no permit.
    NotNeeded {},
    /// It may not.
    Refused(Reasons),
}

/// What speaks against it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Reasons {
    /// How many there are in all.
    pub total: usize,
    /// The first of them.
    pub named: Vec<Reason>,
}

/// One reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// What kind it is.
    pub kind: ReasonKind,
    /// In words for people.
    pub message: String,
    /// The partition, if it is about one.
    #[serde(default)]
    pub topic: Option<String>,
    /// Its index.
    #[serde(default)]
    pub partition: Option<i32>,
}

/// Kinds of reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReasonKind {
    /// Nobody of this id is registered.
    UnknownBroker,
    /// The registration that was named is not the one there is.
    StaleBrokerEpoch,
    /// Another broker may stop now, or is on its way back.
    OtherPermit,
    /// The metadata quorum would lose its majority.
    Quorum,
    /// A partition would have too few in-sync replicas; waiting may help.
    NotEnoughInSync,
    /// A partition can never spare a replica, and the policy says so.
    Unsparable,
    /// As before, and its replica has to move away, or is on its way.
    MoveAwayFirst,
    /// Something a newer broker says.
    #[serde(other)]
    Other,
}

/// How the cluster is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterStatus {
    /// Kafka's cluster id.
    pub cluster_id: String,
    /// The broker that is the active controller.
    pub controller: i32,
    /// Its term, Kafka's controller epoch.
    pub controller_epoch: i64,
    /// All of this is true at this offset of the metadata log.
    pub metadata_offset: u64,
    /// The registered brokers, by id.
    pub brokers: Vec<BrokerStatus>,
    /// Brokers that hold replicas and are not registered.
    #[serde(default)]
    pub unregistered_holders: Vec<i32>,
    /// How the partitions are.
    pub partitions: PartitionCounts,
}

/// Counts of partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PartitionCounts {
    /// All of them.
    pub total: usize,
    /// Without a leader.
    pub offline: usize,
    /// With a replica out of sync that is not just being added.
    pub under_replicated: usize,
    /// With fewer in-sync replicas than `min.insync.replicas`.
    pub under_min_isr: usize,
    /// Whose replicas move.
    pub reassigning: usize,
    /// Not led by their preferred replica.
    pub not_preferred: usize,
}

/// How a registered broker is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokerStatus {
    /// `node.id`.
    pub id: i32,
    /// Its registration; each start of the process has a higher one.
    pub epoch: i64,
    /// The directory that holds its metadata log: another one is another disk.
    pub directory_id: String,
    /// All of its directories that are online.
    pub directories: Vec<String>,
    /// Version of its software; empty while the controller has not heard it.
    pub version: String,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// The controller takes it for dead, or has not let it in yet.
    pub fenced: bool,
    /// It hands over its leaders in order to stop.
    pub stopping: bool,
    /// It gets no new replicas.
    pub cordoned: bool,
    /// It votes in the metadata quorum.
    pub voter: bool,
    /// Milliseconds since the controller last heard of it.
    pub silent_ms: u64,
    /// Replicas on it.
    pub replicas: usize,
    /// Those that are in sync.
    pub in_sync: usize,
    /// Those that are not in sync since a move has just brought them here.
    pub arriving: usize,
    /// Partitions it leads.
    pub leaders: usize,
    /// Partitions it should lead.
    pub preferred_leaders: usize,
    /// The permit it holds.
    pub permit: Option<HeldPermit>,
}

impl BrokerStatus {
    /// It is there and has every replica in sync but those that are arriving.
    #[must_use]
    pub const fn is_caught_up(&self) -> bool {
        !self.fenced && !self.stopping && self.in_sync + self.arriving == self.replicas
    }

    /// Nothing of the cluster is on it: no replica, no vote. A cordoned broker stays so.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.replicas == 0 && !self.voter
    }
}

/// A permit that is out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldPermit {
    /// Which; a later one has a higher epoch.
    pub epoch: i64,
    /// The registration it was granted to. A higher one: the holder has started again and is not caught up yet.
    pub broker_epoch: i64,
    /// How long it still holds, milliseconds.
    pub expires_in_ms: u64,
    /// Granted although something suffers.
    pub forced: bool,
    /// Who asked and why.
    pub reason: String,
}

/// Writes a question or an answer.
///
/// # Panics
/// Never: plain data can be written.
#[must_use]
pub fn to_bytes(body: &impl Serialize) -> Bytes {
    match serde_json::to_vec(body) {
        Ok(bytes) => bytes.into(),
        Err(error) => unreachable!("plain data can be written: {error}"),
    }
}

/// Reads a question or an answer.
///
/// # Errors
/// With words for people if it is none that this version knows.
pub fn from_bytes<T: for<'a> Deserialize<'a>>(body: &[u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_has_its_default_and_what_is_new_is_left_out() {
        let bytes = br#"{"ask_permit":{"broker":3,"duration_ms":5,"mood":"good"}}"#;
        let Ok(Question::AskPermit(ask)) = from_bytes(bytes) else { panic!("a question") };
        assert_eq!((ask.broker, ask.broker_epoch, ask.force, ask.dry_run), (3, None, false, false));
        assert_eq!(from_bytes::<ReasonKind>(br#""moon_phase""#), Ok(ReasonKind::Other));
    }

    #[test]
    fn a_question_that_is_not_known_is_an_error_in_words() {
        let error = from_bytes::<Question>(br#"{"make_coffee":{}}"#).unwrap_err();
        assert!(error.contains("make_coffee"), "{error}");
    }

    #[test]
    fn answers_read_back() {
        let reason = Reason {
            kind: ReasonKind::NotEnoughInSync,
            message: "t-0 would have 1".into(),
            topic: Some("t".into()),
            partition: Some(0),
        };
        let refused = Answer::Permit(Permit::Refused(Reasons { total: 9, named: vec![reason] }));
        for answer in [refused, Answer::Done {}, Answer::Permit(Permit::NotNeeded {})] {
            assert_eq!(from_bytes::<Answer>(&to_bytes(&answer)), Ok(answer));
        }
    }
}
