//! `root-usage completions`: what a shell needs to complete the command's arguments.

use std::io::Write;

use clap::CommandFactory;
use clap_complete::{Shell, generate};

/// Prints a script that completes this command's arguments in your shell.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  root-usage completions bash > ~/.local/share/bash-completion/completions/root-usage"
)]
pub struct Arguments {
    /// The shell
    shell: Shell,
}

/// Always true: every shell that is accepted is known.
pub fn run<C: CommandFactory>(arguments: &Arguments, out: &mut impl Write) -> anyhow::Result<bool> {
    let mut script = Vec::new();
    generate(arguments.shell, &mut C::command(), "root-usage", &mut script);
    out.write_all(&script)?;
    Ok(true)
}
