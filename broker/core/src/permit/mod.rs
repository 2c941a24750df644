//! The restart permit.
