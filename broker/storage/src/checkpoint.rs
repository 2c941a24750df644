//! Kafka's small text files: offset checkpoints, leader epochs, `meta.properties`, `partition.metadata`.
//!
//! Each is replaced whole: written beside its place, synced, renamed. A reader sees the old or the new one.

use crate::disk::{Disk, write_all_at};
use crate::error::{DiskError, IoContext};
use ottla_types::{LeaderEpoch, Offset, TopicId, TopicPartition};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::Path;

/// Whether a replaced file must survive a crash of the machine at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Content and name are synced before the call returns.
    Synced,
    /// Left to the system; a crash of the process alone loses nothing.
    Cached,
}

/// Replaces `path` by `content`.
///
/// # Errors
/// The disk's; the old file is still there then.
pub fn replace_file(
    disk: &dyn Disk,
    path: &Path,
    content: &[u8],
    durability: Durability,
) -> Result<(), DiskError> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let temporary = Path::new(&temporary);
    let written = (|| {
        let file = disk.create(temporary)?;
        write_all_at(&*file, content, 0)?;
        if durability == Durability::Synced {
            file.sync_data()?;
        }
        disk.rename(temporary, path)?;
        match path.parent() {
            Some(parent) if durability == Durability::Synced => disk.sync_dir(parent),
            _ => Ok(()),
        }
    })();
    written.during("write", path)
}

/// Reads a small text file; `None` if it is not there.
pub(crate) fn read_text(disk: &dyn Disk, path: &Path) -> Result<Option<String>, DiskError> {
    match disk.read_all(path) {
        Ok(bytes) => String::from_utf8(bytes).map(Some).map_err(io::Error::other).during("read", path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).during("read", path),
    }
}

/// The lines of a checkpoint file (`CheckpointFile`: version 0, count, entries), or why it is not one.
fn checkpoint_lines(text: &str) -> Result<Vec<&str>, String> {
    // A number that lost its last digits is a number still; only the line's end says that it is whole.
    if !text.ends_with('\n') {
        return Err("the last line is cut off".to_owned());
    }
    let mut lines = text.lines();
    match lines.next() {
        Some("0") => {}
        other => return Err(format!("version {other:?} instead of 0")),
    }
    let count = lines.next().and_then(|line| line.trim().parse::<usize>().ok()).ok_or("no entry count")?;
    let entries: Vec<&str> = lines.filter(|line| !line.trim().is_empty()).collect();
    if entries.len() != count {
        return Err(format!("{} entries instead of {count}", entries.len()));
    }
    Ok(entries)
}

/// Text of an offset checkpoint (`OffsetCheckpointFile`).
#[must_use]
pub fn format_offsets(offsets: &BTreeMap<TopicPartition, Offset>) -> String {
    let mut text = format!("0\n{}\n", offsets.len());
    for (partition, offset) in offsets {
        let _ = writeln!(text, "{} {} {offset}", partition.topic, partition.partition);
    }
    text
}

/// Reads an offset checkpoint back.
///
/// # Errors
/// What is wrong with the text.
pub fn parse_offsets(text: &str) -> Result<BTreeMap<TopicPartition, Offset>, String> {
    let mut offsets = BTreeMap::new();
    for line in checkpoint_lines(text)? {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [topic, partition, offset] = fields[..] else { return Err(format!("bad entry {line:?}")) };
        let (Ok(partition), Ok(offset)) = (partition.parse(), offset.parse()) else {
            return Err(format!("bad entry {line:?}"));
        };
        offsets.insert(TopicPartition::new(topic, partition), offset);
    }
    Ok(offsets)
}

/// Text of a leader-epoch checkpoint (`LeaderEpochCheckpointFile`).
#[must_use]
pub fn format_epochs(entries: &[(LeaderEpoch, Offset)]) -> String {
    let mut text = format!("0\n{}\n", entries.len());
    for (epoch, start_offset) in entries {
        let _ = writeln!(text, "{epoch} {start_offset}");
    }
    text
}

/// Reads a leader-epoch checkpoint back.
///
/// # Errors
/// What is wrong with the text.
pub fn parse_epochs(text: &str) -> Result<Vec<(LeaderEpoch, Offset)>, String> {
    let mut entries = Vec::new();
    for line in checkpoint_lines(text)? {
        let (epoch, offset) = line.trim().split_once(' ').ok_or_else(|| format!("bad entry {line:?}"))?;
        let (Ok(epoch), Ok(offset)) = (epoch.parse(), offset.trim().parse()) else {
            return Err(format!("bad entry {line:?}"));
        };
        entries.push((LeaderEpoch(epoch), offset));
    }
    Ok(entries)
}

/// Text of `partition.metadata` (KIP-516).
#[must_use]
pub fn format_partition_metadata(topic_id: TopicId) -> String {
    format!("version: 0\ntopic_id: {topic_id}")
}

/// Reads `partition.metadata` back.
///
/// # Errors
/// What is wrong with the text.
pub fn parse_partition_metadata(text: &str) -> Result<TopicId, String> {
    let mut lines = text.lines();
    if lines.next().map(str::trim) != Some("version: 0") {
        return Err("version is not 0".to_owned());
    }
    let id = lines.next().and_then(|line| line.strip_prefix("topic_id: ")).ok_or("no topic_id")?;
    id.trim().parse().map_err(|error: ottla_types::InvalidUuid| error.to_string())
}

/// Text of a Java properties file without anything to escape.
#[must_use]
pub fn format_properties(properties: &BTreeMap<String, String>) -> String {
    let mut text = String::from("#\n");
    for (key, value) in properties {
        let _ = writeln!(text, "{key}={value}");
    }
    text
}

/// Reads a Java properties file of simple `key=value` lines.
#[must_use]
pub fn parse_properties(text: &str) -> BTreeMap<String, String> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with(['#', '!']))
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_read_back_as_written() {
        let offsets = BTreeMap::from([(TopicPartition::new("a-b", 1), 7), (TopicPartition::new("t", 0), 0)]);
        assert_eq!(format_offsets(&offsets), "0\n2\na-b 1 7\nt 0 0\n");
        assert_eq!(parse_offsets(&format_offsets(&offsets)).unwrap(), offsets);
    }

    #[test]
    fn a_checkpoint_cut_short_is_refused() {
        assert!(parse_epochs("0\n2\n0 0\n2 1").is_err(), "of 0 0, 2 124");
        assert!(parse_offsets("0\n2\nt 0 5\n").is_err());
        assert!(parse_offsets("").is_err());
        assert!(parse_epochs("0\n1\n5\n").is_err());
    }

    #[test]
    fn epochs_read_back_as_written() {
        let entries = [(LeaderEpoch(0), 0), (LeaderEpoch(3), 120)];
        assert_eq!(parse_epochs(&format_epochs(&entries)).unwrap(), entries);
    }

    #[test]
    fn partition_metadata_reads_back_as_written() {
        let id = TopicId(uuid::Uuid::from_u128(77));
        assert_eq!(parse_partition_metadata(&format_partition_metadata(id)).unwrap(), id);
    }
}
