//! A broker's life in its cluster: registration, heartbeats, and the signal to stop.

use crate::broker::Broker;
use ottla_core::controller::{BrokerHeartbeat, RegisterBroker, Reply, Request};
use ottla_core::metadata::feature;
use ottla_core::metadata::record::Endpoint;
use ottla_storage::LogDirs;
use ottla_types::{BrokerEpoch, DirectoryId, Uuid};
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

const PLAINTEXT: i32 = 0;
/// Pause after a refused registration.
const RETRY: Duration = Duration::from_millis(100);

/// What identifies this broker and this run of it.
#[derive(Debug, Clone)]
pub struct Identity {
    cluster_id: String,
    incarnation_id: Uuid,
    directories: Vec<DirectoryId>,
    metadata_directory: DirectoryId,
}

impl Identity {
    /// A new incarnation of the broker that `dirs` belong to.
    pub fn new(dirs: &LogDirs, metadata_directory: DirectoryId) -> Self {
        Self {
            cluster_id: dirs.cluster_id().to_owned(),
            incarnation_id: Uuid::new_v4(),
            directories: dirs.directory_ids(),
            metadata_directory,
        }
    }
}

/// Registers this broker and returns when it may lead. Heartbeats go on in the background.
pub async fn register(broker: &Arc<Broker>, identity: Identity) {
    let mut controller = broker.metadata.watch_controller();
    let epoch = loop {
        // The sending end lives as long as the metadata thread; without it there is nothing to wait for.
        if controller.wait_for(|controller| controller.is_local).await.is_err() {
            return;
        }
        match broker.metadata.submit(Request::RegisterBroker(registration(broker, &identity))).await {
            Ok(Reply::RegisterBroker(Ok(epoch))) => break epoch,
            Ok(Reply::RegisterBroker(Err(error))) => {
                tracing::warn!(%error, "registration refused, trying again")
            }
            Ok(_) | Err(_) => tracing::debug!("the controller went away, registering again"),
        }
        tokio::time::sleep(RETRY).await;
    };
    heartbeat(broker, epoch).await;
    let me = broker.id();
    broker.metadata.wait_until(|image| image.is_active(me)).await;
    tokio::spawn(heartbeats(broker.clone(), epoch));
}

fn registration(broker: &Broker, identity: &Identity) -> RegisterBroker {
    let endpoints = broker.config.advertised_listeners.iter().map(|at| Endpoint {
        listener: at.name.clone(),
        host: at.host.clone(),
        port: u32::from(at.port),
        security_protocol: PLAINTEXT,
    });
    RegisterBroker {
        broker_id: broker.id(),
        cluster_id: identity.cluster_id.clone(),
        incarnation_id: identity.incarnation_id,
        endpoints: endpoints.collect(),
        features: feature::supported(),
        rack: broker.config.rack.clone(),
        directories: identity.directories.clone(),
        metadata_directory: identity.metadata_directory,
        previous_epoch: BrokerEpoch::NONE,
        cordoned: false,
    }
}

async fn heartbeats(broker: Arc<Broker>, epoch: BrokerEpoch) {
    let interval = Duration::from_millis(broker.config.settings.count("broker.heartbeat.interval.ms").max(1));
    loop {
        tokio::time::sleep(interval).await;
        heartbeat(&broker, epoch).await;
    }
}

async fn heartbeat(broker: &Broker, epoch: BrokerEpoch) {
    let request = BrokerHeartbeat {
        broker_id: broker.id(),
        broker_epoch: epoch,
        metadata_offset: broker.metadata.image().offset(),
        want_fence: false,
        want_shutdown: false,
        offline_directories: broker.dirs.offline_dirs().into_iter().map(|(id, ..)| id).collect(),
        cordoned: None,
    };
    match broker.metadata.submit(Request::BrokerHeartbeat(request)).await {
        Ok(Reply::BrokerHeartbeat(Err(error))) => tracing::warn!(%error, "heartbeat refused"),
        Ok(_) => {}
        Err(error) => tracing::debug!(%error, "heartbeat not answered"),
    }
}

/// Returns when the process is asked to stop (SIGTERM, SIGINT).
pub async fn stop_signal() {
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::error!("signals cannot be watched; the process can only be killed");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
