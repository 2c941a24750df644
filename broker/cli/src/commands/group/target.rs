//! Which partitions, and where to: the words of `reset-offsets`.

use crate::output::parse_time;
use ottla_types::TopicPartition;

/// A topic, or some of its partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Selection {
    pub(super) topic: String,
    /// All if empty.
    pub(super) partitions: Vec<i32>,
}

impl Selection {
    pub(super) fn has(&self, at: &TopicPartition) -> bool {
        self.topic == at.topic && (self.partitions.is_empty() || self.partitions.contains(&at.partition))
    }
}

/// Reads `TOPIC` or `TOPIC:0,1`.
pub(super) fn selection(text: &str) -> Result<Selection, String> {
    let Some((topic, partitions)) = text.split_once(':') else {
        return Ok(Selection { topic: text.to_owned(), partitions: Vec::new() });
    };
    let partition =
        |text: &str| text.trim().parse::<i32>().map_err(|_| format!("{text:?} is not a partition"));
    let partitions = partitions.split(',').map(partition).collect::<Result<_, _>>()?;
    Ok(Selection { topic: topic.to_owned(), partitions })
}

/// Reads a time, or milliseconds since 1970.
pub(super) fn datetime(text: &str) -> Result<i64, String> {
    let number = text.parse().ok().filter(|number| *number >= 0);
    number.or_else(|| parse_time(text)).ok_or_else(|| "must be like 2026-11-22T20:15:00Z".to_owned())
}

/// Reads `P1DT2H30M`, as Kafka's tool does, or `90s`, `30m`, `12h`, `7d`; in milliseconds.
pub(super) fn duration(text: &str) -> Result<i64, String> {
    let wrong = || "must be like 12h, 30m, 7d or PT12H".to_owned();
    let letters = text.trim().to_ascii_uppercase();
    let (days, clock) = match letters.strip_prefix('P') {
        Some(iso) => iso.split_once('T').unwrap_or((iso, "")),
        None if letters.ends_with('D') => (letters.as_str(), ""),
        None => ("", letters.as_str()),
    };
    let mut total: i64 = 0;
    let mut parts = 0;
    for (text, units) in [(days, &[('W', 604_800_000), ('D', 86_400_000)][..]), (clock, CLOCK)] {
        let mut number = String::new();
        for letter in text.chars() {
            if letter.is_ascii_digit() {
                number.push(letter);
                continue;
            }
            let (_, unit) = units.iter().find(|(name, _)| *name == letter).ok_or_else(wrong)?;
            let amount: i64 = number.parse().map_err(|_| wrong())?;
            total = amount.checked_mul(*unit).and_then(|part| total.checked_add(part)).ok_or_else(wrong)?;
            number.clear();
            parts += 1;
        }
        if !number.is_empty() {
            return Err(wrong());
        }
    }
    if parts == 0 { Err(wrong()) } else { Ok(total) }
}

const CLOCK: &[(char, i64)] = &[('H', 3_600_000), ('M', 60_000), ('S', 1000)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_in_both_forms() {
        assert_eq!(duration("90s"), Ok(90_000));
        assert_eq!(duration("7d"), Ok(604_800_000));
        assert_eq!(duration("P1DT2H30M"), Ok(95_400_000));
        assert_eq!(duration("PT0S"), Ok(0));
        for wrong in ["", "P", "5", "12x", "PT5", "h"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_selection_is_a_topic_or_some_of_its_partitions() {
        let some = selection("orders:0,2").unwrap();
        assert!(some.has(&TopicPartition::new("orders", 2)) && !some.has(&TopicPartition::new("orders", 1)));
        assert!(selection("orders").unwrap().has(&TopicPartition::new("orders", 1)));
        assert!(selection("orders:x").is_err());
    }
}
