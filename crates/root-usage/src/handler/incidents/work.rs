//! What an invocation does with a ledger, in an order that neither loses nor repeats.
//!
//! The order of the writes is what keeps a record from being lost and from being told twice: a part is kept before an
//! incident is opened for it, whether it was told is read again after that, and it is forgotten only after it is told.

use futures_util::future::try_join;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::super::Run;
use crate::alert::Alert;
use crate::email::Chapter;
use crate::incident::{Changes, IncidentId, Kind, News, Pace, Reason, Whose, news, open, wait};
use crate::ledger::{
    Current, Kept, Ledger, Owner, Part, PartKey, Spent, Told, at_once, mails_left, remember, spend_minute,
};

/// How long a part that was just kept has until anybody may tell it.
const INTAKE: SignedDuration = SignedDuration::from_secs(45);

/// By how much a lease is longer than the invocation that has it.
const LEASE: SignedDuration = SignedDuration::from_secs(5);

/// A lease further ahead than this is the work of a wrong clock.
const LEASE_MAX: SignedDuration = SignedDuration::from_secs(60);

/// The longest that something grave waits because its minute had a mail already.
const MINUTE: SignedDuration = SignedDuration::from_secs(60);

/// Of how many parts it is asked whether one was to go out at once. That one is due first.
const WAITED_MAX: usize = 5;

/// How often an incident is asked for that others open and end at the same time.
const ATTEMPTS: usize = 8;

/// One invocation's work with a ledger.
pub(super) struct Work<'l, L> {
    pub ledger: &'l L,
    pub pace: Pace,
    pub owner: Owner,
    pub now: Timestamp,
    pub lease: Timestamp,
    /// Whether all that is kept is told, due or not, since there will be no ledger any more.
    pub all: bool,
}

/// The incident that a part belongs to.
pub(super) struct Place {
    pub incident: IncidentId,
    pub opened: Timestamp,
    pub is_first: bool,
    /// Where it was opened just now, what its minute has left.
    pub spent: Option<Spent>,
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
#[derive(Debug, Clone)]
pub(super) struct Occasion {
    pub id: IncidentId,
    pub kind: Kind,
    /// What of it made it go out at once.
    pub why: Option<News>,
    /// When the incident began, where that is known without asking.
    pub opened: Option<Timestamp>,
}

impl Occasion {
    pub(super) fn new(id: IncidentId, kind: Kind) -> Self {
        Self { id, kind, why: None, opened: None }
    }
}

/// What is to be done about a part now.
pub(super) enum Entry {
    /// Nothing: it waits from now on.
    Waits,
    /// Nothing: it came before, and waits, or another invocation is at it.
    Known,
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
        // In whole seconds, so that what is played is always the same.
        let passed = SignedDuration::from_secs(run.started.elapsed().as_secs().try_into().unwrap_or(0));
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
                    return Ok(Entry::Known);
                }
                true
            }
            Kept::Before(_) => return Ok(Entry::Known),
        };
        let Place { incident, opened, is_first, spent } = self.place(whose, key, begun.current).await?;
        let (spent, why) = match spent {
            Some(spent) => (spent, None),
            None => at_once(self.ledger, incident, is_first, key, &news(part), self.now).await?,
        };
        let due = match spent {
            Spent::Taken => {
                let kind = if is_first { Kind::First } else { Kind::AtOnce };
                let occasion = Occasion { id: incident, kind, why, opened: Some(opened) };
                return Ok(Entry::Tell { occasion, again });
            }
            // The clock of whoever had the minute may be ahead.
            Spent::From(due) => due.min(self.now.saturating_add(MINUTE).unwrap_or(Timestamp::MAX)),
            Spent::Never => self.now.saturating_add(wait(part).at(&self.pace)).unwrap_or(Timestamp::MAX),
        };
        self.ledger.wait(key, self.owner, incident, due).await?;
        Ok(Entry::Waits)
    }

    /// The incident that a part belongs to, given what was last read of it.
    pub(super) async fn place(
        &self,
        whose: &Whose,
        key: PartKey,
        mut current: Option<Current>,
    ) -> Result<Place, L::Error> {
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
    pub(super) fn closing(&self, current: &Current) -> Part {
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
        Occasion { id, mut kind, why, mut opened }: Occasion,
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
        // Who is to act at once has what is told now, and waits for no answer about what was told before.
        let story = match kind {
            Kind::First | Kind::AtOnce => Vec::new(),
            Kind::Update | Kind::Closing => self.ledger.story(id).await?,
        };
        let all = || story.iter().map(|told| &told.changes).chain([changes]);
        let (open, more) = (open(all()), all().map(|changes| changes.more).sum());
        let number = if kind == Kind::First { 1 } else { self.ledger.number(id).await? };
        let opened = opened.unwrap_or(self.now);
        // Where all is told, nobody waited for it to be quiet.
        let pace = if self.all { Pace { quiet: SignedDuration::ZERO, ..self.pace } } else { self.pace };
        let (reason, what) = why.map_or((None, None), |why| (Some(why.reason), why.what));
        Ok(Chapter { id, kind, number, now: self.now, opened, reason, what, pace, open, more })
    }

    /// Says of parts that they are told, and forgets them.
    pub(super) async fn told(&self, parts: &[PartKey], told: &Told) -> Result<(), L::Error> {
        self.ledger.tell(parts, told, self.now).await?;
        self.ledger.forget(parts, self.owner).await
    }

    /// Why some of what is told now was to go out at once, where it waited because the minute had a mail already. To the part
    /// that brought it, what was new then is new still.
    pub(super) async fn waited(
        &self,
        id: IncidentId,
        parts: &[PartKey],
        alert: &Alert,
    ) -> Result<Option<News>, L::Error> {
        let (news, mut found) = (news(alert), None);
        for part in parts.iter().take(WAITED_MAX) {
            let why = remember(self.ledger, id, *part, &news, self.now).await?;
            if why.as_ref().is_some_and(|why| why.reason == Reason::Deed) {
                return Ok(why);
            }
            found = found.or(why);
        }
        Ok(found)
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
    pub(super) fn is_free(&self, part: &Part) -> bool {
        part.lease < self.now || part.lease.duration_since(self.now) > LEASE_MAX
    }
}
