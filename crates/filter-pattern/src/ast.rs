//! What a pattern says, and its canonical text.

use std::fmt::{self, Write as _};

use super::MAX_CHARS;
use super::glob::Glob;
use super::number::Decimal;
use super::regex::Regex;
use super::selector::Selector;

/// An expression. `And` and `Or` have at least two members, none of their own kind: brackets that change nothing are
/// gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Expr {
    Or(Vec<Expr>),
    And(Vec<Expr>),
    Condition(Condition),
}

/// One comparison or state of one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) selector: Selector,
    pub(super) test: Test,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Test {
    Equal(Operand),
    Unequal(Operand),
    Order(Order, Number),
    IsNull,
    IsTrue,
    IsFalse,
    NotExists,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// What `=` and `!=` compare with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Operand {
    /// An unquoted number: by value with a JSON number, by its own text with a JSON string.
    Number(Number),
    /// A text, with wildcards at its ends perhaps.
    Text(Text),
    /// A search in the text.
    Regex(Regex),
}

/// A number as written, and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Number {
    pub(super) text: String,
    pub(super) value: Decimal,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text {
    /// The text without quotes and escapes.
    pub(super) text: String,
    /// Whether it stood in quotes. `1` is a number and `"1"` a text, so the canonical text keeps them.
    pub(super) quoted: bool,
    pub(super) glob: Glob,
}

impl Expr {
    /// The pattern around this expression: with spaces, or without the optional ones if it would be too long with
    /// them. Without, it is never longer than what it was parsed from.
    pub(super) fn to_pattern(&self) -> String {
        let roomy = self.write(" ");
        if roomy.chars().count() <= MAX_CHARS { roomy } else { self.write("") }
    }

    fn write(&self, space: &str) -> String {
        let mut out = format!("{{{space}");
        self.write_to(&mut out, space, false);
        out.push_str(space);
        out.push('}');
        out
    }

    fn write_to(&self, out: &mut String, space: &str, bracket: bool) {
        let (members, joint, inner) = match self {
            Self::Condition(condition) => return condition.write_to(out, space),
            Self::Or(members) => (members, "||", false),
            Self::And(members) => (members, "&&", true),
        };
        let bracket = bracket && joint == "||";
        if bracket {
            out.push('(');
        }
        for (i, member) in members.iter().enumerate() {
            if i > 0 {
                out.extend([space, joint, space]);
            }
            member.write_to(out, space, inner);
        }
        if bracket {
            out.push(')');
        }
    }
}

impl Condition {
    fn write_to(&self, out: &mut String, space: &str) {
        // Writing to a `String` can't fail.
        let _ = match &self.test {
            Test::Equal(operand) => write!(out, "{}{space}={space}{operand}", self.selector),
            Test::Unequal(operand) => write!(out, "{}{space}!={space}{operand}", self.selector),
            Test::Order(order, number) => write!(out, "{}{space}{order}{space}{}", self.selector, number.text),
            Test::IsNull => write!(out, "{} IS NULL", self.selector),
            Test::IsTrue => write!(out, "{} IS TRUE", self.selector),
            Test::IsFalse => write!(out, "{} IS FALSE", self.selector),
            Test::NotExists => write!(out, "{} NOT EXISTS", self.selector),
        };
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = String::new();
        self.write_to(&mut out, " ");
        f.write_str(&out)
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        })
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => f.write_str(&number.text),
            Self::Text(text) if text.quoted => f.write_str(&quote(&text.text)),
            Self::Text(text) => f.write_str(&text.text),
            Self::Regex(regex) => write!(f, "%{}%", regex.source()),
        }
    }
}

/// `text` in quotes, with as few escapes as will do: one more than was written could make a pattern too long.
pub(super) fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let escape = match c {
            '"' => true,
            '\\' => matches!(chars.peek(), None | Some('"' | '\\')),
            _ => false,
        };
        if escape {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}
