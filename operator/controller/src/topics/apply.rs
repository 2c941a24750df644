//! Carries the plans of topics out: one request of each kind for all of them, then what Kubernetes is to be told.

use crate::brokers::{Alteration, Brokers, Growth, NewTopic, Refusals};
use crate::context::{Context, LookError, if_there};
use futures::StreamExt;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::api::{Api, Patch, PatchParams, PostParams};
use ottla_operator_core::plan::Move;
use ottla_operator_core::topic::{FINALIZER, Topic, TopicStatus};
use ottla_operator_core::topics::{Action, TopicPlan, failed};
use ottla_operator_core::{conditions, names};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Requests to Kubernetes at a time.
const AT_ONCE: usize = 16;

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// Something was changed at the brokers.
    pub changed: bool,
    /// Something was refused.
    pub refused: bool,
}

/// What is asked of the brokers, for all topics together.
#[derive(Default)]
struct Requests {
    create: Vec<NewTopic>,
    grow: Vec<Growth>,
    alter: BTreeMap<String, Alteration>,
    moves: Vec<Move>,
    delete: Vec<String>,
}

pub(super) async fn apply(
    context: &Context,
    way: Option<&Arc<dyn Brokers>>,
    resources: &[&Topic],
    plans: &[TopicPlan],
) -> Result<Done, LookError> {
    // What must be true before the brokers are asked: who is to be held is held, who creates has said so.
    let ready = first(context, resources, plans).await?;
    let requests = collect(resources, plans, &ready);
    let (refused, changed) = match way {
        Some(way) => ask(context, way, requests).await?,
        None => (Refusals::new(), false),
    };
    let statuses = plans.iter().filter_map(|plan| status(resources, plan, &refused));
    let writes = statuses.map(|(topic, status)| write_status(context, topic, status));
    each(futures::stream::iter(writes.collect::<Vec<_>>())).await?;
    let free = plans.iter().filter(|plan| plan.actions.contains(&Action::RemoveFinalizer));
    let free: Vec<&Topic> = free.filter_map(|plan| resources.get(plan.resource).copied()).collect();
    release(context, &free).await?;
    Ok(Done { changed, refused: !refused.is_empty() })
}

/// Lets resources go.
pub(crate) async fn release(context: &Context, resources: &[&Topic]) -> Result<(), LookError> {
    let writes: Vec<_> = resources.iter().map(|topic| finalizers(context, topic, false)).collect();
    each(futures::stream::iter(writes)).await
}

/// Runs them, some at a time. A conflict is left to the next look; it must not stop the others.
async fn each<F>(writes: futures::stream::Iter<std::vec::IntoIter<F>>) -> Result<(), LookError>
where
    F: Future<Output = Result<(), LookError>>,
{
    let results: Vec<_> = writes.buffer_unordered(AT_ONCE).collect().await;
    results.into_iter().filter(|result| !result.as_ref().is_err_and(LookError::is_conflict)).collect()
}

/// The resources for which it came off.
async fn first(
    context: &Context,
    resources: &[&Topic],
    plans: &[TopicPlan],
) -> Result<BTreeSet<usize>, LookError> {
    let writes = plans.iter().filter_map(|plan| Some((plan, *resources.get(plan.resource)?))).map(
        |(plan, topic)| async move {
            if plan.actions.contains(&Action::AddFinalizer) {
                finalizers(context, topic, true).await?;
            }
            if plan.actions.contains(&Action::NoteCreating) {
                let mut status = topic.status.clone().unwrap_or_default();
                status.creating = true;
                write_status(context, topic, status).await?;
            }
            Ok(plan.resource)
        },
    );
    let results: Vec<Result<usize, LookError>> =
        futures::stream::iter(writes.collect::<Vec<_>>()).buffer_unordered(AT_ONCE).collect().await;
    results.into_iter().filter(|result| !result.as_ref().is_err_and(LookError::is_conflict)).collect()
}

fn collect(resources: &[&Topic], plans: &[TopicPlan], ready: &BTreeSet<usize>) -> Requests {
    let mut requests = Requests::default();
    for plan in plans.iter().filter(|plan| ready.contains(&plan.resource)) {
        let Some(topic) = resources.get(plan.resource) else { continue };
        let name = topic.topic_name().to_owned();
        for action in plan.actions.iter().cloned() {
            match action {
                Action::AddFinalizer | Action::RemoveFinalizer | Action::NoteCreating => {}
                Action::Create { partitions, replication_factor, assignments, config } => {
                    let name = name.clone();
                    requests.create.push(NewTopic {
                        name,
                        partitions,
                        replication_factor,
                        assignments,
                        config,
                    });
                }
                Action::Grow { count, assignments } => {
                    requests.grow.push(Growth { name: name.clone(), count, assignments });
                }
                Action::Alter { set, delete } => {
                    requests.alter.insert(name.clone(), Alteration { set, delete });
                }
                Action::Move(moves) => requests.moves.extend(moves),
                Action::Delete => requests.delete.push(name.clone()),
            }
        }
    }
    requests
}

/// Refusals by topic, and whether anything was changed.
async fn ask(
    context: &Context,
    way: &Arc<dyn Brokers>,
    requests: Requests,
) -> Result<(Refusals, bool), LookError> {
    let mut refused = Refusals::new();
    let mut changed = false;
    if !requests.create.is_empty() {
        changed = true;
        refused.extend(context.write("create topics", way.create_topics(requests.create)).await?);
    }
    if !requests.grow.is_empty() {
        changed = true;
        refused.extend(context.write("create partitions", way.grow_topics(requests.grow)).await?);
    }
    if !requests.alter.is_empty() {
        changed = true;
        refused.extend(context.write("alter topics", way.alter_topics(requests.alter)).await?);
    }
    if !requests.moves.is_empty() {
        changed = true;
        let answer = context.write("move", way.reassign(requests.moves)).await?;
        let by_topic =
            answer.into_iter().filter_map(|(at, why)| Some((at.rsplit_once('-')?.0.to_owned(), why)));
        refused.extend(by_topic);
    }
    if !requests.delete.is_empty() {
        changed = true;
        refused.extend(context.write("delete topics", way.delete_topics(requests.delete)).await?);
    }
    Ok((refused, changed))
}

/// The status to write, if one is: what was just changed is told by the next look, when it has been seen.
fn status<'a>(
    resources: &[&'a Topic],
    plan: &TopicPlan,
    refused: &Refusals,
) -> Option<(&'a Topic, TopicStatus)> {
    let topic = *resources.get(plan.resource)?;
    if topic.metadata.deletion_timestamp.is_some() && plan.actions.contains(&Action::RemoveFinalizer) {
        return None;
    }
    let is_changing = plan.actions.iter().any(|action| {
        matches!(action, Action::Create { .. } | Action::Grow { .. } | Action::Alter { .. } | Action::Move(_))
    });
    let mut status = match refused.get(topic.topic_name()) {
        Some(why) if !plan.actions.is_empty() => failed(topic, why),
        _ if is_changing && plan.status.topic_id.is_none() => return None,
        _ => plan.status.clone(),
    };
    conditions::stamp(&mut status.conditions, Timestamp::now());
    (topic.status.as_ref() != Some(&status)).then_some((topic, status))
}

fn api(context: &Context, topic: &Topic) -> Api<Topic> {
    Api::namespaced(context.client.clone(), &topic.namespace().unwrap_or_default())
}

async fn write_status(context: &Context, topic: &Topic, status: TopicStatus) -> Result<(), LookError> {
    let mut changed = topic.clone();
    changed.status = Some(status);
    let api = api(context, topic);
    let name = topic.name_any();
    let written =
        context.write("topic status", api.replace_status(&name, &PostParams::default(), &changed)).await;
    if_there(written).map(|_| ())
}

/// A change of the topic that is looked at: it gets our finalizer or loses it; other finalizers stay.
pub(crate) fn finalizers_patch(topic: &Topic, held: bool) -> Patch<serde_json::Value> {
    let others = topic.finalizers().iter().map(String::as_str).filter(|name| *name != FINALIZER);
    let all: Vec<&str> = others.chain(held.then_some(FINALIZER)).collect();
    Patch::Merge(json!({"metadata": {"finalizers": all, "resourceVersion": topic.resource_version()}}))
}

/// Adds our finalizer or takes it off.
async fn finalizers(context: &Context, topic: &Topic, held: bool) -> Result<(), LookError> {
    let patch = finalizers_patch(topic, held);
    let params = PatchParams { field_manager: Some(names::MANAGER.to_owned()), ..PatchParams::default() };
    let api = api(context, topic);
    let written = context.write("finalizer", api.patch(&topic.name_any(), &params, &patch)).await;
    if_there(written).map(|_| ())
}
