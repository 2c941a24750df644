//! Brokers that register and that are unregistered (Kafka's `ClusterControlManager`).

use super::error::ApiError;
use super::heartbeat::change_of;
use super::sweep::{self, Cause};
use super::{Controller, Draft, Outcome, Reply};
use crate::metadata::record::{self, Endpoint, FeatureRange, directory_bytes, uuid_bytes};
use crate::metadata::{BrokerImage, LOST_DIRECTORY};
use ottla_types::{BrokerEpoch, BrokerId, DirectoryId, ErrorCode, TopicIdPartition, Uuid};

/// A broker wants to be part of the cluster.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct RegisterBroker {
    /// `node.id`.
    pub broker_id: BrokerId,
    /// The cluster it believes to be part of.
    pub cluster_id: String,
    /// Made anew each time the process starts.
    pub incarnation_id: Uuid,
    /// Where it is reached.
    pub endpoints: Vec<Endpoint>,
    /// What it can run at.
    pub features: Vec<FeatureRange>,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// Its data directories that are online.
    pub directories: Vec<DirectoryId>,
    /// The one of them that holds its metadata log.
    pub metadata_directory: DirectoryId,
    /// The registration it had before, if everything is there that it acknowledged; else [`BrokerEpoch::NONE`].
    pub previous_epoch: BrokerEpoch,
    /// It wants no new replicas.
    pub cordoned: bool,
    /// Version of its software, for people.
    #[serde(default)]
    pub software_version: String,
}

impl Controller {
    /// Registers a broker; it begins fenced.
    pub(super) fn register_broker(&mut self, now_ms: u64, request: RegisterBroker) -> Outcome {
        if let Err(error) = self.check_registration(now_ms, &request) {
            return Outcome::reply(Reply::RegisterBroker(Err(error)));
        }
        let id = request.broker_id;
        let known = self.image.broker(id).cloned();
        let mut draft = self.draft();
        let same_process = known.as_ref().filter(|known| known.incarnation_id == request.incarnation_id);
        let epoch = same_process.map_or_else(|| self.next_broker_epoch(), |known| known.epoch);
        draft.push(record::RegisterBroker {
            broker_id: id.0,
            broker_epoch: epoch.0,
            incarnation_id: uuid_bytes(request.incarnation_id),
            endpoints: request.endpoints,
            features: request.features,
            rack: request.rack.filter(|rack| !rack.is_empty()),
            fenced: same_process.is_none_or(|known| known.fenced),
            in_controlled_shutdown: same_process.is_some_and(|known| known.in_controlled_shutdown),
            directories: directory_bytes(&request.directories),
            metadata_directory: uuid_bytes(request.metadata_directory.0),
            cordoned: request.cordoned || known.as_ref().is_some_and(|known| known.cordoned),
        });
        if let Some(known) = known.as_ref().filter(|_| same_process.is_none()) {
            lose_unplaced_replicas(&mut draft, self, known);
            let was_clean = request.previous_epoch == known.epoch;
            let cause = if was_clean { Cause::Gone } else { Cause::UncleanShutdown };
            sweep::leave(&mut draft, &self.rules, id, cause);
        }
        self.sessions.begin(id, epoch, now_ms);
        if let Some(session) = self.sessions.get_mut(id) {
            session.software_version = request.software_version;
        }
        self.finish(draft, Reply::RegisterBroker(Ok(epoch)))
    }

    fn check_registration(&self, now_ms: u64, request: &RegisterBroker) -> Result<(), ApiError> {
        let id = request.broker_id;
        if id.is_none() {
            return Err(ApiError::new(
                ErrorCode::InvalidRequest,
                format!("A broker cannot have the id {id}."),
            ));
        }
        if request.cluster_id != self.image.cluster_id() {
            let (ours, theirs) = (self.image.cluster_id(), &request.cluster_id);
            let message = format!("Expected cluster ID {ours}, but got cluster ID {theirs}");
            return Err(ApiError::new(ErrorCode::InconsistentClusterId, message));
        }
        if let Some(known) = self.image.broker(id) {
            let is_restart = known.metadata_directory == request.metadata_directory
                && !request.metadata_directory.is_zero();
            let may_be_alive = known.incarnation_id != request.incarnation_id
                && !known.fenced
                && self.sessions.is_valid(id, now_ms, &self.rules);
            // Two processes cannot hold the lock of one directory, so the one before is gone.
            if may_be_alive && !is_restart {
                let message = "Another broker is registered with that broker id. If the broker was recently \
                    restarted this should self-resolve once the heartbeat manager expires the broker's session.";
                return Err(ApiError::new(ErrorCode::DuplicateBrokerRegistration, message));
            }
        }
        self.check_features(&request.features)?;
        self.check_directories(request)
    }

    fn check_features(&self, offered: &[FeatureRange]) -> Result<(), ApiError> {
        for (name, &level) in self.image.features() {
            let range = offered.iter().find(|range| range.name == **name);
            let (min, max) = range.map_or((0, 0), |range| (range.min, range.max));
            if level < min || level > max {
                let message = format!(
                    "Unable to register because the broker does not support finalized version {level} of {name}. \
                     The broker wants a version between {min} and {max}, inclusive."
                );
                return Err(ApiError::new(ErrorCode::UnsupportedVersion, message));
            }
        }
        Ok(())
    }

    fn check_directories(&self, request: &RegisterBroker) -> Result<(), ApiError> {
        let others = self.image.brokers().values().filter(|other| other.id != request.broker_id);
        let mut taken = others.flat_map(|other| other.directories.iter().map(move |dir| (other.id, *dir)));
        let reserved = |directory: &DirectoryId| directory.is_zero() || *directory == LOST_DIRECTORY;
        if let Some(directory) = request.directories.iter().find(|directory| reserved(directory)) {
            let message = format!("{directory} is reserved and cannot be the ID of a directory.");
            return Err(ApiError::new(ErrorCode::InvalidRegistration, message));
        }
        if let Some((other, directory)) = taken.find(|(_, dir)| request.directories.contains(dir)) {
            let message = format!(
                "Broker {} registers directory {directory}, which belongs to broker {other}.",
                request.broker_id
            );
            return Err(ApiError::new(ErrorCode::InvalidRegistration, message));
        }
        Ok(())
    }

    /// Takes a broker out of the cluster; with `only_if_unused` not if it runs, holds replicas or votes.
    pub(super) fn unregister_broker(&mut self, id: BrokerId, only_if_unused: bool) -> Outcome {
        let Some(known) = self.image.broker(id).cloned() else {
            let message = format!("Broker ID {id} is not currently registered");
            let error = ApiError::new(ErrorCode::BrokerIdNotRegistered, message);
            return Outcome::reply(Reply::UnregisterBroker(Err(error)));
        };
        if let Some(use_of_it) = only_if_unused.then(|| self.use_of(&known)).flatten() {
            let error = ApiError::new(ErrorCode::InvalidRequest, format!("Broker {id} {use_of_it}"));
            return Outcome::reply(Reply::UnregisterBroker(Err(error)));
        }
        let mut draft = self.draft();
        draft.push(record::UnregisterBroker { broker_id: id.0, broker_epoch: known.epoch.0 });
        sweep::leave(&mut draft, &self.rules, id, Cause::Gone);
        if let Some(permit) = draft.image.permits().get(&id).cloned() {
            draft.push(record::EndPermit {
                broker_id: id.0,
                permit_epoch: permit.epoch,
                cause: record::EndOfPermit::Unregistered as i32,
            });
        }
        self.sessions.end(id);
        self.finish(draft, Reply::UnregisterBroker(Ok(())))
    }

    /// What the cluster still uses a broker for, in words.
    fn use_of(&self, broker: &BrokerImage) -> Option<String> {
        let replicas = self.image.replica_count(broker.id);
        if replicas > 0 {
            return Some(format!("holds {replicas} replicas: move them away first (ottla cluster drain)."));
        }
        if self.image.membership().voters.contains(&broker.node()) {
            return Some("votes in the metadata quorum: cordon it, and another takes its place.".to_owned());
        }
        (!broker.fenced).then(|| "still runs: stop it first, or it registers again.".to_owned())
    }

    /// Keeps new replicas away from a broker, or not any more.
    pub(super) fn cordon(&mut self, id: BrokerId, cordoned: bool) -> Outcome {
        let Some(known) = self.image.broker(id).cloned() else {
            let message = format!("Broker ID {id} is not currently registered");
            let error = ApiError::new(ErrorCode::BrokerIdNotRegistered, message);
            return Outcome::reply(Reply::CordonBroker(Err(error)));
        };
        let mut draft = self.draft();
        if known.cordoned != cordoned {
            draft.push(record::BrokerChange { cordoned: Some(cordoned), ..change_of(&known) });
        }
        self.finish(draft, Reply::CordonBroker(Ok(())))
    }

    /// Later than every registration, and not later than the offset that this one will have.
    fn next_broker_epoch(&self) -> BrokerEpoch {
        let next_offset = i64::try_from(self.image.offset() + 1).unwrap_or(i64::MAX);
        BrokerEpoch(next_offset.max(self.image.last_broker_epoch().0 + 1))
    }
}

/// Where a disk is gone, replicas of which it was not known where they are may have been on it.
fn lose_unplaced_replicas(draft: &mut Draft, controller: &Controller, before: &BrokerImage) {
    let Some(now) = draft.image.broker(before.id).cloned() else { return };
    if before.directories.iter().all(|directory| now.is_online(*directory)) {
        return;
    }
    let partitions: Vec<TopicIdPartition> = draft.image.partitions_of(before.id).collect();
    let mut topic_rules = sweep::RulesOfTopic::default();
    for key in partitions {
        let Some(partition) = draft.image.partition(key) else { continue };
        if partition.directory(before.id).is_zero() {
            let of_topic = topic_rules.get(&controller.rules, &draft.image, key.topic_id);
            let mut update = sweep::update(&draft.image, partition, key, of_topic);
            update.lost = Some(before.id);
            let change = update.build();
            sweep::apply(draft, key, change);
        }
    }
}
