//! What can be wrong with a configuration, and where it stands.

use std::fmt;
use std::path::PathBuf;

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// A line of the properties file.
    File {
        /// The file as named by the user.
        path: PathBuf,
        /// Line on which the property begins, from 1.
        line: usize,
    },
    /// An environment variable.
    Environment {
        /// Its name.
        variable: String,
    },
    /// A `key=value` flag.
    Flag,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Environment { variable } => write!(f, "environment variable {variable}"),
            Self::Flag => f.write_str("command line"),
        }
    }
}

/// A configuration that cannot be used. One line, with its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{origin}: {problem}")]
pub struct ConfigError {
    /// Where the mistake stands.
    pub origin: Origin,
    /// What the mistake is.
    pub problem: Problem,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The file cannot be read.
    #[error("cannot read the file: {reason}")]
    Unreadable {
        /// What the system says.
        reason: String,
    },
    /// The file is no properties file.
    #[error("{reason}")]
    Syntax {
        /// What is malformed.
        reason: String,
    },
    /// No such setting.
    #[error("unknown setting {key:?}{}", did_you_mean(.suggestion))]
    UnknownKey {
        /// The key found.
        key: String,
        /// The known key nearest to it.
        suggestion: Option<String>,
    },
    /// A value outside what the setting allows.
    #[error("{key}={value}: {reason}")]
    BadValue {
        /// The setting.
        key: String,
        /// The value found.
        value: String,
        /// Why it cannot be.
        reason: String,
    },
    /// A flag without `=`.
    #[error("{flag:?} is not of the form key=value")]
    NotKeyValue {
        /// The flag.
        flag: String,
    },
}

fn did_you_mean(suggestion: &Option<String>) -> String {
    suggestion.as_ref().map(|key| format!("; did you mean {key:?}?")).unwrap_or_default()
}

impl Problem {
    /// Places the problem.
    pub(crate) fn at(self, origin: &Origin) -> ConfigError {
        ConfigError { origin: origin.clone(), problem: self }
    }

    pub(crate) fn bad_value(key: &str, value: &str, reason: impl Into<String>) -> Self {
        Self::BadValue { key: key.to_owned(), value: value.to_owned(), reason: reason.into() }
    }
}
