//! Kafka's settings: the keys of Apache Kafka 4.3.1 with their types, defaults and bounds, and what Ottla makes of them.
//!
//! [`broker`], [`topic`] and [`group`] are the scopes. A topic's setting falls back to broker settings ([`topic::synonyms`]),
//! then to its default. Values are text, as in files and on the wire; [`Setting::validate`] says whether a text
//! can be a value. Every key of Kafka is known here, so that one that does nothing can be told from a misspelt one.

pub mod broker;
mod cluster_rows;
pub mod group;
mod group_rows;
mod groups_rows;
mod network_rows;
mod row;
mod security_rows;
mod storage_rows;
pub mod topic;
mod topic_rows;
mod validate;

/// A setting.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Setting {
    /// Kafka's key.
    pub key: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Default as text; `None` if there is none (Kafka's null).
    pub default: Option<&'static str>,
    /// Which values of the type are allowed.
    pub valid: Valid,
    /// How much it matters to most people, in Kafka's judgement.
    pub importance: Importance,
    /// When and for whom it can be changed.
    pub update: UpdateMode,
    /// What it does here.
    pub effect: Effect,
    /// What it means, in a sentence.
    pub doc: &'static str,
}

/// The type of a value (`org.apache.kafka.common.config.ConfigDef.Type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "Kafka's types of the same names")]
pub enum Kind {
    Boolean,
    String,
    Int,
    Short,
    Long,
    Double,
    List,
    Class,
    Password,
}

impl Kind {
    /// The type in a DescribeConfigs response (`DescribeConfigsResponse.ConfigType`).
    #[must_use]
    pub const fn code(self) -> i8 {
        match self {
            Kind::Boolean => 1,
            Kind::String => 2,
            Kind::Int => 3,
            Kind::Short => 4,
            Kind::Long => 5,
            Kind::Double => 6,
            Kind::List => 7,
            Kind::Class => 8,
            Kind::Password => 9,
        }
    }
}

/// Which values of a type are allowed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Valid {
    /// All.
    Any,
    /// Whole numbers, both ends inclusive.
    Between(i64, i64),
    /// Numbers from 0 to 1.
    Fraction,
    /// These words; for a list, each element is one.
    OneOf(&'static [&'static str]),
    /// These words in any case of letters.
    OneOfAnyCase(&'static [&'static str]),
    /// Text that is not empty.
    NonEmpty,
    /// 1 to 9, or -1.
    GzipLevel,
    /// `partition:broker` elements, or `*` alone.
    ThrottledReplicas,
}

/// How much a setting matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "Kafka's levels of the same names")]
pub enum Importance {
    High,
    Medium,
    Low,
}

/// When a broker's setting can change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UpdateMode {
    /// At start only.
    ReadOnly,
    /// While running, for one broker.
    PerBroker,
    /// While running, for one broker or as the default of all.
    ClusterWide,
}

/// What a setting does here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// What Kafka's does.
    Applied,
    /// Nothing yet: its subject is still to come.
    Later,
    /// Nothing: its subject does not exist here.
    Ignored,
}

/// A value that a setting cannot have, or a key that is no setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSetting {
    /// No such key.
    #[error("unknown setting {key:?}")]
    UnknownKey {
        /// The key.
        key: String,
    },
    /// A value that is not of the type or out of bounds.
    #[error("invalid value {value:?} for {key}: it {reason}")]
    InvalidValue {
        /// The key.
        key: &'static str,
        /// The value.
        value: String,
        /// What is wrong: a clause that follows "it".
        reason: String,
    },
}

impl InvalidSetting {
    /// Kafka's code for it.
    #[must_use]
    pub const fn code(&self) -> crate::ErrorCode {
        crate::ErrorCode::InvalidConfig
    }
}

impl Setting {
    /// True if its value must not be shown.
    #[must_use]
    pub fn is_sensitive(&self) -> bool {
        self.kind == Kind::Password
    }

    /// True if setting it does nothing.
    #[must_use]
    pub fn has_no_effect(&self) -> bool {
        self.effect != Effect::Applied
    }

    /// Checks a value.
    ///
    /// # Errors
    /// If it is not of the type or out of bounds.
    pub fn validate(&self, value: &str) -> Result<(), InvalidSetting> {
        validate::reason_against(self, value).map_or(Ok(()), |reason| {
            let value = if self.is_sensitive() { "[hidden]".to_owned() } else { value.to_owned() };
            Err(InvalidSetting::InvalidValue { key: self.key, value, reason })
        })
    }

    /// What is wrong with a value, as a clause that follows "it" (`must be at least 1`); `None` if nothing is.
    #[must_use]
    pub fn reason_against(&self, value: &str) -> Option<String> {
        validate::reason_against(self, value)
    }
}
