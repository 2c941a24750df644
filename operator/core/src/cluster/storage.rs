//! Where a broker's records are.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where records are kept.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[x_kube(
    validation = Rule::new("self.ephemeral == oldSelf.ephemeral").message("ephemeral cannot be changed"),
    validation = Rule::new(
        "has(self.class) == has(oldSelf.class) && (!has(self.class) || self.class == oldSelf.class)"
    )
    .message("class cannot be changed"),
    validation = Rule::new(
        "!isQuantity(self.size) || !isQuantity(oldSelf.size) || \
         quantity(self.size).compareTo(quantity(oldSelf.size)) >= 0"
    )
    .message("size can only grow")
)]
#[serde(rename_all = "camelCase")]
pub struct Storage {
    /// Size of each broker's volume. It can grow where the storage class allows it.
    #[serde(default = "default_size")]
    #[schemars(length(min = 1, max = 40))]
    #[x_kube(
        validation = Rule::new("isQuantity(self) && quantity(self).isGreaterThan(quantity('0'))")
            .message("must be a quantity above zero, such as 100Gi")
    )]
    pub size: String,
    /// Storage class of the volumes; the default class if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub class: Option<String>,
    /// Records live as long as their pod. For tests: a cluster that loses all pods at once loses every record.
    #[serde(default)]
    pub ephemeral: bool,
    /// What becomes of volumes that are not needed any more.
    #[serde(default)]
    pub retention: Retention,
}

impl Default for Storage {
    fn default() -> Self {
        Self { size: default_size(), class: None, ephemeral: false, retention: Retention::default() }
    }
}

fn default_size() -> String {
    "10Gi".to_owned()
}

/// What becomes of volumes that are not needed any more.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Retention {
    /// When the Cluster is deleted.
    #[serde(default)]
    pub when_deleted: Keep,
    /// When its broker has left the cluster, empty.
    #[serde(default)]
    pub when_scaled: Keep,
}

/// Keep or delete.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// The volume stays until somebody deletes it.
    #[default]
    Retain,
    /// The volume and what is on it go.
    Delete,
}
