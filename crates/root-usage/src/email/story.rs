//! An incident as a whole, as `root-usage scan` tells it: bounded, and every text in it safe to print.

use std::collections::HashSet;

use jiff::Timestamp;
use serde::Serialize;

use super::account::Account;
use super::held::{HeldBack, HeldTally};
use super::language::Mail;
use super::lines::{LeftOut, Line, Reads, fold_lines, names as named};
use super::list::List;
use super::moment::{Moment, Span};
use super::view::LONG_TEXT;
use super::{Budget, Clean, EmailError, Style};
use crate::alert::{Access, Action, Alert, Category, EVIDENCE, Held, Severity};
use crate::directory::Names;
use crate::incident::{IncidentId, Whose};
use crate::record::{Outcome, Record};

/// How much of an incident is written out; the rest is counted.
const BUDGET: Budget = Budget { actors: 0, other_actors: 0, lines: 40, kinds: 20, event_ids: 100 };

/// What a story needs of a record beside its [`EVIDENCE`] and the names of what was acted on. The last three say whose
/// credentials were changed.
const NEEDED: [&[&str]; 6] = [
    &["eventID"],
    &["errorCode"],
    &["awsRegion"],
    &["requestParameters", "userName"],
    &["requestParameters", "serialNumber"],
    &["requestParameters", "virtualMFADeviceName"],
];

/// An incident as a whole. As JSON it is what `docs/backtest.md` describes.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Story {
    pub(super) id: String,
    pub(super) whose: &'static str,
    /// Who it was, where it was not root.
    pub(super) issuer: Option<Clean>,
    pub(super) account: Option<Account>,
    #[serde(rename = "accountName")]
    name: Option<Clean>,
    from: Option<Moment>,
    to: Option<Moment>,
    #[serde(skip)]
    pub(super) span: Option<Span>,
    pub(super) severity: Severity,
    pub(super) sources: List,
    pub(super) regions: List,
    /// By what means, the gravest first.
    #[serde(rename = "credentials")]
    pub(super) accesses: Vec<Access>,
    pub(super) counts: Counts,
    /// What changed something, signed in or was denied.
    #[serde(rename = "changes")]
    pub(super) lines: Vec<Line>,
    #[serde(rename = "changesLeftOut")]
    pub(super) lines_left_out: Option<LeftOut>,
    pub(super) reads: Option<Reads>,
    /// Accounts and sources, where there is nothing but failed sign-ins.
    #[serde(rename = "failedSignIns")]
    pub(super) tallies: Vec<HeldTally>,
}

/// How many records there are of each kind.
#[derive(Serialize)]
pub(super) struct Counts {
    pub records: usize,
    /// All but the reads.
    pub changes: usize,
    /// Of these, those that were denied.
    pub denied: usize,
    /// Reads that were not denied.
    pub reads: usize,
}

impl Story {
    /// The story of an incident, given all of its records as one alert.
    #[must_use]
    pub fn new(id: IncidentId, whose: &Whose, alert: &Alert, names: &Names, style: &Style) -> Self {
        let mut actions: Vec<&Action> = alert.actors.iter().flat_map(|actor| &actor.actions).collect();
        actions.sort_by_cached_key(|action| action.gravity());
        let (reads, changes): (Vec<&Action>, Vec<&Action>) = actions.iter().partition(|action| is_idle(action));
        let (lines, lines_left_out) = fold_lines(&changes, style, &BUDGET);
        let account = whose.account().filter(|account| !account.is_empty()).map(|id| Account::new(id, names));
        let span = Span::of(actions.iter().copied(), style);
        let denied = changes.iter().filter(|action| action.record.outcome() == Outcome::Denied).count();
        let mut accesses: Vec<Access> = Vec::new();
        // Whoever fails to sign in has no session, even if somebody at the same address has one.
        let actors = if *whose == Whose::FailedSignIns { &[][..] } else { &alert.actors[..] };
        for access in actors.iter().map(|actor| actor.access).filter(|access| *access != Access::NotSaid) {
            if !accesses.contains(&access) {
                accesses.push(access);
            }
        }
        let issuer = match whose {
            Whose::Other { issuer, .. } => Some(Clean::quoted(issuer, LONG_TEXT)),
            _ => None,
        };
        let mut failed = Held::default();
        if *whose == Whose::FailedSignIns {
            failed.add(alert);
        }
        Self {
            id: id.to_string(),
            whose: match whose {
                Whose::Root { .. } => "root",
                Whose::Other { .. } => "other",
                Whose::FailedSignIns => "failed-sign-ins",
                Whose::Unreadable => "unreadable",
            },
            issuer,
            name: account.as_ref().and_then(|account| account.name.clone()),
            account,
            from: span.as_ref().map(|span| span.from.clone()),
            to: span.as_ref().map(|span| span.to.clone()),
            span,
            severity: alert.severity(),
            sources: each(&actions, Record::source_ip, Clean::source),
            regions: each(&actions, Record::region, Clean::name),
            accesses,
            counts: Counts { records: actions.len(), changes: changes.len(), denied, reads: reads.len() },
            lines,
            lines_left_out,
            reads: Reads::new(&reads, style, &BUDGET),
            tallies: HeldBack::new(&failed, names, style).tallies,
        }
    }

    /// As a person reads it, in the mail's language.
    ///
    /// # Errors
    ///
    /// [`EmailError`] if the template fails, which no content can cause.
    pub fn text(&self, style: &Style) -> Result<String, EmailError> {
        style.language.0.mail(&Mail::Story(self)).map_err(EmailError::Render)
    }

    /// A record with what the story of its incident needs and no more, for as long as many have to be kept.
    #[must_use]
    pub fn needs(record: &Record) -> Record {
        let parameters: Vec<[&str; 2]> = named(record).iter().map(|name| ["requestParameters", *name]).collect();
        let parameters = parameters.iter().map(|path| &path[..]);
        let paths: Vec<&[&str]> = EVIDENCE.into_iter().chain(NEEDED).chain(parameters).collect();
        record.only_with_details(&paths)
    }

    /// When a line happened: without the day, where that is the one on which the incident began.
    pub(super) fn when(&self, span: Option<&Span>) -> Option<String> {
        let (began, span) = self.span.as_ref().zip(span)?;
        let day = |time: Timestamp| time.strftime("%Y-%m-%d").to_string();
        let first = day(began.from.at());
        let clock = |time: Timestamp| {
            let clock = time.strftime("%H:%M:%S");
            if day(time) == first { clock.to_string() } else { format!("{} {clock}", day(time)) }
        };
        let (from, to) = (clock(span.from.at()), clock(span.to.at()));
        Some(if from == to { from } else { format!("{from} - {to}") })
    }
}

/// Whether somebody only looked, and was let.
fn is_idle(action: &Action) -> bool {
    action.category == Category::Read && action.record.outcome() != Outcome::Denied
}

/// Each value once, in order of time.
fn each<'a>(actions: &[&'a Action], of: impl Fn(&'a Record) -> Option<&'a str>, clean: impl Fn(&str) -> Clean) -> List {
    let mut records: Vec<&Record> = actions.iter().map(|action| &action.record).collect();
    records.sort_by_key(|record| record.event_time());
    let mut seen = HashSet::new();
    List::new(records.into_iter().filter_map(of).filter(|value| seen.insert(*value)).map(clean))
}
