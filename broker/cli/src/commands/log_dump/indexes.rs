//! Index files and producer snapshots.

use super::Sink;
use crate::output;
use ottla_records::{BatchHeader, HEADER_BYTES};
use ottla_storage::producer_state::ProducerStates;
use serde_json::json;
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Largest index that is read; `segment.index.bytes` is 10 MiB by default.
const INDEX_BYTES: u64 = 1 << 30;

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let bytes = std::fs::metadata(path)?.len();
    anyhow::ensure!(bytes <= INDEX_BYTES, "{bytes} bytes are too many for an index");
    Ok(std::fs::read(path)?)
}

fn heading(path: &Path, sink: &mut Sink, entries: usize) -> std::io::Result<()> {
    if sink.silent {
        return output::line(&format!("{}: {entries} entries", path.display()));
    }
    if sink.json {
        Ok(())
    } else {
        sink.print(|| format!("# {} ({entries} entries)", path.display()), || json!({}))
    }
}

fn be_u32(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes))
}

fn be_i64(bytes: &[u8]) -> i64 {
    bytes.first_chunk().map_or(0, |bytes| i64::from_be_bytes(*bytes))
}

/// `.index`: each entry is an offset, relative to the segment's, and the position of its batch. Files that are not
/// closed yet end in zeros, since room for entries is reserved.
pub(super) fn offsets(path: &Path, base_offset: i64, sink: &mut Sink) -> anyhow::Result<()> {
    let bytes = read(path)?;
    let entries: Vec<(i64, u64)> = bytes
        .chunks_exact(8)
        .map(|entry| (be_u32(entry), be_u32(&entry[4..])))
        .take_while(|entry| *entry != (0, 0))
        .map(|(offset, position)| (base_offset + i64::from(offset), u64::from(position)))
        .collect();
    heading(path, sink, entries.len())?;
    let segment = File::open(path.with_extension("log"));
    let mut before: Option<(i64, u64)> = None;
    for (offset, position) in entries {
        sink.print(
            || format!("offset {offset}  position {position}"),
            || json!({"offset": offset, "position": position}),
        )?;
        if before.is_some_and(|(last, at)| offset <= last || position <= at) {
            sink.problem(format!("{}: the entry of offset {offset} is out of order", path.display()));
        }
        before = Some((offset, position));
        if let Ok(segment) = &segment {
            check_offset(path, segment, (offset, position), sink)?;
        }
    }
    Ok(())
}

/// The batch at an entry's position must end with the entry's offset.
fn check_offset(
    path: &Path,
    segment: &File,
    (offset, position): (i64, u64),
    sink: &mut Sink,
) -> anyhow::Result<()> {
    let mut header = [0; HEADER_BYTES];
    match segment.read_exact_at(&mut header, position) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
            sink.problem(format!("{}: offset {offset} points behind the segment's end", path.display()));
        }
        Err(error) => return Err(error.into()),
        Ok(()) => match BatchHeader::parse(&header) {
            Ok(batch) if (batch.base_offset..=batch.last_offset()).contains(&offset) => {}
            Ok(batch) => sink.problem(format!(
                "{}: offset {offset} points to the batch of {} to {}",
                path.display(),
                batch.base_offset,
                batch.last_offset()
            )),
            Err(error) => {
                sink.problem(format!("{}: offset {offset} points to no batch: {error}", path.display()))
            }
        },
    }
    Ok(())
}

/// `.timeindex`: each entry is a timestamp and the offset up to which none is larger.
pub(super) fn times(path: &Path, base_offset: i64, sink: &mut Sink) -> anyhow::Result<()> {
    let bytes = read(path)?;
    let entries: Vec<(i64, i64)> = bytes
        .chunks_exact(12)
        .map(|entry| (be_i64(entry), base_offset + i64::from(be_u32(&entry[8..]))))
        .take_while(|(timestamp, _)| *timestamp > 0)
        .collect();
    heading(path, sink, entries.len())?;
    let mut before: Option<(i64, i64)> = None;
    for (timestamp, offset) in entries {
        sink.print(
            || format!("timestamp {}  offset {offset}", output::time(timestamp)),
            || json!({"timestamp": timestamp, "offset": offset}),
        )?;
        if before.is_some_and(|(last, at)| timestamp < last || offset < at) {
            sink.problem(format!("{}: the entry of offset {offset} is out of order", path.display()));
        }
        before = Some((timestamp, offset));
    }
    Ok(())
}

/// `.txnindex`: aborted transactions whose markers are in the segment.
pub(super) fn transactions(path: &Path, sink: &mut Sink) -> anyhow::Result<()> {
    let bytes = read(path)?;
    heading(path, sink, bytes.len() / 34)?;
    for entry in bytes.chunks_exact(34) {
        let fields: Vec<i64> = entry[2..].chunks_exact(8).map(be_i64).collect();
        let [producer_id, first_offset, last_offset, last_stable_offset] = fields[..] else { continue };
        sink.print(
            || format!("producer {producer_id}  aborted {first_offset}..{last_offset}  last stable {last_stable_offset}"),
            || {
                json!({"producer_id": producer_id, "first_offset": first_offset, "last_offset": last_offset,
                    "last_stable_offset": last_stable_offset})
            },
        )?;
    }
    Ok(())
}

/// `.snapshot`: what was known of producers at an offset.
pub(super) fn producers(path: &Path, sink: &mut Sink) -> anyhow::Result<()> {
    let states = match ProducerStates::decode(&read(path)?) {
        Ok(states) => states,
        Err(error) => {
            sink.problem(format!("{}: {error}", path.display()));
            return Ok(());
        }
    };
    heading(path, sink, states.len())?;
    for producer in states.views() {
        let (id, epoch) = (producer.producer_id, producer.producer_epoch);
        let (sequence, timestamp) = (producer.last_sequence, producer.last_timestamp);
        sink.print(
            || format!("producer {id}  epoch {epoch}  last sequence {sequence}  {}", output::time(timestamp)),
            || json!({"producer_id": id.0, "epoch": epoch.0, "last_sequence": sequence, "last_timestamp": timestamp,
                "transaction_start_offset": producer.transaction_start_offset}),
        )?;
    }
    Ok(())
}
