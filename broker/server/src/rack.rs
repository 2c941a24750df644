//! Where this broker stands, if nobody can say so in its settings.
//!
//! Under Kubernetes a pod's zone is known only once it has a node; it appears in a file (`ottla.rack.file`) while the
//! broker starts. What was found is remembered beside the records, so that a later start needs nobody to write it.

use crate::config::BrokerConfig;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a broker that has never known its rack waits to be told.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(200);
/// File in the first data directory.
const REMEMBERED: &str = "rack";

/// The settings with the rack that `ottla.rack.file` names, or that was remembered.
pub async fn find(mut config: BrokerConfig) -> BrokerConfig {
    let Some(file) = config.rack_file.clone().filter(|_| config.rack.is_none()) else { return config };
    let remembered = remembered(&config).as_deref().and_then(read);
    let deadline = Instant::now() + if remembered.is_some() { Duration::ZERO } else { PATIENCE };
    config.rack = loop {
        match read(&file) {
            Some(rack) => break Some(rack),
            None if Instant::now() >= deadline => break remembered,
            None => tokio::time::sleep(PAUSE).await,
        }
    };
    match &config.rack {
        Some(rack) => tracing::info!(rack, "rack"),
        None => tracing::warn!(file = %file.display(), "nobody says which rack this broker is in"),
    }
    config
}

/// Notes the rack for the next start. The data directories must be there.
pub fn remember(config: &BrokerConfig) {
    let (Some(rack), Some(path)) = (&config.rack, remembered(config).filter(|_| config.rack_file.is_some()))
    else {
        return;
    };
    if read(&path).as_ref() != Some(rack)
        && let Err(error) = std::fs::write(&path, format!("{rack}\n"))
    {
        tracing::warn!(%error, path = %path.display(), "the rack could not be noted");
    }
}

fn remembered(config: &BrokerConfig) -> Option<PathBuf> {
    config.log_dirs.first().map(|dir| dir.join(REMEMBERED))
}

fn read(path: &Path) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let first = text.lines().next().unwrap_or_default().trim();
    (!first.is_empty()).then(|| first.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;

    fn config(dir: &Path, more: &[&str]) -> BrokerConfig {
        let mut flags = vec![format!("log.dirs={}", dir.display())];
        flags.extend(more.iter().map(|flag| (*flag).to_owned()));
        BrokerConfig::load(&Sources { flags, ..Sources::default() }).unwrap()
    }

    #[tokio::test]
    async fn the_rack_in_the_file_counts_and_is_remembered_when_the_file_is_empty_later() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("told");
        let setting = format!("ottla.rack.file={}", file.display());
        std::fs::write(&file, "z1\n").unwrap();
        let first = find(config(dir.path(), &[&setting])).await;
        assert_eq!(first.rack.as_deref(), Some("z1"));
        remember(&first);
        std::fs::write(&file, "").unwrap();
        assert_eq!(find(config(dir.path(), &[&setting])).await.rack.as_deref(), Some("z1"));
        std::fs::write(&file, "z2").unwrap();
        assert_eq!(find(config(dir.path(), &[&setting])).await.rack.as_deref(), Some("z2"));
    }

    #[tokio::test]
    async fn a_rack_in_the_settings_goes_before_any_file() {
        let dir = tempfile::tempdir().unwrap();
        let found = find(config(dir.path(), &["broker.rack=a", "ottla.rack.file=/nowhere"])).await;
        assert_eq!(found.rack.as_deref(), Some("a"));
    }
}
