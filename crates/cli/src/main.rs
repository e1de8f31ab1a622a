//! The `root-usage` command: the function's pipeline for a person, without AWS.

mod completions;
mod match_;
mod rules;
mod run;
mod scan;
mod terminal;

use std::io::{self, ErrorKind};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Shows what root did, from the events that the Lambda function gets, and what a filter pattern matches.
#[derive(Parser)]
#[command(name = "root-usage", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = r#"Examples:
  root-usage run events/create-access-key.json
  root-usage match '{ $.userIdentity.type = "Root" }' records.jsonl
  root-usage scan --since 2026-01-01 AWSLogs
  root-usage rules"#;

#[derive(Subcommand)]
enum Command {
    Run(run::Arguments),
    Match(match_::Arguments),
    Scan(scan::Arguments),
    Rules(rules::Arguments),
    Completions(completions::Arguments),
}

/// The exit code for input or configuration that can't be used.
pub const BAD_INPUT: u8 = 2;

fn main() -> ExitCode {
    let out = &mut io::stdout().lock();
    let done = match Arguments::parse().command {
        Command::Run(arguments) => run::run(&arguments, out).map(code),
        Command::Match(arguments) => match_::run(&arguments, out).map(code),
        Command::Scan(arguments) => scan::run(&arguments, out),
        Command::Rules(arguments) => rules::run(&arguments, out).map(code),
        Command::Completions(arguments) => completions::run::<Arguments>(&arguments, out).map(code),
    };
    match done {
        Ok(code) => code,
        // Somebody closed the pipe: they have seen enough.
        Err(error) if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe) => {
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("root-usage: {error:#}");
            ExitCode::from(BAD_INPUT)
        }
    }
}

/// The exit code of a command that says whether all its input could be used.
fn code(good: bool) -> ExitCode {
    if good { ExitCode::SUCCESS } else { ExitCode::from(BAD_INPUT) }
}
