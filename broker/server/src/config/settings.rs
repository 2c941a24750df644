//! All settings with their values and where each came from.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::environment::{EnvironmentName, setting_of_variable};
use super::error::{ConfigError, Origin, Problem};
use super::properties::parse_properties;
use super::{own, suggest, table};

/// Where settings are looked for.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// A properties file.
    pub file: Option<PathBuf>,
    /// Environment variables, name and value.
    pub variables: Vec<(String, String)>,
    /// `key=value` flags; of two for one key the later counts.
    pub flags: Vec<String>,
}

impl Sources {
    /// The process's environment, with a file and flags.
    pub fn of_process(file: Option<PathBuf>, flags: Vec<String>) -> Self {
        let text = |value: std::ffi::OsString| value.into_string().ok();
        let variables =
            std::env::vars_os().filter_map(|(name, value)| Some((text(name)?, text(value)?))).collect();
        Self { file, variables, flags }
    }
}

impl fmt::Display for NoEffect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, origin, planned } = self;
        let when = if *planned { "has no effect yet" } else { "has no effect here" };
        write!(f, "{origin}: {key} {when}")
    }
}

/// What was set, and the defaults behind it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    explicit: BTreeMap<String, (String, Origin)>,
}

/// A setting that was set and does nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoEffect {
    /// The setting.
    pub key: String,
    /// Where it was set.
    pub origin: Origin,
    /// Whether a later version will heed it.
    pub planned: bool,
}

impl Settings {
    /// Reads and checks all sources.
    ///
    /// # Errors
    /// For the first unknown key, bad value or malformed line: flags are looked at first, the file last.
    pub fn load(sources: &Sources) -> Result<Self, ConfigError> {
        let mut settings = Self::default();
        for flag in &sources.flags {
            let Some((key, value)) = flag.split_once('=') else {
                return Err(Problem::NotKeyValue { flag: flag.clone() }.at(&Origin::Flag));
            };
            settings.set(key.trim(), value.trim(), Origin::Flag, true)?;
        }
        settings.load_variables(&sources.variables)?;
        if let Some(path) = &sources.file {
            settings.load_file(path)?;
        }
        Ok(settings)
    }

    fn load_variables(&mut self, variables: &[(String, String)]) -> Result<(), ConfigError> {
        let (mut ours, mut kafkas): (Vec<_>, Vec<_>) =
            variables.iter().partition(|(name, _)| name.starts_with("OTTLA_"));
        ours.sort();
        kafkas.sort();
        for (name, value) in ours.into_iter().chain(kafkas) {
            let origin = Origin::Environment { variable: name.clone() };
            match setting_of_variable(name) {
                EnvironmentName::Setting(key) => self.set(&key, value.trim(), origin, false)?,
                EnvironmentName::Unknown(key) => return Err(unknown(&key).at(&origin)),
                EnvironmentName::Unrelated => {}
            }
        }
        Ok(())
    }

    fn load_file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let at = |line| Origin::File { path: path.to_owned(), line };
        let text = std::fs::read_to_string(path)
            .map_err(|error| Problem::Unreadable { reason: error.to_string() }.at(&at(1)))?;
        let properties = parse_properties(&text)
            .map_err(|error| Problem::Syntax { reason: error.reason.to_owned() }.at(&at(error.line)))?;
        // As in Java the later of two lines counts; all are checked.
        let mut file = Self::default();
        for property in properties {
            file.set(&property.key, &property.value, at(property.line), true)?;
        }
        for (key, value) in file.explicit {
            self.explicit.entry(key).or_insert(value);
        }
        Ok(())
    }

    fn set(&mut self, key: &str, value: &str, origin: Origin, replace: bool) -> Result<(), ConfigError> {
        if !is_known(key) {
            return Err(unknown(key).at(&origin));
        }
        let checked = match own::lookup(key) {
            Some(setting) => setting.validate(value),
            None => table::validate(key, value),
        };
        let shown = if table::is_secret(key) { "[hidden]" } else { value };
        checked.map_err(|reason| Problem::bad_value(key, shown, reason).at(&origin))?;
        if replace || !self.explicit.contains_key(key) {
            self.explicit.insert(key.to_owned(), (value.to_owned(), origin));
        }
        Ok(())
    }

    /// What was set, by key.
    pub fn explicit(&self) -> impl Iterator<Item = (&str, &str, &Origin)> {
        self.explicit.iter().map(|(key, (value, origin))| (key.as_str(), value.as_str(), origin))
    }

    /// The value somebody set.
    pub fn explicit_value(&self, key: &str) -> Option<&str> {
        self.explicit.get(key).map(|(value, _)| value.as_str())
    }

    /// Where the value comes from.
    pub fn origin(&self, key: &str) -> &Origin {
        self.explicit.get(key).map_or(&Origin::Default, |(_, origin)| origin)
    }

    /// The value set or the default; `None` if there is neither, or the key is unknown.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.explicit_value(key).or_else(|| match own::lookup(key) {
            Some(setting) => Some(setting.default),
            None => table::default_of(key),
        })
    }

    /// The value as text, empty if there is none.
    pub fn text(&self, key: &str) -> &str {
        self.get(key).unwrap_or_default()
    }

    /// The value as a number; `None` if there is none.
    pub fn optional_number(&self, key: &str) -> Option<i64> {
        self.get(key).and_then(|value| value.parse().ok())
    }

    /// The value of a number that has a default.
    ///
    /// # Panics
    /// If the setting has no number: a mistake in the program, values are checked when they are loaded.
    pub fn number(&self, key: &str) -> i64 {
        match self.optional_number(key) {
            Some(number) => number,
            None => panic!("the setting {key} has no number"),
        }
    }

    /// The value of a number that fits 32 bits; larger ones become the largest.
    pub fn int(&self, key: &str) -> i32 {
        let number = self.number(key);
        i32::try_from(number).unwrap_or(if number < 0 { i32::MIN } else { i32::MAX })
    }

    /// A number of bytes, milliseconds or things: below zero is taken as zero.
    pub fn count(&self, key: &str) -> u64 {
        self.number(key).try_into().unwrap_or(0)
    }

    /// The value of a switch.
    pub fn boolean(&self, key: &str) -> bool {
        self.get(key).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// The values of a list, without blanks.
    pub fn list(&self, key: &str) -> Vec<&str> {
        self.text(key).split(',').map(str::trim).filter(|item| !item.is_empty()).collect()
    }

    /// What was set and does nothing, for the start log.
    pub fn without_effect(&self) -> Vec<NoEffect> {
        let effect = |key: &str| if own::lookup(key).is_some() { None } else { table::no_effect(key) };
        self.explicit()
            .filter_map(|(key, _, origin)| {
                let planned = effect(key)?;
                Some(NoEffect { key: key.to_owned(), origin: origin.clone(), planned })
            })
            .collect()
    }

    /// A problem with the value of `key`, placed where it was set.
    pub(crate) fn problem(&self, key: &str, reason: impl Into<String>) -> ConfigError {
        Problem::bad_value(key, self.text(key), reason).at(self.origin(key))
    }
}

/// Whether there is such a setting.
pub(crate) fn is_known(key: &str) -> bool {
    own::lookup(key).is_some() || table::is_known(key)
}

fn unknown(key: &str) -> Problem {
    let known = own::OWN.iter().map(|setting| setting.key).chain(table::keys());
    let suggestion = table::broker_synonym(key).or_else(|| suggest::nearest(key, known)).map(str::to_owned);
    Problem::UnknownKey { key: key.to_owned(), suggestion }
}
