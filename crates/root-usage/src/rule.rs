//! Rules: which records are worth a mail.

mod set;

use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;
use thiserror::Error;

use crate::severity::Severity;
use filter_pattern::{Pattern, PatternError};
pub use set::RuleSet;

/// The rules that ship with the crate, and the only place where their patterns stand.
const SHIPPED: &str = include_str!("../../../rules.json");

/// The id of the rule made from an operator's own pattern.
pub(crate) const OWN_RULE: &str = "own-pattern";

/// The id under which the file has the marked call of `make test-path`. It is in force beside the rules, and none of them.
const PATH_TEST: &str = "path-test";

/// A pattern with a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// What configuration calls it.
    pub id: String,
    /// What a mail calls it.
    pub title: String,
    /// The gravest that it makes of what others than root do; `None` sets no bound.
    pub severity: Option<Severity>,
    /// The sets it belongs to: one name in the configuration for all of their rules.
    pub sets: Vec<String>,
    /// Who published the pattern; `None` for an operator's own.
    pub source: Option<Source>,
    /// The pattern to the letter, as it was published or written.
    pub text: String,
    /// What it matches.
    pub pattern: Pattern,
}

/// Where a pattern was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The document.
    pub document: String,
    /// The number it has there, where it has one: `CloudWatch.4`.
    pub control: Option<String>,
    /// The edition that was compared: year, and month where it is known.
    pub date: String,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, ", self.document)?;
        self.control.as_ref().map_or(Ok(()), |control| write!(f, "{control}, "))?;
        f.write_str(&self.date)
    }
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
    control: Option<String>,
    source: String,
    date: String,
    pattern: String,
}

impl TryFrom<Row> for Rule {
    type Error = PatternError;

    fn try_from(row: Row) -> Result<Self, PatternError> {
        let Row { id, title, severity, sets, control, source, date, pattern: text } = row;
        let source = Some(Source { document: source, control, date });
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
        Self::in_file(|row| row.id != PATH_TEST)
    }

    /// The call by which `make test-path` shows that the way from CloudTrail to the mail works.
    pub(crate) fn path_test() -> Option<Self> {
        Self::in_file(|row| row.id == PATH_TEST).pop()
    }

    /// Those of the file that are wanted. Only their patterns are parsed.
    fn in_file(wanted: impl Fn(&Row) -> bool) -> Vec<Self> {
        #[expect(clippy::expect_used, reason = "the text is a constant, and a test reads it")]
        let rows: Vec<Row> = serde_json::from_str(SHIPPED).expect("rules.json is compiled in");
        #[expect(clippy::expect_used, reason = "the text is a constant, and a test reads it")]
        rows.into_iter().filter(wanted).map(|row| row.try_into().expect("rules.json has patterns")).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Published {
        pattern: String,
        sources: Vec<String>,
    }

    fn published() -> Vec<Published> {
        include_str!("../../filter-pattern/tests/data/published.jsonl")
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
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
        let published = published();
        for rule in Rule::shipped() {
            if rule.id == "root-usage" {
                // The Security Blog's, which has no `eventType`.
                let text = r#"{ $.userIdentity.type = "Root" && $.userIdentity.invokedBy NOT EXISTS }"#;
                assert_eq!(rule.text, text);
            } else if rule.source.as_ref().is_none_or(|source| source.document != "root-usage-alert") {
                assert!(published.iter().any(|one| one.pattern == rule.text), "{}: {}", rule.id, rule.text);
            }
        }
    }

    #[test]
    fn all_of_security_hubs_controls_are_shipped_in_one_edition() {
        let published = published();
        let rules = Rule::shipped();
        for number in 1..=14 {
            let control = format!("CloudWatch.{number}");
            let of =
                |rule: &&Rule| rule.source.as_ref().is_some_and(|source| source.control.as_ref() == Some(&control));
            let rule = rules.iter().find(of).unwrap();
            let edition = format!("Security Hub {control} ({})", rule.source.as_ref().unwrap().date);
            let text: Vec<_> = published.iter().filter(|one| one.sources.contains(&edition)).collect();
            assert_eq!(text.len(), 1, "{edition}");
            assert_eq!(rule.text, text[0].pattern, "{edition}");
        }
    }

    #[test]
    fn the_marked_call_is_no_rule_that_can_be_chosen() {
        assert!(Rule::path_test().is_some());
        assert!(Rule::named(PATH_TEST).is_err());
    }

    #[test]
    fn an_unknown_rule_names_the_known_ones() {
        let error = Rule::named("roots").unwrap_err().to_string();
        assert!(
            error.starts_with(
                "there is no rule or set \"roots\"; the sets are cis, root; the shipped rules are root-usage, "
            ),
            "{error}"
        );
    }
}
