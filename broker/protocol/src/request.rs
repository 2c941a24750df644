//! Request bodies: one struct for each API, whatever the version.

use crate::api::ApiKey;
use crate::extra;
use crate::produce_request::ProduceRequest;
use crate::wire::WireError;
use bytes::{Bytes, BytesMut};
use kafka_protocol::messages as m;
use kafka_protocol::protocol::{Decodable, Encodable};

/// A request that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The version is outside of what can be read.
    #[error("{key} version {version} is not supported")]
    UnsupportedVersion {
        /// The API.
        key: ApiKey,
        /// The version asked for.
        version: i16,
    },
    /// The bytes are not a request of that version.
    #[error("malformed {key} request of version {version}: {reason}")]
    Malformed {
        /// The API.
        key: ApiKey,
        /// Its version.
        version: i16,
        /// What is wrong with it.
        reason: String,
    },
}

impl DecodeError {
    /// The error to answer with, where an answer is possible.
    #[must_use]
    pub fn code(&self) -> ottla_types::ErrorCode {
        match self {
            DecodeError::UnsupportedVersion { .. } => ottla_types::ErrorCode::UnsupportedVersion,
            DecodeError::Malformed { .. } => ottla_types::ErrorCode::InvalidRequest,
        }
    }
}

/// A request that cannot be written: a field is set that its version does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a {key} request cannot be written in version {version}: {reason}")]
pub struct RequestEncodeError {
    /// The API.
    pub key: ApiKey,
    /// The version asked for.
    pub version: i16,
    /// What does not fit.
    pub reason: String,
}

macro_rules! bodies {
    ($($name:ident($type:ident);)*) => {
        /// A request's body.
        #[derive(Debug, Clone, PartialEq)]
        #[non_exhaustive]
        #[allow(clippy::large_enum_variant, reason = "matched and taken apart at once, never stored")]
        #[allow(missing_docs, reason = "each variant is Kafka's request of the same name")]
        pub enum RequestBody {
            Produce(ProduceRequest),
            $($name(m::$type),)*
        }

        $(impl From<m::$type> for RequestBody {
            fn from(request: m::$type) -> Self {
                RequestBody::$name(request)
            }
        })*

        impl RequestBody {
            /// Which API it is for.
            #[must_use]
            pub fn key(&self) -> ApiKey {
                match self {
                    RequestBody::Produce(_) => ApiKey::Produce,
                    $(RequestBody::$name(_) => ApiKey::$name,)*
                }
            }
        }

        fn decode_generated(key: ApiKey, version: i16, body: &mut Bytes) -> Option<Result<RequestBody, String>> {
            match key {
                $(ApiKey::$name => Some(
                    m::$type::decode(body, version).map(RequestBody::$name).map_err(|error| error.to_string()),
                ),)*
                _ => None,
            }
        }

        fn encode_generated(body: &RequestBody, version: i16, out: &mut BytesMut) -> Result<(), String> {
            match body {
                RequestBody::Produce(request) => {
                    request.encode(out, version);
                    Ok(())
                }
                $(RequestBody::$name(request) => request.encode(out, version).map_err(|error| error.to_string()),)*
            }
        }

        /// Versions that the generated codec of `key` reads, both ends inclusive.
        #[cfg(test)]
        fn generated_versions(key: ApiKey) -> Option<(i16, i16)> {
            use kafka_protocol::protocol::Message;
            match key {
                $(ApiKey::$name => Some((m::$type::VERSIONS.min, m::$type::VERSIONS.max)),)*
                _ => None,
            }
        }
    };
}

bodies! {
    Fetch(FetchRequest);
    ListOffsets(ListOffsetsRequest);
    Metadata(MetadataRequest);
    OffsetCommit(OffsetCommitRequest);
    OffsetFetch(OffsetFetchRequest);
    FindCoordinator(FindCoordinatorRequest);
    JoinGroup(JoinGroupRequest);
    Heartbeat(HeartbeatRequest);
    LeaveGroup(LeaveGroupRequest);
    SyncGroup(SyncGroupRequest);
    DescribeGroups(DescribeGroupsRequest);
    ListGroups(ListGroupsRequest);
    SaslHandshake(SaslHandshakeRequest);
    ApiVersions(ApiVersionsRequest);
    CreateTopics(CreateTopicsRequest);
    DeleteTopics(DeleteTopicsRequest);
    DeleteRecords(DeleteRecordsRequest);
    InitProducerId(InitProducerIdRequest);
    OffsetForLeaderEpoch(OffsetForLeaderEpochRequest);
    AddPartitionsToTxn(AddPartitionsToTxnRequest);
    AddOffsetsToTxn(AddOffsetsToTxnRequest);
    EndTxn(EndTxnRequest);
    WriteTxnMarkers(WriteTxnMarkersRequest);
    TxnOffsetCommit(TxnOffsetCommitRequest);
    DescribeAcls(DescribeAclsRequest);
    CreateAcls(CreateAclsRequest);
    DeleteAcls(DeleteAclsRequest);
    DescribeConfigs(DescribeConfigsRequest);
    AlterConfigs(AlterConfigsRequest);
    AlterReplicaLogDirs(AlterReplicaLogDirsRequest);
    DescribeLogDirs(DescribeLogDirsRequest);
    SaslAuthenticate(SaslAuthenticateRequest);
    CreatePartitions(CreatePartitionsRequest);
    CreateDelegationToken(CreateDelegationTokenRequest);
    RenewDelegationToken(RenewDelegationTokenRequest);
    ExpireDelegationToken(ExpireDelegationTokenRequest);
    DescribeDelegationToken(DescribeDelegationTokenRequest);
    DeleteGroups(DeleteGroupsRequest);
    ElectLeaders(ElectLeadersRequest);
    IncrementalAlterConfigs(IncrementalAlterConfigsRequest);
    AlterPartitionReassignments(AlterPartitionReassignmentsRequest);
    ListPartitionReassignments(ListPartitionReassignmentsRequest);
    OffsetDelete(OffsetDeleteRequest);
    DescribeClientQuotas(DescribeClientQuotasRequest);
    AlterClientQuotas(AlterClientQuotasRequest);
    DescribeUserScramCredentials(DescribeUserScramCredentialsRequest);
    AlterUserScramCredentials(AlterUserScramCredentialsRequest);
    DescribeQuorum(DescribeQuorumRequest);
    UpdateFeatures(UpdateFeaturesRequest);
    DescribeCluster(DescribeClusterRequest);
    DescribeProducers(DescribeProducersRequest);
    UnregisterBroker(UnregisterBrokerRequest);
    DescribeTransactions(DescribeTransactionsRequest);
    ListTransactions(ListTransactionsRequest);
    ConsumerGroupHeartbeat(ConsumerGroupHeartbeatRequest);
    ConsumerGroupDescribe(ConsumerGroupDescribeRequest);
    ListConfigResources(ListConfigResourcesRequest);
    DescribeTopicPartitions(DescribeTopicPartitionsRequest);
    AddRaftVoter(AddRaftVoterRequest);
    RemoveRaftVoter(RemoveRaftVoterRequest);
}

/// Reads a request's body. Trailing bytes are ignored, as Kafka does.
///
/// # Errors
/// For a version outside of the API's range and for malformed bytes; never a panic, and no more memory
/// than a small multiple of the body's length.
pub fn decode_request(key: ApiKey, version: i16, mut body: Bytes) -> Result<RequestBody, DecodeError> {
    let api = key.api();
    let unsupported = DecodeError::UnsupportedVersion { key, version };
    let oldest = if key == ApiKey::Produce { 3 } else { api.min };
    if version < oldest || version > api.max {
        return Err(unsupported);
    }
    let malformed = |reason: String| DecodeError::Malformed { key, version, reason };
    let refused = |error: WireError| malformed(error.to_string());
    if key != ApiKey::Produce {
        crate::schema::check(key, version, &body).map_err(refused)?;
    }
    match (key, version) {
        (ApiKey::Produce, _) => {
            ProduceRequest::decode(body, version).map(RequestBody::Produce).map_err(refused)
        }
        (ApiKey::OffsetCommit, 10..) => {
            extra::decode_offset_commit(body).map(RequestBody::OffsetCommit).map_err(refused)
        }
        (ApiKey::OffsetFetch, 10..) => {
            extra::decode_offset_fetch(body).map(RequestBody::OffsetFetch).map_err(refused)
        }
        (ApiKey::AddRaftVoter, 1..) => {
            extra::decode_add_raft_voter(body).map(RequestBody::AddRaftVoter).map_err(refused)
        }
        _ => match decode_generated(key, extra::generated_version(key, version), &mut body) {
            Some(decoded) => decoded.map_err(malformed),
            None => Err(unsupported),
        },
    }
}

/// Writes a request's body.
///
/// # Errors
/// If a field is set that `version` does not have.
pub fn encode_request(
    body: &RequestBody,
    version: i16,
    out: &mut BytesMut,
) -> Result<(), RequestEncodeError> {
    let key = body.key();
    let fail = |reason: String| RequestEncodeError { key, version, reason };
    match (body, version) {
        (RequestBody::OffsetCommit(request), 10..) => extra::encode_offset_commit(request, out).map_err(fail),
        (RequestBody::OffsetFetch(request), 10..) => extra::encode_offset_fetch(request, out).map_err(fail),
        (RequestBody::AddRaftVoter(request), 1..) => extra::encode_add_raft_voter(request, out).map_err(fail),
        _ => encode_generated(body, extra::generated_version(key, version), out).map_err(fail),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Stage, TABLE};
    use proptest::prelude::*;

    /// APIs of clients whose generated codec ends before Kafka 4.3.1's range, and how far `extra` goes.
    const WIDENED: &[(ApiKey, i16)] = &[
        (ApiKey::ListOffsets, 11),
        (ApiKey::OffsetCommit, 10),
        (ApiKey::OffsetFetch, 10),
        (ApiKey::DescribeLogDirs, 5),
        (ApiKey::AddRaftVoter, 1),
    ];
    /// APIs that cannot be served over their whole range until their codec is widened.
    const LACKING: &[ApiKey] = &[ApiKey::WriteTxnMarkers];

    #[test]
    fn every_version_of_every_api_can_be_read_or_is_known_to_be_lacking() {
        for api in TABLE {
            let Some((min, max)) = generated_versions(api.key) else { continue };
            let widened = WIDENED.iter().find(|(key, _)| *key == api.key).map_or(max, |(_, to)| *to);
            assert!(min <= api.min, "{} from {min}, must be {}", api.name, api.min);
            let lacking = LACKING.contains(&api.key);
            assert_eq!(widened < api.max, lacking, "{} to {widened}, must be {}", api.name, api.max);
            assert!(!lacking || api.stage != Stage::Served, "{} is advertised and lacking", api.name);
        }
    }

    #[test]
    fn old_produce_versions_are_refused_although_advertised() {
        let refused = DecodeError::UnsupportedVersion { key: ApiKey::Produce, version: 2 };
        assert_eq!(decode_request(ApiKey::Produce, 2, Bytes::new()), Err(refused));
    }

    proptest! {
        /// If shape and codec parted ways, a hostile length could hide from the check.
        #[test]
        fn the_shape_of_a_request_ends_where_its_codec_ends(
            mut bytes in proptest::collection::vec(0..4u8, 0..200),
        ) {
            bytes.resize(400, 0);
            for api in TABLE {
                let Some((min, max)) = generated_versions(api.key) else { continue };
                for version in min.max(api.min)..=max.min(api.max) {
                    let mut body = Bytes::from(bytes.clone());
                    let Ok(left) = crate::schema::check(api.key, version, &body) else { continue };
                    if let Some(Ok(read)) = decode_generated(api.key, version, &mut body) {
                        prop_assert_eq!(left, body.len(), "{:?}", read);
                    }
                }
            }
        }

        #[test]
        fn any_bytes_are_a_request_or_an_error(row in 0..TABLE.len(), version in 0..14i16, bytes: Vec<u8>) {
            let _ = decode_request(TABLE[row].key, version, Bytes::from(bytes));
        }
    }
}
