//! Finds the log events in the JSON document that CloudWatch Logs sends, and stops where it is damaged.
//!
//! A value is skipped by its quotes and brackets alone. On a well-formed document that finds its end; whether a log
//! event is well-formed is seen when somebody reads it.

use std::borrow::Cow;

use aws_lambda_events::event::cloudwatch_logs::LogData;
use memchr::memchr2;
use serde::de::DeserializeOwned;
use thiserror::Error;

use super::{Batch, LogEvent};

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
pub(super) fn read(text: &[u8]) -> (Batch<'_>, Option<SyntaxError>) {
    let mut batch = Batch { data: LogData::default(), log_events: Vec::new(), fault: None };
    let fault = Scanner { text, at: 0 }.document(&mut batch).err();
    (batch, fault)
}

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    fn document(&mut self, batch: &mut Batch<'a>) -> Result<(), SyntaxError> {
        self.expect(b'{', "a JSON object")?;
        if !self.takes(b'}') {
            loop {
                let key = self.name()?;
                self.expect(b':', "a colon")?;
                match &*key {
                    "logEvents" => self.log_events(&mut batch.log_events)?,
                    "owner" => batch.data.owner = self.field()?,
                    "logGroup" => batch.data.log_group = self.field()?,
                    "logStream" => batch.data.log_stream = self.field()?,
                    "subscriptionFilters" => batch.data.subscription_filters = self.field()?,
                    "messageType" => batch.data.message_type = self.field()?,
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

    fn log_events(&mut self, log_events: &mut Vec<LogEvent<'a>>) -> Result<(), SyntaxError> {
        self.expect(b'[', "an array of log events")?;
        if self.takes(b']') {
            return Ok(());
        }
        loop {
            let raw = self.value()?;
            log_events.push(LogEvent { raw });
            if self.takes(b']') {
                return Ok(());
            }
            self.expect(b',', "a comma or the array's end")?;
        }
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
