//! What the simulated disk knows: files with their synced and unsynced content, and the journals of directories.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IoSlice};
use std::ops::Range;
use std::path::{Path, PathBuf};

const SECTOR_BYTES: u64 = 512;

/// Something in a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Node {
    Dir,
    /// Index into the files.
    File(usize),
}

/// A change of a directory.
#[derive(Debug, Clone)]
pub(super) enum Change {
    Put(PathBuf, Node),
    Remove(PathBuf),
    Rename(PathBuf, PathBuf),
}

impl Change {
    /// The directory it is in; of a rename, the one it leads to.
    fn dir(&self) -> &Path {
        let (Self::Put(path, _) | Self::Remove(path) | Self::Rename(_, path)) = self;
        path.parent().unwrap_or(path)
    }

    fn touches(&self, dir: &Path) -> bool {
        let within = |path: &Path| path.parent() == Some(dir);
        match self {
            Self::Put(path, _) | Self::Remove(path) => within(path),
            Self::Rename(from, to) => within(from) || within(to),
        }
    }

    fn apply(&self, nodes: &mut BTreeMap<PathBuf, Node>) {
        match self {
            Self::Put(path, node) => {
                nodes.insert(path.clone(), *node);
            }
            Self::Remove(path) => {
                nodes.remove(path);
            }
            Self::Rename(from, to) => {
                let moved: Vec<(PathBuf, Node)> = nodes
                    .iter()
                    .filter(|(path, _)| path.starts_with(from))
                    .map(|(path, node)| (path.clone(), *node))
                    .collect();
                for (path, node) in moved {
                    nodes.remove(&path);
                    let rest = path.strip_prefix(from).unwrap_or(Path::new(""));
                    let target = if rest.as_os_str().is_empty() { to.clone() } else { to.join(rest) };
                    nodes.insert(target, node);
                }
            }
        }
    }
}

/// A file's content.
#[derive(Debug, Clone, Default)]
pub(super) struct Content {
    live: Vec<u8>,
    synced: Vec<u8>,
    /// Where the two may differ, but for their lengths.
    dirty: Range<usize>,
    /// It is in a directory, and so takes room.
    is_linked: bool,
}

impl Content {
    pub(super) fn len(&self) -> u64 {
        self.live.len() as u64
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.live
    }

    fn set_len(&mut self, len: usize) {
        self.note_dirty(self.live.len().min(len)..len);
        resize(&mut self.live, len);
    }

    fn write(&mut self, bytes: &[u8], position: usize) {
        let end = position + bytes.len();
        if self.live.len() < end {
            self.set_len(end);
        }
        self.note_dirty(position..end);
        self.live[position..end].copy_from_slice(bytes);
    }

    fn note_dirty(&mut self, range: Range<usize>) {
        self.dirty = if self.dirty.is_empty() {
            range
        } else {
            self.dirty.start.min(range.start)..self.dirty.end.max(range.end)
        };
    }

    pub(super) fn sync(&mut self) {
        resize(&mut self.synced, self.live.len());
        let end = self.dirty.end.min(self.live.len());
        let start = self.dirty.start.min(end);
        self.synced[start..end].copy_from_slice(&self.live[start..end]);
        self.dirty = 0..0;
    }

    /// Keeps what was synced, and of what differs from it each sector or not.
    fn lose_unsynced(&mut self, chance: &mut Chance) {
        if self.live == self.synced {
            return;
        }
        let len = match chance.below(3) {
            0 => self.synced.len(),
            1 => self.live.len(),
            _ => {
                let (low, high) =
                    (self.synced.len().min(self.live.len()), self.synced.len().max(self.live.len()));
                low + chance.below((high - low + 1) as u64) as usize
            }
        };
        let mut content = self.synced.clone();
        resize(&mut content, len);
        for start in (0..len).step_by(SECTOR_BYTES as usize) {
            let end = (start + SECTOR_BYTES as usize).min(len).min(self.live.len());
            if start < end && chance.below(2) == 0 {
                content[start..end].copy_from_slice(&self.live[start..end]);
            }
        }
        self.live.clone_from(&content);
        self.synced = content;
        self.dirty = 0..0;
    }
}

/// Cuts, or extends by zeros. Copied: builds for tests would write them one by one.
fn resize(bytes: &mut Vec<u8>, len: usize) {
    let missing = vec![0; len.saturating_sub(bytes.len())];
    bytes.truncate(len);
    bytes.extend_from_slice(&missing);
}

/// A small generator (SplitMix64): the same seed makes the same accidents.
#[derive(Debug, Clone)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % end.max(1)
    }
}

#[derive(Debug, Clone)]
pub(super) struct State {
    pub(super) live: BTreeMap<PathBuf, Node>,
    /// The directories as of the last change that is on disk for sure.
    synced: BTreeMap<PathBuf, Node>,
    /// Changes since, of each file system: its root, and what happened in it in order.
    journals: Vec<(PathBuf, Vec<Change>)>,
    pub(super) files: Vec<Content>,
    pub(super) locks: BTreeSet<PathBuf>,
    pub(super) chance: Chance,
    pub(super) operations: u64,
    pub(super) stop_at: Option<u64>,
    pub(super) stopped: bool,
    pub(super) fail_syncs: bool,
    pub(super) failing: Option<PathBuf>,
    pub(super) capacity_bytes: u64,
    /// Of the files in directories.
    used_bytes: u64,
    /// Counts crashes: files opened in an earlier life are dead.
    pub(super) life: u64,
}

impl State {
    pub(super) fn new(seed: u64) -> Self {
        let root = BTreeMap::from([(PathBuf::from("/"), Node::Dir)]);
        Self {
            live: root.clone(),
            synced: root,
            journals: vec![(PathBuf::from("/"), Vec::new())],
            files: Vec::new(),
            locks: BTreeSet::new(),
            chance: Chance(seed),
            operations: 0,
            stop_at: None,
            stopped: false,
            fail_syncs: false,
            failing: None,
            capacity_bytes: 1 << 40,
            used_bytes: 0,
            life: 0,
        }
    }

    /// Counts an operation; fails if the disk has stopped or stops now.
    pub(super) fn change(&mut self, path: &Path) -> io::Result<()> {
        self.check_readable(path)?;
        if self.stops_now() {
            return Err(stopped());
        }
        Ok(())
    }

    /// Counts an operation; true if it is the one to stop at.
    pub(super) fn stops_now(&mut self) -> bool {
        let now = self.operations;
        self.operations += 1;
        self.stopped |= self.stop_at.is_some_and(|stop_at| now >= stop_at);
        self.stopped
    }

    pub(super) fn check_readable(&self, path: &Path) -> io::Result<()> {
        if self.stopped {
            return Err(stopped());
        }
        match &self.failing {
            Some(failing) if path.starts_with(failing) => Err(io::Error::from_raw_os_error(libc::EIO)),
            _ => Ok(()),
        }
    }

    pub(super) fn check_sync(&self) -> io::Result<()> {
        if self.fail_syncs { Err(io::Error::from_raw_os_error(libc::EIO)) } else { Ok(()) }
    }

    pub(super) fn check_parent(&self, path: &Path) -> io::Result<()> {
        match path.parent().and_then(|parent| self.live.get(parent)) {
            Some(Node::Dir) => Ok(()),
            Some(Node::File(_)) => Err(io::ErrorKind::NotADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    pub(super) fn new_file(&mut self) -> usize {
        self.files.push(Content::default());
        self.files.len() - 1
    }

    pub(super) fn apply(&mut self, change: Change) {
        match &change {
            Change::Put(_, Node::File(id)) => self.link(*id, true),
            Change::Put(..) => {}
            Change::Remove(gone) | Change::Rename(_, gone) => {
                if let Some(Node::File(id)) = self.live.get(gone).copied() {
                    self.link(id, false);
                }
            }
        }
        change.apply(&mut self.live);
        self.journal_of(change.dir()).push(change);
    }

    /// Makes a directory that is the root of a file system of its own, with its own journal.
    pub(super) fn mount(&mut self, root: &Path) {
        self.live.insert(root.to_owned(), Node::Dir);
        self.synced.insert(root.to_owned(), Node::Dir);
        self.journals.push((root.to_owned(), Vec::new()));
    }

    /// The root of the file system that the entries of `dir` are in.
    pub(super) fn root_of(&self, dir: &Path) -> &Path {
        let mounted = self.journals[1..].iter().find(|(root, _)| dir.starts_with(root));
        &mounted.unwrap_or(&self.journals[0]).0
    }

    fn journal_of(&mut self, dir: &Path) -> &mut Vec<Change> {
        let mounted = self.journals[1..].iter().position(|(root, _)| dir.starts_with(root));
        &mut self.journals[mounted.map_or(0, |index| index + 1)].1
    }

    fn link(&mut self, id: usize, is_linked: bool) {
        let content = &mut self.files[id];
        let before = std::mem::replace(&mut content.is_linked, is_linked);
        match (before, is_linked) {
            (false, true) => self.used_bytes += content.len(),
            (true, false) => self.used_bytes -= content.len(),
            _ => {}
        }
    }

    /// Changes a file's content.
    fn alter(&mut self, id: usize, change: impl FnOnce(&mut Content)) {
        let content = &mut self.files[id];
        let before = content.len();
        change(content);
        if content.is_linked {
            self.used_bytes = self.used_bytes - before + content.len();
        }
    }

    pub(super) fn set_len(&mut self, id: usize, len: usize) {
        self.alter(id, |content| content.set_len(len));
    }

    /// Writes the first `bytes` of the slices.
    pub(super) fn write(&mut self, id: usize, slices: &[IoSlice<'_>], bytes: usize, position: usize) {
        self.alter(id, |content| {
            let (mut position, mut left) = (position, bytes);
            for slice in slices {
                let part = &slice[..slice.len().min(left)];
                content.write(part, position);
                position += part.len();
                left -= part.len();
            }
        });
    }

    pub(super) fn sync_dir(&mut self, dir: &Path) {
        let journal = self.journal_of(dir);
        let through = journal.iter().rposition(|change| change.touches(dir)).map_or(0, |last| last + 1);
        let durable: Vec<Change> = journal.drain(..through).collect();
        durable.iter().for_each(|change| change.apply(&mut self.synced));
    }

    pub(super) fn used_bytes(&self) -> u64 {
        self.used_bytes
    }

    pub(super) fn free_bytes(&self) -> u64 {
        self.capacity_bytes.saturating_sub(self.used_bytes)
    }

    /// Counts what is in the directories anew.
    fn count_used(&mut self) {
        self.files.iter_mut().for_each(|content| content.is_linked = false);
        self.used_bytes = 0;
        let ids = self.live.values().filter_map(|node| match node {
            Node::File(id) => Some(*id),
            Node::Dir => None,
        });
        for id in ids {
            self.files[id].is_linked = true;
            self.used_bytes += self.files[id].len();
        }
    }

    pub(super) fn lose_unsynced(&mut self) {
        for (_, journal) in &mut self.journals {
            let kept = self.chance.below(journal.len() as u64 + 1) as usize;
            journal.drain(..).take(kept).for_each(|change| change.apply(&mut self.synced));
        }
        self.live = self.synced.clone();
        for content in &mut self.files {
            content.lose_unsynced(&mut self.chance);
        }
        self.count_used();
    }

    pub(super) fn restart(&mut self) {
        self.life += 1;
        self.locks.clear();
        self.stop_at = None;
        self.stopped = false;
    }

    pub(super) fn flip_bit(&mut self, path: &Path, position: u64, bit: u8) -> io::Result<()> {
        let Some(Node::File(id)) = self.live.get(path) else { return Err(io::ErrorKind::NotFound.into()) };
        let content = &mut self.files[*id];
        for bytes in [&mut content.live, &mut content.synced] {
            if let Some(byte) = bytes.get_mut(position as usize) {
                *byte ^= 1 << (bit % 8);
            }
        }
        Ok(())
    }
}

pub(super) fn stopped() -> io::Error {
    io::Error::other("the simulated disk has stopped")
}
