//! Incidents: each identity's part of a delivery is told at once, or kept and told when it is due.

mod answer;
mod collected;
mod due;
mod tick;
mod work;

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::{join, join_all, try_join};
use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, timeout};

use super::memory::{Key, Limited};
use super::{Handler, HandlerError, Run, reading};
use crate::alert::{Alert, Origin};
use crate::batch::{Batch, Inflated};
use crate::directory::{Directory, names};
use crate::email::{Chapter, digest};
use crate::history::{Answers, History};
use crate::incident::{IncidentId, Kind, Pace, Whose, by_identity, changes};
use crate::ledger::{Delivery, Ledger, Part, PartKey, Told};
use crate::notify::Notify;
use crate::record::Record;
use crate::report::Report;
pub(super) use answer::LEDGER_TIME;
use collected::{Collected, TOGETHER_BYTES, gone, is_told, keys, new_in, record, unexplained, with_calls};
use work::{Begun, Entry, Work};

/// How long ago a record was told that comes again as a retry or as CloudTrail's second copy, and counts as reported.
/// Whoever sends the function what it told longer ago must not make it seem that records still arrive.
const LATELY: SignedDuration = SignedDuration::from_mins(15);

/// The most parts that a mail at once takes along: each costs some round trips.
const TAKEN_ALONG: usize = 50;

/// What is left of a mail's time with the ledger when nothing more is taken along: for its number.
const NUMBERING: Duration = Duration::from_millis(500);

/// Of records that were told, whether that was lately.
pub(super) fn lately(told: HashMap<Key, Timestamp>, now: Timestamp) -> HashMap<Key, bool> {
    told.into_iter().map(|(key, at)| (key, now.duration_since(at) <= LATELY)).collect()
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
        let (event, time, began) = (run.event, run.ledger, Instant::now());
        let begin = parts.iter().map(|(key, whose, _)| async {
            if resting { None } else { Some(timeout(time, work.begin(*key, event, whose)).await) }
        });
        let known = async { if resting { None } else { Some(timeout(time, self.known(ledger, &parts, keys)).await) } };
        let (begun, known) = join(join_all(begin), known).await;
        run.ledger = time.saturating_sub(began.elapsed());
        // Without an answer none is taken for told.
        let (told, calls) = self.answered(run, known).unwrap_or_default();
        let told = lately(told, run.now);
        if let Some(alert) = whole {
            return self.tell_whole(run, &work, delivery.portion(portion), alert, &told).await;
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

    /// Tells a delivery of more identities than have an incident each in a mail of its own, once.
    async fn tell_whole(
        &self,
        run: &mut Run<'_>,
        work: &Work<'_, L>,
        key: PartKey,
        alert: Alert,
        told: &HashMap<Key, bool>,
    ) -> Result<(), HandlerError<N::Error>> {
        if self.ask_before_mail(run, work.ledger.is_told(key)).await == Some(true) {
            run.report.matched -= alert.matched();
            run.report.duplicate += alert.matched();
            return Ok(());
        }
        let Some(alert) = new_in(alert, told, run.report) else { return Ok(()) };
        self.tell_now(run, &alert, None).await?;
        run.report.reported += alert.matched();
        let told = self.what_is_told(None, &alert);
        self.ask_ledger(run, work.told(&[key], &told)).await;
        Ok(())
    }

    /// Which of these records were told, and who got the keys that some of them were made with.
    async fn known(
        &self,
        ledger: &L,
        parts: &[(PartKey, Whose, Alert)],
        keys: &[Key],
    ) -> Result<(HashMap<Key, Timestamp>, Vec<Record>), L::Error> {
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
            Some(begun) => self.ask_before_mail(run, work.enter(key, whose, &part, begun)).await,
            None => None,
        };
        let (occasion, again) = match entry {
            Some(Entry::Waits) => {
                run.report.waiting += count;
                run.report.reported += part.matched();
                return Ok(());
            }
            // Whoever kept it has reported it: a delivery that anyone may send again says nothing of the subscription.
            Some(Entry::Known) => {
                run.report.waiting += count;
                return Ok(());
            }
            Some(Entry::Told) => {
                run.report.matched -= part.matched();
                run.report.duplicate += part.matched();
                return Ok(());
            }
            Some(Entry::Tell { occasion, again }) => (occasion, again),
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
        let (parts, alert) = match occasion.kind {
            Kind::AtOnce => self.with_what_waits(run, work, occasion.id, key, part).await,
            _ => (vec![key], Some(part)),
        };
        let Some(alert) = alert else { return Ok(()) };
        let (id, is_first) = (occasion.id, occasion.kind == Kind::First);
        let chapter = self.ask_before_mail(run, work.chapter(whose, occasion, &parts, &changes(&alert))).await;
        self.tell_now(run, &alert, chapter.as_ref()).await?;
        run.report.reported += matched;
        let told = self.what_is_told(chapter.as_ref().map(|chapter| chapter.id), &alert);
        let told = async {
            work.told(&parts, &told).await?;
            // What goes out at once was found to be new before.
            if is_first { work.remember(id, key, &alert).await } else { Ok(()) }
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
        // What is harmless delays nothing: only what is left of this mail's time with the ledger is for it.
        let (time, began) = (run.ledger, Instant::now());
        let until = run.deadlines.lookups.min(began + time.saturating_sub(NUMBERING));
        let taken = self.take_along(run, work, id, (key, part), until).await;
        run.ledger = time.saturating_sub(began.elapsed()).max(time.min(NUMBERING));
        taken
    }

    async fn take_along(
        &self,
        run: &mut Run<'_>,
        work: &Work<'_, L>,
        id: IncidentId,
        (key, part): (PartKey, Alert),
        until: Instant,
    ) -> (Vec<PartKey>, Option<Alert>) {
        let waiting = self.ask_until(run, until, work.waiting(id)).await.unwrap_or_default();
        if waiting.is_empty() {
            return (vec![key], Some(part));
        }
        let mut collected = Collected::default();
        collected.parts.push(key);
        collected.add(part);
        for part in waiting.into_iter().take(TAKEN_ALONG) {
            // The rest goes into the next update: this one is waited for.
            if collected.bytes > TOGETHER_BYTES || (self.clock)() >= until {
                break;
            }
            let Some(part) = self.ask_until(run, until, work.claim(&part)).await.flatten() else { continue };
            if let Some(found) = self.ask_until(run, until, self.read_again(work, &part)).await {
                collected.add_part(&part, found);
            }
        }
        collected.done()
    }

    /// What a part tells, read again from its delivery; nothing if all of it was told since, in other deliveries.
    async fn read_again(&self, work: &Work<'_, L>, part: &Part) -> Result<Option<Alert>, L::Error> {
        let Some(event) = work.ledger.event(part.key).await? else { return Ok(gone(part, "is gone")) };
        let Ok(inflated) = Inflated::from_event(&event, self.config.max_batch_bytes) else {
            return Ok(gone(part, "can't be read"));
        };
        let batch = reading::candidates(&inflated, &self.config.rules);
        // The other portions of its delivery are other parts, which are told by themselves.
        let own = self.portions(&batch).find_map(|(portion, alert)| match by_identity(alert) {
            Ok(parts) => {
                let delivery = Delivery::of(&event);
                parts.into_iter().find(|(whose, _)| delivery.part(portion, whose) == part.key).map(|(_, found)| found)
            }
            Err(_) => None,
        });
        let theirs = match own {
            Some(found) => vec![found],
            // With other rules than before, or after time ran out, it was taken apart elsewhere.
            None => self.all_of(part, &batch),
        };
        if theirs.is_empty() {
            return Ok(gone(part, "matches no rule any more"));
        }
        let mut collected = Collected::default();
        for found in theirs {
            let unexplained = unexplained([&found]);
            if !unexplained.is_empty() {
                let calls = work.ledger.calls(&unexplained).await?;
                collected.beside.extend(calls.values().filter_map(|call| record(call)));
            }
            let keys: Vec<Key> = if inflated.is_forced() { Vec::new() } else { keys(&found) };
            let told = if keys.is_empty() { HashMap::new() } else { work.ledger.told_of(&keys).await? };
            if let Some(found) = found.without(|record| is_told(record, &told)) {
                collected.add(found);
            }
        }
        Ok(collected.done().1)
    }

    /// What a delivery tells, one portion after the other as when it came, so that there is one of them in memory.
    fn portions<'b>(&'b self, batch: &'b Batch<'b>) -> impl Iterator<Item = (usize, Alert)> + 'b {
        let mut reading = reading::Batch::new(&batch.log_events, &self.config.rules);
        let next = move || {
            (!reading.is_over()).then(|| {
                let found = reading.next(&mut Report::default(), &|| true);
                let matches = found.matches.into_iter().map(|(found, _)| found).collect();
                Alert::new(Origin::from(&batch.data), matches, found.unreadable, reading.beside())
            })
        };
        let portions = std::iter::from_fn(next).enumerate();
        portions.filter_map(|(portion, alert)| Some((portion, alert?)))
    }

    /// All of a delivery that is of a part's identity.
    fn all_of(&self, part: &Part, batch: &Batch<'_>) -> Vec<Alert> {
        let theirs = |alert| match by_identity(alert) {
            Ok(parts) => {
                let theirs = parts.into_iter().filter(|(whose, _)| part.whole || *whose == part.whose);
                theirs.map(|(_, found)| found).collect()
            }
            // With other rules than before it may have more identities.
            Err(alert) => vec![*alert],
        };
        self.portions(batch).flat_map(|(_, alert)| theirs(alert)).collect()
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
}
