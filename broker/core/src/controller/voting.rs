//! AddRaftVoter and RemoveRaftVoter (KIP-853): who should vote, as far as anybody has said so.
//!
//! How many vote follows the number of brokers, and the plan in [`super::membership`] brings it about. Here it is
//! recorded who is to be among them before others, and who is not.

use super::error::ApiError;
use super::{Controller, Outcome, Reply};
use crate::metadata::NodeId;
use crate::metadata::feature;
use crate::metadata::record::{Preference, VotePreference};
use ottla_types::{BrokerId, DirectoryId, ErrorCode};

impl Controller {
    /// The node of that broker and disk should vote, or should not.
    pub(super) fn prefer_voter(
        &mut self,
        id: BrokerId,
        directory: DirectoryId,
        preference: Preference,
    ) -> Outcome {
        match self.check_preference(id, directory, preference) {
            Err(error) => Outcome::reply(Reply::PreferVoter(Err(error))),
            Ok(false) => Outcome::reply(Reply::PreferVoter(Ok(()))),
            Ok(true) => {
                let mut draft = self.draft();
                draft.push(VotePreference { broker_id: id.0, preference: preference as i32 });
                self.finish(draft, Reply::PreferVoter(Ok(())))
            }
        }
    }

    /// Whether there is something to record.
    fn check_preference(
        &self,
        id: BrokerId,
        directory: DirectoryId,
        preference: Preference,
    ) -> Result<bool, ApiError> {
        let level = self.image.feature(feature::METADATA_VERSION);
        if level < feature::VOTE_PREFERENCES {
            let message = format!(
                "The cluster runs at {} {level}; who votes can be changed from {} on.",
                feature::METADATA_VERSION,
                feature::VOTE_PREFERENCES
            );
            return Err(ApiError::new(ErrorCode::UnsupportedVersion, message));
        }
        let voters = &self.image.membership().voters;
        let node = NodeId::new(id, directory);
        let is_voter = voters.contains(&node);
        let known = self.image.broker(id).filter(|known| known.node() == node);
        match (preference, known) {
            (Preference::Barred, _) if !is_voter => Err(ApiError::new(
                ErrorCode::VoterNotFound,
                format!("Broker {id} with directory {directory} does not vote."),
            )),
            (Preference::Barred, _) if voters.len() == 1 => {
                Err(ApiError::new(ErrorCode::InvalidRequest, "The last voter cannot be removed."))
            }
            (Preference::Wanted, _) if is_voter => Err(ApiError::new(
                ErrorCode::DuplicateVoter,
                format!("Broker {id} with directory {directory} votes already."),
            )),
            (_, None) => {
                let message =
                    format!("No broker {id} whose metadata is in directory {directory} is registered.");
                Err(ApiError::new(ErrorCode::VoterNotFound, message))
            }
            (wanted, Some(known)) => Ok(known.preference != wanted),
        }
    }
}
