//! An [`Alert`] as the message that a person reads.

mod account;
mod attributes;
mod chapter;
mod chat;
mod detail;
mod facts;
mod held;
mod language;
mod lines;
mod link;
mod list;
mod moment;
mod notice;
mod path_test;
mod related;
mod sanitize;
mod short;
mod step;
mod story;
mod subject;
mod verdict;
mod view;

use jiff::tz::TimeZone;
use serde::Serialize;
use thiserror::Error;

pub use attributes::{Attribute, Attributes, Occasion};
pub use chapter::{Chapter, Ending, digest};
pub use chat::HttpsFormat;
use chat::Told;
pub use language::Language;
use language::Mail;
pub use notice::DamagedBatch;
pub(crate) use path_test::{PathTestMail, marker};
pub(crate) use sanitize::Clean;
pub use short::Short;
pub use story::Story;
pub use subject::{SUBJECT_MAX, Subject};
use verdict::Verdict;
use view::View;

use crate::alert::{Alert, TrustedNetwork};
use crate::history::Answers;
use crate::incident::Kind;

/// The most characters a text message on a phone may have.
///
/// Source: SNS Developer Guide, one SMS part in the GSM alphabet has 160; carriers' prefixes take some of them.
pub const SMS_MAX: usize = 140;

/// How a message is written.
#[derive(Debug, Clone, Default)]
pub struct Style {
    /// The language.
    pub language: Language,
    /// A time zone whose time is shown beside UTC.
    pub time_zone: Option<TimeZone>,
    /// Show only the last four characters of access key ids that were used. One that was created is whole in mail and
    /// document, since deleting it needs it.
    pub mask_access_keys: bool,
    /// Networks that the mail names as known.
    pub trusted_networks: Vec<TrustedNetwork>,
    /// The address of the operator's own instructions, shown above the next steps.
    pub runbook: Option<String>,
    /// The id of the organization's service control policy that denies root everything: a step attaches it.
    pub lockdown_policy: Option<String>,
    /// The function that writes the mail, for its last lines.
    pub function: String,
    /// What subscribers by HTTPS get.
    pub https: HttpsFormat,
}

/// A message, ready to be published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Message {
    /// The subject.
    pub subject: Subject,
    /// The text of the mail.
    pub text: String,
    /// One line for a phone, at most [`SMS_MAX`] characters of ASCII.
    pub sms: String,
    /// The alert for machines: a JSON document, as `docs/alert.schema.json` describes it.
    pub document: String,
    /// The notification for a chat channel, where [`Style::https`] asks for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chat: Option<String>,
    /// What subscriptions can choose it by.
    #[serde(skip)]
    pub attributes: Attributes,
}

/// Why an alert could not be written.
#[derive(Debug, Error)]
pub enum EmailError {
    /// The template failed.
    #[error("the mail could not be rendered")]
    Render(#[source] askama::Error),
    /// The JSON document failed.
    #[error("the alert could not be written as JSON")]
    Document(#[source] serde_json::Error),
}

/// How much of an alert is written out; the rest is counted.
struct Budget {
    /// Actors with a section of their own.
    actors: usize,
    /// Actors with a line of their own after those.
    other_actors: usize,
    /// Lines in each section.
    lines: usize,
    /// Kinds of actions that are named where they have no line.
    kinds: usize,
    /// Event ids in each list of the JSON document.
    event_ids: usize,
}

/// From generous to terse. The last one fits whatever the records hold.
const BUDGETS: [Budget; 4] = [
    Budget { actors: 20, other_actors: 200, lines: 40, kinds: 300, event_ids: 1000 },
    Budget { actors: 20, other_actors: 200, lines: 20, kinds: 300, event_ids: 100 },
    Budget { actors: 5, other_actors: 100, lines: 10, kinds: 100, event_ids: 20 },
    Budget { actors: 1, other_actors: 50, lines: 3, kinds: 50, event_ids: 3 },
];

impl Message {
    /// Writes the mail about an alert of which nothing was looked up, in all its forms and so short that it `fits`.
    ///
    /// # Errors
    ///
    /// [`EmailError`] if the template or the document fails, which no content can cause.
    pub fn new(alert: &Alert, style: &Style, fits: impl Fn(&Self) -> bool) -> Result<Self, EmailError> {
        Self::write(alert, &Answers::default(), None, style, fits, || true).map(|(message, _)| message)
    }

    /// The same with what was looked up, as a mail of an incident; `None` if time was up before it was small enough.
    ///
    /// # Errors
    ///
    /// As for [`Message::new`].
    pub fn within(
        alert: &Alert,
        answers: &Answers,
        chapter: Option<&Chapter>,
        style: &Style,
        fits: impl Fn(&Self) -> bool,
        in_time: impl Fn() -> bool,
    ) -> Result<Option<Self>, EmailError> {
        Self::write(alert, answers, chapter, style, fits, in_time).map(|(message, fits)| fits.then_some(message))
    }

    fn write(
        alert: &Alert,
        answers: &Answers,
        chapter: Option<&Chapter>,
        style: &Style,
        fits: impl Fn(&Self) -> bool,
        in_time: impl Fn() -> bool,
    ) -> Result<(Self, bool), EmailError> {
        let subject = Subject::of(alert, &answers.names, chapter);
        let mut message = Self {
            sms: String::new(),
            subject,
            text: String::new(),
            document: String::new(),
            chat: None,
            attributes: Attributes::of(alert, chapter),
        };
        for budget in &BUDGETS {
            let view = View::new(alert, answers, chapter, style, budget, message.subject.as_str());
            let mail = match chapter {
                Some(Chapter { kind: Kind::Update, .. }) => Mail::Update(&view),
                Some(Chapter { kind: Kind::AtOnce, .. }) => Mail::AtOnce(&view),
                _ => Mail::Alert(&view),
            };
            message.sms = match Verdict::of(alert, &answers.names, &chapter.map(Chapter::tag).unwrap_or_default()) {
                // What waited is told by its counts.
                Some(verdict) if !matches!(mail, Mail::Update(_)) => verdict.sms(&view.steps),
                _ => message.subject.as_str().chars().take(SMS_MAX).collect(),
            };
            message.text = style.language.0.mail(&mail).map_err(EmailError::Render)?;
            message.document = serde_json::to_string(&view).map_err(EmailError::Document)?;
            message.chat = message.notification(style, || Told::of_alert(&view, &message.text, chapter, style))?;
            if fits(&message) {
                return Ok((message, true));
            }
            if !in_time() {
                break;
            }
        }
        Ok((message, false))
    }
}
