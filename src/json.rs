//! JSON as CloudWatch Logs reads a log event: the last of two equal keys wins, and a number keeps the text it was
//! written with.
//!
//! `serde_json::Value` can do the second only with a feature that gives some object keys a special meaning, and those
//! keys can come from whoever made the API call. This tree has no such keys.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use thiserror::Error;

/// The most levels of objects and arrays that are read, the outermost included.
///
/// Real CloudTrail records have fewer than 20. It bounds the stack, and the time too: a level is scanned once for
/// each level around it.
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
    /// An object; of two equal keys, the last.
    Object(BTreeMap<Cow<'a, str>, Json<'a>>),
}

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

// Two small types so that serde borrows: a bare `Cow` in a map or sequence is always copied.
#[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> Json<'a> {
    /// Reads one JSON value, with nothing but white space around it.
    ///
    /// # Errors
    ///
    /// [`JsonError::Syntax`] if the text is not one JSON value, [`JsonError::TooDeep`] past [`MAX_DEPTH`] levels.
    pub fn parse(text: &'a str) -> Result<Self, JsonError> {
        let raw: &RawValue = serde_json::from_str(text).map_err(JsonError::Syntax)?;
        Self::read(raw.get(), 0)
    }

    fn read(text: &'a str, depth: usize) -> Result<Self, JsonError> {
        Ok(match text.as_bytes().first() {
            Some(b'{' | b'[') if depth == MAX_DEPTH => return Err(JsonError::TooDeep),
            Some(b'{') => {
                let fields: BTreeMap<Key<'a>, &'a RawValue> = serde_json::from_str(text).map_err(JsonError::Syntax)?;
                let fields = fields.into_iter().map(|(key, raw)| Ok((key.0, Self::read(raw.get(), depth + 1)?)));
                Self::Object(fields.collect::<Result<_, _>>()?)
            }
            Some(b'[') => {
                let items: Vec<&'a RawValue> = serde_json::from_str(text).map_err(JsonError::Syntax)?;
                let items = items.into_iter().map(|raw| Self::read(raw.get(), depth + 1));
                Self::Array(items.collect::<Result<_, _>>()?)
            }
            Some(b'"') => Self::String(serde_json::from_str::<Key<'a>>(text).map_err(JsonError::Syntax)?.0),
            Some(b't') => Self::Bool(true),
            Some(b'f') => Self::Bool(false),
            Some(b'n') => Self::Null,
            _ => Self::Number(Cow::Borrowed(text)),
        })
    }

    /// The value under `key`, if this is an object that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.as_object()?.get(key)
    }

    /// The fields, if this is an object.
    #[must_use]
    pub fn as_object(&self) -> Option<&BTreeMap<Cow<'a, str>, Self>> {
        match self {
            Self::Object(fields) => Some(fields),
            _ => None,
        }
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
                Json::Object(fields.into_iter().map(|(key, value)| (own(key), value.into_owned())).collect())
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
    fn keys_that_serde_json_uses_for_itself_are_ordinary_keys() {
        for key in ["$serde_json::private::Number", "$serde_json::private::RawValue"] {
            let text = format!(r#"{{"{key}":"x"}}"#);
            assert_eq!(Json::parse(&text).unwrap().get(key), Some(&Json::String("x".into())));
        }
    }

    #[test]
    fn unescaped_text_is_borrowed() {
        let Json::Object(fields) = Json::parse(r#"{"a":"b"}"#).unwrap() else { panic!("an object") };
        assert!(matches!(fields.first_key_value(), Some((Cow::Borrowed("a"), Json::String(Cow::Borrowed("b"))))));
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
        for text in ["", "{", "nul", "{} x", "01", "[1,]", "\"\u{1}\""] {
            assert!(matches!(Json::parse(text), Err(JsonError::Syntax(_))), "{text:?}");
        }
    }
}
