//! Feature levels: what may be written to the metadata log.

/// The feature that says which metadata records may be written. A broker whose range does not hold the finalized
/// level may not register, so what every broker knows is what the level allows.
pub const METADATA_VERSION: &str = "ottla.metadata.version";

/// The lowest level of [`METADATA_VERSION`] that this version can run at.
pub const METADATA_VERSION_MIN: i32 = 1;

/// The highest level of [`METADATA_VERSION`] that this version can run at. Level 1: the records of tags 1 to 13.
/// Level 2: [`super::record::VotePreference`].
pub const METADATA_VERSION_MAX: i32 = 2;

/// The level from which on it may be recorded who should vote.
pub const VOTE_PREFERENCES: i32 = 2;

use super::record::FeatureRange;

/// What this version can run at, as it tells the controller when it registers.
#[must_use]
pub fn supported() -> Vec<FeatureRange> {
    vec![FeatureRange {
        name: METADATA_VERSION.to_owned(),
        min: METADATA_VERSION_MIN,
        max: METADATA_VERSION_MAX,
    }]
}
