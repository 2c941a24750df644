//! Every limit that is not a setting, in one place.
//!
//! What a setting bounds is not here: see [`crate::settings`].

/// Elements of all arrays of one request together. Kafka has no such limit; the largest requests of real
/// clients (a fetch session of 100,000 partitions) stay far below it.
pub const REQUEST_ELEMENTS: usize = 1_000_000;

/// Bytes of the largest response a client accepts: `replica.fetch.response.max.bytes` and room for a batch above it.
pub const RESPONSE_BYTES: usize = 512 << 20;

/// Unanswered requests on one connection, after which no more is read from it.
pub const REQUESTS_IN_FLIGHT: usize = 32;

/// Characters of a topic's name (`org.apache.kafka.common.internals.Topic`): with partition and suffix it must stay
/// a file name of 255 bytes.
pub const TOPIC_NAME_CHARS: usize = 249;

/// Partitions that one request may create, over all its topics, as Kafka's controller allows.
pub const PARTITIONS_CREATED_PER_REQUEST: usize = 10_000;

/// Brokers that vote in the metadata quorum; the others learn.
pub const VOTERS: usize = 5;

/// Bytes of one record's headers, key and value when a tool or a compaction decodes it.
pub const DECODED_RECORD_BYTES: usize = 256 << 20;

/// Bytes of a broker's answer to one DescribeTopicPartitions: partitions above this wait for the next page.
pub const DESCRIBED_PARTITIONS: usize = 2_000;

/// Bytes of one produced batch's records after decompression, when the broker must look at them.
pub const DECOMPRESSED_BATCH_BYTES: usize = 64 << 20;
