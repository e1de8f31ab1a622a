//! What the log events of a batch turn out to be.

use std::collections::HashSet;
use std::slice;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::memory::{Key, Recent};
use crate::alert::{Match, Unreadable};
use crate::batch::LogEvent;
use crate::error::chain;
use crate::fault::caught;
use crate::record::Record;
use crate::report::Report;
use crate::rule::RuleSet;
use filter_pattern::json::Json;

/// The most bytes that one mail's matches may take in memory; what is over makes another mail.
///
/// With a batch of 32 MiB around it, the function stays within 96 MiB.
const FOUND_MAX: usize = 24 << 20;

/// What a log event that was found takes beside its record: its keys, its place in every list and order.
const FOUND_EACH: usize = 512;

/// The most bytes of a log event that are read, as it stands in the batch.
///
/// CloudTrail sends no record of more than 256 KB to CloudWatch Logs, and escapes at most double that. Source: CloudTrail
/// User Guide, "Monitoring CloudTrail Log Files with Amazon CloudWatch Logs".
const LOG_EVENT_MAX: usize = 1 << 20;

/// What a batch held that somebody should know.
#[derive(Default)]
pub(super) struct Found {
    pub matches: Vec<Match>,
    pub unreadable: Vec<Unreadable>,
    pub keys: Vec<Key>,
    /// There was no time to read the rest.
    pub cut: bool,
}

/// The most records kept that only say where credentials came from.
const BESIDE_MAX: usize = 1000;

impl Found {
    /// Reads log events and counts them, until there are enough for a mail.
    ///
    /// What was `mailed`, or `seen` in this batch, is a duplicate.
    pub fn next(
        log_events: &mut slice::Iter<'_, LogEvent<'_>>,
        rules: &RuleSet,
        mailed: &Recent<Key>,
        seen: &mut HashSet<Key>,
        beside: &mut Vec<Record>,
        report: &mut Report,
        in_time: impl Fn() -> bool,
    ) -> Self {
        let mut found = Self::default();
        let mut bytes = 0;
        while bytes < FOUND_MAX && log_events.len() > 0 {
            found.cut = !in_time();
            if found.cut {
                break;
            }
            let Some(event) = log_events.next() else { break };
            // A fault in one log event must not cost the others.
            let reading = caught(|| read(event, rules));
            match reading.unwrap_or_else(|fault| Reading::Unreadable(faulty(event, rules, fault.to_string()))) {
                Reading::Ignored => report.ignored += 1,
                Reading::Beside(record) => {
                    report.ignored += 1;
                    if beside.len() < BESIDE_MAX {
                        beside.push(record);
                    }
                }
                Reading::Unreadable(unreadable) => {
                    report.unreadable += 1;
                    bytes += FOUND_EACH;
                    found.unreadable.push(unreadable);
                }
                Reading::Match(matched) => {
                    let key = key(&matched.record);
                    if key.is_some_and(|key| mailed.has(&key) || !seen.insert(key)) {
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

/// What a log event turned out to be.
#[derive(Debug)]
pub enum Reading {
    /// No rule matches it.
    Ignored,
    /// No rule matches it, and yet it says where root's credentials came from: an `AssumeRoot` call.
    Beside(Record),
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
        Ok(json @ Json::Object(_)) => evaluate(&entry.message, json, rules, time),
        Ok(_) => unreadable(&entry.message, entry.id, time, "JSON, but no object".to_owned()),
        Err(error) => unreadable(&entry.message, entry.id, time, chain(&error)),
    }
}

/// What a record turns out to be, given the message it came in and that message's JSON.
#[must_use]
pub fn evaluate(message: &str, json: Json<'_>, rules: &RuleSet, received: Option<Timestamp>) -> Reading {
    let rules = rules.matching(&json);
    let is_call = || json.get("eventName").is_some_and(|name| *name == Json::String("AssumeRoot".into()));
    if !rules.is_empty() {
        Reading::Match(Match { record: Record::new(message, json), rules, received })
    } else if is_call() {
        let record = Record::new(message, json);
        // One that was denied returned no key, and whoever wants to can make any number of those.
        if record.outcome().may_have_worked() { Reading::Beside(record) } else { Reading::Ignored }
    } else {
        Reading::Ignored
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
