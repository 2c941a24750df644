//! Record batch v2: header views, building, validation and compression.
//!
//! A batch stays one `Bytes` from the socket to the segment. Everything the hot path asks (offsets, epochs, producer,
//! CRC) is answered from the 61 bytes of its header ([`BatchHeader`]); records are decoded only by those who need
//! them ([`RecordBatch::records`]), never to append or to fetch a batch as it came.
//!
//! Nothing here does I/O, keeps time or panics on foreign bytes. What decompression makes is bounded by its caller.

mod batch;
mod builder;
pub mod compression;
pub mod control;
mod crc;
mod error;
mod header;
pub mod patch;
mod record;
pub mod rewrite;
mod summary;
pub mod validate;
mod varint;

pub use batch::{RecordBatch, Split, split};
pub use builder::{BuilderOptions, RecordBatchBuilder};
pub use compression::{Compression, CompressionError};
pub use crc::{crc32c, crc32c_parts};
pub use error::BatchError;
pub use header::{BatchHeader, HEADER_BYTES, LOG_OVERHEAD_BYTES, TimestampType};
pub use record::{Header, Record, RecordIter, RecordRef, RecordRefs};
pub use summary::BatchSummary;
