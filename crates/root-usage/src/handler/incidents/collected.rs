//! Parts that are told together, and what is known of them.

use std::collections::{BTreeSet, HashMap, HashSet};

use filter_pattern::json::Json;

use super::super::memory::Key;
use super::super::reading;
use crate::alert::{Access, Action, Alert, Identity, Match, Origin, Unreadable};
use crate::ledger::{Part, PartKey};
use crate::record::Record;
use crate::report::Report;

/// The most bytes of records told in one mail, as of one delivery.
pub(super) const TOGETHER_BYTES: usize = 24 << 20;

/// The most keys of which it is asked who got them.
const KEYS_MAX: usize = 25;

/// Parts that were read again, to be told in one mail.
#[derive(Default)]
pub(super) struct Collected {
    pub(super) parts: Vec<PartKey>,
    origin: Origin,
    matches: Vec<Match>,
    unreadable: Vec<Unreadable>,
    pub(super) beside: Vec<Record>,
    pub(super) bytes: usize,
    /// Some of it may have been told before.
    again: bool,
    /// Two parts may hold one record.
    seen: HashSet<Key>,
}

impl Collected {
    /// A part that was claimed, and what it tells, if all of it wasn't told since.
    pub(super) fn add_part(&mut self, part: &Part, found: Option<Alert>) {
        self.parts.push(part.key);
        // Whoever had it before may have told it, and not said so; and so may whoever kept it and did not put it to wait.
        self.again |= part.tries > 1 || part.incident.is_none();
        found.into_iter().for_each(|found| self.add(found));
    }

    pub(super) fn add(&mut self, part: Alert) {
        self.origin = part.origin;
        self.again |= part.may_be_repeated;
        self.unreadable.extend(part.unreadable);
        for actor in part.actors {
            self.beside.extend(actor.root_call);
            for Action { record, rules, received, .. } in actor.actions {
                if reading::key(&record).is_some_and(|key| !self.seen.insert(key)) {
                    continue;
                }
                self.bytes += record.memory();
                self.matches.push(Match { record, rules, received });
            }
        }
    }

    /// Its parts, and what they tell; nothing if it was all told before.
    pub(super) fn done(self) -> (Vec<PartKey>, Option<Alert>) {
        let alert = Alert::new(self.origin, self.matches, self.unreadable, &self.beside);
        (self.parts, alert.map(|alert| Alert { may_be_repeated: self.again, ..alert }))
    }
}

/// Keys of root's that may be those of a central root session, where no record here says who got them.
pub(super) fn unexplained<'a>(parts: impl IntoIterator<Item = &'a Alert>) -> Vec<String> {
    let actors = parts.into_iter().flat_map(|part| &part.actors).filter(|actor| {
        let temporary = matches!(actor.access, Access::CentralRootSession | Access::TemporaryKey { mfa: false });
        actor.identity == Identity::Root && actor.root_call.is_none() && temporary
    });
    let keys = actors.flat_map(|actor| &actor.actions).filter_map(|action| action.record.access_key_id());
    let keys: BTreeSet<&str> = keys.filter(|key| key.len() <= reading::KEY_MAX).collect();
    keys.into_iter().take(KEYS_MAX).map(str::to_owned).collect()
}

/// The record that this text is.
pub(super) fn record(text: &str) -> Option<Record> {
    Json::parse(text).ok().map(|json| Record::new(text, json))
}

/// A part, given who got the keys that it was done with.
pub(super) fn with_calls(part: Alert, calls: &[Record]) -> Alert {
    if unexplained([&part]).is_empty() || calls.is_empty() {
        return part;
    }
    let mut collected = Collected { beside: calls.to_vec(), ..Collected::default() };
    collected.add(part.clone());
    collected.done().1.unwrap_or(part)
}

pub(super) fn is_told<T>(record: &Record, told: &HashMap<Key, T>) -> bool {
    reading::key(record).is_some_and(|key| told.contains_key(&key))
}

/// What of a part is not told yet. The rest are duplicates, and reported if they were told lately.
pub(super) fn new_in(part: Alert, told: &HashMap<Key, bool>, report: &mut Report) -> Option<Alert> {
    let before = part.matched();
    let again = keys(&part).iter().filter(|key| told.get(*key) == Some(&true)).count();
    let new = part.without(|record| is_told(record, told));
    let duplicate = before - new.as_ref().map_or(0, Alert::matched);
    report.matched -= duplicate;
    report.duplicate += duplicate;
    report.reported += again;
    new
}

/// That what was stored can't be told, so that it isn't forgotten in silence.
pub(super) fn gone(part: &Part, what: &str) -> Option<Alert> {
    let reason = format!("the delivery that the ledger kept {what}");
    let hash = part.key.0;
    let unreadable = Unreadable { id: String::new(), time: None, bytes: 0, reason, hash, rules: Vec::new() };
    Alert::new(Origin::default(), Vec::new(), vec![unreadable], &[])
}

/// What the records of a part are known by.
pub(super) fn keys(part: &Alert) -> Vec<Key> {
    let records = part.actors.iter().flat_map(|actor| &actor.actions);
    records.filter_map(|action| reading::key(&action.record)).collect()
}
