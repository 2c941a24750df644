//! The error codes in responses, for the metric that counts them.

use kafka_protocol::messages::*;

/// A response whose error codes can be told.
pub trait ErrorCodes {
    /// Tells each code that the response holds, success too.
    fn each_code(&self, tell: &mut dyn FnMut(i16));
}

/// `own`: a code of the whole response; then lists whose items have one; then lists of lists.
macro_rules! codes {
    ($($response:ident: $($own:ident)? $([$list:ident $(/ $inner:ident)?])*;)*) => {
        $(impl ErrorCodes for $response {
            fn each_code(&self, tell: &mut dyn FnMut(i16)) {
                let _ = &tell;
                $(codes!(@own self tell $own);)?
                $(codes!(@list self tell $list $($inner)?);)*
            }
        })*
    };
    (@own $self:ident $tell:ident $own:ident) => { $tell($self.$own) };
    (@list $self:ident $tell:ident $list:ident) => {
        $self.$list.iter().for_each(|item| $tell(item.error_code))
    };
    (@list $self:ident $tell:ident $list:ident $inner:ident) => {
        $self.$list.iter().flat_map(|item| &item.$inner).for_each(|item| $tell(item.error_code))
    };
}

codes! {
    AddRaftVoterResponse: error_code;
    AlterConfigsResponse: [responses];
    AlterPartitionReassignmentsResponse: error_code [responses / partitions];
    AlterReplicaLogDirsResponse: [results / partitions];
    ApiVersionsResponse: error_code;
    ConsumerGroupDescribeResponse: [groups];
    ConsumerGroupHeartbeatResponse: error_code;
    CreatePartitionsResponse: [results];
    CreateTopicsResponse: [topics];
    DeleteGroupsResponse: [results];
    DeleteRecordsResponse: [topics / partitions];
    DeleteTopicsResponse: [responses];
    DescribeClusterResponse: error_code;
    DescribeConfigsResponse: [results];
    DescribeGroupsResponse: [groups];
    DescribeProducersResponse: [topics / partitions];
    DescribeQuorumResponse: error_code [topics / partitions];
    DescribeTopicPartitionsResponse: [topics] [topics / partitions];
    ElectLeadersResponse: error_code [replica_election_results / partition_result];
    FindCoordinatorResponse: error_code [coordinators];
    HeartbeatResponse: error_code;
    IncrementalAlterConfigsResponse: [responses];
    InitProducerIdResponse: error_code;
    JoinGroupResponse: error_code;
    LeaveGroupResponse: error_code [members];
    ListConfigResourcesResponse: error_code;
    ListGroupsResponse: error_code;
    ListOffsetsResponse: [topics / partitions];
    ListPartitionReassignmentsResponse: error_code;
    MetadataResponse: error_code [topics] [topics / partitions];
    OffsetCommitResponse: [topics / partitions];
    OffsetDeleteResponse: error_code [topics / partitions];
    OffsetFetchResponse: error_code [topics / partitions] [groups];
    OffsetForLeaderEpochResponse: [topics / partitions];
    ProduceResponse: [responses / partition_responses];
    RemoveRaftVoterResponse: error_code;
    SyncGroupResponse: error_code;
    UnregisterBrokerResponse: error_code;
    UpdateFeaturesResponse: error_code [results];
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_protocol::messages::metadata_response::{MetadataResponsePartition, MetadataResponseTopic};

    #[test]
    fn codes_of_every_depth_are_told() {
        let partition = MetadataResponsePartition::default().with_error_code(5);
        let topic = MetadataResponseTopic::default().with_error_code(3).with_partitions(vec![partition]);
        let response = MetadataResponse::default().with_topics(vec![topic]);
        let mut told = Vec::new();
        response.each_code(&mut |code| told.push(code));
        assert_eq!(told, [0, 3, 5]);
    }
}
