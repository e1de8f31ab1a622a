//! `root-usage match`: what a filter pattern says of log events, one a line.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::PathBuf;

use anyhow::Context;
use filter_pattern::Pattern;
use filter_pattern::json::Json;

use crate::terminal::printable;

/// Prints true or false for each line: whether a CloudWatch Logs filter pattern matches it.
///
/// Each line is the message of a log event: a CloudTrail record, for example. As in CloudWatch Logs, a line that is not a
/// JSON object matches only the empty pattern.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  root-usage match --explain '{ $.userIdentity.type = \"Root\" && $.userIdentity.invokedBy NOT EXISTS }' records.jsonl"
)]
pub struct Arguments {
    /// The filter pattern, as PutSubscriptionFilter and PutMetricFilter accept it
    pattern: String,
    /// A file with one message a line; - is standard input
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
    /// Print under each answer every condition, the value it found and its result
    #[arg(long)]
    explain: bool,
}

/// Answers for each line. Always true, since any line has an answer.
pub fn run(arguments: &Arguments, out: &mut impl Write) -> anyhow::Result<bool> {
    let pattern = Pattern::parse(&arguments.pattern)?;
    pattern.lints().iter().for_each(|lint| eprintln!("root-usage: warning: {lint}"));
    let unread = || format!("{} could not be read", arguments.file.display());
    let mut lines: Box<dyn BufRead> = if arguments.file.as_os_str() == "-" {
        Box::new(io::stdin().lock())
    } else {
        Box::new(BufReader::new(File::open(&arguments.file).with_context(unread)?))
    };
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).with_context(unread)? > 0 {
        // CloudWatch Logs has no other bytes than text either.
        answer(&pattern, String::from_utf8_lossy(&line).trim(), arguments.explain, out)?;
        line.clear();
    }
    Ok(true)
}

fn answer(pattern: &Pattern, message: &str, explain: bool, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{}", pattern.matches_text(message))?;
    if !explain {
        return Ok(());
    }
    match Json::parse(message) {
        Ok(event @ Json::Object(_)) => {
            pattern.explain(&event).iter().try_for_each(|line| writeln!(out, "  {}", printable(&line.to_string())))
        }
        Ok(_) => writeln!(out, "  JSON, but not an object"),
        Err(error) => writeln!(out, "  {:#}", anyhow::Error::from(error)),
    }
}
