//! The StatefulSet.

use super::{meta, pod};
use crate::cluster::Cluster;
use crate::names;
use k8s_openapi::api::apps::v1::{
    StatefulSet, StatefulSetPersistentVolumeClaimRetentionPolicy, StatefulSetSpec, StatefulSetUpdateStrategy,
};
use k8s_openapi::api::core::v1::{
    PersistentVolumeClaim, PersistentVolumeClaimSpec, VolumeResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use kube::ResourceExt;

/// What of a StatefulSet the resource does not say by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetShape {
    /// Pods.
    pub replicas: i32,
    /// Their image.
    pub image: String,
    /// Their hash, see [`super::restart_hash`].
    pub hash: String,
    /// Size of new volumes.
    pub claim_size: String,
}

/// The StatefulSet of a cluster.
#[must_use]
pub fn stateful_set(cluster: &Cluster, shape: &SetShape) -> StatefulSet {
    let name = cluster.name_any();
    let keep = || Some("Retain".to_owned());
    StatefulSet {
        metadata: meta(cluster, names::stateful_set(&name)),
        spec: Some(StatefulSetSpec {
            replicas: Some(shape.replicas),
            service_name: Some(names::headless(&name)),
            pod_management_policy: Some("Parallel".to_owned()),
            update_strategy: Some(StatefulSetUpdateStrategy {
                type_: Some("OnDelete".to_owned()),
                rolling_update: None,
            }),
            selector: LabelSelector { match_labels: Some(names::selector(&name)), match_expressions: None },
            template: pod::template(cluster, &shape.image, &shape.hash),
            volume_claim_templates: claims(cluster, &shape.claim_size),
            // Volumes are the operator's own business: whoever scales or deletes the StatefulSet loses none.
            persistent_volume_claim_retention_policy: Some(StatefulSetPersistentVolumeClaimRetentionPolicy {
                when_deleted: keep(),
                when_scaled: keep(),
            }),
            revision_history_limit: Some(2),
            ..StatefulSetSpec::default()
        }),
        status: None,
    }
}

fn claims(cluster: &Cluster, size: &str) -> Option<Vec<PersistentVolumeClaim>> {
    let storage = &cluster.spec.storage;
    let claim = || PersistentVolumeClaim {
        metadata: ObjectMeta {
            name: Some(names::DATA_VOLUME.to_owned()),
            labels: Some(names::selector(&cluster.name_any())),
            ..ObjectMeta::default()
        },
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
            storage_class_name: storage.class.clone(),
            resources: Some(VolumeResourceRequirements {
                requests: Some([("storage".to_owned(), Quantity(size.to_owned()))].into()),
                limits: None,
            }),
            ..PersistentVolumeClaimSpec::default()
        }),
        status: None,
    };
    (!storage.ephemeral).then(|| vec![claim()])
}
