//! The `root-usage` command: the function's pipeline for a person, without AWS.

mod match_;
mod rules;
mod run;

use std::io::{self, ErrorKind};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// What root did, from the events that the Lambda function gets; and what a filter pattern matches.
#[derive(Parser)]
#[command(name = "root-usage", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = r#"Examples:
  root-usage run events/create-access-key.json
  root-usage match '{ $.userIdentity.type = "Root" }' records.jsonl
  root-usage rules"#;

#[derive(Subcommand)]
enum Command {
    Run(run::Arguments),
    Match(match_::Arguments),
    Rules(rules::Arguments),
}

/// The exit code for input or configuration that can't be used.
const BAD_INPUT: u8 = 2;

fn main() -> ExitCode {
    let out = &mut io::stdout().lock();
    let done = match Arguments::parse().command {
        Command::Run(arguments) => run::run(&arguments, out),
        Command::Match(arguments) => match_::run(&arguments, out),
        Command::Rules(arguments) => rules::run(&arguments, out),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        // Somebody closed the pipe: they have seen enough.
        Err(error) if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe) => {
            ExitCode::SUCCESS
        }
        Ok(false) => ExitCode::from(BAD_INPUT),
        Err(error) => {
            eprintln!("root-usage: {error:#}");
            ExitCode::from(BAD_INPUT)
        }
    }
}
