//! CSV in which a column holds whole records: exports of Logs Insights, Athena and CloudTrail Lake.

use std::borrow::Cow;
use std::io::{self, Read};

use ::csv::{ByteRecord, ErrorKind, Position, ReaderBuilder};
use memchr::memmem;
use root_usage::rule::RuleSet;

use super::foreign::BYTE_ORDER_MARK;
use super::object::is_field;
use super::read::{RECORD_MAX, Records, reason};
use super::unwrap::Unwrap;

/// The most bytes of the line with the columns' names.
const HEAD_MAX: usize = 64 << 10;

/// How a record begins that is a cell: in quotation marks, with its own doubled.
const DOUBLED: &[u8] = b"\"{\"\"";

/// Columns that a record is in, or stands beside one.
const COLUMNS: [&str; 18] = [
    "eventjson",
    "cloudtrailevent",
    "@message",
    "@timestamp",
    "@logstream",
    "@ptr",
    "message",
    "timestamp",
    "event",
    "eventdata",
    "record",
    "records",
    "json",
    "line",
    "detail",
    "body",
    "_raw",
    "_col0",
];

/// A table that begins with its columns' names.
pub struct Table {
    delimiter: u8,
    columns: Vec<String>,
    /// How many bytes come before the columns' names.
    skipped: usize,
    /// It is a later part of a table that was split, and begins with a row.
    headless: bool,
}

impl Table {
    /// The table that begins so, if one does.
    pub fn of(start: &[u8]) -> Option<Self> {
        let skipped = if start.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
        let start = &start[skipped..];
        if matches!(start.trim_ascii_start().first(), None | Some(b'{' | b'[')) {
            return None;
        }
        let end = start.iter().take(HEAD_MAX).position(|byte| *byte == b'\n').unwrap_or(start.len().min(HEAD_MAX));
        let (head, rest) = start.split_at(end);
        let delimiter = *b",\t;".iter().max_by_key(|delimiter| head.iter().filter(|byte| byte == delimiter).count())?;
        let mut record = ByteRecord::new();
        let mut reader = ReaderBuilder::new().has_headers(false).delimiter(delimiter).from_reader(head);
        reader.read_byte_record(&mut record).ok().filter(|there| *there)?;
        let columns: Vec<String> =
            record.iter().map(|name| Some(std::str::from_utf8(name).ok()?.trim().to_owned())).collect::<Option<_>>()?;
        let known = |name: &String| is_field(name) || COLUMNS.iter().any(|column| column.eq_ignore_ascii_case(name));
        let quoted = || rest.windows(3).take(HEAD_MAX).any(|three| three == &DOUBLED[..3]);
        if let Some(at) = memmem::find(head, DOUBLED) {
            // Of the commas in it, none counts.
            let before = at.checked_sub(1).map(|at| head[at]).filter(|byte| b",\t;".contains(byte));
            return Some(Self { delimiter: before.unwrap_or(b','), columns: Vec::new(), skipped, headless: true });
        }
        let names = columns.iter().all(|name| is_name(name));
        (names && (columns.iter().any(known) || quoted())).then_some(Self {
            delimiter,
            columns,
            skipped,
            headless: false,
        })
    }

    /// Reads a table's rows. So many bytes of it were `read` before.
    pub fn read(&self, mut source: impl Read, read: usize, rules: &RuleSet, records: &mut impl Records) {
        let mut skipped = [0; BYTE_ORDER_MARK.len()];
        if let Err(error) = source.read_exact(&mut skipped[..self.skipped]) {
            return records.fault(None, &error.to_string());
        }
        let source = Bounded { source, left: RECORD_MAX, read: self.skipped };
        let mut rows = ReaderBuilder::new()
            .has_headers(!self.headless)
            .flexible(true)
            .delimiter(self.delimiter)
            .from_reader(source);
        let mut row = ByteRecord::new();
        loop {
            rows.get_mut().left = RECORD_MAX;
            match rows.read_byte_record(&mut row) {
                Ok(false) => break,
                Ok(true) => {
                    let at = row.position().map_or(0, Position::byte) + self.skipped as u64;
                    let cells: Vec<Cow<'_, str>> = row.iter().map(String::from_utf8_lossy).collect();
                    if let Err(reason) = Unwrap::new(rules, records, at).row(&cells, &self.columns) {
                        records.fault(Some(at), &reason);
                    }
                }
                Err(error) => {
                    let at = rows.position().byte();
                    let why = match error.into_kind() {
                        ErrorKind::Io(error) => reason(&error),
                        other => format!("a row is not CSV: {other:?}"),
                    };
                    records.fault(Some(at), &why);
                    break;
                }
            }
        }
        records.read(rows.get_ref().read.saturating_sub(read));
    }
}

/// Whether this could be a column's name.
fn is_name(name: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || "_@.-$ ()*:/".contains(c);
    !name.is_empty() && name.len() <= 128 && name.chars().all(part)
}

/// A source that a row can't be read from without end.
struct Bounded<R> {
    source: R,
    /// How many bytes may be read for this row.
    left: usize,
    read: usize,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(io::Error::other("a row is too long to be kept in memory (16 MiB)"));
        }
        let length = buffer.len().min(self.left);
        let bytes = self.source.read(&mut buffer[..length])?;
        self.left -= bytes;
        self.read += bytes;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_known_by_its_first_line() {
        for (start, columns) in [
            ("@timestamp,@message\n", Some(&["@timestamp", "@message"][..])),
            ("\u{feff}\"eventversion\",\"useridentity\"\r\n\"1.08\"", Some(&["eventversion", "useridentity"])),
            ("eventTime\teventJson\n", Some(&["eventTime", "eventJson"])),
            ("eventjson", Some(&["eventjson"])),
            ("a,b\n1,\"{\"\"eventVersion\"\":1}\"\n", Some(&["a", "b"])),
            ("a,b\n1,2\n", None),
            ("2026-11-20,\"{\"\"eventVersion\"\":1}\"\n", Some(&[])),
            ("\"{\"\"eventVersion\"\":1}\"\n", Some(&[])),
            ("Hello, message\n", Some(&["Hello", "message"])),
            ("Logs of \"Root\" are here.\n", None),
            ("{\"event\":1,\"message\":2}", None),
            ("[1,2]", None),
            ("\"{\\\"event\\\":1}\"\n", None),
            ("", None),
        ] {
            let table = Table::of(start.as_bytes());
            let found: Option<Vec<&str>> =
                table.as_ref().map(|table| table.columns.iter().map(String::as_str).collect());
            assert_eq!(found, columns.map(<[&str]>::to_vec), "{start}");
        }
    }
}
