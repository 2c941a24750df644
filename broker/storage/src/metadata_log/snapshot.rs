//! Snapshot files: `<20-digit index>-<10-digit term>.checkpoint` (KIP-630's naming).
//!
//! The content lies in batches of one record each; the last record has the key `end` and the content's length, so that
//! a file cut between batches is known as such.

use super::{Entry, MAX_ENTRY_BYTES, MetadataLogError, keyed_batch};
use crate::disk::{Disk, write_all_at};
use crate::error::IoContext;
use bytes::{Bytes, BytesMut};
use ottla_records::split;
use ottla_types::TimestampMs;
use std::path::Path;

const SUFFIX: &str = ".checkpoint";
const PART: &str = ".part";
const CHUNK_BYTES: usize = 1 << 20;
const END_KEY: &[u8] = b"end";

pub(super) fn file_name(index: u64, term: u64) -> String {
    format!("{index:020}-{term:010}{SUFFIX}")
}

fn parse_name(name: &str) -> Option<(u64, u64)> {
    let (index, term) = name.strip_suffix(SUFFIX)?.split_once('-')?;
    Some((index.parse().ok()?, term.parse().ok()?))
}

pub(super) fn write(
    disk: &dyn Disk,
    dir: &Path,
    (index, term): (u64, u64),
    content: &[u8],
    now: TimestampMs,
) -> Result<(), MetadataLogError> {
    let path = dir.join(file_name(index, term));
    let part = dir.join(format!("{}{PART}", file_name(index, term)));
    let file = disk.create(&part).during("create", &part)?;
    let mut position = 0;
    let mut number = 0;
    let mut put = |key: Option<&[u8]>, data: &[u8]| -> Result<(), MetadataLogError> {
        let batch = keyed_batch((number, term), key, data, now)?;
        write_all_at(&*file, &batch, position).during("write", &part)?;
        position += batch.len() as u64;
        number += 1;
        Ok(())
    };
    for chunk in content.chunks(CHUNK_BYTES) {
        put(None, chunk)?;
    }
    put(Some(END_KEY), &(content.len() as u64).to_be_bytes())?;
    file.sync_data().during("sync", &part)?;
    disk.rename(&part, &path).during("rename", &part)?;
    disk.sync_dir(dir).during("sync", dir)?;
    Ok(())
}

/// Indexes and terms of all snapshots, and the newest one.
type Loaded = (Vec<(u64, u64)>, Option<Entry>);

/// The snapshots there are, and the newest one that reads back. Removes what a crash left half written.
pub(super) fn load_newest(disk: &dyn Disk, dir: &Path) -> Result<Loaded, MetadataLogError> {
    let mut found = Vec::new();
    for entry in disk.list(dir).during("list", dir)? {
        if entry.name.ends_with(PART) {
            let path = dir.join(&entry.name);
            disk.remove_file(&path).during("remove", &path)?;
        } else if let Some(id) = parse_name(&entry.name) {
            found.push(id);
        }
    }
    found.sort_unstable();
    let Some(&(index, term)) = found.last() else { return Ok((found, None)) };
    let content = read(disk, &dir.join(file_name(index, term)))?;
    Ok((found, Some((index, term, content))))
}

/// A snapshot was durable before it got its name, so one that does not read back is damaged, and nothing older is
/// taken in its place: the entries between may be gone.
fn read(disk: &dyn Disk, path: &Path) -> Result<Bytes, MetadataLogError> {
    let damaged = |reason: String| MetadataLogError::Damaged { path: path.to_owned(), reason };
    let mut content = BytesMut::new();
    for batch in split(Bytes::from(disk.read_all(path).during("read", path)?)) {
        let batch = batch?;
        batch.verify_crc()?;
        for record in batch.records(MAX_ENTRY_BYTES)? {
            let record = record?;
            let value = record.value.unwrap_or_default();
            if record.key.as_deref() == Some(END_KEY) {
                let complete = *value == (content.len() as u64).to_be_bytes();
                return if complete {
                    Ok(content.freeze())
                } else {
                    Err(damaged("parts are missing".to_owned()))
                };
            }
            content.extend_from_slice(&value);
        }
    }
    Err(damaged("its end is missing".to_owned()))
}
