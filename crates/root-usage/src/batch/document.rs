//! Finds the log events in the JSON document that CloudWatch Logs sends, and what stands around them.

use std::collections::HashMap;
use std::str;

use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::value::RawValue;
use thiserror::Error;

use super::{Batch, LogEvent};
use crate::detect::split::{Flaw, Piece, Splitter};

/// The most log events that are wanted of a batch.
///
/// CloudWatch Logs puts no more than 10,000 into one, as far as is known. Each costs memory, and most of the time that a
/// function has.
const WANTED_MAX: usize = 100_000;

/// The field that the log events are in.
const LOG_EVENTS: &str = "logEvents";

/// Where a document is no batch of log events any more.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{expected} expected at byte {at}")]
pub struct SyntaxError {
    /// How many bytes of the inflated document are before the place.
    pub at: usize,
    /// What should stand there.
    pub expected: &'static str,
}

/// Reads a document to its end. What is no log event is passed over, and the first of it told.
pub(super) fn read<'a>(text: &'a [u8], wanted: impl FnMut(&LogEvent<'a>) -> bool) -> (Batch<'a>, Option<SyntaxError>) {
    let mut document = Document { wanted, batch: Batch::default(), objects: 0, fault: None };
    let mut splitter = Splitter::new(&[LOG_EVENTS]).lenient();
    // A lenient splitter gives its faults as pieces.
    let _ = splitter.scan(text, true, &mut |piece| {
        document.add(text, &piece);
        true
    });
    if !splitter.around().is_empty() {
        document.header(splitter.around(), 0);
    } else if document.objects == 0 {
        document.fault(0, "a JSON object");
    }
    (document.batch, document.fault)
}

struct Document<'a, W> {
    wanted: W,
    batch: Batch<'a>,
    /// How many documents there were.
    objects: usize,
    fault: Option<SyntaxError>,
}

impl<'a, W: FnMut(&LogEvent<'a>) -> bool> Document<'a, W> {
    fn add(&mut self, document: &'a [u8], piece: &Piece<'_>) {
        match *piece {
            Piece::Value { text, at, bare: false, escapes } => {
                self.log_event(LogEvent { raw: &document[at..at + text.len()], escaped: escapes }, at);
            }
            Piece::Text { text, at, bare: false } => self.log_event(LogEvent::new(&document[at..at + text.len()]), at),
            Piece::Value { text, at, .. } => self.whole(&document[at..at + text.len()], at),
            Piece::Text { at, .. } => self.fault(at, "a JSON object"),
            Piece::Around { text, at } => self.header(text, at),
            Piece::Flaw { flaw: Flaw::Stray, at, bare: true } => self.fault(at, "a JSON object"),
            Piece::Flaw { flaw: Flaw::Stray, at, bare: false } => self.scalars(document, at),
            Piece::Flaw { flaw: Flaw::Bracket, at, .. } => self.fault(at, "another bracket"),
            Piece::Flaw { flaw: Flaw::BreaksOff, .. } => self.fault(document.len(), "more of the document"),
            Piece::Flaw { flaw: Flaw::TooLong, at, .. } => self.fault(at, "less around the log events"),
        }
    }

    fn log_event(&mut self, log_event: LogEvent<'a>, at: usize) {
        if !(self.wanted)(&log_event) {
            self.batch.others += 1;
        } else if self.batch.log_events.len() < WANTED_MAX {
            self.batch.log_events.push(log_event);
        } else {
            self.fault(at, "the end of the log events that may match");
        }
    }

    /// What stands between objects and arrays: where a log event should be, `null` and `1` are odd ones.
    fn scalars(&mut self, document: &'a [u8], from: usize) {
        let rest = &document[from..];
        let end = rest.iter().position(|byte| b"{}[]\"".contains(byte)).unwrap_or(rest.len());
        let mut at = from;
        for part in rest[..end].split(|byte| *byte == b',') {
            match part.trim_ascii() {
                [] => {}
                scalar if serde_json::from_slice::<IgnoredAny>(scalar).is_ok() => {
                    self.log_event(LogEvent::new(scalar), at);
                }
                _ => return self.fault(at, "a log event"),
            }
            at += part.len() + 1;
        }
    }

    /// An object in which no array of log events was found.
    fn whole(&mut self, object: &'a [u8], at: usize) {
        self.header(object, at);
        let Some(fields) = str::from_utf8(object).ok().and_then(fields) else {
            return self.fault(at, "a JSON object");
        };
        let Some(log_events) = fields.get(LOG_EVENTS) else { return };
        let Ok(all) = serde_json::from_str::<Vec<&RawValue>>(log_events.get()) else {
            return self.fault(at, "an array of log events");
        };
        all.into_iter().for_each(|one| self.log_event(LogEvent::new(one.get().as_bytes()), at));
    }

    /// What stands around the log events, or as much of it as there is.
    fn header(&mut self, object: &[u8], at: usize) {
        self.objects += 1;
        let object = String::from_utf8_lossy(object);
        let before;
        let mut found = fields(&object);
        if found.is_none() {
            before = object.rsplit_once('[').map(|(before, _)| format!("{before}[]}}")).unwrap_or_default();
            found = fields(&before);
        }
        let Some(fields) = found else { return self.fault(at, "a JSON object") };
        if self.objects > 1 {
            return;
        }
        let data = &mut self.batch.data;
        data.owner = field(&fields, "owner");
        data.log_group = field(&fields, "logGroup");
        data.log_stream = field(&fields, "logStream");
        data.subscription_filters = field(&fields, "subscriptionFilters");
        data.message_type = field(&fields, "messageType");
    }

    fn fault(&mut self, at: usize, expected: &'static str) {
        self.fault.get_or_insert(SyntaxError { at, expected });
    }
}

/// An object's fields, unread, so that nothing in one of them costs another.
fn fields(object: &str) -> Option<HashMap<String, &RawValue>> {
    serde_json::from_str(object).ok()
}

/// A field's value; the default where there is none of this type.
fn field<T: DeserializeOwned + Default>(fields: &HashMap<String, &RawValue>, name: &str) -> T {
    fields.get(name).and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
}
