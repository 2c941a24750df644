//! A hash that stays the same over versions, platforms and compilers (FNV-1a, 64 bits).

/// The hash of `bytes`, as 16 hexadecimal digits.
#[must_use]
pub fn hash(bytes: &[u8]) -> String {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    format!("{:016x}", bytes.iter().fold(0xcbf2_9ce4_8422_2325, step))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_hash_is_the_published_one() {
        assert_eq!(super::hash(b""), "cbf29ce484222325");
        assert_eq!(super::hash(b"foobar"), "85944171f73967e8");
    }
}
