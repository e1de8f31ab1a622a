//! A ledger in memory: for the command, which is one instance, and for tests, which are several.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::{Current, Kept, Ledger, Owner, Part, PartKey, RecordKey, STORY_MAX, SoFar, Spent, Told};
use crate::incident::{Budget, IncidentId, Topic, Whose};

/// The most topics that one incident remembers. Beyond them all is new, and the budgets limit its mails.
const TOPICS_MAX: usize = 4096;

/// A ledger in memory.
#[derive(Debug, Default)]
pub struct InMemory(Mutex<Items>);

#[derive(Debug, Default)]
struct Items {
    parts: BTreeMap<PartKey, Part>,
    events: HashMap<PartKey, String>,
    current: BTreeMap<Whose, Current>,
    news: HashMap<IncidentId, HashMap<Topic, PartKey>>,
    budgets: HashMap<(Option<IncidentId>, Topic), Vec<Slot>>,
    told: HashMap<PartKey, Told>,
    /// In the order in which they were told.
    order: Vec<PartKey>,
    records: HashMap<RecordKey, Timestamp>,
    numbers: HashMap<IncidentId, u32>,
    calls: HashMap<String, String>,
}

/// A part that took one of a budget's slots, and when.
type Slot = (PartKey, Timestamp);

impl InMemory {
    fn items(&self) -> MutexGuard<'_, Items> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Items {
    fn is_as_read(&self, current: &Current) -> bool {
        self.current.get(&current.whose) == Some(current)
    }

    /// What was told of an incident, in that order.
    fn of(&self, incident: IncidentId) -> impl DoubleEndedIterator<Item = &Told> + Clone {
        let told = self.order.iter().filter_map(|key| self.told.get(key));
        told.filter(move |told| told.incident == Some(incident))
    }
}

impl Ledger for InMemory {
    type Error = Infallible;

    async fn is_told(&self, part: PartKey) -> Result<bool, Infallible> {
        Ok(self.items().told.contains_key(&part))
    }

    async fn told_of(&self, records: &[RecordKey]) -> Result<HashMap<RecordKey, Timestamp>, Infallible> {
        let items = self.items();
        Ok(records.iter().filter_map(|key| Some((*key, *items.records.get(key)?))).collect())
    }

    async fn event(&self, key: PartKey) -> Result<Option<String>, Infallible> {
        Ok(self.items().events.get(&key).cloned())
    }

    async fn keep(&self, part: &Part, event: &str) -> Result<Kept, Infallible> {
        let mut items = self.items();
        if items.told.contains_key(&part.key) {
            return Ok(Kept::Told);
        }
        Ok(match items.parts.get(&part.key) {
            Some(before) if before.owner != part.owner => Kept::Before(before.clone()),
            _ => {
                items.parts.insert(part.key, part.clone());
                items.events.insert(part.key, event.to_owned());
                Kept::New
            }
        })
    }

    async fn claim(&self, part: &Part, owner: Owner, lease: Timestamp) -> Result<Option<Part>, Infallible> {
        let mut items = self.items();
        let Some(found) = items.parts.get_mut(&part.key) else { return Ok(None) };
        if found == part {
            *found = Part { owner, lease, tries: part.tries + 1, ..part.clone() };
        }
        Ok((found.owner == owner && found.lease == lease).then(|| found.clone()))
    }

    async fn wait(&self, key: PartKey, owner: Owner, incident: IncidentId, due: Timestamp) -> Result<bool, Infallible> {
        let mut items = self.items();
        Ok(items.parts.get_mut(&key).filter(|part| part.owner == owner).is_some_and(|part| {
            part.incident = Some(incident);
            part.due = due;
            part.lease = Timestamp::UNIX_EPOCH;
            true
        }))
    }

    async fn tell(&self, parts: &[PartKey], told: &Told, now: Timestamp) -> Result<(), Infallible> {
        let mut items = self.items();
        items.records.extend(told.records.iter().map(|record| (*record, now)));
        // What they have in common is kept once.
        let mut told = Some(told.clone());
        for key in parts {
            if items.told.insert(*key, told.take().unwrap_or_default()).is_none() {
                items.order.push(*key);
            }
        }
        Ok(())
    }

    async fn forget(&self, parts: &[PartKey], owner: Owner) -> Result<(), Infallible> {
        let mut items = self.items();
        for key in parts {
            if items.parts.get(key).is_some_and(|part| part.owner == owner) {
                items.parts.remove(key);
                items.events.remove(key);
            }
        }
        Ok(())
    }

    async fn parts(&self) -> Result<Vec<Part>, Infallible> {
        Ok(self.items().parts.values().cloned().collect())
    }

    async fn current(&self, whose: &Whose) -> Result<Option<Current>, Infallible> {
        Ok(self.items().current.get(whose).cloned())
    }

    async fn all_current(&self) -> Result<Vec<Current>, Infallible> {
        Ok(self.items().current.values().cloned().collect())
    }

    async fn open(&self, new: &Current, old: Option<&Current>, closing: Option<&Part>) -> Result<bool, Infallible> {
        let mut items = self.items();
        let found = items.current.get(&new.whose);
        if found.is_some_and(|found| found.first == new.first) {
            return Ok(true);
        }
        if found != old {
            return Ok(false);
        }
        items.current.insert(new.whose.clone(), new.clone());
        items.parts.extend(closing.map(|part| (part.key, part.clone())));
        Ok(true)
    }

    async fn touch(&self, whose: &Whose, id: IncidentId, now: Timestamp) -> Result<bool, Infallible> {
        let mut items = self.items();
        Ok(items.current.get_mut(whose).filter(|current| current.id == id).is_some_and(|current| {
            current.last = current.last.max(now);
            true
        }))
    }

    async fn close(&self, current: &Current, closing: &Part) -> Result<bool, Infallible> {
        let mut items = self.items();
        if !items.is_as_read(current) {
            return Ok(items.parts.get(&closing.key).is_some_and(|part| part.owner == closing.owner));
        }
        items.current.remove(&current.whose);
        items.parts.insert(closing.key, closing.clone());
        Ok(true)
    }

    async fn is_new(&self, incident: IncidentId, topics: &[Topic], part: PartKey) -> Result<Vec<bool>, Infallible> {
        let mut items = self.items();
        let known = items.news.entry(incident).or_default();
        let mut is_new = |topic: &Topic| {
            let full = known.len() >= TOPICS_MAX && !known.contains_key(topic);
            full || *known.entry(*topic).or_insert(part) == part
        };
        Ok(topics.iter().map(&mut is_new).collect())
    }

    async fn spend(
        &self,
        incident: Option<IncidentId>,
        topic: Topic,
        budget: Budget,
        part: PartKey,
        now: Timestamp,
    ) -> Result<Spent, Infallible> {
        let mut items = self.items();
        let slots = items.budgets.entry((incident, topic)).or_default();
        let free = |since: Timestamp| budget.pause.map(|pause| since.saturating_add(pause).unwrap_or(Timestamp::MAX));
        slots.retain(|(_, since)| free(*since).is_none_or(|free| free > now));
        if slots.iter().any(|(holder, _)| *holder == part) {
            return Ok(Spent::Taken);
        }
        if slots.len() < budget.times.into() {
            slots.push((part, now));
            return Ok(Spent::Taken);
        }
        let soonest = slots.iter().filter_map(|(_, since)| free(*since)).min();
        Ok(soonest.map_or(Spent::Never, Spent::From))
    }

    async fn number(&self, incident: IncidentId) -> Result<u32, Infallible> {
        let mut items = self.items();
        let number = items.numbers.entry(incident).or_insert(1);
        *number += 1;
        Ok(*number)
    }

    async fn story(&self, incident: IncidentId) -> Result<Vec<Told>, Infallible> {
        let items = self.items();
        let mut newest: Vec<Told> = items.of(incident).rev().take(STORY_MAX).cloned().collect();
        newest.reverse();
        Ok(newest)
    }

    async fn so_far(&self, incident: IncidentId) -> Result<SoFar, Infallible> {
        let items = self.items();
        let lines = items.of(incident).map(|told| told.digest.len());
        Ok(SoFar { mails: lines.clone().count(), lines: lines.sum() })
    }

    async fn remember_calls(&self, calls: &[(String, String)]) -> Result<(), Infallible> {
        self.items().calls.extend(calls.iter().cloned());
        Ok(())
    }

    async fn calls(&self, keys: &[String]) -> Result<HashMap<String, String>, Infallible> {
        let items = self.items();
        let found = keys.iter().filter_map(|key| Some((key.clone(), items.calls.get(key)?.clone())));
        Ok(found.collect())
    }
}
