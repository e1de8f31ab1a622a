//! What was done, as lines: equal actions as one, and nothing left unnamed.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use super::detail::Details;
use super::list::{LIST_MAX, List};
use super::moment::Span;
use super::sanitize::mask_access_keys;
use super::view::SHORT_TEXT;
use super::{Budget, Clean, Style};
use crate::alert::{Action, Category, known_of};
use crate::detail::Detail;
use crate::record::{Outcome, Record};

/// A request parameter that identifies what was acted on.
#[derive(PartialEq, Eq, Serialize)]
pub(super) struct Resource {
    pub name: &'static str,
    pub value: Clean,
}

/// One or more equal actions.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Line {
    #[serde(rename = "eventName")]
    pub action: Option<Clean>,
    pub service: Option<Clean>,
    pub category: Category,
    pub outcome: Outcome,
    pub error_code: Option<Clean>,
    pub region: Option<Clean>,
    pub resources: Vec<Resource>,
    pub details: Details,
    #[serde(flatten)]
    pub fold: Fold,
}

/// Actions that were counted together.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Fold {
    pub count: usize,
    pub span: Option<Span>,
    /// Where they came from.
    #[serde(skip)]
    pub sources: List,
    pub event_ids: Vec<Clean>,
    pub event_ids_left_out: usize,
}

/// Actions that have no line of their own: each kind of them with its count.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LeftOut {
    #[serde(flatten)]
    pub fold: Fold,
    /// The gravest first.
    pub kinds: Vec<ActionKind>,
    /// How many kinds more there are, and how many actions those have.
    pub other_kinds: usize,
    pub other_actions: usize,
}

/// What one service did in one way, and how often.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ActionKind {
    pub service: Option<Clean>,
    #[serde(rename = "eventName")]
    pub action: Option<Clean>,
    pub outcome: Outcome,
    pub count: usize,
}

impl ActionKind {
    /// The count, as a person reads large numbers: `1,463`.
    pub(super) fn times(&self) -> String {
        let digits = self.count.to_string();
        let first = digits.len() % 3;
        let groups = digits.as_bytes()[first..].chunks(3);
        let groups = (first > 0).then(|| &digits.as_bytes()[..first]).into_iter().chain(groups);
        groups.map(String::from_utf8_lossy).collect::<Vec<_>>().join(",")
    }
}

/// Read-only calls, by service.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Reads {
    #[serde(flatten)]
    pub fold: Fold,
    pub by_service: Vec<(Clean, usize)>,
    pub not_succeeded: usize,
}

/// What two actions must have in common to read the same, but for their time.
#[derive(PartialEq, Eq, Hash)]
struct Same<'a> {
    kind: KindOf<'a>,
    category: Category,
    region: Option<&'a str>,
    error_code: Option<&'a str>,
    values: Vec<Option<&'a str>>,
    details: &'a [Detail],
}

/// Service, action and outcome.
type KindOf<'a> = (Option<&'a str>, Option<&'a str>, Outcome);

fn kind_of(record: &Record) -> KindOf<'_> {
    (record.event_source(), record.event_name(), record.outcome())
}

impl<'a> Same<'a> {
    fn of(action: &'a Action) -> Self {
        let record = &action.record;
        Self {
            kind: kind_of(record),
            category: action.category,
            region: record.region(),
            error_code: record.error_code(),
            values: names(record).iter().map(|name| record.text(&["requestParameters", name])).collect(),
            details: record.details(),
        }
    }
}

/// Actions, the gravest first, as lines in order of time: equal ones as one line.
///
/// Where there are more lines than the budget has, each kind of action gets one before any gets a second, so that many of
/// one kind push no other out. What then has no line is in the [`LeftOut`].
pub(super) fn fold_lines(actions: &[&Action], style: &Style, budget: &Budget) -> (Vec<Line>, Option<LeftOut>) {
    let mut groups: Vec<Vec<&Action>> = Vec::new();
    let mut places: HashMap<Same<'_>, usize> = HashMap::new();
    let mut kinds: Vec<Vec<usize>> = Vec::new();
    let mut kind_places: HashMap<KindOf<'_>, usize> = HashMap::new();
    for action in actions {
        let place = *places.entry(Same::of(action)).or_insert_with(|| {
            let kind = *kind_places.entry(kind_of(&action.record)).or_insert_with(|| {
                kinds.push(Vec::new());
                kinds.len() - 1
            });
            kinds[kind].push(groups.len());
            groups.push(Vec::new());
            groups.len() - 1
        });
        groups[place].push(action);
    }
    let mut shown = vec![false; groups.len()];
    let mut turns = (0..).map(|round| kinds.iter().filter_map(move |kind| kind.get(round)).collect::<Vec<_>>());
    let in_turn = turns.by_ref().take_while(|turn| !turn.is_empty()).flatten();
    in_turn.take(budget.lines).for_each(|place| shown[*place] = true);
    let (mut lines, mut rest) = (Vec::new(), Vec::new());
    for (group, shown) in groups.into_iter().zip(shown) {
        if shown { lines.push(group) } else { rest.extend(group) }
    }
    lines.sort_by_cached_key(|group| group.iter().filter_map(|action| action.record.event_time()).min());
    let lines = lines.iter().map(|group| Line::new(group, style, budget)).collect();
    (lines, LeftOut::new(rest, style, budget))
}

/// How many actions there are of each service, the most first.
pub(super) fn by_count<'a>(actions: impl Iterator<Item = &'a Action>, budget: &Budget) -> Vec<(Clean, usize)> {
    let mut by_service: HashMap<&str, usize> = HashMap::new();
    for action in actions {
        *by_service.entry(action.record.service().unwrap_or("?")).or_default() += 1;
    }
    let mut by_service: Vec<_> = by_service.into_iter().collect();
    by_service.sort_by_key(|(service, count)| (std::cmp::Reverse(*count), *service));
    by_service.truncate(budget.lines.max(LIST_MAX));
    by_service.into_iter().map(|(service, count)| (Clean::name(service), count)).collect()
}

/// The request parameters that identify what an action is about.
pub(super) fn names(record: &Record) -> &'static [&'static str] {
    known_of(record).map(|known| known.names.as_slice()).unwrap_or_default()
}

/// A text that is not ours, without its access keys where they are masked.
pub(super) fn masked(text: &str, style: &Style) -> String {
    if style.mask_access_keys { mask_access_keys(text) } else { text.to_owned() }
}

/// The request parameters that identify what was acted on, as far as the table of actions allows them to be shown.
pub(super) fn resources(action: &Action, style: &Style) -> Vec<Resource> {
    let value = |name: &&'static str| {
        let value = action.record.text(&["requestParameters", name])?;
        Some(Resource { name, value: Clean::quoted(&masked(value, style), SHORT_TEXT) })
    };
    names(&action.record).iter().filter_map(value).collect()
}

/// What the action made or opened, without what its resources say already.
pub(super) fn details(action: &Action, style: &Style) -> Details {
    let record = &action.record;
    let shown: Vec<&str> = names(record).iter().filter_map(|name| record.text(&["requestParameters", name])).collect();
    Details::new(record.details(), &shown, record.outcome() == Outcome::Succeeded, style)
}

impl Fold {
    /// When the last of them was, if they are more than a moment.
    pub(super) fn until(&self) -> Option<String> {
        self.span.as_ref()?.until()
    }

    fn new(actions: &[&Action], style: &Style, budget: &Budget) -> Self {
        let ids = || actions.iter().filter_map(|action| action.record.event_id());
        let mut seen = HashSet::new();
        let sources = actions.iter().filter_map(|action| action.record.source_ip());
        Self {
            sources: List::new(sources.filter(|source| seen.insert(*source)).map(Clean::source)),
            count: actions.len(),
            span: Span::of(actions.iter().copied(), style),
            event_ids: ids().take(budget.event_ids).map(Clean::name).collect(),
            event_ids_left_out: ids().count().saturating_sub(budget.event_ids),
        }
    }
}

impl Line {
    fn new(group: &[&Action], style: &Style, budget: &Budget) -> Self {
        let record = &group[0].record;
        Self {
            action: record.event_name().map(Clean::name),
            service: record.service().map(Clean::name),
            category: group[0].category,
            outcome: record.outcome(),
            error_code: record.error_code().map(Clean::code),
            region: record.region().map(Clean::name),
            resources: resources(group[0], style),
            details: details(group[0], style),
            fold: Fold::new(group, style, budget),
        }
    }
}

impl LeftOut {
    /// Counts actions by their kinds, the gravest first as they come; `None` if there are none.
    pub(super) fn new<'a>(
        actions: impl IntoIterator<Item = &'a Action>,
        style: &Style,
        budget: &Budget,
    ) -> Option<Self> {
        let actions: Vec<&Action> = actions.into_iter().collect();
        let mut kinds: Vec<(KindOf<'_>, &Record, usize)> = Vec::new();
        let mut places: HashMap<KindOf<'_>, usize> = HashMap::new();
        for action in &actions {
            let kind = kind_of(&action.record);
            let place = *places.entry(kind).or_insert_with(|| {
                kinds.push((kind, &action.record, 0));
                kinds.len() - 1
            });
            kinds[place].2 += 1;
        }
        let others = kinds.split_off(budget.kinds.min(kinds.len()));
        let named = |((_, _, outcome), record, count): (KindOf<'_>, &Record, usize)| ActionKind {
            service: record.service().map(Clean::name),
            action: record.event_name().map(Clean::name),
            outcome,
            count,
        };
        (!actions.is_empty()).then(|| Self {
            fold: Fold::new(&actions, style, budget),
            kinds: kinds.into_iter().map(named).collect(),
            other_kinds: others.len(),
            other_actions: others.iter().map(|(_, _, count)| count).sum(),
        })
    }
}

impl Reads {
    pub(super) fn new(reads: &[&Action], style: &Style, budget: &Budget) -> Option<Self> {
        let by_service = by_count(reads.iter().copied(), budget);
        let not_succeeded = reads.iter().filter(|action| action.record.outcome() != Outcome::Succeeded).count();
        (!reads.is_empty()).then(|| Self { fold: Fold::new(reads, style, budget), by_service, not_succeeded })
    }
}
