//! From an outcome to a line on stderr and an exit code.

use ottla_client::ClientError;
use std::process::ExitCode;

const FAILED: u8 = 1;
const UNREACHABLE: u8 = 3;

/// Says what went wrong, if anything did. A reader that went away (`| head`) is no failure.
pub(crate) fn code_of(done: anyhow::Result<()>) -> ExitCode {
    let Err(error) = done else { return ExitCode::SUCCESS };
    if is_broken_pipe(&error) {
        return ExitCode::SUCCESS;
    }
    eprintln!("error: {error:#}");
    let unreachable = matches!(
        error.downcast_ref::<ClientError>(),
        Some(ClientError::Connect { .. } | ClientError::NoBroker { .. })
    );
    ExitCode::from(if unreachable { UNREACHABLE } else { FAILED })
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<std::io::Error>();
    io.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}
