//! Looking for damage in the background: checksums of what was written, a piece at a time and without the lock.

use super::Log;
use crate::batch_scan::{BatchScan, Step};
use crate::disk::DiskFile;
use crate::error::{DiskError, IoContext, LogError};
use crate::names;
use ottla_types::{Offset, TopicPartition};
use std::path::PathBuf;
use std::sync::Arc;

/// Bytes verified at once, about.
const PIECE_BYTES: u64 = 16 << 20;

/// A piece of a segment to verify.
#[derive(Debug)]
pub struct VerifyPlan {
    file: Arc<dyn DiskFile>,
    path: PathBuf,
    position: u64,
    end: u64,
    start: Offset,
    next_offset: Offset,
    truncations: u64,
}

/// Batches that do not read back as they were written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The log.
    pub partition: TopicPartition,
    /// The segment.
    pub path: PathBuf,
    /// Where the bad batch begins.
    pub position: u64,
    /// What is wrong with it.
    pub reason: String,
}

impl VerifyPlan {
    /// Where the next piece begins.
    #[must_use]
    pub fn next_offset(&self) -> Offset {
        self.next_offset
    }

    /// Length of the piece.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.end - self.position
    }

    /// Verifies the piece: position and reason of the first bad batch. To be called without the log's lock.
    ///
    /// # Errors
    /// The disk's.
    pub fn verify(&self) -> Result<Option<(u64, String)>, DiskError> {
        let mut scan = BatchScan::new(&*self.file, self.position, self.end, self.start);
        loop {
            match scan.step_checked().during("read", &self.path)? {
                Step::Batch { .. } => {}
                Step::End => return Ok(None),
                Step::Bad { position, reason } => return Ok(Some((position, reason))),
            }
        }
    }
}

impl Log {
    /// The piece of the log that begins at `from`, or behind it; `None` at the end.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn verify_plan(&mut self, from: Offset) -> Result<Option<VerifyPlan>, LogError> {
        let from = from.max(self.log_start_offset);
        if from >= self.log_end_offset {
            return Ok(None);
        }
        let slice = self.read(from, PIECE_BYTES, true, self.log_end_offset)?;
        let base_offset = self.segment_index(slice.start).map_or(0, |index| self.segments[index].base_offset);
        Ok((!slice.is_empty()).then(|| VerifyPlan {
            path: self.place().file(base_offset, names::LOG),
            position: slice.position,
            end: slice.position + slice.bytes,
            file: slice.file,
            start: base_offset,
            next_offset: slice.next_offset,
            truncations: self.truncations,
        }))
    }

    /// Notes what verifying found; damage takes the log offline, unless it was truncated meanwhile.
    pub fn verified(
        &mut self,
        plan: &VerifyPlan,
        found: Result<Option<(u64, String)>, DiskError>,
    ) -> Option<Damage> {
        match self.noted(found) {
            Ok(Some((position, reason))) if plan.truncations == self.truncations => {
                let damage =
                    Damage { partition: self.partition.clone(), path: plan.path.clone(), position, reason };
                let text =
                    format!("{}: corrupt at byte {position}: {}", damage.path.display(), damage.reason);
                tracing::error!(partition = %self.partition, reason = text, "the log is offline");
                self.corrupt.get_or_insert(text);
                Some(damage)
            }
            Ok(_) | Err(_) => None,
        }
    }
}
