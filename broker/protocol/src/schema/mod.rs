//! Shapes of request bodies, to check what a body claims before the generated codec believes it.
//!
//! The generated codec reserves room for as many elements as an array claims. So a body is walked first, which
//! reserves nothing: no array may claim more than the rest of the body can hold, and all arrays together not
//! more than [`limits::REQUEST_ELEMENTS`]. The shapes are those of Apache Kafka 4.3.1, all versions of the table.

mod admin;
mod groups;
mod log;
mod security;

use crate::api::ApiKey;
use crate::wire::{Reader, WireError};
use bytes::Bytes;
use ottla_types::limits;

/// What a field holds.
#[derive(Debug)]
pub(crate) enum Kind {
    /// So many bytes.
    Fixed(usize),
    /// A string or null.
    Text,
    /// Bytes or null.
    Blob,
    /// Elements or null.
    Array(&'static Kind),
    /// Fields, then tagged fields where the version is flexible.
    Struct(&'static [Field]),
    /// A byte that is 1 if the structure is there.
    OptionalStruct(&'static [Field]),
    /// An array of structures.
    Structs(&'static [Field]),
}

/// A field and the versions that have it.
#[derive(Debug)]
pub(crate) struct Field {
    /// Kafka's name for it, for errors and tests.
    #[allow(dead_code, reason = "names the row for the reader of the tables")]
    name: &'static str,
    since: i16,
    until: i16,
    tag: Option<u32>,
    kind: &'static Kind,
}

const I8: Kind = Kind::Fixed(1);
const I16: Kind = Kind::Fixed(2);
const I32: Kind = Kind::Fixed(4);
const I64: Kind = Kind::Fixed(8);
const UUID: Kind = Kind::Fixed(16);
const TEXT: Kind = Kind::Text;
const BLOB: Kind = Kind::Blob;
const I8S: Kind = Kind::Array(&I8);
const I32S: Kind = Kind::Array(&I32);
const I64S: Kind = Kind::Array(&I64);
const TEXTS: Kind = Kind::Array(&TEXT);

const fn within(since: i16, until: i16, name: &'static str, kind: &'static Kind) -> Field {
    Field { name, since, until, tag: None, kind }
}

const fn since(since: i16, name: &'static str, kind: &'static Kind) -> Field {
    within(since, i16::MAX, name, kind)
}

const fn always(name: &'static str, kind: &'static Kind) -> Field {
    since(0, name, kind)
}

const fn tagged(tag: u32, name: &'static str, kind: &'static Kind) -> Field {
    Field { tag: Some(tag), ..always(name, kind) }
}

const fn structs(fields: &'static [Field]) -> Kind {
    Kind::Structs(fields)
}

/// The shape of the body of `key`'s requests; empty for those that have a reader of their own.
fn shape(key: ApiKey) -> &'static [Field] {
    match key {
        ApiKey::Fetch => log::FETCH,
        ApiKey::ListOffsets => log::LIST_OFFSETS,
        ApiKey::Metadata => log::METADATA,
        ApiKey::OffsetCommit => groups::OFFSET_COMMIT,
        ApiKey::OffsetFetch => groups::OFFSET_FETCH,
        ApiKey::FindCoordinator => groups::FIND_COORDINATOR,
        ApiKey::JoinGroup => groups::JOIN_GROUP,
        ApiKey::Heartbeat => groups::HEARTBEAT,
        ApiKey::LeaveGroup => groups::LEAVE_GROUP,
        ApiKey::SyncGroup => groups::SYNC_GROUP,
        ApiKey::DescribeGroups => groups::DESCRIBE_GROUPS,
        ApiKey::ListGroups => groups::LIST_GROUPS,
        ApiKey::SaslHandshake => security::SASL_HANDSHAKE,
        ApiKey::ApiVersions => log::API_VERSIONS,
        ApiKey::CreateTopics => admin::CREATE_TOPICS,
        ApiKey::DeleteTopics => admin::DELETE_TOPICS,
        ApiKey::DeleteRecords => log::DELETE_RECORDS,
        ApiKey::InitProducerId => log::INIT_PRODUCER_ID,
        ApiKey::OffsetForLeaderEpoch => log::OFFSET_FOR_LEADER_EPOCH,
        ApiKey::AddPartitionsToTxn => log::ADD_PARTITIONS_TO_TXN,
        ApiKey::AddOffsetsToTxn => log::ADD_OFFSETS_TO_TXN,
        ApiKey::EndTxn => log::END_TXN,
        ApiKey::WriteTxnMarkers => log::WRITE_TXN_MARKERS,
        ApiKey::TxnOffsetCommit => log::TXN_OFFSET_COMMIT,
        ApiKey::DescribeAcls => security::DESCRIBE_ACLS,
        ApiKey::CreateAcls => security::CREATE_ACLS,
        ApiKey::DeleteAcls => security::DELETE_ACLS,
        ApiKey::DescribeConfigs => admin::DESCRIBE_CONFIGS,
        ApiKey::AlterConfigs => admin::ALTER_CONFIGS,
        ApiKey::AlterReplicaLogDirs => admin::ALTER_REPLICA_LOG_DIRS,
        ApiKey::DescribeLogDirs => admin::DESCRIBE_LOG_DIRS,
        ApiKey::SaslAuthenticate => security::SASL_AUTHENTICATE,
        ApiKey::CreatePartitions => admin::CREATE_PARTITIONS,
        ApiKey::CreateDelegationToken => security::CREATE_DELEGATION_TOKEN,
        ApiKey::RenewDelegationToken => security::RENEW_DELEGATION_TOKEN,
        ApiKey::ExpireDelegationToken => security::EXPIRE_DELEGATION_TOKEN,
        ApiKey::DescribeDelegationToken => security::DESCRIBE_DELEGATION_TOKEN,
        ApiKey::DeleteGroups => groups::DELETE_GROUPS,
        ApiKey::ElectLeaders => admin::ELECT_LEADERS,
        ApiKey::IncrementalAlterConfigs => admin::INCREMENTAL_ALTER_CONFIGS,
        ApiKey::AlterPartitionReassignments => admin::ALTER_PARTITION_REASSIGNMENTS,
        ApiKey::ListPartitionReassignments => admin::LIST_PARTITION_REASSIGNMENTS,
        ApiKey::OffsetDelete => groups::OFFSET_DELETE,
        ApiKey::DescribeClientQuotas => security::DESCRIBE_CLIENT_QUOTAS,
        ApiKey::AlterClientQuotas => security::ALTER_CLIENT_QUOTAS,
        ApiKey::DescribeUserScramCredentials => security::DESCRIBE_USER_SCRAM_CREDENTIALS,
        ApiKey::AlterUserScramCredentials => security::ALTER_USER_SCRAM_CREDENTIALS,
        ApiKey::DescribeQuorum => admin::DESCRIBE_QUORUM,
        ApiKey::UpdateFeatures => admin::UPDATE_FEATURES,
        ApiKey::DescribeCluster => admin::DESCRIBE_CLUSTER,
        ApiKey::DescribeProducers => log::DESCRIBE_PRODUCERS,
        ApiKey::UnregisterBroker => admin::UNREGISTER_BROKER,
        ApiKey::DescribeTransactions => log::DESCRIBE_TRANSACTIONS,
        ApiKey::ListTransactions => log::LIST_TRANSACTIONS,
        ApiKey::ConsumerGroupHeartbeat => groups::CONSUMER_GROUP_HEARTBEAT,
        ApiKey::ConsumerGroupDescribe => groups::CONSUMER_GROUP_DESCRIBE,
        ApiKey::ListConfigResources => admin::LIST_CONFIG_RESOURCES,
        ApiKey::DescribeTopicPartitions => log::DESCRIBE_TOPIC_PARTITIONS,
        ApiKey::AddRaftVoter => admin::ADD_RAFT_VOTER,
        ApiKey::RemoveRaftVoter => admin::REMOVE_RAFT_VOTER,
        _ => &[],
    }
}

/// Walks `body` and says why it cannot be a request of `key` and `version`, if so; else how many bytes are left over.
///
/// # Errors
/// For a body that ends early, or claims more elements than it can hold or than are allowed.
pub(crate) fn check(key: ApiKey, version: i16, body: &Bytes) -> Result<usize, WireError> {
    let flexible = key.is_flexible(version);
    let mut walk = Walk {
        reader: Reader::new(body.clone(), flexible),
        version,
        flexible,
        elements_left: limits::REQUEST_ELEMENTS,
    };
    walk.fields(shape(key))?;
    Ok(walk.reader.remaining())
}

struct Walk {
    reader: Reader,
    version: i16,
    flexible: bool,
    elements_left: usize,
}

impl Walk {
    fn fields(&mut self, fields: &'static [Field]) -> Result<(), WireError> {
        for field in fields.iter().filter(|field| field.tag.is_none()) {
            if field.since <= self.version && self.version <= field.until {
                self.value(field.kind)?;
            }
        }
        if self.flexible {
            self.tagged_fields(fields)?;
        }
        Ok(())
    }

    fn tagged_fields(&mut self, fields: &'static [Field]) -> Result<(), WireError> {
        let count = self.reader.unsigned_varint()? as usize;
        self.spend(count, 2)?;
        for _ in 0..count {
            let tag = self.reader.unsigned_varint()?;
            let bytes = self.reader.unsigned_varint()? as usize;
            let Some(known) = fields.iter().find(|field| field.tag == Some(tag)) else {
                self.reader.skip(bytes)?;
                continue;
            };
            let before = self.reader.remaining();
            self.value(known.kind)?;
            // The generated codec does not look at the length of a tag it knows.
            if before - self.reader.remaining() != bytes {
                return Err(WireError::Truncated);
            }
        }
        Ok(())
    }

    fn value(&mut self, kind: &'static Kind) -> Result<(), WireError> {
        match kind {
            Kind::Fixed(bytes) => self.reader.skip(*bytes),
            Kind::Text => self.reader.skip_string(),
            Kind::Blob => self.reader.skip_bytes(),
            Kind::Struct(fields) => self.fields(fields),
            Kind::OptionalStruct(fields) => match self.reader.i8()? {
                1 => self.fields(fields),
                _ => Ok(()),
            },
            Kind::Array(element) => {
                let count = self.count(self.least_bytes(element))?;
                (0..count).try_for_each(|_| self.value(element))
            }
            Kind::Structs(fields) => {
                let count = self.count(self.least_bytes_of(fields))?;
                (0..count).try_for_each(|_| self.fields(fields))
            }
        }
    }

    fn count(&mut self, element_bytes: usize) -> Result<usize, WireError> {
        let count = self.reader.nullable_count(element_bytes.max(1))?.unwrap_or(0);
        self.spend(count, element_bytes)?;
        Ok(count)
    }

    fn spend(&mut self, count: usize, element_bytes: usize) -> Result<(), WireError> {
        let possible = self.elements_left.min(self.reader.remaining() / element_bytes.max(1));
        if count > possible {
            return Err(WireError::TooManyElements { claimed: count, possible });
        }
        self.elements_left -= count;
        Ok(())
    }

    /// The least that a value of `kind` takes in this version.
    fn least_bytes(&self, kind: &Kind) -> usize {
        match kind {
            Kind::Fixed(bytes) => *bytes,
            Kind::Struct(fields) => self.least_bytes_of(fields),
            Kind::OptionalStruct(_) => 1,
            Kind::Text if !self.flexible => 2,
            Kind::Blob | Kind::Array(_) | Kind::Structs(_) if !self.flexible => 4,
            Kind::Text | Kind::Blob | Kind::Array(_) | Kind::Structs(_) => 1,
        }
    }

    fn least_bytes_of(&self, fields: &[Field]) -> usize {
        let present = fields.iter().filter(|field| {
            field.tag.is_none() && field.since <= self.version && self.version <= field.until
        });
        present.map(|field| self.least_bytes(field.kind)).sum::<usize>() + usize::from(self.flexible)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_huge_claim_is_refused_at_every_depth() {
        // Metadata 1: one topic, or two billion.
        let claim = Bytes::from_static(&[0x7f, 0xff, 0xff, 0xff, 0, 1, b'a']);
        let refused = WireError::TooManyElements { claimed: 0x7fff_ffff, possible: 1 };
        assert_eq!(check(ApiKey::Metadata, 1, &claim), Err(refused));
        // CreatePartitions 0: one topic whose assignments claim too much.
        let mut nested = vec![0, 0, 0, 1, 0, 1, b'a', 0, 0, 0, 9];
        nested.extend([0x00, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0]);
        assert!(check(ApiKey::CreatePartitions, 0, &Bytes::from(nested)).is_err());
    }

    #[test]
    fn all_arrays_together_are_bounded() {
        let count = limits::REQUEST_ELEMENTS + 1;
        let mut body = (count as i32).to_be_bytes().to_vec();
        body.resize(4 + count * 2, 0);
        assert!(check(ApiKey::Metadata, 1, &Bytes::from(body)).is_err());
    }

    #[test]
    fn a_known_tag_of_another_length_than_it_claims_is_refused() {
        // Fetch 12 with nothing in it but tag 0 (cluster id), which claims no byte and has one.
        let mut body = vec![0; 4 * 4 + 1 + 4 + 4];
        body.extend([1, 1, 1]);
        body.extend([1, 0, 0, 1]);
        assert_eq!(check(ApiKey::Fetch, 12, &Bytes::from(body)), Err(WireError::Truncated));
    }
}
