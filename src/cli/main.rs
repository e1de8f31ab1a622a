//! The `root-usage` command: the function's pipeline for a person, without AWS.

mod run;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// What root did, from the events that the Lambda function gets.
#[derive(Parser)]
#[command(name = "root-usage", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Run(run::Arguments),
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Run(arguments) => run::run(&arguments),
    }
}
