//! Events: what the operator did, and what it waits for.

use kube::Resource;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use ottla_operator_core::names;

/// Tells events.
#[derive(Clone)]
pub struct Events {
    recorder: Recorder,
}

impl Events {
    /// Told by `identity`.
    #[must_use]
    pub fn new(client: kube::Client, identity: String) -> Self {
        let reporter = Reporter { controller: names::MANAGER.to_owned(), instance: Some(identity) };
        Self { recorder: Recorder::new(client, reporter) }
    }

    /// Something that was done.
    pub async fn normal<K: Resource<DynamicType = ()>>(&self, object: &K, reason: &str, note: &str) {
        self.tell(object, EventType::Normal, reason, note).await;
    }

    /// Something that a person may have to look at.
    pub async fn warning<K: Resource<DynamicType = ()>>(&self, object: &K, reason: &str, note: &str) {
        self.tell(object, EventType::Warning, reason, note).await;
    }

    /// An event that cannot be told is no reason to stop.
    async fn tell<K: Resource<DynamicType = ()>>(
        &self,
        object: &K,
        type_: EventType,
        reason: &str,
        note: &str,
    ) {
        let event = Event {
            type_,
            reason: reason.to_owned(),
            note: Some(note.chars().take(1000).collect()),
            action: "Reconcile".to_owned(),
            secondary: None,
        };
        if let Err(error) = self.recorder.publish(&event, &object.object_ref(&())).await {
            tracing::debug!(%error, reason, "an event could not be told");
        }
    }
}
