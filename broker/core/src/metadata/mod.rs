//! The cluster metadata: records, and the image they add up to.
