//! The filter pattern language of CloudWatch Logs, for JSON log events.
//!
//! A pattern says which log events are meant, in the words that `PutSubscriptionFilter` and `PutMetricFilter` take. This
//! page is the reference of the language as this crate reads it. Where the CloudWatch Logs User Guide ("Filter pattern
//! syntax") and the answers of the real `TestMetricFilter` differ, the answers win.
//!
//! ```
//! use filter_pattern::Pattern;
//!
//! let rule: Pattern = r#"{ $.userIdentity.type = "Root" && $.userIdentity.invokedBy NOT EXISTS }"#.parse()?;
//! assert!(rule.matches_text(r#"{"userIdentity":{"type":"Root"}}"#));
//! assert!(!rule.matches_text(r#"{"userIdentity":{"type":"Root","invokedBy":"AWS Internal"}}"#));
//! assert_eq!(rule.literals().unwrap()[0].text, "Root");
//! # Ok::<(), filter_pattern::PatternError>(())
//! ```
//!
//! # The whole
//!
//! A pattern stands in braces, has at most [`MAX_CHARS`] characters, and is case sensitive throughout, keywords too. The
//! blank pattern matches every event. Any other matches only messages that are one JSON **object**; of two equal keys
//! in it, the last counts. White space may stand around operators and brackets, and nowhere in a selector.
//!
//! ```
//! # use filter_pattern::Pattern;
//! # fn answer(pattern: &str, message: &str) -> bool { Pattern::parse(pattern).unwrap().matches_text(message) }
//! assert!(answer("", "not JSON"));
//! assert!(!answer("{ $.a NOT EXISTS }", "not JSON"));
//! assert!(!answer("{ $.a NOT EXISTS }", r#"[{"b":1}]"#));
//! assert!(answer("{($.a=1)||($.a=2)}", r#"{"a":1,"a":2}"#));
//! ```
//!
//! The other patterns of CloudWatch Logs, for text that is no JSON (`ERROR`, `[ip, user]`, `%regex%`), are refused with
//! an error that shows the JSON form.
//!
//! # Selectors
//!
//! | selector | leads to |
//! | --- | --- |
//! | `$.userIdentity.type` | a field; names have ASCII letters, digits, `_` and `-` |
//! | `$.['cluster.name']` | a field whose name has any other character but `'` |
//! | `$.resources[0].ARN` | an element of an array, counted from 0 |
//! | `$.resources[*].ARN` | each element of an array, or each value of an object |
//! | `$.*` | the same, one level deep |
//!
//! A selector may have one `*`, a pattern [`MAX_WILDCARDS`]. A condition holds if it does for **any** of the values, and
//! each condition searches on its own: two of them may find different elements.
//!
//! ```
//! # use filter_pattern::Pattern;
//! # fn answer(pattern: &str, message: &str) -> bool { Pattern::parse(pattern).unwrap().matches_text(message) }
//! assert!(answer("{ $.['cluster.name'] = c }", r#"{"cluster.name":"c"}"#));
//! assert!(answer("{ $.items[1].id = 2 }", r#"{"items":[{"id":1},{"id":2}]}"#));
//! assert!(!answer("{ $.items[0] = x }", r#"{"items":{"0":"x"}}"#));
//! assert!(answer("{ $.items[*].a = 1 && $.items[*].b = 2 }", r#"{"items":[{"a":1},{"b":2}]}"#));
//! assert!(answer("{ $.* = x }", r#"{"a":1,"b":"x"}"#));
//! ```
//!
//! # `=` and `!=`
//!
//! Only strings and numbers are compared. A field that is missing, null, a boolean, an array or an object makes **both**
//! `=` and `!=` false; [`lints`](Pattern::lints) warns of a `!=` where that matters.
//!
//! ```
//! # use filter_pattern::Pattern;
//! # fn answer(pattern: &str, message: &str) -> bool { Pattern::parse(pattern).unwrap().matches_text(message) }
//! assert!(answer("{ $.a != x }", r#"{"a":"y"}"#));
//! assert!(!answer("{ $.a != x }", "{}"));
//! assert!(!answer("{ $.a != x }", r#"{"a":["y"]}"#));
//! assert!(!answer("{ $.a = true }", r#"{"a":true}"#));
//! assert!(answer("{ $.a = true }", r#"{"a":"true"}"#));
//! ```
//!
//! ## Texts
//!
//! A value without quotes has ASCII letters, digits and `_ - . + *`. In double quotes it may have anything; `\"` is a
//! quote, `\\` a backslash, and a backslash before anything else itself. `null` without quotes is refused. A JSON number
//! equals a text that is its digits, as they were written.
//!
//! `*` at the start or the end of a value, quoted or not, stands for any text; `*` alone for any string or number. In
//! the middle it is the character itself ([`INNER_STAR`]), and `?` always is.
//!
//! ```
//! # use filter_pattern::Pattern;
//! # fn answer(pattern: &str, message: &str) -> bool { Pattern::parse(pattern).unwrap().matches_text(message) }
//! assert!(answer("{ $.a = s3.amazonaws.com }", r#"{"a":"s3.amazonaws.com"}"#));
//! assert!(answer(r#"{ $.a = "C:\Users \"x\"" }"#, r#"{"a":"C:\\Users \"x\""}"#));
//! assert!(answer(r#"{ $.a = "*UnauthorizedOperation" }"#, r#"{"a":"Client.UnauthorizedOperation"}"#));
//! assert!(answer("{ $.a = 123.123.* }", r#"{"a":"123.123.1.1"}"#));
//! assert!(answer("{ $.a = * }", r#"{"a":""}"#));
//! assert!(!answer("{ $.a = * }", r#"{"a":false}"#));
//! assert!(!answer("{ $.a = Ev*ent }", r#"{"a":"EvXent"}"#));
//! ```
//!
//! ## Numbers
//!
//! Digits, with a sign before, a fraction and an exponent (`e`, small) after them if need be, make a number. It equals a
//! JSON number of the same value, whatever its length, and a JSON string of the same text. In quotes it is a text.
//!
//! ```
//! # use filter_pattern::Pattern;
//! # fn answer(pattern: &str, message: &str) -> bool { Pattern::parse(pattern).unwrap().matches_text(message) }
//! assert!(answer("{ $.a = 1 }", r#"{"a":1.0}"#));
//! assert!(answer("{ $.a = 1 }", r#"{"a":"1"}"#));
//! assert!(!answer("{ $.a = 1 }", r#"{"a":"1.0"}"#));
//! assert!(answer(r#"{ $.a = "1" }"#, r#"{"a":1}"#));
//! assert!(!answer(r#"{ $.a = "1" }"#, r#"{"a":1.0}"#));
//! assert!(!answer("{ $.a = 9007199254740993 }", r#"{"a":9007199254740992}"#));
//! ```
//!
//! ## Regular expressions
//!
//! Between two `%` stands an expression that is searched anywhere in a string, or in a number's digits. It has ASCII
//! letters and digits, the space, `_ : # = @ / ; , -` and the operators `^ $ ? [ ] { } | \ * + .`, never round brackets;
//! `\d \s \w` and their capitals are ASCII classes, `\x41` is a character by its number. A pattern may have
//! [`MAX_REGEXES`]. In quotes, `%` is the character itself.
//!
//! ```
//! # use filter_pattern::Pattern;
//! # fn answer(pattern: &str, message: &str) -> bool { Pattern::parse(pattern).unwrap().matches_text(message) }
//! assert!(answer(r"{ $.ip = %^10\.0\.\d{1,3}% }", r#"{"ip":"10.0.12.7"}"#));
//! assert!(answer("{ $.a = %gray|grey% }", r#"{"a":"a grey cat"}"#));
//! assert!(!answer(r#"{ $.a = "%grey%" }"#, r#"{"a":"grey"}"#));
//! assert!(Pattern::parse("{ $.a = %(gray|grey)% }").is_err());
//! ```
//!
//! # `<`, `<=`, `>`, `>=`
//!
//! Compare JSON numbers with a number, by value. A string is never less or greater.
//!
//! ```
//! # use filter_pattern::Pattern;
//! # fn answer(pattern: &str, message: &str) -> bool { Pattern::parse(pattern).unwrap().matches_text(message) }
//! assert!(answer("{ $.latency >= 1e3 }", r#"{"latency":1000.0}"#));
//! assert!(!answer("{ $.latency > 1 }", r#"{"latency":"10"}"#));
//! assert!(Pattern::parse(r#"{ $.latency > "1" }"#).is_err());
//! ```
//!
//! # States
//!
//! | condition | holds for |
//! | --- | --- |
//! | `IS NULL` | null, and an array that has null as an element |
//! | `IS TRUE`, `IS FALSE` | the JSON booleans |
//! | `NOT EXISTS` | a path that leads nowhere, through whatever; not for null |
//!
//! There is no `EXISTS`: `= *` holds for every string and number. There is no `IS NOT`.
//!
//! ```
//! # use filter_pattern::Pattern;
//! # fn answer(pattern: &str, message: &str) -> bool { Pattern::parse(pattern).unwrap().matches_text(message) }
//! assert!(answer("{ $.a IS NULL }", r#"{"a":[1,null]}"#));
//! assert!(!answer("{ $.a IS NULL }", "{}"));
//! assert!(!answer("{ $.a IS TRUE }", r#"{"a":"true"}"#));
//! assert!(answer("{ $.a.b NOT EXISTS }", r#"{"a":null}"#));
//! assert!(!answer("{ $.a.b NOT EXISTS }", r#"{"a":{"b":null}}"#));
//! assert!(answer("{ $.a[*] NOT EXISTS }", r#"{"a":[]}"#));
//! ```
//!
//! # `&&`, `||` and brackets
//!
//! `( )` bind before `&&`, and `&&` before `||`. There is no `!` before a condition.
//!
//! ```
//! # use filter_pattern::Pattern;
//! # fn answer(pattern: &str, message: &str) -> bool { Pattern::parse(pattern).unwrap().matches_text(message) }
//! assert!(answer("{ $.a = 1 || $.b = 1 && $.c = 1 }", r#"{"a":1}"#));
//! assert!(!answer("{ ($.a = 1 || $.b = 1) && $.c = 1 }", r#"{"a":1}"#));
//! ```
//!
//! # Errors
//!
//! ```
//! # use filter_pattern::Pattern;
//! let error = Pattern::parse("{ $.userIdentity.type = 'Root' }").unwrap_err();
//! assert_eq!(error.to_string(), r#"
//! Invalid metric filter pattern: Invalid character(s) in term ''Root'': single quotes don't quote in this language
//!   { $.userIdentity.type = 'Root' }
//!                           ^^^^^^
//! write instead: "Root"
//! "#.trim());
//! ```
//!
//! # Cost
//!
//! Parsing and matching take time linear in the event, whatever the pattern and whoever wrote the event.

/// The README's examples, which are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod ast;
mod error;
mod eval;
mod explain;
mod glob;
pub mod json;
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
pub use literals::Literal;

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
    /// That holds for a message whose JSON text writes the characters of the literal, and of its field's name, as they
    /// are. They are printable ASCII without `"`, `\`, `/`, `<`, `>`, `&`, `=` and `'`, so only a writer that escapes
    /// without need (`\u0052`) can break it: a message with such an escape has to be parsed.
    #[must_use]
    pub fn literals(&self) -> Option<Vec<Literal>> {
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
