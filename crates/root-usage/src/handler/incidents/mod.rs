//! Incidents: each identity's part of a delivery is told at once, or kept and told when it is due.

mod work;

use std::collections::HashSet;

use tokio::time::Instant;

use super::memory::Key;
use super::{Handler, HandlerError, Run, reading};
use crate::alert::{Action, Alert, Match, Origin, Unreadable};
use crate::batch::Inflated;
use crate::directory::{Directory, look_up, names};
use crate::email::{Chapter, Message, digest};
use crate::error::chain;
use crate::history::{Answers, History};
use crate::incident::{Changes, IncidentId, Kind, Pace, Whose, by_identity, changes};
use crate::ledger::{Delivery, Ledger, Part, PartKey, Told};
use crate::notify::Notify;
use crate::record::Record;
use crate::report::Report;
use work::{Entry, Together, Work};

/// After so many tries, what is to be told of an incident together is told one by one.
const TOGETHER_TRIES: u32 = 3;

/// The most bytes of records told in one mail, as of one delivery.
const TOGETHER_BYTES: usize = 24 << 20;

/// Parts that were read again, to be told in one mail.
#[derive(Default)]
struct Collected {
    parts: Vec<PartKey>,
    origin: Origin,
    matches: Vec<Match>,
    unreadable: Vec<Unreadable>,
    beside: Vec<Record>,
    bytes: usize,
    /// Two parts may hold one record.
    seen: HashSet<Key>,
}

impl Collected {
    fn add(&mut self, part: Alert) {
        self.origin = part.origin;
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
    fn done(self) -> (Vec<PartKey>, Option<Alert>) {
        (self.parts, Alert::new(self.origin, self.matches, self.unreadable, &self.beside))
    }
}

fn is_told(record: &Record, told: &HashSet<Key>) -> bool {
    reading::key(record).is_some_and(|key| told.contains(&key))
}

/// What of a part is not told yet. The rest are duplicates.
fn new_in(part: Alert, told: &HashSet<Key>, report: &mut Report) -> Option<Alert> {
    let before = part.matched();
    let new = part.without(|record| is_told(record, told));
    let duplicate = before - new.as_ref().map_or(0, Alert::matched);
    report.matched -= duplicate;
    report.duplicate += duplicate;
    new
}

/// That what was stored can't be told, so that it isn't forgotten in silence.
fn gone(part: &Part, what: &str) -> Option<Alert> {
    let reason = format!("the delivery that the ledger kept {what}");
    let hash = part.key.0;
    let unreadable = Unreadable { id: String::new(), time: None, bytes: 0, reason, hash, rules: Vec::new() };
    Alert::new(Origin::default(), Vec::new(), vec![unreadable], &[])
}

impl<N: Notify, H: History, D: Directory, L: Ledger> Handler<N, H, D, L> {
    /// Tells a delivery, or this portion of it, or keeps it until it is due: each identity's part for itself.
    pub(super) async fn arrive(
        &self,
        run: &mut Run<'_>,
        alert: Alert,
        (portion, keys): (usize, &[Key]),
        (ledger, pace): &(L, Pace),
    ) -> Result<(), HandlerError<N::Error>> {
        run.report.alert_id = Some(alert.id.to_string());
        let told = ledger.told_of(keys).await;
        // Without an answer none is taken for told.
        let told = self.or_failed(run, told).unwrap_or_default();
        // Whose a record is, all of its delivery decides, told or not: when it is read again, that comes to the same.
        let (parts, whole) = match by_identity(alert) {
            Ok(parts) => (parts, None),
            Err(alert) => (Vec::new(), Some(*alert)),
        };
        if let Some(alert) = whole.and_then(|alert| new_in(alert, &told, run.report)) {
            return self.tell_now(run, &alert, None).await;
        }
        let work = Work::new(ledger, *pace, run);
        let delivery = Delivery::of(run.event);
        let mut result = Ok(());
        for (whose, part) in parts {
            let key = delivery.part(portion, &whose);
            let Some(part) = new_in(part, &told, run.report) else { continue };
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
                let chapter = work.chapter((whose, id), kind, &parts, &Changes::default()).await;
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
            let chapter = work.chapter((whose, id), kind, &parts, &changes(&alert)).await;
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
            let chapter = work.chapter((whose, id), Kind::Closing, &[], &told.changes).await;
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
    async fn read_again(&self, work: &Work<'_, L>, part: &Part) -> Result<Option<Alert>, L::Error> {
        let Some(event) = work.ledger.event(part.key).await? else { return Ok(gone(part, "is gone")) };
        let Ok(inflated) = Inflated::from_event(&event, self.config.max_batch_bytes) else {
            return Ok(gone(part, "can't be read"));
        };
        let batch = inflated.batch(|event| self.config.rules.may_match(event));
        let mut reading = reading::Batch::new(&batch.log_events, &self.config.rules);
        let mut collected = Collected::default();
        while !reading.is_over() {
            let found = reading.next(&mut Report::default(), || true);
            let told = work.ledger.told_of(&found.keys()).await?;
            let matches = found.matches.into_iter().map(|(found, _)| found).collect();
            let alert = Alert::new(Origin::from(&batch.data), matches, found.unreadable, reading.beside());
            let parts = alert.and_then(|alert| by_identity(alert).ok()).unwrap_or_default();
            let theirs = parts.into_iter().filter(|(whose, _)| *whose == part.whose);
            theirs
                .filter_map(|(_, found)| found.without(|record| is_told(record, &told)))
                .for_each(|found| collected.add(found));
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
            Some(Chapter { kind: Kind::Update, .. }) => {
                let deadline = run.deadlines.lookups.min(Instant::now() + self.config.names.timeout());
                Answers::default().with_names(names(&self.directory, alert, deadline).await)
            }
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
            changes: changes(alert),
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
