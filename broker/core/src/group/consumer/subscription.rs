//! What members subscribe to: names, expressions (RE2 syntax, whole names), and the digest of the topics behind.

use super::draft::Draft;
use super::state::Group;
use crate::group::records::{Record, RegexValue};
use crate::group::topics::Topics;
use crate::group::turn::{Refusal, Turn};
use ottla_types::{ErrorCode, TimestampMs};
use regex::{Regex, RegexBuilder};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The least time between two rounds of matching expressions against changed topics.
const REGEX_MIN_REFRESH_MS: TimestampMs = 10_000;
/// The most memory a compiled expression may take.
const REGEX_MAX_BYTES: usize = 1 << 20;
/// The longest expression.
const REGEX_MAX_LENGTH: usize = 4_096;

/// Compiles an expression that must match whole names.
///
/// # Errors
/// `INVALID_REGULAR_EXPRESSION` with the reason.
pub(super) fn compile(regex: &str) -> Result<Regex, Refusal> {
    let refuse = |why: String| Refusal::new(ErrorCode::InvalidRegularExpression, why);
    if regex.len() > REGEX_MAX_LENGTH {
        return Err(refuse(format!("SubscribedTopicRegex is longer than {REGEX_MAX_LENGTH} bytes.")));
    }
    let anchored = format!("^(?:{regex})$");
    let compiled =
        RegexBuilder::new(&anchored).size_limit(REGEX_MAX_BYTES).dfa_size_limit(REGEX_MAX_BYTES).build();
    compiled.map_err(|error| {
        refuse(format!("SubscribedTopicRegex `{regex}` is not a valid regular expression: {error}."))
    })
}

fn resolve(turn: &Turn<'_>, regex: &str) -> Result<RegexValue, Refusal> {
    let compiled = compile(regex)?;
    let mut topics = turn.topics.names();
    topics.retain(|name| compiled.is_match(name));
    Ok(RegexValue { topics, version: turn.topics.version(), timestamp_ms: turn.at.wall_ms })
}

/// Resolves the expressions in use that are new or whose topics may have changed, and forgets the others. True if
/// every expression is up to date with the topics' version.
///
/// # Errors
/// `INVALID_REGULAR_EXPRESSION`.
pub(super) fn refresh_regexes(draft: &mut Draft<'_>, turn: &Turn<'_>) -> Result<bool, Refusal> {
    let about = draft.group().members.values().map(|member| &member.about);
    let used: BTreeSet<Arc<str>> = about.filter_map(|about| about.subscribed_regex.clone()).collect();
    let unused = draft.group().regexes.keys().filter(|regex| !used.contains(*regex));
    for regex in unused.cloned().collect::<Vec<_>>() {
        let tombstone = draft.group().regex_tombstone(&regex);
        draft.push(tombstone);
    }
    let interval_ms = TimestampMs::from(turn.settings.broker.group_consumer_regex_refresh_interval_ms);
    let mut current = true;
    for regex in used {
        let group = Arc::clone(&draft.group().id);
        if let Some(known) = draft.group().regexes.get(&regex) {
            let age_ms = turn.at.wall_ms.saturating_sub(known.timestamp_ms);
            let looked_ms =
                turn.at.wall_ms.saturating_sub(known.timestamp_ms.max(draft.group().checked_at_ms));
            let changed = turn.topics.version() > known.version;
            if changed && (0..REGEX_MIN_REFRESH_MS).contains(&looked_ms) {
                current = false;
                continue;
            }
            if !changed && age_ms < interval_ms {
                continue;
            }
            let value = resolve(turn, &regex)?;
            if value.topics == known.topics && age_ms < interval_ms {
                continue;
            }
            draft.push(Record::Regex { group, regex, value: Some(value) });
        } else {
            let value = resolve(turn, &regex)?;
            draft.push(Record::Regex { group, regex, value: Some(value) });
        }
    }
    Ok(current)
}

/// A digest of the subscribed topics that exist: it changes when one comes or goes, grows or moves (KIP-1101).
/// 0 without any.
pub(super) fn metadata_hash(group: &Group, topics: &dyn Topics) -> i64 {
    let mut hash = Fnv::new();
    let mut any = false;
    for topic in group.subscribed_topics().into_iter().filter_map(|name| topics.by_name(name)) {
        any = true;
        hash.add(topic.id.0.as_bytes());
        hash.add(topic.name.as_bytes());
        hash.add(&topic.partitions.to_be_bytes());
        for (partition, racks) in topic.racks.iter().enumerate() {
            let mut racks: Vec<_> = racks.iter().collect();
            racks.sort_unstable();
            hash.add(&partition.to_be_bytes());
            racks.iter().for_each(|rack| hash.add(rack.as_bytes()));
        }
    }
    if any { hash.finish() } else { 0 }
}

/// FNV-1a: small, and the same on every broker.
struct Fnv(u64);

impl Fnv {
    const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn add(&mut self, bytes: &[u8]) {
        // A length in front, so that parts cannot run into each other.
        for byte in bytes.len().to_be_bytes().iter().chain(bytes) {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// Never 0, which means "not computed".
    const fn finish(&self) -> i64 {
        if self.0 == 0 { 1 } else { self.0.cast_signed() }
    }
}
