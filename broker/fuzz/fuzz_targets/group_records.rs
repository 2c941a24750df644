//! The records of `__consumer_offsets` and what members say of themselves, as a log or a client may hold them. What
//! decodes is written as it was read, and a shard takes it whatever it says.
//!
//! One record after the other: two bytes of length for the key, two for the value (little endian, 0xffff for a
//! tombstone), then both.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ottla_core::group::records::{Decoded, Record};
use ottla_core::group::{Call, GroupSettings, Moment, NoTopics, Shard, consumer_protocol};
use ottla_types::ProducerId;

const TOMBSTONE: u16 = u16::MAX;

fuzz_target!(|data: &[u8]| {
    let _ = consumer_protocol::subscribed_topics(data);
    let _ = consumer_protocol::decode_assignment(data);
    let mut shard = Shard::new(GroupSettings::default().into());
    let mut rest = data;
    let mut offset = 0;
    while let &[key_low, key_high, value_low, value_high, ref more @ ..] = rest {
        let (key, more) = take(more, u16::from_le_bytes([key_low, key_high]));
        let length = u16::from_le_bytes([value_low, value_high]);
        let (value, more) = if length == TOMBSTONE { (None, more) } else { 
            let (value, more) = take(more, length);
            (Some(value), more)
        };
        rest = more;
        let Ok(Decoded::Known(record)) = Record::decode(key, value) else { continue };
        let (key, value) = record.encode();
        let again = Record::decode(&key, value.as_deref());
        assert_eq!(again, Ok(Decoded::Known(record.clone())), "a record does not read back");
        shard.replay(&record, offset, ProducerId::NONE);
        offset += 1;
    }
    let at = Moment { now_ms: 1_000, wall_ms: 1_700_000_000_000 };
    let call = Call { at, topics: &NoTopics };
    let _ = shard.loaded(call);
    let _ = shard.stats();
    for _ in 0..50 {
        let Some(due) = shard.poll_timeout().filter(|due| *due < 1_000_000) else { break };
        let at = Moment { now_ms: due, wall_ms: 1_700_000_000_000 };
        for record in shard.handle_timeout(Call { at, topics: &NoTopics }).records {
            shard.replay(&record, offset, ProducerId::NONE);
            offset += 1;
        }
    }
});

fn take(bytes: &[u8], length: u16) -> (&[u8], &[u8]) {
    bytes.split_at(usize::from(length).min(bytes.len()))
}
