//! Mistakes made on purpose, to see whether the simulation finds them.
//!
//! Without the feature `planted` every question here is answered with a constant `false` and costs nothing. With it,
//! a thread may choose one mistake that the machines it runs then make.

/// A mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// `acks=all` is answered as soon as the leader has the records.
    AckBeforeReplication,
    /// The high watermark is the end of the fastest in-sync replica.
    CountOnlyTheFastest,
    /// Requests of any leader epoch are taken.
    ForgetLeaderEpoch,
    /// Diverging logs are not truncated.
    SkipTruncation,
    /// A replica joins the ISR before it has caught up.
    JoinIsrTooEarly,
    /// What is proposed to leave the ISR is not waited for any more.
    ShrinkBeforeTheAnswer,
    /// What is proposed to join the ISR is not waited for yet.
    ExpandAfterTheAnswer,
    /// A leader's own records count before they are on disk.
    AnswerBeforeFlush,
    /// A follower asks for more before it has flushed.
    FetchBeforeFlush,
    /// A permit is given while another is out.
    PermitTwice,
    /// A starting broker acts on the metadata that it finds on its disk.
    ActOnOldMetadata,
    /// The consensus is told that something is on disk before it is.
    VoteBeforeFlush,
    /// The metadata log is written, but not synced.
    ForgetMetadataSync,
    /// Consumers get what is not committed yet.
    ServeUncommitted,
    /// Any replica that is there may be elected.
    ElectOutsideIsr,
    /// After a power loss recovery trusts what was not synced.
    TrustAfterPowerLoss,
    /// Groups are answered before their records are replicated.
    AnswerGroupsBeforeReplication,
    /// Commits of any generation are taken.
    ForgetGeneration,
    /// The controller answers before its decision is committed.
    AnswerBeforeMetadataIsCommitted,
    /// A permit is given without a look at the partitions.
    ForgetMinInsync,
    /// A batch behind one that was refused for a moment is told that it is out of sequence.
    ForgetRefusedBatches,
}

#[cfg(feature = "planted")]
mod chosen {
    use super::Bug;
    use std::cell::Cell;

    thread_local! {
        static CHOSEN: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    /// This thread's machines make this mistake from now on, or none.
    pub fn choose(bug: Option<Bug>) {
        CHOSEN.set(bug);
    }

    /// Is this mistake to be made?
    #[must_use]
    pub fn is(bug: Bug) -> bool {
        CHOSEN.get() == Some(bug)
    }
}

#[cfg(feature = "planted")]
pub use chosen::{choose, is};

/// Is this mistake to be made? Never.
#[cfg(not(feature = "planted"))]
#[inline(always)]
#[must_use]
pub const fn is(_bug: Bug) -> bool {
    false
}
