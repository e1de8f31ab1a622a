//! What one file holds: its records are counted, and what matches is kept.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use filter_pattern::json::Json;
use jiff::Timestamp;
use root_usage::alert::{Access, Alert, Category, EVIDENCE, Identity, Match, Origin, Severity, severity};
use root_usage::batch::Inflated;
use root_usage::detect::reading::{Reading, evaluate, read};
use root_usage::email::Story;
use root_usage::error::chain;
use root_usage::handler::key;
use root_usage::incident::{IncidentId, News, Wait, Whose, news, wait};
use root_usage::ledger::Delivery;
use root_usage::record::{Outcome, Record};
use root_usage::rule::RuleSet;
use serde::Serialize;

use super::delivery::{Batch, Source, WINDOW_SECONDS};
use super::read::Records;

/// What is looked for.
pub struct Question {
    /// The rules.
    pub rules: RuleSet,
    /// Matches before this are left out.
    pub since: Option<Timestamp>,
    /// Matches from this on are left out.
    pub until: Option<Timestamp>,
    /// The most bytes a raw Lambda event may inflate to.
    pub max_batch_bytes: usize,
    /// Whether records are kept whole, for the mails.
    pub keep_records: bool,
}

/// A record that matches, as far as a reader is shown it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Found {
    /// `eventTime`
    pub time: Option<Timestamp>,
    pub account: Option<Box<str>>,
    pub region: Option<Box<str>>,
    pub event_source: Option<Box<str>>,
    pub event_name: Option<Box<str>>,
    #[serde(rename = "sourceIPAddress")]
    pub source_ip: Option<Box<str>>,
    pub outcome: Outcome,
    /// As far as the record alone says, until it is [decided](Self::decide).
    pub severity: Severity,
    /// How root was used; `None` for others, and until it is [decided](Self::decide).
    pub credential: Option<Access>,
    /// Who it was.
    pub actor: Box<str>,
    pub rules: Vec<Box<str>>,
    #[serde(rename = "eventID")]
    pub event_id: Option<Box<str>>,
    pub file: Arc<str>,
    /// The name of the incident that it is part of, once that is known.
    pub incident: Option<Box<str>>,
    /// Which of the file's matches this is.
    #[serde(skip)]
    pub nth: usize,
    /// What a repetition is known by.
    #[serde(skip)]
    pub key: Option<[u8; 32]>,
    /// The delivery that it came in.
    #[serde(skip)]
    pub source: Source,
    /// Whose incident it belongs to, and the name of the one that it is mailed in, once they are known.
    #[serde(skip)]
    pub whose: Option<Whose>,
    #[serde(skip)]
    pub mailed: Option<IncidentId>,
    /// What in it is worth a mail at once, and how long the rest may wait.
    #[serde(skip)]
    pub news: Vec<News>,
    #[serde(skip)]
    pub wait: Wait,
    #[serde(skip)]
    category: Category,
    #[serde(skip)]
    pub matched: Match,
}

impl Found {
    /// Learns by what means it was done, which other records may say.
    pub fn decide(&mut self, access: Access) {
        let record = &self.matched.record;
        self.credential = record.is_root().then(|| access.of(record));
        self.severity = severity(&self.matched, self.category, access);
    }
}

/// What was not understood in a file.
pub struct Misread {
    /// At which byte the first of it is, after inflating.
    pub at: Option<u64>,
    /// Why the first of it was not.
    pub reason: String,
    /// How much more there is.
    pub more: u64,
}

/// What one file holds.
pub struct File<'q> {
    question: &'q Question,
    pub name: Arc<str>,
    /// Records, or log events.
    pub records: u64,
    /// Bytes, after inflating.
    pub bytes: u64,
    /// What is known to hold no record, and how often it is there.
    pub skipped: BTreeMap<&'static str, u64>,
    pub found: Vec<Found>,
    /// What matches outside the time that is asked for, and calls that no rule matches: they too say where root's
    /// credentials came from.
    pub left_out: Vec<Record>,
    pub beside: Vec<Record>,
    pub batches: Vec<Batch>,
    /// What was not understood.
    pub fault: Option<Misread>,
    /// The first and the last time that was seen.
    pub span: Option<(Timestamp, Timestamp)>,
}

impl<'q> File<'q> {
    pub fn new(question: &'q Question, path: &Path) -> Self {
        let name = if path.as_os_str() == "-" { "standard input".into() } else { path.to_string_lossy() };
        Self {
            question,
            name: name.into(),
            records: 0,
            bytes: 0,
            skipped: BTreeMap::new(),
            found: Vec::new(),
            left_out: Vec::new(),
            beside: Vec::new(),
            batches: Vec::new(),
            fault: None,
            span: None,
        }
    }

    fn keep(&mut self, matched: Match, source: Option<&Source>) {
        let record = &matched.record;
        let time = record.event_time();
        let Question { since, until, keep_records, .. } = *self.question;
        let early = since.zip(time).is_some_and(|(since, time)| time < since);
        let late = until.zip(time).is_some_and(|(until, time)| time >= until);
        self.span = widened(self.span, time);
        if early || late {
            return self.left_out.push(record.only(&EVIDENCE));
        }
        let text = |text: Option<&str>| text.map(Into::into);
        let alone = Alert::new(Origin::default(), vec![matched.clone()], Vec::new(), &[]);
        let Some(alone) = &alone else { return };
        let Some((actor, action)) = alone.actors.first().map(|actor| (actor, actor.gravest())) else { return };
        let account = record.account().unwrap_or_default();
        let source = source.cloned().unwrap_or_else(|| {
            let window = time.map(|time| time.as_second().div_euclid(WINDOW_SECONDS));
            Source::Window(window, account.into(), record.region().unwrap_or_default().into())
        });
        let name = match &actor.identity {
            Identity::Root => format!("root of {account}"),
            Identity::Other { kind, name } => format!("{kind} {name}"),
        };
        self.found.push(Found {
            time,
            account: text(record.account()),
            region: text(record.region()),
            event_source: text(record.event_source()),
            event_name: text(record.event_name()),
            source_ip: text(record.source_ip()),
            outcome: record.outcome(),
            severity: action.severity,
            credential: None,
            actor: name.into(),
            rules: matched.rules.iter().map(|rule| rule.id.as_str().into()).collect(),
            event_id: text(record.event_id()),
            file: self.name.clone(),
            nth: self.found.len(),
            key: key(record),
            source,
            incident: None,
            whose: None,
            mailed: None,
            news: news(alone),
            wait: wait(alone),
            category: action.category,
            matched: if keep_records { matched } else { Match { record: Story::needs(&matched.record), ..matched } },
        });
    }
}

impl Records for File<'_> {
    fn count(&mut self, count: usize) {
        self.records += count as u64;
    }

    fn record(&mut self, text: &str) -> Result<bool, String> {
        let json = Json::parse(text).map_err(|error| format!("a record is not JSON: {}", chain(&error)))?;
        match evaluate(text, json, &self.question.rules, None) {
            Reading::Match(matched) => {
                self.keep(matched, None);
                return Ok(true);
            }
            Reading::Beside(call) => {
                self.beside.push(if self.question.keep_records { call } else { call.only(&EVIDENCE) });
            }
            Reading::Ignored | Reading::PathTest(_) | Reading::Unreadable(_) => {}
        }
        Ok(false)
    }

    fn batch(&mut self, event: &str, other: &mut dyn FnMut(&mut dyn Records, &str)) -> Result<(), String> {
        let rules = &self.question.rules;
        let inflated = Inflated::from_event(event, self.question.max_batch_bytes).map_err(|fault| chain(&fault))?;
        let batch = inflated.batch(|_| true);
        self.bytes += inflated.len() as u64;
        self.records += batch.log_events.len() as u64;
        let source = Source::Event(self.name.clone(), self.batches.len());
        let mut told = Vec::new();
        for event in &batch.log_events {
            let reading = if batch.is_control_message() { Reading::Ignored } else { read(event, rules) };
            match reading {
                Reading::Match(matched) => self.keep(matched, Some(&source)),
                Reading::Unreadable(unreadable) => told.push(unreadable),
                Reading::Ignored | Reading::Beside(_) | Reading::PathTest(_) => match event.entry() {
                    Ok(entry) => other(self, &entry.message),
                    Err(error) => self.fault(None, &format!("a log event could not be read: {error}")),
                },
            }
        }
        for unreadable in &told {
            self.fault(None, &format!("a log event could not be read: {}", unreadable.reason));
        }
        let origin = Origin::from(&batch.data);
        let (name, newest) = (Delivery::of(event), inflated.newest());
        self.batches.push(Batch { source, name, origin, unreadable: told, newest });
        batch.fault.map_or(Ok(()), |fault| Err(chain(&fault)))
    }

    fn skipped(&mut self, name: &'static str) {
        *self.skipped.entry(name).or_default() += 1;
    }

    fn fault(&mut self, at: Option<u64>, reason: &str) {
        match &mut self.fault {
            Some(fault) => fault.more += 1,
            None => self.fault = Some(Misread { at, reason: reason.to_owned(), more: 0 }),
        }
    }

    fn time(&mut self, text: &[u8]) {
        self.span = widened(self.span, std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()));
    }

    fn read(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }
}

/// The span with this time in it too.
fn widened(span: Option<(Timestamp, Timestamp)>, time: Option<Timestamp>) -> Option<(Timestamp, Timestamp)> {
    let Some(time) = time else { return span };
    let (first, last) = span.unwrap_or((time, time));
    Some((first.min(time), last.max(time)))
}
