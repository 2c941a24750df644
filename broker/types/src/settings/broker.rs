//! Settings of a broker.

use super::{InvalidSetting, Setting, cluster_rows, groups_rows, network_rows, security_rows, storage_rows};

const TABLES: &[&[Setting]] =
    &[storage_rows::ROWS, network_rows::ROWS, groups_rows::ROWS, security_rows::ROWS, cluster_rows::ROWS];

/// All of them, subject by subject, by key within each.
pub fn all() -> impl Iterator<Item = &'static Setting> {
    TABLES.iter().flat_map(|rows| rows.iter())
}

/// The setting of that key.
#[must_use]
pub fn lookup(key: &str) -> Option<&'static Setting> {
    TABLES.iter().find_map(|rows| {
        let found = rows.binary_search_by(|row| row.key.cmp(key)).ok()?;
        rows.get(found)
    })
}

/// Checks a value.
///
/// # Errors
/// If the key is unknown, or the value is not of its type or out of bounds.
pub fn validate(key: &str, value: &str) -> Result<(), InvalidSetting> {
    lookup(key).ok_or_else(|| InvalidSetting::UnknownKey { key: key.to_owned() })?.validate(value)
}
