//! The pipeline: from the event that Lambda hands over to the mail, and a report of what was done.

mod memory;

use std::collections::HashSet;
use std::error::Error;
use std::io::{self, Write};
use std::pin::Pin;
use std::slice;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use thiserror::Error;
use tokio::time::{Instant, timeout_at};

use crate::alert::{Alert, Match, Origin, Severity, Unreadable};
use crate::batch::{Batch, BatchError, Inflated, LogEvent};
use crate::config::{Config, chain};
use crate::email::{DamagedBatch, Message};
use crate::fault::{Fault, caught, caught_async};
use crate::history::{By, History, Query, relate};
use crate::json::Json;
use crate::metrics;
use crate::notify::{Notify, Receipt, Refusal, Remedy};
use crate::record::Record;
use crate::rule::{Rule, RuleSet};
use memory::{Key, Limit, Memory};

/// What publishing may need of an invocation's time, and what is left of it afterwards.
const PUBLISHING: Duration = Duration::from_secs(20);

/// The most bytes that one mail's matches may take in memory; what is over makes another mail.
///
/// With a batch of 32 MiB around it, the function stays within 96 of its 128 MB.
const FOUND_MAX: usize = 24 << 20;

/// What a log event that was found takes beside its record: its keys, its place in every list and order.
const FOUND_EACH: usize = 512;

/// The most bytes of a log event that are read, as it stands in the batch.
///
/// CloudTrail sends no record of more than 256 KB to CloudWatch Logs, and escapes at most double that. Source: CloudTrail
/// User Guide, "Monitoring CloudTrail Log Files with Amazon CloudWatch Logs".
const LOG_EVENT_MAX: usize = 1 << 20;

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

/// What one invocation did. Every log event is counted in exactly one of the first four.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Log events that match no rule.
    pub ignored: usize,
    /// Log events that match a rule and are in the mail, or are held back.
    pub matched: usize,
    /// Log events that match a rule and were in this batch, or in a mail, already.
    pub duplicate: usize,
    /// Log events that are no JSON object, though they hold a text that a rule can't match without.
    pub unreadable: usize,
    /// Matched and unreadable log events whose mail was held back. A later mail tells their number.
    pub held_back: usize,
    /// Bytes that the payload inflated to.
    pub inflated_bytes: usize,
    /// Look-ups in the event history that failed.
    pub history_failures: usize,
    /// Attempts to publish a mail that failed.
    pub publish_failures: usize,
    /// Mails published.
    pub mails: usize,
    /// The name of the alert, if there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alert_id: Option<String>,
    /// The id under which the last mail was taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
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
    /// The mail may have been sent, but there is no time left to wait for the answer.
    #[error("the mail could not be sent: the function's time is over")]
    Time,
    /// This program has a fault.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl Report {
    /// Adds the counts of another invocation.
    pub fn add(&mut self, other: &Self) {
        self.ignored += other.ignored;
        self.matched += other.matched;
        self.duplicate += other.duplicate;
        self.unreadable += other.unreadable;
        self.held_back += other.held_back;
        self.inflated_bytes += other.inflated_bytes;
        self.history_failures += other.history_failures;
        self.publish_failures += other.publish_failures;
        self.mails += other.mails;
    }

    /// All log events.
    #[must_use]
    pub fn log_events(&self) -> usize {
        self.ignored + self.matched + self.duplicate + self.unreadable
    }
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
}

/// What a batch held that somebody should know.
#[derive(Default)]
struct Found {
    matches: Vec<Match>,
    unreadable: Vec<Unreadable>,
    keys: Vec<Key>,
}

/// An invocation that is no batch.
enum Request {
    /// `{"test":{}}`: show that mails arrive.
    Test,
    /// `{"heartbeat":{}}`: make a call that CloudTrail records.
    Heartbeat,
}

impl Request {
    /// What an event asks for. One that brings log events never asks for anything else, so that no record can pass for
    /// a test.
    fn of(event: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Keys<'a> {
            #[serde(borrow)]
            awslogs: Option<&'a RawValue>,
            #[serde(borrow)]
            test: Option<&'a RawValue>,
            #[serde(borrow)]
            heartbeat: Option<&'a RawValue>,
        }
        // Batches are longer: they are not read twice.
        if event.len() > 1024 {
            return None;
        }
        match serde_json::from_str(event).ok()? {
            Keys { awslogs: None, test: Some(_), .. } => Some(Self::Test),
            Keys { awslogs: None, heartbeat: Some(_), .. } => Some(Self::Heartbeat),
            _ => None,
        }
    }
}

/// A kind of mail that is limited.
type Kind = fn(&mut Memory) -> &mut Limit;

/// The limit that an alert falls under: what anyone can cause without end must not flood the topic.
fn kind(alert: &Alert) -> Option<Kind> {
    if alert.actors.is_empty() {
        Some(|memory| &mut memory.unreadable)
    } else if alert.severity() == Severity::Low {
        Some(|memory| &mut memory.low)
    } else {
        None
    }
}

impl<N: Notify, H: History> Handler<N, H> {
    /// The pipeline with this configuration.
    pub fn new(config: Config, notify: N, history: H) -> Self {
        Self { config, notify, history, memory: Mutex::default() }
    }

    /// Where messages go.
    pub fn notify(&self) -> &N {
        &self.notify
    }

    /// Handles one invocation, and writes one line of log about it, and one of metrics where they are on.
    ///
    /// # Errors
    ///
    /// [`HandlerError`] if the event can't be read or the mail can't be sent.
    pub async fn handle(&self, invocation: Invocation<'_>) -> Result<Report, HandlerError<N::Error>> {
        let started = Instant::now();
        let mut report = Report::default();
        // Boxed: with the SDK's futures inside each other, the compiler's limit for the depth of a type is passed.
        let run: Pin<Box<dyn Future<Output = _> + '_>> = Box::pin(self.run(invocation, started, &mut report));
        let result = caught_async(run).await;
        let result = result.unwrap_or_else(|fault| Err(HandlerError::Fault(fault)));
        let took = started.elapsed();
        macro_rules! closing_event {
            ($level:ident, $message:literal $(, $field:ident = $value:expr)*) => {
                tracing::$level!(
                    request_id = invocation.request_id,
                    event_bytes = invocation.event.len(),
                    inflated_bytes = report.inflated_bytes,
                    ignored = report.ignored,
                    matched = report.matched,
                    duplicate = report.duplicate,
                    unreadable = report.unreadable,
                    held_back = report.held_back,
                    history_failures = report.history_failures,
                    publish_failures = report.publish_failures,
                    mails = report.mails,
                    alert_id = report.alert_id,
                    message_id = report.message_id,
                    duration_ms = took.as_secs_f64() * 1000.0,
                    $($field = $value,)*
                    $message
                )
            };
        }
        match &result {
            Ok(()) => closing_event!(info, "handled"),
            Err(error) => closing_event!(error, "failed", error = error.chain()),
        }
        // A metric costs money for each hour that has a value, and a heartbeat that came through has nothing to tell.
        let silent = matches!(Request::of(invocation.event), Some(Request::Heartbeat)) && report.history_failures == 0;
        if self.config.metrics && !silent {
            let line = metrics::line(&report, &self.config.style.function, took, Timestamp::now());
            // The log has the figures too.
            let _ = writeln!(io::stdout(), "{line}");
        }
        result.map(|()| report)
    }

    async fn run(
        &self,
        Invocation { event, request_id, time_left }: Invocation<'_>,
        started: Instant,
        report: &mut Report,
    ) -> Result<(), HandlerError<N::Error>> {
        let last = started + time_left.saturating_sub(LAST_WORDS);
        match Request::of(event) {
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
            let lookups_end = started + time_left.saturating_sub(PUBLISHING);
            let mut log_events = batch.log_events.iter();
            let mut seen = HashSet::new();
            while log_events.len() > 0 {
                let found = self.find(&mut log_events, &mut seen, report);
                if let Some(alert) = Alert::new(origin(&batch), found.matches, found.unreadable) {
                    self.tell(alert, found.keys, report, lookups_end, last, request_id).await?;
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
        lookups_end: Instant,
        last: Instant,
        request_id: &str,
    ) -> Result<(), HandlerError<N::Error>> {
        let kind = kind(&alert);
        report.alert_id = Some(alert.id.to_string());
        {
            let mut memory = self.memory();
            if let Some(kind) = kind
                && !kind(&mut memory).is_open()
            {
                let count = alert.matched() + alert.unreadable.len();
                kind(&mut memory).hold(count);
                memory.mailed.remember(keys);
                report.held_back += count;
                return Ok(());
            }
            alert.held = memory.held();
            alert.may_be_repeated = memory.unanswered.has(&alert.id);
        }
        if let Some(reach) = self.config.history {
            let deadline = lookups_end.min(Instant::now() + reach.timeout);
            report.history_failures += relate(&self.history, &mut alert, reach, deadline).await.failures;
        }
        let result = self.publish_alert(&alert, report, last, request_id).await;
        let mut memory = self.memory();
        if let Err(error) = &result {
            let lost = match error {
                HandlerError::Time => true,
                HandlerError::Notify(error) => error.may_have_arrived(),
                HandlerError::Batch(_) | HandlerError::Fault(_) => false,
            };
            memory.unanswered.remember(lost.then_some(alert.id));
        } else {
            // Only what was mailed is remembered: what was not must be found again when Lambda retries.
            memory.mailed.remember(keys);
            memory.told(alert.held);
            if let Some(kind) = kind {
                kind(&mut memory).sent();
            }
        }
        result
    }

    /// Publishes an alert; if this message will never be taken, once more in a form that is sure to be.
    async fn publish_alert(
        &self,
        alert: &Alert,
        report: &mut Report,
        last: Instant,
        request_id: &str,
    ) -> Result<(), HandlerError<N::Error>> {
        let refused = match caught(|| Message::new(alert, &self.config.style)) {
            Ok(Ok(message)) => match self.publish(&message, report, last).await {
                Err(HandlerError::Notify(error)) if error.remedy() == Remedy::Rephrase => chain(&error),
                result => return result,
            },
            Ok(Err(error)) => chain(&error),
            Err(fault) => fault.to_string(),
        };
        let alert_id = alert.id.to_string();
        tracing::error!(request_id, alert_id, error = refused, "the alert is sent as plain text");
        self.publish(&Message::plain(alert), report, last).await
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
            if !memory.damaged.is_open() {
                memory.damaged.hold(1);
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
                memory.damaged.sent();
            }
            Err(error) => {
                tracing::error!(error = error.chain(), "the mail about an unreadable batch could not be sent");
            }
        }
    }

    /// Mails a test.
    async fn test(&self, report: &mut Report, last: Instant) -> Result<(), HandlerError<N::Error>> {
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

    /// Reads log events and counts them, until there are enough for a mail.
    fn find(
        &self,
        log_events: &mut slice::Iter<'_, LogEvent<'_>>,
        seen: &mut HashSet<Key>,
        report: &mut Report,
    ) -> Found {
        let mut found = Found::default();
        let mut bytes = 0;
        let memory = self.memory();
        while bytes < FOUND_MAX
            && let Some(event) = log_events.next()
        {
            // A fault in one log event must not cost the others.
            let reading = caught(|| read(event, &self.config.rules));
            match reading
                .unwrap_or_else(|fault| Reading::Unreadable(faulty(event, &self.config.rules, fault.to_string())))
            {
                Reading::Ignored => report.ignored += 1,
                Reading::Unreadable(unreadable) => {
                    report.unreadable += 1;
                    bytes += FOUND_EACH;
                    found.unreadable.push(unreadable);
                }
                Reading::Match(matched) => {
                    let key = key(&matched.record);
                    if key.is_some_and(|key| memory.mailed.has(&key) || !seen.insert(key)) {
                        report.duplicate += 1;
                        continue;
                    }
                    report.matched += 1;
                    bytes += FOUND_EACH + matched.record.memory();
                    found.keys.extend(key);
                    found.matches.push(matched);
                }
            }
        }
        found
    }
}

fn origin(batch: &Batch<'_>) -> Origin {
    Origin {
        owner: batch.data.owner.clone(),
        log_group: batch.data.log_group.clone(),
        log_stream: batch.data.log_stream.clone(),
    }
}

fn damaged(event: &str, inflated_bytes: usize, batch: &Batch<'_>, fault: &BatchError) -> DamagedBatch {
    DamagedBatch {
        origin: origin(batch),
        reason: chain(fault),
        event_bytes: event.len(),
        inflated_bytes,
        log_events: batch.others + batch.log_events.len(),
        time: Timestamp::now(),
    }
}

/// What a log event turned out to be.
#[derive(Debug)]
pub enum Reading {
    /// No rule matches it.
    Ignored,
    /// A rule matches it.
    Match(Match),
    /// It is no JSON object, though it holds a text that a rule can't match without.
    Unreadable(Unreadable),
}

/// A log event that is not evaluated: it may match any rule.
fn faulty(event: &LogEvent<'_>, rules: &RuleSet, reason: String) -> Unreadable {
    Unreadable {
        id: String::new(),
        time: None,
        bytes: event.raw().len(),
        reason,
        hash: Sha256::digest(event.raw()).into(),
        rules: rules.rules().to_vec(),
    }
}

/// Reads a log event, if a rule could match it.
#[must_use]
pub fn read(event: &LogEvent<'_>, rules: &RuleSet) -> Reading {
    let unreadable = |text: &str, id: String, time: Option<Timestamp>, reason: String| {
        let rules = rules.mentioned(text);
        if rules.is_empty() {
            return Reading::Ignored;
        }
        let hash = Sha256::digest(event.raw()).into();
        Reading::Unreadable(Unreadable { id, time, bytes: event.raw().len(), reason, hash, rules })
    };
    let bytes = event.raw().len();
    if bytes > LOG_EVENT_MAX {
        return Reading::Unreadable(faulty(event, rules, format!("longer than a log event can be ({bytes} bytes)")));
    }
    let entry = match event.entry() {
        Ok(entry) => entry,
        Err(error) => return unreadable(&event.text(), String::new(), None, format!("not a log event: {error}")),
    };
    let time = (entry.timestamp != 0).then(|| Timestamp::from_millisecond(entry.timestamp).ok()).flatten();
    match Json::parse(&entry.message) {
        Ok(json @ Json::Object(_)) => {
            let matching = rules.rules().iter().filter(|rule| rule.pattern.matches(&json));
            let rules: Vec<Arc<Rule>> = matching.cloned().collect();
            if rules.is_empty() {
                Reading::Ignored
            } else {
                Reading::Match(Match { record: Record::new(&entry.message, json), rules, received: time })
            }
        }
        Ok(_) => unreadable(&entry.message, entry.id, time, "JSON, but no object".to_owned()),
        Err(error) => unreadable(&entry.message, entry.id, time, chain(&error)),
    }
}

/// What a repeated record is known by. A record without an id, or one that corrects another (`addendum`), is never
/// taken for a repetition.
#[must_use]
pub fn key(record: &Record) -> Option<Key> {
    let id = record.event_id()?;
    if record.addendum().is_some() {
        return None;
    }
    Some(Sha256::new().chain_update(id).chain_update(record.hash()).finalize().into())
}
