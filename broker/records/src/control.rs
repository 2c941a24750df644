//! Control records: the markers that end a transaction in a partition (`EndTransactionMarker`, `ControlRecordType`).

use crate::builder::{BuilderOptions, RecordBatchBuilder};
use crate::error::BatchError;
use crate::record::Record;
use bytes::Bytes;
use ottla_types::{Offset, TimestampMs};

const VERSION: i16 = 0;

/// How a transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marker {
    /// Its records do not count.
    Abort,
    /// Its records count.
    Commit,
}

/// A control record, decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ControlRecord {
    /// The end of a transaction.
    EndTransaction {
        /// How it ended.
        marker: Marker,
        /// Epoch of the transaction coordinator that wrote it.
        coordinator_epoch: i32,
    },
    /// A control record of another type (leader change, snapshot header ...).
    Other {
        /// The type's number.
        control_type: i16,
    },
}

/// Where and for whom a marker is written.
#[derive(Debug, Clone, Copy)]
pub struct MarkerOptions {
    /// Offset that the marker takes.
    pub base_offset: Offset,
    /// Epoch of the leader that appends it.
    pub leader_epoch: i32,
    /// Wall clock.
    pub timestamp: TimestampMs,
    /// The transaction's producer.
    pub producer_id: i64,
    /// Its epoch.
    pub producer_epoch: i16,
    /// Epoch of the transaction coordinator.
    pub coordinator_epoch: i32,
}

/// A batch of one marker.
///
/// # Errors
/// None that can occur with a marker's size; the builder's are passed on.
pub fn marker_batch(marker: Marker, options: &MarkerOptions) -> Result<Bytes, BatchError> {
    let control_type: i16 = match marker {
        Marker::Abort => 0,
        Marker::Commit => 1,
    };
    let mut key = [0; 4];
    key[..2].copy_from_slice(&VERSION.to_be_bytes());
    key[2..].copy_from_slice(&control_type.to_be_bytes());
    let mut value = [0; 6];
    value[..2].copy_from_slice(&VERSION.to_be_bytes());
    value[2..].copy_from_slice(&options.coordinator_epoch.to_be_bytes());
    let mut builder = RecordBatchBuilder::new(BuilderOptions {
        base_offset: options.base_offset,
        leader_epoch: options.leader_epoch,
        producer: Some((options.producer_id, options.producer_epoch, -1)),
        transactional: true,
        control: true,
        ..BuilderOptions::default()
    });
    builder.append(options.timestamp, Some(&key), Some(&value), &[])?;
    Ok(builder.build())
}

/// Decodes a record of a control batch. Later versions may add fields, which are passed over.
///
/// # Errors
/// [`BatchError::InvalidRecord`] if key or value are too short or their version is negative.
pub fn parse(record: &Record) -> Result<ControlRecord, BatchError> {
    let refused = |reason| BatchError::InvalidRecord { index: 0, reason };
    let key = record.key.as_deref().and_then(<[u8]>::first_chunk::<4>);
    let &[v0, v1, t0, t1] = key.ok_or_else(|| refused("the control record's key is too short"))?;
    if i16::from_be_bytes([v0, v1]) < 0 {
        return Err(refused("the control record's version is negative"));
    }
    let marker = match i16::from_be_bytes([t0, t1]) {
        0 => Marker::Abort,
        1 => Marker::Commit,
        control_type => return Ok(ControlRecord::Other { control_type }),
    };
    let value = record.value.as_deref().and_then(<[u8]>::first_chunk::<6>);
    let &[v0, v1, e0, e1, e2, e3] = value.ok_or_else(|| refused("the marker's value is too short"))?;
    if i16::from_be_bytes([v0, v1]) < 0 {
        return Err(refused("the marker's version is negative"));
    }
    Ok(ControlRecord::EndTransaction { marker, coordinator_epoch: i32::from_be_bytes([e0, e1, e2, e3]) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn control(key: Option<&'static [u8]>, value: Option<&'static [u8]>) -> Record {
        let share = |bytes: Option<&'static [u8]>| bytes.map(Bytes::from_static);
        Record { offset: 0, timestamp: 0, key: share(key), value: share(value), headers: Vec::new() }
    }

    #[test]
    fn later_versions_and_other_types_are_understood_as_far_as_they_go() {
        let marker = control(Some(&[0, 3, 0, 0, 9, 9]), Some(&[0, 1, 0, 0, 0, 7, 1, 2, 3]));
        let abort = ControlRecord::EndTransaction { marker: Marker::Abort, coordinator_epoch: 7 };
        assert_eq!(parse(&marker), Ok(abort));
        let leader_change = control(Some(&[0, 0, 0, 2]), None);
        assert_eq!(parse(&leader_change), Ok(ControlRecord::Other { control_type: 2 }));
    }

    #[test]
    fn what_is_too_short_or_has_a_negative_version_is_refused() {
        for (key, value) in [
            (None, None),
            (Some(&[0u8, 0, 0][..]), None),
            (Some(&[0xff, 0xff, 0, 1]), Some(&[0u8, 0, 0, 0, 0, 0][..])),
            (Some(&[0, 0, 0, 1]), Some(&[0, 0, 0, 0, 0])),
            (Some(&[0, 0, 0, 1]), Some(&[0xff, 0, 0, 0, 0, 0])),
            (Some(&[0, 0, 0, 1]), None),
        ] {
            assert!(parse(&control(key, value)).is_err(), "{key:?} {value:?}");
        }
    }
}
