//! What a broker without a cluster has promised, kept in its data directory: to whom it gave its one grant to found
//! a cluster, and that it is founding one itself.
//!
//! Invariant: a grant is on disk before anybody is told of it.

use ottla_types::{BrokerId, Uuid};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

const FILE: &str = "founding.json";

/// To whom, for which candidature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The candidate.
    pub to: BrokerId,
    /// Its candidature: made anew whenever it becomes a candidate.
    pub token: Uuid,
}

#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Content {
    grant: Option<Grant>,
    founding: Option<String>,
}

/// The promises of a broker.
#[derive(Debug)]
pub struct Promise {
    path: PathBuf,
    content: Content,
}

impl Promise {
    /// What was promised earlier.
    ///
    /// # Errors
    /// The disk's; a file that cannot be read as what it should be is an error too.
    pub fn open(dir: &Path) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        let path = dir.join(FILE);
        let content = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(io::Error::other)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Content::default(),
            Err(error) => return Err(error),
        };
        Ok(Self { path, content })
    }

    /// The grant that is out.
    pub fn grant(&self) -> Option<Grant> {
        self.content.grant
    }

    /// The cluster that this broker began to found.
    pub fn founding(&self) -> Option<&str> {
        self.content.founding.as_deref()
    }

    /// Gives the grant, or takes it back.
    ///
    /// # Errors
    /// The disk's; nothing is promised then.
    pub fn set_grant(&mut self, grant: Option<Grant>) -> io::Result<()> {
        if self.content.grant != grant {
            self.save(Content { grant, founding: self.content.founding.clone() })?;
        }
        Ok(())
    }

    /// This broker founds a cluster of that id.
    ///
    /// # Errors
    /// The disk's.
    pub fn set_founding(&mut self, cluster_id: &str) -> io::Result<()> {
        self.save(Content { grant: self.content.grant, founding: Some(cluster_id.to_owned()) })
    }

    /// The broker belongs to a cluster: promises do not matter any more.
    pub fn forget(&mut self) {
        self.content = Content::default();
        if let Err(error) = fs::remove_file(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, path = %self.path.display(), "could not be removed");
        }
    }

    fn save(&mut self, content: Content) -> io::Result<()> {
        let bytes = serde_json::to_vec(&content)?;
        let temporary = self.path.with_extension("tmp");
        let mut file = fs::File::create(&temporary)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, &self.path)?;
        if let Some(dir) = self.path.parent() {
            fs::File::open(dir)?.sync_all()?;
        }
        self.content = content;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promises_survive_a_restart_until_they_are_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let grant = Grant { to: BrokerId(3), token: Uuid::from_u128(7) };
        let mut promise = Promise::open(dir.path()).unwrap();
        promise.set_grant(Some(grant)).unwrap();
        promise.set_founding("abc").unwrap();
        let mut again = Promise::open(dir.path()).unwrap();
        assert_eq!((again.grant(), again.founding()), (Some(grant), Some("abc")));
        again.forget();
        assert_eq!(Promise::open(dir.path()).unwrap().grant(), None);
    }
}
