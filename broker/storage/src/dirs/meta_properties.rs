//! `meta.properties`: whose data directory this is.

use crate::checkpoint::{Durability, format_properties, parse_properties, read_text, replace_file};
use crate::disk::Disk;
use crate::error::DiskError;
use crate::names;
use ottla_types::{BrokerId, DirectoryId};
use std::collections::BTreeMap;
use std::path::Path;

/// Identity of a formatted data directory (`MetaProperties`, version 1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetaProperties {
    /// The cluster it belongs to.
    pub cluster_id: String,
    /// The broker it belongs to.
    pub node_id: BrokerId,
    /// Its own id, made when it was formatted.
    pub directory_id: DirectoryId,
}

impl MetaProperties {
    /// Reads the file; `None` in a directory that is not formatted. The inner error says what is wrong with it.
    ///
    /// # Errors
    /// The disk's.
    pub fn read(disk: &dyn Disk, dir: &Path) -> Result<Option<Result<Self, String>>, DiskError> {
        let text = read_text(disk, &dir.join(names::META_PROPERTIES))?;
        Ok(text.map(|text| Self::parse(&text)))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let properties = parse_properties(text);
        let get = |key: &str| properties.get(key).ok_or_else(|| format!("{key} is missing"));
        if get("version")? != "1" {
            return Err(format!("version {} is not known", get("version")?));
        }
        let node_id = get("node.id")?;
        Ok(Self {
            cluster_id: get("cluster.id")?.clone(),
            node_id: BrokerId(node_id.parse().map_err(|_| format!("node.id {node_id:?} is not a number"))?),
            directory_id: get("directory.id")?
                .parse()
                .map_err(|error: ottla_types::InvalidUuid| error.to_string())?,
        })
    }

    /// Writes the file, durably.
    ///
    /// # Errors
    /// The disk's.
    pub fn write(&self, disk: &dyn Disk, dir: &Path) -> Result<(), DiskError> {
        let properties = BTreeMap::from([
            ("version".to_owned(), "1".to_owned()),
            ("cluster.id".to_owned(), self.cluster_id.clone()),
            ("node.id".to_owned(), self.node_id.to_string()),
            ("directory.id".to_owned(), self.directory_id.to_string()),
        ]);
        let text = format_properties(&properties);
        replace_file(disk, &dir.join(names::META_PROPERTIES), text.as_bytes(), Durability::Synced)
    }
}
