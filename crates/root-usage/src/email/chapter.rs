//! The mails of an incident.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::account::Account;
use super::attributes::{Attributes, Occasion};
use super::chat::{Told, undoing};
use super::language::Mail;
use super::moment::{Moment, Span};
use super::notice::{Document, SCHEMA};
use super::view::View;
use super::{Budget, Clean, Message, SMS_MAX, Style, Subject};
use crate::alert::Alert;
use crate::directory::Names;
use crate::history::Answers;
use crate::incident::{IncidentId, Kind, Open, Pace, Reason, Whose, lines};
use crate::record::is_account;

/// The most lines of a closing mail's story: what is more is counted. Fifteen hundred of the longest fit into a message.
const STORY_MAX: usize = 120;

/// The most open things that a mail lists.
const OPEN_MAX: usize = 20;

/// The most event ids in the document of a closing mail.
const EVENT_IDS_MAX: usize = 1000;

/// How much of one mail a closing mail repeats.
const DIGEST: Budget = Budget { actors: 5, other_actors: 0, lines: 12, kinds: 12, event_ids: 0 };

/// Which mail of which incident.
#[derive(Debug, Clone)]
pub struct Chapter {
    /// The incident.
    pub id: IncidentId,
    /// Why it goes out.
    pub kind: Kind,
    /// Its number, beginning with 1, so that a gap shows.
    pub number: u32,
    /// When it was written.
    pub now: Timestamp,
    /// When the incident began.
    pub opened: Timestamp,
    /// What made it go out at once, where something did.
    pub reason: Option<Reason>,
    /// What that is, as the record has it, where the reason alone doesn't say which.
    pub what: Option<String>,
    /// How fast the incident is told.
    pub pace: Pace,
    /// What was made in it and isn't seen undone.
    pub open: Vec<Open>,
    /// How much more was made than an incident keeps.
    pub more: usize,
}

impl Chapter {
    /// How an incident stands at the end of a subject.
    pub(super) fn tag(&self) -> String {
        format!(" #{}", self.id)
    }
}

/// Which mail of which incident, as the templates and the document see it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Incident {
    pub id: String,
    pub number: u32,
    pub kind: Kind,
    pub opened: Moment,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    #[serde(skip)]
    pub what: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub open: Vec<OpenLine>,
    #[serde(skip_serializing_if = "is_zero")]
    pub open_left_out: usize,
    #[serde(skip)]
    pub now: Moment,
    #[serde(skip)]
    pub pace: Pace,
}

/// Something that was made and isn't seen undone.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OpenLine {
    pub service: String,
    #[serde(rename = "eventName")]
    pub event: String,
    pub values: Vec<Clean>,
    /// The command that undoes it.
    pub command: Option<String>,
    /// Whether that is right only if nothing was there before.
    pub replaces: bool,
    /// Whether that is right only with root's credentials.
    pub own: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl Incident {
    pub fn new(chapter: &Chapter, style: &Style) -> Self {
        let things = lines(&chapter.open);
        Self {
            id: chapter.id.to_string(),
            number: chapter.number,
            kind: chapter.kind,
            opened: Moment::new(chapter.opened, style),
            reason: chapter.reason,
            what: chapter.what.as_deref().map(|what| named(what, chapter.reason, style)),
            open: things.iter().take(OPEN_MAX).map(OpenLine::new).collect(),
            open_left_out: things.len().saturating_sub(OPEN_MAX) + chapter.more,
            now: Moment::new(chapter.now, style),
            pace: chapter.pace,
        }
    }

    /// When something began: its time, and its day if that is not the mail's.
    pub fn when(&self, span: &Span) -> String {
        let began = span.begins();
        began.strip_prefix(&self.day()).map_or_else(|| began.clone(), str::to_owned)
    }

    /// The mail's day, as it stands in front of a time.
    fn day(&self) -> String {
        self.now.at().strftime("%F ").to_string()
    }

    /// Whether the mail goes out at once, and lists what it tells itself.
    pub fn is_told_now(&self) -> bool {
        matches!(self.kind, Kind::First | Kind::AtOnce)
    }

    /// How much is open, if anything is.
    pub fn left(&self) -> Option<usize> {
        Some(self.open.len() + self.open_left_out).filter(|left| *left > 0)
    }

    /// The mail before this one.
    pub fn before(&self) -> u32 {
        self.number.saturating_sub(1)
    }
}

/// What is new, safe to print: an address, a key's id, or an action of a service.
fn named(what: &str, reason: Option<Reason>, style: &Style) -> String {
    match reason {
        Some(Reason::Source) => Clean::source(what).to_string(),
        Some(Reason::Key) => Clean::access_key(what, style.mask_access_keys).to_string(),
        _ => what.split(' ').map(|word| Clean::name(word).to_string()).collect::<Vec<_>>().join(" "),
    }
}

impl OpenLine {
    fn new(open: &Open) -> Self {
        let values = open.values.iter().map(|value| Clean::name(value)).collect();
        Self {
            service: open.service.clone(),
            event: open.event.clone(),
            values,
            command: open.command.clone(),
            replaces: open.replaces,
            own: open.own,
        }
    }
}

/// What a closing mail tells.
pub(super) struct Closing<'a> {
    pub incident: Incident,
    pub account: Option<Account>,
    pub whose: &'a Whose,
    pub function: Clean,
    /// What was told, in that order.
    pub story: &'a [&'a str],
    pub left_out: usize,
    /// The next incident has begun.
    pub goes_on: bool,
}

impl Closing<'_> {
    /// Where most of it came from. A line says where it came from only if that is elsewhere; so there is none if one doesn't
    /// know.
    pub fn from(&self) -> Option<&str> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for line in self.story {
            let (_, from) = line.split_once(FROM)?;
            *counts.entry(from).or_default() += 1;
        }
        counts.into_iter().max_by_key(|(_, count)| *count).map(|(from, _)| from)
    }

    /// The story in order of time, the mail's own day left out. A line that begins with no time is of its mail's last.
    pub fn lines(&self) -> Vec<String> {
        let usual = self.from();
        let told = |line: &str| match line.split_once(FROM) {
            Some((what, from)) if Some(from) == usual => what.to_owned(),
            _ => whole(line),
        };
        self.in_order().into_iter().map(told).collect()
    }

    fn in_order(&self) -> Vec<&str> {
        let mut last = "";
        let mut lines: Vec<(&str, &str)> = Vec::new();
        for line in self.story {
            last = time_of(line).unwrap_or(last);
            lines.push((last, line));
        }
        lines.sort_by_key(|(time, _)| *time);
        let day = self.incident.day();
        lines.into_iter().map(|(_, line)| line.strip_prefix(&day).unwrap_or(line)).collect()
    }
}

/// What in a line of a digest stands before where it came from. No text of a record holds it.
const FROM: char = '\t';

/// A line of a digest, with where it came from at its end.
pub(super) fn whole(line: &str) -> String {
    line.replace(FROM, "; ")
}

/// The time that a line of a story begins with: `2026-11-24 09:27:14`.
fn time_of(line: &str) -> Option<&str> {
    let time = line.get(..19)?;
    let digit = |index: usize| time.as_bytes()[index].is_ascii_digit();
    [0, 3, 5, 8, 11, 14, 17, 18].into_iter().all(digit).then_some(time)
}

/// What the document of a closing mail has beside what all notices have.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Closed<'a> {
    incident: &'a Incident,
    account: Option<&'a Account>,
    story: Vec<String>,
    lines_left_out: usize,
    /// What this mail is the first to tell.
    event_ids: Vec<String>,
    event_ids_left_out: usize,
}

/// What an incident ends with.
#[derive(Debug, Clone, Copy)]
pub struct Ending<'a> {
    /// The lines of all its mails, this one's last, in the order they were told.
    pub story: &'a [&'a str],
    /// How many lines came before those.
    pub unread: usize,
    /// What is told by this mail first.
    pub last: Option<&'a Alert>,
    /// The next incident of the same kind has begun.
    pub goes_on: bool,
}

/// What a closing mail will tell of an alert that is told now: a few lines, in the mail's words.
#[must_use]
pub fn digest(alert: &Alert, style: &Style) -> Vec<String> {
    let view = View::new(alert, &Answers::default(), None, style, &DIGEST, "");
    let lines = style.language.0.mail(&Mail::Digest(&view)).unwrap_or_default();
    lines.lines().map(str::to_owned).filter(|line| !line.is_empty()).collect()
}

impl Message {
    /// The mail that closes an incident: as much as `fits` of what was told of it, and what is left, told in it first.
    #[must_use]
    pub fn closing(
        chapter: &Chapter,
        whose: &Whose,
        ending: &Ending<'_>,
        names: &Names,
        style: &Style,
        fits: impl Fn(&Self) -> bool,
    ) -> Self {
        let mut lines = ending.story.len().min(STORY_MAX);
        loop {
            let message = Self::closing_with(lines, chapter, whose, ending, names, style);
            if lines == 0 || fits(&message) {
                return message;
            }
            lines /= 2;
        }
    }

    /// The same with so many lines of its story: the last ones. Those before them are in earlier mails.
    fn closing_with(
        lines: usize,
        chapter: &Chapter,
        whose: &Whose,
        &Ending { story, unread, last, goes_on }: &Ending<'_>,
        names: &Names,
        style: &Style,
    ) -> Self {
        let (earlier, shown) = story.split_at(story.len() - lines);
        let actions = || last.into_iter().flat_map(|alert| &alert.actors).flat_map(|actor| &actor.actions);
        let ids = || actions().filter_map(|action| action.record.event_id());
        let account = whose.account().filter(|account| !account.is_empty()).map(|id| Account::new(id, names));
        let closing = Closing {
            incident: Incident::new(chapter, style),
            account,
            whose,
            function: Clean::name(&style.function),
            story: shown,
            left_out: unread + earlier.len(),
            goes_on,
        };
        let subject = Subject::closing(closing.account.as_ref(), whose, goes_on, chapter);
        let document = Document {
            schema: SCHEMA,
            kind: "incident-closed",
            subject: subject.as_str(),
            time: chapter.now.to_string(),
            function: &closing.function,
            about: Closed {
                incident: &closing.incident,
                account: closing.account.as_ref(),
                story: shown.iter().map(|line| whole(line)).collect(),
                lines_left_out: closing.left_out,
                event_ids: ids().take(EVENT_IDS_MAX).map(|id| Clean::name(id).to_string()).collect(),
                event_ids_left_out: ids().count().saturating_sub(EVENT_IDS_MAX),
            },
        };
        let document = serde_json::to_string(&document).unwrap_or_default();
        let text = style.language.0.mail(&Mail::Closing(&closing)).unwrap_or_else(|_| subject.as_str().to_owned());
        let attributes = Attributes {
            accounts: whose.account().filter(|account| is_account(account)).map(str::to_owned).into_iter().collect(),
            incident: Some(chapter.id.to_string()),
            ..Attributes::new(Occasion::IncidentClosed, last.map(Alert::severity))
        };
        let sms = subject.as_str().chars().take(SMS_MAX).collect();
        let message = Self { sms, subject, text, document, chat: None, attributes };
        let told = || {
            Ok(Told {
                paragraphs: 1,
                deeds: closing.in_order().into_iter().map(whole).collect(),
                steps: undoing(&closing.incident.open, &message.text),
                accounts: closing.account.iter().map(ToString::to_string).collect(),
                chapter: Some(chapter),
                ..Told::default()
            })
        };
        Self { chat: message.notification(style, told).unwrap_or_default(), ..message }
    }
}
