//! Texts that a message must contain to match: what a search can look for before anything is parsed.

use super::ast::{Condition, Expr, Operand, Test};
use super::selector::{Selector, Step};

/// Texts of which every matching message contains at least one.
struct Choice {
    texts: Vec<String>,
    /// Whether each comes from a value. CloudTrail has its keys in nearly every event, so a key, however long, lets
    /// nearly everything through.
    all_values: bool,
}

impl Choice {
    /// Better choices have greater ranks: values before keys, then the longest shortest text, then the fewest texts.
    fn rank(&self) -> (bool, usize, std::cmp::Reverse<usize>) {
        let shortest = self.texts.iter().map(String::len).min().unwrap_or_default();
        (self.all_values, shortest, std::cmp::Reverse(self.texts.len()))
    }
}

/// The best set for an expression, if it has any.
pub(super) fn literals(expr: &Expr) -> Option<Vec<String>> {
    choice(expr).map(|choice| choice.texts)
}

fn choice(expr: &Expr) -> Option<Choice> {
    match expr {
        Expr::Condition(condition) => of_condition(condition),
        // Any member's set will do. Of equals, the first.
        Expr::And(members) => members.iter().filter_map(choice).rev().max_by_key(Choice::rank),
        Expr::Or(members) => {
            let mut all = Choice { texts: Vec::new(), all_values: true };
            for member in members {
                let member = choice(member)?;
                all.all_values &= member.all_values;
                for text in member.texts {
                    if !all.texts.contains(&text) {
                        all.texts.push(text);
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
        Test::Equal(Operand::Text(text)) => longest(text.glob.pieces().iter().map(String::as_str))
            .map(|text| Choice { texts: vec![text.to_owned()], all_values: true })
            .or_else(|| key(&condition.selector)),
        // A number has many texts, an expression may have none, and of an unequal value nothing is known.
        Test::Equal(Operand::Number(_) | Operand::Regex(_))
        | Test::Unequal(_)
        | Test::Order(..)
        | Test::IsNull
        | Test::IsTrue
        | Test::IsFalse => key(&condition.selector),
    }
}

/// The longest plain part of a name in the path, all of which have to be there.
fn key(selector: &Selector) -> Option<Choice> {
    let names = selector.0.iter().filter_map(|step| match step {
        Step::Key(name) => Some(name.as_str()),
        Step::Index(_) | Step::AnyIndex | Step::AnyKey => None,
    });
    longest(names).map(|text| Choice { texts: vec![text.to_owned()], all_values: false })
}

/// The longest part of the texts that JSON writes in one way only, short of `\u` escapes that nobody needs.
fn longest<'t>(texts: impl Iterator<Item = &'t str>) -> Option<&'t str> {
    let plain = |c: char| matches!(c, ' '..='~') && !matches!(c, '"' | '\\' | '/');
    let parts = texts.flat_map(|text| text.split(move |c| !plain(c)));
    // Of equals, the first.
    parts.filter(|part| !part.is_empty()).reduce(|best, part| if part.len() > best.len() { part } else { best })
}
