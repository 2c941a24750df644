//! Who answers requests while a broker starts: other brokers are answered at once, clients when it may lead.

use super::{Cluster, is_for_brokers};
use crate::broker::Broker;
use crate::http::Health;
use crate::net::{BoxFuture, ConnectionInfo, Handler, Request, Response};
use ottla_protocol::ApiKey;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::watch;

/// How long a client's request waits for the broker to be ready before its connection is closed, so that the client
/// looks for another.
const PATIENCE: Duration = Duration::from_secs(2);

/// Stands before the broker.
#[derive(Debug)]
pub struct Gate {
    cluster: Arc<Cluster>,
    broker: OnceLock<Arc<Broker>>,
    open: watch::Sender<bool>,
}

impl Gate {
    /// A closed gate.
    pub fn new(cluster: Arc<Cluster>) -> Arc<Self> {
        Arc::new(Self { cluster, broker: OnceLock::new(), open: watch::channel(false).0 })
    }

    /// Lets clients in.
    pub fn open(&self, broker: Arc<Broker>) {
        let _ = self.broker.set(broker);
        self.open.send_replace(true);
    }

    async fn wait(&self) -> Option<&Arc<Broker>> {
        let mut open = self.open.subscribe();
        let opened = tokio::time::timeout(PATIENCE, open.wait_for(|open| *open)).await;
        drop(opened);
        self.broker.get()
    }
}

impl Handler for Gate {
    fn handle(self: Arc<Self>, request: Request) -> BoxFuture<Response> {
        if request.header.api_key == ApiKey::PeerProgress {
            return Box::pin(self.cluster.clone().tell_progress(self.broker.get().cloned(), request));
        }
        if is_for_brokers(request.header.api_key) {
            return Box::pin(self.cluster.clone().answer(request));
        }
        if let Some(broker) = self.broker.get() {
            return broker.clone().handle(request);
        }
        Box::pin(async move {
            match self.wait().await {
                Some(broker) => broker.clone().handle(request).await,
                None => Response::Close,
            }
        })
    }

    fn connection_closed(&self, connection: &ConnectionInfo) {
        self.cluster.connection_closed(connection.id);
        if let Some(broker) = self.broker.get() {
            broker.connection_closed(connection);
        }
    }
}

impl Health for Gate {
    fn live(&self) -> Result<(), String> {
        self.broker.get().map_or(Ok(()), |broker| broker.live())
    }

    fn ready(&self) -> Result<(), String> {
        match self.broker.get() {
            Some(broker) => broker.ready(),
            None => Err("starting".to_owned()),
        }
    }
}
