//! Records inside what others wrap around them: the AWS CLI's answers, EventBridge, CloudWatch Logs, Firehose, queues.
//!
//! An object that is neither a record nor one of these is not understood, and said so. Records that are in it all the
//! same, and objects that a rule matches, are found nonetheless.

use std::borrow::Cow;

use memchr::memmem;
use root_usage::detect::split::{Piece, Splitter, is_label};
use root_usage::rule::RuleSet;
use serde_json::value::RawValue;

use super::encoded::decoded;
use super::object::{Kind, Object, is_field, string};
use super::read::{ARRAYS, Counted, Records};
use super::row::{athena_rows, is_json, row};

/// The keys under which wrappers hold records: as objects, arrays, or as text.
///
/// CloudTrail's files and Lambda's events; `lookup-events`; `filter-log-events`, `get-log-events`, live tail,
/// `test-metric-filter`, `get-log-record`; batches of CloudWatch Logs; Logs Insights; EventBridge and `put-events`; SNS,
/// SQS and `receive-message`; Kinesis and Firehose; a destination of failed Lambda invocations; CloudTrail Lake; S3
/// Select; and what Splunk, Elasticsearch and Fluent Bit make of a record.
const CONTENT: [&str; 38] = [
    "Records",
    "records",
    "CloudTrailEvent",
    "Events",
    "events",
    "message",
    "sessionUpdate",
    "sessionResults",
    "matches",
    "eventMessage",
    "logRecord",
    "logEvents",
    "results",
    "@message",
    "detail",
    "Detail",
    "Entries",
    "Sns",
    "Message",
    "Messages",
    "body",
    "Body",
    "kinesis",
    "data",
    "Data",
    "requestPayload",
    "QueryResultRows",
    "eventJson",
    "eventjson",
    "eventData",
    "_1",
    "event",
    "result",
    "_raw",
    "hits",
    "_source",
    "original",
    "log",
];

/// The most keys that lead to a record.
const DEPTH_MAX: usize = 32;

/// CloudWatch Logs asks with this whether a destination can be reached.
const CONTROL_MESSAGE: &str = "CWL CONTROL MESSAGE:";

const IN_PIECES: &str = "a row has the record in pieces, a column for each field, as Athena and CloudTrail Lake have it: \
                         a rule can't match what was left out. Select the whole record: eventJson, @message";

/// Reads what stands where a record should, somewhere in a file.
pub struct Unwrap<'a> {
    rules: &'a RuleSet,
    records: &'a mut dyn Records,
    /// Where in the file it stands.
    at: u64,
    /// The keys that lead to what is being read.
    path: Vec<String>,
    /// How much was read so far: records, and what is known to hold none.
    read: usize,
}

/// `Err` says why something was not understood. What was reported already is `Ok`.
type Understood = Result<(), String>;

impl<'a> Unwrap<'a> {
    /// For what stands `at` this byte.
    pub fn new(rules: &'a RuleSet, records: &'a mut dyn Records, at: u64) -> Self {
        Self { rules, records, at, path: Vec::new(), read: 0 }
    }

    /// Reads a JSON value.
    pub fn value(&mut self, text: &str) -> Understood {
        match text.as_bytes().first() {
            Some(b'{') => self.object(text),
            Some(b'[') => self.array(text),
            Some(b'"') => match string(text) {
                Some(text) => self.text(&text),
                None => Err("it is not JSON".to_owned()),
            },
            _ => Err("it is neither an object nor an array".to_owned()),
        }
    }

    /// Reads an object around whose arrays were emptied, since their elements were read already.
    pub fn around(&mut self, text: &str) -> Understood {
        match serde_json::from_str::<Object<'_>>(text) {
            Ok(_) => self.object(text),
            Err(error) => Err(format!("what surrounds the records is not JSON: {error}")),
        }
    }

    /// Reads a row of a table, of which at least one cell has to hold a record as JSON.
    pub fn row(&mut self, cells: &[Cow<'_, str>], columns: &[String]) -> Understood {
        let mut failed = Vec::new();
        let before = self.read;
        for (index, cell) in cells.iter().enumerate().filter(|(_, cell)| is_json(cell)) {
            if let Err(reason) = self.text(cell) {
                let column = columns.get(index).map_or("a cell", String::as_str);
                failed.push((cell, format!("{column}: {reason}")));
            }
        }
        if self.read > before {
            // Other columns may have JSON of their own.
            for (_, reason) in failed.iter().filter(|(cell, _)| mentions_record(cell)) {
                self.fault(reason);
            }
            return Ok(());
        }
        if columns.iter().any(|column| is_field(column)) {
            return Err(IN_PIECES.to_owned());
        }
        let first = failed.into_iter().next().map(|(_, reason)| reason);
        Err(first.unwrap_or_else(|| "no cell of a row holds a record as JSON".to_owned()))
    }

    fn object(&mut self, text: &str) -> Understood {
        let object: Object<'_> = serde_json::from_str(text).map_err(|error| format!("it is not JSON: {error}"))?;
        match object.kind() {
            Kind::Record => self.record(text, &object),
            Kind::Other(name) => {
                if !self.matches(text) {
                    self.skipped(name);
                }
                Ok(())
            }
            Kind::Unknown => {
                let understood = self.wrapper(text, &object);
                // Whatever it looks like.
                if understood.is_err() && self.matches(text) { Ok(()) } else { understood }
            }
        }
    }

    fn record(&mut self, text: &str, object: &Object<'_>) -> Understood {
        if let Some(time) = object.string("eventTime") {
            self.records.time(time.as_bytes());
        }
        self.records.count(1);
        self.read += 1;
        if self.rules.may_match_record(text.as_bytes(), true) { self.records.record(text).map(drop) } else { Ok(()) }
    }

    /// Whether a rule matches an object that is not known for a record.
    fn matches(&mut self, text: &str) -> bool {
        let matches = self.rules.may_match_record(text.as_bytes(), true) && self.records.record(text) == Ok(true);
        if matches {
            self.records.count(1);
            self.read += 1;
        }
        matches
    }

    fn skipped(&mut self, name: &'static str) {
        self.records.skipped(name);
        self.read += 1;
    }

    fn wrapper(&mut self, text: &str, object: &Object<'_>) -> Understood {
        if object.get("awslogs").is_some() {
            return self.batch(text);
        }
        if let Some(rows) = object.get("ResultSet").or_else(|| object.get("Rows")) {
            return self.result_set(rows);
        }
        if !object.fields().any(|(key, _)| CONTENT.contains(&key)) {
            self.salvage(text, 0);
            return Err(object.name());
        }
        let mut hidden = false;
        let mut failed = Vec::new();
        let before = self.read;
        for (key, value) in object.fields() {
            if CONTENT.contains(&key) {
                if let Err(reason) = self.within(key.to_owned(), |inside| inside.value(value)) {
                    failed.push((key, value, reason));
                }
            } else if mentions_record(value) {
                self.within(key.to_owned(), |inside| {
                    inside.salvage(value, 0);
                    inside.fault("a record where none is expected");
                });
                hidden = true;
            }
        }
        if let Some(status) = unfinished(object) {
            self.fault(&format!("the query is not complete ({status}): it may have more results"));
        }
        if ["NextToken", "nextToken"].iter().any(|key| object.string(key).is_some()) {
            self.records.skipped("page that the file only points to (NextToken)");
        }
        let part = hidden || self.read > before;
        if let Some((key, _, reason)) = failed.first().filter(|_| !part) {
            return Err(match object.string("detail-type") {
                Some(_) if *key == "detail" => object.name(),
                _ => format!("{key}: {reason}"),
            });
        }
        // Besides a record, a text for people may stand there. JSON has to be understood.
        for (key, value, reason) in failed {
            if value.starts_with(['{', '[']) || string(value).is_some_and(|text| is_json(&text)) {
                self.within(key.to_owned(), |inside| inside.fault(&reason));
            }
        }
        Ok(())
    }

    fn array(&mut self, text: &str) -> Understood {
        let items: Vec<&RawValue> = serde_json::from_str(text).map_err(|error| format!("it is not JSON: {error}"))?;
        let items: Vec<&str> = items.into_iter().map(RawValue::get).collect();
        if let Some((cells, columns)) = row(&items) {
            return self.row(&cells, &columns);
        }
        for (index, item) in items.iter().enumerate() {
            self.within(format!("[{index}]"), |inside| {
                if let Err(reason) = inside.value(item) {
                    inside.fault(&reason);
                }
            });
        }
        Ok(())
    }

    /// Reads the text of a log event, a message, a cell.
    pub fn text(&mut self, text: &str) -> Understood {
        let text = text.trim().trim_start_matches('\u{feff}');
        if text.starts_with(CONTROL_MESSAGE) {
            self.skipped("control message of CloudWatch Logs");
            return Ok(());
        }
        if self.path.len() > DEPTH_MAX {
            return Err("it is wrapped too many times".to_owned());
        }
        if is_json(text)
            || text.starts_with('"')
            || text.split_once('{').is_some_and(|(label, _)| is_label(label.as_bytes()))
        {
            return self.document(text);
        }
        match decoded(text)? {
            Some(inside) => self.document(&String::from_utf8_lossy(&inside)),
            None => Err("it is text, not JSON".to_owned()),
        }
    }

    /// Reads JSON of which several values may follow each other.
    fn document(&mut self, text: &str) -> Understood {
        let mut values = 0;
        let mut faults = Vec::new();
        let _ = Splitter::new(&ARRAYS).lenient().scan(text.as_bytes(), true, &mut |piece| {
            let read = match piece {
                Piece::Value { text, .. } | Piece::Text { text, .. } => self.value(&String::from_utf8_lossy(text)),
                Piece::Around { text, .. } => self.around(&String::from_utf8_lossy(text)),
                Piece::Flaw { flaw, .. } => Err(flaw.reason().to_owned()),
            };
            match read {
                Ok(()) => values += 1,
                Err(reason) => faults.push(reason),
            }
            true
        });
        let mut faults = faults.into_iter();
        if values == 0
            && let Some(first) = faults.next()
        {
            return Err(first);
        }
        faults.for_each(|reason| self.fault(&reason));
        Ok(())
    }

    /// Reads a raw Lambda event, as the function does, and then what the function would not look into.
    fn batch(&mut self, event: &str) -> Understood {
        let (rules, at) = (self.rules, self.at);
        self.read += 1;
        self.records.batch(event, &mut |records, message| {
            let mut counted = Counted::new(records);
            let mut inside = Unwrap::new(rules, &mut counted, at);
            if let Err(reason) = inside.text(message) {
                inside.fault(&format!("a log event: {reason}"));
            }
        })
    }

    /// Reads what `aws athena get-query-results` prints: the first row has the columns' names.
    fn result_set(&mut self, text: &str) -> Understood {
        let rows = athena_rows(text).map_err(|error| format!("it is not a ResultSet of Athena: {error}"))?;
        let mut rows = rows.into_iter();
        let columns: Vec<String> = rows.next().unwrap_or_default().into_iter().map(Cow::into_owned).collect();
        for (index, cells) in rows.enumerate() {
            self.within(format!("Rows[{}]", index + 1), |inside| {
                if let Err(reason) = inside.row(&cells, &columns) {
                    inside.fault(&reason);
                }
            });
        }
        Ok(())
    }

    /// Looks for records in what is not understood: none that a rule matches may be lost.
    fn salvage(&mut self, text: &str, depth: usize) {
        if depth > DEPTH_MAX || !mentions_record(text) {
            return;
        }
        match text.as_bytes().first() {
            Some(b'{') => {
                let Ok(object) = serde_json::from_str::<Object<'_>>(text) else { return };
                if object.kind() == Kind::Record {
                    // A record that can't be parsed is part of what is reported.
                    let _ = self.record(text, &object);
                } else {
                    object.fields().for_each(|(_, value)| self.salvage(value, depth + 1));
                }
            }
            Some(b'[') => {
                let items: Vec<&RawValue> = serde_json::from_str(text).unwrap_or_default();
                items.into_iter().for_each(|item| self.salvage(item.get(), depth + 1));
            }
            _ => {
                if let Some(inside) = string(text) {
                    self.salvage(inside.trim(), depth + 1);
                }
            }
        }
    }

    /// Does something one key deeper.
    fn within<T>(&mut self, key: String, read: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(key);
        let done = read(self);
        self.path.pop();
        done
    }

    fn fault(&mut self, reason: &str) {
        let place = self.path.join(".").replace(".[", "[");
        if place.is_empty() {
            self.records.fault(Some(self.at), reason);
        } else {
            self.records.fault(Some(self.at), &format!("{place}: {reason}"));
        }
    }
}

/// How far a query is, if it is not complete. The states are those of Logs Insights and of CloudTrail Lake.
fn unfinished<'a>(object: &Object<'a>) -> Option<Cow<'a, str>> {
    const STATES: [&str; 8] =
        ["scheduled", "queued", "running", "failed", "cancelled", "timeout", "timed_out", "unknown"];
    let state = match object.get("results") {
        Some(_) => object.string("status"),
        None => object.get("QueryResultRows").and_then(|_| object.string("QueryStatus")),
    };
    state.filter(|state| STATES.iter().any(|name| name.eq_ignore_ascii_case(state)))
}

/// Whether a record may be inside.
fn mentions_record(text: &str) -> bool {
    const NAME: &[u8] = b"userIdentity";
    memmem::find_iter(text.as_bytes(), NAME)
        .any(|at| text.as_bytes().get(at + NAME.len()).is_some_and(|byte| b"\"\\".contains(byte)))
}
