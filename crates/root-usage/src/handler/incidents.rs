//! Incidents over a ledger: what a delivery means for the incident it meets, and what is due.
//!
//! The order of the writes is what keeps a record from being lost and from being told twice: a part is kept before an
//! incident is opened for it, whether it was told is read again after that, and it is forgotten only after it is told.

use std::collections::{BTreeMap, HashSet};

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::{Handler, HandlerError, Run, reading};
use crate::alert::{Action, Alert, Match, Origin, Unreadable};
use crate::batch::Inflated;
use crate::directory::{Directory, look_up};
use crate::email::{Chapter, Message, digest};
use crate::error::chain;
use crate::history::{Answers, History};
use crate::incident::{IncidentId, Kind, Pace, Whose, by_identity, news, wait};
use crate::ledger::{Current, Delivery, Kept, Ledger, Owner, Part, PartKey, Spent, Told, at_once};
use crate::notify::Notify;
use crate::record::Record;
use crate::report::Report;

/// How long a part that was just kept has until anybody may tell it.
const INTAKE: SignedDuration = SignedDuration::from_secs(45);

/// By how much a lease is longer than the invocation that has it.
const LEASE: SignedDuration = SignedDuration::from_secs(5);

/// A lease further ahead than this is the work of a wrong clock.
const LEASE_MAX: SignedDuration = SignedDuration::from_secs(60);

/// How often an incident is asked for that others open and end at the same time.
const ATTEMPTS: usize = 8;

/// After so many tries, what is to be told of an incident together is told one by one.
const TOGETHER_TRIES: u32 = 3;

/// The most bytes of records told in one mail, as of one delivery.
const TOGETHER_BYTES: usize = 24 << 20;

/// One invocation's work with a ledger.
pub(super) struct Work<'l, L> {
    ledger: &'l L,
    pace: Pace,
    owner: Owner,
    now: Timestamp,
    lease: Timestamp,
}

/// What is to be done about a part now.
enum Entry {
    /// Nothing: it waits, or another invocation is at it.
    Waits,
    /// It was told before.
    Told,
    /// Tell it.
    Tell(IncidentId, Kind),
}

impl<'l, L: Ledger> Work<'l, L> {
    fn new(ledger: &'l L, pace: Pace, run: &Run<'_>) -> Self {
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
    async fn enter(&self, key: PartKey, event: &str, whose: &Whose, part: &Alert) -> Result<Entry, L::Error> {
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
    async fn due(&self) -> Result<BTreeMap<IncidentId, Together>, L::Error> {
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
    async fn waiting(&self, id: IncidentId) -> Result<Vec<Part>, L::Error> {
        let parts = self.ledger.parts().await?.into_iter();
        Ok(parts.filter(|part| part.incident == Some(id) && !part.closes && self.is_free(part)).collect())
    }

    /// Takes a part over that nobody is at, unless it is told already.
    async fn claim(&self, part: &Part) -> Result<Option<Part>, L::Error> {
        let Some(part) = self.ledger.claim(part, self.owner, self.lease).await? else { return Ok(None) };
        if self.ledger.is_told(part.key).await? {
            self.ledger.forget(part.key, self.owner).await?;
            return Ok(None);
        }
        Ok(Some(part))
    }

    /// The next mail of an incident, about these parts. With the part that opened it, it is the first, whoever tells it: of
    /// two that come at once, the other may be faster.
    async fn chapter(&self, whose: &Whose, id: IncidentId, kind: Kind, parts: &[PartKey]) -> Result<Chapter, L::Error> {
        let opens = match kind {
            Kind::First | Kind::Closing => false,
            Kind::AtOnce | Kind::Update => {
                let current = self.ledger.current(whose).await?;
                current.is_some_and(|current| current.id == id && parts.contains(&current.first))
            }
        };
        let kind = if opens { Kind::First } else { kind };
        let number = self.ledger.number(id).await?;
        Ok(Chapter { id, kind, number, now: self.now, pace: self.pace })
    }

    /// Says of parts that they are told, and forgets them.
    async fn told(&self, parts: &[PartKey], told: &Told) -> Result<(), L::Error> {
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
struct Together {
    whose: Whose,
    kind: Kind,
    parts: Vec<Part>,
    closing: Option<Part>,
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

/// Parts that were read again, to be told in one mail.
#[derive(Default)]
struct Collected {
    parts: Vec<PartKey>,
    origin: Origin,
    matches: Vec<Match>,
    unreadable: Vec<Unreadable>,
    beside: Vec<Record>,
    bytes: usize,
}

impl Collected {
    fn add(&mut self, part: Alert) {
        self.origin = part.origin;
        self.unreadable.extend(part.unreadable);
        for actor in part.actors {
            self.beside.extend(actor.root_call);
            for Action { record, rules, received, .. } in actor.actions {
                self.bytes += record.memory();
                self.matches.push(Match { record, rules, received });
            }
        }
    }

    /// Its parts, and what they tell; nothing if it was all told before.
    fn done(self) -> (Vec<PartKey>, Option<Alert>) {
        (self.parts, Alert::new(self.origin, self.matches, self.unreadable, &self.beside))
    }
}

impl<N: Notify, H: History, D: Directory, L: Ledger> Handler<N, H, D, L> {
    /// Tells a delivery, or this portion of it, or keeps it until it is due: each identity's part for itself.
    pub(super) async fn arrive(
        &self,
        run: &mut Run<'_>,
        alert: Alert,
        portion: usize,
        (ledger, pace): &(L, Pace),
    ) -> Result<(), HandlerError<N::Error>> {
        run.report.alert_id = Some(alert.id.to_string());
        let parts = match by_identity(alert) {
            Ok(parts) => parts,
            Err(alert) => return self.tell_now(run, &alert, None).await,
        };
        let work = Work::new(ledger, *pace, run);
        let delivery = Delivery::of(run.event);
        let mut result = Ok(());
        for (whose, part) in parts {
            let key = delivery.part(portion, &whose);
            // What can't be told of one keeps nothing of the others back.
            let told = self.arrive_part(run, &work, key, &whose, part).await;
            result = result.and(told);
        }
        result
    }

    async fn arrive_part(
        &self,
        run: &mut Run<'_>,
        work: &Work<'_, L>,
        key: PartKey,
        whose: &Whose,
        part: Alert,
    ) -> Result<(), HandlerError<N::Error>> {
        let entry = work.enter(key, run.event, whose, &part).await;
        let (parts, alert, chapter) = match self.or_failed(run, entry) {
            Some(Entry::Waits) => {
                run.report.waiting += part.matched() + part.unreadable.len();
                return Ok(());
            }
            Some(Entry::Told) => {
                run.report.matched -= part.matched();
                run.report.duplicate += part.matched();
                return Ok(());
            }
            Some(Entry::Tell(id, kind)) => {
                let (parts, alert) = match kind {
                    Kind::AtOnce => self.with_what_waits(run, work, id, key, part).await,
                    _ => (vec![key], Some(part)),
                };
                let chapter = work.chapter(whose, id, kind, &parts).await;
                (parts, alert, self.or_failed(run, chapter))
            }
            // Without a ledger, each delivery has a mail of its own.
            None => (vec![key], Some(part), None),
        };
        let Some(alert) = alert else { return Ok(()) };
        self.tell_now(run, &alert, chapter.as_ref()).await?;
        let told = self.what_is_told(chapter.as_ref().map(|chapter| chapter.id), &alert);
        let told = work.told(&parts, &told).await;
        self.or_failed(run, told);
        Ok(())
    }

    /// A part that goes out at once, and what waits of its incident: the story in its order, and one mail less.
    async fn with_what_waits(
        &self,
        run: &mut Run<'_>,
        work: &Work<'_, L>,
        id: IncidentId,
        key: PartKey,
        part: Alert,
    ) -> (Vec<PartKey>, Option<Alert>) {
        let waiting = work.waiting(id).await;
        let waiting = self.or_failed(run, waiting).unwrap_or_default();
        if waiting.is_empty() {
            return (vec![key], Some(part));
        }
        let mut collected = Collected::default();
        collected.parts.push(key);
        collected.add(part);
        for part in waiting {
            if collected.bytes > TOGETHER_BYTES {
                break;
            }
            let claimed = work.claim(&part).await;
            let Some(part) = self.or_failed(run, claimed).flatten() else { continue };
            let again = self.read_again(work, &part).await;
            if let Some(found) = self.or_failed(run, again) {
                collected.parts.push(part.key);
                found.into_iter().for_each(|found| collected.add(found));
            }
        }
        collected.done()
    }

    /// Tells what is due, and closes what is quiet.
    pub(super) async fn tick(
        &self,
        run: &mut Run<'_>,
        (ledger, pace): &(L, Pace),
    ) -> Result<(), HandlerError<N::Error>> {
        let work = Work::new(ledger, *pace, run);
        let due = work.due().await;
        let mut result = Ok(());
        for (id, together) in self.or_failed(run, due).unwrap_or_default() {
            let told = self.tell_together(run, &work, id, together).await;
            result = result.and(told);
        }
        result
    }

    /// Tells what is due of one incident: in one mail, or in several if it is much.
    async fn tell_together(
        &self,
        run: &mut Run<'_>,
        work: &Work<'_, L>,
        id: IncidentId,
        together: Together,
    ) -> Result<(), HandlerError<N::Error>> {
        let Together { whose, mut kind, parts, closing } = together;
        let alone = parts.iter().any(|part| part.tries > TOGETHER_TRIES);
        let mut collected = Collected::default();
        for part in parts {
            if !collected.parts.is_empty() && (alone || collected.bytes > TOGETHER_BYTES) {
                self.tell_collected(run, work, (&whose, id), kind, std::mem::take(&mut collected)).await?;
                kind = Kind::Update;
            }
            let again = self.read_again(work, &part).await;
            if let Some(found) = self.or_failed(run, again) {
                collected.parts.push(part.key);
                found.into_iter().for_each(|found| collected.add(found));
            }
        }
        match closing {
            Some(closing) => self.tell_closing(run, work, (&whose, id), closing.key, collected).await,
            None => self.tell_collected(run, work, (&whose, id), kind, collected).await,
        }
    }

    async fn tell_collected(
        &self,
        run: &mut Run<'_>,
        work: &Work<'_, L>,
        (whose, id): (&Whose, IncidentId),
        kind: Kind,
        collected: Collected,
    ) -> Result<(), HandlerError<N::Error>> {
        let (parts, alert) = collected.done();
        let mut told = Told::default();
        if let Some(alert) = alert {
            let chapter = work.chapter(whose, id, kind, &parts).await;
            let chapter = self.or_failed(run, chapter);
            self.tell_now(run, &alert, chapter.as_ref()).await?;
            told = self.what_is_told(Some(id), &alert);
        }
        let told = work.told(&parts, &told).await;
        self.or_failed(run, told);
        Ok(())
    }

    /// Tells that an incident is quiet, with what is left of it.
    async fn tell_closing(
        &self,
        run: &mut Run<'_>,
        work: &Work<'_, L>,
        (whose, id): (&Whose, IncidentId),
        closing: PartKey,
        collected: Collected,
    ) -> Result<(), HandlerError<N::Error>> {
        let story = work.ledger.story(id).await;
        let goes_on = work.ledger.current(whose).await;
        let (Some(story), Some(goes_on)) = (self.or_failed(run, story), self.or_failed(run, goes_on)) else {
            // Whoever claims it next tells it.
            return Ok(());
        };
        let (mut parts, alert) = collected.done();
        let mut told = Told { incident: Some(id), ..Told::default() };
        // An incident that told nothing after its first mail is not closed by another one.
        if story.len() > 1 || alert.is_some() {
            told = alert.as_ref().map_or(told, |alert| self.what_is_told(Some(id), alert));
            let chapter = work.chapter(whose, id, Kind::Closing, &[]).await;
            let Some(chapter) = self.or_failed(run, chapter) else { return Ok(()) };
            let accounts = whose.account();
            let deadline = run.deadlines.lookups.min(Instant::now() + self.config.names.timeout());
            let names = look_up(&self.directory, accounts.into_iter(), deadline).await;
            let lines: Vec<&str> =
                story.iter().chain([&told]).flat_map(|told| &told.digest).map(String::as_str).collect();
            let message = Message::closing(
                &chapter,
                whose,
                &lines,
                alert.as_ref(),
                goes_on.is_some(),
                &names,
                &self.config.style,
            );
            self.publish(run, &message).await?;
        }
        parts.push(closing);
        let told = work.told(&parts, &told).await;
        self.or_failed(run, told);
        Ok(())
    }

    /// What a part tells, read again from its delivery; nothing if all of it was told since, in other deliveries.
    ///
    /// A delivery that is gone can't be told: that is a fault of the ledger, as if it did not answer.
    async fn read_again(&self, work: &Work<'_, L>, part: &Part) -> Result<Option<Alert>, L::Error> {
        let Some(event) = work.ledger.event(part.key).await? else { return Ok(None) };
        let Ok(inflated) = Inflated::from_event(&event, self.config.max_batch_bytes) else { return Ok(None) };
        let batch = inflated.batch(|event| self.config.rules.may_match(event));
        let mut reading = reading::Batch::new(&batch.log_events, &self.config.rules);
        let mut collected = Collected::default();
        while !reading.is_over() {
            let mut report = Report::default();
            let mut found = reading.next(&mut report, || true);
            found.forget(&work.ledger.told_of(&found.keys()).await?, &mut report);
            let matches = found.matches.into_iter().map(|(found, _)| found).collect();
            let alert = Alert::new(Origin::from(&batch.data), matches, found.unreadable, reading.beside());
            let parts = alert.and_then(|alert| by_identity(alert).ok()).unwrap_or_default();
            parts.into_iter().filter(|(whose, _)| *whose == part.whose).for_each(|(_, found)| collected.add(found));
        }
        Ok(collected.done().1)
    }

    async fn tell_now(
        &self,
        run: &mut Run<'_>,
        alert: &Alert,
        chapter: Option<&Chapter>,
    ) -> Result<(), HandlerError<N::Error>> {
        let answers = match chapter {
            Some(Chapter { kind: Kind::Update, .. }) => Answers::default(),
            _ => self.ask(alert, run.deadlines.lookups).await,
        };
        run.report.history_failures += answers.failures;
        self.publish_alert(run, alert, &answers, chapter).await.map(|_| ())
    }

    fn what_is_told(&self, incident: Option<IncidentId>, alert: &Alert) -> Told {
        let records = alert.actors.iter().flat_map(|actor| &actor.actions);
        Told {
            incident,
            records: records.filter_map(|action| reading::key(&action.record)).collect(),
            digest: digest(alert, &self.config.style),
        }
    }

    /// What a ledger answered; a failure is counted and logged.
    fn or_failed<T>(&self, run: &mut Run<'_>, answer: Result<T, L::Error>) -> Option<T> {
        answer
            .inspect_err(|error| {
                tracing::error!(request_id = run.request_id, error = chain(error), "the ledger failed");
                run.report.ledger_failures += 1;
            })
            .ok()
    }
}
