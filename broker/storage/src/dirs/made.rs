//! Which replicas were ever made in these directories.
//!
//! A replica that the metadata names and that has no files is either new or lost, and a lost one must not begin again
//! as an empty log: it could be the last that has the records. A journal in the directory of the metadata log tells
//! the two apart. It is not synced: it has to survive the process, as the logs do. After a restart of the machine a
//! replica counts as lost only if some of it had been flushed.
//!
//! One line for each change: `+` or `-`, the topic's id, its name, the partition. A line that is cut off counts for nothing.

use crate::checkpoint::{Durability, read_text, replace_file};
use crate::disk::{Disk, DiskFile, write_all_at};
use crate::error::{DiskError, IoContext};
use ottla_types::{TopicId, TopicPartition};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Lines beyond four for each replica, before the journal is written anew.
const SPARE_LINES: usize = 100_000;

/// A topic's id and a partition of it.
pub(super) type Key = (TopicId, i32);

/// The journal, open for writing.
#[derive(Debug)]
pub(super) struct Made {
    path: PathBuf,
    file: Option<Arc<dyn DiskFile>>,
    end_bytes: u64,
    lines: usize,
    /// The topic's name beside each.
    keys: BTreeMap<Key, String>,
}

impl Made {
    /// A journal without lines.
    pub fn new(path: PathBuf) -> Self {
        Self { path, file: None, end_bytes: 0, lines: 0, keys: BTreeMap::new() }
    }

    /// Reads what is there and takes what `counts`; a file that is missing says nothing.
    pub fn read(
        &mut self,
        disk: &dyn Disk,
        counts: impl Fn(&TopicPartition) -> bool,
    ) -> Result<(), DiskError> {
        let text = read_text(disk, &self.path)?.unwrap_or_default();
        for line in text.split_inclusive('\n') {
            match parse(line) {
                Some((true, topic, key)) => _ = self.keys.insert(key, topic.to_owned()),
                Some((false, _, key)) => _ = self.keys.remove(&key),
                None => {}
            }
        }
        self.keys.retain(|key, topic| counts(&TopicPartition::new(&**topic, key.1)));
        Ok(())
    }

    pub fn contains(&self, key: Key) -> bool {
        self.keys.contains_key(&key)
    }

    /// All of them, with their topics' names.
    pub fn iter(&self) -> impl Iterator<Item = (Key, &str)> + '_ {
        self.keys.iter().map(|(key, topic)| (*key, &**topic))
    }

    /// Notes replicas without writing it down.
    pub fn extend(&mut self, keys: impl IntoIterator<Item = (Key, String)>) {
        self.keys.extend(keys);
    }

    /// Notes that a replica was made.
    pub fn add(&mut self, disk: &dyn Disk, key: Key, topic: &str) -> Result<(), DiskError> {
        match self.keys.insert(key, topic.to_owned()) {
            None => self.append(disk, '+', key, topic),
            Some(_) => Ok(()),
        }
    }

    /// Notes that a replica is not here any more and may be made anew.
    pub fn remove(&mut self, disk: &dyn Disk, key: Key) -> Result<(), DiskError> {
        match self.keys.remove(&key) {
            Some(topic) => self.append(disk, '-', key, &topic),
            None => Ok(()),
        }
    }

    fn append(
        &mut self,
        disk: &dyn Disk,
        sign: char,
        (topic_id, partition): Key,
        topic: &str,
    ) -> Result<(), DiskError> {
        let Some(file) = self.file.clone().filter(|_| self.lines <= SPARE_LINES + 4 * self.keys.len()) else {
            return self.rewrite(disk);
        };
        let line = format!("{sign} {topic_id} {topic} {partition}\n");
        write_all_at(&*file, line.as_bytes(), self.end_bytes).during("write", &self.path)?;
        self.end_bytes += line.len() as u64;
        self.lines += 1;
        Ok(())
    }

    /// Writes one line for each replica, and nothing else.
    pub fn rewrite(&mut self, disk: &dyn Disk) -> Result<(), DiskError> {
        use std::fmt::Write as _;
        let mut text = String::new();
        for ((topic_id, partition), topic) in &self.keys {
            let _ = writeln!(text, "+ {topic_id} {topic} {partition}");
        }
        replace_file(disk, &self.path, text.as_bytes(), Durability::Cached)?;
        self.file = Some(disk.open(&self.path).during("open", &self.path)?);
        self.end_bytes = text.len() as u64;
        self.lines = self.keys.len();
        Ok(())
    }
}

fn parse(line: &str) -> Option<(bool, &str, Key)> {
    let mut words = line.strip_suffix('\n')?.split(' ');
    let is_made = match words.next()? {
        "+" => true,
        "-" => false,
        _ => return None,
    };
    let (topic_id, topic, partition) = (words.next()?, words.next()?, words.next()?);
    let key = (topic_id.parse().ok()?, partition.parse().ok()?);
    words.next().is_none().then_some((is_made, topic, key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::FsDisk;
    use ottla_types::Uuid;

    fn key(number: u128) -> Key {
        (TopicId(Uuid::from_u128(number)), 3)
    }

    #[test]
    fn the_journal_reads_back_and_a_line_cut_off_counts_for_nothing() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("journal");
        let mut made = Made::new(path.clone());
        for number in 1..=3 {
            made.add(&FsDisk, key(number), "topic").unwrap();
        }
        made.remove(&FsDisk, key(2)).unwrap();
        made.add(&FsDisk, key(1), "topic").unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, &text[..text.len() - 2]).unwrap();
        let mut again = Made::new(path);
        again.read(&FsDisk, |_| true).unwrap();
        assert_eq!(again.iter().map(|(key, _)| key).collect::<Vec<_>>(), [key(1), key(2), key(3)]);
        assert!(made.contains(key(1)) && !made.contains(key(2)));
    }
}
