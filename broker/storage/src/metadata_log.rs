//! The raft log of the metadata quorum: entries, hard state and snapshots, each durable when it has to be.
//!
//! Entries are batches of one record in Kafka's format; their offset is the raft index and their leader epoch the raft
//! term. A snapshot is a file of such batches, named as in KIP-630 and put into place by a rename.
//!
//! Invariants: a snapshot is durable before the entries it replaces go; entries are durable after [`MetadataLog::sync`]
//! and not before; of two hard states the older stays readable until the newer is durable.

mod hard_state;
mod snapshot;

use crate::config::LogConfig;
use crate::dirs::LogDir;
use crate::error::{AppendError, DiskError, IoContext, LogError, OpenError, ReadError};
use crate::log::{Log, Recovery};
use crate::names;
use bytes::{Bytes, BytesMut};
use hard_state::HardStateFile;
use ottla_records::{BatchError, BuilderOptions, RecordBatch, RecordBatchBuilder, TimestampType, split};
use ottla_types::{Offset, TimestampMs, TopicPartition};
use std::path::PathBuf;
use std::sync::Arc;

/// An entry: raft index, raft term, data.
pub type Entry = (u64, u64, Bytes);

const SEGMENT_BYTES: u64 = 64 << 20;
const READ_BYTES: u64 = 4 << 20;
/// An entry that decompresses to more is damaged; entries are written uncompressed.
const MAX_ENTRY_BYTES: usize = 256 << 20;

/// Why the metadata log did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum MetadataLogError {
    /// It cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The log refused a change.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The log refused an entry.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The log does not read back.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// An entry could not be encoded, or does not read back.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// An index or term beyond what the format holds.
    #[error("raft index {index} of term {term} is out of range")]
    OutOfRange {
        /// The index.
        index: u64,
        /// The term.
        term: u64,
    },
    /// A file is not what it should be.
    #[error("{}: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl MetadataLogError {
    /// True if it is for want of room alone, so that the same may be tried again when there is some.
    #[must_use]
    pub fn is_full(&self) -> bool {
        match self {
            Self::Append(AppendError::DiskFull { .. }) => true,
            Self::Disk(error) | Self::Append(AppendError::Disk(error)) => error.is_full(),
            Self::Log(error) => error.is_full(),
            _ => false,
        }
    }
}

/// What was there when the log was opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovered {
    /// The entries behind the snapshot, in order.
    pub entries: Vec<Entry>,
    /// The last hard state that was saved.
    pub hard_state: Option<Bytes>,
    /// The newest snapshot: raft index and term it stands for, and its content.
    pub snapshot: Option<Entry>,
}

/// The raft log of the metadata quorum.
#[derive(Debug)]
pub struct MetadataLog {
    log: Log,
    hard_state: HardStateFile,
    /// Indexes and terms of the snapshots there are, rising.
    snapshots: Vec<(u64, u64)>,
}

impl MetadataLog {
    /// Opens the metadata log of a data directory, making it if it is not there. `trust_written` as in [`Recovery`].
    ///
    /// # Errors
    /// [`MetadataLogError`]: the broker must not start.
    pub fn open(
        log_dir: Arc<LogDir>,
        trust_written: bool,
        now: TimestampMs,
    ) -> Result<(Self, Recovered), MetadataLogError> {
        let disk = Arc::clone(log_dir.disk());
        let dir = log_dir.path().join(names::METADATA_DIR);
        if !disk.exists(&dir) {
            disk.create_dir(&dir).during("create", &dir)?;
            disk.sync_dir(log_dir.path()).during("sync", log_dir.path())?;
        }
        let config = LogConfig {
            segment_bytes: SEGMENT_BYTES,
            segment_ms: i64::MAX,
            delete: false,
            file_delete_delay_ms: 0,
            timestamp_type: TimestampType::CreateTime,
            ..LogConfig::default()
        };
        let partition = TopicPartition::new("__cluster_metadata", 0);
        let recovery = Recovery { trust_written, ..Recovery::default() };
        let (mut log, _) = Log::open_in(log_dir, dir.clone(), partition, Arc::new(config), recovery, now)?;
        log.use_reserve();
        let (hard_state, saved) = HardStateFile::open(Arc::clone(&disk), dir.clone())?;
        let (snapshots, snapshot) = snapshot::load_newest(&*disk, &dir)?;
        let mut metadata_log = Self { log, hard_state, snapshots };
        if let Some((index, term, _)) = &snapshot {
            // A crash between the snapshot and what it replaces.
            metadata_log.drop_conflicting(*index, *term, now)?;
        }
        let first = snapshot.as_ref().map_or(0, |(index, ..)| index + 1);
        let entries = metadata_log.entries(first, u64::MAX, u64::MAX)?;
        Ok((metadata_log, Recovered { entries, hard_state: saved, snapshot }))
    }

    /// Appends entries; their indexes follow the last one. Not durable before [`Self::sync`].
    ///
    /// # Errors
    /// [`MetadataLogError`]; nothing of them is in the log then.
    pub fn append(&mut self, entries: &[Entry], now: TimestampMs) -> Result<(), MetadataLogError> {
        let mut bytes = BytesMut::new();
        for (index, term, data) in entries {
            bytes.extend_from_slice(&batch(*index, *term, data, now)?);
        }
        self.log.append_as_follower(bytes.freeze(), now)?;
        Ok(())
    }

    /// Makes all entries durable.
    ///
    /// # Errors
    /// [`MetadataLogError`]; what is durable is unknown then, and the data directory offline.
    pub fn sync(&mut self) -> Result<(), MetadataLogError> {
        Ok(self.log.sync()?)
    }

    /// Drops the entry at `index` and all behind it.
    ///
    /// # Errors
    /// [`MetadataLogError`].
    pub fn truncate_from(&mut self, index: u64, now: TimestampMs) -> Result<(), MetadataLogError> {
        let offset = offset_of(index, 0)?;
        Ok(self.log.truncate_to(offset, now)?)
    }

    /// Replaces the hard state. With `must_sync` (term or vote changed) it is durable when this returns; without, the
    /// previous durable one stays readable.
    ///
    /// # Errors
    /// The disk's.
    pub fn save_hard_state(&mut self, state: &[u8], must_sync: bool) -> Result<(), MetadataLogError> {
        Ok(self.hard_state.save(state, must_sync)?)
    }

    /// Saves a snapshot of everything up to `index`, durably. Entries up to there stay until [`Self::compact_to`],
    /// unless they are not the ones the snapshot was made of: then all go.
    ///
    /// # Errors
    /// [`MetadataLogError`]; the older snapshot counts then.
    pub fn save_snapshot(
        &mut self,
        index: u64,
        term: u64,
        content: &[u8],
        now: TimestampMs,
    ) -> Result<(), MetadataLogError> {
        let disk = Arc::clone(self.log.log_dir().disk());
        snapshot::write(&*disk, self.log.dir(), (index, term), content, now)?;
        self.snapshots.retain(|known| *known != (index, term));
        self.snapshots.push((index, term));
        self.snapshots.sort_unstable();
        self.drop_conflicting(index, term, now)
    }

    /// Lets entries up to `index` go, which a snapshot must cover, and all snapshots but the newest.
    ///
    /// # Errors
    /// [`MetadataLogError`].
    pub fn compact_to(&mut self, index: u64, now: TimestampMs) -> Result<(), MetadataLogError> {
        let covered = self.snapshots.last().map_or(0, |newest| newest.0);
        let start = offset_of(index.min(covered) + 1, 0)?.min(self.log.log_end_offset());
        self.log.delete_records_before(start)?;
        self.log.roll(now)?;
        self.log.apply_retention(self.log.log_end_offset(), now)?;
        let older = self.snapshots.len().saturating_sub(1);
        for (index, term) in self.snapshots.drain(..older) {
            let path = self.log.dir().join(snapshot::file_name(index, term));
            self.log.log_dir().disk().remove_file(&path).during("remove", &path)?;
        }
        Ok(())
    }

    /// Entries with `first <= index < end`, up to about `max_bytes` but at least one, if they are still there.
    ///
    /// # Errors
    /// [`MetadataLogError`].
    pub fn entries(&mut self, first: u64, end: u64, max_bytes: u64) -> Result<Vec<Entry>, MetadataLogError> {
        let mut entries = Vec::new();
        let mut bytes_read = 0;
        let end = i64::try_from(end).unwrap_or(i64::MAX);
        let mut next = offset_of(first, 0)?.max(self.log.log_start_offset());
        while next < self.log.log_end_offset().min(end) && (bytes_read < max_bytes || entries.is_empty()) {
            let wanted = READ_BYTES.min(max_bytes - bytes_read);
            let slice = self.log.read(next, wanted, true, end)?;
            if slice.is_empty() {
                break;
            }
            bytes_read += slice.bytes;
            let path = self.log.dir().to_owned();
            let bytes = slice.read().during("read", &path)?;
            for batch in split(Bytes::from(bytes)) {
                let entry = entry_of(&batch?, &path)?;
                next = entry.0 as Offset + 1;
                entries.push(entry);
            }
        }
        Ok(entries)
    }

    /// One past the last index.
    #[must_use]
    pub fn end_index(&self) -> u64 {
        self.log.log_end_offset().unsigned_abs()
    }

    /// The first index that is still there.
    #[must_use]
    pub fn first_index(&self) -> u64 {
        self.log.log_start_offset().unsigned_abs()
    }

    /// Bytes of entries.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.log.size_bytes()
    }

    /// Ends the use of the log.
    ///
    /// # Errors
    /// The disk's; nothing durable is lost.
    pub fn close(self) -> Result<(), MetadataLogError> {
        Ok(self.log.close()?)
    }

    /// Drops all entries if the log does not have the entry that the snapshot ends with.
    fn drop_conflicting(&mut self, index: u64, term: u64, now: TimestampMs) -> Result<(), MetadataLogError> {
        let last = offset_of(index, term)?;
        let matches = last < self.log.log_end_offset()
            && (last < self.log.log_start_offset()
                || self
                    .entries(index, index + 1, 1)?
                    .first()
                    .is_some_and(|entry| (entry.0, entry.1) == (index, term)));
        if !matches {
            self.log.truncate_fully_and_start_at(last + 1, now)?;
        }
        Ok(())
    }
}

fn offset_of(index: u64, term: u64) -> Result<Offset, MetadataLogError> {
    let in_range = index < i64::MAX.unsigned_abs() && term <= i32::MAX.unsigned_abs().into();
    if in_range { Ok(index as Offset) } else { Err(MetadataLogError::OutOfRange { index, term }) }
}

/// One record in one batch.
fn batch(index: u64, term: u64, data: &[u8], now: TimestampMs) -> Result<Bytes, MetadataLogError> {
    keyed_batch((index, term), None, data, now)
}

fn keyed_batch(
    (index, term): (u64, u64),
    key: Option<&[u8]>,
    data: &[u8],
    now: TimestampMs,
) -> Result<Bytes, MetadataLogError> {
    let options = BuilderOptions {
        base_offset: offset_of(index, term)?,
        leader_epoch: term as i32,
        ..BuilderOptions::default()
    };
    let mut builder = RecordBatchBuilder::new(options);
    builder.append(now, key, Some(data), &[])?;
    Ok(builder.build())
}

fn entry_of(batch: &RecordBatch, path: &std::path::Path) -> Result<Entry, MetadataLogError> {
    let damaged =
        |reason: &str| MetadataLogError::Damaged { path: path.to_owned(), reason: reason.to_owned() };
    batch.verify_crc()?;
    let record =
        batch.records(MAX_ENTRY_BYTES)?.next().ok_or_else(|| damaged("an entry without a record"))??;
    let term = u64::try_from(batch.header.leader_epoch).map_err(|_| damaged("an entry without a term"))?;
    let index = u64::try_from(record.offset).map_err(|_| damaged("an entry with a negative index"))?;
    Ok((index, term, record.value.unwrap_or_default()))
}
