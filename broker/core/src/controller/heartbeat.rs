//! Heartbeats: fencing, unfencing and controlled shutdown (Kafka's `BrokerHeartbeatManager`).

use super::error::ApiError;
use super::sessions::Shutdown;
use super::sweep::{self, Cause};
use super::{Controller, Draft, Outcome, Reply};
use crate::metadata::BrokerImage;
use crate::metadata::record::{BrokerChange, directory_bytes};
use ottla_types::{BrokerEpoch, BrokerId, DirectoryId, ErrorCode};

/// A broker says that it is there, and what it wants.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct BrokerHeartbeat {
    /// Its id.
    pub broker_id: BrokerId,
    /// Its registration.
    pub broker_epoch: BrokerEpoch,
    /// The metadata offset that it has applied.
    pub metadata_offset: u64,
    /// It does not want to lead or be in sync.
    pub want_fence: bool,
    /// It wants to stop.
    pub want_shutdown: bool,
    /// Directories of its that failed.
    pub offline_directories: Vec<DirectoryId>,
    /// Directories of its without room: what it leads there others should lead.
    #[serde(default)]
    pub full_directories: Vec<DirectoryId>,
    /// Whether it wants new replicas; `None` leaves it as it is.
    pub cordoned: Option<bool>,
    /// Version of its software, for people; empty: as before.
    #[serde(default)]
    pub software_version: String,
}

/// What the controller makes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct HeartbeatReply {
    /// It has applied its own registration.
    pub is_caught_up: bool,
    /// It may not lead nor be in sync.
    pub is_fenced: bool,
    /// It may stop now.
    pub should_shutdown: bool,
}

/// Where a broker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Fenced,
    Unfenced,
    ControlledShutdown,
    ShutdownNow,
}

impl Controller {
    /// Answers a heartbeat.
    pub(super) fn heartbeat(&mut self, now_ms: u64, request: &BrokerHeartbeat) -> Outcome {
        let broker = match self.check_broker(request.broker_id, request.broker_epoch) {
            Ok(broker) => broker.clone(),
            Err(error) => return Outcome::reply(Reply::BrokerHeartbeat(Err(error))),
        };
        let id = broker.id;
        if let Some(session) = self.sessions.get_mut(id) {
            session.heard(now_ms, request.metadata_offset);
            if session.software_version != request.software_version && !request.software_version.is_empty() {
                session.software_version.clone_from(&request.software_version);
            }
            session.full_directories.clone_from(&request.full_directories);
        }
        let mut draft = self.draft();
        self.change_directories(&mut draft, &broker, &request.offline_directories);
        if let Some(cordoned) = request.cordoned.filter(|&cordoned| cordoned != broker.cordoned) {
            draft.push(BrokerChange { cordoned: Some(cordoned), ..change_of(&broker) });
        }
        let is_caught_up = request.metadata_offset >= broker.epoch.0.max(0) as u64;
        let next = self.next_state(&draft, &broker, request, is_caught_up);
        self.move_to(&mut draft, &broker, next);
        self.hand_over_full(&mut draft, id);
        let is_fenced = draft.image.broker(id).is_none_or(|broker| broker.fenced);
        let should_shutdown = next == State::ShutdownNow;
        self.finish(
            draft,
            Reply::BrokerHeartbeat(Ok(HeartbeatReply { is_caught_up, is_fenced, should_shutdown })),
        )
    }

    fn next_state(
        &self,
        draft: &Draft,
        broker: &BrokerImage,
        request: &BrokerHeartbeat,
        caught_up: bool,
    ) -> State {
        if broker.in_controlled_shutdown && !broker.fenced {
            let leads = leads_any(draft, broker.id);
            let may_go = !leads && self.has_everybody_seen_shutdown(broker.id);
            return if may_go { State::ShutdownNow } else { State::ControlledShutdown };
        }
        if broker.fenced {
            return match (request.want_shutdown, request.want_fence) {
                (true, _) => State::ShutdownNow,
                (false, false) if caught_up => State::Unfenced,
                _ => State::Fenced,
            };
        }
        match (request.want_shutdown, request.want_fence) {
            (true, true) => State::ShutdownNow,
            (false, true) => State::Fenced,
            (true, false) => State::ControlledShutdown,
            (false, false) => State::Unfenced,
        }
    }

    /// Every active broker knows by now that the leaders are elsewhere.
    fn has_everybody_seen_shutdown(&self, id: BrokerId) -> bool {
        match self.sessions.get(id).map_or(Shutdown::None, |session| session.shutdown) {
            // An earlier controller moved the leaders; every broker has been told to get its metadata from this one.
            Shutdown::None => true,
            Shutdown::Begun => false,
            Shutdown::At(offset) => {
                let mut others = self.sessions.iter().filter(|(other, _)| self.image.is_active(*other));
                others.all(|(_, session)| session.metadata_offset >= offset)
            }
        }
    }

    fn move_to(&mut self, draft: &mut Draft, broker: &BrokerImage, next: State) {
        let id = broker.id;
        match next {
            State::Unfenced if broker.fenced => {
                draft.push(BrokerChange { fenced: Some(false), ..change_of(broker) });
                sweep::come(draft, &self.rules, id);
            }
            State::ControlledShutdown if !broker.in_controlled_shutdown => {
                draft.push(BrokerChange { in_controlled_shutdown: Some(true), ..change_of(broker) });
                sweep::leave(draft, &self.rules, id, Cause::Gone);
                if let Some(session) = self.sessions.get_mut(id) {
                    session.shutdown = Shutdown::Begun;
                }
            }
            State::Fenced | State::ShutdownNow if !broker.fenced => self.fence(draft, broker),
            _ => {}
        }
    }

    /// Fences a broker and elects others in its place.
    pub(super) fn fence(&self, draft: &mut Draft, broker: &BrokerImage) {
        draft.push(BrokerChange { fenced: Some(true), ..change_of(broker) });
        sweep::leave(draft, &self.rules, broker.id, Cause::Gone);
    }

    fn change_directories(&self, draft: &mut Draft, broker: &BrokerImage, offline: &[DirectoryId]) {
        let online: Vec<DirectoryId> =
            broker.directories.iter().copied().filter(|directory| !offline.contains(directory)).collect();
        if online.len() == broker.directories.len() {
            return;
        }
        draft.push(BrokerChange { directories: Some(directory_bytes(&online)), ..change_of(broker) });
        sweep::leave(draft, &self.rules, broker.id, Cause::Gone);
    }

    /// The broker, if it is registered with this epoch.
    pub(super) fn check_broker(&self, id: BrokerId, epoch: BrokerEpoch) -> Result<&BrokerImage, ApiError> {
        let Some(broker) = self.image.broker(id) else {
            let message = format!("Broker ID {id} is not currently registered");
            return Err(ApiError::new(ErrorCode::BrokerIdNotRegistered, message));
        };
        if broker.epoch == epoch {
            return Ok(broker);
        }
        let message = format!("Expected broker epoch {}, but got broker epoch {epoch}", broker.epoch);
        Err(ApiError::new(ErrorCode::StaleBrokerEpoch, message))
    }

    /// The connection of a broker broke: unless it is heard of again soon it is gone.
    pub(super) fn suspect(&mut self, now_ms: u64, id: BrokerId, epoch: BrokerEpoch) {
        if let Some(session) = self.sessions.get_mut(id).filter(|session| session.epoch == epoch) {
            session.suspect_since_ms.get_or_insert(now_ms);
        }
    }

    /// Fences every broker that was silent for too long.
    pub(super) fn fence_silent(&self, now_ms: u64, draft: &mut Draft) {
        for (id, session) in self.sessions.iter() {
            let broker =
                self.image.broker(id).filter(|broker| !broker.fenced && broker.epoch == session.epoch);
            if let Some(broker) = broker.filter(|_| now_ms >= session.deadline_ms(&self.rules)) {
                self.fence(draft, broker);
            }
        }
    }
}

fn leads_any(draft: &Draft, id: BrokerId) -> bool {
    let mut partitions = draft.image.partitions_of(id);
    partitions.any(|key| draft.image.partition(key).is_some_and(|partition| partition.leader == id))
}

/// A change of this registration that changes nothing yet.
pub(super) fn change_of(broker: &BrokerImage) -> BrokerChange {
    BrokerChange { broker_id: broker.id.0, broker_epoch: broker.epoch.0, ..BrokerChange::default() }
}
