//! A data directory from a fuzzer's bytes: for each file one byte that names it, two of length (little endian), content.
//! Checksums can be put right on the way, since no fuzzer guesses one.

use bytes::Bytes;
use ottla_records::{HEADER_BYTES, crc32c};
use ottla_storage::sim_disk::SimDisk;
use ottla_storage::{Disk, write_all_at};
use std::path::Path;
use std::sync::Arc;

/// Puts the files that `bytes` tell of into a new disk.
pub fn disk_of(bytes: &[u8], names: &[&str], repair: bool) -> Arc<dyn Disk> {
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(0));
    let mut rest = bytes;
    while let &[name, low, high, ref more @ ..] = rest {
        let length = usize::from(u16::from_le_bytes([low, high])).min(more.len());
        let (content, more) = more.split_at(length);
        rest = more;
        let path = Path::new(names[usize::from(name) % names.len()]);
        let mut content = content.to_vec();
        if repair {
            repair_content(path, &mut content);
        }
        disk.create_dir_all(path.parent().unwrap()).unwrap();
        let file = disk.create(path).unwrap();
        write_all_at(&*file, &content, 0).unwrap();
        file.sync_data().unwrap();
    }
    disk
}

fn repair_content(path: &Path, content: &mut [u8]) {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("log") => repair_batches(content),
        Some("snapshot") if content.len() > 6 => {
            let crc = crc32c(&content[6..]);
            content[2..6].copy_from_slice(&crc.to_be_bytes());
        }
        _ => {}
    }
}

fn repair_batches(mut bytes: &mut [u8]) {
    while bytes.len() >= HEADER_BYTES {
        let told = i64::from(i32::from_be_bytes([bytes[8], bytes[9], bytes[10], bytes[11]])) + 12;
        let total = match usize::try_from(told) {
            Ok(total) if (HEADER_BYTES..=bytes.len()).contains(&total) => total,
            _ => bytes.len(),
        };
        let (batch, rest) = bytes.split_at_mut(total);
        batch[8..12].copy_from_slice(&((total - 12) as i32).to_be_bytes());
        batch[16] = 2;
        let crc = crc32c(&batch[21..]);
        batch[17..21].copy_from_slice(&crc.to_be_bytes());
        bytes = rest;
    }
}

/// A batch to append.
pub fn some_batch() -> Bytes {
    let mut builder = ottla_records::RecordBatchBuilder::new(ottla_records::BuilderOptions::default());
    builder.append(1_700_000_000_000, Some(b"key"), Some(b"value"), &[]).unwrap();
    builder.build()
}
