//! The real file system.

use super::{DirEntry, Disk, DiskFile, DiskLock};
use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;

/// The most slices one `pwritev` takes (Linux `IOV_MAX`).
const MAX_SLICES: usize = 1_024;

/// The file system of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct FsDisk;

#[derive(Debug)]
struct FsFile(File);

#[derive(Debug)]
#[expect(dead_code, reason = "held for its lock alone")]
struct FsLock(File);

impl DiskLock for FsLock {}

impl Disk for FsDisk {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(FsFile(OpenOptions::new().read(true).write(true).open(path)?)))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
        Ok(Arc::new(FsFile(file)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir_all(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let metadata = match entry.metadata() {
                Ok(metadata) => metadata,
                // Removed between the listing and the look.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let is_dir = metadata.is_dir();
            let len_bytes = if is_dir { 0 } else { metadata.len() };
            let modified_ms = metadata.mtime() * 1_000 + metadata.mtime_nsec() / 1_000_000;
            entries.push(DirEntry { name, is_dir, len_bytes, modified_ms });
        }
        Ok(entries)
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn space_bytes(&self, path: &Path) -> io::Result<(u64, u64)> {
        let path = CString::new(path.as_os_str().as_bytes()).map_err(io::Error::other)?;
        // SAFETY: an all-zero statvfs is a valid value of that plain C struct.
        let mut volume: libc::statvfs = unsafe { std::mem::zeroed() };
        // SAFETY: `path` ends in NUL and `volume` is writable for the whole call.
        if unsafe { libc::statvfs(path.as_ptr(), &raw mut volume) } != 0 {
            return Err(io::Error::last_os_error());
        }
        let block_bytes = volume.f_frsize;
        Ok((volume.f_bavail.saturating_mul(block_bytes), volume.f_blocks.saturating_mul(block_bytes)))
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Box::new(FsLock(file))),
            Err(fs::TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }
}

impl FsFile {
    fn write_some_at(&self, slices: &[IoSlice<'_>], position: u64) -> io::Result<usize> {
        let count = slices.len().min(MAX_SLICES);
        let offset = libc::off_t::try_from(position).map_err(io::Error::other)?;
        loop {
            // SAFETY: IoSlice has the layout of iovec, `count` of them are readable, and each names readable memory.
            let written = unsafe {
                libc::pwritev(self.0.as_raw_fd(), slices.as_ptr().cast(), count as libc::c_int, offset)
            };
            match usize::try_from(written) {
                Ok(0) if slices.iter().any(|slice| !slice.is_empty()) => {
                    return Err(io::ErrorKind::WriteZero.into());
                }
                Ok(written) => return Ok(written),
                Err(_) => {
                    let error = io::Error::last_os_error();
                    if error.kind() != io::ErrorKind::Interrupted {
                        return Err(error);
                    }
                }
            }
        }
    }
}

impl DiskFile for FsFile {
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        self.0.read_at(buffer, position)
    }

    fn write_all_at(&self, slices: &[IoSlice<'_>], position: u64) -> io::Result<()> {
        let total: usize = slices.iter().map(|slice| slice.len()).sum();
        let mut written = self.write_some_at(slices, position)?;
        if written == total {
            return Ok(());
        }
        // Rare: a signal, a full disk, or more slices than one call takes.
        let mut rest = slices.to_vec();
        let mut rest = &mut rest[..];
        let mut last = written;
        while written < total {
            IoSlice::advance_slices(&mut rest, last);
            last = self.write_some_at(rest, position + written as u64)?;
            written += last;
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn set_len(&self, len_bytes: u64) -> io::Result<()> {
        self.0.set_len(len_bytes)
    }

    fn allocate(&self, len_bytes: u64) -> io::Result<()> {
        let len = libc::off_t::try_from(len_bytes).map_err(io::Error::other)?;
        // SAFETY: the descriptor is open for as long as `self` lives.
        match unsafe { libc::posix_fallocate(self.0.as_raw_fd(), 0, len) } {
            0 => Ok(()),
            code => Err(io::Error::from_raw_os_error(code)),
        }
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn raw_fd(&self) -> Option<RawFd> {
        Some(self.0.as_raw_fd())
    }
}
