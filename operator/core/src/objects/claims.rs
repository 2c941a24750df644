//! Claims that go with their Cluster, if its policy says so.

use crate::cluster::Cluster;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;

/// True if the object goes when the cluster goes.
#[must_use]
pub fn is_owned(object: &ObjectMeta, cluster: &Cluster) -> bool {
    let uid = cluster.uid();
    object.owner_references.iter().flatten().any(|owner| Some(&owner.uid) == uid.as_ref())
}
