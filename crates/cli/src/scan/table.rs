//! The answer as a person reads it.

use std::fmt::Write as _;
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use indicatif::{DecimalBytes, HumanCount};
use jiff::Timestamp;
use root_usage::alert::{Access, Severity};
use root_usage::record::Outcome;

use super::found::Found;
use super::summary::{Mails, Noisiest, Summary, Unread};
use crate::terminal::printable;

/// The most characters of a cell.
const CELL_MAX: usize = 48;

/// The most unreadable files, and busiest days, that are listed.
const LISTED_MAX: usize = 20;

const HEAD: [&str; 8] = ["TIME (UTC)", "ACCOUNT", "REGION", "ACTION", "FROM", "OUTCOME", "SEVERITY", "BY"];

/// Where the severity is: its width is known, so colour does not move what follows.
const SEVERITY: usize = 6;

/// Writes a line for each match.
pub fn write(out: &mut impl Write, found: &[Found], colour: bool) -> io::Result<()> {
    if found.is_empty() {
        return Ok(());
    }
    let mut widths = HEAD.map(str::len);
    for found in found {
        for (width, cell) in widths.iter_mut().zip(cells(found)) {
            *width = (*width).max(cell.chars().count());
        }
    }
    line(out, &HEAD.map(str::to_owned), &widths, Style::new())?;
    for found in found {
        let style = if colour { style(found.severity) } else { Style::new() };
        line(out, &cells(found), &widths, style)?;
    }
    writeln!(out)
}

fn line(out: &mut impl Write, cells: &[String; 8], widths: &[usize; 8], severity: Style) -> io::Result<()> {
    let mut line = String::new();
    for (index, (cell, width)) in cells.iter().zip(widths).enumerate() {
        let style = if index == SEVERITY { severity } else { Style::new() };
        let gap = if index + 1 == cells.len() { 0 } else { 2 + width - cell.chars().count() };
        // To a `String` nothing fails.
        let _ = write!(line, "{style}{cell}{style:#}{:gap$}", "");
    }
    writeln!(out, "{line}")
}

fn style(severity: Severity) -> Style {
    match severity {
        Severity::Critical => AnsiColor::Red.on_default().bold(),
        Severity::High => AnsiColor::Red.on_default(),
        Severity::Medium => AnsiColor::Yellow.on_default(),
        Severity::Low => Style::new().dimmed(),
    }
}

fn cells(found: &Found) -> [String; 8] {
    let text = |text: &Option<Box<str>>| cell(text.as_deref().unwrap_or("-"));
    let service = found.event_source.as_deref().and_then(|source| source.split('.').next()).unwrap_or("-");
    [
        found.time.map_or_else(|| "-".to_owned(), |time| time.strftime("%Y-%m-%d %H:%M:%S").to_string()),
        text(&found.account),
        text(&found.region),
        cell(&format!("{service} {}", found.event_name.as_deref().unwrap_or("-"))),
        text(&found.source_ip),
        outcome(found.outcome).to_owned(),
        found.severity.to_string(),
        found.credential.map_or_else(|| cell(short(&found.actor)), |credential| by(credential).to_owned()),
    ]
}

/// A cell that stays in its place, whoever wrote the text.
fn cell(text: &str) -> String {
    let text = printable(text);
    if text.chars().count() <= CELL_MAX {
        return text;
    }
    text.chars().take(CELL_MAX - 3).chain("...".chars()).collect()
}

/// `IAMUser user/alice` rather than the whole ARN, whose account is in the table already.
fn short(actor: &str) -> &str {
    actor.rsplit(':').next().filter(|name| !name.is_empty()).unwrap_or(actor)
}

fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Succeeded => "succeeded",
        Outcome::Denied => "denied",
        Outcome::Failed => "failed",
        Outcome::Blocked => "blocked by policy",
        Outcome::NotSaid => "not said",
    }
}

fn by(access: Access) -> &'static str {
    match access {
        Access::SignIn => "root, sign-in page",
        Access::ConsoleSession { .. } => "root, console session",
        Access::CommandLineSession => "root, aws login",
        Access::LongLivedKey => "root, long-lived access key",
        Access::CentralRootSession => "root, central root session",
        Access::SessionToken { .. } => "root, GetSessionToken",
        Access::TemporaryKey { .. } => "root, temporary key",
        Access::NotSaid => "root",
    }
}

/// Writes the figures.
pub fn write_summary(out: &mut impl Write, summary: &Summary) -> io::Result<()> {
    let Summary { files, digest_files, files_without_records, records, bytes, from, to, .. } = summary;
    let Summary { skipped, matches, duplicates, mails, faults, .. } = summary;
    let span = from.zip(*to).map_or_else(String::new, |(from, to)| format!(", {} to {}", date(from), date(to)));
    let read = if *records == 0 { " read" } else { "" };
    let files = count(*files, "file");
    writeln!(out, "{}{read} in {files} ({} of JSON){span}", count(*records, "record"), DecimalBytes(*bytes))?;
    if *digest_files > 0 {
        writeln!(out, "{} hold digests and no records", count(*digest_files, "file"))?;
    }
    if *files_without_records > 0 {
        writeln!(out, "{} without any record", count(*files_without_records, "file"))?;
    }
    for (name, number) in skipped {
        writeln!(out, "left out: {} x {name}", HumanCount(*number))?;
    }
    if *records == 0 {
        writeln!(out, "0 records read: this says nothing about what happened")?;
        return write_unreadable(out, *faults, &summary.unreadable);
    }
    let matches = if *matches == 1 { "1 match".to_owned() } else { format!("{} matches", HumanCount(*matches)) };
    writeln!(out, "{matches}, {}", count(*duplicates, "duplicate"))?;
    write_mails(out, mails)?;
    if let Some(Noisiest { actor, matches }) = &summary.noisiest {
        writeln!(out, "noisiest: {}, {} of the matches", cell(actor), HumanCount(*matches))?;
    }
    write_unreadable(out, *faults, &summary.unreadable)
}

fn write_unreadable(out: &mut impl Write, faults: u64, unread: &[Unread]) -> io::Result<()> {
    if !unread.is_empty() {
        let paths = count(unread.len() as u64, "path");
        writeln!(out, "could not be read, or only in part: {paths}, {} in all", count(faults, "fault"))?;
    }
    for Unread { file, at, reason, more } in unread.iter().take(LISTED_MAX) {
        let at = at.map_or_else(String::new, |at| format!("at byte {at}: "));
        let more = if *more > 0 { format!(" (and {} more)", HumanCount(*more)) } else { String::new() };
        writeln!(out, "  {}: {at}{}{more}", printable(file), printable(reason))?;
    }
    if unread.len() > LISTED_MAX {
        writeln!(out, "  and {} more; --format json lists all", unread.len() - LISTED_MAX)?;
    }
    Ok(())
}

fn write_mails(out: &mut impl Write, mails: &Mails) -> io::Result<()> {
    let Mails { total, estimated, days, per_day, by_day } = mails;
    let about = if *estimated { "about " } else { "" };
    write!(out, "mails: {about}{}", HumanCount(*total))?;
    if *total > 0 && *days > 0 {
        write!(out, ", {per_day:.2} a day in {}", count(*days, "day"))?;
    }
    writeln!(out)?;
    let mut busiest: Vec<_> = by_day.iter().collect();
    busiest.sort_by_key(|(day, mails)| (std::cmp::Reverse(**mails), **day));
    for (day, mails) in busiest.iter().take(LISTED_MAX) {
        writeln!(out, "  {day}: {}", HumanCount(**mails))?;
    }
    if busiest.len() > LISTED_MAX {
        writeln!(out, "  and {} more days; --format json lists all", busiest.len() - LISTED_MAX)?;
    }
    Ok(())
}

fn count(number: u64, what: &str) -> String {
    format!("{} {what}{}", HumanCount(number), if number == 1 { "" } else { "s" })
}

fn date(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d").to_string()
}
