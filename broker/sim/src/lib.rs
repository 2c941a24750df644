//! Deterministic simulation of a whole cluster from a seed.
