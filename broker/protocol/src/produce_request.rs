//! Produce requests, versions 3-13, read without copying: records stay slices of the frame.

use crate::wire::{Reader, WireError, put_unsigned_varint};
use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

const FLEXIBLE_FROM: i16 = 9;
/// From this version topics go by id instead of by name (KIP-516).
const TOPIC_ID_FROM: i16 = 13;
const OLDEST: i16 = 3;
const NEWEST: i16 = 13;

/// A Produce request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProduceRequest {
    /// Set by transactional producers.
    pub transactional_id: Option<StrBytes>,
    /// Who must have the records before the answer: 0 nobody (and no answer), 1 the leader, -1 the whole ISR.
    pub acks: i16,
    /// How long to wait for that, in milliseconds.
    pub timeout_ms: i32,
    /// Records by topic.
    pub topics: Vec<TopicRecords>,
}

/// One topic of a Produce request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TopicRecords {
    /// Name; empty from version 13.
    pub name: StrBytes,
    /// Id; zero before version 13.
    pub topic_id: Uuid,
    /// Records by partition.
    pub partitions: Vec<PartitionRecords>,
}

/// One partition of a Produce request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PartitionRecords {
    /// Partition index.
    pub index: i32,
    /// Record batches as they came, a slice of the frame.
    pub records: Option<Bytes>,
}

impl ProduceRequest {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// If the bytes are not a request of `version`.
    ///
    /// # Panics
    /// If `version` is not between 3 and 13.
    pub fn decode(body: Bytes, version: i16) -> Result<Self, WireError> {
        assert!((OLDEST..=NEWEST).contains(&version), "Produce version {version}");
        let mut reader = Reader::new(body, version >= FLEXIBLE_FROM);
        let transactional_id = reader.nullable_string()?;
        let acks = reader.i16()?;
        let timeout_ms = reader.i32()?;
        let count = reader.count(if version >= TOPIC_ID_FROM { 18 } else { 3 })?;
        let mut topics = Vec::with_capacity(count);
        for _ in 0..count {
            topics.push(decode_topic(&mut reader, version)?);
        }
        reader.skip_tagged_fields()?;
        Ok(Self { transactional_id, acks, timeout_ms, topics })
    }

    /// Writes the body of a request.
    ///
    /// # Panics
    /// If `version` is not between 3 and 13.
    pub fn encode(&self, out: &mut BytesMut, version: i16) {
        assert!((OLDEST..=NEWEST).contains(&version), "Produce version {version}");
        let mut writer = Writer { out, flexible: version >= FLEXIBLE_FROM };
        writer.nullable_string(self.transactional_id.as_deref());
        writer.out.put_i16(self.acks);
        writer.out.put_i32(self.timeout_ms);
        writer.length(self.topics.len());
        for topic in &self.topics {
            if version >= TOPIC_ID_FROM {
                writer.out.put_slice(topic.topic_id.as_bytes());
            } else {
                writer.nullable_string(Some(&topic.name));
            }
            writer.length(topic.partitions.len());
            for partition in &topic.partitions {
                writer.out.put_i32(partition.index);
                writer.nullable_bytes(partition.records.as_deref());
                writer.no_tagged_fields();
            }
            writer.no_tagged_fields();
        }
        writer.no_tagged_fields();
    }
}

fn decode_topic(reader: &mut Reader, version: i16) -> Result<TopicRecords, WireError> {
    let mut topic = TopicRecords::default();
    if version >= TOPIC_ID_FROM {
        topic.topic_id = reader.uuid()?;
    } else {
        topic.name = reader.string()?;
    }
    let count = reader.count(5)?;
    topic.partitions.reserve_exact(count);
    for _ in 0..count {
        let index = reader.i32()?;
        let records = reader.nullable_bytes()?;
        reader.skip_tagged_fields()?;
        topic.partitions.push(PartitionRecords { index, records });
    }
    reader.skip_tagged_fields()?;
    Ok(topic)
}

struct Writer<'a> {
    out: &'a mut BytesMut,
    flexible: bool,
}

impl Writer<'_> {
    fn length(&mut self, length: usize) {
        if self.flexible {
            put_unsigned_varint(self.out, length as u32 + 1);
        } else {
            self.out.put_i32(length as i32);
        }
    }

    fn nullable_string(&mut self, text: Option<&str>) {
        match (text, self.flexible) {
            (None, true) => put_unsigned_varint(self.out, 0),
            (None, false) => self.out.put_i16(-1),
            (Some(text), true) => put_unsigned_varint(self.out, text.len() as u32 + 1),
            (Some(text), false) => self.out.put_i16(text.len() as i16),
        }
        self.out.put_slice(text.unwrap_or_default().as_bytes());
    }

    fn nullable_bytes(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            None if self.flexible => put_unsigned_varint(self.out, 0),
            None => self.out.put_i32(-1),
            Some(bytes) => {
                self.length(bytes.len());
                self.out.put_slice(bytes);
            }
        }
    }

    fn no_tagged_fields(&mut self) {
        if self.flexible {
            self.out.put_u8(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_protocol::messages::produce_request as theirs;
    use kafka_protocol::protocol::{Decodable, Encodable};
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    fn requests() -> impl Strategy<Value = ProduceRequest> {
        let partition = (any::<i32>(), option::of(vec(any::<u8>(), 0..300)))
            .prop_map(|(index, records)| PartitionRecords { index, records: records.map(Bytes::from) });
        let topic =
            ("[a-z]{0,200}", any::<u128>(), vec(partition, 0..4)).prop_map(|(name, id, partitions)| {
                TopicRecords { name: name.into(), topic_id: Uuid::from_u128(id), partitions }
            });
        (option::of("[a-z]{0,9}"), any::<i16>(), any::<i32>(), vec(topic, 0..4)).prop_map(
            |(transactional_id, acks, timeout_ms, topics)| ProduceRequest {
                transactional_id: transactional_id.map(Into::into),
                acks,
                timeout_ms,
                topics,
            },
        )
    }

    fn as_of(mut request: ProduceRequest, version: i16) -> ProduceRequest {
        for topic in &mut request.topics {
            if version >= TOPIC_ID_FROM {
                topic.name = StrBytes::new();
            } else {
                topic.topic_id = Uuid::nil();
            }
        }
        request
    }

    proptest! {
        #[test]
        fn requests_read_back(request in requests(), version in OLDEST..=NEWEST) {
            let request = as_of(request, version);
            let mut out = BytesMut::new();
            request.encode(&mut out, version);
            prop_assert_eq!(ProduceRequest::decode(out.freeze(), version), Ok(request));
        }

        #[test]
        fn the_generated_codec_agrees(request in requests(), version in OLDEST..=NEWEST) {
            let request = as_of(request, version);
            let mut ours = BytesMut::new();
            request.encode(&mut ours, version);
            let mut frame = ours.clone().freeze();
            let read = theirs::ProduceRequest::decode(&mut frame, version).unwrap();
            prop_assert!(frame.is_empty());
            let mut again = BytesMut::new();
            read.encode(&mut again, version).unwrap();
            prop_assert_eq!(ours, again);
        }

        #[test]
        fn any_bytes_are_a_request_or_an_error(bytes: Vec<u8>, version in OLDEST..=NEWEST) {
            let _ = ProduceRequest::decode(Bytes::from(bytes), version);
        }

        #[test]
        fn a_cut_request_is_an_error(request in requests(), version in OLDEST..=NEWEST, cut in 0.0..1.0f64) {
            let mut out = BytesMut::new();
            as_of(request, version).encode(&mut out, version);
            let shorter = (out.len() as f64 * cut) as usize;
            prop_assert!(ProduceRequest::decode(out.freeze().slice(..shorter), version).is_err());
        }
    }
}
