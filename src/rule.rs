//! Rules: which records are worth a mail.

use serde::Deserialize;
use thiserror::Error;

use crate::pattern::{Pattern, PatternError};

/// The rules that ship with the crate, and the only place where their patterns stand.
const SHIPPED: &str = include_str!("../rules.json");

/// The id of the rule made from an operator's own pattern.
pub const OWN_RULE: &str = "own-pattern";

/// A pattern with a name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Rule {
    /// What configuration calls it.
    pub id: String,
    /// What a mail calls it.
    pub title: String,
    /// What it matches.
    pub pattern: Pattern,
}

/// Why there is no such rule.
#[derive(Debug, Error)]
pub enum RuleError {
    /// No shipped rule has this id.
    #[error("there is no rule {id:?}; the shipped rules are {known}")]
    Unknown {
        /// The id asked for.
        id: String,
        /// The ids there are, comma separated.
        known: String,
    },
    /// The pattern does not parse.
    #[error("the pattern is not valid")]
    Pattern(#[source] PatternError),
}

impl Rule {
    /// Every rule that ships.
    ///
    /// # Panics
    ///
    /// Never: a test reads the file that is compiled in.
    #[must_use]
    pub fn shipped() -> Vec<Self> {
        #[expect(clippy::expect_used, reason = "the text is a constant, and a test reads it")]
        serde_json::from_str(SHIPPED).expect("rules.json is compiled in")
    }

    /// The shipped rule of that id.
    ///
    /// # Errors
    ///
    /// [`RuleError::Unknown`] if no rule has it.
    pub fn by_id(id: &str) -> Result<Self, RuleError> {
        let mut shipped = Self::shipped();
        match shipped.iter().position(|rule| rule.id == id) {
            Some(index) => Ok(shipped.swap_remove(index)),
            None => {
                let known = shipped.iter().map(|rule| rule.id.as_str()).collect::<Vec<_>>().join(", ");
                Err(RuleError::Unknown { id: id.to_owned(), known })
            }
        }
    }

    /// The rule of an operator's own pattern.
    ///
    /// # Errors
    ///
    /// [`RuleError::Pattern`] if it does not parse.
    pub fn own(pattern: &str) -> Result<Self, RuleError> {
        let pattern = Pattern::parse(pattern).map_err(RuleError::Pattern)?;
        Ok(Self { id: OWN_RULE.to_owned(), title: "The pattern in RULE_PATTERN".to_owned(), pattern })
    }
}

/// The rules in force, and the texts that none of them can match without.
#[derive(Debug, Clone)]
pub struct RuleSet {
    rules: Vec<Rule>,
    /// `None` if some rule can match without any text that is known beforehand.
    literals: Option<Vec<String>>,
}

impl RuleSet {
    /// A set of rules.
    #[must_use]
    pub fn new(rules: Vec<Rule>) -> Self {
        let literals: Option<Vec<Vec<String>>> = rules.iter().map(|rule| rule.pattern.literals()).collect();
        Self { rules, literals: literals.map(|sets| sets.concat()) }
    }

    /// The rules.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Whether a rule could match the record inside this raw JSON text. It may say yes too often, never no too often:
    /// a character may be written as `\u0052`, in the record or in the batch around it.
    #[must_use]
    pub fn may_match(&self, raw: &str) -> bool {
        raw.contains("\\u") || self.mentions(raw)
    }

    /// Whether this text, which is no JSON object, holds one of the texts that a match can't be without, written out or
    /// as `\u0052`. It may be a record that was cut off or damaged.
    #[must_use]
    pub fn mentions(&self, text: &str) -> bool {
        let Some(literals) = &self.literals else { return true };
        let holds = |text: &str| literals.iter().any(|literal| text.contains(literal));
        holds(text) || (text.contains("\\u") && holds(&unescaped(text)))
    }
}

/// The text with each `\u0052` written out, wherever it stands: in what is no JSON nothing says what is a string.
fn unescaped(text: &str) -> String {
    let mut parts = text.split("\\u");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let escaped = part.get(..4).and_then(|digits| u32::from_str_radix(digits, 16).ok()).and_then(char::from_u32);
        match escaped {
            Some(character) => {
                plain.push(character);
                plain.push_str(&part[4..]);
            }
            None => plain.push_str(part),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shipped_rules_have_a_pattern_and_an_id_of_their_own() {
        let rules = Rule::shipped();
        for (index, rule) in rules.iter().enumerate() {
            assert!(rules[..index].iter().all(|other| other.id != rule.id), "{} twice", rule.id);
        }
        let set = RuleSet::new(vec![Rule::by_id("root-usage").unwrap()]);
        assert_eq!(set.literals.as_deref(), Some(&["Root".to_owned()][..]));
    }

    #[test]
    fn a_literal_is_found_however_it_is_written() {
        let set = RuleSet::new(vec![Rule::by_id("root-usage").unwrap()]);
        for (text, held) in [
            ("Root", true),
            ("\\u0052oot", true),
            ("{\"type\":\"R\\u006fo\\u0074", true),
            ("C:\\users\\Roo", false),
            ("\\u00", false),
            ("\\ud800 \\u00é", false),
            ("", false),
        ] {
            assert_eq!(set.mentions(text), held, "{text}");
            assert!(!held || set.may_match(text), "{text}");
        }
    }

    #[test]
    fn an_unknown_rule_names_the_known_ones() {
        let error = Rule::by_id("root").unwrap_err().to_string();
        assert!(error.contains("\"root\"") && error.contains("root-usage"), "{error}");
    }
}
