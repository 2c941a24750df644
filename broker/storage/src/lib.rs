//! Log segments, indexes, recovery and retention over a [`Disk`].
//!
//! Blocking on purpose: whoever calls decides on which thread. Nothing here knows of sockets, of replicas or of time:
//! the clock is an argument (milliseconds since the Unix epoch).
//!
//! Files and formats are Kafka's, so that Kafka's `kafka-dump-log` reads them.

mod batch_scan;
mod checkpoint;
pub mod compaction;
mod config;
mod dirs;
mod disk;
mod entry_file;
mod epoch_cache;
mod error;
mod index;
mod log;
mod metadata_log;
pub mod names;
pub mod producer_state;
mod segment;
mod segment_lookup;
pub mod sim_disk;

pub use config::LogConfig;
pub use dirs::{
    Copied, CreateError, DirView, DirsError, DirsOptions, FailedLog, FutureView, HostedLog, LoadReport,
    LogDir, LogDirs, LogHandle, MetaProperties, MoveError,
};
pub use disk::{DirEntry, Disk, DiskFile, DiskLock, EmptyFile, FsDisk, read_full_at, write_all_at};
pub use epoch_cache::LeaderEpochCache;
pub use error::{AppendError, DiskError, LogError, OpenError, ReadError};
pub use log::{
    AbortedTransaction, Appended, FlushPlan, Log, LogSlice, Recovery, RecoveryReport, TimestampOffset,
    sync_through,
};
pub use metadata_log::{Entry as MetadataEntry, MetadataLog, MetadataLogError, Recovered};
