//! The pipeline: from the event that Lambda hands over to the mail, and a report of what was done.

mod memory;
mod reading;
mod request;

use std::collections::HashSet;
use std::error::Error;
use std::io::{self, Write};
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use thiserror::Error;
use tokio::time::{Instant, timeout_at};
use tracing::Level;
use tracing::level_filters::LevelFilter;

use crate::alert::{Alert, Origin};
use crate::batch::{Batch, BatchError, Inflated};
use crate::config::Config;
use crate::email::{DamagedBatch, Message, Short};
use crate::error::chain;
use crate::fault::{Fault, caught, caught_async};
use crate::history::{Answers, By, History, Query, ask};
use crate::notify::{Notify, Receipt, Refusal, Remedy};
use crate::report::{Closing, Report};
use memory::{Key, Limited, Memory};
use reading::Found;
pub use reading::key;
use request::Request;

/// What publishing may need of an invocation's time, and what is left of it afterwards.
const PUBLISHING: Duration = Duration::from_secs(20);

/// What must be left of an invocation's time for an alert to be written out; with less it goes out in its short form.
const WRITING: Duration = Duration::from_secs(12);

/// What must be left for more log events to be read. What is not read by then fails the invocation, so Lambda tries again.
const READING: Duration = Duration::from_secs(14);

/// What is left of an invocation's time to say why it fails.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// One invocation of the function.
#[derive(Debug, Clone, Copy)]
pub struct Invocation<'a> {
    /// The event, as it arrives.
    pub event: &'a str,
    /// Lambda's id of the request.
    pub request_id: &'a str,
    /// How long the invocation may still take.
    pub time_left: Duration,
}

/// Why an invocation failed. Lambda tries it again, and then puts the event into the dead-letter queue.
#[derive(Debug, Error)]
pub enum HandlerError<E: Error + 'static> {
    /// The event can't be read.
    #[error("the event could not be read")]
    Batch(#[from] BatchError),
    /// The mail can't be sent.
    #[error("the mail could not be sent")]
    Notify(#[source] E),
    /// There was no time left to read all log events, or to wait for the answer about a mail that may have been sent.
    #[error("the function's time is over: log events were not read, or a mail was not answered")]
    Time,
    /// This program has a fault.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl<E: Error + 'static> HandlerError<E> {
    /// What kind of error it is, in a word.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Batch(_) => "BatchError",
            Self::Notify(_) => "NotifyError",
            Self::Time => "TimeError",
            Self::Fault(_) => "Fault",
        }
    }

    /// The error and everything that caused it, for a reader.
    #[must_use]
    pub fn chain(&self) -> String {
        chain(self)
    }
}

/// The pipeline, with what it remembers from one invocation to the next.
pub struct Handler<N, H> {
    config: Config,
    notify: N,
    history: H,
    memory: Mutex<Memory>,
    clock: Box<dyn Fn() -> Instant + Send + Sync>,
}

/// How much of an alert a mail told.
#[derive(PartialEq, Eq)]
enum Form {
    /// All of it.
    Whole,
    /// The worst, and nothing of what was held back before.
    Short,
}

/// By when an invocation must have got how far.
#[derive(Debug, Clone, Copy)]
struct Deadlines {
    reading: Instant,
    lookups: Instant,
    writing: Instant,
    publishing: Instant,
}

impl<N: Notify, H: History> Handler<N, H> {
    /// The pipeline with this configuration.
    pub fn new(config: Config, notify: N, history: H) -> Self {
        Self { config, notify, history, memory: Mutex::default(), clock: Box::new(Instant::now) }
    }

    /// The same with another clock.
    #[must_use]
    pub fn with_clock(self, clock: impl Fn() -> Instant + Send + Sync + 'static) -> Self {
        Self { clock: Box::new(clock), ..self }
    }

    /// Where messages go.
    pub fn notify(&self) -> &N {
        &self.notify
    }

    /// Handles one invocation, and writes one line of log about it, which is also its metrics where they are on.
    ///
    /// # Errors
    ///
    /// [`HandlerError`] if the event can't be read or the mail can't be sent.
    pub async fn handle(&self, invocation: Invocation<'_>) -> Result<Report, HandlerError<N::Error>> {
        let started = Instant::now();
        let mut report = Report::default();
        let request = Request::of(invocation.event);
        // Boxed: with the SDK's futures inside each other, the compiler's limit for the depth of a type is passed.
        let run: Pin<Box<dyn Future<Output = _> + '_>> = Box::pin(self.run(invocation, request, started, &mut report));
        let result = caught_async(run).await;
        let result = result.unwrap_or_else(|fault| Err(HandlerError::Fault(fault)));
        // A metric costs money for each hour that has a value, and a heartbeat that came through has nothing to tell.
        let silent = matches!(request, Some(Request::Heartbeat)) && report.history_failures == 0;
        let metrics = self.config.metrics && !silent;
        let level = if result.is_ok() { Level::INFO } else { Level::ERROR };
        if metrics || LevelFilter::current() >= level {
            let error = result.as_ref().err().map(HandlerError::chain);
            let closing = Closing {
                report: &report,
                error: error.as_deref(),
                request_id: invocation.request_id,
                function: &self.config.style.function,
                event_bytes: invocation.event.len(),
                took: started.elapsed(),
                now: Timestamp::now(),
                metrics,
            };
            // Where the log can't be written there is nowhere to say so.
            let _ = io::stdout().write_all(closing.line().as_bytes());
        }
        result.map(|()| report)
    }

    async fn run(
        &self,
        Invocation { event, request_id, time_left }: Invocation<'_>,
        request: Option<Request>,
        started: Instant,
        report: &mut Report,
    ) -> Result<(), HandlerError<N::Error>> {
        let by = |rest: Duration| started + time_left.saturating_sub(rest);
        // Of an invocation that has little time from the start, half is for reading.
        let deadlines = Deadlines {
            reading: by(READING.min(time_left / 2)),
            lookups: by(PUBLISHING),
            writing: by(WRITING.min(time_left * 2 / 5)),
            publishing: by(LAST_WORDS),
        };
        let last = deadlines.publishing;
        match request {
            Some(Request::Test) => return self.test(report, last).await,
            Some(Request::Heartbeat) => {
                self.heartbeat(report, last).await;
                return Ok(());
            }
            None => {}
        }
        let inflated = match Inflated::from_event(event, self.config.max_batch_bytes) {
            Ok(inflated) => inflated,
            Err(fault @ (BatchError::Empty | BatchError::Envelope(_))) => return Err(fault.into()),
            Err(fault) => {
                let damaged = damaged(event, 0, &Batch::default(), &fault);
                self.tell_damaged(event, &damaged, report, last).await;
                return Err(fault.into());
            }
        };
        let mut batch = inflated.batch(|event| self.config.rules.may_match(event));
        report.inflated_bytes = inflated.len();
        if batch.is_control_message() {
            report.ignored = batch.others + batch.log_events.len();
        } else {
            report.ignored = batch.others;
            let mut log_events = batch.log_events.iter();
            let mut seen = HashSet::new();
            let mut beside = Vec::new();
            while log_events.len() > 0 {
                let found = {
                    let mailed = &self.memory().mailed;
                    let in_time = || (self.clock)() < deadlines.reading;
                    Found::next(&mut log_events, &self.config.rules, mailed, &mut seen, &mut beside, report, in_time)
                };
                let cut = found.cut;
                let origin = Origin::from(&batch.data);
                if let Some(alert) = Alert::new(origin, found.matches, found.unreadable, &beside) {
                    self.tell(alert, found.keys, report, deadlines, request_id).await?;
                }
                if cut {
                    return Err(HandlerError::Time);
                }
            }
        }
        // What could be read is mailed by now; the rest will be unreadable for ever.
        let Some(fault) = batch.fault.take() else { return Ok(()) };
        let damaged = damaged(event, inflated.len(), &batch, &fault);
        self.tell_damaged(event, &damaged, report, last).await;
        Err(fault.into())
    }

    /// Mails an alert, or holds it back where too many of its kind come.
    async fn tell(
        &self,
        mut alert: Alert,
        keys: Vec<Key>,
        report: &mut Report,
        deadlines: Deadlines,
        request_id: &str,
    ) -> Result<(), HandlerError<N::Error>> {
        let limits = Limited::of(&alert);
        report.alert_id = Some(alert.id.to_string());
        {
            let mut memory = self.memory();
            if let Some(limits) = &limits
                && !memory.is_open(limits)
            {
                memory.hold(&alert);
                memory.mailed.remember(keys);
                report.held_back += alert.matched() + alert.unreadable.len();
                return Ok(());
            }
            alert.held = memory.held();
            alert.may_be_repeated = memory.unanswered.has(&alert.id);
        }
        let mut answers = Answers::default();
        if let Some(reach) = self.config.history {
            let late = (self.clock)() >= deadlines.lookups;
            let deadline = if late { Instant::now() } else { deadlines.lookups.min(Instant::now() + reach.timeout) };
            answers = ask(&self.history, &alert, reach, deadline).await;
            report.history_failures += answers.failures;
        }
        let result = self.publish_alert(&alert, &answers, report, deadlines, request_id).await;
        let mut memory = self.memory();
        match &result {
            Err(error) => {
                let lost = match error {
                    HandlerError::Time => true,
                    HandlerError::Notify(error) => error.may_have_arrived(),
                    HandlerError::Batch(_) | HandlerError::Fault(_) => false,
                };
                memory.unanswered.remember(lost.then_some(alert.id));
            }
            Ok(form) => {
                // Only what was mailed is remembered: what was not must be found again when Lambda retries.
                memory.mailed.remember(keys);
                memory.sent(&limits.unwrap_or_default());
                if *form == Form::Whole {
                    memory.told(&alert.held);
                }
            }
        }
        result.map(|_| ())
    }

    /// Publishes an alert; if there is no time to write it out, or if that message will never be taken, in a form that is
    /// short and sure to be.
    async fn publish_alert(
        &self,
        alert: &Alert,
        answers: &Answers,
        report: &mut Report,
        deadlines: Deadlines,
        request_id: &str,
    ) -> Result<Form, HandlerError<N::Error>> {
        let last = deadlines.publishing;
        let (why, error) = match self.write(alert, answers, deadlines) {
            Ok(message) => match self.publish(&message, report, last).await {
                Err(HandlerError::Notify(error)) if error.remedy() == Remedy::Rephrase => {
                    (Short::Refused, chain(&error))
                }
                result => return result.map(|()| Form::Whole),
            },
            Err(short) => short,
        };
        let alert_id = alert.id.to_string();
        tracing::error!(request_id, alert_id, error, "the alert is sent in its short form");
        self.publish(&Message::short(alert, why), report, last).await.map(|()| Form::Short)
    }

    /// Writes an alert out, or says why that can't be.
    fn write(&self, alert: &Alert, answers: &Answers, deadlines: Deadlines) -> Result<Message, (Short, String)> {
        let in_time = || (self.clock)() < deadlines.writing;
        let late = || (Short::Time, "there is no time to write it out".to_owned());
        if !in_time() {
            return Err(late());
        }
        match caught(|| Message::within(alert, answers, &self.config.style, in_time)) {
            Ok(Ok(Some(message))) => Ok(message),
            Ok(Ok(None)) => Err(late()),
            Ok(Err(error)) => Err((Short::Fault, chain(&error))),
            Err(fault) => Err((Short::Fault, fault.to_string())),
        }
    }

    /// Publishes a message, and gives up while there is time to say so.
    async fn publish(
        &self,
        message: &Message,
        report: &mut Report,
        last: Instant,
    ) -> Result<(), HandlerError<N::Error>> {
        let result = match timeout_at(last, self.notify.publish(message)).await {
            Ok(result) => result.map_err(HandlerError::Notify),
            Err(_) => Err(HandlerError::Time),
        };
        match result {
            Ok(Receipt { message_id }) => {
                report.mails += 1;
                report.message_id = Some(message_id);
                Ok(())
            }
            Err(error) => {
                report.publish_failures += 1;
                Err(error)
            }
        }
    }

    /// Mails that a batch can't be read: once for each, and one in a while for all.
    async fn tell_damaged(&self, event: &str, damaged: &DamagedBatch, report: &mut Report, last: Instant) {
        let key = Sha256::digest(event).into();
        {
            let mut memory = self.memory();
            if memory.mailed.has(&key) {
                return;
            }
            if !memory.is_open(&[Limited::Damaged]) {
                memory.hold_damaged();
                memory.mailed.remember([key]);
                return;
            }
        }
        let Ok(message) = Message::damaged(damaged, &self.config.style) else { return };
        // The invocation fails whatever comes of this.
        match self.publish(&message, report, last).await {
            Ok(()) => {
                let mut memory = self.memory();
                memory.mailed.remember([key]);
                memory.sent(&[Limited::Damaged]);
            }
            Err(error) => {
                tracing::error!(error = error.chain(), "the mail about an unreadable batch could not be sent");
            }
        }
    }

    /// Mails a test, at most one in a minute: whoever may invoke the function is not to flood the topic.
    async fn test(&self, report: &mut Report, last: Instant) -> Result<(), HandlerError<N::Error>> {
        if !self.memory().is_open(&[Limited::Test]) {
            tracing::warn!("a test went out less than a minute ago");
            return Ok(());
        }
        self.memory().sent(&[Limited::Test]);
        match Message::test(&self.config.style, &self.config.rules, Timestamp::now()) {
            Ok(message) => self.publish(&message, report, last).await,
            Err(error) => Err(Fault::from(&error as &dyn Error).into()),
        }
    }

    /// Makes a call that CloudTrail records, so that even a quiet account writes to its log group.
    ///
    /// A call that is denied is recorded too, and one that never arrives shows as silence.
    async fn heartbeat(&self, report: &mut Report, last: Instant) {
        let Some(topic) = &self.config.alert_topic else { return };
        let to = Timestamp::now();
        let from = to.checked_sub(SignedDuration::from_mins(1)).unwrap_or(to);
        let query = Query { region: topic.region().to_owned(), by: By::Root, from, to, page: None };
        match timeout_at(last, self.history.look_up(&query, last)).await {
            Ok(Ok(_)) => return,
            Ok(Err(error)) => tracing::warn!(error = chain(&error), "no heartbeat"),
            Err(_) => tracing::warn!("no heartbeat in time"),
        }
        report.history_failures += 1;
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn damaged(event: &str, inflated_bytes: usize, batch: &Batch<'_>, fault: &BatchError) -> DamagedBatch {
    DamagedBatch {
        origin: Origin::from(&batch.data),
        reason: chain(fault),
        event_bytes: event.len(),
        inflated_bytes,
        log_events: batch.others + batch.log_events.len(),
        time: Timestamp::now(),
    }
}
