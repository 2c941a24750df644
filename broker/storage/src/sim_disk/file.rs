//! An open file of the simulated disk.

use super::state::{State, stopped};
use crate::disk::DiskFile;
use parking_lot::Mutex;
use std::io::{self, IoSlice};
use std::os::fd::RawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct SimFile {
    state: Arc<Mutex<State>>,
    path: PathBuf,
    id: usize,
    life: u64,
}

impl SimFile {
    pub(super) fn open(
        shared: &Arc<Mutex<State>>,
        state: &State,
        path: &Path,
        id: usize,
    ) -> Arc<dyn DiskFile> {
        Arc::new(Self { state: Arc::clone(shared), path: path.to_owned(), id, life: state.life })
    }

    fn check(&self, state: &State) -> io::Result<()> {
        if state.life != self.life {
            return Err(stopped());
        }
        state.check_readable(&self.path)
    }
}

impl DiskFile for SimFile {
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let state = self.state.lock();
        self.check(&state)?;
        let content = state.files[self.id].bytes();
        let start = (position as usize).min(content.len());
        let read = buffer.len().min(content.len() - start);
        buffer[..read].copy_from_slice(&content[start..start + read]);
        Ok(read)
    }

    fn write_all_at(&self, slices: &[IoSlice<'_>], position: u64) -> io::Result<()> {
        let mut state = self.state.lock();
        self.check(&state)?;
        let bytes: u64 = slices.iter().map(|slice| slice.len() as u64).sum();
        if state.stops_now() {
            let written = state.chance.below(bytes + 1);
            state.write(self.id, slices, written as usize, position as usize);
            return Err(stopped());
        }
        let grows_by = (position + bytes).saturating_sub(state.files[self.id].len());
        let free = state.free_bytes();
        if grows_by > free {
            // As much as fits, as a real disk does.
            let written = bytes - (grows_by - free).min(bytes);
            state.write(self.id, slices, written as usize, position as usize);
            return Err(io::ErrorKind::StorageFull.into());
        }
        state.write(self.id, slices, bytes as usize, position as usize);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        self.check(&state)?;
        state.change(&self.path)?;
        state.check_sync()?;
        state.files[self.id].sync();
        Ok(())
    }

    fn set_len(&self, len_bytes: u64) -> io::Result<()> {
        let mut state = self.state.lock();
        self.check(&state)?;
        state.change(&self.path)?;
        state.set_len(self.id, len_bytes as usize);
        Ok(())
    }

    fn allocate(&self, len_bytes: u64) -> io::Result<()> {
        if len_bytes > self.state.lock().free_bytes() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.set_len(len_bytes)
    }

    fn len(&self) -> io::Result<u64> {
        let state = self.state.lock();
        self.check(&state)?;
        Ok(state.files[self.id].len())
    }

    fn raw_fd(&self) -> Option<RawFd> {
        None
    }
}
