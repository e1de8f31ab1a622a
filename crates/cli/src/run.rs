//! `root-usage run`: raw Lambda events in, mails out.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use jiff::{SignedDuration, Timestamp};
use root_usage::batch::{DEFAULT_MAX_BYTES, Inflated};
use root_usage::config::Config;
use root_usage::email::Message;
use root_usage::handler::{Handler, Invocation};
use root_usage::history::Recorded;
use root_usage::incident::Pace;
use root_usage::ledger::InMemory;
use root_usage::notify::Outbox;
use root_usage::report::Report;
use serde::Serialize;
use tokio::runtime::Runtime;

/// Prints the mails that raw Lambda events would cause, as the mails of incidents, each with its time.
///
/// Each file is a delivery that arrives when its newest log event was taken in. Reads the function's environment variables,
/// except ALERT_TOPIC_ARN: nothing is sent.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  root-usage run --history events/history.jsonl events/create-access-key.json")]
pub struct Arguments {
    /// Files with one event each, {"awslogs":{"data":"…"}}; - is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A file of CloudTrail records, one JSON object a line, to use as the event history
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
    /// Print a mail for each file, as the function does with QUIET_MINUTES=0: no incidents
    #[arg(long)]
    at_once: bool,
    /// Print one JSON line for each file instead: its report or error, and its messages
    #[arg(long)]
    json: bool,
}

/// What is printed of a file, or of what became due, as JSON.
#[derive(Serialize)]
struct Answer<'a> {
    /// `None` for what became due between files.
    file: Option<String>,
    /// When it was, where incidents are told.
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<Timestamp>,
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

/// How much longer than a read and the quiet time together anything may wait after a delivery.
const MARGIN: SignedDuration = SignedDuration::from_hours(1);

const TICK: &str = r#"{"tick":{}}"#;

/// The handler with its clock, and what came of it.
struct Player<'a, W> {
    handler: Handler<Outbox, Recorded>,
    runtime: Runtime,
    arguments: &'a Arguments,
    pace: Pace,
    out: &'a mut W,
    invocations: u64,
    total: Report,
    failed: usize,
}

impl<W: Write> Player<'_, W> {
    /// Hands an event over at this time, and prints what comes of it.
    fn invoke(&mut self, file: Option<&Path>, event: anyhow::Result<String>, now: Timestamp) -> anyhow::Result<()> {
        self.invocations += 1;
        let request_id = self.invocations.to_string();
        let handled = event.and_then(|event| {
            let time_left = Duration::from_secs(60);
            let invocation = Invocation { event: &event, request_id: &request_id, time_left, now };
            Ok(self.runtime.block_on(self.handler.handle(invocation)).done()?)
        });
        // Whatever became of the file: what was mailed before it failed was mailed.
        let messages = self.handler.notify().take();
        let time = (!self.arguments.at_once).then_some(now);
        if self.arguments.json && (file.is_some() || !messages.is_empty()) {
            let answer = Answer {
                file: file.map(|file| file.display().to_string()),
                time,
                report: handled.as_ref().ok(),
                error: handled.as_ref().err().map(|error| format!("{error:#}")),
                message: messages.first(),
                messages: &messages,
            };
            serde_json::to_writer(&mut *self.out, &answer).map_err(io::Error::from)?;
            writeln!(self.out)?;
        } else if !self.arguments.json {
            messages.iter().try_for_each(|message| write_mail(self.out, message, time))?;
        }
        match handled {
            Ok(report) => self.total.add(&report),
            Err(error) => {
                self.out.flush()?;
                eprintln!("root-usage: {}: {error:#}", file.unwrap_or(Path::new("-")).display());
                self.failed += 1;
                self.total.mails += messages.len();
            }
        }
        Ok(())
    }

    /// Lets the minutes pass from one time to another, as far as anything can come in them.
    fn tick(&mut self, from: Timestamp, to: Timestamp) -> anyhow::Result<()> {
        let last = to.min(from.saturating_add(self.pace.reads + self.pace.quiet + MARGIN)?);
        let minute = |time: Timestamp| time.as_second().div_euclid(60);
        for minute in minute(from) + 1..=minute(last) {
            self.invoke(None, Ok(TICK.to_owned()), Timestamp::from_second(minute * 60)?)?;
        }
        Ok(())
    }

    /// Plays deliveries in the order of their time, and what becomes due between and after them.
    fn play(&mut self) -> anyhow::Result<()> {
        let limit = DEFAULT_MAX_BYTES;
        let mut deliveries: Vec<_> = Vec::new();
        for file in &self.arguments.files {
            let event = read(file);
            let newest = event.as_ref().ok().and_then(|event| Inflated::from_event(event, limit).ok()?.newest());
            deliveries.push((newest, file, event));
        }
        // What says no time comes first.
        deliveries.sort_by_key(|(newest, ..)| *newest);
        let begin = deliveries.iter().find_map(|(newest, ..)| *newest).unwrap_or(Timestamp::UNIX_EPOCH);
        let mut now = begin;
        for (newest, file, event) in deliveries {
            let time = newest.unwrap_or(begin);
            self.tick(now, time)?;
            now = time;
            self.invoke(Some(file), event, now)?;
        }
        self.tick(now, Timestamp::MAX)
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
    let pace = config.pace;
    let handler = Handler::new(config, Outbox::default(), history);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let (total, failed) = (Report::default(), 0);
    let mut player = Player { handler, runtime, arguments, pace, out, invocations: 0, total, failed };
    if arguments.at_once || pace.is_off() {
        for file in &arguments.files {
            player.invoke(Some(file), read(file), Timestamp::now())?;
        }
    } else {
        player.handler = player.handler.with_incidents(InMemory::default(), pace);
        player.play()?;
    }
    let Player { out, total, failed, .. } = player;
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

/// Writes a mail as a person reads it, with the time at which it goes out.
pub fn write_mail(out: &mut impl Write, message: &Message, time: Option<Timestamp>) -> io::Result<()> {
    let line = "=".repeat(72);
    writeln!(out, "{line}")?;
    if let Some(time) = time {
        writeln!(out, "Date: {}", time.strftime("%Y-%m-%d %H:%M:%S UTC"))?;
    }
    writeln!(out, "Subject: {}\n{line}\n{}\n", message.subject.as_str(), message.text)
}
