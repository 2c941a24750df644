//! Taking the data directories: locked, recognised or formatted, and what the last use left behind.

use super::log_dir::{self, Checkpoints};
use super::made::Made;
use super::meta_properties::MetaProperties;
use super::{Dir, LogDir, LogDirs};
use crate::checkpoint::{Durability, parse_offsets, read_text, replace_file};
use crate::disk::Disk;
use crate::error::{DiskError, IoContext};
use crate::names;
use ottla_types::{BrokerId, DirectoryId, ErrorCode, Offset, TopicPartition, Uuid, base64_uuid};
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Which directories, and who we are.
#[derive(Debug, Clone)]
pub struct DirsOptions {
    /// `log.dirs`, at least one.
    pub dirs: Vec<PathBuf>,
    /// `node.id`.
    pub node_id: BrokerId,
    /// The cluster we must belong to; `None` takes what the directories say, or makes a new one.
    pub cluster_id: Option<String>,
    /// Names the run of the machine (`/proc/sys/kernel/random/boot_id`); empty if unknown, then nothing unsynced is
    /// trusted.
    pub boot_id: String,
}

/// Why the data directories cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DirsError {
    /// Another process uses it.
    #[error("{} is used by another broker (its .lock file is held)", dir.display())]
    Locked {
        /// The directory.
        dir: PathBuf,
    },
    /// It belongs to another cluster.
    #[error("{} belongs to cluster {found}, not to {expected}", dir.display())]
    OtherCluster {
        /// The directory.
        dir: PathBuf,
        /// In its `meta.properties`.
        found: String,
        /// The one expected.
        expected: String,
    },
    /// It belongs to another broker.
    #[error("{} belongs to node.id {found}, not to {expected}", dir.display())]
    OtherNode {
        /// The directory.
        dir: PathBuf,
        /// In its `meta.properties`.
        found: BrokerId,
        /// The one expected.
        expected: BrokerId,
    },
    /// `meta.properties` is damaged.
    #[error("{}: {reason}", path.display())]
    Meta {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Not one of the directories works.
    #[error("no data directory can be used: {0}")]
    NoneUsable(DiskError),
}

impl DirsError {
    /// Kafka's error code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::OtherCluster { .. } => ErrorCode::InconsistentClusterId,
            _ => ErrorCode::KafkaStorageError,
        }
    }
}

/// A directory that is locked and read, not yet checked against the others.
struct Taken {
    path: PathBuf,
    lock: Box<dyn crate::disk::DiskLock>,
    meta: Option<MetaProperties>,
}

impl LogDirs {
    /// Locks the directories, makes and formats those that are new. A directory whose disk does not work is kept as
    /// offline, unless none is left. Logs are not looked at yet: see [`LogDirs::load`].
    ///
    /// # Errors
    /// [`DirsError`].
    pub fn open(disk: Arc<dyn Disk>, options: &DirsOptions) -> Result<Self, DirsError> {
        let mut taken = Vec::new();
        let mut failed: Vec<(PathBuf, DiskError)> = Vec::new();
        for path in &options.dirs {
            match take(&*disk, path)? {
                Ok(dir) => taken.push(dir),
                Err(error) => failed.push((path.clone(), error)),
            }
        }
        let cluster_id = agreed_cluster_id(&taken, options)?;
        let mut dirs = Vec::new();
        for dir in taken {
            let path = dir.path.clone();
            match format_and_read(&disk, dir, &cluster_id, options) {
                Ok(dir) => dirs.push(dir),
                Err(error) => failed.push((path, error)),
            }
        }
        if dirs.is_empty() {
            let unknown = || DiskError::new("find", "any of log.dirs", io::ErrorKind::NotFound.into());
            return Err(DirsError::NoneUsable(failed.pop().map_or_else(unknown, |(_, error)| error)));
        }
        for (path, error) in failed {
            let log_dir = LogDir::standalone(Arc::clone(&disk), path);
            log_dir.fail(&error.to_string());
            dirs.push(Dir::offline(log_dir));
        }
        let home = dirs.iter().find(|dir| dir.log_dir.offline_reason().is_none()).unwrap_or(&dirs[0]);
        let made = Made::new(home.log_dir.path().join(names::MADE));
        Ok(Self {
            disk,
            dirs,
            cluster_id,
            boot_id: options.boot_id.clone(),
            hosted: RwLock::default(),
            failed: RwLock::default(),
            made: Mutex::new(made),
            future: Mutex::default(),
            interrupted: Mutex::default(),
            removals: Mutex::default(),
        })
    }
}

/// Makes, locks and reads one directory. The inner error is of its disk alone.
fn take(disk: &dyn Disk, path: &Path) -> Result<Result<Taken, DiskError>, DirsError> {
    let locked = disk.create_dir_all(path).during("create", path).and_then(|()| {
        match disk.lock(&path.join(names::LOCK)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            other => other.map(Some).during("lock", &path.join(names::LOCK)),
        }
    });
    let lock = match locked {
        Ok(Some(lock)) => lock,
        Ok(None) => return Err(DirsError::Locked { dir: path.to_owned() }),
        Err(error) => return Ok(Err(error)),
    };
    match MetaProperties::read(disk, path) {
        Ok(None) => Ok(Ok(Taken { path: path.to_owned(), lock, meta: None })),
        Ok(Some(Ok(meta))) => Ok(Ok(Taken { path: path.to_owned(), lock, meta: Some(meta) })),
        Ok(Some(Err(reason))) => Err(DirsError::Meta { path: path.join(names::META_PROPERTIES), reason }),
        Err(error) => Ok(Err(error)),
    }
}

fn agreed_cluster_id(taken: &[Taken], options: &DirsOptions) -> Result<String, DirsError> {
    let mut cluster_id = options.cluster_id.clone();
    for dir in taken {
        let Some(meta) = &dir.meta else { continue };
        let expected = cluster_id.get_or_insert_with(|| meta.cluster_id.clone());
        if *expected != meta.cluster_id {
            let (dir, found) = (dir.path.clone(), meta.cluster_id.clone());
            return Err(DirsError::OtherCluster { dir, found, expected: expected.clone() });
        }
        if meta.node_id != options.node_id {
            let (dir, expected) = (dir.path.clone(), options.node_id);
            return Err(DirsError::OtherNode { dir, found: meta.node_id, expected });
        }
    }
    Ok(cluster_id.unwrap_or_else(|| base64_uuid(Uuid::new_v4())))
}

fn format_and_read(
    disk: &Arc<dyn Disk>,
    taken: Taken,
    cluster_id: &str,
    options: &DirsOptions,
) -> Result<Dir, DiskError> {
    let path = &taken.path;
    let has_room = log_dir::set_reserve(&**disk, path);
    let meta = match taken.meta {
        Some(meta) => meta,
        None => {
            // What an earlier life of the directory left behind says nothing about this one.
            let _ = disk.remove_file(&path.join(names::MADE));
            let meta = MetaProperties {
                cluster_id: cluster_id.to_owned(),
                node_id: options.node_id,
                directory_id: DirectoryId(Uuid::new_v4()),
            };
            meta.write(&**disk, path)?;
            meta
        }
    };
    let boot_id = read_text(&**disk, &path.join(names::BOOT_ID))?;
    let trust_written = !options.boot_id.is_empty() && boot_id.as_deref() == Some(&options.boot_id);
    let clean_path = path.join(names::CLEAN_SHUTDOWN);
    let clean = disk.exists(&clean_path);
    if clean {
        disk.remove_file(&clean_path).during("remove", &clean_path)?;
    }
    let checkpoints = Checkpoints {
        recovery_points: read_checkpoint(&**disk, &path.join(names::RECOVERY_POINT_CHECKPOINT))?,
        log_starts: read_checkpoint(&**disk, &path.join(names::LOG_START_CHECKPOINT))?,
        cleaned: read_checkpoint(&**disk, &path.join(names::CLEANER_CHECKPOINT))?,
    };
    let high_watermarks = read_checkpoint(&**disk, &path.join(names::HIGH_WATERMARK_CHECKPOINT))?;
    let log_dir = LogDir::with_checkpoints(Arc::clone(disk), path.clone(), checkpoints);
    if !has_room {
        tracing::warn!(dir = %path.display(), "log directory is full: produce requests are refused");
        log_dir.set_full(true);
    }
    Ok(Dir {
        log_dir,
        id: meta.directory_id,
        _lock: Some(taken.lock),
        trust_written,
        clean: clean && trust_written,
        high_watermarks: Mutex::new(high_watermarks),
    })
}

/// Reads an offset checkpoint. A damaged one counts as missing: then more is looked at, and nothing is lost.
fn read_checkpoint(disk: &dyn Disk, path: &Path) -> Result<BTreeMap<TopicPartition, Offset>, DiskError> {
    let Some(text) = read_text(disk, path)? else { return Ok(BTreeMap::new()) };
    Ok(parse_offsets(&text).unwrap_or_else(|reason| {
        tracing::warn!(path = %path.display(), reason, "leaving a damaged checkpoint out");
        BTreeMap::new()
    }))
}

impl Dir {
    fn offline(log_dir: Arc<LogDir>) -> Self {
        Self {
            log_dir,
            id: DirectoryId::ZERO,
            _lock: None,
            trust_written: false,
            clean: false,
            high_watermarks: Mutex::default(),
        }
    }

    /// Notes that everything in the directory was looked at in this run of the machine.
    pub(super) fn save_boot_id(&self, boot_id: &str) -> Result<(), DiskError> {
        let path = self.log_dir.path().join(names::BOOT_ID);
        replace_file(&**self.log_dir.disk(), &path, boot_id.as_bytes(), Durability::Cached)
    }
}
