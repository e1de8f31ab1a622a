//! Rules: which records are worth a mail.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Deserialize;
use thiserror::Error;

use crate::pattern::{Lint, Pattern, PatternError};
use crate::severity::Severity;

/// The rules that ship with the crate, and the only place where their patterns stand.
const SHIPPED: &str = include_str!("../rules.json");

/// The id of the rule made from an operator's own pattern.
pub const OWN_RULE: &str = "own-pattern";

/// A pattern with a name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Row")]
pub struct Rule {
    /// What configuration calls it.
    pub id: String,
    /// What a mail calls it.
    pub title: String,
    /// The gravest that it makes of what others than root do; `None` sets no bound.
    pub severity: Option<Severity>,
    /// The sets it belongs to: one name in the configuration for all of their rules.
    pub sets: Vec<String>,
    /// Who published the pattern, and where; `None` for an operator's own.
    pub source: Option<String>,
    /// The pattern to the letter, as it was published or written.
    pub text: String,
    /// What it matches.
    pub pattern: Pattern,
}

/// A rule as it stands in the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    id: String,
    title: String,
    severity: Option<Severity>,
    #[serde(default)]
    sets: Vec<String>,
    source: Option<String>,
    pattern: String,
}

impl TryFrom<Row> for Rule {
    type Error = PatternError;

    fn try_from(row: Row) -> Result<Self, PatternError> {
        let Row { id, title, severity, sets, source, pattern: text } = row;
        Ok(Self { id, title, severity, sets, source, pattern: Pattern::parse(&text)?, text })
    }
}

/// Why there is no such rule.
#[derive(Debug, Error)]
pub enum RuleError {
    /// No shipped rule and no set of rules has this name.
    #[error("there is no rule or set {name:?}; the sets are {sets}; the shipped rules are {rules}")]
    Unknown {
        /// The name asked for.
        name: String,
        /// The sets there are, comma separated.
        sets: String,
        /// The ids there are, comma separated.
        rules: String,
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

    /// The shipped rule of that id, or those of the set of that name.
    ///
    /// # Errors
    ///
    /// [`RuleError::Unknown`] if neither a rule nor a set has the name.
    pub fn named(name: &str) -> Result<Vec<Self>, RuleError> {
        let (named, others): (Vec<_>, Vec<_>) =
            Self::shipped().into_iter().partition(|rule| rule.id == name || rule.sets.iter().any(|set| set == name));
        if !named.is_empty() {
            return Ok(named);
        }
        let sets: BTreeSet<&str> = others.iter().flat_map(|rule| &rule.sets).map(String::as_str).collect();
        let rules: Vec<&str> = others.iter().map(|rule| rule.id.as_str()).collect();
        Err(RuleError::Unknown {
            name: name.to_owned(),
            sets: sets.into_iter().collect::<Vec<_>>().join(", "),
            rules: rules.join(", "),
        })
    }

    /// The rule of an operator's own pattern.
    ///
    /// # Errors
    ///
    /// [`RuleError::Pattern`] if it does not parse.
    pub fn own(pattern: &str) -> Result<Self, RuleError> {
        Ok(Self {
            id: OWN_RULE.to_owned(),
            title: "The pattern in RULE_PATTERN".to_owned(),
            severity: None,
            sets: Vec::new(),
            source: None,
            text: pattern.to_owned(),
            pattern: Pattern::parse(pattern).map_err(RuleError::Pattern)?,
        })
    }
}

/// The rules in force, and the texts that none of them can match without.
#[derive(Debug, Clone)]
pub struct RuleSet {
    rules: Vec<Arc<Rule>>,
    /// `None` if some rule can match without any text that is known beforehand.
    literals: Option<Vec<String>>,
}

impl RuleSet {
    /// A set of rules. One that is named twice counts once.
    #[must_use]
    pub fn new(rules: Vec<Rule>) -> Self {
        let mut ids = BTreeSet::new();
        let rules: Vec<_> = rules.into_iter().filter(|rule| ids.insert(rule.id.clone())).map(Arc::new).collect();
        let literals: Option<Vec<Vec<String>>> = rules.iter().map(|rule| rule.pattern.literals()).collect();
        let literals = literals.map(|sets| sets.concat().into_iter().collect::<BTreeSet<_>>().into_iter().collect());
        Self { rules, literals }
    }

    /// The rules.
    #[must_use]
    pub fn rules(&self) -> &[Arc<Rule>] {
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

    /// The rules that a text could match which is no JSON object, as [`mentions`](Self::mentions) has it.
    #[must_use]
    pub fn mentioned(&self, text: &str) -> Vec<Arc<Rule>> {
        let mentioned = |rule: &&Arc<Rule>| {
            rule.pattern.literals().is_none_or(|literals| literals.iter().any(|literal| text.contains(literal)))
        };
        self.rules.iter().filter(mentioned).cloned().collect()
    }

    /// The warnings about the operator's own pattern: it is valid, and may yet not say what was meant.
    #[must_use]
    pub fn lints(&self) -> Vec<Lint> {
        self.rules.iter().filter(|rule| rule.id == OWN_RULE).flat_map(|rule| rule.pattern.lints()).collect()
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

    #[derive(Deserialize)]
    struct Published {
        pattern: String,
    }

    #[test]
    fn shipped_rules_have_an_id_of_their_own_a_severity_and_a_source() {
        let rules = Rule::shipped();
        for (index, rule) in rules.iter().enumerate() {
            assert!(rules[..index].iter().all(|other| other.id != rule.id), "{} twice", rule.id);
            assert!(rules.iter().all(|other| !other.sets.contains(&rule.id)), "{} is a rule and a set", rule.id);
            assert!(rule.severity.is_some() && rule.source.is_some(), "{}", rule.id);
        }
    }

    #[test]
    fn every_pattern_is_the_published_one_to_the_letter() {
        let published: BTreeSet<String> = include_str!("../tests/data/published.jsonl")
            .lines()
            .map(|line| serde_json::from_str::<Published>(line).unwrap().pattern)
            .collect();
        for rule in Rule::shipped() {
            if rule.id == "root-usage" {
                // The Security Blog's, which has no `eventType`.
                let text = r#"{ $.userIdentity.type = "Root" && $.userIdentity.invokedBy NOT EXISTS }"#;
                assert_eq!(rule.text, text);
            } else {
                assert!(published.contains(&rule.text), "{}: {}", rule.id, rule.text);
            }
        }
    }

    #[test]
    fn no_shipped_rule_needs_every_record_parsed() {
        assert_eq!(
            RuleSet::new(Rule::named("root-usage").unwrap()).literals.as_deref(),
            Some(&["Root".to_owned()][..])
        );
        assert!(RuleSet::new(Rule::shipped()).literals.is_some());
    }

    #[test]
    fn a_set_names_all_its_rules() {
        let cis = Rule::named("cis").unwrap();
        assert_eq!(cis.len(), 17);
        assert_eq!(cis[0].id, "root-usage-cis");
        let twice = [Rule::named("cis").unwrap(), Rule::named("root-usage-cis").unwrap()].concat();
        assert_eq!(RuleSet::new(twice).rules().len(), 17);
    }

    #[test]
    fn a_literal_is_found_however_it_is_written() {
        let set = RuleSet::new(Rule::named("root-usage").unwrap());
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
        let error = Rule::named("root").unwrap_err().to_string();
        assert!(
            error.starts_with("there is no rule or set \"root\"; the sets are cis; the shipped rules are root-usage, "),
            "{error}"
        );
    }
}
