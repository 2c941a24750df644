//! The operator process: observe, plan, apply.
