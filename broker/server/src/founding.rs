//! What a node's metadata log holds when it starts, or the first snapshot of a new cluster.

use crate::clock::Clock;
use ottla_core::metadata::record::{Cluster, FeatureLevel};
use ottla_core::metadata::{Image, NodeId, feature};
use ottla_core::quorum::{Recovered, StoredEntry, StoredSnapshot};
use ottla_storage::{MetadataLog, MetadataLogError, Recovered as Found};

/// What was found in the log. If that is nothing and this broker `founds` its cluster: the beginning of it with `me`
/// as its only voter, written down before it is used. A broker that joins begins with nothing.
///
/// # Errors
/// The log's.
pub fn recovered(
    found: Found,
    me: NodeId,
    cluster_id: &str,
    log: &mut MetadataLog,
    (founds, clock): (bool, Clock),
) -> Result<Recovered, MetadataLogError> {
    let entry = |(index, term, bytes)| StoredEntry { index, term, bytes };
    let recovered = Recovered {
        hard_state: found.hard_state,
        snapshot: found.snapshot.map(|(index, term, bytes)| StoredSnapshot { index, term, bytes }),
        entries: found.entries.into_iter().map(entry).collect(),
    };
    if !recovered.is_empty() || !founds {
        return Ok(recovered);
    }
    let founding = Recovered::founding(me, first_image(cluster_id).to_snapshot());
    if let Some(snapshot) = &founding.snapshot {
        log.save_snapshot(snapshot.index, snapshot.term, &snapshot.bytes, clock.wall_ms())?;
    }
    if let Some(state) = &founding.hard_state {
        log.save_hard_state(state, true)?;
    }
    Ok(founding)
}

/// A cluster without brokers.
fn first_image(cluster_id: &str) -> Image {
    let mut image = Image::default();
    let records = [
        Cluster { cluster_id: cluster_id.to_owned() }.into(),
        FeatureLevel { name: feature::METADATA_VERSION.to_owned(), level: feature::METADATA_VERSION_MAX }
            .into(),
    ];
    for record in &records {
        if let Err(error) = image.replay(record) {
            unreachable!("the first records fit an empty image: {error}");
        }
    }
    image
}
