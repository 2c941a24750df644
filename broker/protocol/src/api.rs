//! The one table of API keys: versions, header shapes, and what this broker answers.
//!
//! The ranges are those that Apache Kafka 4.3.1 advertises: clients derive features from both ends of
//! a range, so a narrower one is a different broker to them. An API that does not work yet is
//! `Planned` and not advertised; a handler that works turns its row to `Served`, nothing else.
//! Produce is advertised from version 0 although 0-2 are refused: librdkafka reads the message
//! format and codecs it may use off that range.

/// Where an API stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Answered to clients and advertised.
    Served,
    /// Known, and not answered yet: not advertised, refused with `UNSUPPORTED_VERSION`.
    Planned,
    /// Kafka's brokers and controllers use it among themselves; ours do that in their own way.
    Internal,
    /// Answered to Ottla's own tools and not advertised: no other client knows the key. See [`crate::cluster_admin`].
    Own,
}

/// A row of [`TABLE`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Api {
    /// The key.
    pub key: ApiKey,
    /// Kafka's name, as in logs and metrics: `OffsetForLeaderEpoch`.
    pub name: &'static str,
    /// Oldest version of the advertised range.
    pub min: i16,
    /// Newest version of the advertised range, inclusive.
    pub max: i16,
    /// First version with compact lengths and tagged fields (KIP-482), in body and headers.
    pub flexible_from: i16,
    /// Where it stands.
    pub stage: Stage,
}

const NEVER: i16 = i16::MAX;

/// The first of the keys that brokers of this software use among themselves.
const FIRST_OWN_KEY: i16 = 10_000;
/// Where those stand in the index.
const FIRST_OWN_SLOT: usize = 120;

/// Where a key stands in the index; out of it for a key that nobody has.
const fn slot(key: i16) -> usize {
    match key {
        0..120 => key as usize,
        FIRST_OWN_KEY..10_008 => FIRST_OWN_SLOT + (key - FIRST_OWN_KEY) as usize,
        _ => usize::MAX,
    }
}

macro_rules! apis {
    ($($name:ident = $key:literal, $min:literal ..= $max:literal, flexible $flexible:expr, $stage:ident;)*) => {
        /// Every API of Kafka 4.3.1 by its key, and those that brokers use among themselves.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(i16)]
        #[allow(missing_docs, reason = "each variant is Kafka's API of the same name")]
        pub enum ApiKey {
            $($name = $key,)*
        }

        /// Every API, by ascending key.
        pub const TABLE: &[Api] = &[
            $(Api {
                key: ApiKey::$name,
                name: stringify!($name),
                min: $min,
                max: $max,
                flexible_from: $flexible,
                stage: Stage::$stage,
            },)*
        ];

        const INDEX: [u8; 128] = {
            let mut index = [u8::MAX; 128];
            let mut row = 0;
            $(
                index[slot($key)] = row;
                row += 1;
            )*
            let _ = row;
            index
        };
    };
}

apis! {
    Produce = 0, 0..=13, flexible 9, Served;
    Fetch = 1, 4..=18, flexible 12, Served;
    ListOffsets = 2, 1..=11, flexible 6, Served;
    Metadata = 3, 0..=13, flexible 9, Served;
    OffsetCommit = 8, 2..=10, flexible 8, Served;
    OffsetFetch = 9, 1..=10, flexible 6, Served;
    FindCoordinator = 10, 0..=6, flexible 3, Served;
    JoinGroup = 11, 0..=9, flexible 6, Served;
    Heartbeat = 12, 0..=4, flexible 4, Served;
    LeaveGroup = 13, 0..=5, flexible 4, Served;
    SyncGroup = 14, 0..=5, flexible 4, Served;
    DescribeGroups = 15, 0..=6, flexible 5, Served;
    ListGroups = 16, 0..=5, flexible 3, Served;
    SaslHandshake = 17, 0..=1, flexible NEVER, Planned;
    ApiVersions = 18, 0..=4, flexible 3, Served;
    CreateTopics = 19, 2..=7, flexible 5, Served;
    DeleteTopics = 20, 1..=6, flexible 4, Served;
    DeleteRecords = 21, 0..=2, flexible 2, Served;
    InitProducerId = 22, 0..=5, flexible 2, Served;
    OffsetForLeaderEpoch = 23, 2..=4, flexible 4, Served;
    AddPartitionsToTxn = 24, 0..=5, flexible 3, Planned;
    AddOffsetsToTxn = 25, 0..=4, flexible 3, Planned;
    EndTxn = 26, 0..=5, flexible 3, Planned;
    WriteTxnMarkers = 27, 1..=2, flexible 1, Planned;
    TxnOffsetCommit = 28, 0..=5, flexible 3, Planned;
    DescribeAcls = 29, 1..=3, flexible 2, Planned;
    CreateAcls = 30, 1..=3, flexible 2, Planned;
    DeleteAcls = 31, 1..=3, flexible 2, Planned;
    DescribeConfigs = 32, 1..=4, flexible 4, Served;
    AlterConfigs = 33, 0..=2, flexible 2, Served;
    AlterReplicaLogDirs = 34, 1..=2, flexible 2, Served;
    DescribeLogDirs = 35, 1..=5, flexible 2, Served;
    SaslAuthenticate = 36, 0..=2, flexible 2, Planned;
    CreatePartitions = 37, 0..=3, flexible 2, Served;
    CreateDelegationToken = 38, 1..=3, flexible 2, Planned;
    RenewDelegationToken = 39, 1..=2, flexible 2, Planned;
    ExpireDelegationToken = 40, 1..=2, flexible 2, Planned;
    DescribeDelegationToken = 41, 1..=3, flexible 2, Planned;
    DeleteGroups = 42, 0..=2, flexible 2, Served;
    ElectLeaders = 43, 0..=2, flexible 2, Served;
    IncrementalAlterConfigs = 44, 0..=1, flexible 1, Served;
    AlterPartitionReassignments = 45, 0..=1, flexible 0, Served;
    ListPartitionReassignments = 46, 0..=0, flexible 0, Served;
    OffsetDelete = 47, 0..=0, flexible NEVER, Served;
    DescribeClientQuotas = 48, 0..=1, flexible 1, Planned;
    AlterClientQuotas = 49, 0..=1, flexible 1, Planned;
    DescribeUserScramCredentials = 50, 0..=0, flexible 0, Planned;
    AlterUserScramCredentials = 51, 0..=0, flexible 0, Planned;
    Vote = 52, 0..=2, flexible 0, Internal;
    BeginQuorumEpoch = 53, 0..=1, flexible 1, Internal;
    EndQuorumEpoch = 54, 0..=1, flexible 1, Internal;
    DescribeQuorum = 55, 0..=2, flexible 0, Served;
    AlterPartition = 56, 2..=3, flexible 0, Internal;
    UpdateFeatures = 57, 0..=2, flexible 0, Served;
    Envelope = 58, 0..=0, flexible 0, Internal;
    FetchSnapshot = 59, 0..=1, flexible 0, Internal;
    DescribeCluster = 60, 0..=2, flexible 0, Served;
    DescribeProducers = 61, 0..=0, flexible 0, Served;
    BrokerRegistration = 62, 0..=4, flexible 0, Internal;
    BrokerHeartbeat = 63, 0..=2, flexible 0, Internal;
    UnregisterBroker = 64, 0..=0, flexible 0, Served;
    DescribeTransactions = 65, 0..=0, flexible 0, Planned;
    ListTransactions = 66, 0..=2, flexible 0, Planned;
    AllocateProducerIds = 67, 0..=0, flexible 0, Internal;
    ConsumerGroupHeartbeat = 68, 0..=1, flexible 0, Served;
    ConsumerGroupDescribe = 69, 0..=1, flexible 0, Served;
    ControllerRegistration = 70, 0..=0, flexible 0, Internal;
    GetTelemetrySubscriptions = 71, 0..=0, flexible 0, Planned;
    PushTelemetry = 72, 0..=0, flexible 0, Planned;
    AssignReplicasToDirs = 73, 0..=0, flexible 0, Internal;
    ListConfigResources = 74, 0..=1, flexible 0, Served;
    DescribeTopicPartitions = 75, 0..=0, flexible 0, Served;
    ShareGroupHeartbeat = 76, 1..=1, flexible 0, Planned;
    ShareGroupDescribe = 77, 1..=1, flexible 0, Planned;
    ShareFetch = 78, 1..=2, flexible 0, Planned;
    ShareAcknowledge = 79, 1..=2, flexible 0, Planned;
    AddRaftVoter = 80, 0..=1, flexible 0, Served;
    RemoveRaftVoter = 81, 0..=0, flexible 0, Served;
    UpdateRaftVoter = 82, 0..=0, flexible 0, Internal;
    InitializeShareGroupState = 83, 0..=0, flexible 0, Planned;
    ReadShareGroupState = 84, 0..=0, flexible 0, Planned;
    WriteShareGroupState = 85, 0..=1, flexible 0, Planned;
    DeleteShareGroupState = 86, 0..=0, flexible 0, Planned;
    ReadShareGroupStateSummary = 87, 0..=1, flexible 0, Planned;
    StreamsGroupHeartbeat = 88, 0..=0, flexible 0, Planned;
    StreamsGroupDescribe = 89, 0..=0, flexible 0, Planned;
    DescribeShareGroupOffsets = 90, 0..=1, flexible 0, Planned;
    AlterShareGroupOffsets = 91, 0..=0, flexible 0, Planned;
    DeleteShareGroupOffsets = 92, 0..=0, flexible 0, Planned;
    PeerHello = 10_000, 0..=0, flexible NEVER, Internal;
    PeerQuorum = 10_001, 0..=0, flexible NEVER, Internal;
    PeerAsk = 10_002, 0..=0, flexible NEVER, Internal;
    PeerNudge = 10_003, 0..=0, flexible NEVER, Internal;
    PeerProgress = 10_004, 0..=0, flexible NEVER, Internal;
    ClusterAdmin = 10_005, 0..=0, flexible NEVER, Own;
}

impl ApiKey {
    /// Reads a key; `None` for one that nobody has.
    #[must_use]
    pub fn from_code(code: i16) -> Option<Self> {
        let row = *INDEX.get(slot(code))?;
        TABLE.get(usize::from(row)).map(|api| api.key)
    }

    /// The key on the wire.
    #[must_use]
    pub const fn code(self) -> i16 {
        self as i16
    }

    /// Its row of [`TABLE`].
    #[must_use]
    pub fn api(self) -> &'static Api {
        &TABLE[usize::from(INDEX[slot(self.code())])]
    }

    /// Kafka's name: `ListOffsets`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.api().name
    }

    /// True if `version` of this API has compact lengths and tagged fields.
    #[must_use]
    pub fn is_flexible(self, version: i16) -> bool {
        version >= self.api().flexible_from
    }

    /// Version of the request header before a request of `version`.
    #[must_use]
    pub fn request_header_version(self, version: i16) -> i16 {
        if self.is_flexible(version) { 2 } else { 1 }
    }

    /// Version of the response header. ApiVersions always answers with 0, so that a client that asked
    /// with a version unknown here can still read the answer (KIP-511).
    #[must_use]
    pub fn response_header_version(self, version: i16) -> i16 {
        if self != ApiKey::ApiVersions && self.is_flexible(version) { 1 } else { 0 }
    }
}

impl std::fmt::Display for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// The APIs that are answered, in the order they are advertised.
pub fn served() -> impl Iterator<Item = &'static Api> {
    TABLE.iter().filter(|api| api.stage == Stage::Served)
}

/// True if a request of `key` and `version` is answered.
#[must_use]
pub fn supported(key: ApiKey, version: i16) -> bool {
    let api = key.api();
    api.stage == Stage::Served && api.min <= version && version <= api.max
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_ascend_and_read_back_by_key() {
        assert!(TABLE.windows(2).all(|pair| pair[0].key < pair[1].key));
        for api in TABLE {
            assert_eq!(ApiKey::from_code(api.key.code()), Some(api.key));
            assert_eq!(api.key.api(), api);
            assert!(api.min <= api.max);
        }
    }

    #[test]
    fn keys_kafka_removed_or_never_had_are_unknown() {
        for code in [-1, 4, 5, 6, 7, 93, 127, 128, 9_999, 10_006, 10_008, i16::MIN, i16::MAX] {
            assert_eq!(ApiKey::from_code(code), None, "{code}");
        }
    }

    #[test]
    fn an_api_versions_answer_never_has_tagged_fields_in_its_header() {
        assert_eq!(ApiKey::ApiVersions.response_header_version(4), 0);
        assert_eq!(ApiKey::ApiVersions.request_header_version(4), 2);
        assert_eq!(ApiKey::Metadata.response_header_version(9), 1);
    }

    #[test]
    fn what_is_planned_is_not_supported() {
        let planned = TABLE.iter().find(|api| api.stage != Stage::Served);
        assert!(planned.is_none_or(|api| !supported(api.key, api.max)));
        assert!(supported(ApiKey::ApiVersions, 4));
        assert!(!supported(ApiKey::ApiVersions, 5));
    }
}
