//! The controller on this broker, and this broker as the controller's subject.

use super::{Context, Process, Purpose, Timer};
use crate::message::{Answer, Body, Request};
use crate::trace::Address;
use ottla_core::controller::membership;
use ottla_core::controller::{
    self, AskPermit, BrokerHeartbeat, IsrChange, Outcome, PermitAnswer, RegisterBroker, Reply,
};
use ottla_core::metadata::{self, ImageDelta, feature};
use ottla_core::planted::{self, Bug};
use ottla_types::{BrokerEpoch, BrokerId, DirectoryId, ErrorCode, TopicId};
use std::collections::BTreeMap;

/// From one heartbeat to the next.
const HEARTBEAT_US: u64 = 500_000;
/// After a heartbeat that went wrong.
const HEARTBEAT_AGAIN_US: u64 = 100_000;
/// From one look of the controller at its clock to the next.
const CONTROLLER_TICK_US: u64 = 100_000;

impl Process {
    /// Somebody asks the controller.
    pub(super) fn handle_control(
        &mut self,
        cx: &mut Context<'_>,
        from: Address,
        number: u64,
        request: controller::Request,
    ) {
        let can_propose = self.quorum.can_propose();
        let Some(controller) = self.controller.as_mut().filter(|_| can_propose) else {
            return cx.send(from, Body::Answer(number, Answer::Failed(ErrorCode::NotController)));
        };
        let outcome = controller.handle(cx.now_ms, request);
        self.propose(cx, outcome, Some((from, number)));
        self.run_quorum(cx);
    }

    fn propose(&mut self, cx: &mut Context<'_>, outcome: Outcome, to: Option<(Address, u64)>) {
        let mut index = self.quorum.status().last_index;
        if !outcome.records.is_empty() {
            match self.quorum.propose(metadata::encode(&outcome.records)) {
                Ok(at) => {
                    index = at;
                    if let Some(controller) = &mut self.controller {
                        controller.appended(at);
                    }
                }
                Err(error) => {
                    self.end_controller(cx);
                    if let Some((to, number)) = to {
                        cx.send(to, Body::Answer(number, Answer::Failed(error.code())));
                    }
                    return;
                }
            }
        }
        if let Some((to, number)) = to {
            self.uncommitted.push_back((index, to, number, Answer::Control(Box::new(outcome.reply))));
        }
    }

    /// Sends what waited for the metadata that is applied now.
    pub(super) fn answer_committed(&mut self, cx: &mut Context<'_>) {
        let applied = self.image.offset();
        let is_early = planted::is(Bug::AnswerBeforeMetadataIsCommitted);
        while self.uncommitted.front().is_some_and(|(index, ..)| *index <= applied || is_early) {
            if let Some((_, to, number, answer)) = self.uncommitted.pop_front() {
                cx.send(to, Body::Answer(number, answer));
            }
        }
    }

    pub(super) fn end_controller(&mut self, cx: &mut Context<'_>) {
        self.controller = None;
        for (_, to, number, _) in std::mem::take(&mut self.uncommitted) {
            cx.send(to, Body::Answer(number, Answer::Failed(ErrorCode::NotController)));
        }
    }

    pub(super) fn controller_tick(&mut self, cx: &mut Context<'_>) {
        let can_propose = self.quorum.can_propose();
        let Some(controller) = &mut self.controller else { return };
        let due = controller.poll_timeout().is_some_and(|at| cx.now_ms >= at);
        if due && can_propose {
            let outcome = controller.tick(cx.now_ms);
            self.propose(cx, outcome, None);
            self.run_quorum(cx);
        }
        if self.quorum.can_propose() {
            self.plan_membership();
            self.run_quorum(cx);
        }
        if self.controller.is_some() {
            cx.after(CONTROLLER_TICK_US, Timer::ControllerTick);
        }
    }

    /// Who is in control, as far as this broker knows.
    pub(super) fn controller_id(&self) -> Option<BrokerId> {
        self.quorum.leadership().leader.map(|leader| leader.broker())
    }

    /// Registers or tells that it lives.
    pub(super) fn heartbeat(&mut self, cx: &mut Context<'_>) {
        // A newcomer knows nobody yet and asks around; so does one whom the quorum tells nothing any more.
        let known = self.controller_id().filter(|_| !std::mem::take(&mut self.doubts_controller));
        let known = known.or_else(|| cx.random.pick(&self.peers).copied());
        let Some(controller) = known.filter(|_| !self.asked_controller) else {
            return cx.after(HEARTBEAT_AGAIN_US, Timer::Heartbeat);
        };
        if self.wants_stop && self.permit_epoch.is_none() && !self.epoch.is_none() {
            self.ask_permit(cx, controller);
        }
        self.asked_controller = true;
        let full_directories = self.note_full(cx);
        if self.epoch.is_none() {
            let request = controller::Request::RegisterBroker(self.registration());
            self.ask(cx, controller, Request::Control(Box::new(request)), Purpose::Register);
        } else {
            let request = controller::Request::BrokerHeartbeat(BrokerHeartbeat {
                broker_id: self.id,
                broker_epoch: self.epoch,
                metadata_offset: self.image.offset(),
                want_fence: false,
                want_shutdown: self.permit_epoch.is_some(),
                offline_directories: Vec::new(),
                full_directories,
                cordoned: None,
                software_version: String::new(),
            });
            self.ask(cx, controller, Request::Control(Box::new(request)), Purpose::Heartbeat);
        }
    }

    /// The directory if it has no room; then another broker should be the controller, as others lead partitions.
    fn note_full(&mut self, cx: &mut Context<'_>) -> Vec<DirectoryId> {
        self.log_dir.look_for_room();
        let is_full = self.log_dir.is_full();
        let was_full = std::mem::replace(&mut self.was_full, is_full);
        if is_full != was_full {
            cx.trace("has no room on its disk: {}", &[i64::from(is_full)]);
        }
        if is_full
            && !was_full
            && let Some(successor) = self.quorum.successor()
        {
            self.quorum.transfer_leader(successor);
            self.run_quorum(cx);
        }
        is_full.then_some(self.durable.directory).into_iter().collect()
    }

    fn registration(&self) -> RegisterBroker {
        RegisterBroker {
            broker_id: self.id,
            cluster_id: super::recovery::CLUSTER_ID.to_owned(),
            incarnation_id: self.incarnation,
            endpoints: Vec::new(),
            features: feature::supported(),
            rack: None,
            directories: vec![self.durable.directory],
            metadata_directory: self.durable.directory,
            previous_epoch: self.previous_epoch,
            cordoned: false,
            software_version: String::new(),
        }
    }

    pub(super) fn handle_registered(&mut self, cx: &mut Context<'_>, answer: Option<Answer>) {
        self.asked_controller = false;
        self.doubts_controller = !matches!(answer, Some(Answer::Control(_)));
        let mut again = HEARTBEAT_AGAIN_US;
        if let Some(Answer::Control(reply)) = answer {
            if let Reply::RegisterBroker(Ok(epoch)) = *reply {
                cx.trace("is registered with epoch {}", &[epoch.0]);
                self.epoch = epoch;
                self.durable.clean_epoch = epoch;
                self.metadata_applied(cx, &ImageDelta::default());
                again = 1_000;
            } else {
                cx.trace("is refused as a broker", &[]);
            }
        }
        cx.after(again, Timer::Heartbeat);
    }

    pub(super) fn handle_heartbeat_answer(&mut self, cx: &mut Context<'_>, answer: Option<Answer>) {
        self.asked_controller = false;
        self.doubts_controller = !matches!(answer, Some(Answer::Control(_)));
        let mut again = HEARTBEAT_US;
        match answer {
            Some(Answer::Control(reply)) => match *reply {
                Reply::BrokerHeartbeat(Ok(reply)) => {
                    if reply.should_shutdown && self.wants_stop {
                        cx.trace("stops", &[]);
                        cx.out.stopped = true;
                    }
                    if reply.is_fenced || self.wants_stop {
                        again = HEARTBEAT_AGAIN_US;
                    }
                }
                Reply::BrokerHeartbeat(Err(error))
                    if matches!(
                        error.code,
                        ErrorCode::StaleBrokerEpoch | ErrorCode::BrokerIdNotRegistered
                    ) =>
                {
                    cx.trace("must register again", &[]);
                    self.epoch = BrokerEpoch::NONE;
                    self.previous_epoch = BrokerEpoch::NONE;
                    again = 1_000;
                }
                _ => again = HEARTBEAT_AGAIN_US,
            },
            _ => again = HEARTBEAT_AGAIN_US,
        }
        cx.after(again, Timer::Heartbeat);
    }

    fn ask_permit(&mut self, cx: &mut Context<'_>, controller: BrokerId) {
        let request = controller::Request::AskPermit(AskPermit {
            broker: self.id,
            broker_epoch: self.epoch,
            duration_ms: 60_000,
            force: false,
            dry_run: false,
            reason: "restart".to_owned(),
            single_replica: None,
        });
        self.ask(cx, controller, Request::Control(Box::new(request)), Purpose::Permit);
    }

    pub(super) fn handle_permit_answer(&mut self, cx: &mut Context<'_>, answer: Option<Answer>) {
        let Some(Answer::Control(reply)) = answer else { return };
        match *reply {
            Reply::Permit(PermitAnswer::Granted { epoch, .. } | PermitAnswer::Held { epoch }) => {
                cx.trace("has permit {} to stop", &[epoch]);
                self.permit_epoch = Some(epoch);
            }
            Reply::Permit(PermitAnswer::NotNeeded) => self.permit_epoch = Some(0),
            Reply::Permit(PermitAnswer::Refused(reasons)) => {
                cx.trace("may not stop: {} reasons", &[reasons.total as i64]);
            }
            _ => {}
        }
    }

    /// Lets the quorum's members follow the registered brokers.
    fn plan_membership(&mut self) {
        let membership = self.quorum.membership();
        if let Some(change) = membership::plan(&self.image, &membership, &self.quorum.status()) {
            let _ = self.quorum.propose_membership(change);
        }
    }

    /// The connection to another broker broke.
    pub(super) fn peer_gone(&mut self, cx: &mut Context<'_>, peer: Address) {
        let Address::Broker(peer) = peer else { return };
        let peer = BrokerId(peer);
        if let Some(leader) = self.quorum.leadership().leader.filter(|leader| leader.broker() == peer) {
            self.quorum.suspect(leader);
            self.run_quorum(cx);
        }
        let can_propose = self.quorum.can_propose();
        if let Some(epoch) = self.image.broker(peer).map(|broker| broker.epoch)
            && let Some(controller) = self.controller.as_mut().filter(|_| can_propose)
        {
            let outcome =
                controller.handle(cx.now_ms, controller::Request::SuspectBroker { broker: peer, epoch });
            self.propose(cx, outcome, None);
            self.run_quorum(cx);
        }
    }

    /// Sends the open proposals of this broker's leaders, one request at a time.
    pub(super) fn send_proposals(&mut self, cx: &mut Context<'_>) {
        if self.proposals_out || self.proposals.is_empty() || self.epoch.is_none() {
            return;
        }
        let Some(controller) = self.controller_id() else { return };
        let proposals = std::mem::take(&mut self.proposals);
        let numbers = proposals.iter().map(|(partition, request)| (*partition, request.proposal)).collect();
        self.proposals_out = true;
        let mut topics: BTreeMap<TopicId, Vec<IsrChange>> = BTreeMap::new();
        for (id, proposal) in proposals {
            topics.entry(id.topic_id).or_default().push(IsrChange {
                partition: id.partition,
                leader_epoch: proposal.leader_epoch,
                partition_epoch: proposal.partition_epoch,
                isr: proposal.new_isr.iter().map(|member| (member.broker, member.broker_epoch)).collect(),
                recovering: false,
            });
        }
        let topics = topics.into_iter().collect();
        let request = controller::Request::AlterPartition { broker: self.id, epoch: self.epoch, topics };
        self.ask(cx, controller, Request::Control(Box::new(request)), Purpose::AlterPartition(numbers));
    }
}
