//! Asking the controller wherever it is.
//!
//! A request goes to the active controller; if that is elsewhere, over the connection to it. When it moves meanwhile,
//! the request is put again: as with Kafka's forwarding, something may then be found done already. The answer is
//! given when this broker shows the metadata that follows from it.

use super::Metadata;
use crate::peers::Peers;
use crate::peers::wire::{Question, Said};
use ottla_core::controller::{Reply, Request};
use ottla_core::quorum::{MembershipChange, Status};
use ottla_types::{BrokerId, ErrorCode};
use std::time::Duration;
use tokio::time::Instant;

/// How long a controller is looked for.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long one broker is waited for.
const ONE_ANSWER: Duration = Duration::from_secs(5);
/// How long the own metadata may be behind the answer.
const CATCH_UP: Duration = Duration::from_secs(5);
/// Pause before somebody else is asked.
const PAUSE: Duration = Duration::from_millis(20);

impl Metadata {
    /// Asks the controller.
    ///
    /// # Errors
    /// `NotController` if none was found, or it changed before the answer was safe; then the change may or may not
    /// take place.
    pub async fn submit(&self, request: Request) -> Result<Reply, ErrorCode> {
        self.submit_within(request, PATIENCE).await
    }

    /// As [`Metadata::submit`], with less patience.
    ///
    /// # Errors
    /// As [`Metadata::submit`].
    pub async fn submit_within(&self, request: Request, patience: Duration) -> Result<Reply, ErrorCode> {
        let shows = changes_what_clients_see(&request);
        match self.question(Question::Control(Box::new(request)), patience).await? {
            (Said::Control(reply), offset) => {
                if shows {
                    self.catch_up(offset).await;
                }
                Ok(*reply)
            }
            _ => Err(ErrorCode::UnknownServerError),
        }
    }

    /// What the leader of the quorum knows of it; what this node knows if no leader answers.
    pub async fn quorum_status(&self) -> Option<Status> {
        match self.question(Question::QuorumStatus, Duration::from_secs(2)).await {
            Ok((Said::Status(status), _)) => Some(status),
            _ => self.status_here().await,
        }
    }

    /// Changes who takes part in the quorum.
    ///
    /// # Errors
    /// As [`Metadata::submit`].
    pub async fn change_membership(&self, change: MembershipChange) -> Result<(), ErrorCode> {
        self.question(Question::ChangeMembership(change), PATIENCE).await.map(|_| ())
    }

    async fn catch_up(&self, offset: u64) {
        let caught_up = self.wait_until(|image| image.offset() >= offset);
        if tokio::time::timeout(CATCH_UP, caught_up).await.is_err() {
            tracing::warn!(offset, "this broker's metadata is behind what the controller answered");
        }
    }

    /// The answer and the metadata offset that holds what follows from it.
    async fn question(&self, question: Question, patience: Duration) -> Result<(Said, u64), ErrorCode> {
        let deadline = Instant::now() + patience;
        let mut controller = self.watch_controller();
        let mut hint = None;
        let mut turn = 0;
        loop {
            let known = *controller.borrow_and_update();
            if known.is_local {
                let said = self.question_here(&question).await;
                if !matches!(said, Said::Failed(ErrorCode::NotController)) || self.peers.is_none() {
                    return fail_or(said, 0);
                }
            } else if let Some(peers) = &self.peers {
                let known = known.node.map(|node| node.broker()).filter(|leader| *leader != self.me);
                let asked = hint.take().or(known).or_else(|| peers.anybody(turn));
                if let Some(peer) = asked {
                    let left = deadline.saturating_duration_since(Instant::now());
                    match self.question_there(peers, peer, &question, left.min(ONE_ANSWER)).await {
                        Ok(answered) => return Ok(answered),
                        Err(Elsewhere::At(leader)) if leader != peer && leader != self.me => {
                            hint = Some(leader)
                        }
                        Err(Elsewhere::Code(code)) => return Err(code),
                        Err(_) => {}
                    }
                }
                turn += 1;
            }
            if Instant::now() >= deadline {
                return Err(ErrorCode::NotController);
            }
            if hint.is_none() {
                let _ = tokio::time::timeout(PAUSE, controller.changed()).await;
            }
        }
    }

    async fn question_here(&self, question: &Question) -> Said {
        match question {
            Question::Control(request) => match self.submit_here((**request).clone()).await {
                Ok(reply) => Said::Control(Box::new(reply)),
                Err(code) => Said::Failed(code),
            },
            Question::QuorumStatus => {
                self.status_here().await.map_or(Said::Failed(ErrorCode::NotController), Said::Status)
            }
            Question::ChangeMembership(change) => match self.change_membership_here(*change).await {
                Ok(()) => Said::Done,
                Err(code) => Said::Failed(code),
            },
        }
    }

    async fn question_there(
        &self,
        peers: &Peers,
        peer: BrokerId,
        question: &Question,
        within: Duration,
    ) -> Result<(Said, u64), Elsewhere> {
        let answer = peers.ask(peer, question.clone(), within).await.map_err(|_| Elsewhere::Nowhere)?;
        match (answer.said, answer.leader) {
            (Said::Failed(ErrorCode::NotController), Some(leader)) => Err(Elsewhere::At(leader)),
            (Said::Failed(ErrorCode::NotController), None) => Err(Elsewhere::Nowhere),
            (Said::Failed(code), _) => Err(Elsewhere::Code(code)),
            (said, _) => Ok((said, answer.offset)),
        }
    }
}

/// Why a broker did not do what was asked.
enum Elsewhere {
    /// That one may.
    At(BrokerId),
    /// Nobody is known who may.
    Nowhere,
    /// Nobody will.
    Code(ErrorCode),
}

fn fail_or(said: Said, offset: u64) -> Result<(Said, u64), ErrorCode> {
    match said {
        Said::Failed(code) => Err(code),
        said => Ok((said, offset)),
    }
}

/// What only brokers ask for, some of it before they have any metadata, waits for nothing.
fn changes_what_clients_see(request: &Request) -> bool {
    !matches!(
        request,
        Request::RegisterBroker(_)
            | Request::BrokerHeartbeat(_)
            | Request::SuspectBroker { .. }
            | Request::AlterPartition { .. }
            | Request::AssignReplicas(_)
            | Request::AllocateProducerIds { .. }
            | Request::AskPermit(_)
            | Request::PermitAll { .. }
            | Request::ReleasePermit { .. }
    )
}
