//! The levels in force, and how they are changed.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use parking_lot::Mutex;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::{Registry, reload};

/// A level or directive that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not a log level; use off, error, warn, info, debug or trace, and target=level for one target"
)]
pub struct BadLevel {
    /// The malformed part.
    pub text: String,
}

/// Changes levels while the process runs. Clones change the same levels.
#[derive(Clone)]
pub struct Levels {
    state: Arc<Mutex<State>>,
    handle: reload::Handle<Targets, Registry>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct State {
    base: LevelFilter,
    targets: BTreeMap<String, LevelFilter>,
}

impl fmt::Debug for Levels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Levels({})", self.current())
    }
}

impl Levels {
    pub(crate) fn new(directives: &str) -> Result<(Self, reload::Layer<Targets, Registry>), BadLevel> {
        let state: State = directives.parse()?;
        let (layer, handle) = reload::Layer::new(state.filter());
        Ok((Self { state: Arc::new(Mutex::new(state)), handle }, layer))
    }

    /// The levels in force, as they would be set.
    pub fn current(&self) -> String {
        self.state.lock().to_string()
    }

    /// Replaces all levels.
    ///
    /// # Errors
    /// If `directives` are malformed; nothing has changed then.
    pub fn set(&self, directives: &str) -> Result<(), BadLevel> {
        let new: State = directives.parse()?;
        let mut state = self.state.lock();
        *state = new;
        self.apply(&state);
        Ok(())
    }

    /// Sets the level of one target (a module path), or with `None` lets it follow the others again.
    /// The target `root` is the base level.
    ///
    /// # Errors
    /// If there is no such level; nothing has changed then.
    pub fn set_target(&self, target: &str, level: Option<&str>) -> Result<(), BadLevel> {
        let level = level.map(parse_level).transpose()?;
        let mut state = self.state.lock();
        match (target, level) {
            ("root", level) => state.base = level.unwrap_or(LevelFilter::INFO),
            (target, Some(level)) => {
                state.targets.insert(target.to_owned(), level);
            }
            (target, None) => {
                state.targets.remove(target);
            }
        }
        self.apply(&state);
        Ok(())
    }

    /// Levels by target, the base level as `root`.
    pub fn targets(&self) -> BTreeMap<String, String> {
        let state = self.state.lock();
        let targets = state.targets.iter().map(|(target, level)| (target.clone(), level.to_string()));
        targets.chain([("root".to_owned(), state.base.to_string())]).collect()
    }

    fn apply(&self, state: &State) {
        if let Err(error) = self.handle.modify(|filter| *filter = state.filter()) {
            tracing::error!("log levels could not be changed: {error}");
        }
    }
}

impl State {
    fn filter(&self) -> Targets {
        Targets::new().with_default(self.base).with_targets(self.targets.clone())
    }
}

impl FromStr for State {
    type Err = BadLevel;

    fn from_str(directives: &str) -> Result<Self, BadLevel> {
        let mut state = Self { base: LevelFilter::INFO, targets: BTreeMap::new() };
        for directive in directives.split(',').map(str::trim).filter(|directive| !directive.is_empty()) {
            match directive.split_once('=') {
                Some((target, level)) if !target.trim().is_empty() => {
                    state.targets.insert(target.trim().to_owned(), parse_level(level)?);
                }
                Some(_) => return Err(BadLevel { text: directive.to_owned() }),
                None => state.base = parse_level(directive)?,
            }
        }
        Ok(state)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.base)?;
        self.targets.iter().try_for_each(|(target, level)| write!(f, ",{target}={level}"))
    }
}

/// Also takes Kafka's `FATAL`, which is nearest to `error`.
fn parse_level(text: &str) -> Result<LevelFilter, BadLevel> {
    match text.trim().to_ascii_lowercase().as_str() {
        "off" => Ok(LevelFilter::OFF),
        "error" | "fatal" => Ok(LevelFilter::ERROR),
        "warn" => Ok(LevelFilter::WARN),
        "info" => Ok(LevelFilter::INFO),
        "debug" => Ok(LevelFilter::DEBUG),
        "trace" => Ok(LevelFilter::TRACE),
        _ => Err(BadLevel { text: text.trim().to_owned() }),
    }
}
