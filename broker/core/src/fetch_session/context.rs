//! One Fetch request in work.

use super::session::{FetchPartition, PartitionAnswer, PartitionKey, Partitions};

/// How the request relates to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Without one: everything is answered.
    Sessionless,
    /// It names all its partitions and may get a session with the answer: everything is answered.
    Full {
        /// From a follower.
        privileged: bool,
        /// It names topics by id.
        uses_topic_ids: bool,
    },
    /// Of this session: only news are answered.
    Incremental {
        /// The session.
        id: i32,
    },
}

/// The partitions a Fetch request reads. It holds its session, if any, until it is given back to
/// [`Cache::finish`](super::Cache::finish) (or [`Cache::abandon`](super::Cache::abandon) if there will be no answer).
#[derive(Debug)]
#[must_use]
pub struct Context {
    pub(super) kind: Kind,
    pub(super) partitions: Partitions,
}

impl Context {
    pub(super) fn new(kind: Kind, partitions: Partitions) -> Self {
        Self { kind, partitions }
    }

    /// How it relates to a session.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The number of partitions.
    #[must_use]
    pub fn len(&self) -> usize {
        self.partitions.len()
    }

    /// True if there is nothing to read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.partitions.len() == 0
    }

    /// What to read, in order, each with an index for [`must_answer`](Self::must_answer).
    pub fn partitions(&self) -> impl Iterator<Item = (usize, &PartitionKey, &FetchPartition)> {
        self.partitions.iter()
    }

    /// One partition's index and what to read of it.
    #[must_use]
    pub fn get(&self, key: &PartitionKey) -> Option<(usize, &FetchPartition)> {
        self.partitions.get(key)
    }

    /// Must this partition be in the answer? Call once for each partition when the answer is final: it is taken
    /// as told.
    pub fn must_answer(&mut self, index: usize, answer: &PartitionAnswer) -> bool {
        let news = self.partitions.tell(index, answer);
        news || !matches!(self.kind, Kind::Incremental { .. })
    }
}
