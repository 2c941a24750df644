//! Kubernetes' quantities of bytes.

/// Bytes that a quantity (`10Gi`, `1500M`, `1e9`) means; `None` if it is none.
#[must_use]
pub fn bytes(text: &str) -> Option<f64> {
    let end = text.find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | '+' | '-')).unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let number: f64 = number.parse().ok()?;
    let factor = match suffix {
        "" => 1.0,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 1024.0,
        "Mi" => f64::from(1 << 20),
        "Gi" => f64::from(1 << 30),
        "Ti" => 1024f64.powi(4),
        "Pi" => 1024f64.powi(5),
        "Ei" => 1024f64.powi(6),
        exponent => return exponential(number, exponent),
    };
    Some(number * factor)
}

fn exponential(number: f64, exponent: &str) -> Option<f64> {
    let exponent: i32 = exponent.strip_prefix(['e', 'E'])?.parse().ok()?;
    Some(number * 10f64.powi(exponent))
}

/// True if `size` is larger than `than`. What is no quantity is not larger than anything.
#[must_use]
pub fn is_larger(size: &str, than: &str) -> bool {
    bytes(size).zip(bytes(than)).is_some_and(|(size, than)| size > than)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_of_all_kinds_are_read() {
        assert_eq!(bytes("1Gi"), Some(1_073_741_824.0));
        assert_eq!(bytes("1.5k"), Some(1500.0));
        assert_eq!(bytes("2e3"), Some(2000.0));
        assert_eq!(bytes("1000m"), Some(1.0));
        assert_eq!(bytes("ten"), None);
        assert_eq!(bytes("1Xi"), None);
    }

    #[test]
    fn sizes_are_compared_whatever_their_unit() {
        assert!(is_larger("1Gi", "1G"));
        assert!(!is_larger("1024Mi", "1Gi"));
        assert!(!is_larger("junk", "1Gi"));
    }
}
