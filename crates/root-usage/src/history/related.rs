//! What else an actor did, from CloudTrail's event history.

use std::collections::BTreeSet;

use jiff::Timestamp;

use serde::Serialize;

use crate::alert::access::{self, Access, Issued};
use crate::alert::{Action, Actor, Alert, Category, Identity, Match, category};
use crate::record::Record;

/// What was looked up about an alert's actors, beside it: in their order, as far as there is something.
#[derive(Debug, Clone, Default)]
pub struct Answers {
    /// About each actor.
    pub(super) by_actor: Vec<Answer>,
    /// Look-ups that were begun.
    pub look_ups: usize,
    /// Look-ups that failed.
    pub failures: usize,
}

/// What was looked up about an actor.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// The record of the `AssumeRoot` call that began their session, where the alert doesn't know it.
    pub root_call: Option<Record>,
    /// What else they did, where that was to be looked up.
    pub related: Option<Related>,
}

/// An actor, and what was looked up about them.
#[derive(Debug, Clone, Copy)]
pub struct Answered<'a> {
    /// Who.
    pub actor: &'a Actor,
    answer: Option<&'a Answer>,
}

impl Answers {
    /// The alert's actors, the gravest first, each with what was looked up about them.
    pub fn of<'a>(&'a self, alert: &'a Alert) -> impl Iterator<Item = Answered<'a>> + Clone {
        let answers = self.by_actor.iter().map(Some).chain(std::iter::repeat(None));
        alert.actors.iter().zip(answers).map(|(actor, answer)| Answered { actor, answer })
    }
}

impl<'a> Answered<'a> {
    /// By what means they acted.
    #[must_use]
    pub fn access(&self) -> Access {
        self.answer
            .filter(|answer| answer.root_call.is_some())
            .map_or(self.actor.access, |_| Access::CentralRootSession)
    }

    /// The record of the `AssumeRoot` call that began a central root session, where it is known.
    #[must_use]
    pub fn root_call(&self) -> Option<&'a Record> {
        self.actor.root_call.as_ref().or_else(|| self.answer?.root_call.as_ref())
    }

    /// What else they did, where that was to be looked up.
    #[must_use]
    pub(crate) fn related(&self) -> Option<&'a Related> {
        self.answer?.related.as_ref()
    }
}

/// What the event history says of an actor.
#[derive(Debug, Clone)]
pub enum Related {
    /// It was looked up, as far as that went.
    Activity(Activity),
    /// It happened in another account than the log group's; its history can only be looked up there.
    OtherAccount,
    /// No record of theirs is of a partition that is known, so nobody can be asked.
    UnknownPartition,
    /// There were graver actors, and more of them than are looked up.
    LeftOut,
}

/// What the event history shows of an actor before the alert.
#[derive(Debug, Clone)]
pub struct Activity {
    /// How many minutes were looked at, back from their newest event.
    pub minutes: u32,
    /// The Regions that were looked at.
    pub regions: Vec<String>,
    /// What they did besides the alert's own events, the gravest first.
    pub actions: Vec<Action>,
    /// When root acted last before this.
    pub earlier: Earlier,
    /// What is missing, and why.
    pub gaps: Vec<Gap>,
}

/// Root's newest activity before the alert that is not of the same session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Earlier {
    /// Nobody asked: the actor is not root.
    NotAsked,
    /// The look-ups that would show it did not come through.
    Unknown,
    /// There is none in the [`EARLIER_DAYS`] before.
    None,
    /// This is when, and in which Region.
    At(Timestamp, String),
}

/// How far back the event history goes.
///
/// Source: CloudTrail User Guide, "Working with CloudTrail event history": 90 days.
pub(crate) const EARLIER_DAYS: u32 = 90;

/// A look-up that did not come to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The Region.
    pub region: String,
    /// How many events it had given by then.
    pub seen: usize,
    /// Why it ended.
    pub why: Why,
}

/// Why a look-up did not come to its end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case", tag = "reason")]
pub enum Why {
    /// There is more than is read.
    Cut,
    /// The time for it was over.
    Time,
    /// CloudTrail said: too many requests.
    Throttled,
    /// The function's role lacks `cloudtrail:LookupEvents`.
    Denied,
    /// No connection, or it broke off.
    Unreachable,
    /// The answer broke off or made no sense.
    Malformed,
    /// Some of the events in the answer made no sense.
    UnreadableEvents,
    /// Any other error.
    Refused {
        /// Its code.
        code: String,
    },
    /// The look-up itself failed, which is a fault of this program.
    Fault,
}

impl Why {
    /// Whether this is a failure, and not a limit that was kept.
    #[must_use]
    pub(crate) fn is_failure(&self) -> bool {
        *self != Self::Cut
    }
}

/// Records of the event history that a look-up gave.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen<'r> {
    /// Of the actor's access key.
    pub by_key: Vec<&'r Record>,
    /// Of root, in the time around the alert.
    pub of_root: Vec<&'r Record>,
    /// Of root, before that.
    pub before: Vec<&'r Record>,
}

/// Whether root did something here. A sign-in that failed was somebody at the door, whoever it was.
#[must_use]
pub(super) fn is_activity(record: &Record) -> bool {
    record.is_root() && category(record) != Category::FailedSignIn
}

/// What an actor did in the history: what is theirs, within the time, and not in the alert itself.
///
/// `told` holds the ids of the alert's own events. The second value is root's newest activity before it.
#[must_use]
pub(super) fn activity(
    actor: &Actor,
    seen: &Seen<'_>,
    (from, to): (Timestamp, Timestamp),
    told: &BTreeSet<&str>,
) -> (Vec<Action>, Option<(Timestamp, String)>) {
    let mut known: BTreeSet<String> = told.iter().map(|id| (*id).to_owned()).collect();
    let mut new = |record: &Record| match record.event_id() {
        Some(id) => known.insert(id.to_owned()),
        None => known.insert(format!("{:?}", record.hash())),
    };
    let within = |record: &Record| record.event_time().is_some_and(|time| (from..=to).contains(&time));
    let keys = actor.each(Record::access_key_id);
    let sessions = actor.each(Record::session_created);
    let theirs = |record: &Record| match (record.session_created(), record.access_key_id()) {
        _ if record.is_sign_in() || (keys.is_empty() && sessions.is_empty()) => true,
        (None, None) => true,
        (Some(session), Some(key)) => sessions.contains(&session) || keys.contains(&key),
        (Some(session), None) => sessions.contains(&session),
        (None, Some(key)) => keys.contains(&key),
    };
    let root = actor.identity == Identity::Root;
    let by_key =
        seen.by_key.iter().copied().filter(|record| {
            record.access_key_id().is_some_and(|key| keys.contains(&key)) && (record.is_root() || !root)
        });
    let of_root = seen.of_root.iter().copied().filter(|record| root && record.is_root());
    let mut actions = Vec::new();
    for record in by_key.chain(of_root.clone().filter(|record| theirs(record))) {
        if within(record) && new(record) {
            let (access, _) = access::decide(&std::iter::once(record), &Issued::default());
            actions.push(Action::new(Match { record: record.clone(), rules: Vec::new(), received: None }, access));
        }
    }
    actions.sort_by_cached_key(Action::gravity);
    let began = actor.span().map_or(to, |(began, _)| began);
    let before = seen.before.iter().copied().filter(|_| root);
    let others = before.chain(of_root.filter(|record| !theirs(record) || !within(record)));
    let earlier = others
        .filter(|record| record.event_id().is_none_or(|id| !told.contains(id)) && is_activity(record))
        .filter_map(|record| Some((record.event_time()?, record.region().unwrap_or_default().to_owned())))
        .filter(|(time, _)| *time < began)
        .max();
    (actions, earlier)
}
