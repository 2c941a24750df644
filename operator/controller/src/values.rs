//! `ottla-operator apply`: applies the resources in a ConfigMap, and makes the ConfigMap their owner.
//!
//! Helm cannot make a definition and a resource of it in one release; the chart's Job does it with this. What was applied
//! from the ConfigMap before and is not in it any more is deleted.

use anyhow::{Context, bail};
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use kube::core::ApiResource;
use kube::{Client, Resource, ResourceExt};
use ottla_operator_core::cluster::Cluster;
use ottla_operator_core::topic::Topic;
use std::collections::BTreeSet;

/// The writer of these fields.
const MANAGER: &str = "ottla-values";

/// Where the resources are.
#[derive(Debug, Clone, clap::Args)]
pub struct Values {
    /// Namespace of the ConfigMap and of the resources.
    #[arg(long)]
    pub namespace: String,
    /// The ConfigMap: a JSON document in each key.
    #[arg(long)]
    pub configmap: String,
}

/// Applies all of them; the first that is refused ends it.
///
/// # Errors
/// If Kubernetes cannot be reached or refuses, or a document is no Cluster or Topic.
pub async fn apply(values: &Values) -> anyhow::Result<()> {
    let client = Client::try_default().await.context("no way to Kubernetes")?;
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &values.namespace);
    let map = maps.get(&values.configmap).await.with_context(|| format!("ConfigMap {}", values.configmap))?;
    let owner = OwnerReference {
        api_version: "v1".to_owned(),
        kind: "ConfigMap".to_owned(),
        name: map.name_any(),
        uid: map.uid().unwrap_or_default(),
        controller: None,
        block_owner_deletion: None,
    };
    let mut applied = BTreeSet::new();
    for (key, document) in map.data.iter().flatten() {
        let mut resource: DynamicObject = serde_json::from_str(document).with_context(|| key.clone())?;
        let kind = kind_of(&resource).with_context(|| key.clone())?;
        resource.metadata.owner_references = Some(vec![owner.clone()]);
        let name = resource.name_any();
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &values.namespace, &kind);
        let params = PatchParams::apply(MANAGER).force();
        api.patch(&name, &params, &Patch::Apply(&resource))
            .await
            .with_context(|| format!("{} {name}", kind.kind))?;
        println!("{} {name} applied", kind.kind);
        applied.insert((kind.kind, name));
    }
    for kind in kinds() {
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &values.namespace, &kind);
        for resource in api.list(&ListParams::default()).await.with_context(|| kind.kind.clone())? {
            let name = resource.name_any();
            if is_owned_by(&resource, &owner.uid) && !applied.contains(&(kind.kind.clone(), name.clone())) {
                api.delete(&name, &DeleteParams::default())
                    .await
                    .with_context(|| format!("{} {name}", kind.kind))?;
                println!("{} {name} deleted", kind.kind);
            }
        }
    }
    Ok(())
}

/// True if it belongs to the object with that uid.
pub(crate) fn is_owned_by(resource: &impl Resource, owner: &str) -> bool {
    resource.owner_references().iter().any(|other| other.uid == owner)
}

fn kinds() -> [ApiResource; 2] {
    [ApiResource::erase::<Cluster>(&()), ApiResource::erase::<Topic>(&())]
}

fn kind_of(resource: &DynamicObject) -> anyhow::Result<ApiResource> {
    let types = resource.types.clone().unwrap_or_default();
    let known =
        kinds().into_iter().find(|kind| kind.kind == types.kind && kind.api_version == types.api_version);
    match known {
        Some(kind) => Ok(kind),
        None => bail!("{} {} is neither a Cluster nor a Topic", types.api_version, types.kind),
    }
}
