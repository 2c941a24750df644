//! Which partition a record goes to: by its key as Kafka's Java client does, or to one partition for a whole batch.

/// Kafka's murmur2 with its seed, as signed as Java's. A key's partition is `(murmur2(key) & 0x7fff_ffff) % partitions`
/// (`org.apache.kafka.common.utils.Utils`).
#[must_use]
pub fn murmur2(key: &[u8]) -> i32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    let mut hash = SEED ^ (key.len() as u32);
    let mut words = key.chunks_exact(4);
    for word in &mut words {
        let mut k = u32::from_le_bytes([word[0], word[1], word[2], word[3]]).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        for (index, &byte) in rest.iter().enumerate() {
            hash ^= u32::from(byte) << (8 * index);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    (hash ^ (hash >> 15)) as i32
}

/// Index into `partitions` for a key.
pub(crate) fn by_key(key: &[u8], partitions: usize) -> usize {
    (murmur2(key) & 0x7fff_ffff) as usize % partitions.max(1)
}

/// Stays with one partition until enough bytes went there, then goes on to the next (KIP-794 without its look at
/// queue lengths).
#[derive(Debug, Default, Clone)]
pub(crate) struct Sticky {
    current: usize,
    bytes: usize,
}

impl Sticky {
    pub(crate) fn next(&mut self, bytes: usize, partitions: usize, batch_bytes: usize) -> usize {
        if self.bytes > 0 && self.bytes + bytes > batch_bytes {
            self.current += 1;
            self.bytes = 0;
        }
        self.bytes += bytes;
        self.current % partitions.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_kafkas_java_client() {
        let known = [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ];
        for (key, hash) in known {
            assert_eq!(murmur2(key.as_bytes()), hash, "{key}");
        }
    }

    #[test]
    fn records_without_a_key_stay_together_until_a_batch_is_full() {
        let mut sticky = Sticky::default();
        let went: Vec<usize> = (0..6).map(|_| sticky.next(40, 3, 100)).collect();
        assert_eq!(went, [0, 0, 1, 1, 2, 2]);
    }
}
