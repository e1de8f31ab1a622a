//! What an invocation does with a ledger, in an order that neither loses nor repeats.
//!
//! The order of the writes is what keeps a record from being lost and from being told twice: a part is kept before an
//! incident is opened for it, whether it was told is read again after that, and it is forgotten only after it is told.

use std::collections::{BTreeMap, HashSet};

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::super::Run;
use crate::alert::Alert;
use crate::email::Chapter;
use crate::incident::{Changes, IncidentId, Kind, Pace, Whose, news, open, wait};
use crate::ledger::{Current, Kept, Ledger, Owner, Part, PartKey, Spent, Told, at_once};

/// How long a part that was just kept has until anybody may tell it.
const INTAKE: SignedDuration = SignedDuration::from_secs(45);

/// By how much a lease is longer than the invocation that has it.
const LEASE: SignedDuration = SignedDuration::from_secs(5);

/// A lease further ahead than this is the work of a wrong clock.
const LEASE_MAX: SignedDuration = SignedDuration::from_secs(60);

/// How often an incident is asked for that others open and end at the same time.
const ATTEMPTS: usize = 8;

/// One invocation's work with a ledger.
pub(super) struct Work<'l, L> {
    pub ledger: &'l L,
    pace: Pace,
    owner: Owner,
    now: Timestamp,
    lease: Timestamp,
}

/// What is to be done about a part now.
pub(super) enum Entry {
    /// Nothing: it waits, or another invocation is at it.
    Waits,
    /// It was told before.
    Told,
    /// Tell it.
    Tell(IncidentId, Kind),
}

impl<'l, L: Ledger> Work<'l, L> {
    pub(super) fn new(ledger: &'l L, pace: Pace, run: &Run<'_>) -> Self {
        let time_left = run.deadlines.publishing.saturating_duration_since(Instant::now());
        let time_left = SignedDuration::try_from(time_left).unwrap_or(SignedDuration::ZERO);
        let owner = Sha256::new().chain_update(run.request_id).chain_update(run.now.to_string()).finalize();
        Self {
            ledger,
            pace,
            owner: Owner(u64::from_be_bytes(std::array::from_fn(|index| owner[index]))),
            now: run.now,
            lease: run.now.saturating_add(time_left + LEASE).unwrap_or(Timestamp::MAX),
        }
    }

    /// What a part means that has just come.
    pub(super) async fn enter(
        &self,
        key: PartKey,
        event: &str,
        whose: &Whose,
        part: &Alert,
    ) -> Result<Entry, L::Error> {
        if self.ledger.is_told(key).await? {
            return Ok(Entry::Told);
        }
        match self.ledger.part(key).await? {
            None => {
                self.ledger.keep_event(key, event).await?;
                let new = Part {
                    key,
                    whose: whose.clone(),
                    closes: false,
                    incident: None,
                    due: self.now.saturating_add(INTAKE).unwrap_or(Timestamp::MAX),
                    lease: self.lease,
                    owner: self.owner,
                    tries: 0,
                };
                if let Kept::Before(_) = self.ledger.keep(&new).await? {
                    return Ok(Entry::Waits);
                }
            }
            Some(found) if found.owner == self.owner => {}
            Some(found) if found.incident.is_none() && self.is_free(&found) => {
                if self.ledger.claim(&found, self.owner, self.lease).await?.is_none() {
                    return Ok(Entry::Waits);
                }
            }
            Some(_) => return Ok(Entry::Waits),
        }
        // Whoever had it before may have told and forgotten it since.
        if self.ledger.is_told(key).await? {
            self.ledger.forget(key, self.owner).await?;
            return Ok(Entry::Told);
        }
        let (incident, is_first) = self.incident(whose, key).await?;
        let due = match at_once(self.ledger, incident, is_first, key, &news(part), self.now).await? {
            Spent::Taken => return Ok(Entry::Tell(incident, if is_first { Kind::First } else { Kind::AtOnce })),
            Spent::From(due) => due,
            Spent::Never => self.now.saturating_add(wait(part).at(&self.pace)).unwrap_or(Timestamp::MAX),
        };
        self.ledger.wait(key, self.owner, incident, due).await?;
        Ok(Entry::Waits)
    }

    /// The incident that a part belongs to, and whether it opens it.
    async fn incident(&self, whose: &Whose, key: PartKey) -> Result<(IncidentId, bool), L::Error> {
        let new = Current {
            whose: whose.clone(),
            id: IncidentId::of(whose, key),
            first: key,
            opened: self.now,
            last: self.now,
        };
        for _ in 0..ATTEMPTS {
            let current = self.ledger.current(whose).await?;
            match &current {
                Some(current) if current.first == key => return Ok((current.id, true)),
                Some(current) if !self.pace.is_over(current.opened, current.last, self.now) => {
                    if self.ledger.touch(whose, current.id, self.now).await? {
                        return Ok((current.id, false));
                    }
                }
                old => {
                    let closing = old.as_ref().map(|old| self.closing(old));
                    if self.ledger.open(&new, old.as_ref(), closing.as_ref()).await? {
                        return Ok((new.id, true));
                    }
                }
            }
        }
        // Others win each time; an incident of its own tells it all the same.
        Ok((new.id, true))
    }

    /// The part that closes an incident.
    fn closing(&self, current: &Current) -> Part {
        let key = Sha256::new().chain_update("closing").chain_update(current.id.to_bytes()).finalize().into();
        Part {
            key: PartKey(key),
            whose: current.whose.clone(),
            closes: true,
            incident: Some(current.id),
            due: self.now,
            lease: Timestamp::UNIX_EPOCH,
            owner: Owner(0),
            tries: 0,
        }
    }

    /// What is due, by incident, and what is quiet: all of it claimed. What waits for an incident of which something is due
    /// is told with that.
    pub(super) async fn due(&self) -> Result<BTreeMap<IncidentId, Together>, L::Error> {
        let parts = self.ledger.parts().await?;
        let free = || parts.iter().filter(|part| self.is_free(part));
        let ripe: HashSet<IncidentId> =
            free().filter(|part| part.due <= self.now).filter_map(|part| part.incident).collect();
        let mut due: BTreeMap<IncidentId, Together> = BTreeMap::new();
        for part in free() {
            if part.due > self.now && part.incident.is_none_or(|id| !ripe.contains(&id)) {
                continue;
            }
            let Some(part) = self.claim(part).await? else { continue };
            let (id, kind) = match part.incident {
                Some(id) => (id, Kind::Update),
                // Whoever kept it got no further.
                None => match self.incident(&part.whose, part.key).await? {
                    (id, true) => (id, Kind::First),
                    (id, false) => (id, Kind::AtOnce),
                },
            };
            due.entry(id).or_insert_with(|| Together::new(part.whose.clone())).add(part, kind);
        }
        for current in self.ledger.all_current().await? {
            if self.now.duration_since(current.last) < self.pace.quiet {
                continue;
            }
            let theirs = |part: &Part| part.whose == current.whose && part.owner != self.owner;
            if self.ledger.parts().await?.iter().any(theirs) {
                continue;
            }
            let closing = Part { owner: self.owner, lease: self.lease, ..self.closing(&current) };
            if self.ledger.close(&current, &closing).await? {
                due.entry(current.id).or_insert_with(|| Together::new(current.whose)).closing = Some(closing);
            }
        }
        Ok(due)
    }

    /// What waits of an incident, to be told with something that goes out at once.
    pub(super) async fn waiting(&self, id: IncidentId) -> Result<Vec<Part>, L::Error> {
        let parts = self.ledger.parts().await?.into_iter();
        Ok(parts.filter(|part| part.incident == Some(id) && !part.closes && self.is_free(part)).collect())
    }

    /// Takes a part over that nobody is at, unless it is told already.
    pub(super) async fn claim(&self, part: &Part) -> Result<Option<Part>, L::Error> {
        let Some(part) = self.ledger.claim(part, self.owner, self.lease).await? else { return Ok(None) };
        if self.ledger.is_told(part.key).await? {
            self.ledger.forget(part.key, self.owner).await?;
            return Ok(None);
        }
        Ok(Some(part))
    }

    /// The next mail of an incident, about these parts. With the part that opened it, it is the first, whoever tells it: of
    /// two that come at once, the other may be faster.
    pub(super) async fn chapter(
        &self,
        (whose, id): (&Whose, IncidentId),
        kind: Kind,
        parts: &[PartKey],
        changes: &Changes,
    ) -> Result<Chapter, L::Error> {
        let opens = match kind {
            Kind::First | Kind::Closing => false,
            Kind::AtOnce | Kind::Update => {
                let current = self.ledger.current(whose).await?;
                current.is_some_and(|current| current.id == id && parts.contains(&current.first))
            }
        };
        let kind = if opens { Kind::First } else { kind };
        // The first has all of it, and what goes out at once waits for nothing.
        let open = match kind {
            Kind::First | Kind::AtOnce => Vec::new(),
            Kind::Update | Kind::Closing => {
                open(self.ledger.story(id).await?.iter().map(|told| &told.changes).chain([changes]))
            }
        };
        let number = self.ledger.number(id).await?;
        Ok(Chapter { id, kind, number, now: self.now, opened: self.now, reason: None, pace: self.pace, open })
    }

    /// Says of parts that they are told, and forgets them.
    pub(super) async fn told(&self, parts: &[PartKey], told: &Told) -> Result<(), L::Error> {
        // What they have in common is kept once.
        let mut told = Some(told.clone());
        for key in parts {
            let told = told.take().unwrap_or_default();
            self.ledger.tell(*key, &told).await?;
        }
        for key in parts {
            self.ledger.forget(*key, self.owner).await?;
        }
        Ok(())
    }

    /// Whether nobody is at a part.
    fn is_free(&self, part: &Part) -> bool {
        part.lease < self.now || part.lease.duration_since(self.now) > LEASE_MAX
    }
}

/// What of one incident is told together.
pub(super) struct Together {
    pub whose: Whose,
    pub kind: Kind,
    pub parts: Vec<Part>,
    pub closing: Option<Part>,
}

impl Together {
    fn new(whose: Whose) -> Self {
        Self { whose, kind: Kind::Update, parts: Vec::new(), closing: None }
    }

    fn add(&mut self, part: Part, kind: Kind) {
        if part.closes {
            self.closing = Some(part);
            return;
        }
        if self.kind != Kind::First && kind != Kind::Update {
            self.kind = kind;
        }
        self.parts.push(part);
    }
}
