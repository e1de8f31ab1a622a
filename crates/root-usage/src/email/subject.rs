//! The one line that is read first.

use serde::Serialize;

use super::Clean;
use super::account::Account;
use super::chapter::Chapter;
use crate::alert::{Action, Alert, Category};
use crate::directory::Names;
use crate::incident::{Kind, Whose};
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

    /// The subject of the mail about an alert. The account comes first: of a subject a telephone shows 40 characters, and
    /// whoever is woken has to know whether it is production.
    pub(super) fn of(alert: &Alert, names: &Names, chapter: Option<&Chapter>) -> Self {
        let severity = alert.severity();
        let tag = chapter.map(Chapter::tag).unwrap_or_default();
        let Some(actor) = alert.actors.first() else {
            let count = alert.unreadable.len();
            let events = if count == 1 { "log event" } else { "log events" };
            let (digits, name) = labels(Some(alert.origin.owner.as_str()).filter(|owner| !owner.is_empty()), names);
            let account = name.unwrap_or(digits);
            return Self::clipped(&format!(
                "{account} [{severity}] {count} CloudTrail {events} could not be read{tag}"
            ));
        };
        if let Some(chapter) = chapter.filter(|chapter| chapter.kind == Kind::Update) {
            return Self::update(alert, names, chapter);
        }
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
        let (digits, account) = labels(record.account(), names);
        let account = account.as_ref().unwrap_or(&digits);
        let name = field(record.event_name().map(Clean::name), 80);
        let more = match alert.matched() + alert.unreadable.len() - 1 {
            0 => String::new(),
            more => format!(" (+{more})"),
        };
        let long = |name: &str| {
            let outcome = outcome_word(action);
            format!("{account} [{severity}] {who} {name} {outcome} from {source} ({region}){more}{tag}")
        };
        let short = |name: &str| format!("{account} [{severity}] {who} {name} {source} {region}{tag}");
        let shortest = |name: &str| format!("{digits} [{severity}] {who} {name} {source} {region}{tag}");
        // The action gives way first, then the account's name; severity, address, Region and account stay.
        for form in [&long as &dyn Fn(&str) -> String, &short, &shortest] {
            let room = SUBJECT_MAX.saturating_sub(form("").len());
            if name.len() <= room {
                return Self::clipped(&form(&name));
            }
            if room >= 16 {
                return Self::clipped(&form(&format!("{}..", cut(&name, room - 2))));
            }
        }
        let room = SUBJECT_MAX.saturating_sub(shortest("").len());
        Self::clipped(&shortest(cut(&name, room)))
    }

    /// The subject of the mail about what waited in an incident: how much of what.
    fn update(alert: &Alert, names: &Names, chapter: &Chapter) -> Self {
        let actions = || alert.actors.iter().flat_map(|actor| &actor.actions);
        let count = |is: fn(&Action) -> bool, one: &str, several: &str| {
            let count = actions().filter(|action| is(action)).count();
            (count > 0).then(|| format!("{count} {}", if count == 1 { one } else { several }))
        };
        let counts = [
            count(|action| action.category == Category::FailedSignIn, "failed sign-in", "failed sign-ins"),
            count(is_change, "change", "changes"),
            count(|action| !is_change(action) && action.category < Category::Read, "failed change", "failed changes"),
            count(|action| action.category == Category::Read, "read", "reads"),
        ];
        let counts = counts.into_iter().flatten().collect::<Vec<_>>().join(", ");
        let account = actions().find_map(|action| action.record.account());
        let several = actions().any(|action| action.record.account() != account);
        let (digits, name) = labels(account.filter(|_| !several), names);
        let account = if several { "Several accounts".to_owned() } else { name.unwrap_or(digits) };
        let who = if actions().all(|action| action.record.is_root()) { "Root" } else { "The same actor" };
        Self::clipped(&format!("{account} [{}] {who}, more: {counts}{}", alert.severity(), chapter.tag()))
    }

    /// The subject of the mail that closes an incident.
    pub(super) fn closing(account: Option<&Account>, whose: &Whose, chapter: &Chapter) -> Self {
        let name = account.map(|account| account.subject_name().unwrap_or_else(|| printable(account.id.as_str())));
        let account = name.map(|name| format!("{name} ")).unwrap_or_default();
        let what = match whose {
            Whose::Root { .. } => "Root quiet",
            Whose::Other { .. } => "Nothing more",
            Whose::FailedSignIns => "No failed sign-in",
            Whose::Unreadable => "No unreadable log event",
        };
        let minutes = chapter.pace.quiet.as_mins();
        let open = match chapter.open.len() {
            0 => String::new(),
            1 => ", 1 thing not undone".to_owned(),
            count => format!(", {count} things not undone"),
        };
        Self::clipped(&format!("{account}[QUIET] {what} for {minutes} min{open}{}", chapter.tag()))
    }

    pub(super) fn clipped(text: &str) -> Self {
        Self(printable(text).chars().take(SUBJECT_MAX).collect())
    }
}

/// Whether it changed something.
fn is_change(action: &Action) -> bool {
    action.category < Category::Read && action.record.outcome().may_have_worked()
}

/// An account's digits, and its name where it has one that a subject can hold.
fn labels(account: Option<&str>, names: &Names) -> (String, Option<String>) {
    let Some(account) = account.map(|id| Account::new(id, names)) else { return ("Unknown account".to_owned(), None) };
    let digits = printable(account.id.as_str());
    (cut(&digits, 12).to_owned(), account.subject_name())
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
