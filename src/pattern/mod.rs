//! The filter pattern language of CloudWatch Logs, for JSON log events.

mod ast;
mod error;
mod eval;
mod explain;
mod glob;
mod lexer;
mod lint;
mod literals;
mod number;
mod parser;
mod regex;
mod selector;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::json::Json;

pub use error::{PatternError, Problem};
pub use explain::{Explained, SHOWN_CHARS, SHOWN_VALUES};
pub use glob::{INNER_STAR, InnerStar};
pub use lint::Lint;

/// The most characters (not bytes) that a pattern may have.
///
/// Source: CloudWatch Logs API Reference, `PutSubscriptionFilter`, `filterPattern`: "Maximum length of 1024".
pub const MAX_CHARS: usize = 1024;

/// The most regular expressions that a pattern may have.
///
/// Source: CloudWatch Logs User Guide, "Filter pattern syntax".
pub const MAX_REGEXES: usize = 2;

/// The most `*` that a pattern may have in all its selectors together. One selector may have one.
///
/// Source: CloudWatch Logs User Guide, "Filter pattern syntax".
pub const MAX_WILDCARDS: usize = 3;

/// The most brackets that may stand around a condition.
///
/// This crate's own limit, to bound the stack. Published patterns have two.
pub const MAX_NESTING: usize = 128;

/// A filter pattern: a value of this type is one that CloudWatch Logs would take, in short.
///
/// Two patterns are equal if they say the same in the same words: spaces and brackets without effect don't count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// `None` for the blank pattern.
    root: Option<ast::Expr>,
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    ///
    /// [`PatternError`] if the text is no JSON pattern: what is wrong, where, and what to write instead.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        parser::parse(text).map(|root| Self { root }).map_err(|fault| fault.of(text))
    }

    /// Whether an event matches. What is no JSON object matches the blank pattern only.
    #[must_use]
    pub fn matches(&self, event: &Json<'_>) -> bool {
        self.root.as_ref().is_none_or(|root| event.as_object().is_some() && root.holds(event))
    }

    /// Whether the message of a log event matches. What is no JSON object, or has more than
    /// [`MAX_DEPTH`](crate::json::MAX_DEPTH) levels, matches the blank pattern only.
    #[must_use]
    pub fn matches_text(&self, message: &str) -> bool {
        self.root.is_none() || Json::parse(message).is_ok_and(|event| self.matches(&event))
    }

    /// Texts of which every message that matches contains at least one, so that all others need no parsing. `None` if
    /// there is no such set.
    ///
    /// That holds for a message whose JSON text writes the characters of the literal as they are. Literals are
    /// printable ASCII without `"`, `\` and `/`, so only a writer that escapes without need (`\u0052`) can break it: a
    /// message with such an escape has to be parsed.
    #[must_use]
    pub fn literals(&self) -> Option<Vec<String>> {
        self.root.as_ref().and_then(literals::literals)
    }

    /// Warnings about conditions that are valid and yet often don't say what was meant.
    #[must_use]
    pub fn lints(&self) -> Vec<Lint> {
        self.root.as_ref().map(lint::lints).unwrap_or_default()
    }

    /// What each condition finds in an event, and its answer, in the order of the pattern. Empty for the blank pattern.
    #[must_use]
    pub fn explain(&self, event: &Json<'_>) -> Vec<Explained> {
        let mut explained = Vec::new();
        if let Some(root) = &self.root {
            explain::explain(root, event, &mut explained);
        }
        explained
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        Self::parse(text)
    }
}

/// The canonical text, which parses to an equal pattern. It has no needless brackets, and no spaces around operators
/// if it would be longer than [`MAX_CHARS`] with them.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.root.as_ref().map_or(Ok(()), |root| f.write_str(&root.to_pattern()))
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}
