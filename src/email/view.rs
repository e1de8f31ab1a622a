//! What the templates see: every text from a record is already [`Clean`], every list already of its final length.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Clean, Style, link};
use crate::alert::{Action, Actor, Alert, Category, Credential, Identity, Severity, known};
use crate::record::Outcome;

/// The most characters shown of a user agent or an error message.
const LONG_TEXT: usize = 160;

/// The most characters shown of a name.
const SHORT_TEXT: usize = 80;

/// The most addresses, keys, … listed in one line.
const LIST_MAX: usize = 6;

/// An alert, ready to be put into words.
pub(super) struct View {
    pub severity: Severity,
    pub matched: usize,
    pub actors: Vec<Section>,
    pub actors_left_out: usize,
    pub actions_left_out: usize,
    pub unreadable: Vec<UnreadableLine>,
    pub unreadable_count: usize,
    pub rules: List,
    pub id: String,
    pub function: Clean,
    pub log_group: Clean,
    pub log_stream: Clean,
    pub links: Links,
}

/// Pages that the next steps name.
pub(super) struct Links {
    pub security_credentials: String,
    pub trails: String,
    pub support: String,
}

/// One actor.
pub(super) struct Section {
    pub who: Who,
    pub first: Facts,
    pub sources: List,
    pub regions: List,
    pub keys: List,
    pub span: Option<Span>,
    pub actions: usize,
    pub lines: Vec<Line>,
    pub lines_left_out: Option<Fold>,
    pub reads: Option<Reads>,
}

/// Who acted.
pub(super) enum Who {
    Root,
    Other { kind: Clean, name: Clean },
}

/// The facts of one action.
pub(super) struct Facts {
    pub category: Category,
    pub words: Option<Words>,
    pub action: Option<Clean>,
    pub service: Option<Clean>,
    pub outcome: Outcome,
    pub error_code: Option<Clean>,
    pub error_message: Option<Clean>,
    pub time: Option<String>,
    pub region: Option<Clean>,
    pub source: Option<Clean>,
    pub agent: Option<Clean>,
    pub account: Option<Clean>,
    pub alias: Option<Clean>,
    pub credential: Credential,
    pub session_created: Option<String>,
    pub key: Option<Clean>,
    pub mfa: Option<bool>,
    pub event_id: Option<Clean>,
    pub link: Option<String>,
    pub command: Option<String>,
    pub resources: Vec<Resource>,
}

/// An action in words.
#[derive(Clone, Copy)]
pub(super) struct Words {
    pub past: &'static str,
    pub base: &'static str,
}

/// A request parameter that identifies what was acted on.
#[derive(PartialEq, Eq)]
pub(super) struct Resource {
    pub name: &'static str,
    pub value: Clean,
}

/// One or more equal actions.
pub(super) struct Line {
    pub action: Option<Clean>,
    pub service: Option<Clean>,
    pub outcome: Outcome,
    pub error_code: Option<Clean>,
    pub region: Option<Clean>,
    pub resources: Vec<Resource>,
    pub count: usize,
    pub span: Option<Span>,
}

/// From when to when; one moment if both are equal.
pub(super) struct Span {
    pub from: String,
    pub to: String,
}

/// Actions that were counted, not listed.
pub(super) struct Fold {
    pub count: usize,
    pub span: Option<Span>,
}

/// Read-only calls, by service.
pub(super) struct Reads {
    pub fold: Fold,
    pub by_service: Vec<(Clean, usize)>,
    pub not_succeeded: usize,
}

/// A log event that could not be read.
pub(super) struct UnreadableLine {
    pub time: Option<String>,
    pub id: Clean,
    pub bytes: usize,
    pub reason: Clean,
}

/// A list and how many of it are not shown.
pub(super) struct List {
    pub shown: Vec<Clean>,
    pub left_out: usize,
}

impl List {
    fn new(values: impl IntoIterator<Item = Clean>) -> Self {
        let mut shown: Vec<Clean> = values.into_iter().collect();
        let left_out = shown.len().saturating_sub(LIST_MAX);
        shown.truncate(LIST_MAX);
        Self { shown, left_out }
    }
}

impl std::fmt::Display for List {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, value) in self.shown.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{value}")?;
        }
        if self.left_out > 0 { write!(f, ", +{}", self.left_out) } else { Ok(()) }
    }
}

fn utc(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

fn span(times: impl Iterator<Item = Timestamp> + Clone) -> Option<Span> {
    let (from, to) = times.clone().min().zip(times.max())?;
    Some(Span { from: utc(from), to: utc(to) })
}

fn times<'a>(actions: &'a [&Action]) -> impl Iterator<Item = Timestamp> + Clone + 'a {
    actions.iter().filter_map(|action| action.record.event_time())
}

impl View {
    /// The view of an alert with at most that many actors, and lines for each of them.
    pub(super) fn new(alert: &Alert, style: &Style, max_actors: usize, max_lines: usize) -> Self {
        let left_out = alert.actors.get(max_actors..).unwrap_or_default();
        let region = alert.actors.first().and_then(|actor| actor.gravest().record.region());
        let unreadable = alert.unreadable.iter().take(max_lines).map(|event| UnreadableLine {
            time: event.time.map(utc),
            id: Clean::name(&event.id),
            bytes: event.bytes,
            reason: Clean::text(&event.reason, LONG_TEXT),
        });
        Self {
            severity: alert.severity(),
            matched: alert.matched(),
            actors: alert.actors.iter().take(max_actors).map(|actor| Section::new(actor, style, max_lines)).collect(),
            actors_left_out: left_out.len(),
            actions_left_out: left_out.iter().map(|actor| actor.actions.len()).sum(),
            unreadable: unreadable.collect(),
            unreadable_count: alert.unreadable.len(),
            rules: List::new(alert.rules().into_iter().map(Clean::name)),
            id: alert.id.to_string(),
            function: Clean::name(&style.function),
            log_group: Clean::log_name(&alert.origin.log_group),
            log_stream: Clean::log_name(&alert.origin.log_stream),
            links: Links {
                security_credentials: link::security_credentials(region),
                trails: link::trails(region),
                support: link::support(region),
            },
        }
    }

    /// Whether the mail needs more than the facts of its first action.
    pub(super) fn has_more(&self) -> bool {
        self.matched > 1
    }
}

impl Section {
    fn new(actor: &Actor, style: &Style, max_lines: usize) -> Self {
        let who = match &actor.identity {
            Identity::Root => Who::Root,
            Identity::Other { kind, name } => {
                Who::Other { kind: Clean::name(kind), name: Clean::quoted(name, LONG_TEXT) }
            }
        };
        let (reads, serious): (Vec<&Action>, Vec<&Action>) =
            actor.actions.iter().partition(|action| action.category == Category::Read);
        let mut groups: Vec<Vec<&Action>> = Vec::new();
        for action in serious {
            match groups.iter_mut().find(|group| same(group[0], action)) {
                Some(group) => group.push(action),
                None => groups.push(vec![action]),
            }
        }
        let rest: Vec<&Action> = groups.get(max_lines..).unwrap_or_default().concat();
        groups.truncate(max_lines);
        let mut lines: Vec<_> = groups.iter().map(|group| (times(group).min(), Line::new(group))).collect();
        lines.sort_by_key(|(first, _)| *first);
        Self {
            who,
            first: Facts::new(actor.gravest(), style),
            sources: List::new(actor.each(|record| record.source_ip()).into_iter().map(Clean::source)),
            regions: List::new(actor.each(|record| record.region()).into_iter().map(Clean::name)),
            keys: List::new(
                actor
                    .each(|record| record.access_key_id())
                    .into_iter()
                    .map(|key| Clean::access_key(key, style.mask_access_keys)),
            ),
            span: span(actor.actions.iter().filter_map(|action| action.record.event_time())),
            actions: actor.actions.len(),
            lines: lines.into_iter().map(|(_, line)| line).collect(),
            lines_left_out: (!rest.is_empty()).then(|| Fold { count: rest.len(), span: span(times(&rest)) }),
            reads: Reads::new(&reads),
        }
    }
}

/// Whether two actions read the same in the mail, but for their time.
fn same(a: &Action, b: &Action) -> bool {
    let key = |action: &Action| {
        let record = &action.record;
        (record.outcome(), action.category)
    };
    key(a) == key(b)
        && a.record.event_name() == b.record.event_name()
        && a.record.event_source() == b.record.event_source()
        && a.record.region() == b.record.region()
        && a.record.error_code() == b.record.error_code()
        && resources(a) == resources(b)
}

/// The request parameters that identify what was acted on, as far as the table of actions allows them to be shown.
fn resources(action: &Action) -> Vec<Resource> {
    let record = &action.record;
    let known = known(record.service().unwrap_or_default(), record.event_name().unwrap_or_default());
    let names = known.map(|known| known.names.as_slice()).unwrap_or_default();
    let value = |name: &&'static str| {
        let value = record.text(&["requestParameters", name])?;
        Some(Resource { name, value: Clean::quoted(value, SHORT_TEXT) })
    };
    names.iter().filter_map(value).collect()
}

impl Facts {
    fn new(action: &Action, style: &Style) -> Self {
        let record = &action.record;
        let known = known(record.service().unwrap_or_default(), record.event_name().unwrap_or_default());
        let place = record.region().zip(record.event_id());
        Self {
            category: action.category,
            words: known.map(|known| Words { past: &known.past, base: &known.base }),
            action: record.event_name().map(Clean::name),
            service: record.event_source().map(Clean::service),
            outcome: record.outcome(),
            error_code: record.error_code().map(Clean::name),
            error_message: record.error_message().map(|text| Clean::quoted(text, LONG_TEXT)),
            time: record.event_time().map(utc),
            region: record.region().map(Clean::name),
            source: record.source_ip().map(Clean::source),
            agent: record.user_agent().map(|text| Clean::quoted(text, LONG_TEXT)),
            account: record.account().map(Clean::name),
            alias: record.account_alias().map(|text| Clean::quoted(text, SHORT_TEXT)),
            credential: action.credential(),
            session_created: record
                .session_created()
                .map(|text| text.parse().map_or_else(|_| Clean::quoted(text, SHORT_TEXT).to_string(), utc)),
            key: record.access_key_id().map(|key| Clean::access_key(key, style.mask_access_keys)),
            mfa: record.mfa(),
            event_id: record.event_id().map(Clean::name),
            link: place.and_then(|(region, id)| link::event(region, id)),
            command: place.and_then(|(region, id)| link::lookup_command(region, id)),
            resources: resources(action),
        }
    }
}

impl Line {
    fn new(group: &[&Action]) -> Self {
        let record = &group[0].record;
        Self {
            action: record.event_name().map(Clean::name),
            service: record.service().map(Clean::name),
            outcome: record.outcome(),
            error_code: record.error_code().map(Clean::name),
            region: record.region().map(Clean::name),
            resources: resources(group[0]),
            count: group.len(),
            span: span(times(group)),
        }
    }
}

impl Reads {
    fn new(reads: &[&Action]) -> Option<Self> {
        let mut by_service: BTreeMap<Clean, usize> = BTreeMap::new();
        for action in reads {
            *by_service.entry(Clean::name(action.record.service().unwrap_or("?"))).or_default() += 1;
        }
        let mut by_service: Vec<_> = by_service.into_iter().collect();
        by_service.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let not_succeeded = reads.iter().filter(|action| action.record.outcome() != Outcome::Succeeded).count();
        (!reads.is_empty()).then(|| Self {
            fold: Fold { count: reads.len(), span: span(times(reads)) },
            by_service,
            not_succeeded,
        })
    }
}
