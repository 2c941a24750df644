//! `ottla completions`: a script that completes commands in a shell.

use crate::args::Cli;
use clap::{Args, CommandFactory};
use clap_complete::Shell;

/// For bash: `ottla completions bash > /etc/bash_completion.d/ottla`
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// Which shell.
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn run(args: &CompletionsArgs) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "ottla", &mut script);
    std::io::Write::write_all(&mut std::io::stdout().lock(), &script)?;
    Ok(())
}
