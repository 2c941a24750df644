//! Many topics in one request, for whoever looks after a thousand of them.

use super::configs::{entries, op_code};
use super::{Admin, AlterOp, ConfigEntry, ConfigResource, outcome, text};
use crate::error::{ApiError, ClientError};
use kafka_protocol::messages::create_partitions_request::{
    CreatePartitionsAssignment, CreatePartitionsTopic,
};
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::{
    BrokerId, CreatePartitionsRequest, DescribeConfigsRequest, IncrementalAlterConfigsRequest, TopicName,
};
use std::collections::BTreeMap;

/// A topic that is to have more partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionGrowth {
    /// Its name.
    pub topic: String,
    /// Partitions that it is to have.
    pub count: i32,
    /// Brokers of each new one, preferred leader first; the controller's choice if not given.
    pub assignments: Option<Vec<Vec<i32>>>,
}

impl Admin {
    /// Raises the number of partitions of many topics.
    ///
    /// # Errors
    /// If the cluster cannot be reached; refusals are told topic by topic.
    pub async fn create_partitions_of(
        &self,
        topics: &[PartitionGrowth],
    ) -> Result<Vec<(String, Result<(), ApiError>)>, ClientError> {
        let assignment = |ids: &Vec<i32>| {
            let brokers = ids.iter().copied().map(BrokerId).collect();
            CreatePartitionsAssignment::default().with_broker_ids(brokers)
        };
        let each = topics.iter().map(|growth| {
            let assignments = growth.assignments.as_ref().map(|each| each.iter().map(assignment).collect());
            CreatePartitionsTopic::default()
                .with_name(TopicName(text(&growth.topic)))
                .with_count(growth.count)
                .with_assignments(assignments)
        });
        let request = CreatePartitionsRequest::default().with_topics(each.collect()).with_timeout_ms(30_000);
        let response = self
            .to_controller(request, |response| response.results.first().map_or(0, |topic| topic.error_code))
            .await?;
        for growth in topics {
            self.client.forget(&growth.topic).await;
        }
        let results = response.results.iter();
        let each = results.map(|result| {
            (result.name.as_str().to_owned(), outcome(result.error_code, result.error_message.as_ref()))
        });
        Ok(each.collect())
    }

    /// Settings of many topics.
    ///
    /// # Errors
    /// If the cluster cannot be reached; what is unknown is told in its place.
    pub async fn describe_configs_of(
        &self,
        resources: &[ConfigResource],
    ) -> Result<Vec<(ConfigResource, Result<Vec<ConfigEntry>, ApiError>)>, ClientError> {
        let response = self.client.any().await?.send(describe_request(resources)).await?;
        let mut known: BTreeMap<(i8, &str), &ConfigResource> = BTreeMap::new();
        known.extend(
            resources.iter().map(|resource| ((resource.kind.code(), resource.name.as_str()), resource)),
        );
        let results = response.results.iter().filter_map(|result| {
            let resource = known.get(&(result.resource_type, result.resource_name.as_str()))?;
            let answer = outcome(result.error_code, result.error_message.as_ref());
            Some(((*resource).clone(), answer.map(|()| entries(result))))
        });
        Ok(results.collect())
    }

    /// Changes settings of many topics.
    ///
    /// # Errors
    /// If the cluster cannot be reached; refusals are told in their place, and then nothing of that one has changed.
    pub async fn alter_configs_of(
        &self,
        changes: &[(ConfigResource, Vec<(String, AlterOp)>)],
    ) -> Result<Vec<(ConfigResource, Result<(), ApiError>)>, ClientError> {
        let each = changes.iter().map(|(resource, changes)| {
            let configs = changes.iter().map(|(key, op)| {
                let (code, value) = op_code(op);
                AlterableConfig::default().with_name(text(key)).with_config_operation(code).with_value(value)
            });
            AlterConfigsResource::default()
                .with_resource_type(resource.kind.code())
                .with_resource_name(text(&resource.name))
                .with_configs(configs.collect())
        });
        let request = IncrementalAlterConfigsRequest::default().with_resources(each.collect());
        let response = self
            .to_controller(request, |response| {
                response.responses.first().map_or(0, |result| result.error_code)
            })
            .await?;
        let mut known: BTreeMap<(i8, &str), &ConfigResource> = BTreeMap::new();
        known.extend(
            changes.iter().map(|(resource, _)| ((resource.kind.code(), resource.name.as_str()), resource)),
        );
        let results = response.responses.iter().filter_map(|result| {
            let resource = known.get(&(result.resource_type, result.resource_name.as_str()))?;
            Some(((*resource).clone(), outcome(result.error_code, result.error_message.as_ref())))
        });
        Ok(results.collect())
    }
}

/// Asks for every setting of each: an empty list of keys would ask for none.
fn describe_request(resources: &[ConfigResource]) -> DescribeConfigsRequest {
    let each = resources.iter().map(|resource| {
        DescribeConfigsResource::default()
            .with_resource_type(resource.kind.code())
            .with_resource_name(text(&resource.name))
            .with_configuration_keys(None)
    });
    DescribeConfigsRequest::default().with_resources(each.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_of_many_are_asked_for_with_no_key_left_out() {
        let request = describe_request(&[ConfigResource::topic("a"), ConfigResource::topic("b")]);
        let keys = request.resources.iter().map(|resource| resource.configuration_keys.clone());
        assert_eq!(keys.collect::<Vec<_>>(), [None, None]);
    }
}
