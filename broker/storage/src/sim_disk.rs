//! A disk in memory that crashes, tears, fails and fills up on demand. Everything it does follows from its seed.
//!
//! What it promises is what [`Disk`] promises, and no more:
//! - `sync_data` makes a file's content survive [`SimDisk::crash_machine`]; of what was written since, each sector
//!   survives or not, as the seed says; a file that grew may keep its new length with zeros where content was lost;
//! - changes of directories form one journal, as in ext4 and XFS: a crash keeps a prefix of it, which holds at least
//!   what `sync_dir` was called for; below each [`SimDisk::mount`] is a file system with a journal of its own;
//! - the end of the process ([`SimDisk::crash_process`]) loses nothing but the end of a write that was under way.
//!
//! [`SimDisk::crash_at`] makes the disk stop at a certain operation: it is done in part, and everything after it fails
//! until a crash is chosen.

mod file;
mod state;

use crate::disk::{DirEntry, Disk, DiskFile, DiskLock};
use file::SimFile;
use parking_lot::Mutex;
use state::{Change, Node, State};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A disk in memory.
#[derive(Debug, Clone)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

impl SimDisk {
    /// An empty disk whose accidents follow from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { state: Arc::new(Mutex::new(State::new(seed))) }
    }

    /// Another disk with the same content and the same accidents to come.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self { state: Arc::new(Mutex::new(self.state.lock().clone())) }
    }

    /// Makes the directory `root`, durably, with a file system of its own in it: what a crash keeps of it has nothing to do
    /// with what it keeps elsewhere, and nothing can be renamed from one to the other. Not within another one.
    pub fn mount(&self, root: &Path) {
        self.state.lock().mount(root);
    }

    /// Operations that changed something, or tried to, so far.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.state.lock().operations
    }

    /// Stops the disk at the given operation, counted as by [`Self::operations`] from now on (0 is the next one).
    pub fn crash_at(&self, operation: u64) {
        let mut state = self.state.lock();
        state.stop_at = Some(state.operations + operation);
    }

    /// True once the disk has stopped.
    #[must_use]
    pub fn has_stopped(&self) -> bool {
        self.state.lock().stopped
    }

    /// The process ended: the disk goes on with everything it was given. Open files and locks are gone.
    pub fn crash_process(&self) {
        self.state.lock().restart();
    }

    /// The machine ended: the disk goes on with what was synced and, by chance, some of the rest.
    pub fn crash_machine(&self) {
        let mut state = self.state.lock();
        state.lose_unsynced();
        state.restart();
    }

    /// From now on every sync fails (or works again).
    pub fn fail_syncs(&self, fail: bool) {
        self.state.lock().fail_syncs = fail;
    }

    /// True while syncs fail.
    #[must_use]
    pub fn fails(&self) -> bool {
        self.state.lock().fail_syncs
    }

    /// From now on everything below `path` fails with an IO error.
    pub fn fail_path(&self, path: &Path) {
        self.state.lock().failing = Some(path.to_owned());
    }

    /// Limits the disk to so many bytes of file content.
    pub fn set_capacity(&self, capacity_bytes: u64) {
        self.state.lock().capacity_bytes = capacity_bytes;
    }

    /// Bytes of file content.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.state.lock().used_bytes()
    }

    /// Flips a bit of a file, synced or not.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn flip_bit(&self, path: &Path, position: u64, bit: u8) -> io::Result<()> {
        self.state.lock().flip_bit(path, position, bit)
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let state = self.state.lock();
        state.check_readable(path)?;
        match state.live.get(path) {
            Some(Node::File(id)) => Ok(SimFile::open(&self.state, &state, path, *id)),
            Some(Node::Dir) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state.lock();
        state.change(path)?;
        state.check_parent(path)?;
        let id = match state.live.get(path) {
            Some(Node::Dir) => return Err(io::ErrorKind::IsADirectory.into()),
            Some(Node::File(id)) => {
                let id = *id;
                state.set_len(id, 0);
                id
            }
            None => {
                let id = state.new_file();
                state.apply(Change::Put(path.to_owned(), Node::File(id)));
                id
            }
        };
        Ok(SimFile::open(&self.state, &state, path, id))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.change(from)?;
        state.check_parent(to)?;
        if !state.live.contains_key(from) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let root = |path: &Path| path.parent().map(|dir| state.root_of(dir));
        if root(from) != root(to) {
            return Err(io::ErrorKind::CrossesDevices.into());
        }
        state.apply(Change::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.change(path)?;
        match state.live.get(path) {
            Some(Node::File(_)) => state.apply(Change::Remove(path.to_owned())),
            Some(Node::Dir) => return Err(io::ErrorKind::IsADirectory.into()),
            None => return Err(io::ErrorKind::NotFound.into()),
        }
        Ok(())
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        let all: Vec<PathBuf> = state.live.keys().filter(|known| known.starts_with(path)).cloned().collect();
        if all.is_empty() {
            return Err(io::ErrorKind::NotFound.into());
        }
        for known in all.into_iter().rev() {
            state.change(&known)?;
            state.apply(Change::Remove(known));
        }
        Ok(())
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.change(path)?;
        state.check_parent(path)?;
        if state.live.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.apply(Change::Put(path.to_owned(), Node::Dir));
        Ok(())
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let ancestors: Vec<&Path> = path.ancestors().collect();
        for dir in ancestors.into_iter().rev() {
            let exists = match self.state.lock().live.get(dir) {
                Some(Node::Dir) => true,
                Some(Node::File(_)) => return Err(io::ErrorKind::NotADirectory.into()),
                None => dir.parent().is_none() || dir.as_os_str().is_empty(),
            };
            if !exists {
                self.create_dir(dir)?;
            }
        }
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let state = self.state.lock();
        state.check_readable(path)?;
        if !matches!(state.live.get(path), Some(Node::Dir)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let children = state.live.iter().filter(|(known, _)| known.parent() == Some(path));
        Ok(children
            .filter_map(|(known, node)| {
                let name = known.file_name()?.to_str()?.to_owned();
                let len_bytes = match node {
                    Node::File(id) => state.files[*id].len(),
                    Node::Dir => 0,
                };
                Some(DirEntry { name, is_dir: *node == Node::Dir, len_bytes, modified_ms: 0 })
            })
            .collect())
    }

    fn exists(&self, path: &Path) -> bool {
        self.state.lock().live.contains_key(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.change(path)?;
        state.check_sync()?;
        state.sync_dir(path);
        Ok(())
    }

    fn space_bytes(&self, path: &Path) -> io::Result<(u64, u64)> {
        let state = self.state.lock();
        state.check_readable(path)?;
        Ok((state.free_bytes(), state.capacity_bytes))
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        if !self.exists(path) {
            self.create(path)?;
        }
        let mut state = self.state.lock();
        if !state.locks.insert(path.to_owned()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let life = state.life;
        Ok(Box::new(SimLock { state: Arc::clone(&self.state), path: path.to_owned(), life }))
    }
}

#[derive(Debug)]
struct SimLock {
    state: Arc<Mutex<State>>,
    path: PathBuf,
    life: u64,
}

impl DiskLock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut state = self.state.lock();
        if state.life == self.life {
            state.locks.remove(&self.path);
        }
    }
}
