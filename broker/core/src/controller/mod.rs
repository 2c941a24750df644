//! The controller: the record machine that decides what the cluster metadata is.
