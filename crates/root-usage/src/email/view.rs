//! What the templates and the JSON document see: every text from a record is already [`Clean`], every list already of
//! its final length.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::account::Account;
use super::chapter::{Chapter, Incident};
use super::facts::Facts;
use super::held::HeldBack;
use super::lines::{LeftOut, Line, Reads, fold_lines, masked};
use super::link::Links;
use super::list::List;
use super::moment::{Moment, Span};
use super::related::History;
use super::step::{NextStep, steps};
use super::{Budget, Clean, Style};
use crate::alert::{Access, Action, Actor, Alert, Category, Identity, Severity, Signal, signals};
use crate::directory::Names;
use crate::history::{Answered, Answers};
use crate::incident::Kind;
use crate::record::{Outcome, Record};
use crate::rule::Rule;

/// The most characters shown of a user agent or an error message.
pub(super) const LONG_TEXT: usize = 160;

/// The most characters shown of a name.
pub(super) const SHORT_TEXT: usize = 80;

/// An alert, ready to be put into words.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct View {
    /// The version of this document; see `docs/alert.schema.json`.
    schema: &'static str,
    #[serde(rename = "alertId")]
    pub id: String,
    /// The incident that it belongs to, where it is told as one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incident: Option<Incident>,
    pub severity: Severity,
    pub subject: String,
    pub rules: List,
    /// The rules that matched, with their titles.
    #[serde(skip)]
    pub rule_names: Vec<Clean>,
    /// The rules that what could not be read may match, with their titles.
    #[serde(skip)]
    pub possible_rules: List,
    pub matched: usize,
    pub actors: Vec<Section>,
    /// Those without a section of their own, a line each.
    pub other_actors: Vec<OtherActor>,
    pub actors_left_out: usize,
    pub actions_left_out: usize,
    /// What the actors did who are left out.
    pub other_actions: Option<LeftOut>,
    pub unreadable: Vec<UnreadableLine>,
    pub unreadable_count: usize,
    pub accounts: List<Account>,
    /// The names of these and of the others that this names, by id.
    account_names: BTreeMap<String, Clean>,
    pub span: Option<Span>,
    #[serde(skip)]
    pub steps: Vec<NextStep>,
    /// The operator's own instructions: their configuration, so it is a link as it stands.
    #[serde(skip)]
    pub runbook: Option<String>,
    pub function: Clean,
    pub log_group_owner: Account,
    pub log_group: Clean,
    pub log_stream: Clean,
    pub links: Links,
    /// What earlier mails would have told.
    #[serde(rename = "heldBack")]
    pub held: HeldBack,
    pub may_be_repeated: bool,
    pub without_ledger: bool,
}

/// Why a severity is higher than what was done alone would be.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Because {
    /// It was done with a long-lived root access key.
    LongLivedKey,
    /// It is a sign-in without MFA.
    NoMfa,
    /// It is a sign-in, and the record doesn't say whether MFA was used.
    MfaNotSaid,
}

/// One actor.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Section {
    pub who: Who,
    #[serde(rename = "credential")]
    pub access: Access,
    /// Who began a central root session, where that is known.
    pub root_call: Option<RootCall>,
    #[serde(rename = "gravest")]
    pub first: Facts,
    pub signals: Vec<Signal>,
    pub sources: List,
    pub regions: List,
    #[serde(rename = "accessKeys")]
    pub keys: List,
    pub span: Option<Span>,
    #[serde(rename = "actionCount")]
    pub actions: usize,
    #[serde(rename = "actions")]
    pub lines: Vec<Line>,
    #[serde(rename = "actionsLeftOut")]
    pub lines_left_out: Option<LeftOut>,
    pub reads: Option<Reads>,
    pub history: Option<History>,
}

/// An actor without a section: who, where, how much, and the worst of it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OtherActor {
    pub who: Who,
    pub account: Option<Account>,
    #[serde(rename = "actionCount")]
    pub actions: usize,
    pub service: Option<Clean>,
    #[serde(rename = "eventName")]
    pub action: Option<Clean>,
    pub outcome: Outcome,
    pub severity: Severity,
}

impl OtherActor {
    fn new(actor: &Actor, names: &Names) -> Self {
        let worst = actor.gravest();
        Self {
            who: Who::new(&actor.identity),
            account: worst.record.account().map(|id| Account::new(id, names)),
            actions: actor.actions.len(),
            service: worst.record.service().map(Clean::name),
            action: worst.record.event_name().map(Clean::name),
            outcome: worst.record.outcome(),
            severity: worst.severity,
        }
    }
}

/// Who acted.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case", tag = "type")]
pub(super) enum Who {
    Root,
    Other { kind: Clean, name: Clean },
}

impl Who {
    fn new(identity: &Identity) -> Self {
        match identity {
            Identity::Root => Self::Root,
            Identity::Other { kind, name } => {
                // As in the subject: a record without a type still begins the line with something.
                let kind = if kind.is_empty() { "?" } else { kind };
                Self::Other { kind: Clean::name(kind), name: Clean::quoted(name, LONG_TEXT) }
            }
        }
    }

    /// Whether this is root, of whom some signals say more.
    pub(super) fn is_root(&self) -> bool {
        matches!(self, Self::Root)
    }
}

/// The call of `sts:AssumeRoot` that began a central root session.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RootCall {
    /// Who called, by ARN where there is one.
    pub by: Clean,
    pub source: Option<Clean>,
    pub time: Option<Moment>,
    pub region: Option<Clean>,
    /// The task policy's name: what the session may do.
    pub task_policy: Option<Clean>,
    pub account: Option<Clean>,
    pub event_id: Option<Clean>,
}

impl RootCall {
    fn new(record: &Record, style: &Style) -> Self {
        let by = record.arn().or_else(|| record.text(&["userIdentity", "principalId"])).unwrap_or("?");
        let policy = record.text(&["requestParameters", "taskPolicyArn", "arn"]);
        Self {
            by: Clean::quoted(by, LONG_TEXT),
            source: record.source_ip().map(Clean::source),
            time: record.event_time().map(|time| Moment::new(time, style)),
            region: record.region().map(Clean::name),
            task_policy: policy.map(|arn| Clean::name(arn.rsplit('/').next().unwrap_or(arn))),
            account: record.identity_account().map(Clean::name),
            event_id: record.event_id().map(Clean::name),
        }
    }
}

/// A log event that could not be read.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UnreadableLine {
    pub time: Option<Moment>,
    #[serde(rename = "logEventId")]
    pub id: Clean,
    pub bytes: usize,
    pub reason: Clean,
}

impl View {
    /// The view of an alert within a budget.
    pub(super) fn new(
        alert: &Alert,
        answers: &Answers,
        chapter: Option<&Chapter>,
        style: &Style,
        budget: &Budget,
        subject: &str,
    ) -> Self {
        let others = alert.actors.get(budget.actors..).unwrap_or_default();
        let (others, left_out) = others.split_at(budget.other_actors.min(others.len()));
        let names = &answers.names;
        let all = || alert.actors.iter().flat_map(|actor| &actor.actions);
        let accounts: BTreeSet<&str> = all().filter_map(|action| action.record.account()).collect();
        let unreadable = alert.unreadable.iter().take(budget.lines).map(|event| UnreadableLine {
            time: event.time.map(|time| Moment::new(time, style)),
            id: Clean::name(&event.id),
            bytes: event.bytes,
            // A colon would lose its blank, as it does in every text that is not ours.
            reason: Clean::text(&masked(&event.reason.replace(": ", ", "), style), LONG_TEXT),
        });
        let section = |answered| Section::new(answered, alert, names, style, budget);
        Self {
            schema: if chapter.is_some() { "root-usage-alert/2" } else { "root-usage-alert/1" },
            id: alert.id.to_string(),
            incident: chapter.map(|chapter| Incident::new(chapter, style)),
            severity: alert.severity(),
            subject: subject.to_owned(),
            rules: List::new(alert.rules().into_keys().map(Clean::name)),
            rule_names: alert.rules().into_values().map(rule_name).collect(),
            possible_rules: List::new(alert.possible_rules().into_values().map(rule_name)),
            matched: alert.matched(),
            actors: answers.of(alert).take(budget.actors).map(section).collect(),
            other_actors: others.iter().map(|actor| OtherActor::new(actor, names)).collect(),
            actors_left_out: left_out.len(),
            actions_left_out: left_out.iter().map(|actor| actor.actions.len()).sum(),
            other_actions: LeftOut::new(left_out.iter().flat_map(|actor| &actor.actions), style, budget),
            unreadable: unreadable.collect(),
            unreadable_count: alert.unreadable.len(),
            accounts: List::new(accounts.into_iter().map(|id| Account::new(id, names))),
            account_names: names
                .iter()
                .filter_map(|(id, _)| Some((id.to_owned(), Account::new(id, names).name?)))
                .collect(),
            span: Span::of(all(), style),
            steps: steps(alert, answers, style),
            runbook: style.runbook.clone(),
            function: Clean::name(&style.function),
            log_group_owner: Account::new(&alert.origin.owner, names),
            log_group: Clean::log_name(&alert.origin.log_group),
            log_stream: Clean::log_name(&alert.origin.log_stream),
            links: Links::new(alert),
            held: HeldBack::new(&alert.held, names, style),
            may_be_repeated: alert.may_be_repeated,
            without_ledger: alert.without_ledger,
        }
    }

    /// Whether the event history was to be looked up for anyone.
    pub(super) fn has_history(&self) -> bool {
        self.actors.iter().any(|actor| actor.history.is_some())
    }

    /// Whether the reader was asked before, in an earlier mail of the incident.
    pub(super) fn is_at_once(&self) -> bool {
        self.incident.as_ref().is_some_and(|incident| incident.kind == Kind::AtOnce)
    }

    /// Whether the mail ends with what undoes what it tells.
    pub(super) fn lists_undoing(&self) -> bool {
        self.incident.as_ref().is_some_and(|incident| !incident.open.is_empty())
    }

    /// Whether the mail needs more than the facts of its first action.
    pub(super) fn has_more(&self) -> bool {
        self.matched > 1
    }
}

/// A rule as a person knows it.
fn rule_name(rule: &Rule) -> Clean {
    Clean::text(&format!("{} ({})", rule.id, rule.title), SHORT_TEXT)
}

/// A signal whose texts are safe to print. A trusted network's name is the operator's own.
fn clean(signal: Signal) -> Signal {
    let text = |text: &str| Clean::text(text, SHORT_TEXT).to_string();
    match signal {
        Signal::Addendum { reason } => Signal::Addendum { reason: text(&reason) },
        Signal::VpcEndpoint { endpoint, account } => Signal::VpcEndpoint {
            endpoint: Clean::name(&endpoint).to_string(),
            account: account.map(|account| Clean::name(&account).to_string()),
        },
        other => other,
    }
}

impl Section {
    /// The signals that the facts above them don't tell: of one source these say whether it is known.
    pub(super) fn notes(&self) -> impl Iterator<Item = &Signal> {
        let told = self.sources.shown.len() == 1 && (self.first.network.is_some() || self.first.in_no_network);
        let of_source = |signal: &Signal| matches!(signal, Signal::TrustedSource { .. } | Signal::UnknownSource { .. });
        self.signals.iter().filter(move |signal| !(told && of_source(signal)))
    }

    fn new(answered: Answered<'_>, alert: &Alert, names: &Names, style: &Style, budget: &Budget) -> Self {
        let (actor, access, call) = (answered.actor, answered.access(), answered.root_call());
        let (reads, serious): (Vec<&Action>, Vec<&Action>) =
            actor.actions.iter().partition(|action| action.category == Category::Read);
        let (lines, lines_left_out) = fold_lines(&serious, style, budget);
        let key = |key: &str| Clean::access_key(key, style.mask_access_keys);
        Self {
            who: Who::new(&actor.identity),
            access,
            root_call: call.map(|record| RootCall::new(record, style)),
            first: Facts::new(actor.gravest(), access, names, style),
            signals: signals(actor, access, call.is_some(), &alert.origin, &style.trusted_networks)
                .into_iter()
                .map(clean)
                .collect(),
            sources: List::new(actor.each(Record::source_ip).into_iter().map(Clean::source)),
            regions: List::new(actor.each(Record::region).into_iter().map(Clean::name)),
            keys: List::new(actor.each(Record::access_key_id).into_iter().map(key)),
            span: Span::of(actor.actions.iter(), style),
            actions: actor.actions.len(),
            lines,
            lines_left_out,
            reads: Reads::new(&reads, style, budget),
            history: answered.related().map(|related| History::new(related, actor, style, budget)),
        }
    }
}
