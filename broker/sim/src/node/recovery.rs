//! What a process finds when it starts: the metadata log, or a new cluster's.

use super::replicas::DATA_DIR;
use super::{Context, Durable};
use ottla_core::metadata::record::{Cluster, FeatureLevel};
use ottla_core::metadata::{Image, MetadataRecord, NodeId, feature};
use ottla_core::quorum::{Config, Quorum, Recovered, StoredEntry, StoredSnapshot};
use ottla_storage::{Disk, LogDir, MetadataLog};
use ottla_types::BrokerId;
use std::sync::Arc;

/// The cluster's id.
pub const CLUSTER_ID: &str = "simulatedClusterId0000";

/// Opens the metadata log and starts the quorum on it.
pub(super) fn recover(
    cx: &mut Context<'_>,
    id: BrokerId,
    durable: &Durable,
) -> Result<(Image, Quorum, MetadataLog, Arc<LogDir>), String> {
    let disk = durable.data_disk();
    make_data_dir(&*disk).map_err(|error| format!("no data directory: {error}"))?;
    let log_dir = LogDir::standalone(disk, DATA_DIR.into());
    let now = cx.wall_ms();
    let (mut log, found) = MetadataLog::open(Arc::clone(&log_dir), durable.page_cache_survived, now)
        .map_err(|error| format!("the metadata log does not open: {error}"))?;
    let node = NodeId::new(id, durable.directory);
    let mut recovered = Recovered {
        hard_state: found.hard_state,
        snapshot: found.snapshot.map(|(index, term, bytes)| StoredSnapshot { index, term, bytes }),
        entries: found
            .entries
            .into_iter()
            .map(|(index, term, bytes)| StoredEntry { index, term, bytes })
            .collect(),
    };
    if recovered.is_empty() && durable.founds {
        recovered = found_cluster(node, &mut log, now)?;
    }
    let mut image = Image::default();
    if let Some((index, membership, data)) = recovered.image().map_err(|error| error.to_string())? {
        image = Image::from_snapshot(data).map_err(|error| error.to_string())?;
        image.set_membership(membership);
        image.set_offset(index);
    }
    let config = Config::new(node, cx.random.next_u64());
    let quorum =
        Quorum::start(config, recovered).map_err(|error| format!("the quorum does not start: {error}"))?;
    Ok((image, quorum, log, log_dir))
}

fn make_data_dir(disk: &dyn Disk) -> std::io::Result<()> {
    if !disk.exists(DATA_DIR.as_ref()) {
        disk.create_dir(DATA_DIR.as_ref())?;
        disk.sync_dir("/".as_ref())?;
    }
    Ok(())
}

fn found_cluster(node: NodeId, log: &mut MetadataLog, now: i64) -> Result<Recovered, String> {
    let mut image = Image::default();
    let records: [MetadataRecord; 2] = [
        Cluster { cluster_id: CLUSTER_ID.to_owned() }.into(),
        FeatureLevel { name: feature::METADATA_VERSION.to_owned(), level: feature::METADATA_VERSION_MAX }
            .into(),
    ];
    for record in &records {
        image.replay(record).map_err(|error| error.to_string())?;
    }
    let founding = Recovered::founding(node, image.to_snapshot());
    let written = founding
        .snapshot
        .as_ref()
        .map_or(Ok(()), |snapshot| log.save_snapshot(snapshot.index, snapshot.term, &snapshot.bytes, now));
    let written = written
        .and_then(|()| founding.hard_state.as_ref().map_or(Ok(()), |state| log.save_hard_state(state, true)));
    written.map_err(|error| format!("the cluster cannot be founded: {error}"))?;
    Ok(founding)
}
