//! `root-usage scan`: what the rules match in CloudTrail's files, and in what others make of them.

mod csv;
mod delivery;
mod encoded;
mod foreign;
mod found;
mod incident;
mod letter;
mod object;
mod read;
mod row;
mod summary;
mod table;
mod telling;
mod unwrap;
mod walk;

use std::io::{self, BufWriter, Write};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::thread::available_parallelism;

use anyhow::Context;
use clap::ValueEnum;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, civil};
use root_usage::config::Config;
use root_usage::email::Story;
use root_usage::rule::{Rule, RuleSet};
use serde::Serialize;

use crate::BAD_INPUT;
use crate::run::write_mail;
use found::{Found, Question};
use letter::Letter;
use summary::{Everything, Outcome, Summary};

/// Prints the incidents that CloudTrail files tell of, and how many mails they would have caused.
///
/// Reads CloudTrail's files as they are in S3; JSON lines; records inside what the AWS CLI, EventBridge, CloudWatch Logs and
/// queues wrap around them; and CSV with whole records in a column. Files may be compressed with gzip, and directories are
/// read with everything in them. Reads the function's environment variables, too. Exits with 0 if everything was understood,
/// with 1 if something matched and --fail-on-match is given, and with 2 if something was not understood or could not be read.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  aws s3 sync s3://BUCKET/AWSLogs logs\n  root-usage scan --since 2026-01-01 logs")]
pub struct Arguments {
    /// Files and directories; - is standard input
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Leave out matches before this time: 2026-11-20, or 2026-11-20T02:47:00Z. A date begins at midnight UTC
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<Timestamp>,
    /// Leave out matches from this time on; if it is a date, matches after that day
    #[arg(long, value_name = "TIME", value_parser = until)]
    until: Option<Timestamp>,
    /// A shipped rule or a set of rules, instead of RULES; may be given more than once
    #[arg(long, value_name = "NAME")]
    rule: Vec<String>,
    /// A filter pattern of your own, instead of RULE_PATTERN. Without --rule, nothing else is searched for
    #[arg(long)]
    pattern: Option<String>,
    /// Print the mails instead of the incidents, each with its time
    #[arg(long)]
    mail: bool,
    /// Print a line for each record that matches instead of the incidents
    #[arg(long, conflicts_with = "mail")]
    records: bool,
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Exit with 1 if something matches
    #[arg(long)]
    fail_on_match: bool,
    /// How many files to read at a time; by default, one for each core
    #[arg(long, short = 'j', value_name = "N")]
    threads: Option<NonZeroUsize>,
}

/// How the answer is written.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For a person
    Table,
    /// One JSON document
    Json,
}

/// What is printed as JSON.
#[derive(Serialize)]
struct Answer<'a> {
    matches: &'a [Found],
    incidents: &'a [Story],
    #[serde(skip_serializing_if = "Option::is_none")]
    mails: Option<&'a [Letter]>,
    summary: &'a Summary,
}

/// Reads everything, then answers.
pub fn run(arguments: &Arguments, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let config = config(arguments)?;
    let question = Question {
        rules: config.rules,
        since: arguments.since,
        until: arguments.until,
        max_batch_bytes: config.max_batch_bytes,
        keep_records: arguments.mail,
    };
    let threads =
        arguments.threads.map_or_else(|| available_parallelism().map_or(1, NonZeroUsize::get), NonZeroUsize::get);
    let everything = Mutex::new(Everything::default());
    walk::read_all(&arguments.paths, threads, &question, &|file| {
        everything.lock().unwrap_or_else(PoisonError::into_inner).add(file);
    });
    let everything = everything.into_inner().unwrap_or_else(PoisonError::into_inner);
    let names = config.names.listed();
    let asked = (arguments.since, arguments.until);
    let Outcome { found, incidents, letters, summary } =
        everything.finish(asked, &config.style, &names, arguments.mail)?;
    let out = &mut BufWriter::new(out);
    match arguments.format {
        Format::Json => {
            let mails = arguments.mail.then_some(&letters[..]);
            let answer = Answer { matches: &found, incidents: &incidents, mails, summary: &summary };
            serde_json::to_writer(&mut *out, &answer).map_err(io::Error::from)?;
            writeln!(out)?;
        }
        Format::Table => {
            if arguments.mail {
                letters.iter().try_for_each(|letter| write_mail(out, &letter.message, letter.time))?;
            } else if !arguments.records {
                for incident in &incidents {
                    writeln!(out, "{}\n", incident.text(&config.style)?.trim_end())?;
                }
            } else {
                let colour = anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never;
                table::write(out, &found, colour)?;
            }
            table::write_summary(out, &summary)?;
        }
    }
    out.flush()?;
    Ok(match () {
        () if !summary.unreadable.is_empty() => ExitCode::from(BAD_INPUT),
        () if arguments.fail_on_match && !found.is_empty() => ExitCode::FAILURE,
        () => ExitCode::SUCCESS,
    })
}

/// The function's configuration, with the rules that are asked for.
fn config(arguments: &Arguments) -> anyhow::Result<Config> {
    let vars = std::env::vars_os().filter_map(|(name, value)| name.into_string().ok().zip(value.into_string().ok()));
    let mut config = Config::from_vars(vars.filter(|(name, _)| name != "ALERT_TOPIC_ARN"))?;
    if !arguments.rule.is_empty() || arguments.pattern.is_some() {
        let mut rules = Vec::new();
        for name in arguments.rule.iter().flat_map(|names| names.split(',')) {
            rules.extend(Rule::named(name.trim()).context("--rule")?);
        }
        if let Some(pattern) = &arguments.pattern {
            rules.push(Rule::own(pattern).context("--pattern")?);
        }
        config.rules = RuleSet::new(rules);
    }
    config.rules.lints().iter().for_each(|lint| eprintln!("root-usage: warning: {lint}"));
    Ok(config)
}

fn since(text: &str) -> Result<Timestamp, String> {
    time(text, 0)
}

fn until(text: &str) -> Result<Timestamp, String> {
    time(text, 1)
}

/// A time, or midnight so many days after a date, in UTC.
fn time(text: &str, days: i64) -> Result<Timestamp, String> {
    let expected = || "expected 2026-11-20 or 2026-11-20T02:47:00Z".to_owned();
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let date: civil::Date = text.parse().map_err(|_| expected())?;
    let midnight = date.checked_add(days.days()).and_then(|date| TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0)));
    midnight.map_err(|_| expected())
}
