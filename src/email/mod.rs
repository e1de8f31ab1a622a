//! An [`Alert`] as the message that a person reads.

mod link;
mod sanitize;
mod view;
mod words;

use serde::Serialize;
use thiserror::Error;

pub use sanitize::Clean;
use view::View;
use words::text;

use crate::alert::{Action, Alert};
use crate::record::Outcome;

/// The most characters an SNS subject may have.
///
/// Source: SNS API Reference, `Publish`, "less than 100 characters long".
pub const SUBJECT_MAX: usize = 99;

/// The most bytes an SNS message may have.
///
/// Source: SNS API Reference, `Publish`, 262,144 bytes of UTF-8.
pub const MESSAGE_MAX: usize = 262_144;

/// How a message is written.
#[derive(Debug, Clone)]
pub struct Style {
    /// Show only the last four characters of access key ids.
    pub mask_access_keys: bool,
    /// The function that writes the mail, for its last lines.
    pub function: String,
}

/// A message, ready to be published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Message {
    /// The subject.
    pub subject: Subject,
    /// The text of the mail.
    pub text: String,
}

/// A subject that SNS takes: printable ASCII, from 1 to [`SUBJECT_MAX`] characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Subject(String);

/// Why an alert could not be written.
#[derive(Debug, Error)]
pub enum EmailError {
    /// The template failed.
    #[error("the mail could not be rendered")]
    Render(#[source] askama::Error),
}

impl Message {
    /// Writes the mail about an alert.
    ///
    /// # Errors
    ///
    /// [`EmailError::Render`] if the template fails, which no content can cause.
    pub fn new(alert: &Alert, style: &Style) -> Result<Self, EmailError> {
        // From generous to terse, until it fits.
        let budgets = [(20, 40), (10, 10), (3, 5), (1, 1)];
        let mut body = String::new();
        for (actors, lines) in budgets {
            body = text(&View::new(alert, style, actors, lines)).map_err(EmailError::Render)?;
            if body.len() <= MESSAGE_MAX {
                break;
            }
        }
        body.truncate(body.floor_char_boundary(MESSAGE_MAX));
        Ok(Self { subject: Subject::of(alert), text: body })
    }
}

impl Subject {
    /// The subject, as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn of(alert: &Alert) -> Self {
        let severity = alert.severity();
        let Some(actor) = alert.actors.first() else {
            let count = alert.unreadable.len();
            return Self::clipped(&format!("[{severity}] {count} CloudTrail log event(s) could not be read"));
        };
        let action = actor.gravest();
        let record = &action.record;
        let field = |value: Option<Clean>, max: usize| {
            let text = value.map_or_else(|| "?".to_owned(), |value| printable(value.as_str()));
            text.chars().take(max).collect::<String>()
        };
        let who = if record.is_root() { "Root".to_owned() } else { field(record.identity_type().map(Clean::name), 12) };
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
                return Self::clipped(&form(&format!("{}..", &name[..room - 2])));
            }
        }
        let room = SUBJECT_MAX.saturating_sub(short("").len());
        Self::clipped(&short(&name[..room.min(name.len())]))
    }

    fn clipped(text: &str) -> Self {
        Self(printable(text).chars().take(SUBJECT_MAX).collect())
    }
}

/// The text with each character that is not printable ASCII replaced.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c == ' ' || c.is_ascii_graphic() { c } else { '?' }).collect()
}

/// The outcome in a word.
fn outcome_word(action: &Action) -> &'static str {
    match action.record.outcome() {
        Outcome::Succeeded => "succeeded",
        Outcome::Denied => "denied",
        Outcome::Failed => "failed",
    }
}
