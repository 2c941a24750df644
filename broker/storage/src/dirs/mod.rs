//! The data directories of a broker and the logs in them.

mod log_dir;

pub use log_dir::LogDir;
