//! The resources as Kubernetes is told of them.

use crate::cluster::Cluster;
use crate::topic::Topic;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

/// All definitions with the names of their files.
#[must_use]
pub fn definitions() -> [(&'static str, CustomResourceDefinition); 2] {
    [("clusters.ottla.dev.yaml", Cluster::crd()), ("topics.ottla.dev.yaml", Topic::crd())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_checked_in_is_what_the_types_say() {
        for (file, definition) in definitions() {
            let path = format!("{}/../../crds/{file}", env!("CARGO_MANIFEST_DIR"));
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let checked_in: Option<CustomResourceDefinition> = serde_saphyr::from_str(&text).ok();
            let is_same = checked_in.as_ref() == Some(&definition);
            assert!(is_same, "crds/{file} is not up to date: run `cargo run --bin crdgen`");
        }
    }

    #[test]
    fn every_field_of_ours_is_documented() {
        for (file, definition) in definitions() {
            let schema =
                definition.spec.versions[0].schema.clone().and_then(|schema| schema.open_api_v3_schema);
            let properties = schema.and_then(|schema| schema.properties).unwrap_or_default();
            for part in ["spec", "status"] {
                for (name, field) in properties[part].properties.iter().flatten() {
                    assert!(field.description.is_some(), "{file}: {part}.{name}");
                }
            }
        }
    }

    #[test]
    fn examples_are_valid() {
        let folder = format!("{}/../../examples", env!("CARGO_MANIFEST_DIR"));
        let mut seen = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let ours = |document: &&str| document.contains("apiVersion: ottla.dev/v1");
            for document in text.split("\n---\n").filter(ours) {
                let kind = if document.contains("kind: Cluster") { "Cluster" } else { "Topic" };
                let checked = match kind {
                    "Cluster" => kube::core::cel::validate_cel(&read::<Cluster>(document)),
                    _ => kube::core::cel::validate_cel(&read::<Topic>(document)),
                };
                checked.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                seen += 1;
            }
        }
        assert!(seen >= 5);
    }

    fn read<T: serde::de::DeserializeOwned>(document: &str) -> T {
        serde_saphyr::from_str(document).unwrap()
    }
}
