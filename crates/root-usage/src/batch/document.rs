//! Finds the log events in the JSON document that CloudWatch Logs sends, and stops where it is damaged.
//!
//! A value is skipped by its quotes and brackets alone. On a well-formed document that finds its end; whether a log
//! event is well-formed is seen when somebody reads it.
//!
//! Nearly all bytes are those of messages, and each of them has hundreds of escaped quotes. Where log events look as
//! CloudWatch Logs writes them, those are not looked at one by one: see [`Scanner::usual`].

use std::borrow::Cow;

use aws_lambda_events::event::cloudwatch_logs::LogData;
use memchr::memchr2;
use serde::de::DeserializeOwned;
use thiserror::Error;

use super::{Batch, LogEvent};

/// The most log events that are wanted of a batch.
///
/// CloudWatch Logs puts no more than 10,000 into one, as far as is known. Each costs memory, and most of the time that a
/// function has.
const WANTED_MAX: usize = 100_000;

/// Where a document is no batch of log events any more.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{expected} expected at byte {at}")]
pub struct SyntaxError {
    /// How many bytes of the inflated document are before the place.
    pub at: usize,
    /// What should stand there.
    pub expected: &'static str,
}

/// Everything up to the end, or up to the first fault.
pub(super) fn read<'a>(text: &'a [u8], wanted: impl FnMut(&LogEvent<'a>) -> bool) -> (Batch<'a>, Option<SyntaxError>) {
    let mut log_events = LogEvents { wanted, found: Vec::new(), others: 0 };
    let mut data = LogData::default();
    let fault = Scanner { text, at: 0 }.document(&mut data, &mut log_events).err();
    (Batch { data, log_events: log_events.found, others: log_events.others, fault: None }, fault)
}

/// Those that are wanted, and how many others there are.
struct LogEvents<'a, W> {
    wanted: W,
    found: Vec<LogEvent<'a>>,
    others: usize,
}

impl<'a, W: FnMut(&LogEvent<'a>) -> bool> LogEvents<'a, W> {
    /// Whether there was room for it.
    fn add(&mut self, log_event: LogEvent<'a>) -> bool {
        let wanted = (self.wanted)(&log_event);
        if !wanted {
            self.others += 1;
        } else if self.found.len() < WANTED_MAX {
            self.found.push(log_event);
        } else {
            return false;
        }
        true
    }
}

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    fn document<W: FnMut(&LogEvent<'a>) -> bool>(
        &mut self,
        data: &mut LogData,
        log_events: &mut LogEvents<'a, W>,
    ) -> Result<(), SyntaxError> {
        self.expect(b'{', "a JSON object")?;
        if !self.takes(b'}') {
            loop {
                let key = self.name()?;
                self.expect(b':', "a colon")?;
                match &*key {
                    "logEvents" => self.log_events(log_events)?,
                    "owner" => data.owner = self.field()?,
                    "logGroup" => data.log_group = self.field()?,
                    "logStream" => data.log_stream = self.field()?,
                    "subscriptionFilters" => data.subscription_filters = self.field()?,
                    "messageType" => data.message_type = self.field()?,
                    _ => drop(self.value()?),
                }
                if self.takes(b'}') {
                    break;
                }
                self.expect(b',', "a comma or the object's end")?;
            }
        }
        if self.peek().is_some() { Err(self.fault("the end of the document")) } else { Ok(()) }
    }

    fn log_events<W: FnMut(&LogEvent<'a>) -> bool>(
        &mut self,
        log_events: &mut LogEvents<'a, W>,
    ) -> Result<(), SyntaxError> {
        self.expect(b'[', "an array of log events")?;
        if self.takes(b']') {
            return Ok(());
        }
        loop {
            let log_event = match self.usual() {
                Some(log_event) => log_event,
                None => LogEvent::new(self.value()?),
            };
            if !log_events.add(log_event) {
                return Err(self.fault("the end of the log events that may match"));
            }
            if self.takes(b']') {
                return Ok(());
            }
            self.expect(b',', "a comma or the array's end")?;
        }
    }

    /// The log event that begins here, if it looks as CloudWatch Logs writes it, and so does what follows:
    /// `{"id":"…","timestamp":…,"message":"…"},{"id":"…`, or the end of the document.
    ///
    /// The message ends at the first quote with no backslash before it, if that begins `"},{"id":"`. A quote inside a
    /// string has a backslash before it. So, if the message ended earlier, at a quote after an escaped backslash, this
    /// quote would open another string, and `},{` would be the whole of it; but what follows a string is never `id`.
    /// Likewise the last message: no string that opens with the last quote ever ends.
    fn usual(&mut self) -> Option<LogEvent<'a>> {
        const NEXT: &[u8] = b"\"},{\"id\":\"";
        let start = self.at;
        let rest = self.text[start..].strip_prefix(b"{\"id\":\"")?;
        let rest = &rest[memchr2(b'"', b'\\', rest)?..];
        let rest = rest.strip_prefix(b"\",\"timestamp\":")?;
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let message = rest.get(digits..).filter(|_| digits > 0)?.strip_prefix(b",\"message\":")?;
        let (length, escaped) = bare_quote(message)?;
        if !message[length..].starts_with(NEXT) && message[length..] != *b"\"}]}" {
            return None;
        }
        let end = self.text.len() - message.len() + length + 2;
        self.at = end;
        Some(LogEvent { raw: &self.text[start..end], escaped })
    }

    fn fault(&self, expected: &'static str) -> SyntaxError {
        SyntaxError { at: self.at, expected }
    }

    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        let rest = &self.text[self.at..];
        self.at += rest.iter().position(|byte| !b" \t\r\n".contains(byte)).unwrap_or(rest.len());
        self.text.get(self.at).copied()
    }

    fn takes(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn expect(&mut self, byte: u8, expected: &'static str) -> Result<(), SyntaxError> {
        if self.takes(byte) { Ok(()) } else { Err(self.fault(expected)) }
    }

    /// A field's name, without its escapes.
    fn name(&mut self) -> Result<Cow<'a, str>, SyntaxError> {
        if self.peek() != Some(b'"') {
            return Err(self.fault("a field's name"));
        }
        let raw = String::from_utf8_lossy(self.value()?);
        if raw.contains('\\') {
            return Ok(serde_json::from_str(&raw).unwrap_or_default());
        }
        let end = raw.len() - 1;
        Ok(match raw {
            Cow::Borrowed(raw) => Cow::Borrowed(&raw[1..end]),
            Cow::Owned(raw) => Cow::Owned(raw[1..end].to_owned()),
        })
    }

    /// A value of this type; of another, the default.
    fn field<T: DeserializeOwned + Default>(&mut self) -> Result<T, SyntaxError> {
        let raw = self.value()?;
        Ok(serde_json::from_str(&String::from_utf8_lossy(raw)).unwrap_or_default())
    }

    /// Any value.
    fn value(&mut self) -> Result<&'a [u8], SyntaxError> {
        let first = self.peek();
        let start = self.at;
        match first {
            Some(b'"') => self.string()?,
            Some(b'{' | b'[') => self.nested()?,
            _ => {
                let inside = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
                self.at += self.text[start..].iter().take_while(|byte| inside(byte)).count();
                if self.at == start {
                    return Err(self.fault("a JSON value"));
                }
            }
        }
        Ok(&self.text[start..self.at])
    }

    /// An object or an array, with all that is in it.
    fn nested(&mut self) -> Result<(), SyntaxError> {
        let mut depth = 0_usize;
        while let Some(byte) = self.text.get(self.at) {
            match byte {
                b'"' => {
                    self.string()?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return Ok(());
            }
        }
        Err(self.fault("the end of an object or array"))
    }

    fn string(&mut self) -> Result<(), SyntaxError> {
        self.at += 1;
        while let Some(found) = memchr2(b'"', b'\\', &self.text[self.at..]) {
            self.at += found + 1;
            if self.text[self.at - 1] == b'"' {
                return Ok(());
            }
            // Whatever is escaped, it is not the end.
            self.at = (self.at + 1).min(self.text.len());
        }
        self.at = self.text.len();
        Err(self.fault("the end of a text"))
    }
}

/// How far it is to the first quote with no backslash before it, after that which begins the text, and whether a `\u` is
/// on the way.
fn bare_quote(text: &[u8]) -> Option<(usize, bool)> {
    const BLOCK: usize = 64;
    let stops = |before: u8, byte: u8| ((byte == b'"') & (before != b'\\')) | ((byte == b'u') & (before == b'\\'));
    let mut escaped = false;
    text.starts_with(b"\"").then_some(())?;
    let mut at = 1;
    while at < text.len() {
        // Nothing is in most blocks. Without a branch inside, looking is a few vector instructions.
        while let (Some(before), Some(block)) = (text.get(at - 1..at - 1 + BLOCK), text.get(at..at + BLOCK))
            && !before.iter().zip(block).fold(false, |any, (before, byte)| any | stops(*before, *byte))
        {
            at += BLOCK;
        }
        for _ in 0..BLOCK.min(text.len() - at) {
            if stops(text[at - 1], text[at]) {
                if text[at] == b'"' {
                    return Some((at, escaped));
                }
                escaped = true;
            }
            at += 1;
        }
    }
    None
}
