//! A message for a chat channel: a custom notification of Amazon Q Developer in chat applications, which shows it in Slack
//! and Microsoft Teams.
//!
//! Its texts are those of the mail: what others wrote is [`Clean`](super::Clean) in them, so that none of it is markup, a
//! mention or a link to Slack's Markdown or to that of Teams. Commands stand between backticks, and have nothing in them
//! that could end those.
//!
//! Source: Amazon Q Developer in chat applications, Administrator Guide, "Custom notifications using Amazon Q Developer in
//! chat applications". It names no limit for the length of a text. So each is short, and what is left out is counted: the
//! mail has all of it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::attributes::{Attributes, Occasion};
use super::chapter::{Chapter, OpenLine, whole};
use super::subject::cut;
use super::view::View;
use super::{EmailError, Message, Style};

/// What subscribers to the topic by HTTPS get.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HttpsFormat {
    /// The document for machines.
    #[default]
    Json,
    /// A custom notification of Amazon Q Developer in chat applications.
    AmazonQ,
}

/// The most characters of a description, before the number of lines that are left out.
const DESCRIPTION_MAX: usize = 3000;

/// The most characters of one line.
const LINE_MAX: usize = 600;

/// The most characters of a step's words. Its commands may take as many again.
const STEP_MAX: usize = 1200;

/// The most characters of all next steps together, and the most of them.
const STEPS_MAX: (usize, usize) = (6000, 15);

/// A notification. The names are Amazon Q's.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Notification<'a> {
    version: &'static str,
    source: &'static str,
    id: &'a str,
    content: Content<'a>,
    metadata: Metadata<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Content<'a> {
    text_type: &'static str,
    title: &'a str,
    description: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    next_steps: Vec<String>,
    keywords: Vec<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    /// Notifications with the same one are one thread.
    thread_id: &'a str,
    summary: &'a str,
    event_type: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    related_resources: Vec<String>,
    additional_context: BTreeMap<&'static str, String>,
}

/// What to do in one step: words, and below them the commands that do it.
type Step = Vec<String>;

/// What a notification has that the mail's text doesn't say in a form of its own.
#[derive(Default)]
pub(super) struct Told<'a> {
    /// How many of the mail's first paragraphs it repeats.
    pub paragraphs: usize,
    /// What happened, a line each.
    pub deeds: Vec<String>,
    /// The address where one can look further.
    pub link: Option<&'a str>,
    /// What to do next.
    pub steps: Vec<Step>,
    /// The accounts that it is about.
    pub accounts: Vec<String>,
    /// What names the alert, where it is one.
    pub alert_id: Option<String>,
    /// The incident that it belongs to.
    pub chapter: Option<&'a Chapter>,
    /// Where it belongs to none: what keeps its thread apart from all others.
    pub thread: String,
}

impl<'a> Told<'a> {
    /// What is told of an alert.
    ///
    /// # Errors
    ///
    /// [`EmailError`] if the template fails, which no content can cause.
    pub(super) fn of_alert(
        view: &'a View,
        text: &str,
        chapter: Option<&'a Chapter>,
        style: &'a Style,
    ) -> Result<Self, EmailError> {
        let digest = style.language.0.mail(&super::Mail::Digest(view)).map_err(EmailError::Render)?;
        let mut steps = match &view.incident {
            // The steps of the earlier mails still apply: here is what is left to undo.
            Some(incident) if Occasion::of(chapter) == Occasion::Update => undoing(&incident.open, text),
            Some(incident) => numbered(text).into_iter().chain(undoing(&incident.open, text)).collect(),
            None => numbered(text),
        };
        // Behind the steps that send to it, as in the mail.
        let named = |line: &&str| view.unreadable_count > 0 && line.ends_with(view.log_group.as_str());
        steps.extend(text.lines().rev().find(named).map(|line| vec![line.trim_start().to_owned()]));
        if let Some(runbook) = &view.runbook {
            steps.insert(0, vec![runbook.clone()]);
        }
        Ok(Self {
            paragraphs: 1,
            deeds: digest.lines().filter(|line| !line.is_empty()).map(whole).collect(),
            link: view.actors.first().and_then(|actor| actor.first.link.as_deref()),
            steps,
            accounts: view.accounts.shown.iter().map(ToString::to_string).collect(),
            alert_id: Some(view.id.clone()),
            chapter,
            thread: format!("alert-{}", view.id),
        })
    }
}

/// What undoes what is open, below the words that stand above the same list in the mail.
pub(super) fn undoing(open: &[OpenLine], text: &str) -> Vec<Step> {
    let above = text.lines().zip(text.lines().skip(1)).find(|(_, next)| next.starts_with("  1. "));
    let above = above.map(|(above, _)| vec![above.to_owned()]).filter(|_| !open.is_empty());
    let step = |open: &OpenLine| {
        let values = open.values.iter().map(|value| format!(" {value}"));
        let words = std::iter::once(format!("{} {}", open.service, open.event)).chain(values).collect();
        std::iter::once(words)
            .chain(open.command.as_deref().filter(|_| !open.replaces && !open.own).map(command))
            .collect()
    };
    above.into_iter().chain(open.iter().map(step)).collect()
}

/// The mail's numbered steps, each with what stands below it: commands, and what has to be known before the next of them.
pub(super) fn numbered(text: &str) -> Vec<Step> {
    let words = |line: &str| {
        let (number, words) = line.split_once(". ")?;
        number.parse::<u8>().is_ok().then(|| words.to_owned())
    };
    let mut steps: Vec<Step> = Vec::new();
    let lines = text.lines().skip_while(|line| !line.starts_with("1. ")).take_while(|line| !line.is_empty());
    for line in lines {
        match (words(line), steps.last_mut()) {
            (None, Some(step)) => step.push(line.strip_prefix("  ").map_or_else(|| line.to_owned(), command)),
            (words, _) => steps.push(words.into_iter().collect()),
        }
    }
    steps
}

fn command(command: &str) -> String {
    format!("`{command}`")
}

impl Message {
    /// The notification, where HTTPS subscribers get that.
    ///
    /// # Errors
    ///
    /// What [`Told`] gives, or [`EmailError`] if the notification can't be written, which no content can cause.
    pub(super) fn notification<'a>(
        &self,
        style: &Style,
        told: impl FnOnce() -> Result<Told<'a>, EmailError>,
    ) -> Result<Option<String>, EmailError> {
        match style.https {
            HttpsFormat::Json => Ok(None),
            HttpsFormat::AmazonQ => told()?.written(self, style).map(Some),
        }
    }
}

impl Told<'_> {
    fn written(self, message: &Message, style: &Style) -> Result<String, EmailError> {
        let attributes = &message.attributes;
        let thread = match self.chapter {
            Some(chapter) => format!("incident-{}", chapter.id.in_full()),
            None => self.thread,
        };
        let id = self.chapter.map(|chapter| format!("{thread}-{}", chapter.number));
        let lead = message.text.split("\n\n").take(self.paragraphs).flat_map(str::lines);
        let lead = lead.map(|line| clipped(line.trim_start(), LINE_MAX));
        let deeds = self.deeds.iter().map(|line| format!("- {}", clipped(line.trim_start(), LINE_MAX)));
        let link = self.link.map(str::to_owned);
        let lines: Vec<String> = lead.chain(link).chain(deeds).collect();
        let severity = attributes.severity.map(|severity| severity.to_string());
        let notification = Notification {
            version: "1.0",
            source: "custom",
            id: id.as_deref().unwrap_or(&thread),
            content: Content {
                text_type: "client-markdown",
                title: message.subject.as_str(),
                description: within(&lines, DESCRIPTION_MAX),
                next_steps: next_steps(&self.steps),
                keywords: keywords(attributes, severity.as_deref()),
            },
            metadata: Metadata {
                thread_id: &thread,
                summary: if message.sms.is_empty() { message.subject.as_str() } else { &message.sms },
                event_type: format!("root-usage-{}", attributes.occasion.name()),
                related_resources: self.accounts,
                additional_context: [
                    ("severity", severity.clone()),
                    ("incident", attributes.incident.clone()),
                    ("mail", self.chapter.map(|chapter| chapter.number.to_string())),
                    ("alertId", self.alert_id),
                    ("function", Some(super::Clean::name(&style.function).to_string())),
                ]
                .into_iter()
                .filter_map(|(name, value)| Some((name, value?)))
                .collect(),
            },
        };
        serde_json::to_string(&notification).map_err(EmailError::Document)
    }
}

fn keywords<'a>(attributes: &'a Attributes, severity: Option<&'a str>) -> Vec<&'a str> {
    severity.into_iter().chain(attributes.rules.iter().take(6).map(String::as_str)).collect()
}

/// The lines as one text; of those that are too many only the number.
fn within(lines: &[String], max: usize) -> String {
    let mut text = String::new();
    let mut room = max;
    for (index, line) in lines.iter().enumerate() {
        let length = line.chars().count() + 1;
        if length > room {
            text.push_str(&format!("\n+{}", lines.len() - index));
            break;
        }
        room -= length;
        if index > 0 {
            text.push('\n');
        }
        text.push_str(line);
    }
    text
}

/// The steps, each as one text; of those that are too many only the number.
fn next_steps(steps: &[Step]) -> Vec<String> {
    let (mut room, most) = STEPS_MAX;
    let mut shown = Vec::new();
    for step in steps {
        let lines: Vec<String> = step.iter().map(|line| clipped(line, STEP_MAX)).collect();
        let step = within(&lines, 2 * STEP_MAX);
        let length = step.chars().count();
        if length > room || shown.len() == most {
            shown.push(format!("+{}", steps.len() - shown.len()));
            break;
        }
        room -= length;
        shown.push(step);
    }
    shown
}

/// The beginning of a line that is too long: whole words of it, so that nothing is cut in two that was one thing.
fn clipped(line: &str, max: usize) -> String {
    let Some((end, _)) = line.char_indices().nth(max) else { return line.to_owned() };
    let words = line[..end].rfind(' ').map_or_else(|| cut(line, end).trim_end_matches('*'), |blank| &line[..blank]);
    format!("{words} ..")
}
