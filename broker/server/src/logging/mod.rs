//! Logs: tracing to stderr, as text or JSON, with levels that can change while the process runs.
//!
//! A level is a base level plus levels of single targets (`info,ottla_server::net=debug`). The handle
//! changes all of them or one; an event below its level costs a comparison.

mod banner;
mod levels;

pub use banner::{Banner, banner};
pub use levels::{BadLevel, Levels};

use std::io::IsTerminal;

use tracing_subscriber::layer::{Layered, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, reload};

use crate::config::LogFormat;

type Filtered = Layered<reload::Layer<tracing_subscriber::filter::Targets, Registry>, Registry>;

/// Why logs cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// A level that does not exist.
    #[error(transparent)]
    BadLevel(#[from] BadLevel),
    /// Somebody has set up logs already.
    #[error("logs are already set up")]
    AlreadySet,
}

/// Starts logging for the whole process.
///
/// # Errors
/// If `level` is malformed, or logs have been set up before.
pub fn init(format: LogFormat, level: &str) -> Result<Levels, LoggingError> {
    let (levels, filter) = Levels::new(level)?;
    let subscriber = tracing_subscriber::registry().with(filter).with(output(format, std::io::stderr));
    subscriber.try_init().map_err(|_| LoggingError::AlreadySet)?;
    Ok(levels)
}

fn output<W>(format: LogFormat, writer: W) -> Box<dyn Layer<Filtered> + Send + Sync>
where
    W: for<'a> fmt::MakeWriter<'a> + Send + Sync + 'static,
{
    match format {
        LogFormat::Text => {
            let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            fmt::layer().with_ansi(colours).with_target(true).with_writer(writer).boxed()
        }
        LogFormat::Json => fmt::layer().json().flatten_event(true).with_writer(writer).boxed(),
    }
}

#[cfg(test)]
mod tests;
