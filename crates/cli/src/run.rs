//! `root-usage run`: raw Lambda events in, mails out.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use root_usage::config::Config;
use root_usage::email::Message;
use root_usage::handler::{Handler, Invocation};
use root_usage::history::Recorded;
use root_usage::notify::Outbox;
use root_usage::report::Report;
use serde::Serialize;

/// Prints the mails that raw Lambda events would cause.
///
/// Reads the function's environment variables, except ALERT_TOPIC_ARN: nothing is sent.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  root-usage run --history events/history.jsonl events/create-access-key.json")]
pub struct Arguments {
    /// Files with one event each, {"awslogs":{"data":"…"}}; - is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A file of CloudTrail records, one JSON object a line, to use as the event history
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
    /// Print one JSON line for each file instead: its report or error, and its messages
    #[arg(long)]
    json: bool,
}

/// What is printed of a file as JSON.
#[derive(Serialize)]
struct Answer<'a> {
    file: String,
    /// `None` if the file failed.
    report: Option<&'a Report>,
    /// Why it failed, with everything that caused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// The first of the messages.
    message: Option<&'a Message>,
    /// All of them, also those before the failure.
    messages: &'a [Message],
}

impl<'a> Answer<'a> {
    fn new(file: &Path, handled: &'a anyhow::Result<Report>, messages: &'a [Message]) -> Self {
        Self {
            file: file.display().to_string(),
            report: handled.as_ref().ok(),
            error: handled.as_ref().err().map(|error| format!("{error:#}")),
            message: messages.first(),
            messages,
        }
    }
}

/// Whether every file could be used.
pub fn run(arguments: &Arguments, out: &mut impl Write) -> anyhow::Result<bool> {
    let vars = std::env::vars_os().filter_map(|(name, value)| name.into_string().ok().zip(value.into_string().ok()));
    let mut config = Config::from_vars(vars.filter(|(name, _)| name != "ALERT_TOPIC_ARN"))?;
    config.warnings().iter().for_each(|warning| eprintln!("root-usage: warning: {warning}"));
    config.metrics = false;
    let history = match &arguments.history {
        Some(file) => {
            Recorded::from_lines(&read(file)?).map_err(anyhow::Error::msg).context(file.display().to_string())?
        }
        None => {
            // Nothing can be looked up, so nothing is said of it.
            config.history = None;
            Recorded::default()
        }
    };
    let handler = Handler::new(config, Outbox::default(), history);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let mut total = Report::default();
    let mut failed = 0;
    for file in &arguments.files {
        let handled = read(file).and_then(|event| {
            let invocation = Invocation { event: &event, request_id: "", time_left: Duration::from_secs(60) };
            Ok(runtime.block_on(handler.handle(invocation)).done()?)
        });
        // Whatever became of the file: what was mailed before it failed was mailed.
        let messages = handler.notify().take();
        let mails = messages.len();
        if arguments.json {
            serde_json::to_writer(&mut *out, &Answer::new(file, &handled, &messages)).map_err(io::Error::from)?;
            writeln!(out)?;
        } else {
            messages.iter().try_for_each(|message| write_mail(out, message))?;
        }
        match handled {
            Ok(report) => total.add(&report),
            Err(error) => {
                out.flush()?;
                eprintln!("root-usage: {}: {error:#}", file.display());
                failed += 1;
                total.mails += mails;
            }
        }
    }
    if !arguments.json {
        let Report { ignored, matched, duplicate, unreadable, mails, .. } = total;
        let events = ignored + matched + duplicate + unreadable;
        let failures = match failed {
            0 => String::new(),
            1 => "; 1 file failed, and its log events are not counted".to_owned(),
            _ => format!("; {failed} files failed, and their log events are not counted"),
        };
        writeln!(
            out,
            "{events} log events: {matched} matched, {duplicate} duplicate, {unreadable} unreadable, {ignored} ignored; \
             mails: {mails}{failures}"
        )?;
    }
    Ok(failed == 0)
}

fn read(file: &PathBuf) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    if file.as_os_str() == "-" {
        io::stdin().read_to_end(&mut bytes).context("standard input could not be read")?;
    } else {
        bytes = std::fs::read(file).context("the file could not be read")?;
    }
    String::from_utf8(bytes).context("the file is not text")
}

fn write_mail(out: &mut impl Write, message: &Message) -> io::Result<()> {
    let line = "=".repeat(72);
    writeln!(out, "{line}\nSubject: {}\n{line}\n{}\n", message.subject.as_str(), message.text)
}
