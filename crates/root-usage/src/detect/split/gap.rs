//! What stands between the objects and arrays of a stream: strings, labels, and what should not be there.

use memchr::{memchr, memchr2};

/// What comes where a gap ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// An object or array.
    Value,
    /// The next portion of the stream: what is last may go on in it.
    More,
    /// The end of an array, or of the stream.
    End,
}

/// What is in a gap.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    /// A JSON string, with its quotation marks.
    Text(&'a [u8]),
    /// Something that is neither a string nor a label.
    Stray,
    /// The next portion has to show what this is.
    Unfinished,
}

/// What is in a gap, and where. Commas and white space are left out, and so is the label of what follows, where records
/// stand in nothing.
pub fn tokens(gap: &[u8], bare: bool, until: Until) -> impl Iterator<Item = (usize, Token<'_>)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            at += nothing(&gap[at..]);
            let rest = &gap[at..];
            let (length, token) = if rest.is_empty() {
                return None;
            } else if rest[0] == b'"' {
                match string(rest) {
                    Some(length) => (length, Some(Token::Text(&rest[..length]))),
                    None if until == Until::More => (rest.len(), Some(Token::Unfinished)),
                    None => (rest.len(), Some(Token::Stray)),
                }
            } else {
                let length = memchr2(b'"', b'\n', rest).unwrap_or(rest.len());
                let last = nothing(&rest[length..]) == rest.len() - length;
                match until {
                    Until::More if last => (rest.len(), Some(Token::Unfinished)),
                    Until::Value if last && bare && is_label(&rest[..length]) => (rest.len(), None),
                    _ => (length, Some(Token::Stray)),
                }
            };
            let start = at;
            at += length;
            if let Some(token) = token {
                return Some((start, token));
            }
        }
    })
}

/// How many bytes say nothing: white space, commas, the record separator of JSON text sequences (RFC 7464), and the byte
/// order mark of a file that was appended.
fn nothing(text: &[u8]) -> usize {
    let mut at = 0;
    loop {
        at += text[at..].iter().take_while(|byte| b" \t\r\n,\x1e".contains(byte)).count();
        if !text[at..].starts_with(b"\xef\xbb\xbf") {
            return at;
        }
        at += 3;
    }
}

/// How long the JSON string is that begins here; `None` if it does not end.
fn string(text: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        let found = at + memchr2(b'"', b'\\', text.get(at..)?)?;
        if text[found] == b'"' {
            return Some(found + 1);
        }
        at = found + 2;
    }
}

/// Whether this is what stands before a log event's message: its time, as in a log group's export to S3, and up to
/// three words more, as `aws logs tail` prints the log stream.
pub fn is_label(text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else { return false };
    let mut words = text.split_ascii_whitespace();
    let time = |word: &str| {
        let shape = |at: usize, byte: u8| match at {
            4 | 7 => byte == b'-',
            10 => byte == b'T',
            13 | 16 => byte == b':',
            0..19 => byte.is_ascii_digit(),
            _ => byte.is_ascii_digit() || b".:+-Z".contains(&byte),
        };
        word.len() >= 19 && word.bytes().enumerate().all(|(at, byte)| shape(at, byte))
    };
    let Some(first) = words.next() else { return false };
    let begins = time(first) || words.next().is_some_and(|second| time(&format!("{first}T{second}")));
    begins && words.clone().count() <= 3 && words.all(|word| memchr(b'\'', word.as_bytes()).is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_holds_strings_labels_and_strays() {
        use Until::{End, More, Value};
        const TIME: &str = "2026-11-20T02:51:00.000Z";
        for (gap, bare, until, expected) in [
            ("", true, End, ""),
            (" ,\r\n\u{1e}\u{feff}", true, End, ""),
            (r#" "a\"b" , "c" "#, false, Value, "TT"),
            (r#""a\\" x "b""#, false, Value, "TST"),
            (r#""a"#, false, More, "U"),
            (r#""a\"#, true, More, "U"),
            (r#""a\""#, true, End, "S"),
            ("1", false, End, "S"),
            ("nul", false, More, "U"),
            ("x\n\"a\"", true, More, "ST"),
            (TIME, true, Value, ""),
            (TIME, true, More, "U"),
            (TIME, true, End, "S"),
            (TIME, false, Value, "S"),
            ("2026-11-20T02:51:00.000Z\n2026-11-20T02:51:00.000Z", true, Value, "S"),
        ] {
            let found: String = tokens(gap.as_bytes(), bare, until)
                .map(|(_, token)| match token {
                    Token::Text(_) => 'T',
                    Token::Stray => 'S',
                    Token::Unfinished => 'U',
                })
                .collect();
            assert_eq!(found, expected, "{gap:?}, {bare}, {until:?}");
        }
    }

    #[test]
    fn a_label_is_a_time_and_a_few_words() {
        for (text, expected) in [
            ("2026-11-20T02:51:00.000Z", true),
            ("2026-11-20T02:51:00", true),
            ("2026-11-20T02:51:00.123000+00:00 111122223333_CloudTrail_us-east-1", true),
            ("2026-11-20 02:51:00 UTC 111122223333_CloudTrail_us-east-1 ", true),
            ("2026-11-20 02:51:00", true),
            ("2026-11-20", false),
            ("2026-11-20T02:51", false),
            ("20261120T025100Z0000000", false),
            ("2026-11-20T02:51:00Z it is a sentence", false),
            ("2026-11-20T02:51:00Z b'", false),
            ("name", false),
            ("", false),
        ] {
            assert_eq!(is_label(text.as_bytes()), expected, "{text}");
        }
    }
}
