//! The consensus of the metadata quorum.
