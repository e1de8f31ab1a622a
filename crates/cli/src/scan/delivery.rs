//! What would have come to the function together, and whose it is.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use root_usage::alert::{Alert, Attribution, Origin, Severity, Unreadable};
use root_usage::incident::{News, Wait, Whose, together};
use root_usage::ledger;

use super::found::Found;

/// The delivery that a match came in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// This raw Lambda event of a file.
    Event(Arc<str>, usize),
    /// What happened in an account and Region within a window of this many [`WINDOW_SECONDS`].
    Window(Option<i64>, Box<str>, Box<str>),
}

/// CloudTrail hands records to CloudWatch Logs about every five minutes, each Region's to a log stream of its own, and
/// the function gets them so.
///
/// Source: CloudTrail User Guide, "Monitoring CloudTrail Log Files with Amazon CloudWatch Logs": about 5 minutes.
pub const WINDOW_SECONDS: i64 = 300;

/// A raw Lambda event.
pub struct Batch {
    pub source: Source,
    /// What it is known by.
    pub name: ledger::Delivery,
    pub origin: Origin,
    pub unreadable: Vec<Unreadable>,
    /// When its newest log event was taken in.
    pub newest: Option<Timestamp>,
}

/// What came together.
pub struct Arrival {
    pub name: ledger::Delivery,
    pub origin: Origin,
    pub unreadable: Vec<Unreadable>,
    /// When it came, as far as that can be told.
    pub time: Option<Timestamp>,
    /// Indices of what it brought.
    pub found: Vec<usize>,
    /// The same by whose it is, the gravest first.
    pub parts: Vec<Part>,
}

/// What one delivery brought of one identity.
pub struct Part {
    pub whose: Whose,
    pub found: Vec<usize>,
    pub news: Vec<News>,
    pub wait: Wait,
    severity: Severity,
}

/// The deliveries in the order in which they came. Each match learns whose it is.
pub fn deliveries(batches: Vec<Batch>, found: &mut [Found], attribution: &Attribution) -> Vec<Arrival> {
    let mut all: BTreeMap<Source, Arrival> = BTreeMap::new();
    for Batch { source, name, origin, unreadable, newest } in batches {
        all.insert(source, Arrival { name, origin, unreadable, time: newest, found: Vec::new(), parts: Vec::new() });
    }
    for (index, found) in found.iter().enumerate() {
        let delivery = all.entry(found.source.clone()).or_insert_with(|| Arrival::reckoned(found));
        if let Source::Window(..) = found.source {
            delivery.time = delivery.time.max(found.time);
        }
        delivery.found.push(index);
    }
    let mut all: Vec<Arrival> = all.into_values().collect();
    // What says no time comes first, as in `run`.
    all.sort_by_key(|delivery| delivery.time);
    all.iter_mut().for_each(|delivery| delivery.divide(found, attribution));
    all
}

impl Arrival {
    /// One of records whose batch is not known: it comes when the newest of them happens.
    fn reckoned(found: &Found) -> Self {
        let owner = found.account.as_deref().unwrap_or_default().to_owned();
        Self {
            name: ledger::Delivery::of(&format!("{:?}", found.source)),
            origin: Origin { owner, ..Origin::default() },
            unreadable: Vec::new(),
            time: None,
            found: Vec::new(),
            parts: Vec::new(),
        }
    }

    /// Everything in it, as one alert.
    pub fn alert(&self, found: &[Found], attribution: &Attribution) -> Option<Alert> {
        let matches = self.found.iter().map(|index| (*index, found[*index].matched.clone())).collect();
        Alert::attributed(self.origin.clone(), matches, self.unreadable.clone(), attribution)
    }

    /// Takes it apart by whose it is: who is alone with failed sign-ins in a delivery is nobody.
    fn divide(&mut self, found: &mut [Found], attribution: &Attribution) {
        let alert = self.alert(found, attribution);
        let mut whose: HashMap<[u8; 32], Whose> = HashMap::new();
        for actor in alert.iter().flat_map(|alert| &alert.actors) {
            let theirs = Whose::of(actor);
            whose.extend(actor.actions.iter().map(|action| (*action.record.hash(), theirs.clone())));
        }
        let mut parts: BTreeMap<Whose, Part> = BTreeMap::new();
        for index in &self.found {
            let found = &mut found[*index];
            let Some(theirs) = whose.get(found.matched.record.hash()) else { continue };
            found.whose = Some(theirs.clone());
            let part = parts.entry(theirs.clone()).or_insert_with(|| Part::new(theirs.clone(), found.severity));
            part.found.push(*index);
            part.severity = part.severity.min(found.severity);
            part.wait = part.wait.min(found.wait);
            part.news.append(&mut found.news);
        }
        self.parts = parts.into_values().collect();
        if !self.unreadable.is_empty() {
            self.parts.push(Part { wait: Wait::Update, ..Part::new(Whose::Unreadable, Severity::High) });
        }
        for part in &mut self.parts {
            part.news = together(std::mem::take(&mut part.news));
        }
        self.parts.sort_by_key(|part| part.severity);
    }
}

impl Part {
    fn new(whose: Whose, severity: Severity) -> Self {
        Self { whose, found: Vec::new(), news: Vec::new(), wait: Wait::Reads, severity }
    }
}
