//! Why a text is no pattern, and what to write instead.

use std::fmt;
use std::ops::Range;

use thiserror::Error;

use super::{MAX_CHARS, MAX_NESTING, MAX_REGEXES, MAX_WILDCARDS};

/// Why a text was refused as a pattern.
///
/// `Display` has several lines: what is wrong, the pattern (a part of it if it is long), a caret line under the place,
/// what was expected there, and what to write instead where that is known.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct PatternError(Box<Located>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Located {
    pattern: String,
    fault: Fault,
}

/// What is wrong, and where, before it is known in which pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    problem: Problem,
    span: Range<usize>,
    expected: Option<&'static str>,
    instead: Option<String>,
}

/// What is wrong with a pattern. Where the CloudWatch Logs API has words for it, they stand here, so that a search
/// for them leads to the same explanations.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Problem {
    /// More than [`MAX_CHARS`] characters.
    #[error("the pattern has {0} characters; the maximum is {MAX_CHARS}")]
    TooLong(usize),
    /// More than [`MAX_NESTING`] brackets around each other.
    #[error("brackets are nested more than {MAX_NESTING} deep")]
    TooDeep,
    /// A pattern of terms, such as `ERROR`.
    #[error("this is a pattern of terms, and CloudTrail events are JSON")]
    Terms,
    /// A pattern for columns, such as `[ip, user]`.
    #[error("this is a pattern for delimited text, and CloudTrail events are JSON")]
    Delimited,
    /// A regular expression on its own, such as `%ERROR%`.
    #[error("this is a regular expression on its own, and CloudTrail events are JSON")]
    BareRegex,
    /// A JSON pattern inside quotes.
    #[error("the whole pattern is in quotes")]
    QuotedPattern,
    /// No `{` at the start.
    #[error("a JSON pattern needs braces around it")]
    NoBraces,
    /// `{ }`
    #[error("there is nothing between the braces")]
    Empty,
    /// No `}` at the end.
    #[error("the closing `}}` is missing")]
    Unclosed,
    /// No `)` for a `(`.
    #[error("the closing `)` is missing")]
    UnclosedBracket,
    /// Something after the closing brace.
    #[error("something follows the closing `}}`")]
    AfterEnd,
    /// Something else had to stand here.
    #[error("{0} is not allowed here")]
    Unexpected(String),
    /// `==`
    #[error("`==` is not an operator of this language")]
    DoubleEquals,
    /// One `&` or one `|`.
    #[error("a single `{0}` is not an operator of this language")]
    Single(char),
    /// `AND`, `OR` in words.
    #[error("`{0}` is not an operator of this language")]
    WordOperator(String),
    /// `!` or `NOT` before a condition.
    #[error("this language can't negate a condition with `{0}`")]
    Negation(&'static str),
    /// A selector without `$.`
    #[error("a selector starts with `$.`")]
    NoDollar,
    /// A `$` without a name after it.
    #[error("a name is missing in the selector")]
    NoName,
    /// `$..name`
    #[error("`..` (search at any depth) is not in this language")]
    RecursiveDescent,
    /// `[-1]`
    #[error("an index counts from the start, so it can't be negative")]
    NegativeIndex,
    /// `[0:2]`, `[0,1]`, `[?…]`, `[a]`
    #[error("`[{0}]` is not an index")]
    Index(String),
    /// No `]` for a `[`.
    #[error("the closing `]` of the index is missing")]
    UnclosedIndex,
    /// `['name']` without the dot before it, or with the wrong quotes.
    #[error("a name in brackets is written `.['…']`")]
    BracketName,
    /// No `']` for a `['`.
    #[error("the closing `']` of the name is missing")]
    UnclosedName,
    /// A character that a name has only in brackets, or none at all.
    #[error("Invalid character(s) in selector '{0}'")]
    SelectorCharacters(String),
    /// A character that a value has only in quotes.
    #[error("Invalid character(s) in term '{0}'")]
    TermCharacters(String),
    /// `'…'`
    #[error("Invalid character(s) in term '{0}': single quotes don't quote in this language")]
    SingleQuotes(String),
    /// `“…”` and the like, which word processors and web pages put in.
    #[error("Invalid character(s) in term '{0}': typographic quotes don't quote in this language")]
    CurlyQuotes(String),
    /// A space that is not one of ASCII's.
    #[error("U+{:04X} looks like a space but is not one in this language", u32::from(*.0))]
    OddSpace(char),
    /// No closing `"`.
    #[error("the closing `\"` is missing")]
    UnclosedQuote,
    /// Words with spaces between them and no quotes around them.
    #[error("a value with spaces needs quotes")]
    SpaceInValue,
    /// Nothing after an operator.
    #[error("the value after `{0}` is missing")]
    NoValue(&'static str),
    /// `= null`
    #[error("a field can't be compared with `null`")]
    Null,
    /// A selector where a value has to stand.
    #[error("a field can't be compared with another field")]
    FieldValue,
    /// No number after `<`, `>`, `<=` or `>=`.
    #[error("`{0}` compares only with an unquoted number")]
    NotANumber(&'static str),
    /// `EXISTS` without `NOT`.
    #[error("`EXISTS` is allowed only after `NOT`")]
    Exists,
    /// `IS NOT …`
    #[error("`IS NOT` is not in this language")]
    IsNot,
    /// A keyword not in capitals.
    #[error("keywords are written in capitals")]
    KeywordCase,
    /// No closing `%`.
    #[error("the closing `%` of the regular expression is missing")]
    UnclosedRegex,
    /// A character that no regular expression here may have.
    #[error("Failed to compile regular expression. `{0}` is not among the characters that it may have")]
    RegexCharacter(char),
    /// `(` or `)` in a regular expression.
    #[error("Failed to compile regular expression. It can't have brackets, and so no groups and no look-around")]
    RegexGroup,
    /// Any other fault in a regular expression.
    #[error("Failed to compile regular expression. {0}")]
    Regex(&'static str),
    /// More than [`MAX_REGEXES`] regular expressions.
    #[error("Your input has exceeded the maximum of {MAX_REGEXES} regular expressions per filter pattern.")]
    TooManyRegexes,
    /// More than one `*` in a selector.
    #[error("The selector '{0}' exceeds the maximum of 1 wildcard allowed per json selector.")]
    SelectorWildcards(String),
    /// More than [`MAX_WILDCARDS`] `*` in all selectors.
    #[error(
        "Your input has exceeded the maximum of {MAX_WILDCARDS} JSON wildcard selectors allowed per filter pattern."
    )]
    PatternWildcards,
    /// `*` in the middle of a value, if [`INNER_STAR`](super::INNER_STAR) refuses it.
    #[error("`*` is allowed only at the start and at the end of a value")]
    InnerStar,
}

impl Fault {
    pub(super) fn new(problem: Problem, span: Range<usize>) -> Self {
        Self { problem, span, expected: None, instead: None }
    }

    pub(super) fn expected(mut self, expected: &'static str) -> Self {
        self.expected = Some(expected);
        self
    }

    pub(super) fn instead(mut self, instead: impl Into<String>) -> Self {
        self.instead = Some(instead.into());
        self
    }

    pub(super) fn of(self, pattern: &str) -> PatternError {
        PatternError(Box::new(Located { pattern: pattern.to_owned(), fault: self }))
    }
}

impl PatternError {
    /// What is wrong.
    #[must_use]
    pub fn problem(&self) -> &Problem {
        &self.0.fault.problem
    }

    /// The text that was refused, whole.
    #[must_use]
    pub fn pattern(&self) -> &str {
        &self.0.pattern
    }

    /// Where in [`pattern`](Self::pattern), in bytes, on the borders of characters. Empty for something missing.
    #[must_use]
    pub fn span(&self) -> Range<usize> {
        self.0.fault.span.clone()
    }

    /// What to write in place of the marked part, where that is known; a whole pattern if it starts with `{`.
    #[must_use]
    pub fn instead(&self) -> Option<&str> {
        self.0.fault.instead.as_deref()
    }
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Located { pattern, fault } = &*self.0;
        writeln!(f, "Invalid metric filter pattern: {}", fault.problem)?;
        let (line, caret) = excerpt(pattern, &fault.span);
        write!(f, "  {line}\n  {caret}")?;
        if let Some(expected) = fault.expected {
            write!(f, "\nexpected: {expected}")?;
        }
        if let Some(instead) = &fault.instead {
            write!(f, "\nwrite instead: {instead}")?;
        }
        Ok(())
    }
}

/// The most characters of a pattern that are shown before and after the start of the marked part.
const CONTEXT: usize = 60;

/// One line of the pattern around `span`, and the line of carets below it.
fn excerpt(pattern: &str, span: &Range<usize>) -> (String, String) {
    let before = pattern.get(..span.start).unwrap_or(pattern);
    let after = pattern.get(span.start..).unwrap_or_default();
    let marked = pattern.get(span.clone()).unwrap_or_default().chars().count();
    let (mut line, mut caret) = (String::new(), String::new());

    let hidden = before.chars().count().saturating_sub(CONTEXT);
    if hidden > 0 {
        line.push('…');
        caret.push(' ');
    }
    for c in before.chars().skip(hidden) {
        line.push(shown(c));
        caret.push_str(if is_wide(c) { "  " } else { " " });
    }
    for (i, c) in after.chars().take(CONTEXT).enumerate() {
        line.push(shown(c));
        if i < marked {
            caret.push_str(if is_wide(c) { "^^" } else { "^" });
        }
    }
    if after.chars().nth(CONTEXT).is_some() {
        line.push('…');
    }
    if marked == 0 {
        caret.push('^');
    }
    (line.trim_end().to_owned(), caret)
}

// A line break or a terminal's escape must not move the carets.
fn shown(c: char) -> char {
    if c.is_control() { ' ' } else { c }
}

/// Whether a terminal gives the character two columns: the East Asian wide blocks, roughly.
fn is_wide(c: char) -> bool {
    matches!(c, '\u{1100}'..='\u{115F}' | '\u{2E80}'..='\u{A4CF}' | '\u{AC00}'..='\u{D7A3}' | '\u{F900}'..='\u{FAFF}'
        | '\u{FE30}'..='\u{FE6F}' | '\u{FF00}'..='\u{FF60}' | '\u{FFE0}'..='\u{FFE6}' | '\u{1F300}'..='\u{1FAFF}'
        | '\u{20000}'..='\u{3FFFD}')
}
