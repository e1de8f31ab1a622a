//! From a stream of bytes to its records, with bounded memory.

use std::io::{self, BufRead, BufReader, Cursor, Read};

use flate2::bufread::MultiGzDecoder;
use memchr::memmem::Finder;
use root_usage::detect::split::{Flaw, Piece, Splitter};
use root_usage::rule::RuleSet;
use serde::de::IgnoredAny;

use super::csv::Table;
use super::foreign;
use super::object::begins_as_record;
use super::unwrap::Unwrap;

/// The arrays of an object whose elements are given one by one, so that memory does not grow with them.
///
/// CloudTrail's files and Lambda's events, Firehose, `lookup-events`, `filter-log-events` and `get-log-events`, batches
/// of CloudWatch Logs, Logs Insights, live tail, `receive-message`, `put-events`, CloudTrail Lake.
pub const ARRAYS: [&str; 10] = [
    "Records",
    "records",
    "Events",
    "events",
    "logEvents",
    "results",
    "sessionResults",
    "Messages",
    "Entries",
    "QueryResultRows",
];

/// How much is read at a time: little enough to stay in the processor's cache.
const PORTION: usize = 256 << 10;

/// The most bytes of one record, or of one object that is read as a whole, that are kept in memory: 16 MiB.
///
/// CloudTrail's records have at most 1 MB, an event that CloudWatch Logs sends has about as much.
pub const RECORD_MAX: usize = 16 << 20;

/// Who gets the records.
pub trait Records {
    /// So many were read.
    fn count(&mut self, count: usize);
    /// One that a rule may match, counted already: whether one does, or why it can't be read.
    fn record(&mut self, text: &str) -> Result<bool, String>;
    /// A raw Lambda event. `other` gets the messages that no rule matches; every log event is counted.
    fn batch(&mut self, event: &str, other: &mut dyn FnMut(&mut dyn Records, &str)) -> Result<(), String>;
    /// Something that is known to hold no record: what it is.
    fn skipped(&mut self, name: &'static str);
    /// Something that was not understood: at which byte it stands, and why.
    fn fault(&mut self, at: Option<u64>, reason: &str);
    /// An `eventTime`, as it is written.
    fn time(&mut self, text: &[u8]);
    /// So many bytes were read, after inflating.
    fn read(&mut self, bytes: usize);
}

/// Passes everything on but the count, for records that are counted elsewhere.
pub struct Counted<'r>(&'r mut dyn Records);

impl<'r> Counted<'r> {
    pub fn new(records: &'r mut dyn Records) -> Self {
        Self(records)
    }
}

impl Records for Counted<'_> {
    fn count(&mut self, _: usize) {}

    fn record(&mut self, text: &str) -> Result<bool, String> {
        self.0.record(text)
    }

    fn batch(&mut self, event: &str, other: &mut dyn FnMut(&mut dyn Records, &str)) -> Result<(), String> {
        self.0.batch(event, other)
    }

    fn skipped(&mut self, name: &'static str) {
        self.0.skipped(name);
    }

    fn fault(&mut self, at: Option<u64>, reason: &str) {
        self.0.fault(at, reason);
    }

    fn time(&mut self, text: &[u8]) {
        self.0.time(text);
    }

    fn read(&mut self, bytes: usize) {
        self.0.read(bytes);
    }
}

/// Reads streams, one after the other.
pub struct Reader<'s> {
    rules: &'s RuleSet,
    time: Finder<'static>,
    portion: usize,
    buffer: Vec<u8>,
}

/// What is in the buffer.
#[derive(Default)]
struct Kept {
    /// Where in the stream it begins.
    from: u64,
    /// Up to where it is filled.
    filled: usize,
    /// Whether something in it may match, as it is written.
    hot: bool,
}

impl<'s> Reader<'s> {
    /// A reader that looks for what these rules match.
    pub fn new(rules: &'s RuleSet) -> Self {
        Self { rules, time: Finder::new("\"eventTime\":\""), portion: PORTION, buffer: Vec::new() }
    }

    /// Reads a stream, compressed with gzip or not, to its end or until it can't be read any further.
    pub fn read(&mut self, source: impl Read, records: &mut impl Records) {
        let mut source = BufReader::with_capacity(64 << 10, source);
        let head = match head(&mut source) {
            Ok(head) => head,
            Err(error) => return records.fault(None, &error.to_string()),
        };
        let gzip = head == foreign::GZIP;
        let source = Cursor::new(head).chain(source);
        if gzip {
            self.stream(MultiGzDecoder::new(source), records);
        } else {
            self.stream(source, records);
        }
    }

    fn stream(&mut self, mut source: impl Read, records: &mut impl Records) {
        let mut splitter = Splitter::new(&ARRAYS);
        let mut kept = Kept::default();
        let mut first = true;
        loop {
            let more = self.fill(&mut source, &mut kept, records);
            if std::mem::take(&mut first) {
                let start = &self.buffer[..kept.filled];
                if let Some(reason) = foreign::refused(start, !more) {
                    return records.fault(None, reason);
                }
                if start.starts_with(foreign::EXPORT_CHECK) && !more {
                    return records.skipped("permission check of an export");
                }
                if let Some(table) = Table::of(start) {
                    return table.read(Cursor::new(start).chain(source), kept.filled, self.rules, records);
                }
                if start.starts_with(foreign::BYTE_ORDER_MARK) {
                    self.buffer[..foreign::BYTE_ORDER_MARK.len()].fill(b' ');
                }
            }
            let end = !more;
            if self.pieces(&mut splitter, &kept, end, records).is_err() {
                self.drop(splitter.kept(), &mut kept);
                return self.lines(source, kept, more, records);
            }
            let done = splitter.kept();
            self.drop(done, &mut kept);
            splitter.shift(done);
            if end {
                return;
            }
            if kept.filled > RECORD_MAX {
                if splitter.is_bare() {
                    // A line that is too long is told as such.
                    if memchr::memchr(b'\n', &self.buffer[..kept.filled]).is_some() {
                        records.fault(Some(kept.from), Flaw::TooLong.reason());
                    }
                    return self.lines(source, kept, more, records);
                }
                splitter.give_up();
                records.fault(Some(kept.from), Flaw::TooLong.reason());
            }
        }
    }

    /// Reads a portion into the buffer, and searches it. False if there is no more to come.
    fn fill(&mut self, source: &mut impl Read, kept: &mut Kept, records: &mut impl Records) -> bool {
        if self.buffer.len() < kept.filled + self.portion {
            self.buffer.resize(kept.filled + self.portion, 0);
        }
        let from = kept.filled;
        let mut more = true;
        while more && kept.filled < from + self.portion {
            match source.read(&mut self.buffer[kept.filled..from + self.portion]) {
                Ok(0) => more = false,
                Ok(bytes) => kept.filled += bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    records.fault(Some(kept.from + kept.filled as u64), &reason(&error));
                    more = false;
                }
            }
        }
        records.read(kept.filled - from);
        let new = &self.buffer[from..kept.filled];
        let mut time = |at: Option<usize>| {
            let text = at.and_then(|at| new.get(at + self.time.needle().len()..)).unwrap_or_default();
            if let Some(end) = text.iter().take(40).position(|byte| *byte == b'"') {
                records.time(&text[..end]);
            }
        };
        time(self.time.find(new));
        time(memchr::memmem::rfind(new, self.time.needle()));
        let new = &self.buffer[from.saturating_sub(self.rules.overlap())..kept.filled];
        kept.hot = kept.hot || self.rules.may_match_record(new, false);
        more
    }

    /// Gives the records that the buffer holds to whoever gets them.
    fn pieces(&self, splitter: &mut Splitter, kept: &Kept, end: bool, records: &mut impl Records) -> Result<(), Flaw> {
        let mut passed = 0;
        let result = splitter.scan(&self.buffer[..kept.filled], end, &mut |piece| {
            if let Piece::Value { text, bare, escapes, .. } = piece
                && self.passes(text, bare, kept.hot, escapes)
            {
                passed += 1;
                return true;
            }
            let (at, read) = self.piece(&piece, kept.from, records);
            if let Err(reason) = read {
                // By its brackets it seemed to be one value. It may be several lines of which one is broken.
                if let Piece::Value { text, bare: true, .. } = piece
                    && text.contains(&b'\n')
                    && serde_json::from_slice::<IgnoredAny>(text).is_err()
                {
                    return false;
                }
                records.fault(Some(at), &reason);
            }
            true
        });
        records.count(passed);
        result
    }

    /// Whether this is a record that no rule can match, known without parsing it.
    fn passes(&self, text: &[u8], bare: bool, hot: bool, escapes: bool) -> bool {
        begins_as_record(text)
            && !(bare && memchr::memchr(b'\n', text).is_some())
            && !((hot || escapes) && self.rules.may_match_record(text, escapes))
    }

    /// Reads what stands where a record should. At which byte it is, and why it was not understood.
    fn piece(&self, piece: &Piece<'_>, from: u64, records: &mut impl Records) -> (u64, Result<(), String>) {
        let text = |text| String::from_utf8_lossy(text);
        let unwrap = |at: usize, records| Unwrap::new(self.rules, records, from + at as u64);
        let (at, read) = match *piece {
            Piece::Value { text: value, at, .. } | Piece::Text { text: value, at, .. } => {
                (at, unwrap(at, records).value(&text(value)))
            }
            Piece::Around { text: around, at } => (at, unwrap(at, records).around(&text(around))),
            Piece::Flaw { flaw, at, .. } => (at, Err(flaw.reason().to_owned())),
        };
        (from + at as u64, read)
    }

    /// Drops what is dealt with from the buffer.
    fn drop(&mut self, done: usize, kept: &mut Kept) {
        if done == 0 {
            return;
        }
        self.buffer.copy_within(done..kept.filled, 0);
        kept.filled -= done;
        kept.from += done as u64;
        kept.hot = kept.hot && self.rules.may_match_record(&self.buffer[..kept.filled], false);
    }

    /// Reads line by line what is no stream of records as a whole: one broken line must not cost the others.
    fn lines(&mut self, mut source: impl Read, mut kept: Kept, mut more: bool, records: &mut impl Records) {
        // Inside a line that is too long.
        let mut skipping = false;
        loop {
            let end = !more;
            let whole = match memchr::memrchr(b'\n', &self.buffer[..kept.filled]) {
                _ if end => kept.filled,
                Some(last) => last + 1,
                None => 0,
            };
            let mut at = kept.from;
            for line in self.buffer[..whole].split_inclusive(|byte| *byte == b'\n') {
                if !std::mem::take(&mut skipping) {
                    self.line(line, at, records);
                }
                at += line.len() as u64;
            }
            self.drop(whole, &mut kept);
            if end {
                return;
            }
            if kept.filled > RECORD_MAX {
                if !skipping {
                    records.fault(Some(kept.from), Flaw::TooLong.reason());
                }
                skipping = true;
                kept = Kept { from: kept.from + kept.filled as u64, ..Kept::default() };
            }
            more = self.fill(&mut source, &mut kept, records);
        }
    }

    /// Reads a line, whatever else is on it. What is wrong with it is one fault.
    fn line(&self, line: &[u8], at: u64, records: &mut impl Records) {
        let mut passed = 0;
        let mut why = None;
        let _ = Splitter::new(&ARRAYS).lenient().scan(line, true, &mut |piece| {
            match piece {
                Piece::Value { text, escapes, .. } if self.passes(text, false, true, escapes) => passed += 1,
                Piece::Flaw { .. } => drop(why.get_or_insert_with(|| "a line is not a JSON object".to_owned())),
                _ => {
                    if let (_, Err(reason)) = self.piece(&piece, at, records) {
                        why.get_or_insert(reason);
                    }
                }
            }
            true
        });
        records.count(passed);
        if let Some(reason) = why {
            records.fault(Some(at), &reason);
        }
    }
}

/// The first two bytes, if there are so many.
fn head(source: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(2);
    source.by_ref().take(2).read_to_end(&mut head)?;
    Ok(head)
}

/// Why a stream can't be read any further.
pub fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "the gzip stream breaks off".to_owned(),
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => format!("the gzip stream is damaged: {error}"),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
