//! Reads a text as JSON.

use std::borrow::Cow;

use memchr::memchr2;
use serde::Deserialize;
use serde::de::{Error as _, IgnoredAny};
use serde_json::value::RawValue;

use super::{Fields, Json, JsonError, MAX_DEPTH};

/// Where the reading of a text has got to.
///
/// Every byte is read once, whatever the nesting: serde_json's own raw values are scanned once for each level around
/// them. Strings and numbers are left to serde_json.
pub(super) struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The next byte that is no white space.
    pub(super) fn peek(&mut self) -> Option<u8> {
        let rest = &self.text.as_bytes()[self.at..];
        let blank = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count();
        self.at += blank;
        rest.get(blank).copied()
    }

    /// Whether the next byte that is no white space is this one, which is then behind.
    fn takes(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// What is wrong here, as serde_json says it of the whole text.
    pub(super) fn syntax(&self) -> JsonError {
        match serde_json::from_str::<IgnoredAny>(self.text) {
            Err(error) => JsonError::Syntax(error),
            Ok(_) => JsonError::Syntax(serde_json::Error::custom(format!("unexpected text at byte {}", self.at))),
        }
    }

    pub(super) fn value(&mut self, depth: usize) -> Result<Json<'a>, JsonError> {
        match self.peek() {
            Some(b'{' | b'[') if depth == MAX_DEPTH => Err(JsonError::TooDeep),
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.string().map(Json::String),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            Some(b'n') => self.word("null", Json::Null),
            Some(_) => self.number(),
            None => Err(self.syntax()),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json<'a>, JsonError> {
        let mut fields = Vec::new();
        self.at += 1;
        if self.takes(b'}') {
            return Ok(Json::Object(Fields::default()));
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.syntax());
            }
            let key = self.string()?;
            if !self.takes(b':') {
                return Err(self.syntax());
            }
            fields.push((key, self.value(depth + 1)?));
            match (self.takes(b','), self.takes(b'}')) {
                (true, false) => {}
                (false, true) => return Ok(Json::Object(Fields::new(fields))),
                _ => return Err(self.syntax()),
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Json<'a>, JsonError> {
        let mut items = Vec::new();
        self.at += 1;
        if self.takes(b']') {
            return Ok(Json::Array(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            match (self.takes(b','), self.takes(b']')) {
                (true, false) => {}
                (false, true) => return Ok(Json::Array(items)),
                _ => return Err(self.syntax()),
            }
        }
    }

    /// The string that begins here.
    fn string(&mut self) -> Result<Cow<'a, str>, JsonError> {
        // So that serde borrows: a bare `Cow` is always copied.
        #[derive(Deserialize)]
        struct Text<'t>(#[serde(borrow)] Cow<'t, str>);
        let start = self.at;
        let mut end = start + 1;
        loop {
            match memchr2(b'"', b'\\', &self.text.as_bytes()[end..]) {
                Some(found) if self.text.as_bytes()[end + found] == b'"' => {
                    self.at = end + found + 1;
                    let text: Result<Text<'a>, _> = serde_json::from_str(&self.text[start..self.at]);
                    return text.map(|text| text.0).map_err(JsonError::Syntax);
                }
                // What is escaped is no end of the string.
                Some(found) if end + found + 2 <= self.text.len() => end += found + 2,
                _ => return Err(self.syntax()),
            }
        }
    }

    fn word(&mut self, word: &str, json: Json<'a>) -> Result<Json<'a>, JsonError> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(self.syntax());
        }
        self.at += word.len();
        Ok(json)
    }

    fn number(&mut self) -> Result<Json<'a>, JsonError> {
        let rest = &self.text[self.at..];
        let length = rest.bytes().take_while(|byte| byte.is_ascii_digit() || b"+-.eE".contains(byte)).count();
        let text = &rest[..length];
        serde_json::from_str::<&RawValue>(text).map_err(|_| self.syntax())?;
        self.at += length;
        Ok(Json::Number(Cow::Borrowed(text)))
    }
}
