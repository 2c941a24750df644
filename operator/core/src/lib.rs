//! Custom resources, validation, object builders, plan and status; pure.
