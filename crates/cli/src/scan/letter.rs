//! The mails themselves, as the function would have written them.

use std::collections::HashMap;

use root_usage::alert::{Alert, Attribution, Match};
use root_usage::directory::{Listed, Names};
use root_usage::email::{self, EmailError, Ending, Message, Style, digest};
use root_usage::history::Answers;
use root_usage::incident::{Changes, Kind, Pace, by_identity, changes, open};
use root_usage::notify::topic;
use serde::Serialize;

use super::delivery::Arrival;
use super::found::Found;
use super::telling::{Mail, Place, Told};

/// A mail and when it goes out.
#[derive(Serialize)]
pub struct Letter {
    pub time: Option<jiff::Timestamp>,
    #[serde(flatten)]
    pub message: Message,
}

/// What mails are made of.
pub struct Writing<'a> {
    pub found: &'a [Found],
    pub deliveries: &'a [Arrival],
    pub attribution: &'a Attribution,
    pub listed: &'a Listed,
    pub style: &'a Style,
    pub pace: Pace,
}

impl Writing<'_> {
    /// Writes every mail.
    ///
    /// # Errors
    ///
    /// [`EmailError`] if a mail can't be written, which no content can cause.
    pub fn letters(&self, told: &Told) -> Result<Vec<Letter>, EmailError> {
        let mut stories: HashMap<usize, (Names, Vec<String>, Vec<Changes>)> = HashMap::new();
        let mut letters = Vec::new();
        for Mail { time, chapter, parts } in &told.mails {
            let alert = self.alert(parts, chapter.is_none());
            let names = alert.as_ref().map(|alert| self.listed.names(alert)).unwrap_or_default();
            let Some(chapter) = chapter else {
                letters.extend(self.letter(*time, alert.as_ref(), names, None)?);
                continue;
            };
            let incident = &told.incidents[chapter.incident];
            let (named, story, made) =
                stories.entry(chapter.incident).or_insert_with(|| (names.clone(), Vec::new(), Vec::new()));
            story.extend(alert.iter().flat_map(|alert| digest(alert, self.style)));
            made.extend(alert.iter().map(changes));
            let now: Vec<Changes> = alert.iter().map(changes).collect();
            let listed = if matches!(chapter.kind, Kind::Update | Kind::Closing) { &made[..] } else { &now };
            let email = email::Chapter {
                id: incident.id,
                kind: chapter.kind,
                number: chapter.number,
                now: time.unwrap_or_default(),
                opened: incident.opened,
                reason: None,
                what: None,
                pace: self.pace,
                open: open(listed),
                more: listed.iter().map(|changes| changes.more).sum(),
            };
            if chapter.kind == Kind::Closing {
                let lines: Vec<&str> = story.iter().map(String::as_str).collect();
                let ending = Ending { story: &lines, unread: 0, last: alert.as_ref(), goes_on: chapter.goes_on };
                let message = Message::closing(&email, &incident.whose, &ending, named, self.style, topic::fits);
                letters.push(Letter { time: *time, message });
                stories.remove(&chapter.incident);
            } else {
                letters.extend(self.letter(*time, alert.as_ref(), names, Some(&email))?);
            }
        }
        Ok(letters)
    }

    fn letter(
        &self,
        time: Option<jiff::Timestamp>,
        alert: Option<&Alert>,
        names: Names,
        chapter: Option<&email::Chapter>,
    ) -> Result<Option<Letter>, EmailError> {
        let Some(alert) = alert else { return Ok(None) };
        let answers = Answers::default().with_names(names);
        let message = Message::within(alert, &answers, chapter, self.style, topic::fits, || true)?;
        Ok(message.map(|message| Letter { time, message }))
    }

    /// These parts as one alert; or all of their delivery, whoever it was.
    fn alert(&self, parts: &[Place], whole: bool) -> Option<Alert> {
        let (index, place) = *parts.first()?;
        let delivery = &self.deliveries[index];
        if whole || parts.len() == 1 {
            let alert = delivery.alert(self.found, self.attribution)?;
            let whose = &delivery.parts[place].whose;
            return match by_identity(alert) {
                Ok(parts) => parts.into_iter().find(|(theirs, _)| theirs == whose).map(|(_, alert)| alert),
                Err(alert) => Some(*alert),
            };
        }
        let mut matches: Vec<(usize, Match)> = Vec::new();
        let mut unreadable = Vec::new();
        for (index, place) in parts {
            let delivery = &self.deliveries[*index];
            let part = &delivery.parts[*place];
            matches.extend(part.found.iter().map(|index| (*index, self.found[*index].matched.clone())));
            if part.found.is_empty() {
                unreadable.extend(delivery.unreadable.iter().cloned());
            }
        }
        let origin = parts.last().map(|(index, _)| self.deliveries[*index].origin.clone())?;
        Alert::attributed(origin, matches, unreadable, self.attribution)
    }
}
