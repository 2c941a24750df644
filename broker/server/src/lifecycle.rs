//! A broker's life in its cluster: registration, heartbeats, and leaving in an orderly way.
//!
//! A heartbeat goes out at every interval, and at once when the controller changes, when a connection that another
//! broker made here breaks (it may take this one for dead), and while somebody is on the way out, who waits until
//! everybody has seen that.

use crate::broker::Broker;
use crate::config::BrokerConfig;
use crate::handlers::is_internal;
use ottla_core::controller::{AskPermit, BrokerHeartbeat, PermitAnswer, RegisterBroker, Reply, Request};
use ottla_core::metadata::feature;
use ottla_core::metadata::record::Endpoint;
use ottla_storage::LogDirs;
use ottla_types::{BrokerEpoch, DirectoryId, ErrorCode, Uuid};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

const PLAINTEXT: i32 = 0;
/// Pause after a refused registration, or between heartbeats while something is awaited.
const RETRY: Duration = Duration::from_millis(50);
/// How long one heartbeat looks for the controller.
const HEARTBEAT_PATIENCE: Duration = Duration::from_millis(1_500);
/// How long the others have to take over the leaders of a broker that stops.
const HANDOVER: Duration = Duration::from_secs(10);
/// Holds the registration and the run of the machine it belongs to.
const REGISTRATION_FILE: &str = ".ottla_registration";

/// What identifies this broker and this run of it.
#[derive(Debug, Clone)]
pub struct Identity {
    cluster_id: String,
    incarnation_id: Uuid,
    directories: Vec<DirectoryId>,
    metadata_directory: DirectoryId,
    previous_epoch: BrokerEpoch,
}

impl Identity {
    /// A new incarnation of the broker that `dirs` belong to.
    pub fn new(dirs: &LogDirs, metadata_directory: DirectoryId, config: &BrokerConfig) -> Self {
        Self {
            cluster_id: dirs.cluster_id().to_owned(),
            incarnation_id: Uuid::new_v4(),
            directories: dirs.directory_ids(),
            metadata_directory,
            previous_epoch: previous_registration(config).unwrap_or(BrokerEpoch::NONE),
        }
    }

    /// Names this run of the broker.
    pub fn incarnation_id(&self) -> Uuid {
        self.incarnation_id
    }
}

/// Registers this broker and returns when it may lead. Heartbeats go on in the background.
pub async fn register(broker: &Arc<Broker>, identity: Identity) {
    register_once(broker, &identity).await;
    while !broker.is_active_in(&broker.metadata.image()) {
        heartbeat(broker, &identity).await;
        let active = broker.metadata.wait_until(|image| broker.is_active_in(image));
        let _ = tokio::time::timeout(RETRY, active).await;
    }
    tokio::spawn(heartbeats(broker.clone(), identity));
}

async fn register_once(broker: &Broker, identity: &Identity) {
    loop {
        match broker.metadata.submit(Request::RegisterBroker(registration(broker, identity))).await {
            Ok(Reply::RegisterBroker(Ok(epoch))) => {
                note_registration(broker, epoch);
                return broker.cluster.set_epoch(epoch);
            }
            Ok(Reply::RegisterBroker(Err(error))) => {
                tracing::warn!(%error, "registration refused, trying again");
            }
            Ok(_) | Err(_) => tracing::info!("no controller answers yet, registering again"),
        }
        tokio::time::sleep(RETRY).await;
    }
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
        previous_epoch: identity.previous_epoch,
        cordoned: false,
        software_version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

async fn heartbeats(broker: Arc<Broker>, identity: Identity) {
    let interval = Duration::from_millis(broker.config.settings.count("broker.heartbeat.interval.ms").max(1));
    let mut controller = broker.metadata.watch_controller();
    let mut published = broker.metadata.watch_published();
    controller.mark_unchanged();
    loop {
        let due = Instant::now() + interval;
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(due) => break,
                () = broker.cluster.heartbeat.notified() => break,
                changed = controller.changed() => match changed {
                    Ok(()) => break,
                    Err(_) => return,
                },
                changed = published.changed() => match changed {
                    Ok(()) if somebody_leaves(&broker) => break,
                    Ok(()) => {}
                    Err(_) => return,
                },
            }
        }
        heartbeat(&broker, &identity).await;
    }
}

/// True if a broker hands over its leaders and waits until all have seen that.
fn somebody_leaves(broker: &Broker) -> bool {
    let image = broker.metadata.image();
    image.brokers().values().any(|other| other.in_controlled_shutdown && !other.fenced)
}

/// Tells the controller that this broker is there; registers again if it has to.
async fn heartbeat(broker: &Broker, identity: &Identity) {
    let (request, sent) = (heartbeat_request(broker), Instant::now());
    note_full(broker, identity, &request);
    match broker.metadata.submit_within(Request::BrokerHeartbeat(request), HEARTBEAT_PATIENCE).await {
        Ok(Reply::BrokerHeartbeat(Ok(_))) => broker.cluster.isolation.heard(sent.into_std()),
        Ok(Reply::BrokerHeartbeat(Err(error))) => {
            tracing::warn!(%error, "heartbeat refused");
            let is_unknown =
                matches!(error.code, ErrorCode::StaleBrokerEpoch | ErrorCode::BrokerIdNotRegistered);
            if is_unknown && !broker.cluster.leaving.load(Ordering::Acquire) {
                register_once(broker, identity).await;
            }
        }
        Ok(_) => {}
        Err(error) => tracing::debug!(%error, "heartbeat not answered"),
    }
    let session = Duration::from_millis(broker.config.broker_session_timeout_ms());
    if broker.cluster.isolation.check(Instant::now().into_std(), session) {
        send_producers_away(broker);
    }
}

/// Without room for the metadata log another broker should be the controller, as others lead partitions.
fn note_full(broker: &Broker, identity: &Identity, request: &BrokerHeartbeat) {
    let is_full = !request.full_directories.is_empty();
    let was_full = broker.cluster.is_full.swap(is_full, Ordering::AcqRel);
    if is_full && !was_full {
        tracing::warn!("no room on a disk: others in sync lead in this broker's place");
        if request.full_directories.contains(&identity.metadata_directory) {
            broker.metadata.resign();
        }
    }
}

/// Producers that wait for replicas here ask again, elsewhere; their records may be in the log and stay, so they are not
/// told that nothing was stored. Groups keep waiting: they come back to the same coordinator until they hear of another.
fn send_producers_away(broker: &Broker) {
    for replica in broker.replicas.partitions() {
        if !is_internal(&replica.topic) && replica.others_may_lead() {
            replica.lock().fail_waiters(replica.id, ErrorCode::RequestTimedOut);
        }
    }
}

fn heartbeat_request(broker: &Broker) -> BrokerHeartbeat {
    BrokerHeartbeat {
        broker_id: broker.id(),
        broker_epoch: broker.cluster.epoch(),
        metadata_offset: broker.metadata.image().offset(),
        want_fence: false,
        want_shutdown: broker.cluster.leaving.load(Ordering::Acquire),
        offline_directories: broker.dirs.offline_dirs().into_iter().map(|(id, ..)| id).collect(),
        full_directories: broker.dirs.full_dirs(),
        cordoned: None,
        software_version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

/// Leaves the cluster in an orderly way: with the permit of the others, the leaders handed over. `now` resolves if
/// somebody will not wait. Where all stop and no majority is left to permit it, there is nobody to leave in order.
pub async fn leave(broker: &Broker, now: impl Future<Output = ()>) {
    let is_alone = broker.metadata.image().brokers().len() <= 1;
    if is_alone || broker.cluster.epoch().is_none() {
        return;
    }
    tokio::select! {
        () = leave_in_order(broker) => {}
        () = broker.cluster.let_go.granted() => {
            tracing::info!("the whole cluster stops and has no controller any more: nobody to ask");
        }
        () = now => tracing::warn!("told twice to stop: stopping at once"),
    }
}

async fn leave_in_order(broker: &Broker) {
    await_permit(broker).await;
    if !broker.config.settings.boolean("controlled.shutdown.enable") {
        return;
    }
    broker.cluster.leaving.store(true, Ordering::Release);
    let started = Instant::now();
    while started.elapsed() < HANDOVER {
        if broker.metadata.image().everybody_stops() {
            tracing::info!("the whole cluster stops: nobody to hand leaders over to");
            return;
        }
        let request = Request::BrokerHeartbeat(heartbeat_request(broker));
        match broker.metadata.submit_within(request, HEARTBEAT_PATIENCE).await {
            Ok(Reply::BrokerHeartbeat(Ok(reply))) if reply.should_shutdown => {
                tracing::info!(ms = started.elapsed().as_millis() as u64, "leaders handed over");
                broker.metadata.resign();
                tokio::time::sleep(RETRY).await;
                return;
            }
            Ok(Reply::BrokerHeartbeat(Err(error))) => {
                tracing::warn!(%error, "the controller does not let this broker hand over");
                return;
            }
            _ => tokio::time::sleep(RETRY / 2).await,
        }
    }
    tracing::error!("STOPPING WITHOUT a handover: the controller did not agree in time");
}

async fn await_permit(broker: &Broker) {
    let patience = broker.config.settings.count("ottla.shutdown.permit.timeout.ms");
    let deadline = Instant::now() + Duration::from_millis(patience);
    let mut told = false;
    // Once everybody may go there may soon be no controller to ask.
    while !broker.metadata.image().everybody_stops() {
        let ask = AskPermit {
            broker: broker.id(),
            broker_epoch: broker.cluster.epoch(),
            duration_ms: 300_000,
            force: false,
            dry_run: false,
            reason: "stop".to_owned(),
            single_replica: None,
        };
        let left = deadline.saturating_duration_since(Instant::now()).max(RETRY);
        match broker.metadata.submit_within(Request::AskPermit(ask), left.min(HANDOVER)).await {
            Ok(Reply::Permit(PermitAnswer::Granted { epoch, .. } | PermitAnswer::Held { epoch })) => {
                tracing::info!(epoch, "permit to stop");
                return;
            }
            Ok(Reply::Permit(PermitAnswer::NotNeeded)) => {
                tracing::info!("nobody misses this broker: no permit needed");
                return;
            }
            Ok(Reply::Permit(PermitAnswer::Refused(reasons))) if !told => {
                let first = reasons.named.first().map(ToString::to_string).unwrap_or_default();
                tracing::warn!(reasons = reasons.total, first, "may not stop yet, waiting");
                told = true;
            }
            _ => {}
        }
        if Instant::now() >= deadline {
            tracing::error!("STOPPING WITHOUT A PERMIT: it was refused for {patience} ms");
            return;
        }
        tokio::time::sleep(RETRY * 4).await;
    }
}

fn registration_path(config: &BrokerConfig) -> Option<PathBuf> {
    config.log_dirs.first().map(|dir| dir.join(REGISTRATION_FILE))
}

fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// Notes the registration and the run of the machine in which it is used. However the process ends, in that run
/// everything is there that it had acknowledged (KIP-966); with the machine goes what was not synced.
fn note_registration(broker: &Broker, epoch: BrokerEpoch) {
    if let Some(path) = registration_path(&broker.config)
        && let Err(error) = std::fs::write(&path, format!("{epoch} {}\n", boot_id()))
    {
        tracing::warn!(%error, path = %path.display(), "the registration could not be noted");
    }
}

fn previous_registration(config: &BrokerConfig) -> Option<BrokerEpoch> {
    let text = std::fs::read_to_string(registration_path(config)?).ok()?;
    let (epoch, boot) = text.strip_suffix('\n')?.split_once(' ')?;
    let epoch = epoch.parse().ok().map(BrokerEpoch)?;
    (!boot.is_empty() && boot == boot_id()).then_some(epoch)
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
