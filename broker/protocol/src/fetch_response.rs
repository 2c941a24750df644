//! Fetch responses, versions 4-18, with holes where file contents go.
//!
//! The frame is sized first, by the same code that writes it, so that its length can stand in front although
//! most of its bytes never pass through this process. Everything between two holes is one piece.

use crate::api::ApiKey;
use crate::frame::LENGTH_BYTES;
use crate::header::put_response_header;
use crate::response::EncodeError;
use crate::wire::put_unsigned_varint;
use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::protocol::StrBytes;
use ottla_types::ErrorCode;
use uuid::Uuid;

const OLDEST: i16 = 4;
const NEWEST: i16 = 18;
const LOG_START_OFFSET_FROM: i16 = 5;
const SESSION_FROM: i16 = 7;
const PREFERRED_REPLICA_FROM: i16 = 11;
const TOPIC_ID_FROM: i16 = 13;
const ENDPOINTS_FROM: i16 = 16;

/// A Fetch response. Fields that a version does not have are left out when it is written.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FetchResponse {
    /// How long the client should wait before its next request, in milliseconds.
    pub throttle_time_ms: i32,
    /// Error of the whole request (version 7 on).
    pub error_code: i16,
    /// Incremental fetch session, 0 for none (KIP-227, version 7 on).
    pub session_id: i32,
    /// Answers by topic.
    pub topics: Vec<TopicData>,
    /// Where the leaders named in `current_leader` are (version 16 on).
    pub node_endpoints: Vec<NodeEndpoint>,
}

/// One topic of a Fetch response.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TopicData {
    /// Name, before version 13.
    pub name: StrBytes,
    /// Id, from version 13.
    pub topic_id: Uuid,
    /// Answers by partition.
    pub partitions: Vec<PartitionData>,
}

/// One partition of a Fetch response.
#[derive(Debug, Clone, PartialEq)]
pub struct PartitionData {
    /// Partition index.
    pub index: i32,
    /// Error of this partition.
    pub error_code: i16,
    /// End of what is replicated, exclusive; -1 if unknown.
    pub high_watermark: i64,
    /// End of what read-committed readers see, exclusive; -1 if unknown.
    pub last_stable_offset: i64,
    /// First offset there is (version 5 on); -1 if unknown.
    pub log_start_offset: i64,
    /// Aborted transactions in the records, by ascending first offset; `None` for read-uncommitted readers.
    pub aborted_transactions: Option<Vec<AbortedTransaction>>,
    /// Replica to read from instead (KIP-392, version 11 on), -1 for none.
    pub preferred_read_replica: i32,
    /// Where the reader's log parts from this one (KIP-595, version 12 on).
    pub diverging_epoch: Option<EpochEnd>,
    /// Who leads, if the reader asked the wrong broker (version 12 on).
    pub current_leader: Option<LeaderAndEpoch>,
    /// For a follower: what every replica has (version 12 on).
    pub replicated: Option<Replicated>,
    /// The batches.
    pub records: Records,
}

impl PartitionData {
    /// An answer without records: `error`, or nothing new.
    #[must_use]
    pub fn empty(index: i32, error: ErrorCode) -> Self {
        Self {
            index,
            error_code: error.code(),
            high_watermark: -1,
            last_stable_offset: -1,
            log_start_offset: -1,
            aborted_transactions: None,
            preferred_read_replica: -1,
            diverging_epoch: None,
            current_leader: None,
            replicated: None,
            records: Records::Empty,
        }
    }
}

/// The batches of one partition.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Records {
    /// None. Written as no bytes, not as null: clients expect that of Kafka.
    #[default]
    Empty,
    /// Batches in memory.
    Bytes(Bytes),
    /// Batches that the sender puts between the parts.
    Hole {
        /// How many bytes it will put there, exactly.
        bytes: usize,
    },
}

/// A transaction of a producer that was aborted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbortedTransaction {
    /// The producer.
    pub producer_id: i64,
    /// Its first offset.
    pub first_offset: i64,
}

/// The end of a leader epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochEnd {
    /// The epoch.
    pub epoch: i32,
    /// Its end, exclusive.
    pub end_offset: i64,
}

/// Who leads a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaderAndEpoch {
    /// The leader's broker id.
    pub leader_id: i32,
    /// Its epoch.
    pub leader_epoch: i32,
}

/// What every replica of a partition has, for the followers' log cleaners. Not Kafka's: a tagged field of our own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replicated {
    /// The partition epoch that says which replicas there are.
    pub partition_epoch: i32,
    /// All of them have what is below.
    pub offset: i64,
}

impl Replicated {
    /// The field's tag, far from those that Kafka gives out.
    pub const TAG: i32 = 10_000;
    const BYTES: usize = 4 + 8;

    /// Reads the field's content; `None` if it is something else.
    #[must_use]
    pub fn decode(content: &[u8]) -> Option<Self> {
        let (epoch, offset) = content.split_first_chunk::<4>()?;
        let offset: [u8; 8] = offset.try_into().ok()?;
        Some(Self { partition_epoch: i32::from_be_bytes(*epoch), offset: i64::from_be_bytes(offset) })
    }
}

/// Where a broker is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeEndpoint {
    /// Broker id.
    pub node_id: i32,
    /// Host name or address.
    pub host: StrBytes,
    /// Port.
    pub port: i32,
    /// Rack, if known.
    pub rack: Option<StrBytes>,
}

/// A piece of a response frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// These bytes.
    Bytes(Bytes),
    /// The contents of the hole of this number: holes are numbered from 0 in the order they appear.
    Hole {
        /// The number.
        index: usize,
    },
}

/// Writes a whole response frame: length, header and body.
///
/// # Errors
/// If the version is not known, or the frame would be above 2 GB.
pub fn encode(response: &FetchResponse, version: i16, correlation_id: i32) -> Result<Vec<Part>, EncodeError> {
    let fail = |reason: String| EncodeError { key: ApiKey::Fetch, version, reason };
    if !(OLDEST..=NEWEST).contains(&version) {
        return Err(fail("not a version of Fetch".to_owned()));
    }
    let mut header = BytesMut::new();
    put_response_header(&mut header, ApiKey::Fetch, version, correlation_id);
    let mut size = Size::default();
    put_response(&mut size, response, version);
    let frame_bytes = header.len() + size.memory_bytes + size.hole_bytes;
    let length =
        i32::try_from(frame_bytes).map_err(|_| fail(format!("{frame_bytes} bytes are above 2 GB")))?;
    let mut pieces = Pieces {
        parts: Vec::with_capacity(size.holes * 2 + 1),
        piece: BytesMut::with_capacity(LENGTH_BYTES + header.len() + size.memory_bytes),
        holes: 0,
    };
    pieces.piece.put_i32(length);
    pieces.piece.put_slice(&header);
    put_response(&mut pieces, response, version);
    Ok(pieces.finish())
}

/// Takes what is written: once to count it, once to keep it.
trait Sink {
    fn put(&mut self, bytes: &[u8]);
    fn hole(&mut self, bytes: usize);

    fn i16(&mut self, value: i16) {
        self.put(&value.to_be_bytes());
    }
    fn i32(&mut self, value: i32) {
        self.put(&value.to_be_bytes());
    }
    fn i64(&mut self, value: i64) {
        self.put(&value.to_be_bytes());
    }
    fn varint(&mut self, value: usize) {
        let mut bytes = [0u8; 5];
        let mut rest = &mut bytes[..];
        put_unsigned_varint(&mut rest, u32::try_from(value).unwrap_or(u32::MAX));
        let unused = rest.len();
        self.put(&bytes[..5 - unused]);
    }
    fn count(&mut self, flexible: bool, count: usize) {
        if flexible { self.varint(count + 1) } else { self.i32(count as i32) }
    }
    fn text(&mut self, flexible: bool, text: &str) {
        if flexible {
            self.varint(text.len() + 1)
        } else {
            self.i16(text.len() as i16)
        }
        self.put(text.as_bytes());
    }
}

#[derive(Debug, Default)]
struct Size {
    memory_bytes: usize,
    hole_bytes: usize,
    holes: usize,
}

impl Sink for Size {
    fn put(&mut self, bytes: &[u8]) {
        self.memory_bytes += bytes.len();
    }
    fn hole(&mut self, bytes: usize) {
        self.hole_bytes += bytes;
        self.holes += 1;
    }
}

struct Pieces {
    parts: Vec<Part>,
    piece: BytesMut,
    holes: usize,
}

impl Pieces {
    fn finish(mut self) -> Vec<Part> {
        if !self.piece.is_empty() {
            self.parts.push(Part::Bytes(self.piece.freeze()));
        }
        self.parts
    }
}

impl Sink for Pieces {
    fn put(&mut self, bytes: &[u8]) {
        self.piece.put_slice(bytes);
    }
    fn hole(&mut self, _bytes: usize) {
        let before = self.piece.split().freeze();
        self.parts.push(Part::Bytes(before));
        self.parts.push(Part::Hole { index: self.holes });
        self.holes += 1;
    }
}

fn put_response(out: &mut impl Sink, response: &FetchResponse, version: i16) {
    let flexible = ApiKey::Fetch.is_flexible(version);
    out.i32(response.throttle_time_ms);
    if version >= SESSION_FROM {
        out.i16(response.error_code);
        out.i32(response.session_id);
    }
    out.count(flexible, response.topics.len());
    for topic in &response.topics {
        if version >= TOPIC_ID_FROM {
            out.put(topic.topic_id.as_bytes());
        } else {
            out.text(flexible, &topic.name);
        }
        out.count(flexible, topic.partitions.len());
        for partition in &topic.partitions {
            put_partition(out, partition, version);
        }
        if flexible {
            out.varint(0);
        }
    }
    if flexible {
        put_endpoints(out, response, version);
    }
}

fn put_endpoints(out: &mut impl Sink, response: &FetchResponse, version: i16) {
    if version < ENDPOINTS_FROM || response.node_endpoints.is_empty() {
        out.varint(0);
        return;
    }
    let mut size = Size::default();
    put_endpoint_array(&mut size, &response.node_endpoints);
    out.varint(1);
    out.varint(0);
    out.varint(size.memory_bytes);
    put_endpoint_array(out, &response.node_endpoints);
}

fn put_endpoint_array(out: &mut impl Sink, endpoints: &[NodeEndpoint]) {
    out.count(true, endpoints.len());
    for endpoint in endpoints {
        out.i32(endpoint.node_id);
        out.text(true, &endpoint.host);
        out.i32(endpoint.port);
        match &endpoint.rack {
            None => out.varint(0),
            Some(rack) => out.text(true, rack),
        }
        out.varint(0);
    }
}

fn put_partition(out: &mut impl Sink, partition: &PartitionData, version: i16) {
    let flexible = ApiKey::Fetch.is_flexible(version);
    out.i32(partition.index);
    out.i16(partition.error_code);
    out.i64(partition.high_watermark);
    out.i64(partition.last_stable_offset);
    if version >= LOG_START_OFFSET_FROM {
        out.i64(partition.log_start_offset);
    }
    put_aborted(out, partition.aborted_transactions.as_deref(), flexible);
    if version >= PREFERRED_REPLICA_FROM {
        out.i32(partition.preferred_read_replica);
    }
    match &partition.records {
        Records::Empty => out.count(flexible, 0),
        Records::Bytes(records) => {
            out.count(flexible, records.len());
            out.put(records);
        }
        Records::Hole { bytes } => {
            out.count(flexible, *bytes);
            out.hole(*bytes);
        }
    }
    if flexible {
        put_partition_tags(out, partition);
    }
}

fn put_aborted(out: &mut impl Sink, aborted: Option<&[AbortedTransaction]>, flexible: bool) {
    let Some(aborted) = aborted else {
        return if flexible { out.varint(0) } else { out.i32(-1) };
    };
    out.count(flexible, aborted.len());
    for transaction in aborted {
        out.i64(transaction.producer_id);
        out.i64(transaction.first_offset);
        if flexible {
            out.varint(0);
        }
    }
}

fn put_partition_tags(out: &mut impl Sink, partition: &PartitionData) {
    let tags =
        usize::from(partition.diverging_epoch.is_some()) + usize::from(partition.current_leader.is_some());
    out.varint(tags + usize::from(partition.replicated.is_some()));
    if let Some(end) = partition.diverging_epoch {
        out.varint(0);
        out.varint(4 + 8 + 1);
        out.i32(end.epoch);
        out.i64(end.end_offset);
        out.varint(0);
    }
    if let Some(leader) = partition.current_leader {
        out.varint(1);
        out.varint(4 + 4 + 1);
        out.i32(leader.leader_id);
        out.i32(leader.leader_epoch);
        out.varint(0);
    }
    if let Some(replicated) = partition.replicated {
        out.varint(Replicated::TAG as usize);
        out.varint(Replicated::BYTES);
        out.i32(replicated.partition_epoch);
        out.i64(replicated.offset);
    }
}

#[cfg(test)]
#[path = "fetch_response_tests.rs"]
mod tests;
