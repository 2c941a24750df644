//! The objects that a cluster is made of.
//!
//! They are applied as they are built here, so what is not named is not the operator's: another writer's fields stay.
//! The hash in a pod's annotations is made of the resource, not of the object: an operator that builds pods in
//! another way restarts nobody.

mod claims;
mod network;
mod pod;
mod stateful_set;
#[cfg(test)]
mod tests;

pub use claims::is_owned;
pub use network::{disruption_budget, network_policy, services};
pub use pod::restart_hash;
pub use stateful_set::{SetShape, stateful_set};

use crate::cluster::Cluster;
use crate::config::{self, Config};
use crate::names;
use k8s_openapi::api::core::v1::{ConfigMap, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::{Resource, ResourceExt};

/// The cluster as the owner of an object.
#[must_use]
pub fn owner(cluster: &Cluster) -> OwnerReference {
    OwnerReference {
        api_version: Cluster::api_version(&()).into_owned(),
        kind: Cluster::kind(&()).into_owned(),
        name: cluster.name_any(),
        uid: cluster.uid().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

fn meta(cluster: &Cluster, name: String) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: cluster.namespace(),
        labels: Some(names::labels(&cluster.name_any())),
        owner_references: Some(vec![owner(cluster)]),
        ..ObjectMeta::default()
    }
}

/// The brokers' settings.
#[must_use]
pub fn config_map(cluster: &Cluster, config: &Config) -> ConfigMap {
    let name = names::config_map(&cluster.name_any());
    let file = config::properties(&config.file);
    ConfigMap {
        metadata: meta(cluster, name),
        data: Some([(names::CONFIG_FILE.to_owned(), file)].into()),
        ..ConfigMap::default()
    }
}

/// The brokers' account, which may do nothing.
#[must_use]
pub fn service_account(cluster: &Cluster) -> ServiceAccount {
    ServiceAccount {
        metadata: meta(cluster, names::service_account(&cluster.name_any())),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}
