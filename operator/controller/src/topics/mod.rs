//! A look at all Topics of a cluster together: a thousand of them are a few requests to the brokers.

pub(crate) mod apply;

use crate::brokers::{Brokers, Seen};
use crate::context::{Context, LookError, key};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::api::Api;
use kube::runtime::controller::Action;
use kube::runtime::reflector::Store;
use ottla_operator_core::cluster::Cluster;
use ottla_operator_core::config::Settings;
use ottla_operator_core::topic::Topic;
use ottla_operator_core::topics::{self, ClusterState, Observed, TopicPlan};
use ottla_operator_core::{conditions, names};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// While something is going on topics are looked at this often.
const BUSY: Duration = Duration::from_secs(1);
/// After something was changed.
const SOON: Duration = Duration::from_millis(200);
/// After something was refused, or while somebody else is in the way.
const LATER: Duration = Duration::from_secs(10);
/// The settings of topics that are as they should be are looked at after this time, for what others changed.
const ALL_CONFIGS: Duration = Duration::from_secs(300);
/// Longest time for brokers to say how they are.
const PATIENCE: Duration = Duration::from_secs(30);

/// Topics that are known, and what looks share.
pub struct TopicContext {
    /// What looks share.
    pub context: Arc<Context>,
    /// All Topics.
    pub store: Store<Topic>,
}

/// One look at the topics of a cluster that exists.
///
/// # Errors
/// If Kubernetes could not be asked or told; the look is repeated.
pub async fn reconcile(cluster: Arc<Cluster>, topics: Arc<TopicContext>) -> Result<Action, LookError> {
    look(&topics, &cluster.namespace().unwrap_or_default(), &cluster.name_any()).await
}

/// One look at the topics of a cluster, whether it exists or not.
///
/// # Errors
/// If Kubernetes could not be asked or told; the look is repeated.
pub async fn look(topics: &TopicContext, namespace: &str, cluster: &str) -> Result<Action, LookError> {
    let begun = Instant::now();
    let result = look_at_all(topics, namespace, cluster).await;
    let metrics = &topics.context.metrics;
    metrics.reconcile_seconds.with_label_values(&["Topic"]).observe(begun.elapsed().as_secs_f64());
    if let Err(error) = &result {
        metrics.reconcile_errors.with_label_values(&["Topic", error.reason()]).inc();
    }
    result
}

async fn look_at_all(topics: &TopicContext, namespace: &str, name: &str) -> Result<Action, LookError> {
    let context = &topics.context;
    let resources: Vec<Arc<Topic>> = topics.store.state_filter(|topic| {
        topic.namespace().as_deref() == Some(namespace) && topic.spec.cluster_ref.name == name
    });
    let key = key(namespace, name);
    if resources.is_empty() {
        context.metrics.topics_ready(&key, 0, 0);
        return Ok(Action::await_change());
    }
    let each: Vec<&Topic> = resources.iter().map(AsRef::as_ref).collect();
    let api: Api<Cluster> = Api::namespaced(context.client.clone(), namespace);
    let cluster = api.get_opt(name).await?;
    let every =
        context.remember(&key, |memory| memory.all_configs.is_none_or(|at| at.elapsed() > ALL_CONFIGS));
    let asked = match &cluster {
        Some(cluster) if is_awake(cluster) => ask(context, &key, cluster, &each, every).await,
        _ => Err(String::new()),
    };
    let is_going = match &cluster {
        Some(cluster) if cluster.metadata.deletion_timestamp.is_none() => {
            crate::cluster::namespace_is_going(context, namespace).await
        }
        cluster => cluster.is_some(),
    };
    let state = match (&cluster, &asked) {
        (None, _) => ClusterState::Missing,
        (Some(_), _) if is_going => ClusterState::Going,
        (Some(cluster), _) if cluster.spec.hibernate => ClusterState::Paused("the cluster hibernates"),
        (Some(cluster), _) if cluster.spec.paused => ClusterState::Paused("the cluster is paused"),
        (Some(_), Err(why)) => ClusterState::Unreachable(why),
        (Some(_), Ok(asked)) => {
            ClusterState::Up { brokers: &asked.seen.view, ids: &asked.seen.ids, configs: &asked.configs }
        }
    };
    let plans = topics::plan(&Observed { resources: &each, cluster: state });
    let way = asked.as_ref().ok().map(|asked| &asked.way);
    let done = apply::apply(context, way, &each, &plans).await?;
    if every && asked.is_ok() {
        context.remember(&key, |memory| memory.all_configs = Some(Instant::now()));
    }
    measure(context, &key, &each, &plans);
    Ok(Action::requeue(match () {
        () if done.changed => SOON,
        () if matches!(state, ClusterState::Unreachable(_)) => BUSY * 3,
        () if plans.iter().any(is_under_way) => BUSY,
        () if done.refused || plans.iter().any(|plan| !is_ready(plan)) => LATER,
        () => context.resync,
    }))
}

/// The last thing that an operator does that is stopped: Topics in namespaces that go are let go with them.
pub async fn farewell(topics: &TopicContext) {
    let context = &topics.context;
    let held = topics.store.state_filter(Topic::has_finalizer);
    let namespaces = held.iter().filter_map(|topic| topic.namespace()).collect();
    let going = crate::cluster::going(context, namespaces).await;
    let is_going =
        |topic: &&Arc<Topic>| topic.namespace().is_some_and(|namespace| going.contains(&namespace));
    let held: Vec<&Topic> = held.iter().filter(is_going).map(AsRef::as_ref).collect();
    if let Err(error) = apply::release(context, &held).await {
        tracing::warn!(%error, "Topics are still held in a namespace that goes");
    }
}

fn is_awake(cluster: &Cluster) -> bool {
    cluster.metadata.deletion_timestamp.is_none() && !cluster.spec.hibernate && !cluster.spec.paused
}

fn is_ready(plan: &TopicPlan) -> bool {
    conditions::is_true(&plan.status.conditions, "Ready")
}

fn is_under_way(plan: &TopicPlan) -> bool {
    conditions::is_true(&plan.status.conditions, "Progressing")
}

struct Asked {
    seen: Seen,
    configs: BTreeMap<String, Settings>,
    way: Arc<dyn Brokers>,
}

async fn ask(
    context: &Context,
    key: &str,
    cluster: &Cluster,
    resources: &[&Topic],
    every: bool,
) -> Result<Asked, String> {
    let (name, namespace) = (cluster.name_any(), cluster.namespace().unwrap_or_default());
    let brokers = cluster.status.iter().flat_map(|status| &status.brokers);
    let mut known: Vec<_> = brokers.map(|broker| (!broker.ready, broker.id)).collect();
    known.sort_unstable();
    let mut addresses: Vec<String> =
        known.into_iter().map(|(_, id)| names::broker_address(&name, &namespace, id)).collect();
    if addresses.is_empty() {
        return Err("the cluster has no broker yet".to_owned());
    }
    addresses.truncate(10);
    let key = format!("{key}/topics");
    let asked = async {
        let way = context.connect.connect(&key, addresses).await?;
        let seen = way.look().await?;
        let needed = topics::configs_needed(resources, every);
        let there =
            needed.into_iter().filter(|name| seen.ids.contains_key(*name)).map(str::to_owned).collect();
        let configs = way.topic_configs(there).await?;
        Ok(Asked { seen, configs, way })
    };
    let answer = tokio::time::timeout(PATIENCE, asked).await;
    let answer = answer.unwrap_or_else(|_| Err(format!("the brokers gave no answer within {PATIENCE:?}")));
    if answer.is_err() {
        context.connect.forget(&key);
    }
    answer
}

/// How many are ready, and how long it took until they were.
fn measure(context: &Context, key: &str, resources: &[&Topic], plans: &[TopicPlan]) {
    let ready = plans.iter().filter(|plan| is_ready(plan)).count();
    context.metrics.topics_ready(key, ready, plans.len() - ready);
    let now = Timestamp::now();
    let took = context.remember(key, |memory| {
        let mut took = Vec::new();
        let mut present = HashSet::new();
        for (topic, plan) in resources.iter().zip(plans) {
            let (uid, generation) = (topic.uid().unwrap_or_default(), topic.metadata.generation.unwrap_or(0));
            let known = memory.topics.get(&uid).filter(|(known, _)| *known == generation).copied();
            if is_ready(plan) {
                memory.topics.remove(&uid);
                let is_new = generation == 1 && !topics::is_up_to_date(topic);
                let created = topic.metadata.creation_timestamp.as_ref().filter(|_| is_new);
                let age = created.and_then(|at| now.duration_since(at.0).try_into().ok());
                took.extend(age.or_else(|| known.map(|(_, since)| since.elapsed())));
            } else {
                memory.topics.insert(uid.clone(), known.unwrap_or((generation, Instant::now())));
                present.insert(uid);
            }
        }
        memory.topics.retain(|uid, _| present.contains(uid));
        took
    });
    let took: Vec<Duration> = took;
    for time in took {
        context.metrics.spec_to_applied.with_label_values(&["Topic"]).observe(time.as_secs_f64());
    }
}
