//! What the event history says of an actor, ready to be put into words.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;

use super::lines::{LeftOut, Line, Reads, by_count, fold_lines};
use super::list::{LIST_MAX, List};
use super::moment::Moment;
use super::{Budget, Clean, Style};
use crate::alert::{Action, Actor, Category};
use crate::history::{Activity, Earlier, Related, Why};
use crate::record::{Outcome, Record};

/// What the mail says about the event history.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case", tag = "status")]
pub(super) enum History {
    LookedUp(Box<Past>),
    OtherAccount { command: Option<String> },
    UnknownPartition,
    LeftOut,
}

/// What an actor did before.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Past {
    pub minutes: u32,
    pub looked_in: List,
    #[serde(rename = "actionCount")]
    pub count: usize,
    pub by_service: Vec<(Clean, usize)>,
    pub sign_ins: Vec<SignIn>,
    /// It is certain that there was none besides what the mail tells.
    #[serde(skip)]
    pub no_sign_in: bool,
    #[serde(rename = "actions")]
    pub lines: Vec<Line>,
    #[serde(rename = "actionsLeftOut")]
    pub lines_left_out: Option<LeftOut>,
    pub reads: Option<Reads>,
    /// Source addresses that the alert does not name.
    pub other_sources: List,
    pub regions: List,
    pub earlier: Before,
    pub gaps: Vec<GapLine>,
}

/// A sign-in.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SignIn {
    pub time: Option<Moment>,
    pub region: Option<Clean>,
    pub source: Option<Clean>,
    pub outcome: Outcome,
    pub mfa: Option<bool>,
}

/// When root acted before.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case", tag = "status")]
pub(super) enum Before {
    NotAsked,
    Unknown,
    None,
    At {
        time: Moment,
        region: Clean,
        #[serde(rename = "minutesBefore")]
        minutes: i64,
    },
}

/// Something that is missing.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GapLine {
    pub why: Why,
    pub regions: List,
    pub seen: usize,
}

impl History {
    pub(super) fn new(related: &Related, actor: &Actor, style: &Style, budget: &Budget) -> Self {
        match related {
            Related::Activity(activity) => Self::LookedUp(Box::new(Past::new(activity, actor, style, budget))),
            Related::OtherAccount => {
                let record = &actor.gravest().record;
                let region = record.region().filter(|_| record.is_root());
                Self::OtherAccount { command: region.and_then(super::link::root_command) }
            }
            Related::UnknownPartition => Self::UnknownPartition,
            Related::LeftOut => Self::LeftOut,
        }
    }
}

impl Past {
    fn new(activity: &Activity, actor: &Actor, style: &Style, budget: &Budget) -> Self {
        let (sign_ins, others): (Vec<&Action>, Vec<&Action>) =
            activity.actions.iter().partition(|action| action.record.is_sign_in());
        let quiet =
            |action: &&Action| action.category == Category::Read && action.record.outcome() == Outcome::Succeeded;
        let (reads, serious): (Vec<&Action>, Vec<&Action>) = others.into_iter().partition(quiet);
        let (lines, lines_left_out) = fold_lines(&serious, style, budget);
        let told = actor.each(Record::source_ip);
        let each = |of: fn(&Record) -> Option<&str>| -> BTreeSet<&str> {
            activity.actions.iter().filter_map(|action| of(&action.record)).collect()
        };
        let other_sources = each(Record::source_ip).into_iter().filter(|source| !told.contains(source));
        let began = actor.span().map(|(began, _)| began);
        let mut sign_ins: Vec<SignIn> = sign_ins.iter().map(|action| SignIn::new(&action.record, style)).collect();
        // The newest, in order of time.
        sign_ins.sort_by_key(|sign_in| sign_in.time.as_ref().map(Moment::at));
        sign_ins.drain(..sign_ins.len().saturating_sub(LIST_MAX));
        Self {
            minutes: activity.minutes,
            looked_in: List::new(activity.regions.iter().map(|region| Clean::name(region))),
            count: activity.actions.len(),
            by_service: by_count(activity.actions.iter(), budget),
            no_sign_in: sign_ins.is_empty() && activity.earlier != Earlier::NotAsked && activity.gaps.is_empty(),
            sign_ins,
            lines,
            lines_left_out,
            reads: Reads::new(&reads, style, budget),
            other_sources: List::new(other_sources.map(Clean::source)),
            regions: List::new(each(Record::region).into_iter().map(Clean::name)),
            earlier: Before::new(&activity.earlier, began, style),
            gaps: gaps(activity),
        }
    }
}

impl SignIn {
    fn new(record: &Record, style: &Style) -> Self {
        Self {
            time: record.event_time().map(|time| Moment::new(time, style)),
            region: record.region().map(Clean::name),
            source: record.source_ip().map(Clean::source),
            outcome: record.outcome(),
            mfa: record.mfa(),
        }
    }
}

impl Before {
    fn new(earlier: &Earlier, began: Option<Timestamp>, style: &Style) -> Self {
        match earlier {
            Earlier::NotAsked => Self::NotAsked,
            Earlier::Unknown => Self::Unknown,
            Earlier::None => Self::None,
            Earlier::At(time, region) => Self::At {
                time: Moment::new(*time, style),
                region: Clean::name(region),
                minutes: began.map_or(0, |began| (began.as_second() - time.as_second()) / 60),
            },
        }
    }
}

/// What is missing, one line for each reason.
fn gaps(activity: &Activity) -> Vec<GapLine> {
    let mut by_reason: BTreeMap<Why, (BTreeSet<&str>, usize)> = BTreeMap::new();
    for gap in &activity.gaps {
        let (regions, seen) = by_reason.entry(clean(&gap.why)).or_default();
        regions.insert(&gap.region);
        *seen += gap.seen;
    }
    by_reason
        .into_iter()
        .take(LIST_MAX)
        .map(|(why, (regions, seen))| GapLine { why, regions: List::new(regions.into_iter().map(Clean::name)), seen })
        .collect()
}

/// The same, safe to print.
fn clean(why: &Why) -> Why {
    match why {
        Why::Refused { code } => Why::Refused { code: Clean::code(code).to_string() },
        why => why.clone(),
    }
}
