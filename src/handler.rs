//! The pipeline: from the event that Lambda hands over to the mail, and a report of what was done.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use sha2::{Digest, Sha256};
use thiserror::Error;
use tokio::time::Instant;

use crate::alert::{Alert, Match, Origin, Unreadable};
use crate::batch::{Batch, BatchError, Inflated, LogEvent};
use crate::config::{Config, chain};
use crate::email::Message;
use crate::history::{History, Tally, relate};
use crate::json::Json;
use crate::notify::{Notify, Receipt, Refusal, Remedy};
use crate::record::Record;
use crate::rule::{Rule, RuleSet};

/// How many mailed records are remembered, so that a repeated one is not mailed again.
const MAILED_MAX: usize = 4096;

/// What publishing may need of an invocation's time, and what is left of it afterwards.
const PUBLISHING: Duration = Duration::from_secs(20);

/// What one invocation did. Every log event is counted in exactly one of the first four.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Log events that match no rule.
    pub ignored: usize,
    /// Log events that match a rule and are in the mail.
    pub matched: usize,
    /// Log events that match a rule and were in this batch, or in a mail, already.
    pub duplicate: usize,
    /// Log events that are no JSON object, though they hold a text that a rule can't match without.
    pub unreadable: usize,
    /// Bytes that the payload inflated to.
    pub inflated_bytes: usize,
    /// Look-ups in the event history that failed.
    pub history_failures: usize,
    /// Mails published.
    pub mails: usize,
    /// The name of the alert, if there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alert_id: Option<String>,
    /// The id under which the mail was taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
}

/// Why an invocation failed. Lambda tries it again, and then puts the event into the dead-letter queue.
#[derive(Debug, Error)]
pub enum HandlerError<E: std::error::Error + 'static> {
    /// The event can't be read.
    #[error("the event could not be read")]
    Batch(#[from] BatchError),
    /// The mail can't be sent.
    #[error("the mail could not be sent")]
    Notify(#[source] E),
}

impl Report {
    /// Adds the counts of another invocation.
    pub fn add(&mut self, other: &Self) {
        self.ignored += other.ignored;
        self.matched += other.matched;
        self.duplicate += other.duplicate;
        self.unreadable += other.unreadable;
        self.inflated_bytes += other.inflated_bytes;
        self.history_failures += other.history_failures;
        self.mails += other.mails;
    }
}

impl<E: std::error::Error + 'static> HandlerError<E> {
    /// What kind of error it is, in a word.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Batch(_) => "BatchError",
            Self::Notify(_) => "NotifyError",
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
    mailed: Mutex<Mailed>,
}

/// What names a record: its event id and its content.
type Key = [u8; 32];

/// The records that were mailed, the oldest forgotten first.
#[derive(Default)]
struct Mailed {
    order: VecDeque<Key>,
    keys: HashSet<Key>,
}

impl Mailed {
    fn remember(&mut self, keys: impl IntoIterator<Item = Key>) {
        for key in keys {
            if self.keys.insert(key) {
                self.order.push_back(key);
            }
            if self.order.len() > MAILED_MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.keys.remove(&oldest);
            }
        }
    }
}

/// What a batch held that somebody should know.
#[derive(Default)]
struct Found {
    matches: Vec<Match>,
    unreadable: Vec<Unreadable>,
    keys: Vec<Key>,
}

impl<N: Notify, H: History> Handler<N, H> {
    /// The pipeline with this configuration.
    pub fn new(config: Config, notify: N, history: H) -> Self {
        Self { config, notify, history, mailed: Mutex::default() }
    }

    /// Where messages go.
    pub fn notify(&self) -> &N {
        &self.notify
    }

    /// Handles one event, as it arrives, within the time that is left, and writes one line of log about it.
    ///
    /// # Errors
    ///
    /// [`HandlerError`] if the event can't be read or the mail can't be sent.
    pub async fn handle(&self, event: &str, time_left: Duration) -> Result<Report, HandlerError<N::Error>> {
        let result = self.run(event, time_left).await;
        match &result {
            Ok(report) => tracing::info!(
                ignored = report.ignored,
                matched = report.matched,
                duplicate = report.duplicate,
                unreadable = report.unreadable,
                inflated_bytes = report.inflated_bytes,
                history_failures = report.history_failures,
                mails = report.mails,
                alert_id = report.alert_id,
                message_id = report.message_id,
                "handled"
            ),
            Err(error) => tracing::error!(error = error.chain(), event_bytes = event.len(), "failed"),
        }
        result
    }

    async fn run(&self, event: &str, time_left: Duration) -> Result<Report, HandlerError<N::Error>> {
        let started = Instant::now();
        let inflated = Inflated::from_event(event, self.config.max_batch_bytes)?;
        let mut batch = inflated.batch(|event| self.config.rules.may_match(event));
        // What could be read is mailed first; the rest will be unreadable for ever.
        let fault = batch.fault.take();
        let end = |report| fault.map_or(Ok(report), |fault| Err(HandlerError::Batch(fault)));
        let mut report = Report { inflated_bytes: inflated.len(), ..Report::default() };
        if batch.is_control_message() {
            report.ignored = batch.others + batch.log_events.len();
            return end(report);
        }
        let found = self.find(&batch, &mut report);
        let origin = Origin {
            owner: batch.data.owner.clone(),
            log_group: batch.data.log_group.clone(),
            log_stream: batch.data.log_stream.clone(),
        };
        let Some(mut alert) = Alert::new(origin, found.matches, found.unreadable) else { return end(report) };
        report.history_failures = self.relate(&mut alert, started, time_left).await.failures;
        let receipt = self.publish(&alert).await?;
        // Only what was mailed is remembered: what was not must be found again when Lambda retries.
        self.mailed.lock().unwrap_or_else(PoisonError::into_inner).remember(found.keys);
        report.mails = 1;
        report.alert_id = Some(alert.id.to_string());
        report.message_id = Some(receipt.message_id);
        end(report)
    }

    /// Looks up what else the alert's actors did, as far as there is time for it.
    async fn relate(&self, alert: &mut Alert, started: Instant, time_left: Duration) -> Tally {
        let Some(reach) = self.config.history else { return Tally::default() };
        let last = started + time_left.saturating_sub(PUBLISHING);
        relate(&self.history, alert, reach, last.min(Instant::now() + reach.timeout)).await
    }

    /// Publishes an alert; if this message will never be taken, once more in a form that is sure to be.
    async fn publish(&self, alert: &Alert) -> Result<Receipt, HandlerError<N::Error>> {
        let refused = match Message::new(alert, &self.config.style) {
            Ok(message) => match self.notify.publish(&message).await {
                Err(error) if error.remedy() == Remedy::Rephrase => chain(&error),
                result => return result.map_err(HandlerError::Notify),
            },
            Err(error) => chain(&error),
        };
        tracing::error!(error = refused, alert_id = alert.id.to_string(), "the alert is sent as plain text");
        self.notify.publish(&Message::plain(alert)).await.map_err(HandlerError::Notify)
    }

    /// Reads what may match, and counts every log event.
    fn find(&self, batch: &Batch<'_>, report: &mut Report) -> Found {
        report.ignored = batch.others;
        let mut found = Found::default();
        let mut seen = HashSet::new();
        let mailed = self.mailed.lock().unwrap_or_else(PoisonError::into_inner);
        for event in &batch.log_events {
            match read(event, &self.config.rules) {
                Reading::Ignored => report.ignored += 1,
                Reading::Unreadable(unreadable) => {
                    report.unreadable += 1;
                    found.unreadable.push(unreadable);
                }
                Reading::Match(matched) => {
                    let key = key(&matched.record);
                    if key.is_some_and(|key| mailed.keys.contains(&key) || !seen.insert(key)) {
                        report.duplicate += 1;
                        continue;
                    }
                    report.matched += 1;
                    found.keys.extend(key);
                    found.matches.push(matched);
                }
            }
        }
        found
    }
}

/// What a log event turned out to be.
enum Reading {
    Ignored,
    Match(Match),
    Unreadable(Unreadable),
}

fn read(event: &LogEvent<'_>, rules: &RuleSet) -> Reading {
    let unreadable = |text: &str, id: String, time: Option<Timestamp>, reason: String| {
        let rules = rules.mentioned(text);
        if rules.is_empty() {
            return Reading::Ignored;
        }
        let hash = Sha256::digest(event.raw()).into();
        Reading::Unreadable(Unreadable { id, time, bytes: event.raw().len(), reason, hash, rules })
    };
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
fn key(record: &Record) -> Option<Key> {
    let id = record.event_id()?;
    if record.addendum().is_some() {
        return None;
    }
    Some(Sha256::new().chain_update(id).chain_update(record.hash()).finalize().into())
}
