//! What the log events of a batch turn out to be.

use std::collections::{HashMap, HashSet};
use std::slice;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::memory::Key;
use crate::alert::{Match, Unreadable};
use crate::batch::{self, Inflated, LogEvent};
use crate::detect::reading::{PathTest, Reading, faulty, read};
use crate::fault::caught;
use crate::record::Record;
use crate::report::Report;
use crate::rule::RuleSet;

/// The most bytes that one mail's matches may take in memory; what is over makes another mail.
///
/// With a batch of 32 MiB around it, the function stays within 96 MiB.
const FOUND_MAX: usize = 24 << 20;

/// What a log event that was found takes beside its record: its keys, its place in every list and order.
const FOUND_EACH: usize = 512;

/// The most records kept that only say where credentials came from.
const BESIDE_MAX: usize = 1000;

/// The most calls of one batch that others are told of.
const CALLS_MAX: usize = 20;

/// The most calls of one batch that test the way here and are told.
const PATH_TESTS_MAX: usize = 20;

/// The longest id of a key. Source: IAM API Reference, `AccessKey`.
pub(super) const KEY_MAX: usize = 128;

/// The most bytes of such a call.
const CALL_MAX: usize = 16 << 10;

/// A batch that is read, one mail's worth after the other.
pub(super) struct Batch<'b> {
    log_events: slice::Iter<'b, LogEvent<'b>>,
    rules: &'b RuleSet,
    /// What was found in it so far.
    seen: HashSet<Key>,
    /// Records that no rule matches, and that yet say where credentials came from.
    beside: Vec<Record>,
    /// The newest calls that returned a key, as they came, by that key, and when each was made.
    calls: Vec<(Option<Timestamp>, (String, String))>,
    /// Calls that test the way here.
    path_tests: Vec<PathTest>,
}

/// What a batch held that somebody should know.
#[derive(Default)]
pub(super) struct Portion {
    /// Each with what it is known by.
    pub matches: Vec<(Match, Option<Key>)>,
    pub unreadable: Vec<Unreadable>,
    /// There was no time to read the rest.
    pub cut: bool,
}

/// The log events that a rule may match.
///
/// Neither this nor [`Batch::next`] is generic: what is, is compiled with the function, which is built for size, and these go
/// over every byte.
pub(super) fn candidates<'b>(inflated: &'b Inflated, rules: &RuleSet) -> batch::Batch<'b> {
    inflated.batch(|event| rules.may_match(event))
}

impl<'b> Batch<'b> {
    pub fn new(log_events: &'b [LogEvent<'b>], rules: &'b RuleSet) -> Self {
        let log_events = log_events.iter();
        let (seen, beside, calls, path_tests) = (HashSet::new(), Vec::new(), Vec::new(), Vec::new());
        Self { log_events, rules, seen, beside, calls, path_tests }
    }

    /// Whether all of it was read.
    pub(crate) fn is_over(&self) -> bool {
        self.log_events.len() == 0
    }

    /// Records that no rule matches, and that yet say where credentials came from.
    pub fn beside(&self) -> &[Record] {
        &self.beside
    }

    /// The newest calls that returned a key of a central root session, as they came, each with the key's id; whether a
    /// rule matches them or not.
    pub fn calls(&self) -> Vec<(String, String)> {
        self.calls.iter().map(|(_, call)| call.clone()).collect()
    }

    /// Keeps a call that returned a key, if it is among the newest.
    fn keep_call(&mut self, record: &Record, event: &LogEvent<'_>) {
        let key = record.text(&["responseElements", "credentials", "accessKeyId"]);
        let Some(key) = key.filter(|key| key.len() <= KEY_MAX) else { return };
        // The same call may come twice.
        if self.calls.iter().any(|(_, (known, _))| known == key) {
            return;
        }
        let Some(entry) = event.entry().ok().filter(|entry| entry.message.len() <= CALL_MAX) else { return };
        self.calls.push((record.event_time(), (key.to_owned(), entry.message)));
        if self.calls.len() > CALLS_MAX {
            let oldest = self.calls.iter().enumerate().min_by_key(|(_, (time, _))| *time);
            if let Some((oldest, _)) = oldest {
                self.calls.remove(oldest);
            }
        }
    }

    /// The calls that test the way here.
    pub fn path_tests(&self) -> &[PathTest] {
        &self.path_tests
    }

    /// Reads log events and counts them, until there are enough for a mail. What comes twice is a duplicate.
    pub fn next(&mut self, report: &mut Report, in_time: &dyn Fn() -> bool) -> Portion {
        let mut found = Portion::default();
        let mut bytes = 0;
        while bytes < FOUND_MAX && !self.is_over() {
            found.cut = !in_time();
            if found.cut {
                break;
            }
            let Some(event) = self.log_events.next() else { break };
            // A fault in one log event must not cost the others.
            let reading = caught(|| read(event, self.rules));
            match reading.unwrap_or_else(|fault| Reading::Unreadable(faulty(event, self.rules, fault.to_string()))) {
                Reading::Ignored => report.ignored += 1,
                Reading::PathTest(test) => {
                    report.ignored += 1;
                    if self.path_tests.len() < PATH_TESTS_MAX {
                        self.path_tests.push(test);
                    }
                }
                Reading::Beside(record) => {
                    report.ignored += 1;
                    self.keep_call(&record, event);
                    if self.beside.len() < BESIDE_MAX {
                        self.beside.push(record);
                    }
                }
                Reading::Unreadable(unreadable) => {
                    report.unreadable += 1;
                    bytes += FOUND_EACH;
                    found.unreadable.push(unreadable);
                }
                Reading::Match(matched) => {
                    let key = key(&matched.record);
                    if key.is_some_and(|key| !self.seen.insert(key)) {
                        report.duplicate += 1;
                        continue;
                    }
                    if matched.record.event_name() == Some("AssumeRoot") && matched.record.outcome().may_have_worked() {
                        self.keep_call(&matched.record, event);
                    }
                    report.matched += 1;
                    bytes += FOUND_EACH + matched.record.memory();
                    found.matches.push((matched, key));
                }
            }
        }
        found
    }
}

impl Portion {
    /// What the matches are known by.
    pub fn keys(&self) -> Vec<Key> {
        self.matches.iter().filter_map(|(_, key)| *key).collect()
    }

    /// Forgets matches that were mailed before: they are duplicates, and reported if that was lately.
    pub(crate) fn forget(&mut self, mailed: &HashMap<Key, bool>, report: &mut Report) {
        self.matches.retain(|(_, key)| match key.and_then(|key| mailed.get(&key)) {
            Some(lately) => {
                report.matched -= 1;
                report.duplicate += 1;
                report.reported += usize::from(*lately);
                false
            }
            None => true,
        });
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
