//! A look at a Cluster: observe, plan, apply, status.

mod apply;
mod going;
mod objects;
mod observe;
mod restart;

pub use going::{farewell, gone};
pub(crate) use going::{going, namespace_is_going};

use crate::context::{Context, LookError, if_there, key};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, PostParams};
use kube::runtime::controller::Action;
use kube::{Resource, ResourceExt};
use observe::Seen;
use ottla_operator_core::cluster::{Cluster, ClusterStatus};
use ottla_operator_core::observed::Observed;
use ottla_operator_core::plan::{self, Plan, Wait, WorkKind};
use ottla_operator_core::status::{self, Outcome};
use ottla_operator_core::{conditions, objects as built};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// While something is going on a cluster is looked at this often.
const BUSY: Duration = Duration::from_secs(1);

/// One look.
///
/// # Errors
/// If Kubernetes could not be asked or told; the look is repeated.
pub async fn reconcile(cluster: Arc<Cluster>, context: Arc<Context>) -> Result<Action, LookError> {
    let begun = Instant::now();
    let result = look(&cluster, &context).await;
    context.metrics.reconcile_seconds.with_label_values(&["Cluster"]).observe(begun.elapsed().as_secs_f64());
    if let Err(error) = &result
        && !error.is_conflict()
    {
        context.metrics.reconcile_errors.with_label_values(&["Cluster", error.reason()]).inc();
    }
    result
}

async fn look(cached: &Cluster, context: &Context) -> Result<Action, LookError> {
    let (name, namespace) = (cached.name_any(), cached.namespace().unwrap_or_default());
    let key = key(&namespace, &name);
    let api: Api<Cluster> = Api::namespaced(context.client.clone(), &namespace);
    let Some(mut cluster) = api.get_opt(&name).await? else {
        context.forget(&key);
        gone(context, &namespace, &name).await?;
        return Ok(Action::await_change());
    };
    let seen = observe::see(context, &cluster).await?;
    if cluster.metadata.deletion_timestamp.is_some() {
        gone(context, &namespace, &name).await?;
    } else if seen.pods.values().any(|pod| pod.is_deleting)
        && going::namespace_is_going(context, &namespace).await
    {
        going::with_namespace(context, &namespace, &name).await?;
        return Ok(Action::requeue(BUSY));
    }
    let resource = cluster.clone();
    let observed = seen.observed(&resource, &context.default_image);
    let plan = plan::next(&observed);
    tracing::debug!(cluster = key, work = ?plan.work, steps = plan.steps.len(), disruption = ?plan.disruption, "look");
    let outcome = match plan.shape {
        Some(_) => apply::apply(context, &mut cluster, &seen, &plan).await?,
        None => Outcome::default(),
    };
    let mut told = status::of(&observed, &plan, &outcome, Timestamp::now());
    keep_notes(&mut told, cluster.status.as_ref());
    measure(context, &key, &observed, &plan, &told);
    tell(context, &cluster, &told).await;
    write_status(context, &api, &mut cluster, told).await?;
    let is_busy = plan.work.is_some() || plan.disruption.is_some() || !plan.steps.is_empty();
    let is_wrong = !outcome.errors.is_empty() || observed.brokers.is_err() && !cluster.spec.hibernate;
    Ok(match (is_wrong, is_busy) {
        (_, true) => Action::requeue(BUSY),
        (true, false) => Action::requeue(BUSY * 5),
        (false, false) => Action::requeue(context.resync),
    })
}

/// What steps have noted counts more than what was observed before them.
fn keep_notes(status: &mut ClusterStatus, noted: Option<&ClusterStatus>) {
    if let Some(noted) = noted {
        status.spreading.clone_from(&noted.spreading);
        status.leaving.clone_from(&noted.leaving);
        status.dynamic_config_keys.clone_from(&noted.dynamic_config_keys);
    }
}

/// Writes the status if it has changed. The version that was read is a condition: somebody else's change is not lost.
async fn write_status(
    context: &Context,
    api: &Api<Cluster>,
    cluster: &mut Cluster,
    status: ClusterStatus,
) -> Result<(), LookError> {
    if cluster.status.as_ref() == Some(&status) {
        return Ok(());
    }
    cluster.status = Some(status);
    let name = cluster.name_any();
    let written =
        context.write("cluster status", api.replace_status(&name, &PostParams::default(), cluster)).await;
    if let Some(written) = if_there(written)? {
        *cluster = written;
    }
    Ok(())
}

/// What a person wants to be told of: what is waited for, and what became of it.
async fn tell(context: &Context, cluster: &Cluster, status: &ClusterStatus) {
    let (namespace, name) = (cluster.namespace().unwrap_or_default(), cluster.name_any());
    let waiting = status.step.as_ref().and_then(|step| Some((step, step.waiting_for.as_ref()?)));
    let now = waiting.map(|(step, wait)| format!("{}{wait}{:?}", step.kind, step.broker));
    let is_new = context.remember(&key(&namespace, &name), |memory| {
        let is_new = memory.told != now;
        memory.told = now;
        is_new
    });
    if let Some((step, wait)) = waiting.filter(|_| is_new) {
        let note = format!("{} waits for {wait}: {}", step.kind, step.message);
        context.events.normal(cluster, "Waiting", &note).await;
    }
    let before = cluster.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    for kind in ["Ready", "Healthy", "ConfigurationApplied"] {
        let Some(condition) = status.conditions.iter().find(|condition| condition.type_ == kind) else {
            continue;
        };
        let known = before.iter().find(|condition| condition.type_ == kind);
        if known.is_some_and(|known| known.status == condition.status) {
            continue;
        }
        if condition.status == "True" {
            context.events.normal(cluster, &format!("{kind}True"), kind).await;
        } else if known.is_some() {
            let note = format!("{kind} is no longer true: {} {}", condition.reason, condition.message);
            context.events.warning(cluster, &condition.reason, &note).await;
        }
    }
}

fn measure(context: &Context, key: &str, observed: &Observed<'_>, plan: &Plan, status: &ClusterStatus) {
    let Some(cluster) = key.split_once('/') else { return };
    let metrics = &context.metrics;
    let step = status.step.as_ref();
    let waits = |kind: WorkKind| step.filter(|step| step.kind == kind.word());
    let wait = waits(WorkKind::Roll).and_then(|step| {
        let word = step.waiting_for.as_deref()?;
        Wait::ALL.into_iter().find(|wait| wait.word() == word)
    });
    metrics.roll(cluster, i32::try_from(plan.restarts.len()).unwrap_or(i32::MAX), wait);
    let drain = waits(WorkKind::ScaleDown);
    let bytes = drain.and_then(|step| step.remaining_bytes).unwrap_or(0);
    metrics.drain(cluster, drain.map_or(0, |step| step.remaining), bytes);
    metrics.cluster_ready(key, conditions::is_true(&status.conditions, "Ready"));
    let is_unsafe = observed.brokers.as_ref().is_ok_and(|view| view.under_min_isr > 0);
    let is_done = step.is_none() && conditions::is_true(&status.conditions, "ConfigurationApplied");
    let generation = observed.cluster.meta().generation.unwrap_or(0);
    let (since, took) = context.remember(key, |memory| {
        let now = Instant::now();
        if is_unsafe || memory.unsafe_at.is_none() {
            memory.unsafe_at = Some(now);
        }
        let known = memory.changing.filter(|(known, _)| *known == generation);
        let since = known.map_or(now, |(_, since)| since);
        let was_told = observed.cluster.status.as_ref().and_then(|status| status.observed_generation);
        let is_new = known.is_none() && was_told != Some(generation);
        let took = (is_done && (known.is_some() || is_new)).then(|| since.elapsed());
        memory.changing = if is_done { None } else { known.or(is_new.then_some((generation, now))) };
        (memory.unsafe_at.map(|at| at.elapsed()), took)
    });
    metrics.since_unsafe(cluster, since.unwrap_or_default().as_secs_f64());
    if let Some(took) = took {
        metrics.spec_to_applied.with_label_values(&["Cluster"]).observe(took.as_secs_f64());
    }
}

impl Seen {
    fn observed<'a>(&self, cluster: &'a Cluster, default_image: &'a str) -> Observed<'a> {
        Observed {
            cluster,
            default_image,
            set: self.set.clone(),
            pods: self.pods.clone(),
            claims: self.claims.clone(),
            brokers: self.brokers.clone(),
        }
    }
}

/// True if an object is the cluster's.
fn is_owned(object: &impl Resource, cluster: &Cluster) -> bool {
    built::is_owned(object.meta(), cluster)
}
