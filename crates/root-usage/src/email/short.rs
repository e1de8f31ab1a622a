//! An alert in few words, for when there is no time for more or SNS refused the other form: ASCII, plain text, made in
//! one pass.

use super::account::Account;
use super::attributes::Attributes;
use super::chat::Told;
use super::lines::LeftOut;
use super::{Budget, Chapter, Clean, Message, Style, Subject, subject};
use crate::alert::Alert;
use crate::directory::Names;
use crate::record::Outcome;

/// Why an alert goes out in its short form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Short {
    /// There was no time to write it out.
    Time,
    /// SNS refused the whole form.
    Refused,
    /// Writing it out failed.
    Fault,
}

/// How much the short form names.
const BUDGET: Budget = Budget { actors: 0, other_actors: 0, lines: 0, kinds: 100, event_ids: 20 };

/// The most accounts named.
const ACCOUNTS_MAX: usize = 50;

impl Message {
    /// An alert in its short form: the worst deed with its facts, every kind of action with its count, accounts, and the
    /// ids of the worst events.
    #[must_use]
    pub fn short(alert: &Alert, names: &Names, why: Short, chapter: Option<&Chapter>, style: &Style) -> Self {
        let subject = Subject::of(alert, names, None);
        let mut lines = vec![
            subject.as_str().to_owned(),
            match why {
                Short::Time => "This is the short form: there was no time to write out the whole alert.",
                Short::Refused => "This is the short form: SNS refused the whole alert. The function's log says why.",
                Short::Fault => {
                    "This is the short form: the whole alert could not be written. The function's log says why."
                }
            }
            .to_owned(),
        ];
        if let Some(record) = alert.actors.first().map(|actor| &actor.gravest().record) {
            let facts = [
                ("Action", record.event_name().map(|text| Clean::name(text).to_string())),
                ("Time", record.event_time().map(|time| time.to_string())),
                ("Region", record.region().map(|text| Clean::name(text).to_string())),
                ("Source IP", record.source_ip().map(|text| Clean::source(text).to_string())),
                ("Account", record.account().map(|id| Account::new(id, names).to_string())),
                ("Event ID", record.event_id().map(|text| Clean::name(text).to_string())),
            ];
            let known = facts.into_iter().filter_map(|(label, value)| Some(format!("{label}: {}", value?)));
            lines.extend(known);
        }
        let all = alert.actors.iter().flat_map(|actor| &actor.actions);
        if let Some(all) = LeftOut::new(all, &Style::default(), &BUDGET) {
            lines.push(format!("All {} actions, the most serious actor first:", all.fold.count));
            lines.extend(all.kinds.iter().map(|kind| {
                let text = |text: &Option<Clean>| text.as_ref().map_or("?", Clean::as_str).to_owned();
                let outcome = match kind.outcome {
                    Outcome::Succeeded => "succeeded",
                    Outcome::NotSaid => "outcome unknown",
                    Outcome::Denied => "denied",
                    Outcome::Blocked => "blocked",
                    Outcome::Failed => "failed",
                };
                format!("  {} {} ({outcome}) {}", text(&kind.service), text(&kind.action), kind.times())
            }));
            if all.other_kinds > 0 {
                lines.push(format!("  {} more kinds of action, {} in all", all.other_kinds, all.other_actions));
            }
            let ids: Vec<&str> = all.fold.event_ids.iter().map(Clean::as_str).collect();
            lines.push(format!("Events: {} (+{})", ids.join(" "), all.fold.event_ids_left_out));
        }
        let mut accounts: Vec<&str> =
            alert.actors.iter().filter_map(|actor| actor.gravest().record.account()).collect();
        accounts.sort_unstable();
        accounts.dedup();
        if accounts.len() > 1 {
            let named = accounts.iter().take(ACCOUNTS_MAX).map(|id| Account::new(id, names).to_string());
            lines.push(format!("Accounts ({}): {}", accounts.len(), named.collect::<Vec<_>>().join(", ")));
        }
        if !alert.unreadable.is_empty() {
            lines.push(format!("Log events that could not be read: {}", alert.unreadable.len()));
        }
        lines.push(format!("Alert {}", alert.id));
        let text: Vec<String> = lines.iter().map(|line| subject::printable(line)).collect();
        let mut message = Self {
            subject,
            text: text.join("\n"),
            sms: String::new(),
            document: String::new(),
            chat: None,
            attributes: Attributes::of(alert, chapter),
        };
        let told = || {
            let deeds = text.get(1..).unwrap_or_default().to_vec();
            Ok(Told { deeds, chapter, thread: format!("alert-{}", alert.id), ..Told::default() })
        };
        message.chat = message.notification(style, told).unwrap_or_default();
        message
    }
}
