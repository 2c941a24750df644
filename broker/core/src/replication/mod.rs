//! Replication of one partition: leader and follower.
