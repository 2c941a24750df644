//! Which operator works: the one that holds the Lease.
//!
//! A holder believes in its Lease for less time than others wait before they take it, so two never work together. One
//! that cannot renew it in time ends; Kubernetes starts it again and it waits in line.

use crate::context::LookError;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, PostParams};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Others take the Lease after this time without a renewal.
const DURATION: Duration = Duration::from_secs(15);
/// The holder works for this time after a renewal.
const BELIEVED: Duration = Duration::from_secs(10);
/// Time between two renewals, and between two tries.
const RENEWAL: Duration = Duration::from_secs(2);

/// Whether this operator works.
#[derive(Debug, Default)]
pub struct Standing {
    /// None: without a Lease, always.
    until: Mutex<Option<Instant>>,
}

impl Standing {
    /// An error unless this operator works.
    ///
    /// # Errors
    /// If it does not.
    pub fn check(&self) -> Result<(), LookError> {
        let until = *self.until.lock().unwrap_or_else(PoisonError::into_inner);
        if until.is_some_and(|until| Instant::now() >= until) { Err(LookError::NotLeading) } else { Ok(()) }
    }

    fn believe(&self, until: Instant) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
    }
}

/// The Lease, for one operator.
pub struct Candidate {
    api: Api<Lease>,
    name: String,
    identity: String,
    /// A state of the Lease that others wrote, and when it was first seen. Clocks of other machines do not count.
    seen: Option<(String, Instant)>,
}

impl Candidate {
    /// For `identity`.
    #[must_use]
    pub fn new(api: Api<Lease>, name: String, identity: String) -> Self {
        Self { api, name, identity, seen: None }
    }

    /// Returns when the Lease is this operator's.
    pub async fn acquire(&mut self, standing: &Standing) {
        loop {
            let begun = Instant::now();
            match self.step().await {
                Ok(true) => {
                    standing.believe(begun + BELIEVED);
                    return;
                }
                Ok(false) => {}
                Err(error) => tracing::warn!(%error, "the Lease could not be taken, trying again"),
            }
            tokio::time::sleep(RENEWAL).await;
        }
    }

    /// Returns when the Lease is lost.
    pub async fn keep(&mut self, standing: &Standing) {
        while standing.check().is_ok() {
            tokio::time::sleep(RENEWAL).await;
            let begun = Instant::now();
            match tokio::time::timeout(BELIEVED, self.step()).await {
                Ok(Ok(true)) => standing.believe(begun + BELIEVED),
                Ok(Ok(false)) => return,
                Ok(Err(error)) => tracing::warn!(%error, "the Lease could not be renewed"),
                Err(_) => return,
            }
        }
    }

    /// Gives the Lease back, so that another one can work at once.
    pub async fn release(&mut self) {
        let Ok(Some(mut lease)) = self.api.get_opt(&self.name).await else { return };
        let spec = lease.spec.get_or_insert_default();
        if spec.holder_identity.as_deref() == Some(self.identity.as_str()) {
            spec.holder_identity = None;
            let _ = self.api.replace(&self.name, &PostParams::default(), &lease).await;
        }
    }

    /// Takes or renews the Lease; false if it is another's.
    async fn step(&mut self) -> Result<bool, kube::Error> {
        let Some(lease) = self.api.get_opt(&self.name).await? else {
            let lease = self.taken(None);
            return taken(self.api.create(&PostParams::default(), &lease).await);
        };
        let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.clone()).unwrap_or_default();
        if !holder.is_empty() && holder != self.identity && !self.is_stale(&lease) {
            return Ok(false);
        }
        let lease = self.taken(Some(lease));
        taken(self.api.replace(&self.name, &PostParams::default(), &lease).await)
    }

    /// True if nobody has renewed it for longer than it holds.
    fn is_stale(&mut self, lease: &Lease) -> bool {
        let version = lease.metadata.resource_version.clone().unwrap_or_default();
        match &self.seen {
            Some((seen, since)) if *seen == version => since.elapsed() >= DURATION,
            _ => {
                self.seen = Some((version, Instant::now()));
                false
            }
        }
    }

    fn taken(&self, before: Option<Lease>) -> Lease {
        let now = MicroTime(Timestamp::now());
        let metadata = before.as_ref().map_or_else(
            || ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() },
            |before| before.metadata.clone(),
        );
        let mut spec = before.and_then(|before| before.spec).unwrap_or_default();
        if spec.holder_identity.as_deref() != Some(self.identity.as_str()) {
            spec.acquire_time = Some(now.clone());
            spec.lease_transitions = Some(spec.lease_transitions.unwrap_or(0) + 1);
        }
        let spec = LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: Some(DURATION.as_secs() as i32),
            renew_time: Some(now),
            ..spec
        };
        Lease { metadata, spec: Some(spec) }
    }
}

/// Whoever writes first has it.
fn taken(written: Result<Lease, kube::Error>) -> Result<bool, kube::Error> {
    match written {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
        Err(error) => Err(error),
    }
}
