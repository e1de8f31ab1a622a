//! What happened in one line: who did what, in which account, from where. The subject and the line for a phone are made
//! of it.

use super::Clean;
use super::account::Account;
use super::sanitize::is_plain;
use super::step::{NextStep, Step};
use super::subject::{cut, printable};
use super::{Language, SMS_MAX, SUBJECT_MAX};
use crate::alert::{Access, Action, Actor, Alert, Category, Severity, known_of};
use crate::directory::Names;
use crate::record::{Outcome, Record};

/// The most characters of an identity's name that a line has room for beside all the rest.
const NAME_MAX: usize = 24;

/// The least characters of an action's name that tell anything.
const CUT_MIN: usize = 8;

/// An account's digits, and its name where it has one that a subject can hold.
pub(super) struct Labels {
    pub digits: String,
    pub name: Option<String>,
}

impl Labels {
    pub(super) fn of(account: Option<&str>, names: &Names) -> Self {
        match account.filter(|id| !id.is_empty()) {
            Some(id) => Self::new(&Account::new(id, names)),
            None => Self { digits: "unknown account".to_owned(), name: None },
        }
    }

    pub(super) fn new(account: &Account) -> Self {
        let digits = printable(account.id.as_str());
        Self { digits: cut(&digits, 12).to_owned(), name: account.subject_name() }
    }

    /// What stands in front, and what behind: a telephone shows the beginning, and whoever is woken knows an account by its
    /// name. Where there is no room for both, the digits alone.
    pub(super) fn forms(&self) -> [(&str, String); 2] {
        let digits = (self.digits.as_str(), String::new());
        match &self.name {
            Some(name) => [(name, format!(" ({})", self.digits)), digits],
            None => [digits.clone(), digits],
        }
    }
}

/// Who did what, as it can be said in more or fewer words.
pub(super) struct Verdict {
    severity: Severity,
    account: Labels,
    /// The fullest first.
    who: Vec<String>,
    /// The fullest first.
    deeds: Vec<String>,
    /// The action's own name, and how it ended.
    call: (String, &'static str),
    source: Option<String>,
    tag: String,
}

impl Verdict {
    /// The verdict about what is gravest in an alert; `None` where nothing could be read.
    pub(super) fn of(alert: &Alert, names: &Names, tag: &str) -> Option<Self> {
        let actor = alert.actors.first()?;
        let action = actor.gravest();
        let record = &action.record;
        let call = record.event_name().map_or_else(|| "an unnamed action".to_owned(), name);
        let how = outcome_word(record.outcome());
        Some(Self {
            severity: alert.severity(),
            account: Labels::of(record.account(), names),
            who: who(record),
            deeds: deeds(alert, actor, &call),
            call: (call, how),
            source: record.source_ip().map(|source| cut(&printable(Clean::source(source).as_str()), 45).to_owned()),
            tag: tag.to_owned(),
        })
    }

    /// The words give way first, then the account's name. Severity, digits, address and tag stay.
    pub(super) fn subject(&self) -> String {
        let source = self.source.as_ref().map(|source| format!(", {source}")).unwrap_or_default();
        let line = |(account, digits): &(&str, String), who: &str, deed: &str| {
            format!("[{}] {account}: {who} {deed}{source}{digits}{}", self.severity, self.tag)
        };
        self.fit(SUBJECT_MAX, &self.account.forms(), line)
    }

    /// The same for a phone, with the first thing to do.
    pub(super) fn sms(&self, steps: &[NextStep]) -> String {
        let digits = &self.account.digits;
        let named = self.account.name.as_ref().map_or_else(|| digits.clone(), |name| format!("{name} {digits}"));
        let to_do = to_do(steps).map(|to_do| format!(" {to_do}")).unwrap_or_default();
        let line = |(account, to_do): &(&str, String), who: &str, deed: &str| {
            let comma = if deed.contains(',') { "," } else { "" };
            let source = self.source.as_ref().map(|source| format!("{comma} from {source}")).unwrap_or_default();
            format!("[{}] {account}: {who} {deed}{source}.{to_do}{}", self.severity, self.tag)
        };
        let accounts = [(named.as_str(), to_do.clone()), (digits, to_do), (digits, String::new())];
        self.fit(SMS_MAX, &accounts, line)
    }

    fn fit(
        &self,
        max: usize,
        accounts: &[(&str, String)],
        line: impl Fn(&(&str, String), &str, &str) -> String,
    ) -> String {
        for account in accounts {
            for deed in &self.deeds {
                for who in &self.who {
                    let line = line(account, who, deed);
                    if line.len() <= max {
                        return line;
                    }
                }
            }
        }
        let (Some(account), Some(who)) = (accounts.last(), self.who.last()) else { return String::new() };
        let (call, how) = &self.call;
        let how = if how.is_empty() { String::new() } else { format!(" {how}") };
        let room = max.saturating_sub(line(account, who, &how).len());
        let cut_off = |room: usize| format!("{}..", cut(call, room.saturating_sub(2)));
        let deed = if room >= CUT_MIN { format!("{}{how}", cut_off(room)) } else { cut_off(room + how.len()) };
        cut(&line(account, who, &deed), max).to_owned()
    }
}

/// Who it was: root, or else the type and, where it is plain, the name.
pub(super) fn who(record: &Record) -> Vec<String> {
    if record.is_root() {
        return vec!["root".to_owned()];
    }
    // `IdentityCenterUser` is the longest type that CloudTrail has.
    let kind = record.identity_type().map_or_else(|| "someone".to_owned(), |kind| cut(&name(kind), 18).to_owned());
    let role = record.text(&["userIdentity", "sessionContext", "sessionIssuer", "userName"]);
    let called = role.or_else(|| record.text(&["userIdentity", "userName"]));
    let plain = |name: &&str| {
        let letters = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        (1..=NAME_MAX).contains(&name.len()) && letters && is_plain(name)
    };
    called.filter(plain).map(|name| format!("{kind} {name}")).into_iter().chain([kind.clone()]).collect()
}

fn name(text: &str) -> String {
    cut(&printable(Clean::name(text).as_str()), 80).to_owned()
}

/// What was done, the fullest words first.
fn deeds(alert: &Alert, actor: &Actor, call: &str) -> Vec<String> {
    let action = actor.gravest();
    let idle = |action: &&Action| action.category == Category::Read && action.record.outcome() != Outcome::Denied;
    let all_idle = actor.actions.iter().all(|action| idle(&action));
    let failed = |action: &Action| action.category == Category::FailedSignIn;
    let all_failed = actor.actions.iter().all(failed);
    let elsewhere = alert.matched() - actor.actions.len() + alert.unreadable.len();
    let own = actor.actions.iter().filter(|action| !idle(action)).count();
    let more = |told: usize| match own.saturating_sub(told) + elsewhere {
        0 => String::new(),
        more => format!(", +{more} more"),
    };
    let count = actor.actions.len();
    // With a long-lived key every call is grave, so it is named.
    let key = if actor.access == Access::LongLivedKey && action.record.is_root() { ", long-lived key" } else { "" };
    if all_idle && count > 1 && key.is_empty() {
        return vec![format!("made {count} read-only calls{}", more(0))];
    }
    let first = words(action, call);
    if all_failed && count > 1 {
        return vec![format!("{first} {count} times{}", more(count))];
    }
    let called = match outcome_word(action.record.outcome()) {
        "" => format!("called {call}"),
        how => format!("tried to call {call} ({how})"),
    };
    let denied = first.strip_prefix("tried to ").and_then(|rest| rest.strip_suffix(" (denied)"));
    let denied = denied.map(|what| format!("was denied: {what}"));
    let both = beside(actor).map(|second| format!("{}{key}{}", joined(&first, &second), more(2)));
    let forms = [Some(first.clone()), denied, Some(called.clone())].into_iter().flatten();
    // How much more there is says more than the words do.
    let with_more = forms.flat_map(|form| [format!("{form}{key}{}", more(1)), format!("{form}{}", more(1))]);
    both.into_iter().chain(with_more).chain([first, called]).collect()
}

/// A second grave deed that can stand beside the first in the same words.
fn beside(actor: &Actor) -> Option<String> {
    let is_deed = |action: &&Action| {
        let page = matches!(
            action.category,
            Category::SignIn | Category::FailedSignIn | Category::FailedSecondFactor | Category::Read
        );
        !page && action.severity <= Severity::High && action.record.outcome() == Outcome::Succeeded
    };
    let did = |action: &Action| known_of(&action.record).and_then(|known| Language::default().did(known, true));
    let first = Some(actor.gravest()).filter(is_deed).and_then(did)?;
    actor.actions.iter().filter(is_deed).filter_map(did).find(|other| *other != first)
}

/// `created a role and an access key`: the verb once, where both have it.
fn joined(first: &str, second: &str) -> String {
    let verb = |words: &str| words.split_once(' ').map(|(verb, rest)| (verb.to_owned(), rest.to_owned()));
    match (verb(first), verb(second)) {
        (Some((one, _)), Some((other, rest))) if one == other => format!("{first} and {rest}"),
        _ => format!("{first} and {second}"),
    }
}

/// What one action did, or what was tried. Nothing is said to have worked that the record doesn't say.
fn words(action: &Action, call: &str) -> String {
    let record = &action.record;
    let outcome = record.outcome();
    let done = outcome == Outcome::Succeeded;
    match action.category {
        Category::SignIn => {
            let mfa = if record.mfa() == Some(false) { ", no MFA" } else { "" };
            format!("{}{mfa}", if done { "signed in" } else { "may have signed in" })
        }
        Category::FailedSignIn if outcome == Outcome::Blocked => "failed to sign in (blocked)".to_owned(),
        Category::FailedSignIn => "failed to sign in".to_owned(),
        Category::FailedSecondFactor => "failed at the MFA prompt".to_owned(),
        _ => {
            let known = known_of(record).and_then(|known| Language::default().did(known, done));
            match (known, done) {
                (Some(words), true) => words,
                (Some(words), false) => format!("{words} ({})", outcome_word(outcome)),
                (None, true) => format!("called {call}"),
                (None, false) => format!("tried to call {call} ({})", outcome_word(outcome)),
            }
        }
    }
}

/// How it ended, where it was no success.
fn outcome_word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Succeeded => "",
        Outcome::Denied => "denied",
        Outcome::Failed => "failed",
        Outcome::Blocked => "blocked",
        Outcome::NotSaid => "outcome unknown",
    }
}

/// What to do first, in a few words.
fn to_do(steps: &[NextStep]) -> Option<&'static str> {
    let blocks = steps.iter().any(|each| matches!(each.step, Step::AttachLockdown { .. }));
    Some(match &steps.first()?.step {
        Step::Ask { root: true, .. } if blocks => "If none of you did this, block root.",
        Step::Ask { root: true, .. } => "If none of you did this, secure root.",
        Step::Ask { .. } => "If none of you did this, stop them.",
        Step::AskCaller => "Ask whoever started the session.",
        Step::AskMistyped => "If none of you mistyped, change the password.",
        Step::BlockedSignIn { .. } => "If it was none of you, change the password.",
        _ => "It proves nothing: ask who mistyped.",
    })
}
