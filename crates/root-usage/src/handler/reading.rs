//! What the log events of a batch turn out to be.

use std::collections::HashSet;
use std::slice;

use sha2::{Digest, Sha256};

use super::memory::{Key, Recent};
use crate::alert::{Match, Unreadable};
use crate::batch::LogEvent;
use crate::detect::reading::{Reading, faulty, read};
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
