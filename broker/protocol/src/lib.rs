//! Kafka's wire protocol: frames, headers, the table of API versions, and request and response bodies.
//!
//! Bodies come from the `kafka-protocol` crate, except where it is narrower than Kafka 4.3.1
//! ([`extra`]) and on the hot path: Produce requests stay slices of their frame
//! ([`produce_request`]), Fetch responses leave holes for file contents ([`fetch_response`]).
//!
//! Invariant: no byte sequence makes a decoder panic or allocate more than a small multiple of the
//! frame's own length.

pub mod api;
pub mod cluster_admin;
pub mod extra;
pub mod fetch_response;
pub mod frame;
pub mod header;
pub mod produce_request;
pub mod request;
pub mod response;
mod schema;
pub mod wire;

pub use api::{Api, ApiKey, Stage};
pub use header::{HeaderError, RequestHeader};
pub use kafka_protocol::messages;
pub use kafka_protocol::protocol::StrBytes;
pub use produce_request::ProduceRequest;
pub use request::{DecodeError, RequestBody, decode_request, encode_request};
pub use response::{EncodeError, api_versions_response, encode_response};
