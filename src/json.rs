//! JSON as CloudWatch Logs reads a log event: the last of two equal keys wins, and a number keeps the text it was
//! written with.
//!
//! `serde_json::Value` can do the second only with a feature that gives some object keys a special meaning, and those
//! keys can come from whoever made the API call. This tree has no such keys.

use std::borrow::Cow;
use std::fmt;
use std::mem;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
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
    /// An object.
    Object(Fields<'a>),
}

/// The fields of an object; of two equal keys, the last.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Fields<'a>(
    /// Sorted by key. A map of its own takes ten times the memory where objects are small, as most are.
    Box<[(Cow<'a, str>, Json<'a>)]>,
);

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
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// The fields of an object, unread, as they come.
struct RawFields<'a>(Vec<(Key<'a>, &'a RawValue)>);

impl<'de> Deserialize<'de> for RawFields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = RawFields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(RawFields(fields))
            }
        }
        deserializer.deserialize_map(Each)
    }
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
        self.0.binary_search_by(|field| (*field.0).cmp(key)).ok().map(|index| &self.0[index].1)
    }

    /// The fields, sorted by key.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Json<'a>)> {
        self.0.iter().map(|(key, value)| (&**key, value))
    }

    /// The values, in the order of their keys.
    pub fn values(&self) -> impl ExactSizeIterator<Item = &Json<'a>> {
        self.0.iter().map(|(_, value)| value)
    }
}

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
                let fields: RawFields<'a> = serde_json::from_str(text).map_err(JsonError::Syntax)?;
                let fields = fields.0.into_iter().map(|(key, raw)| Ok((key.0, Self::read(raw.get(), depth + 1)?)));
                Self::Object(Fields::new(fields.collect::<Result<_, _>>()?))
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
        for text in ["", "{", "nul", "{} x", "01", "[1,]", "\"\u{1}\""] {
            assert!(matches!(Json::parse(text), Err(JsonError::Syntax(_))), "{text:?}");
        }
    }
}
