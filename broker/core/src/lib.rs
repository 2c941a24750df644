//! Every decision of a broker as pure state machines.
