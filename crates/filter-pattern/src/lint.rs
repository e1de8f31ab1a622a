//! What is valid and yet may not be what the operator means.

use std::fmt;

use super::ast::{Condition, Expr, Operand, Test};
use super::selector::Selector;

/// A warning about a valid pattern. `Display` is one line, with the condition that was probably meant.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lint {
    /// `!=` is false for a field that is missing, so the pattern skips events without it.
    ///
    /// Recorded: DataBiosphere/azul#5884, an alarm that stayed silent because of it.
    UnequalMayBeMissing {
        /// The condition.
        condition: String,
        /// The field.
        selector: String,
    },
    /// `= true` and the like compare with the text `true`; a JSON boolean is never equal to a text.
    BooleanText {
        /// The condition.
        condition: String,
        /// The condition for the JSON boolean.
        boolean: String,
        /// The same condition in quotes, which says that the text is meant.
        text: String,
    },
}

impl fmt::Display for Lint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnequalMayBeMissing { condition, selector } => write!(
                f,
                "`{condition}` is false when {selector} is missing; to match then too, write \
                 `({selector} NOT EXISTS || {condition})`, and if not, `{selector} = * && {condition}`"
            ),
            Self::BooleanText { condition, boolean, text } => write!(
                f,
                "`{condition}` compares with a text, never with a JSON boolean; for the boolean, write `{boolean}`, and \
                 for the text, `{text}`"
            ),
        }
    }
}

/// The warnings for an expression, in the order of its conditions.
pub(super) fn lints(expr: &Expr) -> Vec<Lint> {
    let mut found = Vec::new();
    visit(expr, &mut Vec::new(), &mut found);
    found
}

/// `known` are the selectors for which the pattern already says what a missing field means.
fn visit<'e>(expr: &'e Expr, known: &mut Vec<&'e Selector>, found: &mut Vec<Lint>) {
    match expr {
        Expr::Condition(condition) => found.extend(boolean(condition).into_iter().chain(missing(condition, known))),
        Expr::And(members) | Expr::Or(members) => {
            let outer = known.len();
            let is_or = matches!(expr, Expr::Or(_));
            known.extend(members.iter().filter_map(|member| match member {
                Expr::Condition(Condition { selector, test: Test::NotExists }) if is_or => Some(selector),
                Expr::Condition(Condition { selector, test: Test::Equal(_) | Test::Order(..) }) if !is_or => {
                    Some(selector)
                }
                Expr::Condition(_) | Expr::And(_) | Expr::Or(_) => None,
            }));
            members.iter().for_each(|member| visit(member, known, found));
            known.truncate(outer);
        }
    }
}

fn missing(condition: &Condition, known: &[&Selector]) -> Option<Lint> {
    let unknown = matches!(condition.test, Test::Unequal(_)) && !known.contains(&&condition.selector);
    unknown.then(|| Lint::UnequalMayBeMissing {
        condition: condition.to_string(),
        selector: condition.selector.to_string(),
    })
}

fn boolean(condition: &Condition) -> Option<Lint> {
    let selector = &condition.selector;
    let (operator, unequal, operand) = match &condition.test {
        Test::Equal(Operand::Text(text)) => ("=", false, text),
        Test::Unequal(Operand::Text(text)) => ("!=", true, text),
        _ => return None,
    };
    let value = match operand.text.as_str() {
        "true" => true,
        "false" => false,
        _ => return None,
    };
    // Quotes say that the text is meant: CloudTrail's own `mfaAuthenticated` is one.
    (!operand.quoted).then(|| Lint::BooleanText {
        condition: condition.to_string(),
        boolean: format!("{selector} IS {}", if value == unequal { "FALSE" } else { "TRUE" }),
        text: format!("{selector} {operator} \"{value}\""),
    })
}

#[cfg(test)]
mod tests {
    use crate::Pattern;

    fn lints(pattern: &str) -> Vec<String> {
        Pattern::parse(pattern).unwrap().lints().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn unequal_on_a_field_that_may_be_missing() {
        assert_eq!(
            lints(r#"{ $.a = x && $.b.c != "y" }"#),
            ["`$.b.c != \"y\"` is false when $.b.c is missing; to match then too, write `($.b.c NOT EXISTS || \
                 $.b.c != \"y\")`, and if not, `$.b.c = * && $.b.c != \"y\"`"]
        );
        for warned in [
            "{ $.a != x }",
            "{ $.a != 1 || $.a = * }",
            "{ $.a != x && $.b = * }",
            "{ $.a NOT EXISTS && $.a != x }",
            "{ ($.a = * || $.b = 1) && $.a != x }",
            "{ $.a IS NULL && $.a != x }",
        ] {
            assert_eq!(lints(warned).len(), 1, "{warned}");
        }
    }

    #[test]
    fn not_where_the_pattern_says_what_a_missing_field_means() {
        for silent in [
            "",
            "{ $.a = x }",
            "{ $.a = * && $.a != x }",
            "{ $.a != x && ($.b = 1 && $.a = *) }",
            "{ $.a = * && ($.b = 1 || $.a != x) }",
            "{ $.a > 1 && $.a != 5 }",
            "{ $.a NOT EXISTS || $.a != x }",
            "{ ($.a NOT EXISTS || $.a != x) && $.b = 1 }",
            "{ $.a NOT EXISTS || ($.b = 1 && $.a != x) }",
        ] {
            assert_eq!(lints(silent), [""; 0], "{silent}");
        }
    }

    #[test]
    fn the_words_true_and_false() {
        for (pattern, boolean) in [("{ $.a = true }", "`$.a IS TRUE`"), ("{ $.a = false }", "`$.a IS FALSE`")] {
            let lints = lints(pattern);
            assert!(lints.len() == 1 && lints[0].contains(boolean) && !lints[0].contains('\n'), "{lints:?}");
        }
        assert!(lints("{ $.a != true }")[0].contains("`$.a IS FALSE`"));
        assert_eq!(lints(r#"{ $.a = "true" || $.a = TRUE || $.a IS TRUE || $.a = true* }"#), [""; 0]);
    }
}
