//! A file of fixed-size entries that only grows at its end: the shape of Kafka's sparse indexes.
//!
//! Entries wait in memory in a small block and go to the file together. Nothing else is kept in memory: a search reads
//! the file, first single entries, then one block. So an index of any size costs a few bytes until it is used.

use crate::disk::{Disk, DiskFile, read_full_at, write_all_at};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Entries that wait before they are written.
const BLOCK_ENTRIES: usize = 64;
const MAX_ENTRY_BYTES: usize = 34;

/// An entry with a fixed encoding.
pub(crate) trait Entry: Copy {
    const BYTES: usize;
    fn encode(&self, out: &mut [u8]);
    fn decode(bytes: &[u8]) -> Self;
}

/// Where the file of an index is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EntryPlace<'a> {
    pub(crate) disk: &'a dyn Disk,
    pub(crate) path: &'a Path,
}

/// The entries of one index.
#[derive(Debug)]
pub(crate) struct EntryFile<E> {
    file: Option<Arc<dyn DiskFile>>,
    /// Entries in the file; `exists` says whether there is one at all.
    persisted: u32,
    exists: bool,
    /// Written since the last sync.
    dirty: bool,
    tail: Vec<E>,
    used: bool,
}

impl<E: Entry> EntryFile<E> {
    /// An index without a file yet.
    pub(crate) fn new() -> Self {
        Self { file: None, persisted: 0, exists: false, dirty: false, tail: Vec::new(), used: false }
    }

    /// The index in a file of `len_bytes`. A part of an entry at its end does not count.
    pub(crate) fn existing(len_bytes: u64) -> Self {
        let persisted = u32::try_from(len_bytes / E::BYTES as u64).unwrap_or(u32::MAX);
        Self { exists: true, persisted, ..Self::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.persisted as usize + self.tail.len()
    }

    pub(crate) fn len_bytes(&self) -> u64 {
        (self.len() * E::BYTES) as u64
    }

    pub(crate) fn exists(&self) -> bool {
        self.exists
    }

    /// Adds an entry; true when the block is full and [`Self::flush`] is due.
    pub(crate) fn push(&mut self, entry: E) -> bool {
        if self.tail.capacity() == 0 {
            self.tail.reserve_exact(BLOCK_ENTRIES);
        }
        self.tail.push(entry);
        self.tail.len() >= BLOCK_ENTRIES
    }

    /// True if entries wait to be written.
    pub(crate) fn waits(&self) -> bool {
        !self.tail.is_empty()
    }

    /// Writes what waits.
    pub(crate) fn flush(&mut self, place: EntryPlace<'_>) -> io::Result<()> {
        if self.tail.is_empty() {
            return Ok(());
        }
        let mut bytes = vec![0; self.tail.len() * E::BYTES];
        for (entry, out) in self.tail.iter().zip(bytes.chunks_exact_mut(E::BYTES)) {
            entry.encode(out);
        }
        let position = u64::from(self.persisted) * E::BYTES as u64;
        let file = self.file(place)?;
        write_all_at(&*file, &bytes, position)?;
        self.persisted += self.tail.len() as u32;
        self.tail.clear();
        self.dirty = true;
        Ok(())
    }

    /// The entry at `index`, which must be below [`Self::len`].
    pub(crate) fn get(&mut self, place: EntryPlace<'_>, index: usize) -> io::Result<E> {
        if let Some(in_tail) = index.checked_sub(self.persisted as usize) {
            return Ok(self.tail[in_tail]);
        }
        let file = self.file(place)?;
        read_entry(&*file, index)
    }

    pub(crate) fn last(&mut self, place: EntryPlace<'_>) -> io::Result<Option<E>> {
        match self.len() {
            0 => Ok(None),
            len => self.get(place, len - 1).map(Some),
        }
    }

    /// The last entry for which `is_before` holds, and its index; it must hold for a prefix of the entries.
    pub(crate) fn last_where(
        &mut self,
        place: EntryPlace<'_>,
        is_before: impl Fn(&E) -> bool,
    ) -> io::Result<Option<(usize, E)>> {
        let persisted = self.persisted as usize;
        if self.tail.first().is_some_and(&is_before) {
            let found = self.tail.partition_point(&is_before) - 1;
            return Ok(Some((persisted + found, self.tail[found])));
        }
        if persisted == 0 {
            return Ok(None);
        }
        let file = self.file(place)?;
        let (mut low, mut high) = (0, persisted);
        while high - low > BLOCK_ENTRIES {
            let middle = low + (high - low) / 2;
            if is_before(&read_entry::<E>(&*file, middle)?) { low = middle } else { high = middle }
        }
        let mut block = [0; BLOCK_ENTRIES * MAX_ENTRY_BYTES];
        let block = &mut block[..(high - low) * E::BYTES];
        let read = read_full_at(&*file, block, (low * E::BYTES) as u64)?;
        let entries = block[..read].chunks_exact(E::BYTES).map(E::decode);
        Ok(entries.take_while(is_before).enumerate().last().map(|(index, entry)| (low + index, entry)))
    }

    /// All entries, for small indexes.
    pub(crate) fn all(&mut self, place: EntryPlace<'_>) -> io::Result<Vec<E>> {
        (0..self.len()).map(|index| self.get(place, index)).collect()
    }

    /// Keeps the first `len` entries.
    pub(crate) fn truncate(&mut self, place: EntryPlace<'_>, len: usize) -> io::Result<()> {
        if let Some(in_tail) = len.checked_sub(self.persisted as usize) {
            self.tail.truncate(in_tail);
        } else {
            self.tail.clear();
            self.persisted = len as u32;
        }
        if self.exists {
            self.file(place)?.set_len(u64::from(self.persisted) * E::BYTES as u64)?;
            self.dirty = true;
        }
        Ok(())
    }

    /// The file to sync, if anything was written to it; it counts as synced from now on.
    pub(crate) fn take_dirty(&mut self, place: EntryPlace<'_>) -> io::Result<Option<Arc<dyn DiskFile>>> {
        if !std::mem::take(&mut self.dirty) {
            return Ok(None);
        }
        self.file(place).map(Some)
    }

    /// Makes the file, if there is none yet.
    pub(crate) fn ensure(&mut self, place: EntryPlace<'_>) -> io::Result<()> {
        self.file(place).map(drop)
    }

    /// Gives file and memory back if not used since the last call. What waits must have been flushed.
    pub(crate) fn cool(&mut self) {
        if !std::mem::take(&mut self.used) && self.tail.is_empty() {
            self.file = None;
            self.tail = Vec::new();
        }
    }

    /// Gives the file back at once, and the memory if nothing waits in it.
    pub(crate) fn release(&mut self) {
        self.used = false;
        self.file = None;
        if self.tail.is_empty() && self.exists {
            self.tail = Vec::new();
        }
    }

    fn file(&mut self, place: EntryPlace<'_>) -> io::Result<Arc<dyn DiskFile>> {
        self.used = true;
        if let Some(file) = &self.file {
            return Ok(Arc::clone(file));
        }
        let file = if self.exists { place.disk.open(place.path)? } else { place.disk.create(place.path)? };
        self.exists = true;
        self.file = Some(Arc::clone(&file));
        Ok(file)
    }
}

fn read_entry<E: Entry>(file: &dyn DiskFile, index: usize) -> io::Result<E> {
    let mut bytes = [0; MAX_ENTRY_BYTES];
    let read = read_full_at(file, &mut bytes[..E::BYTES], (index * E::BYTES) as u64)?;
    if read < E::BYTES {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(E::decode(&bytes[..E::BYTES]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::OffsetEntry;
    use crate::sim_disk::SimDisk;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_search_finds_what_a_linear_search_finds(
            steps in prop::collection::vec(1..50u32, 0..400),
            flushes in prop::collection::vec(0..400usize, 0..5),
            cut in prop::option::of(0..400usize),
            reopen: bool,
        ) {
            let disk = SimDisk::new(1);
            let place = EntryPlace { disk: &disk, path: Path::new("/00000000000000000000.index") };
            let mut file = EntryFile::new();
            let mut entries = Vec::new();
            let mut offset = 0;
            for (index, step) in steps.iter().enumerate() {
                offset += step;
                let entry = OffsetEntry { relative_offset: offset, position: offset * 10 };
                entries.push(entry);
                if file.push(entry) || flushes.contains(&index) {
                    file.flush(place).unwrap();
                    file.release();
                }
            }
            if let Some(cut) = cut.filter(|cut| *cut < entries.len()) {
                file.truncate(place, cut).unwrap();
                entries.truncate(cut);
            }
            if reopen && !entries.is_empty() {
                file.flush(place).unwrap();
                file = EntryFile::existing(disk.open(place.path).unwrap().len().unwrap());
            }
            prop_assert_eq!(file.all(place).unwrap(), entries.clone());
            prop_assert_eq!(file.last(place).unwrap(), entries.last().copied());
            for target in (0..offset + 60).step_by(7) {
                let expected = entries.iter().enumerate().rfind(|(_, entry)| entry.relative_offset <= target);
                let found = file.last_where(place, |entry| entry.relative_offset <= target).unwrap();
                prop_assert_eq!(found, expected.map(|(index, entry)| (index, *entry)));
            }
        }
    }
}
