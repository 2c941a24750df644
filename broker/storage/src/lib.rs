//! Log segments, indexes, recovery and retention over a Disk.
