//! From a stream of bytes to its records, with bounded memory.

use std::io::{self, BufRead, BufReader, Cursor, Read};

use flate2::bufread::MultiGzDecoder;
use memchr::memmem::Finder;

use super::search::Search;
use super::split::{Fault, Piece, Splitter};

/// How much is read and searched at a time: little enough to stay in the processor's cache.
const PORTION: usize = 256 << 10;

/// The most bytes of one record, or one raw Lambda event, that are kept in memory: 16 MiB.
///
/// CloudTrail's records have at most 1 MB, an event that CloudWatch Logs sends has about as much.
const RECORD_MAX: usize = 16 << 20;

/// Who gets the records.
pub trait Records {
    /// So many that no rule can match.
    fn passed(&mut self, count: usize);
    /// One that a rule may match, or an object of another kind; why, if it can't be read.
    fn record(&mut self, text: &[u8]) -> Result<(), String>;
    /// Something that could not be read, for this reason.
    fn fault(&mut self, reason: &str);
    /// An `eventTime`, as it is written, of a record at the beginning or end of a portion.
    fn time(&mut self, text: &[u8]);
    /// So many bytes were read, after inflating.
    fn read(&mut self, bytes: usize);
}

/// Reads streams, one after the other.
pub struct Reader<'s> {
    search: &'s Search,
    time: Finder<'static>,
    portion: usize,
    buffer: Vec<u8>,
}

/// What is in the buffer.
#[derive(Default)]
struct Kept {
    /// Up to where it is filled.
    filled: usize,
    /// Whether a text that a rule needs is in it, as it is.
    hot: bool,
}

impl<'s> Reader<'s> {
    /// A reader that tells apart what this search finds.
    pub fn new(search: &'s Search) -> Self {
        Self { search, time: Finder::new("\"eventTime\":\""), portion: PORTION, buffer: Vec::new() }
    }

    /// Reads a stream, compressed with gzip or not, to its end or until it can't be read any further.
    pub fn read(&mut self, source: impl Read, records: &mut impl Records) {
        let mut source = BufReader::with_capacity(64 << 10, source);
        let head = match head(&mut source) {
            Ok(head) => head,
            Err(error) => return records.fault(&error.to_string()),
        };
        let gzip = head == [0x1f, 0x8b];
        let empty = head.is_empty();
        let source = Cursor::new(head).chain(source);
        if empty {
            records.fault("it is empty");
        } else if gzip {
            self.stream(MultiGzDecoder::new(source), records);
        } else {
            self.stream(source, records);
        }
    }

    fn stream(&mut self, mut source: impl Read, records: &mut impl Records) {
        let mut splitter = Splitter::default();
        let mut kept = Kept::default();
        let mut first = true;
        loop {
            let more = self.fill(&mut source, &mut kept, records);
            if first && self.buffer[..kept.filled].starts_with(b"\xef\xbb\xbf") {
                // A byte order mark.
                self.buffer[..3].fill(b' ');
            }
            first = false;
            let end = !more;
            if self.pieces(&mut splitter, kept.filled, end, kept.hot, records).is_err() {
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
                    return self.lines(source, kept, more, records);
                }
                splitter.give_up();
                records.fault(Fault::TooLong.reason());
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
                    records.fault(&reason(&error));
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
        kept.hot =
            kept.hot || self.search.finds_written(&self.buffer[from.saturating_sub(self.search.overlap)..kept.filled]);
        more
    }

    /// Gives the records that the buffer holds to whoever gets them.
    fn pieces(
        &self,
        splitter: &mut Splitter,
        filled: usize,
        end: bool,
        hot: bool,
        records: &mut impl Records,
    ) -> Result<(), Fault> {
        let mut passed = 0;
        let search = self.search;
        let result = splitter.scan(&self.buffer[..filled], end, &mut |piece| {
            match piece {
                Piece::Record { text, bare, escapes }
                    if is_other(text)
                        || (hot && search.finds_written(text))
                        || (escapes && search.finds_escaped(text)) =>
                {
                    match records.record(text) {
                        // By its brackets it seemed to be a record. It may be several lines of which one is broken.
                        Err(_) if bare && text.contains(&b'\n') => return false,
                        Err(reason) => records.fault(&reason),
                        Ok(()) => {}
                    }
                }
                Piece::Record { .. } => passed += 1,
                Piece::Fault(fault) => records.fault(fault.reason()),
            }
            true
        });
        records.passed(passed);
        result
    }

    /// Drops what is dealt with from the buffer.
    fn drop(&mut self, done: usize, kept: &mut Kept) {
        if done == 0 {
            return;
        }
        self.buffer.copy_within(done..kept.filled, 0);
        kept.filled -= done;
        kept.hot = kept.hot && self.search.finds_written(&self.buffer[..kept.filled]);
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
            for line in self.buffer[..whole].split_inclusive(|byte| *byte == b'\n') {
                if std::mem::take(&mut skipping) {
                    continue;
                }
                self.line(line, records);
            }
            self.drop(whole, &mut kept);
            if end {
                return;
            }
            if kept.filled > RECORD_MAX {
                if !skipping {
                    records.fault(Fault::TooLong.reason());
                }
                skipping = true;
                kept = Kept::default();
            }
            more = self.fill(&mut source, &mut kept, records);
        }
    }

    fn line(&self, line: &[u8], records: &mut impl Records) {
        let mut passed = 0;
        let result = Splitter::default().scan(line, true, &mut |piece| {
            match piece {
                Piece::Record { text, .. } if is_other(text) || self.search.finds(text) => {
                    if let Err(reason) = records.record(text) {
                        records.fault(&reason);
                    }
                }
                Piece::Record { .. } => passed += 1,
                Piece::Fault(fault) => records.fault(fault.reason()),
            }
            true
        });
        records.passed(passed);
        if result.is_err() {
            records.fault("a line is no JSON object");
        }
    }
}

/// Whether this is no record, by its first key: a raw Lambda event, or one of CloudTrail's digest files.
fn is_other(text: &[u8]) -> bool {
    let key = text.strip_prefix(b"{").map(<[u8]>::trim_ascii_start).unwrap_or_default();
    key.starts_with(b"\"awslogs\"") || key.starts_with(b"\"awsAccountId\"") || !text.starts_with(b"{")
}

/// The first two bytes, if there are so many.
fn head(source: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(2);
    source.by_ref().take(2).read_to_end(&mut head)?;
    Ok(head)
}

/// Why a stream can't be read any further.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "the gzip stream breaks off".to_owned(),
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => format!("the gzip stream is damaged: {error}"),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use root_usage_alert::rule::{Rule, RuleSet};
    use serde_json::{Value, json};

    use super::*;

    #[derive(Default)]
    struct Seen {
        passed: usize,
        records: Vec<Value>,
        faults: Vec<String>,
        bytes: usize,
    }

    impl Records for Seen {
        fn passed(&mut self, count: usize) {
            self.passed += count;
        }

        fn record(&mut self, text: &[u8]) -> Result<(), String> {
            self.records.push(serde_json::from_slice(text).map_err(|error| error.to_string())?);
            Ok(())
        }

        fn fault(&mut self, reason: &str) {
            self.faults.push(reason.to_owned());
        }

        fn time(&mut self, _: &[u8]) {}

        fn read(&mut self, bytes: usize) {
            self.bytes += bytes;
        }
    }

    /// What others can write: quotation marks, brackets, escapes and what looks like a record.
    fn hostile() -> impl Strategy<Value = String> {
        let parts = [
            "\"",
            "\\",
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\n",
            "é",
            " ",
            "Ro",
            "ot",
            "u0052",
            "\\u0052",
            "\"Records\":[",
            "{\"userIdentity\":{\"type\":\"Root\"}}",
            "]}",
            "eventVersion",
        ];
        prop::collection::vec(prop::sample::select(parts.to_vec()), 0..40).prop_map(|parts| parts.concat())
    }

    /// A record's text.
    fn record() -> impl Strategy<Value = String> {
        let spelled = [r"Root", r"\u0052oot", r"Ro\u006Ft", r"IAMUser", r"R\\oot", r"root"];
        (prop::sample::select(spelled.to_vec()), hostile(), hostile(), any::<bool>()).prop_map(
            |(kind, one, other, first)| {
                let identity = format!(r#""userIdentity":{{"type":"{kind}"}}"#);
                let rest = json!({ "a": one, "b": [{ &other: one }, { "Records": [{ "c": other }] }, []] }).to_string();
                let rest = &rest[1..rest.len() - 1];
                if first { format!("{{{identity},{rest}}}") } else { format!("{{{rest},{identity}}}") }
            },
        )
    }

    fn laid_out(records: &[String], layout: usize) -> String {
        let values = || records.iter().map(|record| serde_json::from_str(record).unwrap()).collect::<Vec<Value>>();
        match layout {
            0 => format!("{{\"Records\":[{}]}}", records.join(",")),
            1 => records.join("\n"),
            2 => format!("[{}]", records.join(" ,\n")),
            3 => records.concat(),
            4 => serde_json::to_string_pretty(&json!({ "x": {}, "Records": values() })).unwrap(),
            5 => serde_json::to_string_pretty(&values()).unwrap(),
            _ => records.iter().map(|record| format!("{{\"Records\" : [{record}]}}\n")).collect(),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_match_is_passed_over(
            records in prop::collection::vec(record(), 1..8),
            layout in 0_usize..7,
            portion in 1_usize..500,
        ) {
            let search = Search::new(&RuleSet::new(Rule::named("root-usage").unwrap()));
            let mut reader = Reader { portion, ..Reader::new(&search) };
            let text = laid_out(&records, layout);
            let mut seen = Seen::default();
            reader.read(text.as_bytes(), &mut seen);
            prop_assert_eq!(&seen.faults, &Vec::<String>::new());
            prop_assert_eq!(seen.passed + seen.records.len(), records.len());
            prop_assert_eq!(seen.bytes, text.len());
            let is_root = |record: &Value| record["userIdentity"]["type"] == "Root";
            let all = records.iter().map(|record| serde_json::from_str::<Value>(record).unwrap());
            let expected: Vec<Value> = all.filter(is_root).collect();
            seen.records.retain(is_root);
            prop_assert_eq!(seen.records, expected);
        }

        #[test]
        fn whatever_the_bytes_reading_ends(bytes in prop::collection::vec(any::<u8>(), 0..600), portion in 1_usize..500) {
            let search = Search::new(&RuleSet::new(Rule::named("root-usage").unwrap()));
            let mut seen = Seen::default();
            Reader { portion, ..Reader::new(&search) }.read(&bytes[..], &mut seen);
            // Two of its bytes may say that it is compressed.
            prop_assert!(seen.bytes == bytes.len() || bytes.starts_with(&[0x1f, 0x8b]));
        }

        #[test]
        fn where_brackets_are_wrong_no_record_is_lost_in_silence(
            records in prop::collection::vec(record(), 1..5),
            broken in "[\\[\\]{}\",: a\n]{0,12}",
            at in 0_usize..5,
            layout in 0_usize..4,
        ) {
            let mut pieces = records.clone();
            pieces.insert(at.min(records.len()), broken);
            let search = Search::new(&RuleSet::new(Rule::named("root-usage").unwrap()));
            let mut seen = Seen::default();
            Reader::new(&search).read(laid_out(&pieces, layout).as_bytes(), &mut seen);
            let is_root = |record: &Value| record["userIdentity"]["type"] == "Root";
            let all = records.iter().map(|record| serde_json::from_str::<Value>(record).unwrap());
            let expected = all.filter(is_root).count();
            seen.records.retain(is_root);
            prop_assert!(seen.records.len() >= expected || !seen.faults.is_empty(), "{:?}", seen.records);
        }
    }
}
