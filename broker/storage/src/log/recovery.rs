//! What opening a log has to look at.
//!
//! | the log was closed, or its process died, in this run of the machine | the last batches: is the last one whole? |
//! | the machine restarted | every batch behind the recovery point, with its checksum |
//!
//! What is found bad is cut off if it is the torn end of a write that nobody was promised. It is not, if whole batches
//! follow and nothing between looks like a page that never reached the disk: then data was damaged later, and the log
//! refuses to serve rather than lose what follows.

use super::open::{open_error, read_error};
use super::{Log, Recovery, RecoveryReport};
use crate::batch_scan::{BatchScan, Step, check_crc};
use crate::disk::{DiskFile, read_full_at};
use crate::epoch_cache::LeaderEpochCache;
use crate::error::{DiskError, IoContext, OpenError, ReadError};
use crate::names;
use crate::segment_lookup::next_batch;
use ottla_records::{BatchHeader, HEADER_BYTES};
use ottla_types::{LeaderEpoch, Offset};
use std::io;

const SECTOR_BYTES: u64 = 512;
/// How far behind a bad batch whole ones are looked for.
const SEARCH_BYTES: u64 = 64 << 20;

/// A place where whole batches end before the file does.
struct Bad {
    position: u64,
    /// The offset that would follow.
    next_offset: Offset,
    reason: String,
}

impl Log {
    /// Finds the log's end, cutting off what is torn, and takes producers and epochs from what is there.
    pub(super) fn recover(&mut self, known: Recovery) -> Result<RecoveryReport, OpenError> {
        let mut report = RecoveryReport::default();
        if !known.trust_written {
            self.verify_unsynced(known, &mut report)?;
        }
        self.load_active(known, &mut report)?;
        self.epochs_dirty |= self.epochs.truncate_from_end(self.log_end_offset.max(1));
        self.recovery_point =
            known.recovery_point.clamp(self.log_start_offset.min(self.log_end_offset), self.log_end_offset);
        self.flushed_offset = self.recovery_point;
        let limit = if known.trust_written { self.log_end_offset } else { self.recovery_point };
        self.cut_aborted(limit)?;
        report.walked_bytes = self.load_producers(limit).map_err(read_error)?;
        self.find_first_epochs().map_err(read_error)?;
        self.epochs_dirty |= self.epochs.truncate_from_start(self.log_start_offset);
        if self.epochs_dirty && self.log_end_offset > 0 {
            match self.save_epochs() {
                // The next batch has them written.
                Err(error) if error.is_full() => {}
                saved => saved?,
            }
        }
        Ok(report)
    }

    /// Verifies every batch behind the recovery point.
    fn verify_unsynced(&mut self, known: Recovery, report: &mut RecoveryReport) -> Result<(), OpenError> {
        let first = self.segment_index(known.recovery_point).unwrap_or(0);
        for index in first..self.segments.len() {
            if let Some(bad) = self.verify_segment(index, known.recovery_point, report)? {
                self.cut_torn(index, bad, report)?;
                break;
            }
        }
        Ok(())
    }

    fn verify_segment(
        &mut self,
        index: usize,
        recovery_point: Offset,
        report: &mut RecoveryReport,
    ) -> Result<Option<Bad>, OpenError> {
        let following = self.segments.get(index + 1).map(|next| next.base_offset);
        let (place, segment) = self.segment(index);
        let path = place.file(segment.base_offset, names::LOG);
        let start = if recovery_point <= segment.base_offset {
            0
        } else {
            // What is before was on disk: if it cannot be followed now, it was damaged.
            segment.end_of_known(place, recovery_point).map_err(read_error)?
        };
        let file = segment.file(place)?;
        let mut scan = BatchScan::new(&*file, start, segment.size_bytes, segment.base_offset);
        let mut next_offset = recovery_point.max(segment.base_offset);
        let bad = loop {
            match scan.step_checked().during("read", &path)? {
                Step::End => break None,
                Step::Batch { header, .. } => next_offset = header.next_offset(),
                Step::Bad { position, reason } => break Some(Bad { position, next_offset, reason }),
            }
        };
        report.verified_bytes += scan.position() - start;
        match start {
            0 => segment.forget_indexes(place)?,
            _ => segment.cut_indexes(place, start, recovery_point)?,
        }
        let Some(following) = following.filter(|_| bad.is_none()) else { return Ok(bad) };
        if next_offset < following {
            // Cut off exactly behind a batch. A new segment starts where the last one ended.
            let reason = format!("offsets {next_offset}..{following} are missing");
            return Ok(Some(Bad { position: segment.size_bytes, next_offset, reason }));
        }
        let interval_bytes = self.config.index_interval_bytes;
        let (place, segment) = self.segment(index);
        segment.load_tail(place, interval_bytes)?;
        segment.seal(place)?;
        Ok(None)
    }

    /// Looks at the end of the active segment and takes the log's end from it.
    fn load_active(&mut self, known: Recovery, report: &mut RecoveryReport) -> Result<(), OpenError> {
        let interval_bytes = self.config.index_interval_bytes;
        loop {
            let index = self.segments.len() - 1;
            let (place, segment) = self.segment(index);
            let path = place.file(segment.base_offset, names::LOG);
            let tail = segment.load_tail(place, interval_bytes)?;
            let mut bad = tail.bad.map(|(position, reason)| (position, reason, tail.next_offset));
            if bad.is_none()
                && let Some(last) = tail.last.filter(|_| !known.clean)
            {
                let file = segment.file(place)?;
                let checked = check_crc(&*file, last.position, &last.header).during("read", &path)?;
                report.verified_bytes += last.header.total_bytes() as u64;
                if let Some(reason) = checked {
                    // Whole, but not as it was written: no write that was cut off looks like this.
                    return Err(OpenError::Corrupt { path, position: last.position, reason });
                }
            }
            self.log_end_offset = tail.next_offset;
            let Some((position, reason, next_offset)) = bad.take() else { return Ok(()) };
            self.cut_torn(index, Bad { position, next_offset, reason }, report)?;
        }
    }

    /// Cuts the log off at `bad`, unless that would lose whole batches behind it.
    fn cut_torn(&mut self, index: usize, bad: Bad, report: &mut RecoveryReport) -> Result<(), OpenError> {
        let interval_bytes = self.config.index_interval_bytes;
        let (place, segment) = self.segment(index);
        let path = place.file(segment.base_offset, names::LOG);
        let file = segment.file(place)?;
        // From the segment's base: the offset of the batch in front may be what was damaged.
        let follows = whole_batch_behind(&*file, bad.position, segment.size_bytes, segment.base_offset);
        // An offset above zero has a byte that is not zero; the first batch begins with its offset and a small length.
        let leading_zeros = if bad.next_offset > 0 { 7 } else { 11 };
        if let Some(follows) = follows.during("read", &path)?
            && !has_lost_sector(&*file, bad.position, follows, leading_zeros).during("read", &path)?
        {
            let reason = format!("{}; whole batches follow at byte {follows}", bad.reason);
            return Err(OpenError::Corrupt { path, position: bad.position, reason });
        }
        let mut cut_bytes = segment.size_bytes - bad.position;
        segment.truncate(place, bad.position, bad.next_offset, interval_bytes)?;
        while self.segments.len() > index + 1 {
            let Some(later) = self.segments.pop() else { break };
            cut_bytes += later.size_bytes;
            self.remove_segment_files(&later).map_err(|error| open_error(error.into()))?;
        }
        tracing::warn!(
            path = %path.display(), position = bad.position, bytes = cut_bytes, reason = %bad.reason,
            "cut off a torn end: these bytes were never known to be on disk"
        );
        report.truncated_bytes += cut_bytes;
        report.reason = Some(bad.reason);
        Ok(())
    }

    /// Drops what the indexes of aborted transactions say of `limit` and behind: the marker may not be there, or the entry may
    /// not have reached the disk. What is there is entered again with the producers' state.
    fn cut_aborted(&mut self, limit: Offset) -> Result<(), DiskError> {
        for index in self.segment_index(limit).unwrap_or(0)..self.segments.len() {
            if !self.segments[index].aborted.exists() {
                continue;
            }
            let (place, segment) = self.segment(index);
            let mut next_offset = segment.base_offset;
            segment.with_aborted(place, |aborted, at| {
                let known = aborted.all(at)?;
                let keep = known.iter().take_while(|entry| {
                    // One that was lost is all zeros; a marker follows what it ends.
                    let is_whole = entry.first_offset < entry.last_offset && entry.last_offset >= next_offset;
                    next_offset = entry.last_offset + 1;
                    is_whole && entry.last_offset < limit
                });
                let keep = keep.count();
                if keep < known.len() { aborted.truncate(at, keep) } else { Ok(()) }
            })?;
        }
        Ok(())
    }

    /// Takes the leader epochs of what lies below the first one that is known from the batches: of all, if none is. One may
    /// begin too late after a crash, where the log's start was raised and that was not noted, or lowered again.
    fn find_first_epochs(&mut self) -> Result<(), ReadError> {
        let (start, interval_bytes) = (self.log_start_offset, self.config.index_interval_bytes);
        let unknown = start..self.epochs.entries().first().map_or(self.log_end_offset, |first| first.1);
        if unknown.is_empty() {
            return Ok(());
        }
        let mut found = Vec::new();
        for index in self.segment_index(start).unwrap_or(0)..self.segments.len() {
            let (place, segment) = self.segment(index);
            if segment.base_offset >= unknown.end {
                break;
            }
            let path = place.file(segment.base_offset, names::LOG);
            let Some(first) = segment.find(place, start, interval_bytes)? else { continue };
            let file = segment.file(place).map_err(ReadError::Disk)?;
            let mut scan = BatchScan::new(&*file, first.position, segment.size_bytes, segment.base_offset);
            while let Some(batch) = next_batch(&mut scan, &path)? {
                if batch.header.base_offset >= unknown.end {
                    break;
                }
                let epoch = LeaderEpoch(batch.header.leader_epoch);
                if found.last().is_none_or(|(last, _)| *last < epoch) {
                    found.push((epoch, batch.header.base_offset));
                }
            }
        }
        if !found.is_empty() {
            found.extend_from_slice(self.epochs.entries());
            self.epochs = LeaderEpochCache::from_entries(found);
            self.epochs_dirty = true;
        }
        Ok(())
    }
}

/// Where behind `bad` the first whole batch with a matching checksum begins.
fn whole_batch_behind(
    file: &dyn DiskFile,
    bad: u64,
    end: u64,
    base_offset: Offset,
) -> io::Result<Option<u64>> {
    const WINDOW_BYTES: usize = 1 << 20;
    let end_of_search = end.min(bad.saturating_add(SEARCH_BYTES));
    let mut window = vec![0; WINDOW_BYTES.min((end_of_search - bad) as usize)];
    let mut start = bad + 1;
    while start + HEADER_BYTES as u64 <= end_of_search {
        let want = window.len().min((end_of_search - start) as usize);
        let read = read_full_at(file, &mut window[..want], start)?;
        if read < HEADER_BYTES {
            break;
        }
        for at in 0..=read - HEADER_BYTES {
            let Some(header) = plausible(&window[at..read], base_offset, end - start - at as u64) else {
                continue;
            };
            if check_crc(file, start + at as u64, &header)?.is_none() {
                return Ok(Some(start + at as u64));
            }
        }
        start += (read - HEADER_BYTES + 1) as u64;
    }
    Ok(None)
}

fn plausible(bytes: &[u8], base_offset: Offset, left: u64) -> Option<BatchHeader> {
    // The magic byte first: nearly all places end here.
    if bytes[16] != 2 {
        return None;
    }
    let header = BatchHeader::parse(bytes).ok()?;
    let near = (base_offset..base_offset.saturating_add(i64::from(i32::MAX))).contains(&header.base_offset);
    (near && header.last_offset_delta >= 0 && header.total_bytes() as u64 <= left).then_some(header)
}

/// True if a sector that begins in `start..end` holds only zeros: it was never written to the disk. The first one may have
/// been written when the file ended at `start`, so the rest of it counts as one, if it is longer than the `leading_zeros`
/// that may be in front of a batch: the offset's and the length's leading bytes. The last one may reach into the whole batch at
/// `end`: no checksum covers a batch's first bytes, so it seems whole without them.
fn has_lost_sector(file: &dyn DiskFile, start: u64, end: u64, leading_zeros: u64) -> io::Result<bool> {
    let mut sector = [0; SECTOR_BYTES as usize];
    let mut at = start;
    while at < end {
        let until = (at + 1).next_multiple_of(SECTOR_BYTES);
        let read = read_full_at(file, &mut sector[..(until - at) as usize], at)?;
        let bytes = &sector[..read];
        if until - at > leading_zeros && bytes.iter().all(|&byte| byte == 0) {
            return Ok(true);
        }
        at = until;
    }
    Ok(false)
}
