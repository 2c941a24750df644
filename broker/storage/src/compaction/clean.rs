//! One pass over one log.

use super::fate::Rules;
use super::filter::{Counts, Filter, Kept, decoded, read_marker, unreadable};
use super::key_map::{HashKey, KeyMap, Room};
use super::output::{Output, discard};
use super::reader::BatchReader;
use super::transactions::Transactions;
use super::{CleanError, Sizes, group};
use crate::error::{DiskError, IoContext};
use crate::log::{CleanPlan, Log, Source, sync_through};
use crate::segment::Segment;
use ottla_records::{BatchError, BatchHeader, RecordRefs};
use ottla_types::{Offset, TimestampMs};
use parking_lot::Mutex;

/// How a pass is to be done.
#[derive(Debug, Clone, Copy)]
pub struct CleanOptions {
    /// The log's high watermark: what is above is not committed.
    pub high_watermark: Offset,
    /// Every replica has what is below: tombstones from here on must stay.
    pub replicated_offset: Offset,
    /// Wall clock.
    pub now: TimestampMs,
    /// Memory for keys.
    pub key_bytes: usize,
    /// How full that memory may get, up to 0.95.
    pub load_factor: f64,
    /// Memory for reading and as much again for writing; a batch that is larger takes more.
    pub buffer_bytes: usize,
    /// A secret.
    pub hash_key: HashKey,
}

/// What a pass did.
#[derive(Debug, Clone, Copy, Default)]
pub struct CleanReport {
    /// Where the pass began to collect keys.
    pub first_dirty_offset: Offset,
    /// Where it ended: the next pass begins here.
    pub end_offset: Offset,
    /// Bytes of segments that were read for their keys.
    pub key_bytes_read: u64,
    /// Bytes of segments that were read to be rewritten.
    pub read_bytes: u64,
    /// Bytes of the segments that took their place.
    pub written_bytes: u64,
    /// Records in what was rewritten.
    pub records_seen: u64,
    /// Records that are left of them.
    pub records_kept: u64,
    /// Segments before.
    pub segments_before: usize,
    /// Segments after.
    pub segments_after: usize,
    /// Share of the memory for keys that was used.
    pub buffer_utilization: f64,
    /// Share of the records whose keys fit: below 1 another pass is needed.
    pub complete: bool,
}

/// What a pass asks after each piece: how many bytes were read or written. It may wait; false ends the pass.
pub type GoOn<'a> = &'a dyn Fn(u64) -> bool;

/// Cleans the log up to where memory suffices. `None` if there is nothing to clean. Blocks; the log is locked only
/// to plan and to replace segments.
///
/// # Errors
/// [`CleanError`].
pub fn clean(
    log: &Mutex<Log>,
    options: &CleanOptions,
    go_on: GoOn<'_>,
) -> Result<Option<CleanReport>, CleanError> {
    let planned = log.lock().clean_plan(options.high_watermark, options.now)?;
    let Some(plan) = planned else { return Ok(None) };
    // What replaces an older record must be as safe as that one was.
    sync_through(log, plan.standing.end_offset)?;
    let pass = Pass { log, plan: &plan, options, go_on };
    pass.run().map(Some).map_err(|error| {
        plan.discard_outputs();
        log.lock().judge_clean_error(&plan, error)
    })
}

struct Pass<'a> {
    log: &'a Mutex<Log>,
    plan: &'a CleanPlan,
    options: &'a CleanOptions,
    go_on: GoOn<'a>,
}

impl Pass<'_> {
    fn run(&self) -> Result<CleanReport, CleanError> {
        let standing = &self.plan.standing;
        let mut report =
            CleanReport { first_dirty_offset: standing.first_dirty_offset, ..CleanReport::default() };
        let map = self.collect_keys(&mut report)?;
        report.end_offset = map.next_offset();
        report.buffer_utilization = map.utilization();
        report.complete = map.next_offset() >= standing.end_offset;
        let mut filter = Filter {
            rules: Rules {
                latest: &map,
                producers: &self.plan.producers,
                replicated_offset: self.options.replicated_offset,
                now: self.options.now,
            },
            transactions: Transactions::new(self.plan.aborted.clone()),
            horizon: self.options.now.saturating_add(self.plan.config.delete_retention_ms),
            counts: Counts::default(),
            aborted: Vec::new(),
        };
        let sources = &self.plan.sources;
        let count = sources.iter().take_while(|source| source.base_offset < map.next_offset()).count();
        let sizes: Vec<Sizes> = sources[..count].iter().map(Source::sizes).collect();
        let config = &self.plan.config;
        for range in group(&sizes, config.segment_bytes, u64::from(config.segment_index_bytes)) {
            let group = &sources[range];
            self.check_room(group)?;
            let cleaned = self.rewrite(group, &mut filter, &mut report)?;
            self.log.lock().replace_segments(self.plan, group, cleaned, self.options.now)?;
            self.plan.sync_dir()?;
            report.segments_before += group.len();
            report.segments_after += 1;
        }
        (report.records_seen, report.records_kept) = (filter.counts.seen, filter.counts.kept);
        self.log.lock().cleaned_to(self.plan, map.next_offset())?;
        Ok(report)
    }

    fn pace(&self, bytes: u64) -> Result<(), CleanError> {
        if (self.go_on)(bytes) { Ok(()) } else { Err(CleanError::Stopped) }
    }

    fn reader(&self, source: &Source) -> Result<BatchReader, CleanError> {
        let file = self.plan.disk.open(&source.path).during("open", &source.path)?;
        let (path, window) = (source.path.clone(), self.options.buffer_bytes);
        Ok(BatchReader::new(file, path, source.size_bytes, source.base_offset, window))
    }

    /// The first part: the keys of what is dirty.
    fn collect_keys(&self, report: &mut CleanReport) -> Result<KeyMap, CleanError> {
        let from = self.plan.standing.first_dirty_offset;
        let room = Room { bytes: self.options.key_bytes, load_factor: self.options.load_factor };
        let mut map = KeyMap::new(from, room, self.options.hash_key);
        let aborted = self.plan.aborted.iter().filter(|entry| entry.last_offset >= from);
        let mut transactions = Transactions::new(aborted.copied().collect());
        for source in self.plan.sources.iter().filter(|source| source.end_offset > from) {
            let mut reader = self.reader(source)?;
            let mut read = |bytes| {
                report.key_bytes_read += bytes;
                self.pace(bytes)
            };
            let mut position = reader.at();
            while let Some((header, bytes)) = reader.next(&mut read)? {
                let fits = note_keys(&mut map, &mut transactions, (&header, bytes), from)
                    .map_err(|error| unreadable(&error, &source.path, position))?;
                if !fits {
                    return Ok(map);
                }
                position = reader.at();
            }
            map.covers(source.end_offset);
        }
        Ok(map)
    }

    /// The second part: one segment of what survives of a group.
    fn rewrite(
        &self,
        group: &[Source],
        filter: &mut Filter<'_>,
        report: &mut CleanReport,
    ) -> Result<Segment, CleanError> {
        let modified_ms = group.iter().map(|source| source.modified_ms).max().unwrap_or(self.options.now);
        let base_offset = group[0].base_offset;
        let place = (&*self.plan.disk, &*self.plan.dir);
        let interval_bytes = self.plan.config.index_interval_bytes;
        let mut output = Output::create(place, base_offset, interval_bytes, modified_ms)?;
        for (index, source) in group.iter().enumerate() {
            let is_last_source = index + 1 == group.len();
            let mut reader = self.reader(source)?;
            let mut read = |bytes| {
                report.read_bytes += bytes;
                self.pace(bytes)
            };
            let mut position = reader.at();
            while let Some((header, bytes)) = reader.next(&mut read)? {
                let ends = position + bytes.len() as u64 == source.size_bytes;
                let start = output.buffer.len();
                let kept = filter
                    .apply(&header, bytes, is_last_source && ends, &mut output.buffer)
                    .map_err(|error| unreadable(&error, &source.path, position))?;
                if let Kept::Batch(header) = kept {
                    output.note(&header, start)?;
                }
                position = reader.at();
                if output.buffer.len() >= self.options.buffer_bytes {
                    self.pace(output.flush()?)?;
                }
            }
        }
        report.written_bytes += output.size_bytes();
        output.finish(&std::mem::take(&mut filter.aborted))
    }

    /// A full volume is for producers and for deletions, not for copies.
    fn check_room(&self, group: &[Source]) -> Result<(), CleanError> {
        let needed_bytes = group.iter().map(|source| source.size_bytes).sum::<u64>() + 2 * RESERVE_BYTES;
        let (free_bytes, _) =
            self.plan.disk.space_bytes(&self.plan.dir).during("look for room in", &self.plan.dir)?;
        if free_bytes < needed_bytes { Err(CleanError::NoRoom { needed_bytes, free_bytes }) } else { Ok(()) }
    }
}

/// Room that is left to others.
const RESERVE_BYTES: u64 = 8 << 20;

/// Notes the keys of a batch; false if there is no room for one of them.
fn note_keys(
    map: &mut KeyMap,
    transactions: &mut Transactions,
    (header, bytes): (&BatchHeader, &[u8]),
    from: Offset,
) -> Result<bool, BatchError> {
    if header.is_control() {
        if let Some(marker) = read_marker(bytes) {
            transactions.see_marker(header, marker);
        }
    } else if !transactions.see_batch(header) {
        let records = decoded(header, bytes)?;
        let mut records = RecordRefs::new(&records, header.record_count);
        let mut some = Vec::new();
        while map.take_some(&mut records, &mut some)? {
            for (record, key) in some.drain(..) {
                let offset = header.base_offset + i64::from(record.offset_delta);
                if let Some(key) = key.filter(|_| offset >= from)
                    && !map.put(key, offset)
                {
                    return Ok(false);
                }
            }
        }
    }
    map.covers(header.next_offset());
    Ok(true)
}

impl CleanPlan {
    /// Removes what a pass that ended early left; opening the log would do it too.
    fn discard_outputs(&self) {
        for source in &self.sources {
            if let Err(error) = discard(&*self.disk, &self.dir, source.base_offset) {
                tracing::debug!(%error, "cannot remove a half-written segment");
            }
        }
    }

    fn sync_dir(&self) -> Result<(), DiskError> {
        self.disk.sync_dir(&self.dir).during("sync", &self.dir)
    }
}
