//! JSON as CloudWatch Logs reads a log event: the last of two equal keys wins, and a number keeps the text it was
//! written with.
//!
//! `serde_json::Value` can do the second only with a feature that gives some object keys a special meaning, and those
//! keys can come from whoever made the API call. This tree has no such keys.

use std::borrow::Cow;
use std::mem;

use memchr::memchr2;
use serde::Deserialize;
use serde::de::{Error as _, IgnoredAny};
use serde_json::value::RawValue;
use thiserror::Error;

/// The most levels of objects and arrays that are read, the outermost included.
///
/// Real CloudTrail records have fewer than 20. It bounds the stack.
pub const MAX_DEPTH: usize = 128;

/// A JSON value that borrows from the text it was read from.
#[derive(Debug, Clone, PartialEq)]
pub enum Json<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, as it was written: `1`, `1.0` and `1e0` are three texts.
    Number(Cow<'a, str>),
    /// A string, unescaped.
    String(Cow<'a, str>),
    /// An array.
    Array(Vec<Json<'a>>),
    /// An object.
    Object(Fields<'a>),
}

/// The fields of an object; of two equal keys, the last.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Fields<'a>(
    /// Sorted by key. A map of its own takes ten times the memory where objects are small, as most are.
    Box<[(Cow<'a, str>, Json<'a>)]>,
);

/// The most fields that are looked at one after the other.
const FEW: usize = 32;

/// Why a text could not be read as JSON.
#[derive(Debug, Error)]
pub enum JsonError {
    /// The text is no JSON.
    #[error("not valid JSON")]
    Syntax(#[source] serde_json::Error),
    /// More than [`MAX_DEPTH`] levels.
    #[error("objects and arrays nested more than {MAX_DEPTH} levels deep")]
    TooDeep,
}

/// Where the reading of a text has got to.
///
/// Every byte is read once, whatever the nesting: serde_json's own raw values are scanned once for each level around
/// them. Strings and numbers are left to serde_json.
struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Fields<'a> {
    fn new(mut fields: Vec<(Cow<'a, str>, Json<'a>)>) -> Self {
        fields.sort_by(|one, other| one.0.cmp(&other.0));
        fields.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                mem::swap(later, earlier);
            }
            same
        });
        Self(fields.into_boxed_slice())
    }

    /// The value under `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Json<'a>> {
        // Among few, hardly any but the one that is meant is as long, and no other is looked at.
        let index = if self.0.len() <= FEW {
            self.0.iter().position(|field| *field.0 == *key)
        } else {
            self.0.binary_search_by(|field| (*field.0).cmp(key)).ok()
        };
        index.map(|index| &self.0[index].1)
    }

    /// The fields, sorted by key.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Json<'a>)> {
        self.0.iter().map(|(key, value)| (&**key, value))
    }

    /// The fields, sorted by key, their values to be changed.
    pub fn iter_mut(&mut self) -> impl ExactSizeIterator<Item = (&str, &mut Json<'a>)> {
        self.0.iter_mut().map(|(key, value)| (&**key, value))
    }

    /// The values, in the order of their keys.
    pub fn values(&self) -> impl ExactSizeIterator<Item = &Json<'a>> {
        self.0.iter().map(|(_, value)| value)
    }
}

impl<'a> Reader<'a> {
    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
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
    fn syntax(&self) -> JsonError {
        match serde_json::from_str::<IgnoredAny>(self.text) {
            Err(error) => JsonError::Syntax(error),
            Ok(_) => JsonError::Syntax(serde_json::Error::custom(format!("unexpected text at byte {}", self.at))),
        }
    }

    fn value(&mut self, depth: usize) -> Result<Json<'a>, JsonError> {
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

impl<'a> Json<'a> {
    /// Reads one JSON value, with nothing but white space around it.
    ///
    /// # Errors
    ///
    /// [`JsonError::Syntax`] if the text is not one JSON value, [`JsonError::TooDeep`] past [`MAX_DEPTH`] levels.
    pub fn parse(text: &'a str) -> Result<Self, JsonError> {
        let mut reader = Reader { text, at: 0 };
        let json = reader.value(0)?;
        match reader.peek() {
            None => Ok(json),
            Some(_) => Err(reader.syntax()),
        }
    }

    /// The value under `key`, if this is an object that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.as_object()?.get(key)
    }

    /// The value at a path of object keys, to be changed.
    pub fn get_mut(&mut self, path: &[&str]) -> Option<&mut Self> {
        path.iter().try_fold(self, |json, key| {
            let Self::Object(fields) = json else { return None };
            let index = fields.0.binary_search_by(|field| (*field.0).cmp(key)).ok()?;
            Some(&mut fields.0[index].1)
        })
    }

    /// The fields, if this is an object.
    #[must_use]
    pub fn as_object(&self) -> Option<&Fields<'a>> {
        match self {
            Self::Object(fields) => Some(fields),
            _ => None,
        }
    }

    /// The same without arrays, and without what is more levels deep.
    #[must_use]
    pub fn pruned(self, levels: usize) -> Self {
        let Self::Object(fields) = self else { return self };
        let kept = |value: &Self| match value {
            Self::Array(_) => false,
            Self::Object(_) => levels > 1,
            _ => levels > 0,
        };
        let fields = fields.0.into_vec().into_iter().filter(|(_, value)| kept(value));
        Self::Object(Fields(fields.map(|(key, value)| (key, value.pruned(levels.saturating_sub(1)))).collect()))
    }

    /// The same with nothing but what is at these paths of object keys.
    #[must_use]
    pub fn only(&self, paths: &[&[&str]]) -> Self {
        let Self::Object(fields) = self else { return self.clone() };
        let kept = fields.0.iter().filter_map(|(key, value)| {
            let inside = |path: &&[&str]| path.split_first().is_some_and(|(first, _)| first == key);
            let rest: Vec<&[&str]> = paths.iter().copied().filter(inside).map(|path| &path[1..]).collect();
            let whole = rest.iter().any(|path| path.is_empty());
            let value = || if whole { value.clone() } else { value.only(&rest) };
            (!rest.is_empty()).then(|| (key.clone(), value()))
        });
        Self::Object(Fields(kept.collect()))
    }

    /// About how many bytes of memory it takes when it is [on its own](Self::into_owned).
    #[must_use]
    pub fn memory(&self) -> usize {
        // What an allocation takes beside its content.
        const ALLOCATION: usize = 16;
        let inside = match self {
            Self::Null | Self::Bool(_) => 0,
            Self::Number(text) | Self::String(text) => ALLOCATION + text.len(),
            Self::Array(items) => ALLOCATION + items.iter().map(Self::memory).sum::<usize>(),
            Self::Object(fields) => {
                let field =
                    |(key, value): (&str, &Self)| size_of::<Cow<'_, str>>() + ALLOCATION + key.len() + value.memory();
                ALLOCATION + fields.iter().map(field).sum::<usize>()
            }
        };
        size_of::<Self>() + inside
    }

    /// The same value, on its own.
    #[must_use]
    pub fn into_owned(self) -> Json<'static> {
        fn own(text: Cow<'_, str>) -> Cow<'static, str> {
            Cow::Owned(text.into_owned())
        }
        match self {
            Self::Null => Json::Null,
            Self::Bool(value) => Json::Bool(value),
            Self::Number(text) => Json::Number(own(text)),
            Self::String(text) => Json::String(own(text)),
            Self::Array(items) => Json::Array(items.into_iter().map(Json::into_owned).collect()),
            Self::Object(fields) => {
                let fields = fields.0.into_vec().into_iter().map(|(key, value)| (own(key), value.into_owned()));
                Json::Object(Fields(fields.collect()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_text_and_the_last_key_wins() {
        let json = Json::parse(r#" {"a":1.0,"b":[1e0,-0],"\u0061":"x\u0052"} "#).unwrap();
        assert_eq!(json.get("a"), Some(&Json::String("xR".into())));
        assert_eq!(json.get("b"), Some(&Json::Array(vec![Json::Number("1e0".into()), Json::Number("-0".into())])));
    }

    #[test]
    fn of_many_equal_keys_the_last_wins_wherever_it_stands() {
        let json = Json::parse(r#"{"b":1,"a":1,"b":2,"c":0,"a":2,"b":3,"\u0061":4}"#).unwrap();
        let fields: Vec<_> = json.as_object().unwrap().iter().collect();
        let number = |text: &'static str| Json::Number(text.into());
        assert_eq!(fields, [("a", &number("4")), ("b", &number("3")), ("c", &number("0"))]);
        assert_eq!((json.get("b"), json.get("d")), (Some(&number("3")), None));
    }

    #[test]
    fn keys_that_serde_json_uses_for_itself_are_ordinary_keys() {
        for key in ["$serde_json::private::Number", "$serde_json::private::RawValue"] {
            let text = format!(r#"{{"{key}":"x"}}"#);
            assert_eq!(Json::parse(&text).unwrap().get(key), Some(&Json::String("x".into())));
        }
    }

    #[test]
    fn what_is_pruned_has_names_of_so_many_parts_and_no_arrays() {
        let json = Json::parse(r#"{"a":1,"b":[2],"c":{"d":3,"e":{"f":4},"g":[]}}"#).unwrap();
        for (levels, kept) in
            [(0, "{}"), (1, r#"{"a":1}"#), (2, r#"{"a":1,"c":{"d":3}}"#), (3, r#"{"a":1,"c":{"d":3,"e":{"f":4}}}"#)]
        {
            assert_eq!(json.clone().pruned(levels), Json::parse(kept).unwrap(), "{levels}");
        }
        assert_eq!(Json::parse("[1]").unwrap().pruned(1), Json::parse("[1]").unwrap());
    }

    #[test]
    fn only_what_is_at_a_path_is_kept() {
        let json = Json::parse(r#"{"a":1,"b":{"c":2,"d":{"e":3}},"f":{"g":4}}"#).unwrap();
        let rows: [(&[&[&str]], &str); 5] = [
            (&[], "{}"),
            (&[&["a"], &["x"]], r#"{"a":1}"#),
            (&[&["b", "d"], &["b", "x"]], r#"{"b":{"d":{"e":3}}}"#),
            (&[&["b", "c"], &["b"]], r#"{"b":{"c":2,"d":{"e":3}}}"#),
            (&[&["b", "c"], &["f", "g"], &["a", "z"]], r#"{"a":1,"b":{"c":2},"f":{"g":4}}"#),
        ];
        for (paths, kept) in rows {
            assert_eq!(json.only(paths), Json::parse(kept).unwrap(), "{paths:?}");
        }
    }

    #[test]
    fn unescaped_text_is_borrowed() {
        let Json::Object(fields) = Json::parse(r#"{"a":"b"}"#).unwrap() else { panic!("an object") };
        assert!(matches!(&*fields.0, [(Cow::Borrowed("a"), Json::String(Cow::Borrowed("b")))]));
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(Json::parse(&nested(MAX_DEPTH)).is_ok());
        assert!(matches!(Json::parse(&nested(MAX_DEPTH + 1)), Err(JsonError::TooDeep)));
        assert!(matches!(Json::parse(&nested(100_000)), Err(JsonError::TooDeep)));
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in [
            "",
            "{",
            "nul",
            "{} x",
            "01",
            "[1,]",
            "\"\u{1}\"",
            "[,1]",
            "[1 2]",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{1:2}",
            "{\"a\":1 \"b\":2}",
            "[1,,2]",
            "{\"a\":1,}",
            "[1}",
            "{\"a\":1]",
            "\"",
            "\"\\",
            "\"\\\"",
            "\"é",
            "1e",
            "-",
            ".5",
            "+1",
            "truex",
            "[true false]",
            "\"\\x\"",
            "\"\\ud800\"",
            "\u{a0}1",
            "é",
            "[",
            "[1",
            "{\"a",
            "{\"a\":",
            "1 2",
            "}",
            "]",
            ",",
        ] {
            assert!(matches!(Json::parse(text), Err(JsonError::Syntax(_))), "{text:?}");
        }
    }

    #[test]
    fn it_reads_what_serde_json_reads() {
        use proptest::prelude::*;
        fn same(json: &Json<'_>, value: &serde_json::Value) -> bool {
            use serde_json::Value;
            match (json, value) {
                (Json::Null, Value::Null) => true,
                (Json::Bool(one), Value::Bool(other)) => one == other,
                (Json::Number(one), Value::Number(other)) => one.parse::<f64>().ok() == other.as_f64(),
                (Json::String(one), Value::String(other)) => one == other,
                (Json::Array(one), Value::Array(other)) => {
                    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
                }
                (Json::Object(one), Value::Object(other)) => {
                    one.0.len() == other.len()
                        && other.iter().all(|(key, value)| one.get(key).is_some_and(|one| same(one, value)))
                }
                _ => false,
            }
        }
        let pieces = include_str!("../tests/data/hostile-json.jsonl").lines();
        let pieces: Vec<String> = pieces.map(|line| serde_json::from_str(line).unwrap()).collect();
        let pieces = prop::sample::select(pieces);
        proptest!(ProptestConfig::with_cases(40_000), |(pieces in prop::collection::vec(pieces, 0..12))| {
            let text = pieces.concat();
            match (Json::parse(&text), serde_json::from_str::<serde_json::Value>(&text)) {
                (Ok(json), Ok(value)) => prop_assert!(same(&json, &value), "{text}"),
                (Err(JsonError::Syntax(_)), Err(_)) => {}
                // A number that no `f64` can hold is still JSON.
                (Ok(_), Err(_)) => prop_assert!(serde_json::from_str::<&RawValue>(&text).is_ok(), "{text}"),
                (one, other) => prop_assert!(false, "{text}: {one:?} {other:?}"),
            }
        });
    }
}
