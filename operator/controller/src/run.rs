//! Starts everything and stops it again.

use crate::args::Args;
use crate::brokers::Kafka;
use crate::cluster;
use crate::context::{Context, key};
use crate::events::Events;
use crate::fault::Writes;
use crate::http;
use crate::lease::{Candidate, Standing};
use crate::metrics::Metrics;
use crate::outcome::{follow, retry};
use crate::topics::{self, TopicContext};
use anyhow::Context as _;
use futures::future::{BoxFuture, Shared};
use futures::{FutureExt, Stream, StreamExt};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use kube::api::Api;
use kube::core::PartialObjectMeta;
use kube::runtime::controller::Config as ControllerConfig;
use kube::runtime::predicates;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::watcher::{self, watcher};
use kube::runtime::{Controller, Predicate, PredicateConfig, WatchStreamExt};
use kube::{Client, Resource, ResourceExt};
use ottla_operator_core::cluster::Cluster;
use ottla_operator_core::names;
use ottla_operator_core::topic::Topic;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// Clusters looked at together.
const CLUSTERS: u16 = 4;
/// Changes that come together are looked at together.
const DEBOUNCE: Duration = Duration::from_millis(100);
/// How long looks in progress may take when the operator stops.
const GRACE: Duration = Duration::from_secs(10);

/// Resolves when the operator is to stop.
type Stop = Shared<BoxFuture<'static, ()>>;

/// Runs until told to stop.
///
/// # Errors
/// If Kubernetes cannot be reached at the start, an address is taken, or the Lease is lost.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let default_image = args.broker_image.clone().context("--broker-image is missing")?;
    let client = Client::try_default().await.context("no way to Kubernetes")?;
    let identity = args.identity();
    let standing = Arc::new(Standing::default());
    let context = Arc::new(Context {
        connect: Arc::new(Kafka::default()),
        writes: Writes::new(args.die_at_write),
        standing: standing.clone(),
        metrics: Metrics::new()?,
        events: Events::new(client.clone(), identity.clone()),
        default_image,
        read_nodes: args.read_nodes,
        resync: Duration::from_secs(args.resync_seconds),
        memory: std::sync::Mutex::default(),
        client: client.clone(),
    });
    if let Some(address) = args.http() {
        let listener =
            TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
        tokio::spawn(http::serve(listener, http::of(context.clone())));
    }
    let stop: Stop = stopped()?.boxed().shared();
    let mut candidate = args.leader_elect.then(|| {
        let leases = Api::namespaced(client, &args.lease_namespace);
        Candidate::new(leases, args.lease_name.clone(), identity.clone())
    });
    if let Some(candidate) = &mut candidate {
        tracing::info!(identity, "waiting for the Lease");
        tokio::select! {
            () = candidate.acquire(&standing) => {}
            () = stop.clone() => return Ok(()),
        }
    }
    context.metrics.leader.set(1);
    tracing::info!(identity, namespaces = ?args.namespaces(), "working");
    let namespaces = args.namespaces();
    let work = work(&context, &namespaces, &stop);
    let lost = async {
        match &mut candidate {
            Some(candidate) => candidate.keep(&standing).await,
            None => std::future::pending().await,
        }
    };
    let ended = tokio::select! {
        () = work => Ok(()),
        () = lost => Err(anyhow::anyhow!("the Lease is lost: another operator may work now")),
    };
    context.metrics.leader.set(0);
    if let Some(candidate) = candidate.as_mut().filter(|_| ended.is_ok()) {
        candidate.release().await;
    }
    ended
}

fn stopped() -> std::io::Result<impl Future<Output = ()> + Send + 'static> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
    })
}

/// Looks after clusters and topics until told to stop, and a little longer.
async fn work(context: &Arc<Context>, namespaces: &[String], stop: &Stop) {
    let all = [None];
    let scopes: Vec<Option<&String>> =
        if namespaces.is_empty() { all.to_vec() } else { namespaces.iter().map(Some).collect() };
    let each = scopes.into_iter().map(|namespace| {
        let namespace = namespace.map(String::as_str);
        futures::future::join(clusters(context, namespace, stop), topics(context, namespace, stop))
    });
    let late = async {
        stop.clone().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        _ = futures::future::join_all(each) => {}
        () = late => tracing::warn!("looks in progress did not end in time"),
    }
}

fn scoped<K>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

/// Changes of a spec, of labels and annotations, and the beginning of a deletion; not what the operator itself writes.
fn of_spec<K: Resource>(object: &K) -> Option<u64> {
    predicates::generation
        .combine(predicates::annotations)
        .combine(predicates::finalizers)
        .hash_property(object)
}

/// All Clusters, and those whose spec changes.
fn changed_clusters(
    context: &Context,
    namespace: Option<&str>,
) -> (Store<Cluster>, impl Stream<Item = watcher::Result<Cluster>> + Send + use<>) {
    let (reader, writer) = reflector::store();
    let stream = watcher(scoped::<Cluster>(&context.client, namespace), watcher::Config::default())
        .default_backoff()
        .modify(|cluster| cluster.managed_fields_mut().clear())
        .reflect(writer)
        .applied_objects()
        .predicate_filter(of_spec, PredicateConfig::default());
    (reader, stream)
}

fn clusters(
    context: &Arc<Context>,
    namespace: Option<&str>,
    stop: &Stop,
) -> impl Future<Output = ()> + use<> {
    let (reader, stream) = changed_clusters(context, namespace);
    let known = reader.clone();
    let looks = Controller::for_stream(stream, reader)
        .with_config(ControllerConfig::default().debounce(DEBOUNCE).concurrency(CLUSTERS))
        .reconcile_on(parts::<Pod>(context, namespace))
        .reconcile_on(parts::<StatefulSet>(context, namespace))
        .graceful_shutdown_on(stop.clone())
        .run(cluster::reconcile, |_, error, _| retry(error, DEBOUNCE), context.clone());
    let (context, last) = (context.clone(), context.clone());
    let looks = follow(looks, stop.clone(), move |namespace, name| {
        let context = context.clone();
        async move {
            context.forget(&key(&namespace, &name));
            cluster::gone(&context, &namespace, &name).await
        }
    });
    looks.then(move |()| async move { cluster::farewell(&last, known.state()).await })
}

/// Parts of clusters that changed, by their labels; only their metadata are watched, and none are kept.
fn parts<K>(
    context: &Arc<Context>,
    namespace: Option<&str>,
) -> impl Stream<Item = ObjectRef<Cluster>> + Send + use<K>
where
    K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned
        + Send
        + 'static,
{
    let ours =
        watcher::Config::default().labels("app.kubernetes.io/name=ottla,app.kubernetes.io/component=broker");
    let stream = watcher(scoped::<PartialObjectMeta<K>>(&context.client, namespace), ours)
        .default_backoff()
        .touched_objects();
    stream.filter_map(|touched| async move {
        let part: PartialObjectMeta<K> =
            touched.inspect_err(|error| tracing::debug!(%error, "watch")).ok()?;
        let cluster = part.labels().get(names::CLUSTER_LABEL)?;
        Some(ObjectRef::new(cluster).within(&part.namespace()?))
    })
}

fn topics(context: &Arc<Context>, namespace: Option<&str>, stop: &Stop) -> impl Future<Output = ()> + use<> {
    let (store, writer) = reflector::store();
    let changed = watcher(scoped::<Topic>(&context.client, namespace), watcher::Config::default())
        .default_backoff()
        .modify(|topic| topic.managed_fields_mut().clear())
        .reflect(writer)
        .touched_objects()
        .predicate_filter(of_spec, PredicateConfig::default())
        .filter_map(|touched| async move {
            let topic = touched.inspect_err(|error| tracing::debug!(%error, "watch")).ok()?;
            Some(ObjectRef::new(&topic.spec.cluster_ref.name).within(&topic.namespace()?))
        });
    let (reader, stream) = changed_clusters(context, namespace);
    let shared = Arc::new(TopicContext { context: context.clone(), store });
    let looks = Controller::for_stream(stream, reader)
        .with_config(ControllerConfig::default().debounce(DEBOUNCE).concurrency(CLUSTERS))
        .reconcile_on(changed)
        .graceful_shutdown_on(stop.clone())
        .run(topics::reconcile, |_, error, _| retry(error, DEBOUNCE), shared.clone());
    let last = shared.clone();
    // Topics of a cluster that does not exist are to know, and to be let go.
    let looks = follow(looks, stop.clone(), move |namespace, name| {
        let shared = shared.clone();
        async move { topics::look(&shared, &namespace, &name).await.map(|_| ()) }
    });
    looks.then(move |()| async move { topics::farewell(&last).await })
}
