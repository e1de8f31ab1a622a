//! The one line that is read first.

use serde::Serialize;

use super::Clean;
use crate::alert::{Action, Alert};
use crate::record::Outcome;

/// The most characters an SNS subject may have.
///
/// Source: SNS API Reference, `Publish`, "less than 100 characters long".
pub const SUBJECT_MAX: usize = 99;

/// A subject that SNS takes: printable ASCII, from 1 to [`SUBJECT_MAX`] characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Subject(String);

impl Subject {
    /// The subject, as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The subject of the mail about an alert.
    pub(super) fn of(alert: &Alert) -> Self {
        let severity = alert.severity();
        let Some(actor) = alert.actors.first() else {
            let count = alert.unreadable.len();
            let events = if count == 1 { "log event" } else { "log events" };
            let owner = Clean::name(&alert.origin.owner);
            return Self::clipped(&format!("[{severity}] {count} CloudTrail {events} could not be read in {owner}"));
        };
        let action = actor.gravest();
        let record = &action.record;
        let field = |value: Option<Clean>, max: usize| {
            let text = value.map_or_else(|| "?".to_owned(), |value| printable(value.as_str()));
            cut(&text, max).to_owned()
        };
        // `IdentityCenterUser` is the longest type that CloudTrail has.
        let who = if record.is_root() { "Root".to_owned() } else { field(record.identity_type().map(Clean::name), 18) };
        let source = field(record.source_ip().map(Clean::source), 45);
        let region = field(record.region().map(Clean::name), 16);
        let account = field(record.account().map(Clean::name), 12);
        let name = field(record.event_name().map(Clean::name), 80);
        let more = match alert.matched() + alert.unreadable.len() - 1 {
            0 => String::new(),
            more => format!(" (+{more})"),
        };
        let long = |name: &str| {
            let outcome = outcome_word(action);
            format!("[{severity}] {who} {name} {outcome} from {source} ({region}) in {account}{more}")
        };
        let short = |name: &str| format!("[{severity}] {who} {name} {source} {region} {account}");
        // The action gives way first; severity, address, Region and account stay.
        for form in [&long as &dyn Fn(&str) -> String, &short] {
            let room = SUBJECT_MAX.saturating_sub(form("").len());
            if name.len() <= room {
                return Self::clipped(&form(&name));
            }
            if room >= 16 {
                return Self::clipped(&form(&format!("{}..", cut(&name, room - 2))));
            }
        }
        let room = SUBJECT_MAX.saturating_sub(short("").len());
        Self::clipped(&short(cut(&name, room)))
    }

    pub(super) fn clipped(text: &str) -> Self {
        Self(printable(text).chars().take(SUBJECT_MAX).collect())
    }
}

/// At most so many bytes of an ASCII text. Of a number that doesn't end there nothing: an account's first eleven digits
/// could be dialled.
fn cut(text: &str, max: usize) -> &str {
    match text.as_bytes().get(max) {
        None => text,
        Some(next) if next.is_ascii_digit() => text[..max].trim_end_matches(|c: char| c.is_ascii_digit()),
        Some(_) => &text[..max],
    }
}

/// The text with each character that is not printable ASCII replaced.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c == ' ' || c.is_ascii_graphic() { c } else { '?' }).collect()
}

/// The outcome in a word.
fn outcome_word(action: &Action) -> &'static str {
    match action.record.outcome() {
        Outcome::Succeeded => "succeeded",
        Outcome::Denied => "denied",
        Outcome::Failed => "failed",
        Outcome::Blocked => "blocked",
        Outcome::NotSaid => "outcome unknown",
    }
}
