//! JSON as CloudWatch Logs reads a log event: the last of two equal keys wins, and a number keeps the text it was
//! written with.
//!
//! `serde_json::Value` can do the second only with a feature that gives some object keys a special meaning, and those
//! keys can come from whoever made the API call. This tree has no such keys.

mod reader;

use std::borrow::Cow;
use std::mem;

use thiserror::Error;

use reader::Reader;

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

impl<'a> Json<'a> {
    /// Reads one JSON value, with nothing but white space around it.
    ///
    /// # Errors
    ///
    /// [`JsonError::Syntax`] if the text is not one JSON value, [`JsonError::TooDeep`] past [`MAX_DEPTH`] levels.
    pub fn parse(text: &'a str) -> Result<Self, JsonError> {
        let mut reader = Reader::new(text);
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
mod tests;
