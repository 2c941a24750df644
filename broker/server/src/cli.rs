//! What `ottla broker` does: read the settings from all places, then run.

use crate::config::{BrokerConfig, Sources};

/// Runs a broker until it is told to stop. Blocks.
///
/// # Errors
/// One line for the user.
pub fn run_with(sources: &Sources) -> Result<(), String> {
    let config = BrokerConfig::load(sources).map_err(|error| error.to_string())?;
    crate::run(config).map_err(|error| error.to_string())
}
