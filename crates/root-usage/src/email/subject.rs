//! The one line that is read first.

use serde::Serialize;

use super::account::Account;
use super::chapter::Chapter;
use super::verdict::{Labels, Verdict, who};
use crate::alert::{Action, Alert, Category};
use crate::directory::Names;
use crate::incident::{Kind, Whose, lines};

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

    /// The subject of the mail about an alert: of a subject a telephone shows 40 characters, so how grave it is and where
    /// come first, the account by its name.
    pub(super) fn of(alert: &Alert, names: &Names, chapter: Option<&Chapter>) -> Self {
        let tag = chapter.map(Chapter::tag).unwrap_or_default();
        let update = chapter.is_some_and(|chapter| chapter.kind == Kind::Update);
        match Verdict::of(alert, names, &tag) {
            Some(_) if update => Self::update(alert, names, &tag),
            Some(verdict) => Self::clipped(&verdict.subject()),
            None => {
                let count = alert.unreadable.len();
                let events = if count == 1 { "log event" } else { "log events" };
                let more = if update { " more" } else { "" };
                let account = Labels::of(Some(&alert.origin.owner), names);
                let severity = alert.severity();
                let form = |(account, digits): (&str, String)| {
                    format!("[{severity}] {account}: {count}{more} CloudTrail {events} could not be read{digits}{tag}")
                };
                Self::fitting(&account.forms().map(form))
            }
        }
    }

    /// The subject of the mail about what waited in an incident: how much of what.
    fn update(alert: &Alert, names: &Names, tag: &str) -> Self {
        let actions = || alert.actors.iter().flat_map(|actor| &actor.actions);
        let counts = Self::counts(actions()).into_iter().filter(|(count, _)| *count > 0);
        let counts = counts.map(|(count, what)| (count, format!("{what}{}", if count == 1 { "" } else { "s" })));
        let more = |(place, (count, what)): (usize, (usize, String))| match place {
            0 => format!("{count} more {what}"),
            _ => format!("{count} {what}"),
        };
        let counts = counts.enumerate().map(more).collect::<Vec<_>>().join(", ");
        let account = actions().find_map(|action| action.record.account());
        let several = actions().any(|action| action.record.account() != account);
        let labels = Labels::of(account.filter(|_| !several), names);
        let first = actions().next().map(|action| &action.record);
        let same = first.filter(|first| actions().all(|action| who(&action.record) == who(first)));
        let who = same.and_then(|record| who(record).pop()).unwrap_or_else(|| "several identities".to_owned());
        let who = if actions().all(is_failed_sign_in) { String::new() } else { format!("{who} made ") };
        let severity = alert.severity();
        let form = |(account, digits): (&str, String), counts: &str| {
            let account = if several { "several accounts" } else { account };
            format!("[{severity}] {account}: {who}{counts}{digits}{tag}")
        };
        let all = format!("{} more actions", actions().count());
        let [named, digits] = labels.forms();
        Self::fitting(&[form(named, &counts), form(digits.clone(), &counts), form(digits, &all)])
    }

    /// How many of each kind, what was done before what was tried.
    fn counts<'a>(actions: impl Iterator<Item = &'a Action>) -> [(usize, &'static str); 5] {
        let mut counts = [(0, "change"), (0, "failed attempt"), (0, "sign-in"), (0, "failed sign-in"), (0, "read")];
        for action in actions {
            let place = match action.category {
                Category::Read => 4,
                Category::FailedSignIn => 3,
                Category::SignIn => 2,
                _ if action.record.outcome().may_have_worked() => 0,
                _ => 1,
            };
            counts[place].0 += 1;
        }
        counts
    }

    /// The subject of the mail that closes an incident.
    pub(super) fn closing(account: Option<&Account>, whose: &Whose, goes_on: bool, chapter: &Chapter) -> Self {
        let minutes = chapter.pace.quiet.as_mins();
        let open = match lines(&chapter.open).len() + chapter.more {
            0 => String::new(),
            1 => ", 1 thing to undo".to_owned(),
            count => format!(", {count} things to undo"),
        };
        let tag = chapter.tag();
        // Quiet, where something has come again since, would be wrong.
        let (word, what) = match (goes_on, whose) {
            (true, Whose::Root { .. }) => ("CLOSED", "root goes on in a new incident".to_owned()),
            (true, _) => ("CLOSED", "it goes on in a new incident".to_owned()),
            // Nobody waited for it to be quiet.
            (false, _) if minutes == 0 => ("CLOSED", "this incident ends early".to_owned()),
            (false, Whose::Root { .. }) => ("QUIET", format!("root quiet for {minutes} min")),
            (false, Whose::Other { .. }) => ("QUIET", format!("nothing more for {minutes} min")),
            (false, Whose::FailedSignIns) => ("QUIET", format!("no failed sign-in for {minutes} min")),
            (false, Whose::Unreadable) => ("QUIET", format!("no unreadable log event for {minutes} min")),
        };
        let Some(labels) = account.map(Labels::new) else {
            return Self::clipped(&format!("[{word}] {what}{open}{tag}"));
        };
        let form = |(account, digits): (&str, String)| format!("[{word}] {account}: {what}{open}{digits}{tag}");
        Self::fitting(&labels.forms().map(form))
    }

    /// The first that is short enough, or else what can be kept of the last.
    fn fitting(forms: &[String]) -> Self {
        let fits = forms.iter().find(|form| form.len() <= SUBJECT_MAX);
        Self::clipped(fits.or(forms.last()).map_or("", String::as_str))
    }

    pub(super) fn clipped(text: &str) -> Self {
        Self(cut(&printable(text), SUBJECT_MAX).to_owned())
    }
}

fn is_failed_sign_in(action: &Action) -> bool {
    action.category == Category::FailedSignIn
}

/// At most so many bytes of an ASCII text. Of a number that doesn't end there nothing: an account's first eleven digits
/// could be dialled. And no `_` that was inside a word before: at its end it could be markup.
pub(super) fn cut(text: &str, max: usize) -> &str {
    let kept = match text.as_bytes().get(max) {
        None => return text,
        Some(next) if next.is_ascii_digit() => text[..max].trim_end_matches(|c: char| c.is_ascii_digit()),
        Some(_) => &text[..max],
    };
    kept.trim_end_matches(['_', '#'])
}

/// The text with each character that is not printable ASCII replaced.
///
/// Inside a word `_` and `#` mean nothing and stand as they are. Beside a letter that is replaced they would be at the word's
/// edge, and markup or a mention: they are replaced with it.
pub(super) fn printable(text: &str) -> String {
    let is_plain = |c: char| c == ' ' || c.is_ascii_graphic();
    let mut chars = text.chars().peekable();
    let (mut printable, mut before) = (String::with_capacity(text.len()), ' ');
    while let Some(c) = chars.next() {
        let mut at_edge = || !is_plain(before) || chars.peek().is_some_and(|next| !is_plain(*next));
        let stands = is_plain(c) && !("_#".contains(c) && at_edge());
        printable.push(if stands { c } else { '?' });
        before = c;
    }
    printable
}
