//! What storage needs of a disk, as two small traits.
//!
//! Everything above goes through [`Disk`] and [`DiskFile`], so that the same code runs over the real file system
//! ([`FsDisk`]) and over one that crashes, tears and fills up on demand ([`crate::sim_disk::SimDisk`]). Calls block.
//!
//! Invariants of every implementation (the conformance suite checks them): a successful `sync_data` makes all
//! earlier writes of that file survive a crash; a successful `sync_dir` does so for the directory's entries; nothing
//! else is promised. A rename replaces its target atomically.

mod fs;

pub use fs::FsDisk;

use std::fmt::Debug;
use std::io::{self, IoSlice};
use std::os::fd::RawFd;
use std::path::Path;
use std::sync::Arc;

/// An entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DirEntry {
    /// File name without its directory. Names that are not UTF-8 are not listed: storage makes none.
    pub name: String,
    /// True for a directory.
    pub is_dir: bool,
    /// Length of a file, bytes; 0 for a directory.
    pub len_bytes: u64,
    /// Last change, milliseconds since the Unix epoch (0 where unknown).
    pub modified_ms: i64,
}

/// A held lock of a data directory; dropping it releases the lock.
pub trait DiskLock: Send + Sync + Debug {}

/// A file system.
pub trait Disk: Send + Sync + Debug {
    /// Opens an existing file for reading and writing.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    /// Creates a file, or empties the one there.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    /// Renames a file or directory, replacing a file at `to`.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Removes a directory and everything in it.
    fn remove_dir_all(&self, path: &Path) -> io::Result<()>;
    /// Creates one directory; its parent must exist, itself must not.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// Creates a directory and its missing parents.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;
    /// The entries of a directory, in no particular order.
    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>>;
    /// True if something is there.
    fn exists(&self, path: &Path) -> bool;
    /// Makes the entries of a directory survive a crash.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// (free bytes for us, total bytes) of the volume under `path`.
    fn space_bytes(&self, path: &Path) -> io::Result<(u64, u64)>;
    /// Takes an exclusive lock on a file (made if missing); `WouldBlock` if somebody holds it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>>;

    /// Reads a whole small file.
    fn read_all(&self, path: &Path) -> io::Result<Vec<u8>> {
        let file = self.open(path)?;
        let mut content = vec![0; usize::try_from(file.len()?).map_err(io::Error::other)?];
        let read = read_full_at(&*file, &mut content, 0)?;
        content.truncate(read);
        Ok(content)
    }
}

/// An open file. All positions are bytes from its start; there is no cursor.
pub trait DiskFile: Send + Sync + Debug {
    /// Reads up to `buffer.len()` bytes; 0 at the end of the file.
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize>;
    /// Writes all slices one behind the other. On an error any prefix may have been written.
    fn write_all_at(&self, slices: &[IoSlice<'_>], position: u64) -> io::Result<()>;
    /// Makes everything written survive a crash.
    fn sync_data(&self) -> io::Result<()>;
    /// Cuts or (with zeros) extends.
    fn set_len(&self, len_bytes: u64) -> io::Result<()>;
    /// Extends to `len_bytes`, with room for all of it set aside.
    fn allocate(&self, len_bytes: u64) -> io::Result<()>;
    /// Length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// True for a file without content.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// The descriptor to `sendfile` from, where there is one. Valid as long as this file is.
    fn raw_fd(&self) -> Option<RawFd>;
}

/// Reads until `buffer` is full or the file ends; returns the bytes read.
///
/// # Errors
/// The disk's.
pub fn read_full_at(file: &dyn DiskFile, buffer: &mut [u8], position: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], position + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Writes one slice.
///
/// # Errors
/// The disk's.
pub fn write_all_at(file: &dyn DiskFile, bytes: &[u8], position: u64) -> io::Result<()> {
    file.write_all_at(&[IoSlice::new(bytes)], position)
}

/// A file without content and without a disk, for slices that hold nothing.
#[derive(Debug)]
pub struct EmptyFile;

impl DiskFile for EmptyFile {
    fn read_at(&self, _buffer: &mut [u8], _position: u64) -> io::Result<usize> {
        Ok(0)
    }
    fn write_all_at(&self, _slices: &[IoSlice<'_>], _position: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }
    fn set_len(&self, _len_bytes: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn allocate(&self, _len_bytes: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn len(&self) -> io::Result<u64> {
        Ok(0)
    }
    fn raw_fd(&self) -> Option<RawFd> {
        None
    }
}
