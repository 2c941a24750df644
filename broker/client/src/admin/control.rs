//! What Kafka's protocol has no words for: restart permits, cordoning, the state of each broker, leaving for good.
//!
//! Any broker is asked and asks the active controller; an answer says what a majority of the voters has confirmed. A
//! time-out or an error is never a yes: ask again.

use super::{Admin, outcome};
use crate::client::Backoff;
use crate::connection::Connection;
use crate::error::{ApiError, ClientError};
use kafka_protocol::messages::{BrokerId, UnregisterBrokerRequest};
use ottla_protocol::ApiKey;
use ottla_protocol::cluster_admin::{self, Answer, AskPermit, ClusterStatus, Permit, Question};
use ottla_types::ErrorCode;
use std::time::{Duration, Instant};

/// What the broker may take to find the active controller, on top of the usual time-out.
const LOOKS_FOR_CONTROLLER: Duration = Duration::from_secs(15);

impl Admin {
    /// Every registered broker, and how the partitions are.
    ///
    /// # Errors
    /// If no broker can be reached or no controller answers.
    pub async fn cluster_status(&self) -> Result<ClusterStatus, ClientError> {
        match self.control("the cluster's status", &Question::DescribeCluster {}).await? {
            Answer::Cluster(status) => Ok(status),
            other => Err(unexpected("the cluster's status", &other)),
        }
    }

    /// May a broker stop? If so it holds a permit from now on, unless `ask` is a dry run. Asking again holds on to it.
    ///
    /// # Errors
    /// If no broker can be reached or no controller answers; a refusal is an answer.
    pub async fn ask_permit(&self, ask: AskPermit) -> Result<Permit, ClientError> {
        let what = format!("a permit to restart broker {}", ask.broker);
        match self.control(&what, &Question::AskPermit(ask)).await? {
            Answer::Permit(permit) => Ok(permit),
            other => Err(unexpected(&what, &other)),
        }
    }

    /// Lets every broker stop at once: for a cluster that is to stop as a whole.
    ///
    /// # Errors
    /// If no broker can be reached or no controller answers.
    pub async fn permit_all(&self, duration_ms: i64, reason: &str) -> Result<(), ClientError> {
        let question = Question::PermitAll { duration_ms, reason: reason.to_owned() };
        self.done("a permit for all brokers", &question).await
    }

    /// Gives a permit back that is not needed after all.
    ///
    /// # Errors
    /// If that permit is not out (any more), no broker can be reached or no controller answers.
    pub async fn release_permit(&self, broker: i32, epoch: i64) -> Result<(), ClientError> {
        let what = format!("permit {epoch} of broker {broker}");
        self.done(&what, &Question::ReleasePermit { broker, epoch }).await
    }

    /// Keeps new replicas away from a broker, or not any more. A cordoned broker that holds none stops voting.
    ///
    /// # Errors
    /// If the broker is not registered, no broker can be reached or no controller answers.
    pub async fn cordon(&self, broker: i32, cordoned: bool) -> Result<(), ClientError> {
        self.done(&format!("broker {broker}"), &Question::Cordon { broker, cordoned }).await
    }

    /// Takes a broker out of the cluster for good; refused while it runs, holds replicas or votes.
    ///
    /// # Errors
    /// If it is in use, not registered, no broker can be reached or no controller answers.
    pub async fn unregister(&self, broker: i32) -> Result<(), ClientError> {
        self.done(&format!("broker {broker}"), &Question::Unregister { broker, force: false }).await
    }

    /// Takes a broker out of the cluster whatever is on it, as Kafka's own tools do. One that runs registers again.
    ///
    /// # Errors
    /// If it is not registered, no broker can be reached or no controller answers.
    pub async fn unregister_whatever_is_on_it(&self, broker: i32) -> Result<(), ClientError> {
        let request = UnregisterBrokerRequest::default().with_broker_id(BrokerId(broker));
        let response = self.to_controller(request, |response| response.error_code).await?;
        outcome(response.error_code, response.error_message.as_ref())
            .map_err(|error| ClientError::refused(format!("unregistering broker {broker}"), error))
    }

    async fn done(&self, what: &str, question: &Question) -> Result<(), ClientError> {
        match self.control(what, question).await? {
            Answer::Done {} => Ok(()),
            other => Err(unexpected(what, &other)),
        }
    }

    /// Asks some broker, another one if the connection breaks or no controller is known yet. All questions can be put
    /// twice.
    async fn control(&self, what: &str, question: &Question) -> Result<Answer, ClientError> {
        let body = cluster_admin::to_bytes(question);
        let options = self.client().options();
        let within = options.request_timeout + LOOKS_FOR_CONTROLLER;
        let deadline = Instant::now() + options.retry_timeout;
        let mut backoff = Backoff::default();
        let mut turn = 0;
        loop {
            let asked = async {
                let connection = self.somebody(turn).await?;
                let key = ApiKey::ClusterAdmin;
                let bytes = connection.exchange_own(key, cluster_admin::VERSION, &body, within).await?;
                cluster_admin::from_bytes::<Answer>(&bytes)
                    .map_err(|reason| ClientError::Protocol { what: what.to_owned(), reason })
            };
            let error = match asked.await {
                Ok(Answer::Failed { code, message }) => {
                    let error = ApiError { code: ErrorCode::from_code(code), message: Some(message) };
                    ClientError::refused(what, error)
                }
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let again = matches!(error, ClientError::Closed { .. } | ClientError::TimedOut { .. })
                || error.code() == Some(ErrorCode::NotController);
            if !again || Instant::now() >= deadline {
                return Err(error);
            }
            turn += 1;
            backoff.wait().await;
        }
    }

    /// A broker to ask, another one each turn: the one before may be cut off from the controller.
    async fn somebody(&self, turn: usize) -> Result<Connection, ClientError> {
        if turn > 0
            && let Ok(ids) = self.client().broker_ids().await
            && let Some(id) = turn.checked_rem(ids.len()).and_then(|at| ids.get(at))
            && let Ok(connection) = self.client().broker(*id).await
        {
            return Ok(connection);
        }
        self.client().any().await
    }
}

fn unexpected(what: &str, answer: &Answer) -> ClientError {
    ClientError::Protocol { what: what.to_owned(), reason: format!("an unexpected answer: {answer:?}") }
}
