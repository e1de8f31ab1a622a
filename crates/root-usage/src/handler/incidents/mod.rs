//! Incidents: each identity's part of a delivery is told at once, or kept and told when it is due.

mod work;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::PoisonError;
use std::time::Duration;

use filter_pattern::json::Json;
use futures_util::future::{join, join_all, try_join, try_join_all};
use jiff::Timestamp;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout, timeout_at};

use super::memory::{Key, Limited};
use super::{Handler, HandlerError, Run, reading};
use crate::alert::{Access, Action, Alert, Identity, Match, Origin, Unreadable};
use crate::batch::Inflated;
use crate::directory::{Directory, look_up, names};
use crate::email::{Chapter, Message, digest};
use crate::error::chain;
use crate::history::{Answers, History};
use crate::incident::{Changes, IncidentId, Kind, Pace, Whose, by_identity, changes};
use crate::ledger::{Current, Delivery, Ledger, Part, PartKey, Told};
use crate::notify::Notify;
use crate::record::Record;
use crate::report::{OpenIncident, Report};
use work::{Begun, Entry, Together, Work};

/// How long a mail waits for the ledger.
const LEDGER_TIME: Duration = Duration::from_millis(1500);

/// How long the ledger is left alone after it failed.
const LEDGER_RESTS: Duration = Duration::from_secs(60);

/// The most keys of which it is asked who got them.
const KEYS_MAX: usize = 25;

/// The longest id of a key. Source: IAM API Reference, `AccessKey`.
const KEY_MAX: usize = 128;

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
    /// Some of it may have been told before.
    again: bool,
    /// Two parts may hold one record.
    seen: HashSet<Key>,
}

impl Collected {
    /// A part that was claimed, and what it tells, if all of it wasn't told since.
    fn add_part(&mut self, part: &Part, found: Option<Alert>) {
        self.parts.push(part.key);
        // Whoever had it before may have told it, and not said so.
        self.again |= part.tries > 1;
        found.into_iter().for_each(|found| self.add(found));
    }

    fn add(&mut self, part: Alert) {
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
    fn done(self) -> (Vec<PartKey>, Option<Alert>) {
        let alert = Alert::new(self.origin, self.matches, self.unreadable, &self.beside);
        (self.parts, alert.map(|alert| Alert { may_be_repeated: self.again, ..alert }))
    }
}

/// Keys of root's that may be those of a central root session, where no record here says who got them.
fn unexplained<'a>(parts: impl IntoIterator<Item = &'a Alert>) -> Vec<String> {
    let actors = parts.into_iter().flat_map(|part| &part.actors).filter(|actor| {
        let temporary = matches!(actor.access, Access::CentralRootSession | Access::TemporaryKey { mfa: false });
        actor.identity == Identity::Root && actor.root_call.is_none() && temporary
    });
    let keys = actors.flat_map(|actor| &actor.actions).filter_map(|action| action.record.access_key_id());
    let keys: BTreeSet<&str> = keys.filter(|key| key.len() <= KEY_MAX).collect();
    keys.into_iter().take(KEYS_MAX).map(str::to_owned).collect()
}

/// The record that this text is.
fn record(text: &str) -> Option<Record> {
    Json::parse(text).ok().map(|json| Record::new(text, json))
}

/// A part, given who got the keys that it was done with.
fn with_calls(part: Alert, calls: &[Record]) -> Alert {
    if unexplained([&part]).is_empty() || calls.is_empty() {
        return part;
    }
    let mut collected = Collected { beside: calls.to_vec(), ..Collected::default() };
    collected.add(part.clone());
    collected.done().1.unwrap_or(part)
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
        let work = Work::new(ledger, *pace, run, false);
        // Whose a record is, all of its delivery decides, told or not: when it is read again, that comes to the same.
        let (parts, whole) = match by_identity(alert) {
            Ok(parts) => (parts, None),
            Err(alert) => (Vec::new(), Some(*alert)),
        };
        let delivery = Delivery::of(run.event);
        let parts: Vec<(PartKey, Whose, Alert)> =
            parts.into_iter().map(|(whose, part)| (delivery.part(portion, &whose), whose, part)).collect();
        // All that has to be known, asked for at once.
        let resting = self.is_resting(run);
        let event = run.event;
        let begin = parts.iter().map(|(key, whose, _)| async {
            if resting { None } else { Some(timeout(LEDGER_TIME, work.begin(*key, event, whose)).await) }
        });
        let known =
            async { if resting { None } else { Some(timeout(LEDGER_TIME, self.known(ledger, &parts, keys)).await) } };
        let (begun, known) = join(join_all(begin), known).await;
        // Without an answer none is taken for told.
        let (told, calls) = self.answered(run, known).unwrap_or_default();
        if let Some(alert) = whole.and_then(|alert| new_in(alert, &told, run.report)) {
            return self.tell_now(run, &alert, None).await;
        }
        let mut result = Ok(());
        for ((key, whose, part), begun) in parts.into_iter().zip(begun) {
            let begun = self.answered(run, begun);
            let Some(part) = new_in(part, &told, run.report) else {
                if begun.is_some_and(|begun| begun.is_new()) {
                    self.ask_ledger(run, work.told(&[key], &Told::default())).await;
                }
                continue;
            };
            let part = with_calls(part, &calls);
            // What can't be told of one keeps nothing of the others back.
            let told = self.arrive_part(run, &work, key, &whose, part, begun).await;
            result = result.and(told);
        }
        result
    }

    /// Which of these records were told, and who got the keys that some of them were made with.
    async fn known(
        &self,
        ledger: &L,
        parts: &[(PartKey, Whose, Alert)],
        keys: &[Key],
    ) -> Result<(HashSet<Key>, Vec<Record>), L::Error> {
        let unexplained = unexplained(parts.iter().map(|(_, _, part)| part));
        let calls =
            async { if unexplained.is_empty() { Ok(HashMap::new()) } else { ledger.calls(&unexplained).await } };
        let (told, calls) = try_join(ledger.told_of(keys), calls).await?;
        Ok((told, calls.values().filter_map(|call| record(call)).collect()))
    }

    async fn arrive_part(
        &self,
        run: &mut Run<'_>,
        work: &Work<'_, L>,
        key: PartKey,
        whose: &Whose,
        part: Alert,
        begun: Option<Begun>,
    ) -> Result<(), HandlerError<N::Error>> {
        let count = part.matched() + part.unreadable.len();
        let entry = match begun {
            Some(begun) => self.ask_ledger(run, work.enter(key, whose, &part, begun)).await,
            None => None,
        };
        let (incident, kind, again) = match entry {
            Some(Entry::Waits) => {
                run.report.waiting += count;
                run.report.reported += part.matched();
                return Ok(());
            }
            Some(Entry::Told) => {
                run.report.matched -= part.matched();
                run.report.duplicate += part.matched();
                return Ok(());
            }
            Some(Entry::Tell { incident, kind, again }) => (incident, kind, again),
            // Without a ledger, each delivery has a mail of its own.
            None => {
                self.tell_without_ledger(run, &part).await?;
                run.report.reported += part.matched();
                let told = self.what_is_told(None, &part);
                let told = timeout(LEDGER_TIME, work.told(&[key], &told)).await;
                self.answered(run, Some(told));
                return Ok(());
            }
        };
        let matched = part.matched();
        let part = Alert { may_be_repeated: again, ..part };
        let (parts, alert) = match kind {
            Kind::AtOnce => self.with_what_waits(run, work, incident, key, part).await,
            _ => (vec![key], Some(part)),
        };
        let nothing = Changes::default();
        let chapter = self.ask_ledger(run, work.chapter((whose, incident), kind, &parts, &nothing)).await;
        let Some(alert) = alert else { return Ok(()) };
        self.tell_now(run, &alert, chapter.as_ref()).await?;
        run.report.reported += matched;
        let told = self.what_is_told(chapter.as_ref().map(|chapter| chapter.id), &alert);
        let told = async {
            work.told(&parts, &told).await?;
            // What goes out at once was found to be new before.
            if kind == Kind::First { work.remember(incident, key, &alert).await } else { Ok(()) }
        };
        let told = timeout(LEDGER_TIME, told).await;
        self.answered(run, Some(told));
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
        let waiting = self.ask_ledger(run, work.waiting(id)).await.unwrap_or_default();
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
            let Some(part) = self.ask_ledger(run, work.claim(&part)).await.flatten() else { continue };
            if let Some(found) = self.ask_ledger(run, self.read_again(work, &part)).await {
                collected.add_part(&part, found);
            }
        }
        collected.done()
    }

    /// Tells what is due, or all that is kept, and closes what is quiet.
    pub(super) async fn tick(
        &self,
        run: &mut Run<'_>,
        (ledger, pace): &(L, Pace),
        all: bool,
    ) -> Result<(), HandlerError<N::Error>> {
        if self.is_resting(run) {
            return Ok(());
        }
        let work = Work::new(ledger, *pace, run, all || pace.is_off());
        let due = timeout_at(run.deadlines.reading, work.due()).await;
        let Some((due, overdue)) = self.answered(run, Some(due)) else { return Ok(()) };
        run.report.overdue += overdue;
        let mut result = Ok(());
        for (id, together) in due {
            let told = self.tell_together(run, &work, id, together).await;
            result = result.and(told);
        }
        if all && let Some(left) = self.ask_ledger(run, ledger.parts()).await {
            run.report.left = left.len();
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
        let Together { whose, mut kind, parts, mut closing } = together;
        let alone = parts.iter().any(|part| part.tries > TOGETHER_TRIES);
        let mut collected = Collected::default();
        for part in parts {
            if !collected.parts.is_empty() && (alone || collected.bytes > TOGETHER_BYTES) {
                self.tell_collected(run, work, (&whose, id), kind, std::mem::take(&mut collected)).await?;
                kind = Kind::Update;
            }
            // What there is no time for stays claimed until the lease is over.
            let in_time = (self.clock)() < run.deadlines.reading;
            let again = if in_time { self.ask_ledger(run, self.read_again(work, &part)).await } else { None };
            match again {
                Some(found) => collected.add_part(&part, found),
                // An incident ends with its last part.
                None => closing = None,
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
        let Some(first) = parts.first().copied() else { return Ok(()) };
        let mut told = Told::default();
        if let Some(alert) = &alert {
            let changes = changes(alert);
            let chapter = self.ask_ledger(run, work.chapter((whose, id), kind, &parts, &changes)).await;
            self.tell_now(run, alert, chapter.as_ref()).await?;
            told = self.what_is_told(Some(id), alert);
        }
        let told = async {
            work.told(&parts, &told).await?;
            if let Some(alert) = alert {
                work.spend_minute(id, first).await?;
                work.remember(id, first, &alert).await?;
            }
            Ok(())
        };
        let told = timeout(LEDGER_TIME, told).await;
        self.answered(run, Some(told));
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
        let known = try_join(work.ledger.story(id), work.ledger.current(whose));
        // Without an answer, whoever claims it next tells it.
        let Some((story, goes_on)) = self.ask_ledger(run, known).await else { return Ok(()) };
        let (mut parts, alert) = collected.done();
        let mut told = Told { incident: Some(id), ..Told::default() };
        // An incident that told nothing after its first mail is not closed by another one.
        if story.len() > 1 || alert.is_some() {
            told = alert.as_ref().map_or(told, |alert| self.what_is_told(Some(id), alert));
            let chapter = work.chapter((whose, id), Kind::Closing, &[], &told.changes);
            let Some(chapter) = self.ask_ledger(run, chapter).await else { return Ok(()) };
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
        let told = timeout(LEDGER_TIME, work.told(&parts, &told)).await;
        self.answered(run, Some(told));
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
            let told = if inflated.is_forced() { HashSet::new() } else { work.ledger.told_of(&found.keys()).await? };
            let matches = found.matches.into_iter().map(|(found, _)| found).collect();
            let alert = Alert::new(Origin::from(&batch.data), matches, found.unreadable, reading.beside());
            let Some(alert) = alert else { continue };
            let unexplained = unexplained([&alert]);
            if !unexplained.is_empty() {
                let calls = work.ledger.calls(&unexplained).await?;
                collected.beside.extend(calls.values().filter_map(|call| record(call)));
            }
            let parts = by_identity(alert).unwrap_or_default();
            let theirs = parts.into_iter().filter(|(whose, _)| part.whole || *whose == part.whose);
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

    /// Tells what the ledger can't keep, and keep from being told again.
    async fn tell_without_ledger(&self, run: &mut Run<'_>, part: &Alert) -> Result<(), HandlerError<N::Error>> {
        // What anyone can cause without end would flood the topic; what is not told comes again.
        let limits = Limited::of(part);
        if let Some(limits) = &limits
            && !self.memory.is_open(limits).await
        {
            return Err(HandlerError::Limited);
        }
        let alert = Alert { without_ledger: true, ..part.clone() };
        self.tell_now(run, &alert, None).await?;
        self.memory.sent(&limits.unwrap_or_default()).await;
        Ok(())
    }

    /// Has others know who got these keys.
    pub(super) async fn remember_calls(&self, run: &mut Run<'_>, ledger: &L, calls: &[(String, String)]) {
        if !calls.is_empty() {
            self.ask_ledger(run, ledger.remember_calls(calls)).await;
        }
    }

    /// Says what is open.
    pub(super) async fn list(&self, run: &mut Run<'_>, (ledger, _): &(L, Pace)) {
        let open = async {
            let (current, parts) = try_join(ledger.all_current(), ledger.parts()).await?;
            let mails = try_join_all(current.iter().map(|current| ledger.story(current.id))).await?;
            let open = current.into_iter().zip(mails).map(|(Current { whose, id, opened, last, .. }, mails)| {
                let waiting = || parts.iter().filter(|part| part.whose == whose && !part.closes);
                OpenIncident {
                    id: id.to_string(),
                    who: whose.to_string(),
                    opened,
                    last,
                    mails: mails.iter().filter(|told| told.incident.is_some()).count(),
                    waiting: waiting().count(),
                    until: waiting().map(|part| part.due).min(),
                }
            });
            Ok(open.collect())
        };
        run.report.incidents = self.ask_ledger(run, open).await;
    }

    /// Whether the ledger is left alone: it failed a short while ago.
    fn is_resting(&self, run: &Run<'_>) -> bool {
        run.now < *self.ledger_rests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the ledger answers in time; nothing while it is left alone.
    async fn ask_ledger<T>(&self, run: &mut Run<'_>, call: impl Future<Output = Result<T, L::Error>>) -> Option<T> {
        let answer = if self.is_resting(run) { None } else { Some(timeout(LEDGER_TIME, call).await) };
        self.answered(run, answer)
    }

    /// What the ledger answered, if it was asked and did so in time. A failure is counted and logged, and it is left alone
    /// for a while.
    fn answered<T>(&self, run: &mut Run<'_>, answer: Option<Result<Result<T, L::Error>, Elapsed>>) -> Option<T> {
        let error = match answer? {
            Ok(Ok(answer)) => return Some(answer),
            Ok(Err(error)) => chain(&error),
            Err(_) => "there was no answer in time".to_owned(),
        };
        let seconds = LEDGER_RESTS.as_secs();
        tracing::error!(request_id = run.request_id, error, "the ledger failed: it is left alone for {seconds} s");
        run.report.ledger_failures += 1;
        let until = run.now.saturating_add(LEDGER_RESTS).unwrap_or(Timestamp::MAX);
        *self.ledger_rests.lock().unwrap_or_else(PoisonError::into_inner) = until;
        None
    }
}
