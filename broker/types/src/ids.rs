//! One type for each kind of id and epoch, so that they cannot be mixed up.

use std::fmt;
use uuid::Uuid;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        pub struct $name(pub $inner);

        impl $name {
            /// "No such thing", `-1` on the wire.
            pub const NONE: Self = Self(-1);
            /// True for the wire's `-1`.
            #[must_use]
            pub const fn is_none(self) -> bool {
                self.0 < 0
            }
            /// The next one.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }

        impl From<$inner> for $name {
            fn from(value: $inner) -> Self {
                Self(value)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// A broker's id, `node.id` in Kafka's settings.
    BrokerId(i32)
}
number! {
    /// Counts the leaders of a partition; stamped into every batch (KIP-101).
    LeaderEpoch(i32)
}
number! {
    /// Counts the changes of a partition's ISR, replicas and leader (KIP-497).
    PartitionEpoch(i32)
}
number! {
    /// A broker's registration: the metadata offset at which it registered. A later one fences the earlier.
    BrokerEpoch(i64)
}
number! {
    /// An idempotent or transactional producer.
    ProducerId(i64)
}
number! {
    /// Counts the incarnations of a producer with the same id.
    ProducerEpoch(i16)
}

impl Default for ProducerId {
    fn default() -> Self {
        Self::NONE
    }
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, serde::Serialize, serde::Deserialize)]
        pub struct $name(pub Uuid);

        impl $name {
            /// The all-zero id: "none" on the wire.
            pub const ZERO: Self = Self(Uuid::nil());
            /// True for the all-zero id.
            #[must_use]
            pub fn is_zero(self) -> bool {
                self.0.is_nil()
            }
        }

        impl fmt::Display for $name {
            /// Kafka's text form: URL-safe base64 without padding, 22 characters.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&base64_uuid(self.0))
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidUuid;

            fn from_str(text: &str) -> Result<Self, InvalidUuid> {
                parse_base64_uuid(text).map(Self)
            }
        }
    };
}

uuid_id! {
    /// A topic's identity over deletion and re-creation (KIP-516).
    TopicId
}
uuid_id! {
    /// A data directory's identity, made when it is formatted: an emptied disk is a new one.
    DirectoryId
}

/// A text that is not 22 characters of URL-safe base64.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an id: 22 characters of URL-safe base64 are expected")]
pub struct InvalidUuid(pub String);

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Kafka's text form of a UUID (`org.apache.kafka.common.Uuid`).
#[must_use]
pub fn base64_uuid(uuid: Uuid) -> String {
    let mut bits = uuid.as_u128();
    // 128 bits are 21 digits of six bits and one of two, left-aligned.
    let mut text = [0u8; 22];
    text[21] = ALPHABET[((bits & 0b11) << 4) as usize];
    bits >>= 2;
    for digit in text[..21].iter_mut().rev() {
        *digit = ALPHABET[(bits & 0b11_1111) as usize];
        bits >>= 6;
    }
    text.iter().map(|&digit| char::from(digit)).collect()
}

fn parse_base64_uuid(text: &str) -> Result<Uuid, InvalidUuid> {
    let invalid = || InvalidUuid(text.to_owned());
    if text.len() != 22 {
        return Err(invalid());
    }
    let mut bits: u128 = 0;
    for (index, byte) in text.bytes().enumerate() {
        let digit = ALPHABET.iter().position(|&known| known == byte).ok_or_else(invalid)? as u128;
        bits = if index < 21 { bits << 6 | digit } else { bits << 2 | digit >> 4 };
    }
    Ok(Uuid::from_u128(bits))
}

/// A partition of a topic, by name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct TopicPartition {
    /// The topic's name.
    pub topic: String,
    /// Index from 0.
    pub partition: i32,
}

impl TopicPartition {
    /// A partition of `topic`.
    pub fn new(topic: impl Into<String>, partition: i32) -> Self {
        Self { topic: topic.into(), partition }
    }
}

impl fmt::Display for TopicPartition {
    /// `topic-0`, the name of its directory too.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// A partition by its topic's id: survives a topic of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct TopicIdPartition {
    /// The topic's id.
    pub topic_id: TopicId,
    /// Index from 0.
    pub partition: i32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ids_read_back_from_their_text(bits: u128) {
            let id = TopicId(Uuid::from_u128(bits));
            prop_assert_eq!(id.to_string().parse::<TopicId>().unwrap(), id);
        }
    }

    #[test]
    fn the_text_form_is_kafkas() {
        let id = TopicId(Uuid::from_bytes(*b"MkU3OEVBNTcwNTJE"));
        assert_eq!(id.to_string(), "TWtVM09FVkJOVGN3TlRKRQ");
    }
}
