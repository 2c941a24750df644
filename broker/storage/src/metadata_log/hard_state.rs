//! `quorum-state`: two slots, so that writing one never endangers the other.
//!
//! A slot is sequence number u64, length u32, CRC-32C u32 of both and the content, content. The valid slot with the
//! higher number counts. A save that need not be durable goes over the last such one, never over the last durable one.

use crate::disk::{Disk, DiskFile, read_full_at, write_all_at};
use crate::error::{DiskError, IoContext};
use bytes::{Buf, BufMut, Bytes};
use ottla_records::crc32c_parts;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

const FILE_NAME: &str = "quorum-state";
const SLOT_BYTES: usize = 4_096;
const HEAD_BYTES: usize = 16;

#[derive(Debug)]
pub(super) struct HardStateFile {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    path: PathBuf,
    file: Option<Arc<dyn DiskFile>>,
    sequence: u64,
    /// The slot that must not be written: the last durable one.
    durable_slot: usize,
}

impl HardStateFile {
    /// Reads what is there.
    pub(super) fn open(disk: Arc<dyn Disk>, dir: PathBuf) -> Result<(Self, Option<Bytes>), DiskError> {
        let path = dir.join(FILE_NAME);
        let file = match disk.open(&path) {
            Ok(file) => Some(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(DiskError::new("open", path, error)),
        };
        let mut this = Self { disk, dir, path, file, sequence: 0, durable_slot: 1 };
        let mut newest = None;
        if let Some(file) = this.file.clone() {
            for slot in 0..2 {
                let mut bytes = vec![0; SLOT_BYTES];
                let read = read_full_at(&*file, &mut bytes, (slot * SLOT_BYTES) as u64);
                bytes.truncate(read.during("read", &this.path)?);
                if let Some((sequence, state)) = decode(&bytes)
                    && sequence > this.sequence
                {
                    (this.sequence, this.durable_slot) = (sequence, slot);
                    newest = Some(state);
                }
            }
            // It may be in memory only, and it is about to count as durable.
            file.sync_data().during("sync", &this.path)?;
        }
        Ok((this, newest))
    }

    pub(super) fn save(&mut self, state: &[u8], must_sync: bool) -> Result<(), DiskError> {
        if state.len() > SLOT_BYTES - HEAD_BYTES {
            let error = io::Error::new(io::ErrorKind::InvalidInput, "the hard state is larger than its slot");
            return Err(DiskError::new("write", &self.path, error));
        }
        let is_new = self.file.is_none();
        let file = match &self.file {
            Some(file) => Arc::clone(file),
            None => self.disk.create(&self.path).during("create", &self.path)?,
        };
        self.file = Some(Arc::clone(&file));
        self.sequence += 1;
        let slot = 1 - self.durable_slot;
        let bytes = encode(self.sequence, state);
        write_all_at(&*file, &bytes, (slot * SLOT_BYTES) as u64).during("write", &self.path)?;
        if must_sync {
            file.sync_data().during("sync", &self.path)?;
            self.durable_slot = slot;
        }
        if is_new {
            self.disk.sync_dir(&self.dir).during("sync", &self.dir)?;
        }
        Ok(())
    }
}

fn encode(sequence: u64, state: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEAD_BYTES + state.len());
    out.put_u64(sequence);
    out.put_u32(state.len() as u32);
    let crc = crc32c_parts(&[&out, state]);
    out.put_u32(crc);
    out.put_slice(state);
    out
}

fn decode(bytes: &[u8]) -> Option<(u64, Bytes)> {
    let mut head = bytes.get(..HEAD_BYTES)?;
    let (sequence, len, crc) = (head.get_u64(), head.get_u32() as usize, head.get_u32());
    let state = bytes.get(HEAD_BYTES..HEAD_BYTES.checked_add(len)?)?;
    let whole = sequence > 0 && crc32c_parts(&[&bytes[..12], state]) == crc;
    whole.then(|| (sequence, Bytes::copy_from_slice(state)))
}
