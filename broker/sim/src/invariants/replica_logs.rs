//! At the end every replica's log holds what is committed, record by record.

use crate::node::Process;
use crate::oracle::Oracle;
use crate::records::parse;
use ottla_core::metadata::Image;
use ottla_types::TopicIdPartition;

/// Checks the replicas that `image` places on this broker.
pub fn check(oracle: &Oracle, image: &Image, process: &mut Process, broken: &mut Vec<String>) {
    let broker = process.id;
    let placed: Vec<TopicIdPartition> = image.partitions_of(broker).collect();
    for id in placed {
        let Some(replica) = process.replicas.get_mut(&id) else {
            broken.push(format!("broker {broker} has no replica of {id:?}"));
            continue;
        };
        if let Err(what) = compare(oracle, id, &mut replica.log) {
            broken.push(format!("broker {broker}, {id:?}: {what}"));
        }
    }
}

fn compare(oracle: &Oracle, id: TopicIdPartition, log: &mut ottla_storage::Log) -> Result<(), String> {
    let committed = oracle.of(id);
    let mut next = log.log_start_offset();
    let mut found = 0;
    while next < log.log_end_offset() && found < committed.len() {
        let slice = log.read(next, 1 << 20, true, i64::MAX).map_err(|error| error.to_string())?;
        let bytes = slice.read().map_err(|error| error.to_string())?.into();
        next = slice.next_offset;
        for record in parse(&bytes)?.into_iter().take(committed.len() - found) {
            let expected = &committed[found];
            if (record.value, record.epoch) != (expected.value, expected.epoch) {
                return Err(format!("{record:?} where {expected:?} is committed"));
            }
            found += 1;
        }
    }
    if found < committed.len() {
        return Err(format!("{found} of {} committed records are in the log", committed.len()));
    }
    Ok(())
}
