//! UpdateFeatures: raise or lower a feature's finalized level (KIP-584).

use super::error::ApiError;
use super::{Controller, Outcome, Reply};
use crate::metadata::feature;
use crate::metadata::record::FeatureLevel;
use ottla_types::ErrorCode;
use std::collections::BTreeSet;

/// A feature's new level.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FeatureUpdate {
    /// The feature.
    pub name: String,
    /// Its new level; 0 takes it away.
    pub level: i32,
    /// Whether the level may go down, and how.
    pub upgrade_type: UpgradeType,
}

/// Whether a level may go down (`FeatureUpdate.UpgradeType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum UpgradeType {
    /// Only up.
    Upgrade,
    /// Down, if nothing is lost.
    SafeDowngrade,
    /// Down, whatever is lost.
    UnsafeDowngrade,
}

impl Controller {
    /// All of the updates or none.
    pub(super) fn update_features(&mut self, updates: &[FeatureUpdate], validate_only: bool) -> Outcome {
        let mut names = BTreeSet::new();
        for update in updates {
            let checked = if names.insert(&update.name) {
                self.check_feature(update)
            } else {
                Err(ApiError::new(ErrorCode::InvalidRequest, "A feature is named more than once."))
            };
            if let Err(error) = checked {
                return Outcome::reply(Reply::UpdateFeatures(Err((update.name.clone(), error))));
            }
        }
        let mut draft = self.draft();
        for update in updates.iter().filter(|update| self.image.feature(&update.name) != update.level) {
            draft.push(FeatureLevel { name: update.name.clone(), level: update.level });
        }
        if validate_only {
            return Outcome::reply(Reply::UpdateFeatures(Ok(())));
        }
        self.finish(draft, Reply::UpdateFeatures(Ok(())))
    }

    fn check_feature(&self, update: &FeatureUpdate) -> Result<(), ApiError> {
        let name = &update.name;
        let level = update.level;
        let invalid = |why: String| {
            let message = format!("Invalid update version {level} for feature {name}. {why}");
            Err(ApiError::new(ErrorCode::InvalidUpdateVersion, message))
        };
        if level < 0 {
            return invalid("A feature version cannot be less than 0.".to_owned());
        }
        let ranges = self
            .image
            .brokers()
            .values()
            .map(|broker| (broker.id, broker.features.iter().find(|range| range.name == *name)));
        let mut is_known = false;
        for (id, range) in ranges {
            is_known |= range.is_some();
            let (min, max) = range.map_or((0, 0), |range| (range.min, range.max));
            let fits = level == 0 && min == 0 || (min..=max).contains(&level);
            if !fits {
                return invalid(match range {
                    Some(_) => format!("Broker {id} only supports versions {min}-{max}"),
                    None => format!("Broker {id} does not support this feature."),
                });
            }
        }
        if !is_known {
            return invalid("No broker supports this feature.".to_owned());
        }
        let current = self.image.feature(name);
        if name == feature::METADATA_VERSION && level < current {
            return invalid(
                "Records of the present level may be in the metadata log, which older brokers cannot read."
                    .to_owned(),
            );
        }
        match update.upgrade_type {
            UpgradeType::Upgrade if level < current => {
                invalid("Can't downgrade the version of this feature without setting the upgrade type to either safe or unsafe downgrade.".to_owned())
            }
            UpgradeType::SafeDowngrade | UpgradeType::UnsafeDowngrade if level > current => {
                invalid("Can't downgrade to a newer version.".to_owned())
            }
            _ => Ok(()),
        }
    }
}
