//! Files that hold no JSON, told by how they begin and refused by name, with what to do instead.

use memchr::memmem;

/// How a gzip member begins.
pub const GZIP: &[u8] = b"\x1f\x8b";

/// How UTF-8 may begin.
pub const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What `CreateExportTask` writes to see whether it may: `aws-logs-write-test`.
pub const EXPORT_CHECK: &[u8] = b"Permission Check Successful";

const UTF_16: &str = "it is UTF-16: write it as UTF-8 (in PowerShell: | Out-File -Encoding utf8)";

/// How a file begins that is not text, and what it is.
const MAGIC: [(&[u8], &str); 13] = [
    (GZIP, "it is compressed with gzip twice: inflate it once"),
    (b"\xff\xfe", UTF_16),
    (b"\xfe\xff", UTF_16),
    (b"\0\0\xfe\xff", "it is UTF-32: write it as UTF-8"),
    (b"PK\x03\x04", "it is a zip archive: unpack it first"),
    (b"BZh", "it is compressed with bzip2: decompress it first"),
    (b"\xfd7zXZ", "it is compressed with xz: decompress it first"),
    (b"\x28\xb5\x2f\xfd", "it is compressed with Zstandard: decompress it first"),
    (b"\x04\x22\x4d\x18", "it is compressed with LZ4: decompress it first"),
    (b"7z\xbc\xaf", "it is a 7z archive: unpack it first"),
    (b"PAR1", "it is Parquet, not JSON: export it as JSON"),
    (b"ORC", "it is ORC, not JSON: export it as JSON"),
    (b"Obj\x01", "it is Avro, not JSON: export it as JSON"),
];

/// The keys that the AWS CLI's answers begin with, in YAML.
const YAML: [&str; 22] = [
    "---",
    "Events",
    "events",
    "Records",
    "records",
    "logEvents",
    "results",
    "searchedLogStreams",
    "nextForwardToken",
    "nextBackwardToken",
    "nextToken",
    "NextToken",
    "queryLanguage",
    "encryptionKey",
    "statistics",
    "QueryStatus",
    "QueryStatistics",
    "QueryResultRows",
    "Messages",
    "CloudTrailEvent",
    "eventVersion",
    "ResultSet",
];

/// Why a file is not read at all, by its first bytes, which may be the `whole` of it.
pub fn refused(start: &[u8], whole: bool) -> Option<&'static str> {
    if let Some((_, reason)) = MAGIC.iter().find(|(magic, _)| start.starts_with(magic)) {
        return Some(reason);
    }
    if start.get(257..262) == Some(b"ustar") {
        return Some("it is a tar archive: unpack it first");
    }
    if let [first, second, ..] = start
        && (*first == 0) != (*second == 0)
        && start.len() > 3
        && (start[2] == 0) == (*first == 0)
    {
        return Some(UTF_16);
    }
    let text = start.strip_prefix(BYTE_ORDER_MARK).unwrap_or(start).trim_ascii_start();
    if text.is_empty() {
        return whole.then_some("it is empty");
    }
    // Nearly all files are JSON.
    if text.starts_with(b"{") || text.starts_with(b"[") {
        return None;
    }
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii_end();
    if text.starts_with(b"\x1b") {
        return Some("it has a terminal's colours in it: print it without them (jq -M, --color off)");
    }
    if is_yaml(line) {
        return Some("it is YAML: ask the AWS CLI for --output json");
    }
    let rule = |byte: u8| line.len() > 9 && line.iter().all(|other| *other == byte);
    if rule(b'-') || line.starts_with(b"+--") || line.starts_with(b"|") {
        return Some("it is a table for people: ask the AWS CLI for --output json");
    }
    if is_cli_text(text) {
        return Some("it is the AWS CLI's text output: ask it for --output json");
    }
    None
}

fn is_yaml(line: &[u8]) -> bool {
    let item = line.strip_prefix(b"- ").map(<[u8]>::trim_ascii_start);
    if item.is_some_and(|item| item.starts_with(b"'{") || item.starts_with(b"\"{")) {
        return true;
    }
    let key = item.unwrap_or(line);
    let end = key.iter().position(|byte| *byte == b':').unwrap_or(key.len());
    let value = key.get(end + 1..).unwrap_or_default();
    (value.is_empty() || value.starts_with(b" "))
        && (end < key.len() || key == b"---")
        && YAML.iter().any(|name| name.as_bytes() == &key[..end])
        || key.starts_with(b"AccessKeyId: ")
        || key.starts_with(b"EventId: ")
        || key.starts_with(b"logStreamName: ")
        || key.starts_with(b"timestamp: ")
        || key.starts_with(b"ingestionTime: ")
}

/// Whether there is a line such as `EVENTS`, a tab, and the values of an event.
fn is_cli_text(text: &[u8]) -> bool {
    let start = &text[..text.len().min(4096)];
    ["EVENTS", "LOGEVENTS", "RESULTS", "RECORDS", "SEARCHEDLOGSTREAMS", "QUERYRESULTROWS", "MESSAGES", "STATISTICS"]
        .iter()
        .any(|name| {
            memmem::find_iter(start, name).any(|at| {
                (at == 0 || start[at - 1] == b'\n')
                    && start.get(at + name.len()).is_some_and(|byte| b"\t\n\r".contains(byte))
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_refused_by_how_it_begins() {
        let utf_16 = |text: &str, big: bool| -> Vec<u8> {
            text.encode_utf16().flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
        };
        let rows: Vec<(Vec<u8>, Option<&str>)> = vec![
            (utf_16("\u{feff}{\"Records\":[]}", false), Some("UTF-16")),
            (utf_16("\u{feff}{\"Records\":[]}", true), Some("UTF-16")),
            (utf_16("{\"Records\":[]}", false), Some("UTF-16")),
            (utf_16("{\"Records\":[]}", true), Some("UTF-16")),
            (b"PK\x03\x04".to_vec(), Some("zip")),
            (b"PAR1".to_vec(), Some("Parquet")),
            (GZIP.to_vec(), Some("twice")),
            ([&[b'a'; 257][..], b"ustar\0"].concat(), Some("tar")),
            (b"\x1b[1;39m{".to_vec(), Some("colours")),
            (b"Events:\n- AccessKeyId: A\n".to_vec(), Some("YAML")),
            (b"- Events:\n  - A: b\n".to_vec(), Some("YAML")),
            (b"- '{\"eventVersion\":\"1.08\"}'\n".to_vec(), Some("YAML")),
            (b"---\nEvents: []\n".to_vec(), Some("YAML")),
            (b"-----------------\n|  LookupEvents |\n".to_vec(), Some("table")),
            (b"+----+\n".to_vec(), Some("table")),
            (b"EVENTS\tAKIA\t{}\n".to_vec(), Some("text output")),
            (b"b/1\tf/2\nEVENTS\t1\t{}\t2\n".to_vec(), Some("text output")),
            (b" \n".to_vec(), Some("empty")),
            (b"".to_vec(), Some("empty")),
            (b"{\"Events\":[]}".to_vec(), None),
            (b"\xef\xbb\xbf{".to_vec(), None),
            (b"{}".to_vec(), None),
            (b"INFO: Events\n".to_vec(), None),
            (b"2026-11-20T02:51:00.000Z {".to_vec(), None),
            (b"CloudTrailEvent\n\"{\"\"a\"\"".to_vec(), None),
        ];
        for (bytes, expected) in rows {
            let reason = refused(&bytes, true);
            let text = String::from_utf8_lossy(&bytes);
            assert_eq!(reason.is_some(), expected.is_some(), "{text:?}: {reason:?}");
            assert!(reason.unwrap_or_default().contains(expected.unwrap_or_default()), "{text:?}: {reason:?}");
        }
        assert_eq!(refused(b" \n", false), None);
    }
}
