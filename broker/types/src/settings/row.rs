//! How the rows of the tables are written.

use super::{Effect, Importance, Kind, Setting, UpdateMode, Valid};

/// No default.
pub(super) const NONE: &str = "\0";
/// Every value of the kind.
pub(super) const ANY: Valid = Valid::Any;

pub(super) const fn at_least(least: i64) -> Valid {
    Valid::Between(least, i64::MAX)
}

pub(super) const fn between(least: i64, most: i64) -> Valid {
    Valid::Between(least, most)
}

/// A row without its effect and doc.
pub(super) struct Row(Setting);

pub(super) const fn row(
    key: &'static str,
    kind: Kind,
    default: &'static str,
    valid: Valid,
    importance: Importance,
    update: UpdateMode,
) -> Row {
    let default = if matches!(default.as_bytes(), [0]) { None } else { Some(default) };
    Row(Setting { key, kind, default, valid, importance, update, effect: Effect::Ignored, doc: "" })
}

impl Row {
    pub(super) const fn applied(self, doc: &'static str) -> Setting {
        Setting { effect: Effect::Applied, doc, ..self.0 }
    }

    pub(super) const fn later(self, doc: &'static str) -> Setting {
        Setting { effect: Effect::Later, doc, ..self.0 }
    }

    pub(super) const fn ignored(self, doc: &'static str) -> Setting {
        Setting { effect: Effect::Ignored, doc, ..self.0 }
    }
}
