//! `root-usage run`: raw Lambda events in, mails out.

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use root_usage_alert::config::Config;
use root_usage_alert::email::Message;
use root_usage_alert::handler::{Handler, Invocation};
use root_usage_alert::history::Recorded;
use root_usage_alert::notify::Outbox;
use root_usage_alert::report::Report;

/// Prints the mails that raw Lambda events would cause.
///
/// The function's environment variables work here too, but for ALERT_TOPIC_ARN: nothing is sent.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  root-usage run --history events/history.jsonl events/create-access-key.json")]
pub struct Arguments {
    /// Files with one event each, {"awslogs":{"data":"…"}}; - is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A file of CloudTrail records, one JSON object a line, to be taken for the event history
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
    /// Print a JSON line for each event instead: its report and its message
    #[arg(long)]
    json: bool,
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
    let mut good = true;
    for file in &arguments.files {
        let handled = read(file).and_then(|event| {
            Ok(runtime.block_on(handler.handle(Invocation {
                event: &event,
                request_id: "",
                time_left: Duration::from_secs(60),
            }))?)
        });
        let report = match handled {
            Ok(report) => report,
            Err(error) => {
                eprintln!("root-usage: {}: {error:#}", file.display());
                good = false;
                continue;
            }
        };
        let messages = handler.notify().take();
        if arguments.json {
            let line = serde_json::json!({ "file": file.display().to_string(), "report": report, "message": messages.first() });
            writeln!(out, "{line}")?;
        } else {
            messages.iter().try_for_each(|message| write_mail(out, message))?;
        }
        total.add(&report);
    }
    if !arguments.json {
        let Report { ignored, matched, duplicate, unreadable, mails, .. } = total;
        let events = ignored + matched + duplicate + unreadable;
        writeln!(
            out,
            "{events} log events: {matched} matched, {duplicate} duplicate, {unreadable} unreadable, {ignored} ignored; \
             mails: {mails}"
        )?;
    }
    Ok(good)
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
