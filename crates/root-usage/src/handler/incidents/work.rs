//! What an invocation does with a ledger, in an order that neither loses nor repeats.
//!
//! The order of the writes is what keeps a record from being lost and from being told twice: a part is kept before an
//! incident is opened for it, whether it was told is read again after that, and it is forgotten only after it is told.

use std::collections::{BTreeMap, HashSet};

use futures_util::future::try_join;
use futures_util::stream::{self, StreamExt};
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::super::Run;
use crate::alert::Alert;
use crate::email::Chapter;
use crate::incident::{Changes, IncidentId, Kind, Pace, Reason, Whose, news, open, wait};
use crate::ledger::{
    Current, Kept, Ledger, Owner, Part, PartKey, Spent, Told, at_once, mails_left, remember, spend_minute,
};

/// How long a part that was just kept has until anybody may tell it.
const INTAKE: SignedDuration = SignedDuration::from_secs(45);

/// By how much a lease is longer than the invocation that has it.
const LEASE: SignedDuration = SignedDuration::from_secs(5);

/// A lease further ahead than this is the work of a wrong clock.
const LEASE_MAX: SignedDuration = SignedDuration::from_secs(60);

/// When something that is due and was not told is worth an alarm.
const OVERDUE: SignedDuration = SignedDuration::from_mins(15);

/// The most parts of one identity that one tick claims.
const CLAIMED_MAX: usize = 100;

/// How many parts are claimed at a time.
const AT_ONCE: usize = 16;

/// How often an incident is asked for that others open and end at the same time.
const ATTEMPTS: usize = 8;

/// One invocation's work with a ledger.
pub(super) struct Work<'l, L> {
    pub ledger: &'l L,
    pace: Pace,
    owner: Owner,
    now: Timestamp,
    lease: Timestamp,
    /// Whether all that is kept is told, due or not, since there will be no ledger any more.
    all: bool,
}

/// The incident that a part belongs to.
struct Place {
    incident: IncidentId,
    opened: Timestamp,
    is_first: bool,
    /// Where it was opened just now, what its minute has left.
    spent: Option<Spent>,
}

/// What was found when a part was kept: what became of it, and the open incident.
pub(super) struct Begun {
    kept: Kept,
    current: Option<Current>,
}

impl Begun {
    /// Whether the part was not known before.
    pub(super) fn is_new(&self) -> bool {
        self.kept == Kept::New
    }
}

/// What a mail is about, and why it goes out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Occasion {
    pub id: IncidentId,
    pub kind: Kind,
    /// What of it made it go out at once.
    pub reason: Option<Reason>,
    /// When the incident began, where that is known without asking.
    pub opened: Option<Timestamp>,
}

impl Occasion {
    pub(super) fn new(id: IncidentId, kind: Kind) -> Self {
        Self { id, kind, reason: None, opened: None }
    }
}

/// What is to be done about a part now.
pub(super) enum Entry {
    /// Nothing: it waits, or another invocation is at it.
    Waits,
    /// It was told before.
    Told,
    /// Tell it.
    Tell {
        occasion: Occasion,
        /// Another invocation was at it, and may have told it.
        again: bool,
    },
}

impl<'l, L: Ledger> Work<'l, L> {
    pub(super) fn new(ledger: &'l L, pace: Pace, run: &Run<'_>, all: bool) -> Self {
        let time_left = run.deadlines.publishing.saturating_duration_since(Instant::now());
        let time_left = SignedDuration::try_from(time_left).unwrap_or(SignedDuration::ZERO);
        // Others' leases are compared with what the clock says now, not when the invocation began.
        let passed = SignedDuration::try_from(run.started.elapsed()).unwrap_or(SignedDuration::ZERO);
        let now = run.now.saturating_add(passed).unwrap_or(Timestamp::MAX);
        let owner = Sha256::new().chain_update(run.request_id).chain_update(run.now.to_string()).finalize();
        Self {
            ledger,
            pace,
            owner: Owner(u64::from_be_bytes(std::array::from_fn(|index| owner[index]))),
            now,
            lease: now.saturating_add(time_left + LEASE).unwrap_or(Timestamp::MAX),
            all,
        }
    }

    /// Keeps a part that has just come, before anything else is done about it.
    pub(super) async fn begin(&self, key: PartKey, event: &str, whose: &Whose) -> Result<Begun, L::Error> {
        let new = Part {
            key,
            whose: whose.clone(),
            closes: false,
            opened: None,
            incident: None,
            due: self.now.saturating_add(INTAKE).unwrap_or(Timestamp::MAX),
            lease: self.lease,
            owner: self.owner,
            tries: 0,
            whole: false,
        };
        let (kept, current) = try_join(self.ledger.keep(&new, event), self.ledger.current(whose)).await?;
        Ok(Begun { kept, current })
    }

    /// What a part means that has just come.
    pub(super) async fn enter(
        &self,
        key: PartKey,
        whose: &Whose,
        part: &Alert,
        begun: Begun,
    ) -> Result<Entry, L::Error> {
        let again = match begun.kept {
            Kept::Told => return Ok(Entry::Told),
            Kept::New => false,
            Kept::Before(found) if found.owner == self.owner => false,
            Kept::Before(found) if found.incident.is_none() && self.is_free(&found) => {
                if self.claim(&found).await?.is_none() {
                    return Ok(Entry::Waits);
                }
                true
            }
            Kept::Before(_) => return Ok(Entry::Waits),
        };
        let Place { incident, opened, is_first, spent } = self.place(whose, key, begun.current).await?;
        let (spent, reason) = match spent {
            Some(spent) => (spent, None),
            None => at_once(self.ledger, incident, is_first, key, &news(part), self.now).await?,
        };
        let due = match spent {
            Spent::Taken => {
                let kind = if is_first { Kind::First } else { Kind::AtOnce };
                let occasion = Occasion { id: incident, kind, reason, opened: Some(opened) };
                return Ok(Entry::Tell { occasion, again });
            }
            Spent::From(due) => due,
            Spent::Never => self.now.saturating_add(wait(part).at(&self.pace)).unwrap_or(Timestamp::MAX),
        };
        self.ledger.wait(key, self.owner, incident, due).await?;
        Ok(Entry::Waits)
    }

    /// The incident that a part belongs to, given what was last read of it.
    async fn place(&self, whose: &Whose, key: PartKey, mut current: Option<Current>) -> Result<Place, L::Error> {
        let new = Current {
            whose: whose.clone(),
            id: IncidentId::of(whose, key),
            first: key,
            opened: self.now,
            last: self.now,
        };
        let at = |current: &Current, is_first, spent| Place {
            incident: current.id,
            opened: current.opened,
            is_first,
            spent,
        };
        for _ in 0..ATTEMPTS {
            match &current {
                Some(current) if current.first == key => return Ok(at(current, true, None)),
                Some(current) if !self.pace.is_over(current.opened, current.last, self.now) => {
                    if self.ledger.touch(whose, current.id, self.now).await? {
                        return Ok(at(current, false, None));
                    }
                }
                old => {
                    let closing = old.as_ref().map(|old| self.closing(old));
                    let open = self.ledger.open(&new, old.as_ref(), closing.as_ref());
                    // Both at once: a mail that somebody waits for takes one answer less.
                    let (opened, spent) = try_join(open, mails_left(self.ledger, new.id, key, self.now)).await?;
                    if opened {
                        return Ok(at(&new, true, Some(spent)));
                    }
                }
            }
            current = self.ledger.current(whose).await?;
        }
        // Others win each time; an incident of its own tells it all the same.
        Ok(at(&new, true, None))
    }

    /// The part that closes an incident.
    fn closing(&self, current: &Current) -> Part {
        let key = Sha256::new().chain_update("closing").chain_update(current.id.to_bytes()).finalize().into();
        Part {
            key: PartKey(key),
            whose: current.whose.clone(),
            closes: true,
            opened: Some(current.opened),
            incident: Some(current.id),
            due: self.now,
            lease: Timestamp::UNIX_EPOCH,
            owner: Owner(0),
            tries: 0,
            whole: false,
        }
    }

    /// What is due, or quiet, by whose it is: what was tried least comes first, and then what has waited longest. What waits
    /// for an incident of which something is due is told with that. With it, how much is overdue that nobody told.
    pub(super) async fn backlog(&self) -> Result<(Vec<Group>, usize), L::Error> {
        let parts = self.ledger.parts().await?;
        let is_due = |part: &Part| self.all || part.due <= self.now;
        let overdue = parts.iter().filter(|part| self.now.duration_since(part.due) >= OVERDUE).count();
        let parts: Vec<Part> = parts.into_iter().filter(|part| self.is_free(part)).collect();
        let ripe: HashSet<IncidentId> =
            parts.iter().filter(|part| is_due(part)).filter_map(|part| part.incident).collect();
        let mut groups: BTreeMap<Whose, Group> = BTreeMap::new();
        for part in parts {
            if is_due(&part) || part.incident.is_some_and(|id| ripe.contains(&id)) {
                groups.entry(part.whose.clone()).or_default().parts.push(part);
            }
        }
        for current in self.ledger.all_current().await? {
            if self.all || self.now.duration_since(current.last) >= self.pace.quiet {
                let whose = current.whose.clone();
                groups.entry(whose).or_default().quiet = Some(current);
            }
        }
        let mut groups: Vec<Group> = groups.into_values().collect();
        groups.sort_by_cached_key(|group| {
            let tries = group.parts.iter().map(|part| part.tries).max();
            (tries, group.parts.iter().map(|part| part.due).min())
        });
        Ok((groups, overdue))
    }

    /// Claims what is due of one identity, and ends its incident if that is quiet. What can't be claimed keeps nothing of the
    /// rest back.
    pub(super) async fn claim_group(
        &self,
        Group { mut parts, quiet }: Group,
    ) -> (BTreeMap<IncidentId, Together>, Result<(), L::Error>) {
        let (mut due, mut failed): (BTreeMap<IncidentId, Together>, _) = (BTreeMap::new(), Ok(()));
        parts.sort_by_key(|part| part.due);
        // The rest is the next tick's: whoever causes much is not to keep others waiting.
        parts.truncate(CLAIMED_MAX);
        let claimed = stream::iter(&parts).map(|part| self.claim(part)).buffered(AT_ONCE);
        let claimed: Vec<Result<Option<Part>, L::Error>> = claimed.collect().await;
        for part in claimed {
            let placed = async {
                let Some(part) = part? else { return Ok(None) };
                let (id, kind) = match part.incident {
                    Some(id) => (id, Kind::Update),
                    // Whoever kept it got no further.
                    None => match self.place(&part.whose, part.key, self.ledger.current(&part.whose).await?).await? {
                        Place { incident, is_first: true, .. } => (incident, Kind::First),
                        Place { incident, .. } => (incident, Kind::AtOnce),
                    },
                };
                Ok(Some((id, part, kind)))
            };
            match placed.await {
                Ok(Some((id, part, kind))) => {
                    due.entry(id).or_insert_with(|| Together::new(part.whose.clone())).add(part, kind);
                }
                Ok(None) => {}
                Err(error) => failed = Err(error),
            }
        }
        if let (Some(current), Ok(())) = (quiet, &failed) {
            match self.end(&current).await {
                Ok(Some(closing)) => {
                    due.entry(current.id).or_insert_with(|| Together::new(current.whose)).closing = Some(closing);
                }
                Ok(None) => {}
                Err(error) => failed = Err(error),
            }
        }
        (due, failed)
    }

    /// Ends an incident that is quiet, if nothing of its identity is left that this invocation has not claimed; the part that
    /// closes it, if it did.
    async fn end(&self, current: &Current) -> Result<Option<Part>, L::Error> {
        let theirs = |part: &Part| part.whose == current.whose && part.owner != self.owner;
        if self.ledger.parts().await?.iter().any(theirs) {
            return Ok(None);
        }
        let closing = Part { owner: self.owner, lease: self.lease, ..self.closing(current) };
        Ok(self.ledger.close(current, &closing).await?.then_some(closing))
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
            self.ledger.forget(&[part.key], self.owner).await?;
            return Ok(None);
        }
        Ok(Some(part))
    }

    /// The next mail of an incident, about these parts. With the part that opened it, it is the first, whoever tells it: of
    /// two that come at once, the other may be faster.
    pub(super) async fn chapter(
        &self,
        whose: &Whose,
        Occasion { id, mut kind, reason, mut opened }: Occasion,
        parts: &[PartKey],
        changes: &Changes,
    ) -> Result<Chapter, L::Error> {
        if let Kind::AtOnce | Kind::Update = kind
            && let Some(current) = self.ledger.current(whose).await?.filter(|current| current.id == id)
        {
            opened = Some(current.opened);
            if parts.contains(&current.first) {
                kind = Kind::First;
            }
        }
        // The first has all of it, and what goes out at once waits for nothing.
        let open = match kind {
            Kind::First | Kind::AtOnce => Vec::new(),
            Kind::Update | Kind::Closing => {
                open(self.ledger.story(id).await?.iter().map(|told| &told.changes).chain([changes]))
            }
        };
        let number = if kind == Kind::First { 1 } else { self.ledger.number(id).await? };
        let opened = opened.unwrap_or(self.now);
        // Where all is told, nobody waited for it to be quiet.
        let pace = if self.all { Pace { quiet: SignedDuration::ZERO, ..self.pace } } else { self.pace };
        Ok(Chapter { id, kind, number, now: self.now, opened, reason, pace, open })
    }

    /// Says of parts that they are told, and forgets them.
    pub(super) async fn told(&self, parts: &[PartKey], told: &Told) -> Result<(), L::Error> {
        self.ledger.tell(parts, told).await?;
        self.ledger.forget(parts, self.owner).await
    }

    /// Remembers what was news in what was told already: whoever tells it again tells it at once again.
    pub(super) async fn remember(&self, id: IncidentId, key: PartKey, told: &Alert) -> Result<(), L::Error> {
        remember(self.ledger, id, key, &news(told), self.now).await.map(|_| ())
    }

    /// A mail of a tick counts as its incident's in this minute.
    pub(super) async fn spend_minute(&self, id: IncidentId, key: PartKey) -> Result<(), L::Error> {
        spend_minute(self.ledger, id, key, self.now).await
    }

    /// Whether nobody is at a part.
    fn is_free(&self, part: &Part) -> bool {
        part.lease < self.now || part.lease.duration_since(self.now) > LEASE_MAX
    }
}

/// What of one identity is due, and the incident of it that is quiet.
#[derive(Default)]
pub(super) struct Group {
    parts: Vec<Part>,
    quiet: Option<Current>,
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

    /// How often one of them was claimed at most.
    pub(super) fn tries(&self) -> u32 {
        self.parts.iter().chain(&self.closing).map(|part| part.tries).max().unwrap_or_default()
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
