//! When the mails of incidents would have gone out: the function's policy, played over deliveries.
//!
//! The handler itself reads raw events and writes each mail, a hundred times as much work as to say when one goes out. So
//! this keeps its own queue of what is due; what is new, what waits, for how long, and the budgets are the handler's.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};

use jiff::Timestamp;
use root_usage::incident::{IDENTITIES_MAX, IncidentId, Kind, Pace, Whose};
use root_usage::ledger::{InMemory, PartKey, Spent, at_once, remember, spend_minute};

use super::delivery::Arrival;

/// A part of a delivery: the index of each.
pub type Place = (usize, usize);

/// A mail that would have gone out.
pub struct Mail {
    /// When; `None` if no delivery says a time.
    pub time: Option<Timestamp>,
    /// `None` for a delivery of more identities than have an incident each.
    pub chapter: Option<Chapter>,
    /// What it tells.
    pub parts: Vec<Place>,
}

/// Which mail of which incident.
pub struct Chapter {
    /// The index of the incident.
    pub incident: usize,
    pub kind: Kind,
    pub number: u32,
    /// The next incident of the same identity has begun.
    pub goes_on: bool,
}

/// An incident, and what of it is to be told.
pub struct Incident {
    pub id: IncidentId,
    pub whose: Whose,
    first: Place,
    /// When it began.
    pub opened: Timestamp,
    last: Timestamp,
    waiting: Vec<Place>,
    /// When the first of what waits is due.
    due: Option<Timestamp>,
    /// It is over, and the mail that says so is due.
    closes: bool,
    mails: u32,
}

/// Why something is looked at again.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Why {
    Due,
    Quiet,
}

/// What came of the deliveries.
#[derive(Default)]
pub struct Told {
    pub mails: Vec<Mail>,
    pub incidents: Vec<Incident>,
    /// The incident of each part that has one.
    pub by_part: HashMap<Place, usize>,
}

struct Teller<'d> {
    deliveries: &'d [Arrival],
    ledger: InMemory,
    pace: Pace,
    /// The open incident of each identity.
    current: HashMap<Whose, usize>,
    queue: BinaryHeap<Reverse<(Timestamp, Why, usize)>>,
    timeless: bool,
    told: Told,
}

/// Plays deliveries that are in order of time.
pub async fn tell(deliveries: &[Arrival], pace: Pace) -> Told {
    let first = deliveries.iter().find_map(|delivery| delivery.time);
    let begin = first.unwrap_or(Timestamp::UNIX_EPOCH);
    let mut teller = Teller {
        deliveries,
        ledger: InMemory::default(),
        pace,
        current: HashMap::new(),
        queue: BinaryHeap::new(),
        timeless: first.is_none(),
        told: Told::default(),
    };
    for (index, delivery) in deliveries.iter().enumerate() {
        let now = delivery.time.unwrap_or(begin);
        teller.pass(now).await;
        teller.arrive(index, now).await;
        teller.tick(now).await;
    }
    teller.pass(Timestamp::MAX).await;
    teller.told
}

impl Teller<'_> {
    /// Lets time pass until then, as far as anything is due: the function ticks each minute.
    async fn pass(&mut self, until: Timestamp) {
        while let Some(Reverse((due, ..))) = self.queue.peek() {
            let seconds = due.as_second() + i64::from(due.subsec_nanosecond() > 0);
            let minute = seconds.saturating_add(59).div_euclid(60) * 60;
            let tick = Timestamp::from_second(minute).unwrap_or(Timestamp::MAX);
            if tick > until {
                break;
            }
            self.tick(tick).await;
        }
    }

    async fn arrive(&mut self, index: usize, now: Timestamp) {
        let deliveries = self.deliveries;
        let parts = &deliveries[index].parts;
        let identities = parts.iter().filter(|part| part.whose != Whose::Unreadable).count();
        if identities > IDENTITIES_MAX {
            let parts = (0..parts.len()).map(|part| (index, part)).collect();
            self.told.mails.push(Mail { time: self.time(now), chapter: None, parts });
            return;
        }
        for (place, part) in parts.iter().enumerate() {
            let key = deliveries[index].name.part(0, &part.whose);
            let place = (index, place);
            let (which, is_first) = self.incident(&part.whose, place, key, now);
            self.told.by_part.insert(place, which);
            let id = self.told.incidents[which].id;
            let Ok((spent, _)) = at_once(&self.ledger, id, is_first, key, &part.news, now).await;
            let due = match spent {
                Spent::Taken => {
                    if is_first {
                        let Ok(_) = remember(&self.ledger, id, key, &part.news, now).await;
                    }
                    self.mail(which, if is_first { Kind::First } else { Kind::AtOnce }, Some(place), now);
                    continue;
                }
                Spent::From(due) => due,
                Spent::Never => now.saturating_add(part.wait.at(&self.pace)).unwrap_or(Timestamp::MAX),
            };
            let incident = &mut self.told.incidents[which];
            incident.waiting.push(place);
            incident.due = Some(incident.due.map_or(due, |earlier| earlier.min(due)));
            self.queue.push(Reverse((due, Why::Due, which)));
        }
    }

    /// The incident that a part belongs to, and whether it opens it.
    fn incident(&mut self, whose: &Whose, first: Place, key: PartKey, now: Timestamp) -> (usize, bool) {
        if let Some(current) = self.current.get(whose) {
            let incident = &mut self.told.incidents[*current];
            if !self.pace.is_over(incident.opened, incident.last, now) {
                incident.last = incident.last.max(now);
                return (*current, false);
            }
            incident.closes = true;
            self.queue.push(Reverse((now, Why::Due, *current)));
        }
        let new = self.told.incidents.len();
        self.told.incidents.push(Incident {
            id: IncidentId::of(whose, key),
            whose: whose.clone(),
            first,
            opened: now,
            last: now,
            waiting: Vec::new(),
            due: None,
            closes: false,
            mails: 0,
        });
        self.current.insert(whose.clone(), new);
        self.queue.push(Reverse((self.quiet(now), Why::Quiet, new)));
        (new, true)
    }

    /// Tells what is due, and closes what is quiet.
    async fn tick(&mut self, now: Timestamp) {
        let mut due: BTreeMap<IncidentId, usize> = BTreeMap::new();
        while let Some(Reverse((time, ..))) = self.queue.peek()
            && *time <= now
            && let Some(Reverse((_, why, which))) = self.queue.pop()
        {
            let incident = &mut self.told.incidents[which];
            let is_due = incident.due.is_none_or(|due| due <= now);
            if why == Why::Quiet && self.current.get(&incident.whose) == Some(&which) {
                let quiet = incident.last.saturating_add(self.pace.quiet).unwrap_or(Timestamp::MAX);
                match incident.due {
                    _ if quiet > now => self.queue.push(Reverse((quiet, Why::Quiet, which))),
                    // It is told first, and then closed.
                    Some(later) if !is_due => self.queue.push(Reverse((later, Why::Quiet, which))),
                    _ => {
                        self.current.remove(&incident.whose);
                        incident.closes = true;
                    }
                }
            }
            if incident.closes || (incident.due.is_some() && is_due) {
                due.insert(incident.id, which);
            }
        }
        for which in due.into_values() {
            let incident = &self.told.incidents[which];
            let kind = if incident.closes { Kind::Closing } else { Kind::Update };
            if kind == Kind::Update
                && let Some((delivery, part)) = incident.waiting.first().copied()
            {
                let Arrival { name, parts, .. } = &self.deliveries[delivery];
                let key = name.part(0, &parts[part].whose);
                let Ok(()) = spend_minute(&self.ledger, incident.id, key, now).await;
            }
            self.mail(which, kind, None, now);
        }
    }

    /// Tells what waits of an incident, after the part that is why. What was told in one mail alone is not closed by another.
    fn mail(&mut self, which: usize, kind: Kind, why: Option<Place>, now: Timestamp) {
        let incident = &mut self.told.incidents[which];
        let mut parts: Vec<Place> = why.into_iter().collect();
        if kind != Kind::First {
            parts.append(&mut incident.waiting);
            incident.due = None;
        }
        if kind == Kind::Closing {
            incident.closes = false;
            if incident.mails <= 1 && parts.is_empty() {
                return;
            }
        }
        incident.mails += 1;
        let current = self.current.get(&incident.whose);
        // Of what waited, the part that opened the incident makes the first mail.
        let opens = kind != Kind::Closing && current == Some(&which) && parts.contains(&incident.first);
        let kind = if opens { Kind::First } else { kind };
        let chapter = Chapter { incident: which, kind, number: incident.mails, goes_on: current.is_some() };
        self.told.mails.push(Mail { time: self.time(now), chapter: Some(chapter), parts });
    }

    fn quiet(&self, from: Timestamp) -> Timestamp {
        from.saturating_add(self.pace.quiet).unwrap_or(Timestamp::MAX)
    }

    fn time(&self, now: Timestamp) -> Option<Timestamp> {
        (!self.timeless).then_some(now)
    }
}
