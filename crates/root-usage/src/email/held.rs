//! What was held back, ready to be put into words.

use std::cmp::Reverse;
use std::fmt::Display;

use serde::Serialize;

use super::account::Account;
use super::list::LIST_MAX;
use super::moment::{Moment, Span};
use super::{Clean, Style};
use crate::alert::{Counts, Held, HeldKind, Tally};
use crate::directory::Names;

/// What earlier mails would have told.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct HeldBack {
    /// Records of alerts that are LOW in all they tell.
    pub low: usize,
    pub password_recoveries: usize,
    pub unreadable: usize,
    #[serde(rename = "damagedBatches")]
    pub damaged: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tallies: Vec<HeldTally>,
}

/// What was held back of one kind.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct HeldTally {
    pub kind: &'static str,
    pub count: usize,
    pub accounts: Counted<Account>,
    pub sources: Counted<Clean>,
    pub span: Option<Span>,
}

/// How often each came, the most frequent first, and how many came that are not shown.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Counted<T> {
    pub each: Vec<(T, usize)>,
    pub others: usize,
}

impl<T: Display> Counted<T> {
    fn new(counts: &Counts, clean: impl Fn(&str) -> T) -> Self {
        let mut each: Vec<(&String, usize)> = counts.each.iter().map(|(name, count)| (name, *count)).collect();
        each.sort_by_key(|(name, count)| (Reverse(*count), *name));
        let rest = each.split_off(each.len().min(2 * LIST_MAX));
        Self {
            each: each.into_iter().map(|(name, count)| (clean(name), count)).collect(),
            others: counts.others + rest.iter().map(|(_, count)| count).sum::<usize>(),
        }
    }

    /// In one line, for a language with a comma of its own.
    pub(super) fn joined(&self, comma: &str) -> String {
        let more = (self.others > 0).then(|| format!("+{}", self.others));
        let each = self.each.iter().map(|(name, count)| format!("{name} {count}"));
        each.chain(more).collect::<Vec<_>>().join(comma)
    }
}

impl HeldBack {
    pub(super) fn new(held: &Held, names: &Names, style: &Style) -> Self {
        let count = |kind: HeldKind| held.records.get(&kind).map_or(0, |tally| tally.count);
        Self {
            low: count(HeldKind::SignIns) + count(HeldKind::Others),
            password_recoveries: count(HeldKind::Recoveries),
            unreadable: held.unreadable,
            damaged: held.damaged,
            tallies: held.records.iter().map(|(kind, tally)| HeldTally::new(*kind, tally, names, style)).collect(),
        }
    }

    pub(super) fn is_nothing(&self) -> bool {
        self.tallies.is_empty() && self.unreadable == 0 && self.damaged == 0
    }
}

impl HeldTally {
    fn new(kind: HeldKind, tally: &Tally, names: &Names, style: &Style) -> Self {
        // A network is no address: `2001:db8::/64`.
        let source = |source: &str| match source.parse::<ipnet::IpNet>() {
            Ok(network) => Clean::network(&network),
            Err(_) => Clean::source(source),
        };
        Self {
            kind: match kind {
                HeldKind::SignIns => "failed-root-sign-ins",
                HeldKind::Recoveries => "password-recovery-requests",
                HeldKind::Others => "low",
            },
            count: tally.count,
            accounts: Counted::new(&tally.accounts, |id| Account::new(id, names)),
            sources: Counted::new(&tally.sources, source),
            span: tally.span.map(|(from, to)| Span { from: Moment::new(from, style), to: Moment::new(to, style) }),
        }
    }
}
