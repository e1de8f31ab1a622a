//! What a tick does: it tells what is due, and closes what is quiet.

use std::mem::take;

use futures_util::future::{try_join, try_join_all, try_join3};
use tokio::time::{Instant, timeout, timeout_at};

use super::super::{Handler, HandlerError, Run};
use super::answer::LEDGER_TIME;
use super::collected::{Collected, TOGETHER_BYTES, gone};
use super::due::Together;
use super::work::{Occasion, Work};
use crate::alert::Severity;
use crate::directory::{Directory, look_up};
use crate::email::{Ending, Message};
use crate::fault::caught_async;
use crate::history::History;
use crate::incident::{IncidentId, Kind, Pace, Whose, changes};
use crate::ledger::{Current, Ledger, Part, Told};
use crate::notify::Notify;
use crate::report::OpenIncident;

/// After so many tries, what is to be told of an incident together is told one by one.
const TOGETHER_TRIES: u32 = 3;

impl<N: Notify, H: History, D: Directory, L: Ledger> Handler<N, H, D, L> {
    /// Tells what is due, or all that is kept, and closes what is quiet.
    pub(in super::super) async fn tick(
        &self,
        run: &mut Run<'_>,
        (ledger, pace): &(L, Pace),
        (asked, all): (bool, bool),
    ) -> Result<(), HandlerError<N::Error>> {
        // A tick is not kept away by what failed for a delivery: otherwise one failure a minute would be enough.
        if asked {
            self.wake_ledger();
        }
        if self.is_resting(run) {
            return Ok(());
        }
        let work = Work::new(ledger, *pace, run, all || pace.is_off());
        let Some((groups, overdue)) = self.ask_until(run, run.deadlines.reading, work.backlog()).await else {
            return Ok(());
        };
        run.report.overdue += overdue;
        let mut result = Ok(());
        for group in groups {
            // What was not claimed by then is the next tick's.
            if (self.clock)() >= run.deadlines.reading {
                break;
            }
            let claimed = timeout_at(run.deadlines.reading, work.claim_group(group)).await;
            let Ok((due, claimed)) = claimed else { break };
            for (id, together) in due {
                let told = caught_async(Box::pin(self.tell_together(run, &work, id, together))).await;
                result = result.and(told.unwrap_or_else(|fault| Err(fault.into())));
            }
            // After what could be claimed is told.
            self.answered(run, Some(Ok(claimed)));
        }
        if all && let Some(left) = self.ask_ledger(run, ledger.parts()).await {
            run.report.left = Some(left.len());
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
        if together.tries() > TOGETHER_TRIES {
            return self.tell_one_by_one(run, work, id, together).await;
        }
        let Together { whose, mut kind, parts, mut closing } = together;
        let mut collected = Collected::default();
        for part in parts {
            if !collected.parts.is_empty() && collected.bytes > TOGETHER_BYTES {
                self.tell_collected(run, work, (&whose, id), kind, take(&mut collected)).await?;
                kind = Kind::Update;
            }
            // What there is no time for stays claimed until the lease is over.
            let in_time = (self.clock)() < run.deadlines.reading;
            let again = if in_time {
                self.ask_until(run, run.deadlines.reading, self.read_again(work, &part)).await
            } else {
                None
            };
            match again {
                Some(found) => collected.add_part(&part, found),
                // An incident ends with its last part.
                None => closing = None,
            }
        }
        match closing {
            Some(closing) => self.tell_closing(run, work, (&whose, id), closing, collected).await,
            None => self.tell_collected(run, work, (&whose, id), kind, collected).await,
        }
    }

    /// Tells each part of an incident in a mail of its own: one of them could not be told several times, and the others
    /// wait for it no longer.
    async fn tell_one_by_one(
        &self,
        run: &mut Run<'_>,
        work: &Work<'_, L>,
        id: IncidentId,
        Together { whose, mut kind, mut parts, mut closing }: Together,
    ) -> Result<(), HandlerError<N::Error>> {
        let mut result = Ok(());
        // Each time another one is the first.
        let first = parts.first().map_or(0, |part| part.tries as usize % parts.len());
        parts.rotate_left(first);
        for part in parts {
            let told = caught_async(Box::pin(self.tell_one(run, work, (&whose, id), kind, &part))).await;
            let told = match told {
                Ok(Some(told)) => told,
                Ok(None) => {
                    closing = None;
                    continue;
                }
                // It will be so each time.
                Err(fault) => {
                    let mut collected = Collected::default();
                    collected.add_part(&part, gone(&part, &format!("could not be told: {fault}")));
                    self.tell_collected(run, work, (&whose, id), kind, collected).await
                }
            };
            if told.is_err() {
                // An incident ends with its last part.
                closing = None;
            }
            result = result.and(told);
            kind = Kind::Update;
        }
        match closing {
            Some(closing) => {
                let told = self.tell_closing(run, work, (&whose, id), closing, Collected::default()).await;
                result.and(told)
            }
            None => result,
        }
    }

    /// Nothing, if the ledger gave no answer.
    async fn tell_one(
        &self,
        run: &mut Run<'_>,
        work: &Work<'_, L>,
        of: (&Whose, IncidentId),
        kind: Kind,
        part: &Part,
    ) -> Option<Result<(), HandlerError<N::Error>>> {
        let found = self.ask_until(run, run.deadlines.reading, self.read_again(work, part)).await?;
        let mut collected = Collected::default();
        collected.add_part(part, found);
        Some(self.tell_collected(run, work, of, kind, collected).await)
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
            let grave = kind == Kind::Update && alert.severity() <= Severity::High;
            let why = if grave { self.ask_ledger(run, work.waited(id, &parts, alert)).await.flatten() } else { None };
            // It waited for its minute only, and is told as what would have come at once.
            let told_as = if why.is_some() { Kind::AtOnce } else { kind };
            let occasion = Occasion { why, ..Occasion::new(id, told_as) };
            let chapter = self.ask_ledger(run, work.chapter(whose, occasion, &parts, &changes)).await;
            self.tell_now(run, alert, chapter.as_ref()).await?;
            // Some of it is told in place of an invocation that came no further than to keep it, and reported nothing.
            if kind != Kind::Update {
                run.report.reported += alert.matched();
            }
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
        closing: Part,
        collected: Collected,
    ) -> Result<(), HandlerError<N::Error>> {
        let known = try_join3(work.ledger.story(id), work.ledger.so_far(id), work.ledger.current(whose));
        // Without an answer, whoever claims it next tells it.
        let Some((story, so_far, goes_on)) = self.ask_ledger(run, known).await else { return Ok(()) };
        let (mut parts, alert) = collected.done();
        let mut told = Told { incident: Some(id), ..Told::default() };
        // An incident that told nothing after its first mail is not closed by another one.
        if story.len() > 1 || alert.is_some() {
            told = alert.as_ref().map_or(told, |alert| self.what_is_told(Some(id), alert));
            let occasion = Occasion { opened: closing.opened, ..Occasion::new(id, Kind::Closing) };
            let chapter = work.chapter(whose, occasion, &[], &told.changes);
            let Some(chapter) = self.ask_ledger(run, chapter).await else { return Ok(()) };
            let accounts = whose.account();
            let deadline = run.deadlines.lookups.min(Instant::now() + self.config.names.timeout());
            let names = look_up(&self.directory, accounts.into_iter(), deadline).await;
            // What was not read again is only counted: a mail shows the last lines.
            let read: usize = story.iter().map(|told| told.digest.len()).sum();
            let unread = so_far.lines.saturating_sub(read);
            let lines: Vec<&str> =
                story.iter().chain([&told]).flat_map(|told| &told.digest).map(String::as_str).collect();
            let ending = Ending { story: &lines, unread, last: alert.as_ref(), goes_on: goes_on.is_some() };
            let fits = |message: &Message| self.notify.fits(message);
            let message = Message::closing(&chapter, whose, &ending, &names, &self.config.style, fits);
            self.publish(run, &message).await?;
        }
        parts.push(closing.key);
        let told = timeout(LEDGER_TIME, work.told(&parts, &told)).await;
        self.answered(run, Some(told));
        Ok(())
    }

    /// Says what is open, and what waits though it is over or has no incident yet.
    pub(in super::super) async fn list(&self, run: &mut Run<'_>, (ledger, _): &(L, Pace)) {
        let open = async {
            let (current, mut parts) = try_join(ledger.all_current(), ledger.parts()).await?;
            let mut all: Vec<(Option<IncidentId>, OpenIncident)> = Vec::new();
            for Current { whose, id, opened, last, .. } in current {
                let is_its = |part: &mut Part| {
                    part.whose == whose && !part.closes && part.incident.is_none_or(|incident| incident == id)
                };
                let waiting: Vec<Part> = parts.extract_if(.., is_its).collect();
                let open = listed(&whose, Some(id), &waiting);
                all.push((Some(id), OpenIncident { opened: Some(opened), last: Some(last), ..open }));
            }
            while let Some(first) = parts.first().cloned() {
                let is_its = |part: &mut Part| part.whose == first.whose && part.incident == first.incident;
                let waiting: Vec<Part> = parts.extract_if(.., is_its).collect();
                let opened = waiting.iter().find_map(|part| part.opened);
                let over = listed(&first.whose, first.incident, &waiting);
                all.push((first.incident, OpenIncident { opened, ..over }));
            }
            let counted = all.into_iter().map(|(id, open)| async move {
                let mails = match id {
                    Some(id) => ledger.so_far(id).await?.mails,
                    None => 0,
                };
                Ok(OpenIncident { mails, ..open })
            });
            try_join_all(counted).await
        };
        run.report.incidents = self.ask_ledger(run, open).await;
    }
}

/// What is listed of an incident, given what waits of it.
fn listed(whose: &Whose, id: Option<IncidentId>, waiting: &[Part]) -> OpenIncident {
    OpenIncident {
        id: id.map(|id| id.to_string()),
        who: whose.to_string(),
        opened: None,
        last: None,
        mails: 0,
        waiting: waiting.iter().filter(|part| !part.closes).count(),
        closing: waiting.iter().any(|part| part.closes),
        until: waiting.iter().map(|part| part.due).min(),
    }
}
