//! Texts that a message must contain to match: what a search can look for before anything is parsed.

use std::cmp::Reverse;

use super::ast::{Condition, Expr, Operand, Test, Text};
use super::selector::{Segment, Selector};

/// A text that a message which matches contains, or contains one of several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Literal {
    /// What the message contains.
    pub text: String,
    /// The name of a field whose whole value the text is; `None` if it can stand anywhere.
    pub field: Option<String>,
}

/// Literals of which every matching message contains at least one.
struct Choice {
    literals: Vec<Literal>,
    /// Whether each comes from a value. CloudTrail has its keys in nearly every event, so a key, however long, lets
    /// nearly everything through.
    all_values: bool,
}

impl Choice {
    /// Better choices have greater ranks: values before keys, actions before services, then the longest shortest text,
    /// then the fewest texts.
    fn rank(&self) -> (bool, bool, usize, Reverse<usize>) {
        let texts = || self.literals.iter().map(|literal| &literal.text);
        // The name of a service is in each of its records, and some services make most of the records.
        let no_service = !texts().any(|text| text.ends_with(".amazonaws.com"));
        let shortest = texts().map(String::len).min().unwrap_or_default();
        (self.all_values, no_service, shortest, Reverse(self.literals.len()))
    }
}

/// The best set for an expression, if it has any.
pub(super) fn literals(expr: &Expr) -> Option<Vec<Literal>> {
    choice(expr).map(|choice| choice.literals)
}

fn choice(expr: &Expr) -> Option<Choice> {
    match expr {
        Expr::Condition(condition) => of_condition(condition),
        // Any member's set will do. Of equals, the first.
        Expr::And(members) => members.iter().filter_map(choice).rev().max_by_key(Choice::rank),
        Expr::Or(members) => {
            let mut all = Choice { literals: Vec::new(), all_values: true };
            for member in members {
                let member = choice(member)?;
                all.all_values &= member.all_values;
                for literal in member.literals {
                    if !all.literals.contains(&literal) {
                        all.literals.push(literal);
                    }
                }
            }
            Some(all)
        }
    }
}

fn of_condition(condition: &Condition) -> Option<Choice> {
    match &condition.test {
        // Nothing has to be there.
        Test::NotExists => None,
        Test::Equal(Operand::Text(text)) => value(&condition.selector, text).or_else(|| key(&condition.selector)),
        // A number has many texts, an expression may have none, and of an unequal value nothing is known.
        Test::Equal(Operand::Number(_) | Operand::Regex(_))
        | Test::Unequal(_)
        | Test::Order(..)
        | Test::IsNull
        | Test::IsTrue
        | Test::IsFalse => key(&condition.selector),
    }
}

/// The longest plain part of a value; with its field, if it is the whole.
fn value(selector: &Selector, text: &Text) -> Option<Choice> {
    let part = longest(text.glob.pieces().iter().map(String::as_str))?;
    let field = match selector.0.last() {
        Some(Segment::Key(name)) if text.glob.is(part) && name.chars().all(is_plain) => Some(name.clone()),
        _ => None,
    };
    Some(Choice { literals: vec![Literal { text: part.to_owned(), field }], all_values: true })
}

/// The longest plain part of a name in the path, all of which have to be there.
fn key(selector: &Selector) -> Option<Choice> {
    let names = selector.0.iter().filter_map(|step| match step {
        Segment::Key(name) => Some(name.as_str()),
        Segment::Index(_) | Segment::AnyIndex | Segment::AnyKey => None,
    });
    let text = longest(names)?.to_owned();
    Some(Choice { literals: vec![Literal { text, field: None }], all_values: false })
}

/// Whether JSON writes a character in one way only, short of `\u` escapes that nobody needs. Some writers of JSON, for
/// the sake of HTML, do write `<`, `>`, `&`, `=` and `'` with such escapes.
fn is_plain(c: char) -> bool {
    matches!(c, ' '..='~') && !matches!(c, '"' | '\\' | '/' | '<' | '>' | '&' | '=' | '\'')
}

/// The longest plain part of the texts.
fn longest<'t>(texts: impl Iterator<Item = &'t str>) -> Option<&'t str> {
    let parts = texts.flat_map(|text| text.split(|c| !is_plain(c)));
    // Of equals, the first.
    parts.filter(|part| !part.is_empty()).reduce(|best, part| if part.len() > best.len() { part } else { best })
}
